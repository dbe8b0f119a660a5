//! A desk: log lines go to the standard error stream.

use std::io::Write;

use log::{Log, Metadata, Record};
use once_cell::sync::OnceCell;
use sotto::HelperSetup;

struct Stderr;

static LOGGER: Stderr = Stderr;
static INSTALLED: OnceCell<()> = OnceCell::new();

impl Log for Stderr {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        // A closed stream is no reason to stop.
        let _ = writeln!(std::io::stderr(), "sotto: {}: {}", record.level().as_str().to_lowercase(), record.args());
    }

    fn flush(&self) {}
}

pub(crate) fn install_logger() {
    // Where the app has a logger already, that one stays.
    INSTALLED.get_or_init(|| drop(log::set_logger(&LOGGER)));
}

pub(crate) fn helper_setup() -> HelperSetup {
    HelperSetup::default()
}
