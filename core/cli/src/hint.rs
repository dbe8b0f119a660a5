//! What the command line adds to the library's messages. They say what to do in the words of its operations, for apps
//! show them too; here the commands, options and variables are named that do it.

use std::fmt::{self, Display};

use sotto::cache::CacheError;
use sotto::store::{NetworkFailure, StoreError};

/// A message of the library, and behind it in parentheses what to type.
pub(crate) struct Told<'a, E>(pub(crate) &'a E);

impl Display for Told<'_, StoreError> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        told(f, self.0, of_store(self.0))
    }
}

impl Display for Told<'_, CacheError> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hint = matches!(self.0, CacheError::DiskFull { .. }).then(|| "SOTTO_CACHE, --no-cache".to_owned());
        told(f, self.0, hint)
    }
}

fn told(f: &mut fmt::Formatter<'_>, error: &dyn Display, hint: Option<String>) -> fmt::Result {
    match hint {
        Some(hint) => write!(f, "{error} ({hint})"),
        None => error.fmt(f),
    }
}

fn of_store(error: &StoreError) -> Option<String> {
    let token = "--token-file FILE, or HF_TOKEN for the hub";
    let hint = match error {
        StoreError::NotInstalled { name, .. } => return Some(format!("`sotto models pull {name}`")),
        StoreError::Damaged { name, imported: false, .. } => {
            return Some(format!("`sotto models pull --update {name}`"));
        }
        StoreError::Manifest { .. } => "`sotto models pull --update NAME`",
        StoreError::NoEarlierVersion { .. } => "`sotto models list`",
        StoreError::Unauthorized { had_token: false, .. }
        | StoreError::Gated { had_token: false, .. }
        | StoreError::RepositoryNotFound { had_token: false, .. }
        | StoreError::RateLimited { had_token: false, .. } => token,
        StoreError::Reply { .. }
        | StoreError::WrongSize { .. }
        | StoreError::WrongHash { .. }
        | StoreError::Unverifiable { .. } => "HF_ENDPOINT, or --from",
        StoreError::Folder { .. } => "`sotto models import NAME PATH`",
        StoreError::NoSpace { .. } => "SOTTO_MODELS",
        StoreError::Network { failure: NetworkFailure::Tls(_), .. } => "SSL_CERT_FILE",
        StoreError::Network { failure: NetworkFailure::Proxy, .. } => "HTTPS_PROXY, NO_PROXY",
        _ => return None,
    };
    Some(hint.to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn what_can_be_typed_stands_behind_the_librarys_words() {
        let absent = StoreError::NotInstalled { name: "a/b@v2".into(), dir: "models".into() };
        assert_eq!(
            Told(&absent).to_string(),
            "a/b@v2 is not in the model store models; pull it first (`sotto models pull a/b@v2`)"
        );
        let damaged =
            |imported| StoreError::Damaged { name: "a/b".into(), problems: vec!["x: short".into()], imported };
        assert!(Told(&damaged(false)).to_string().ends_with("(`sotto models pull --update a/b`)"));
        // No hub can repair it, so no command of ours does.
        assert_eq!(Told(&damaged(true)).to_string(), damaged(true).to_string());
        let cut = StoreError::Network { host: "hub".into(), failure: NetworkFailure::Cut };
        assert_eq!(Told(&cut).to_string(), cut.to_string());
        let full = CacheError::DiskFull { path: PathBuf::from("cache/x.sotto") };
        assert!(Told(&full).to_string().contains("SOTTO_CACHE"));
    }
}
