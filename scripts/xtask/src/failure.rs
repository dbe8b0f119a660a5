//! Why a chore could not be done.

use std::path::{Path, PathBuf};

/// What went wrong, where, and what to do about it. Broken rules are not failures: they are in a report.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A program is missing or may not be run.
    #[error("`{command}` could not be started: {source}")]
    Start { command: String, source: std::io::Error },
    /// A program failed; what it printed is on the screen, or here where it was caught.
    #[error("`{command}` failed ({status}){output}")]
    Failed { command: String, status: std::process::ExitStatus, output: String },
    /// A file or folder could not be read or written.
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    /// An archive is damaged or of a kind that no tool here writes.
    #[error("{}: {source}", path.display())]
    Archive { path: PathBuf, source: crate::zip::ZipError },
    /// A program or a file has an unexpected form.
    #[error("{what} is not of the expected form: {detail}")]
    Form { what: String, detail: String },
    /// Something that the chore stands on is missing.
    #[error("{what}; {remedy}")]
    Missing { what: String, remedy: String },
    /// Rules are broken: the report is on the screen.
    #[error("{0}")]
    Broken(String),
    /// The command line cannot be understood.
    #[error("{0}; `cargo xtask --help` names all chores and options")]
    Usage(String),
}

impl Failure {
    /// For `map_err` at the places that touch a file.
    pub fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }

    /// Something that the chore stands on is missing.
    pub fn missing(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Missing { what: what.into(), remedy: remedy.into() }
    }

    /// Something has an unexpected form.
    pub fn form(what: impl Into<String>, detail: impl ToString) -> Self {
        Self::Form { what: what.into(), detail: detail.to_string() }
    }
}
