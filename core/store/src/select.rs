//! Which files of a repository make a Whisper model: those are fetched, everything else stays where it is.

use crate::api::{RemoteFile, RepositoryInfo};
use crate::error::{StoreError, shown};
use crate::name::{ModelName, check_component, last_component};

/// Small files that are taken when the repository has them.
const OPTIONAL: [&str; 6] =
    ["generation_config.json", "preprocessor_config.json", "LICENSE", "LICENSE.md", "LICENSE.txt", "README.md"];
/// The tokenizer of repositories without `tokenizer.json`; the first two are both needed.
const VOCABULARY: [&str; 5] =
    ["vocab.json", "merges.txt", "added_tokens.json", "special_tokens_map.json", "tokenizer_config.json"];
/// Weights in formats that run code when loaded.
const PICKLES: [&str; 4] = ["pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt", "model.ckpt"];

/// Files to fetch for `name`, each with its path in the repository; their last components are unique and safe.
///
/// # Errors
/// [`StoreError::UnsafeFileName`] for any name that leaves its folder, also of a file that is not needed: such a
/// repository is hostile. [`StoreError::FileNotFound`], [`StoreError::MissingFile`], [`StoreError::PickleOnly`] and
/// [`StoreError::NotWhisper`] when the repository does not hold what the name promises.
pub(crate) fn select<'a>(name: &ModelName, info: &'a RepositoryInfo) -> Result<Vec<&'a RemoteFile>, StoreError> {
    let repository = name.repository();
    if let Some(file) = info.files.iter().find(|file| leaves_its_folder(&file.path)) {
        return Err(StoreError::UnsafeFileName { repository, file: shown(&file.path) });
    }
    name.check_file()?;
    match name.file() {
        Some(path) => single_file(repository, path, info),
        None => whole_repository(repository, info),
    }
}

fn single_file<'a>(
    repository: String,
    path: &str,
    info: &'a RepositoryInfo,
) -> Result<Vec<&'a RemoteFile>, StoreError> {
    if PICKLES.contains(&last_component(path)) {
        return Err(StoreError::PickleOnly { repository, file: path.to_owned() });
    }
    match find(info, path) {
        Some(file) => Ok(vec![file]),
        None => Err(StoreError::FileNotFound { repository, file: path.to_owned(), alternatives: ggml_names(info) }),
    }
}

fn whole_repository(repository: String, info: &RepositoryInfo) -> Result<Vec<&RemoteFile>, StoreError> {
    if let Some(found) = info.model_type.as_deref().filter(|&found| found != "whisper") {
        return Err(StoreError::NotWhisper { repository, reason: format!("its model type is `{found}`") });
    }
    let missing =
        |file| StoreError::MissingFile { repository: repository.clone(), file, alternatives: ggml_names(info) };
    let mut files = vec![find(info, "config.json").ok_or_else(|| missing("config.json"))?];
    match weights(info) {
        Some(weights) => files.extend(weights),
        None => {
            let pickle = PICKLES.iter().find(|&&pickle| find(info, pickle).is_some());
            return Err(match pickle {
                Some(&pickle) => StoreError::PickleOnly { repository, file: pickle.to_owned() },
                None => missing("model.safetensors"),
            });
        }
    }
    files.extend(tokenizer(info).ok_or_else(|| missing("tokenizer.json"))?);
    files.extend(OPTIONAL.iter().filter_map(|file| find(info, file)));
    Ok(files)
}

/// The weights in one file, or an index with all of its shards. Variants such as `model.fp32-…` do not count.
fn weights(info: &RepositoryInfo) -> Option<Vec<&RemoteFile>> {
    if let Some(single) = find(info, "model.safetensors") {
        return Some(vec![single]);
    }
    let index = find(info, "model.safetensors.index.json")?;
    let total = info.files.iter().find_map(|file| shard(&file.path))?.1;
    let mut files = vec![index];
    for number in 1..=total {
        files.push(info.files.iter().find(|file| shard(&file.path) == Some((number, total)))?);
    }
    Some(files)
}

/// Number and count of `model-00002-of-00003.safetensors`.
fn shard(path: &str) -> Option<(u32, u32)> {
    let (number, total) = path.strip_prefix("model-")?.strip_suffix(".safetensors")?.split_once("-of-")?;
    let digits = |text: &str| {
        (text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse::<u32>().ok()).flatten()
    };
    let (number, total) = (digits(number)?, digits(total)?);
    (1..=total).contains(&number).then_some((number, total))
}

fn tokenizer(info: &RepositoryInfo) -> Option<Vec<&RemoteFile>> {
    if let Some(single) = find(info, "tokenizer.json") {
        return Some(vec![single]);
    }
    find(info, VOCABULARY[0]).and(find(info, VOCABULARY[1]))?;
    Some(VOCABULARY.iter().filter_map(|file| find(info, file)).collect())
}

fn find<'a>(info: &'a RepositoryInfo, path: &str) -> Option<&'a RemoteFile> {
    info.files.iter().find(|file| file.path == path)
}

/// Up to eight ggml files of the repository, for messages.
fn ggml_names(info: &RepositoryInfo) -> Vec<String> {
    let is_ggml = |path: &&str| path.ends_with(".bin") && last_component(path).starts_with("ggml");
    let safe = |path: &&str| path.split('/').all(|part| check_component(part).is_ok());
    info.files.iter().map(|file| file.path.as_str()).filter(is_ggml).filter(safe).take(8).map(str::to_owned).collect()
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
    use crate::name::Commit;

    fn repository(files: &[&str]) -> RepositoryInfo {
        let file = |path: &&str| RemoteFile { path: (*path).to_owned(), size: Some(1), digest: None };
        RepositoryInfo {
            commit: Commit::new(&"0".repeat(40)).unwrap(),
            licence: None,
            model_type: Some("whisper".to_owned()),
            files: files.iter().map(file).collect(),
        }
    }

    fn chosen(files: &[&str]) -> Result<Vec<String>, StoreError> {
        let info = repository(files);
        let name: ModelName = "o/r".parse().unwrap();
        Ok(select(&name, &info)?.into_iter().map(|file| file.path.clone()).collect())
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
        assert_eq!(shard("model-00001-of-99999.safetensors"), Some((1, 99_999)));
        for odd in ["model-00000-of-00002.safetensors", "model-1-of-2.safetensors", "model-+0001-of-00002.safetensors"]
        {
            assert_eq!(shard(odd), None, "{odd}");
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
        let refused = chosen(&["README.md", "ggml-tiny.en.bin", "ggml-base.bin"]).unwrap_err();
        assert!(refused.to_string().contains("ggml-tiny.en.bin, ggml-base.bin"), "{refused}");
        let info = repository(&["ggml-tiny.en.bin"]);
        let absent: ModelName = "o/r/ggml-huge.bin".parse().unwrap();
        assert!(select(&absent, &info).unwrap_err().to_string().contains("it has ggml-tiny.en.bin"));
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
    fn another_kind_of_model_is_named() {
        let mut info = repository(&["config.json", "model.safetensors", "tokenizer.json"]);
        info.model_type = Some("bert".to_owned());
        let name: ModelName = "o/r".parse().unwrap();
        assert!(matches!(select(&name, &info), Err(StoreError::NotWhisper { .. })));
    }
}
