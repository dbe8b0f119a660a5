//! Apple's systems: log lines go to the unified log.

use once_cell::sync::OnceCell;
use oslog::OsLogger;
use sotto::HelperSetup;

static INSTALLED: OnceCell<()> = OnceCell::new();

pub(crate) fn install_logger() {
    // Where the app has a logger already, that one stays.
    INSTALLED.get_or_init(|| drop(OsLogger::new("dev.sotto").init()));
}

pub(crate) fn helper_setup() -> HelperSetup {
    HelperSetup::default()
}
