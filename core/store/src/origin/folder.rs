//! What every folder with a manifest has in common: a revision folder of a store, copied to another place. Its
//! `sotto.json` names the model, the commit and each file with its size and hash.

use super::Description;
use crate::api::{RemoteFile, RepositoryInfo};
use crate::digest::Digest;
use crate::error::{StoreError, shown};
use crate::manifest::{Manifest, ManifestFile};
use crate::name::{ModelName, Revision};

/// What the manifest of the folder at `place` describes, where it is that of `model` at the revision that was asked
/// for. The text may be anything.
pub(super) fn describe(
    text: &[u8],
    place: &str,
    model: &ModelName,
    asked: Option<&Revision>,
) -> Result<Description, StoreError> {
    let manifest = Manifest::parse(text).map_err(|reason| refused(place, &format!("its sotto.json: {reason}")))?;
    if manifest.name != *model {
        let (found, asked) = (manifest.name.to_string(), model.to_string());
        return Err(StoreError::OtherModel { place: place.to_owned(), found, asked });
    }
    let revision: Revision = manifest
        .revision
        .parse()
        .map_err(|_| refused(place, &format!("its sotto.json: {:?} is not a revision", shown(&manifest.revision))))?;
    if let Some(asked) = asked.filter(|&asked| *asked != revision && !asked.may_abbreviate(&manifest.commit)) {
        return Err(StoreError::RevisionNotFound { repository: place.to_owned(), revision: asked.to_string() });
    }
    let info = RepositoryInfo {
        commit: manifest.commit,
        licence: manifest.licence.as_deref().map(shown),
        model_type: None,
        files: manifest.files.into_iter().map(RemoteFile::from).collect(),
    };
    Ok(Description { info, revision, single: manifest.entry })
}

impl From<ManifestFile> for RemoteFile {
    fn from(file: ManifestFile) -> Self {
        Self { path: file.path, size: Some(file.size), digest: Digest::from_hex(&file.sha256) }
    }
}

pub(super) fn refused(place: &str, reason: &str) -> StoreError {
    StoreError::Folder { place: place.to_owned(), reason: reason.to_owned() }
}

/// The error of a file that the manifest lists and the folder does not have.
pub(super) fn missing(place: &str, file: &str) -> StoreError {
    StoreError::FileNotFound { repository: place.to_owned(), file: file.to_owned(), alternatives: Vec::new() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::name::{Commit, check_component};

    fn manifest() -> Vec<u8> {
        let text = r#"{"format": 1, "name": "a/b", "revision": "v1", "commit": "COMMIT", "pulled_at": "2025",
            "licence": "mit", "entry": ".", "files": [{"path": "config.json", "size": 2, "sha256": "HASH"}]}"#;
        text.replace("COMMIT", &"ab".repeat(20)).replace("HASH", &"cd".repeat(32)).into_bytes()
    }

    fn described(text: &[u8], asked: Option<&str>) -> Result<Description, StoreError> {
        let asked = asked.map(|asked| asked.parse().unwrap());
        describe(text, "place", &"a/b".parse().unwrap(), asked.as_ref())
    }

    #[test]
    fn a_revision_is_asked_for_by_its_label_or_its_commit() {
        for asked in [None, Some("v1"), Some("abababab")] {
            let found = described(&manifest(), asked).unwrap();
            assert_eq!(Some(found.info.commit), Commit::new(&"ab".repeat(20)));
            assert_eq!((found.revision.as_str(), found.single), ("v1", None));
            assert!(matches!(found.info.files[0].digest, Some(Digest::Sha256(_))));
        }
        for asked in ["main", "ababab", "cdcdcdcd"] {
            assert!(matches!(described(&manifest(), Some(asked)), Err(StoreError::RevisionNotFound { .. })));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_safe_description_or_an_error(
            at in 0usize..400,
            bytes in proptest::collection::vec(any::<u8>(), 0..6),
        ) {
            let mut text = manifest();
            let at = at % text.len();
            text.splice(at..(at + bytes.len()).min(manifest().len()), bytes);
            match described(&text, None) {
                Ok(found) => {
                    let sound = |file: &RemoteFile| check_component(&file.path).is_ok() && file.digest.is_some();
                    prop_assert!(found.info.files.iter().all(sound));
                }
                Err(error) => prop_assert!(error.to_string().len() < 600),
            }
        }
    }
}
