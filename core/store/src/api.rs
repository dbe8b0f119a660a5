//! What a hub says about a repository at one revision (`/api/models/OWNER/NAME/revision/REVISION?blobs=true`).

use serde::Deserialize;
use serde_json::Value;

use crate::digest::Digest;
use crate::error::shown;
use crate::name::Commit;

/// Largest answer that is read; repositories with thousands of files stay below 2 MB.
pub(crate) const MAX_REPLY: u64 = 16 << 20;
/// More files than any repository of models has.
const MAX_FILES: usize = 50_000;

/// A repository at one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RepositoryInfo {
    /// The commit that the revision stands for.
    pub commit: Commit,
    /// Licence by the model card, such as `apache-2.0`.
    pub licence: Option<String>,
    /// `model_type` of the model's configuration, such as `whisper`.
    pub model_type: Option<String>,
    /// All files of the repository, in the hub's order. Names are **not** checked.
    pub files: Vec<RemoteFile>,
}

/// A file of a repository as the hub describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFile {
    /// Path inside the repository, as the hub sent it.
    pub path: String,
    /// Length in bytes; missing where a mirror does not state it.
    pub size: Option<u64>,
    /// Hash of the contents; missing where a mirror does not state it.
    pub digest: Option<Digest>,
}

#[derive(Deserialize)]
struct RawInfo {
    sha: String,
    // Free-form parts of the answer: anything is accepted, and only what has the expected type is used.
    #[serde(default, rename = "cardData")]
    card: Value,
    #[serde(default)]
    config: Value,
    #[serde(default)]
    tags: Value,
    siblings: Vec<RawFile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawFile {
    rfilename: String,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default)]
    blob_id: Option<String>,
    #[serde(default)]
    lfs: Option<RawLfs>,
}

#[derive(Deserialize)]
struct RawLfs {
    #[serde(default)]
    sha256: Option<String>,
    #[serde(default)]
    size: Option<u64>,
}

impl RepositoryInfo {
    /// Reads an answer of the hub. Never panics; memory is bounded by the length of the text.
    ///
    /// # Errors
    /// What is wrong, in words for a message.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        if json.len() as u64 > MAX_REPLY {
            return Err("the description of the repository is too long".to_owned());
        }
        let raw: RawInfo = serde_json::from_slice(json)
            .map_err(|error| shown(&error.to_string()))
            .map_err(|error| format!("the description of the repository is not understood ({error})"))?;
        if raw.siblings.len() > MAX_FILES {
            return Err("the repository has more files than any model".to_owned());
        }
        Ok(Self {
            commit: Commit::new(&raw.sha).ok_or("the description of the repository names no commit")?,
            licence: licence(&raw.card, &raw.tags),
            model_type: raw.config.get("model_type").and_then(Value::as_str).map(shown),
            files: raw.siblings.into_iter().map(RemoteFile::from).collect(),
        })
    }
}

impl From<RawFile> for RemoteFile {
    fn from(raw: RawFile) -> Self {
        // The blob of an LFS file is its pointer: its hash and, on old mirrors, its size say nothing about the file.
        let (size, digest) = match raw.lfs {
            Some(lfs) => (lfs.size.or(raw.size), lfs.sha256),
            None => (raw.size, raw.blob_id),
        };
        Self { path: raw.rfilename, size, digest: digest.as_deref().and_then(Digest::from_hex) }
    }
}

/// The licence by the card (`license_name` where `license` is only "other"), or by the hub's tag.
fn licence(card: &Value, tags: &Value) -> Option<String> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(many) => {
            let parts: Vec<_> = many.iter().filter_map(Value::as_str).take(8).collect();
            (!parts.is_empty()).then(|| parts.join(", "))
        }
        _ => None,
    };
    let stated = card.get("license").and_then(text);
    let stated = match stated.as_deref() {
        Some("other") => card.get("license_name").and_then(text).or(stated),
        _ => stated,
    };
    let tagged = || {
        tags.as_array()?
            .iter()
            .filter_map(Value::as_str)
            .find_map(|tag| tag.strip_prefix("license:"))
            .map(str::to_owned)
    };
    stated.or_else(tagged).map(|text| shown(&text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REPLY: &str = r#"{
        "id": "openai/whisper-tiny.en", "sha": "87c7102498dcde7456f24cfd30239ca606ed9063", "gated": false,
        "cardData": {"license": "apache-2.0"}, "config": {"model_type": "whisper"}, "tags": ["license:mit"],
        "siblings": [
            {"rfilename": "config.json", "size": 1940, "blobId": "a5f6d09ba0e8b0f3dd3ae6f4b3d6b1f0c7a1e0d2"},
            {"rfilename": "model.safetensors", "size": 151060136, "blobId": "b5f6d09ba0e8b0f3dd3ae6f4b3d6b1f0c7a1e0d2",
             "lfs": {"sha256": "db59695928ded6043adaef491a53ef4e12e9611184d77c53baa691a60b958dc5", "size": 151060136,
                     "pointerSize": 134}}
        ]}"#;

    #[test]
    fn large_files_have_their_sha256_and_small_ones_their_blob_hash() {
        let info = RepositoryInfo::parse(REPLY.as_bytes()).unwrap();
        assert_eq!(info.licence.as_deref(), Some("apache-2.0"));
        assert_eq!(info.model_type.as_deref(), Some("whisper"));
        assert!(matches!(info.files[0].digest, Some(Digest::GitBlob(_))));
        assert!(matches!(info.files[1].digest, Some(Digest::Sha256(_))));
        assert_eq!(info.files[1].size, Some(151_060_136));
    }

    #[test]
    fn a_sparse_answer_of_a_mirror_is_enough() {
        let sparse = format!(r#"{{"sha": "{}", "siblings": [{{"rfilename": "a"}}]}}"#, "0".repeat(40));
        let info = RepositoryInfo::parse(sparse.as_bytes()).unwrap();
        assert_eq!(info.files, [RemoteFile { path: "a".to_owned(), size: None, digest: None }]);
        assert_eq!(info.licence, None);
    }

    #[test]
    fn licences_come_in_several_forms() {
        let of = |card: &str, tags: &str| {
            licence(&serde_json::from_str(card).unwrap(), &serde_json::from_str(tags).unwrap())
        };
        assert_eq!(of(r#"{"license": ["mit", "cc-by-4.0"]}"#, "[]").as_deref(), Some("mit, cc-by-4.0"));
        assert_eq!(of(r#"{"license": "other", "license_name": "x-1"}"#, "[]").as_deref(), Some("x-1"));
        assert_eq!(of("null", r#"["asr", "license:mit"]"#).as_deref(), Some("mit"));
        assert_eq!(of(r#"{"license": 3}"#, "null"), None);
    }

    #[test]
    fn hostile_answers_are_errors() {
        let deep = format!(r#"{{"sha": "x", "siblings": [], "cardData": {}}}"#, "[".repeat(100_000));
        let negative = format!(r#"{{"sha": "{}", "siblings": [{{"rfilename": "a", "size": -1}}]}}"#, "0".repeat(40));
        let crowded = format!(
            r#"{{"sha": "{}", "siblings": [{}{{"rfilename": "a"}}]}}"#,
            "0".repeat(40),
            r#"{"rfilename":""},"#.repeat(50_000)
        );
        for text in ["", "<html>", "[]", r#"{"sha": "main", "siblings": []}"#, &deep, &negative, &crowded] {
            assert!(RepositoryInfo::parse(text.as_bytes()).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(
            at in 0usize..REPLY.len(),
            bytes in proptest::collection::vec(any::<u8>(), 0..8),
        ) {
            let mut text = REPLY.as_bytes()[..at].to_vec();
            text.extend_from_slice(&bytes);
            let _ = RepositoryInfo::parse(&text);
            text.extend_from_slice(&REPLY.as_bytes()[at..]);
            let _ = RepositoryInfo::parse(&text);
        }
    }
}
