//! Which files of a repository or a folder make a model: those are taken, everything else stays where it is.

use super::table::PICKLES;
use super::{CONFIG, Files, Kind, Kinds, Part, Sign, check};
use crate::api::RemoteFile;
use crate::error::{StoreError, shown};
use crate::name::{check_component, last_component};

/// # Errors
/// [`StoreError::UnsafeFileName`] for any name that leaves its folder, also of a file that is not needed: such a
/// repository is hostile.
pub(crate) fn refuse_unsafe_names(repository: &str, files: &[RemoteFile]) -> Result<(), StoreError> {
    match files.iter().find(|file| leaves_its_folder(&file.path)) {
        Some(file) => Err(StoreError::UnsafeFileName { repository: repository.to_owned(), file: shown(&file.path) }),
        None => Ok(()),
    }
}

impl Kinds {
    /// The file at `path`, which is a model by itself, and its kind.
    ///
    /// # Errors
    /// [`StoreError::UnknownKind`], [`StoreError::PickleOnly`], [`StoreError::FileNotFound`].
    pub(crate) fn single_file<'a>(
        self,
        repository: &str,
        path: &str,
        files: &'a [RemoteFile],
    ) -> Result<(&'static Kind, &'a RemoteFile), StoreError> {
        let kind = self.of_file(path).ok_or_else(|| self.unknown_file(repository, path))?;
        if PICKLES.contains(&last_component(path)) {
            return Err(StoreError::PickleOnly { repository: repository.to_owned(), file: path.to_owned() });
        }
        let missing = || StoreError::FileNotFound {
            repository: repository.to_owned(),
            file: path.to_owned(),
            alternatives: self.alternatives(files),
        };
        Ok((kind, find(files, path).ok_or_else(missing)?))
    }

    /// The kind of a folder whose configuration names this model type.
    ///
    /// # Errors
    /// [`StoreError::UnknownKind`].
    pub(crate) fn folder(
        self,
        repository: &str,
        model_type: Option<&str>,
        files: &[RemoteFile],
    ) -> Result<&'static Kind, StoreError> {
        if let Some(kind) = model_type.and_then(|found| self.of_type(found)) {
            return Ok(kind);
        }
        let found = match model_type {
            None if find(files, CONFIG).is_none() => format!("it has no {CONFIG}"),
            found => check::other_type(found),
        };
        Err(self.unknown(repository, found, self.alternatives(files)))
    }

    /// Up to eight files that are models by themselves, for messages.
    fn alternatives(self, files: &[RemoteFile]) -> Vec<String> {
        let usual = |path: &str| match self.of_file(path).map(|kind| &kind.sign) {
            Some(Sign::File { usual, .. }) => last_component(path).starts_with(usual),
            _ => false,
        };
        let safe = |path: &str| path.split('/').all(|part| check_component(part).is_ok());
        let paths = files.iter().map(|file| file.path.as_str());
        paths.filter(|path| usual(path) && safe(path)).take(8).map(str::to_owned).collect()
    }
}

impl Kind {
    /// What of `files` a folder of this kind consists of, each once.
    ///
    /// # Errors
    /// [`StoreError::MissingFile`] and [`StoreError::PickleOnly`] where a part is not there.
    pub(crate) fn select<'a>(
        &self,
        kinds: Kinds,
        repository: &str,
        files: &'a [RemoteFile],
    ) -> Result<Vec<&'a RemoteFile>, StoreError> {
        let mut selected = Vec::new();
        for part in self.parts {
            let Some(found) = part.any_of.iter().find_map(|form| form.of(files)) else {
                return Err(self.lacks(part, kinds, repository, files));
            };
            selected.extend(found);
        }
        selected.extend(self.optional.iter().filter_map(|file| find(files, file)));
        Ok(selected)
    }

    fn lacks(&self, part: &Part, kinds: Kinds, repository: &str, files: &[RemoteFile]) -> StoreError {
        let repository = repository.to_owned();
        if let Some(&pickle) = part.pickles.iter().find(|&&pickle| find(files, pickle).is_some()) {
            return StoreError::PickleOnly { repository, file: pickle.to_owned() };
        }
        let file = part.any_of.first().map_or("", Files::name);
        StoreError::MissingFile { repository, file, kind: self.name, alternatives: kinds.alternatives(files) }
    }
}

impl Files {
    /// All of them, where they are there.
    fn of<'a>(&self, files: &'a [RemoteFile]) -> Option<Vec<&'a RemoteFile>> {
        match *self {
            Self::One(name) => Some(vec![find(files, name)?]),
            Self::Several { needed, also } => {
                let mut found: Vec<_> = needed.iter().map(|name| find(files, name)).collect::<Option<_>>()?;
                found.extend(also.iter().filter_map(|name| find(files, name)));
                Some(found)
            }
            Self::Shards { index, before, after } => {
                let mut found = vec![find(files, index)?];
                let of = |file: &RemoteFile| shard(&file.path, before, after);
                let total = files.iter().find_map(of)?.1;
                for number in 1..=total {
                    found.push(files.iter().find(|file| of(file) == Some((number, total)))?);
                }
                Some(found)
            }
        }
    }

    /// What a message calls them.
    fn name(&self) -> &'static str {
        match *self {
            Self::One(name) | Self::Shards { index: name, .. } => name,
            Self::Several { needed, .. } => needed.first().copied().unwrap_or_default(),
        }
    }
}

/// Number and count of `model-00002-of-00003.safetensors`.
fn shard(path: &str, before: &str, after: &str) -> Option<(u32, u32)> {
    let (number, total) = path.strip_prefix(before)?.strip_suffix(after)?.split_once("-of-")?;
    let digits = |text: &str| {
        (text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse::<u32>().ok()).flatten()
    };
    let (number, total) = (digits(number)?, digits(total)?);
    (1..=total).contains(&number).then_some((number, total))
}

fn find<'a>(files: &'a [RemoteFile], path: &str) -> Option<&'a RemoteFile> {
    files.iter().find(|file| file.path == path)
}

/// Whether a path of a repository would, as it stands, name something outside the folder it is joined to.
fn leaves_its_folder(path: &str) -> bool {
    path.is_empty()
        || path.len() > 4096
        || path.starts_with('/')
        || path.contains(['\\', '\0'])
        || path.as_bytes().get(1) == Some(&b':')
        || path.split('/').any(|part| part == ".." || part == ".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::KNOWN;
    use crate::kind::tests::WITH_MARIAN;

    fn listing(files: &[&str]) -> Vec<RemoteFile> {
        files.iter().map(|&path| RemoteFile { path: path.to_owned(), size: Some(1), digest: None }).collect()
    }

    fn chosen_by(kinds: Kinds, model_type: Option<&str>, files: &[&str]) -> Result<Vec<String>, StoreError> {
        let files = listing(files);
        refuse_unsafe_names("o/r", &files)?;
        let kind = kinds.folder("o/r", model_type, &files)?;
        Ok(kind.select(kinds, "o/r", &files)?.into_iter().map(|file| file.path.clone()).collect())
    }

    fn chosen(files: &[&str]) -> Result<Vec<String>, StoreError> {
        chosen_by(KNOWN, Some("whisper"), files)
    }

    #[test]
    fn only_what_whisper_needs_is_taken() {
        // Listing of openai/whisper-large-v3 and its like: other frameworks, precisions and exports stay behind.
        let files = [
            ".gitattributes",
            "README.md",
            "added_tokens.json",
            "config.json",
            "flax_model.msgpack",
            "generation_config.json",
            "merges.txt",
            "model.fp32-00001-of-00002.safetensors",
            "model.fp32-00002-of-00002.safetensors",
            "model.safetensors",
            "model.safetensors.index.fp32.json",
            "normalizer.json",
            "onnx/model.onnx",
            "preprocessor_config.json",
            "pytorch_model.bin",
            "tf_model.h5",
            "tokenizer.json",
            "vocab.json",
        ];
        let expected = [
            "config.json",
            "model.safetensors",
            "tokenizer.json",
            "generation_config.json",
            "preprocessor_config.json",
            "README.md",
        ];
        assert_eq!(chosen(&files).unwrap(), expected);
    }

    #[test]
    fn sharded_weights_come_with_their_index_and_only_complete() {
        let sharded = [
            "config.json",
            "tokenizer.json",
            "model.safetensors.index.json",
            "model-00002-of-00002.safetensors",
            "model-00001-of-00002.safetensors",
        ];
        assert_eq!(
            chosen(&sharded).unwrap()[1..4],
            ["model.safetensors.index.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
        );
        assert!(matches!(chosen(&sharded[..4]), Err(StoreError::MissingFile { file: "model.safetensors", .. })));
        assert_eq!(shard("model-00001-of-99999.safetensors", "model-", ".safetensors"), Some((1, 99_999)));
        for odd in ["model-00000-of-00002.safetensors", "model-1-of-2.safetensors", "model-+0001-of-00002.safetensors"]
        {
            assert_eq!(shard(odd, "model-", ".safetensors"), None, "{odd}");
        }
    }

    #[test]
    fn a_vocabulary_with_merges_stands_in_for_a_tokenizer_file() {
        let files = ["config.json", "model.safetensors", "vocab.json", "merges.txt", "added_tokens.json"];
        assert_eq!(chosen(&files).unwrap()[2..], ["vocab.json", "merges.txt", "added_tokens.json"]);
        assert!(matches!(chosen(&files[..3]), Err(StoreError::MissingFile { file: "tokenizer.json", .. })));
    }

    #[test]
    fn pickles_are_refused_with_a_way_out() {
        let refused = chosen(&["config.json", "pytorch_model.bin", "tokenizer.json"]).unwrap_err();
        assert!(matches!(refused, StoreError::PickleOnly { .. }));
        assert!(refused.to_string().contains("refs/pr"));
    }

    #[test]
    fn a_folder_of_ggml_files_lists_what_can_be_pulled() {
        let files = ["README.md", "ggml-tiny.en.bin", "ggml-base.bin", "training_args.bin"];
        let refused = chosen_by(KNOWN, None, &files).unwrap_err();
        assert!(refused.to_string().contains("it has ggml-tiny.en.bin, ggml-base.bin"), "{refused}");
        assert!(!refused.to_string().contains("training_args"), "{refused}");
        let absent = KNOWN.single_file("o/r", "ggml-huge.bin", &listing(&files)).unwrap_err();
        assert!(absent.to_string().contains("it has ggml-tiny.en.bin"), "{absent}");
    }

    #[test]
    fn one_unsafe_name_condemns_the_repository() {
        let sound = ["config.json", "model.safetensors", "tokenizer.json"];
        assert!(chosen(&sound).is_ok());
        for name in ["../x", "/etc/passwd", "a/../../x", "C:\\x", "c:x", "a\\b", "", "x\0"] {
            let mut files = sound.to_vec();
            files.push(name);
            assert!(matches!(chosen(&files), Err(StoreError::UnsafeFileName { .. })), "{name:?}");
        }
    }

    #[test]
    fn an_unknown_kind_names_what_was_found_and_what_is_known() {
        let files = ["config.json", "model.safetensors", "tokenizer.json"];
        let refused = chosen_by(KNOWN, Some("bert"), &files).unwrap_err();
        assert!(matches!(&refused, StoreError::UnknownKind { known, .. } if known.len() == KNOWN.0.len()));
        let text = refused.to_string();
        assert!(text.contains("`bert`") && text.contains("Whisper") && text.contains(".sotto"), "{text}");
        let hostile = format!("\x1b[2J{}", "x".repeat(5000));
        let text = chosen_by(KNOWN, Some(&hostile), &files).unwrap_err().to_string();
        assert!(!text.contains('\x1b') && text.len() < 600, "{text}");
        let text = KNOWN.single_file("o/r", "a.txt", &listing(&["a.txt"])).unwrap_err().to_string();
        assert!(text.contains("a.txt") && text.contains(".gguf"), "{text}");
    }

    #[test]
    fn a_further_entry_is_all_that_a_further_kind_needs() {
        let files = ["config.json", "model.safetensors", "source.spm", "target.spm", "vocab.json", "tf_model.h5"];
        assert_eq!(chosen_by(WITH_MARIAN, Some("marian"), &files).unwrap(), files[..5]);
        assert!(matches!(
            chosen_by(WITH_MARIAN, Some("marian"), &files[..3]),
            Err(StoreError::MissingFile { file: "source.spm", .. })
        ));
        assert_eq!(
            chosen_by(WITH_MARIAN, Some("whisper"), &["config.json", "model.safetensors", "tokenizer.json"])
                .unwrap()
                .len(),
            3
        );
    }
}
