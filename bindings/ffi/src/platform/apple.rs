//! Apple's systems: log lines go to the unified log.

use once_cell::sync::OnceCell;
use oslog::OsLogger;
use sotto::HelperSetup;

use crate::tracing::Tracer;

static INSTALLED: OnceCell<()> = OnceCell::new();

pub(crate) fn install_logger() {
    // Where the app has a logger already, that one stays.
    INSTALLED.get_or_init(|| drop(OsLogger::new("dev.sotto").init()));
}

pub(crate) fn helper_setup() -> HelperSetup {
    HelperSetup::default()
}

/// Signposts are macros of Apple's compiler, which this library does without.
pub(crate) fn tracer() -> Option<Box<dyn Tracer>> {
    None
}
