//! Errors of the model store, as apps see them.

use std::io;

use sotto::store::StoreError;

/// Why something about the store did not work. An access token never stands in it.
#[derive(Debug, Clone, PartialEq, thiserror::Error, uniffi::Error)]
pub enum StoreFailure {
    /// The caller cancelled, or let go of the job. Nothing is wrong.
    #[error("cancelled")]
    Cancelled,
    /// That cannot be the name of a model or a version.
    #[error("{reason}")]
    InvalidName {
        /// What is wrong with it.
        reason: String,
        /// What to do.
        next_step: String,
    },
    /// There is no such model, version or file, here or at the publisher's.
    #[error("{reason}")]
    NotFound {
        /// What is missing, and where.
        reason: String,
        /// What to do.
        next_step: String,
    },
    /// The model is damaged, or came damaged.
    #[error("{reason}")]
    Damaged {
        /// What is wrong with it.
        reason: String,
        /// What to do.
        next_step: String,
    },
    /// The publisher has it, but not in a form that Sotto reads safely.
    #[error("{reason}")]
    Unsupported {
        /// What it is instead.
        reason: String,
        /// What to do.
        next_step: String,
    },
    /// The server could not be reached, or does not want to serve now.
    #[error("{reason}")]
    Network {
        /// What happened.
        reason: String,
        /// What to do.
        next_step: String,
    },
    /// The publisher wants an access token, another one, or its terms accepted.
    #[error("{reason}")]
    Unauthorized {
        /// What is wanted.
        reason: String,
        /// What to do.
        next_step: String,
    },
    /// The disk has too little room.
    #[error("{reason}")]
    NoSpace {
        /// What is needed.
        reason: String,
        /// What to do.
        next_step: String,
    },
    /// Another process, or another job of this one, changes the model.
    #[error("{reason}")]
    Busy {
        /// Which model.
        reason: String,
        /// What to do.
        next_step: String,
    },
    /// The system refused something, or a bug in Sotto.
    #[error("{reason}")]
    Internal {
        /// What happened.
        reason: String,
        /// What to do.
        next_step: String,
    },
}

impl StoreFailure {
    /// The failure of a job, which every later question repeats.
    pub(super) fn of(error: &StoreError) -> Self {
        let reason = error.to_string();
        let step = str::to_owned;
        match error {
            StoreError::Cancelled(_) => Self::Cancelled,
            StoreError::Name { .. } | StoreError::Ambiguous { .. } => {
                Self::InvalidName { reason, next_step: step("name it as lists of the store do") }
            }
            StoreError::Configuration { .. } => Self::InvalidName {
                reason,
                next_step: step("give a folder, an address and a token as they are described"),
            },
            StoreError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => Self::NotFound {
                reason,
                next_step: step("check where the file is, and that it was not moved or deleted"),
            },
            StoreError::NotInstalled { .. } | StoreError::NoEarlierVersion { .. } => {
                Self::NotFound { reason, next_step: step("look at the list of the store, or pull the model") }
            }
            StoreError::RepositoryNotFound { .. }
            | StoreError::RevisionNotFound { .. }
            | StoreError::FileNotFound { .. }
            | StoreError::OtherModel { .. } => {
                Self::NotFound { reason, next_step: step("check the spelling of the reference") }
            }
            StoreError::Damaged { .. }
            | StoreError::Manifest { .. }
            | StoreError::WrongSize { .. }
            | StoreError::WrongHash { .. } => {
                Self::Damaged { reason, next_step: step("pull the model again with `update`, or import it again") }
            }
            StoreError::Import { .. }
            | StoreError::UnknownKind { .. }
            | StoreError::PickleOnly { .. }
            | StoreError::MissingFile { .. }
            | StoreError::UnsafeFileName { .. }
            | StoreError::Unverifiable { .. } => Self::Unsupported { reason, next_step: step("take another model") },
            StoreError::Folder { .. } => {
                Self::Unsupported { reason, next_step: step("give a folder that has a sotto.json, or import it") }
            }
            StoreError::Unauthorized { .. } | StoreError::Gated { .. } => {
                Self::Unauthorized { reason, next_step: step("accept the model's terms and give an access token") }
            }
            StoreError::NoSpace { .. } | StoreError::DiskFull { .. } => {
                Self::NoSpace { reason, next_step: step("make room; a pull goes on where it stopped") }
            }
            StoreError::Busy { .. } => Self::Busy { reason, next_step: step("wait for the other one, or cancel it") },
            StoreError::Network { .. }
            | StoreError::RateLimited { .. }
            | StoreError::Server { .. }
            | StoreError::Storage { .. }
            | StoreError::Reply { .. }
            | StoreError::Redirect { .. } => {
                Self::Network { reason, next_step: step("try again later; a pull goes on where it stopped") }
            }
            _ => Self::internal(&reason),
        }
    }

    pub(super) fn internal(reason: &str) -> Self {
        let next_step = "try again; if it stays, report it with this text".to_owned();
        Self::Internal { reason: reason.to_owned(), next_step }
    }

    pub(super) fn ended(reason: &str) -> Self {
        Self::Internal { reason: reason.to_owned(), next_step: "start another one".to_owned() }
    }
}

impl From<StoreError> for StoreFailure {
    fn from(error: StoreError) -> Self {
        Self::of(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_there_is_not_found_and_anything_else_of_the_system_is_internal() {
        let of = |kind: io::ErrorKind| {
            StoreFailure::of(&StoreError::Io { path: "model".into(), action: "import", source: kind.into() })
        };
        assert!(matches!(of(io::ErrorKind::NotFound), StoreFailure::NotFound { .. }));
        assert!(matches!(of(io::ErrorKind::PermissionDenied), StoreFailure::Internal { .. }));
    }
}
