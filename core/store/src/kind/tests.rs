//! One entry more in the table, and nothing else: such a model is imported, pulled and checked.

use std::path::Path;

use sotto_runtime::{CancelToken, NoProgress};

use super::*;
use crate::import::ImportRequest;
use crate::origin::LocalFolder;
use crate::pull::PullRequest;
use crate::store::Store;
use crate::transport::Relay;

/// A table as it will be when a task for translation comes.
pub(crate) const WITH_MARIAN: Kinds = Kinds(&[MARIAN, KNOWN.0[0]]);
const MARIAN: Kind = Kind {
    name: "Marian (a folder with config.json and safetensors)",
    sign: Sign::ModelType(&["marian"]),
    parts: &[
        Part { any_of: &[Files::One(CONFIG)], pickles: &[] },
        Part { any_of: &[Files::One("model.safetensors")], pickles: &["pytorch_model.bin"] },
        Part {
            any_of: &[Files::Several { needed: &["source.spm", "target.spm", "vocab.json"], also: &[] }],
            pickles: &[],
        },
    ],
    optional: &["README.md"],
};

fn marian(folder: &Path) {
    std::fs::create_dir(folder).unwrap();
    for name in ["model.safetensors", "source.spm", "target.spm", "vocab.json", "tf_model.h5"] {
        std::fs::write(folder.join(name), name).unwrap();
    }
    std::fs::write(folder.join(CONFIG), r#"{"model_type": "marian"}"#).unwrap();
}

fn pull(store: &Store, folder: &Path) -> Result<std::path::PathBuf, StoreError> {
    let request = PullRequest::new("helsinki/opus-mt", LocalFolder::new(folder)).unwrap();
    store.pull(&request, &Relay::new(), &NoProgress, &CancelToken::new())
}

#[test]
fn a_kind_with_an_entry_is_imported_pulled_and_checked() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("marian");
    marian(&source);
    let store = |name: &str, kinds| Store { root: dir.path().join(name), kinds };
    let request = ImportRequest::new("helsinki/opus-mt").unwrap();
    let import = |store: &Store| store.import(&request, &source, &NoProgress, &CancelToken::new());

    // Without an entry an import takes everything, and a pull names both sides.
    let without = import(&store("without", KNOWN)).unwrap();
    assert!(without.left_out.is_empty());
    let unknown = pull(&store("refusing", KNOWN), &without.installed.path).unwrap_err();
    assert!(matches!(&unknown, StoreError::UnknownKind { found, .. } if found.contains("marian")), "{unknown:?}");

    let imported = import(&store("with", WITH_MARIAN)).unwrap();
    assert_eq!(imported.left_out, ["tf_model.h5"]);
    let pulled = pull(&store("pulling", WITH_MARIAN), &imported.installed.path).unwrap();
    assert!(pulled.join("target.spm").is_file() && !pulled.join("tf_model.h5").exists());
    std::fs::remove_file(source.join("target.spm")).unwrap();
    let lacking = import(&store("with", WITH_MARIAN)).unwrap_err();
    assert!(matches!(&lacking, StoreError::MissingFile { kind, .. } if kind.starts_with("Marian")), "{lacking:?}");
}

#[test]
fn contents_are_checked_whatever_the_name_promises() {
    let dir = tempfile::tempdir().unwrap();
    let check = |kinds: Kinds, kind: &Kind, name: &str, contents: &[u8]| {
        std::fs::write(dir.path().join(name), contents).unwrap();
        kind.check(kinds, "o/r", dir.path(), name)
    };
    let whisper = KNOWN.of_type("whisper").unwrap();
    assert!(check(KNOWN, whisper, CONFIG, br#"{"model_type": "whisper"}"#).is_ok());
    for text in [&br#"{"model_type": "marian"}"#[..], b"{}", b"", b"\xff"] {
        assert!(matches!(check(KNOWN, whisper, CONFIG, text), Err(StoreError::UnknownKind { .. })));
    }
    assert!(check(KNOWN, whisper, "model.safetensors", b"").is_ok());
    for (name, sound) in [("a.bin", &b"lmgg1"[..]), ("a.gguf", b"GGUF1"), ("a.sotto", b"01234567{\"__metadata__\":{}}")]
    {
        let kind = KNOWN.of_file(name).unwrap();
        assert!(check(KNOWN, kind, name, sound).is_ok(), "{name}");
        for other in [&b""[..], b"PK", b"<html>", &sound[..3]] {
            assert!(matches!(check(KNOWN, kind, name, other), Err(StoreError::UnknownKind { .. })), "{name}");
        }
    }
}
