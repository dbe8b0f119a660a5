//! Log lines of the library, on the platform's own log.

use log::LevelFilter;

/// How much the library logs. Nothing that a user says or types is ever logged, at any level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// What failed.
    Error,
    /// What was worked around, too.
    Warn,
    /// What was loaded and unloaded, too.
    Info,
    /// Steps of the engine, too.
    Debug,
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Off => Self::Off,
            LogLevel::Error => Self::Error,
            LogLevel::Warn => Self::Warn,
            LogLevel::Info => Self::Info,
            LogLevel::Debug => Self::Debug,
        }
    }
}

/// Sets how much the library logs: to logcat under the tag `sotto` on Android, to the unified log under the subsystem
/// `dev.sotto` on Apple's systems, to the standard error stream elsewhere. Off until it is called; may be called again
/// at any time. An app that has installed a Rust logger of its own keeps it.
#[uniffi::export]
pub fn set_log_level(level: LogLevel) {
    crate::platform::install_logger();
    log::set_max_level(level.into());
}
