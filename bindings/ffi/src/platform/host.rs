//! A desk: log lines go to the standard error stream, sections to the kernel's trace.

use std::ffi::CStr;
use std::fs::{File, OpenOptions};
use std::io::Write;

use log::{Log, Metadata, Record};
use once_cell::sync::OnceCell;
use sotto::HelperSetup;

use crate::tracing::Tracer;

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

/// Linux's trace, where this process may write to it, as Perfetto and trace-cmd record it.
pub(crate) fn tracer() -> Option<Box<dyn Tracer>> {
    const MARKERS: [&str; 2] = ["/sys/kernel/tracing/trace_marker", "/sys/kernel/debug/tracing/trace_marker"];
    let open = |path| OpenOptions::new().write(true).open(path).ok();
    let marker = MARKERS.into_iter().find_map(open)?;
    Some(Box::new(Marker(marker)))
}

/// Sections as Android writes them into the same file: `B|process|name`, then `E|process`.
struct Marker(File);

impl Tracer for Marker {
    fn begin(&self, name: &CStr) {
        // One call for a line, so that lines of several threads stay whole; a full trace is no reason to stop.
        let line = format!("B|{}|{}", std::process::id(), name.to_string_lossy());
        let _ = (&self.0).write_all(line.as_bytes());
    }

    fn end(&self) {
        let line = format!("E|{}", std::process::id());
        let _ = (&self.0).write_all(line.as_bytes());
    }
}
