//! `vocab.json`, `merges.txt` and `added_tokens.json`: the files of GPT-2's tokenizer, which older and fine-tuned
//! repositories have instead of a `tokenizer.json` (reference: huggingface/transformers, `WhisperTokenizer`).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::WhisperTokenizer;
use super::hugging_face::{MAX_ENTRIES, MAX_FILE};
use super::openai::{Layout, TIMESTAMPS, custom_kind};
use crate::bytepair::{self, Prefix, VocabularyBuilder, append_bytes, listed_merges, pair};
use crate::{TextError, source};

/// Tokens and their ids, in the order of the file.
type Vocab<'a> = bytepair::Vocab<'a, MAX_ENTRIES>;

/// The three files in memory.
#[derive(Debug, Clone, Copy)]
pub struct VocabMerges<'a> {
    /// `vocab.json`: an object of tokens and their ids.
    pub vocab: &'a [u8],
    /// `merges.txt`: one rule per line, in the order of their ranks.
    pub merges: &'a [u8],
    /// `added_tokens.json`: an object like `vocab` with the special tokens; if there is none, `vocab` has them.
    pub added: Option<&'a [u8]>,
}

impl WhisperTokenizer {
    /// Reads `vocab.json` and `merges.txt` of `folder` for a model with `n_vocab` tokens. Control tokens that
    /// `vocab.json` does not list are read from `added_tokens.json` or from `added_tokens_decoder` in
    /// `tokenizer_config.json`.
    ///
    /// # Errors
    /// As [`from_vocab_and_merges_bytes`](Self::from_vocab_and_merges_bytes), and [`TextError::Read`].
    pub fn from_vocab_and_merges(folder: &Path, n_vocab: usize) -> Result<Self, TextError> {
        let vocab = source::read(&folder.join("vocab.json"), MAX_FILE)?;
        let merges = source::read(&folder.join("merges.txt"), MAX_FILE)?;
        let optional = |name: &str| {
            let path = folder.join(name);
            path.is_file().then(|| source::read(&path, MAX_FILE)).transpose()
        };
        let (listed, settings) = (optional("added_tokens.json")?, optional("tokenizer_config.json")?);
        let name = folder.display().to_string();
        let added = match (&listed, &settings) {
            (Some(listed), _) => {
                Added { file: "added_tokens.json", tokens: entries(listed, &name, "added_tokens.json")? }
            }
            (None, Some(settings)) => {
                Added { file: "tokenizer_config.json", tokens: settings_entries(settings, &name)? }
            }
            (None, None) => Added::none(),
        };
        Self::from_parts(&vocab, &merges, &added, n_vocab, &name)
    }

    /// As [`from_vocab_and_merges`](Self::from_vocab_and_merges), from bytes in memory; `name` is the folder's name in
    /// errors.
    ///
    /// Tokens written like `<|this|>` are special. Old files omit the timestamps: those of a window of 30 s are added,
    /// see [`with_timestamps`](Self::with_timestamps). If no file lists control tokens and `n_vocab` is the size of one
    /// of OpenAI's vocabularies, they get OpenAI's numbers.
    ///
    /// # Errors
    /// As [`from_hugging_face`](Self::from_hugging_face), and [`TextError::Line`] for a merge rule that is not two
    /// tokens.
    pub fn from_vocab_and_merges_bytes(files: VocabMerges<'_>, n_vocab: usize, name: &str) -> Result<Self, TextError> {
        let added = match files.added {
            Some(added) => Added { file: "added_tokens.json", tokens: entries(added, name, "added_tokens.json")? },
            None => Added::none(),
        };
        Self::from_parts(files.vocab, files.merges, &added, n_vocab, name)
    }

    fn from_parts(
        vocab: &[u8],
        merges: &[u8],
        added: &Added<'_>,
        n_vocab: usize,
        name: &str,
    ) -> Result<Self, TextError> {
        let [vocab_name, merges_name, added_name] =
            ["vocab.json", "merges.txt", added.file].map(|file| format!("{name}/{file}"));
        let vocab = entries(vocab, name, "vocab.json")?;
        let rules = rules(merges, &merges_name)?;
        let merges = listed_merges(&merges_name, &vocab.0, rules.into_iter(), false)?;
        let mut builder = VocabularyBuilder::default();
        let mut bytes = Vec::new();
        for (token, id) in &vocab.0 {
            bytes.clear();
            append_bytes(token, &mut bytes);
            builder.insert(&vocab_name, *id, &bytes, custom_kind(token.as_bytes()))?;
        }
        for (token, id) in &added.tokens.0 {
            builder.insert(&added_name, *id, token.as_bytes(), custom_kind(token.as_bytes()))?;
        }
        if let Some(layout) = layout_without_controls(&vocab, &added.tokens, n_vocab) {
            layout.append_controls(name, &mut builder)?;
        }
        Ok(Self::assemble(name, builder.build(), merges, Prefix::Never)?.with_timestamps(n_vocab, TIMESTAMPS))
    }
}

/// Tokens that are not in `vocab.json`, and the file that lists them.
struct Added<'a> {
    file: &'static str,
    tokens: Vocab<'a>,
}

impl Added<'_> {
    fn none() -> Self {
        Self { file: "added_tokens.json", tokens: bytepair::Vocab(Vec::new()) }
    }
}

/// OpenAI's layout, if its text tokens are listed and its control tokens are not; `<|endoftext|>` may be listed.
fn layout_without_controls(vocab: &Vocab<'_>, added: &Vocab<'_>, n_vocab: usize) -> Option<Layout> {
    let layout = Layout::of(n_vocab)?;
    let all = || vocab.0.iter().chain(&added.0);
    let text_tokens = layout.text_tokens as u64;
    let highest = all().map(|(_, id)| *id).max()?;
    let end = all().find(|(token, _)| token == "<|endoftext|>").map_or(text_tokens, |(_, id)| *id);
    (end == text_tokens && (highest == text_tokens || highest + 1 == text_tokens)).then_some(layout)
}

fn entries<'a>(json: &'a [u8], folder: &str, file: &str) -> Result<Vocab<'a>, TextError> {
    parse(json, folder, file)
}

/// The added tokens in `tokenizer_config.json`, where newer versions write them instead of to a separate file.
fn settings_entries<'a>(json: &'a [u8], folder: &str) -> Result<Vocab<'a>, TextError> {
    #[derive(Deserialize)]
    struct Settings<'a> {
        #[serde(borrow, default)]
        added_tokens_decoder: BTreeMap<u64, Listed<'a>>,
    }
    #[derive(Deserialize)]
    struct Listed<'a> {
        #[serde(borrow)]
        content: Cow<'a, str>,
    }
    // 280 KB with all of Whisper's tokens. In memory an entry takes more than in the file.
    const LIMIT: u64 = 2 << 20;
    if json.len() as u64 > LIMIT {
        let file = format!("{folder}/tokenizer_config.json");
        return Err(TextError::TooLarge { file, bytes: json.len() as u64, limit: LIMIT });
    }
    let settings: Settings<'a> = parse(json, folder, "tokenizer_config.json")?;
    Ok(bytepair::Vocab(settings.added_tokens_decoder.into_iter().map(|(id, token)| (token.content, id)).collect()))
}

fn parse<'a, T: Deserialize<'a>>(json: &'a [u8], folder: &str, file: &str) -> Result<T, TextError> {
    let name = format!("{folder}/{file}");
    source::check_size(&name, json.len() as u64, MAX_FILE)?;
    serde_json::from_slice(json).map_err(|error| TextError::Json { file: name, problem: error.to_string() })
}

/// Pairs of tokens, line by line. The first line may be a comment with a version.
fn rules<'a>(text: &'a [u8], name: &str) -> Result<Vec<(&'a str, &'a str)>, TextError> {
    source::check_size(name, text.len() as u64, MAX_FILE)?;
    let mut rules = Vec::new();
    for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() || (index == 0 && line.starts_with(b"#version")) {
            continue;
        }
        let broken = |cause| TextError::Line { file: name.to_owned(), line: index + 1, cause };
        let line = std::str::from_utf8(line).map_err(|_| broken("a merge rule that is not UTF-8"))?;
        if rules.len() == MAX_ENTRIES {
            return Err(broken("more merge rules than any vocabulary has"));
        }
        rules.push(pair(line).ok_or_else(|| broken("a merge rule that is not exactly two tokens"))?);
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tokenizer;

    const VOCAB: &str = r#"{"a":0,"b":1,"ab":2,"Ġ":3,"<|endoftext|>":4}"#;
    const ADDED: &str = r#"{"<|startoftranscript|>":5,"<|notimestamps|>":6}"#;

    fn open(vocab: &str, merges: &[u8], added: Option<&str>, n_vocab: usize) -> Result<WhisperTokenizer, TextError> {
        let files = VocabMerges { vocab: vocab.as_bytes(), merges, added: added.map(str::as_bytes) };
        WhisperTokenizer::from_vocab_and_merges_bytes(files, n_vocab, "model")
    }

    #[test]
    fn three_files_make_a_tokenizer() {
        for merges in [&b"#version: 0.2\na b\n"[..], b"a b", b"#version: 0.2\r\na b\r\n"] {
            let tokenizer = open(VOCAB, merges, Some(ADDED), 7).unwrap();
            assert_eq!(tokenizer.encode("abb a"), [2, 1, 3, 0]);
            assert_eq!((tokenizer.special().eot, tokenizer.special().sot), (4, 5));
            assert_eq!(tokenizer.decode(&[2, 3, 0]), "ab a");
        }
    }

    #[test]
    fn timestamps_that_are_not_listed_follow_the_control_tokens() {
        let tokenizer = open(VOCAB, b"a b", Some(ADDED), 7 + TIMESTAMPS).unwrap();
        assert_eq!(tokenizer.special().timestamp_begin, Some(7));
        assert_eq!(tokenizer.timestamp_steps(7 + 1500), Some(1500));
        // A network may have more logits than tokens, but not fewer.
        let begin = |n_vocab| open(VOCAB, b"a b", Some(ADDED), n_vocab).unwrap().special().timestamp_begin;
        assert_eq!((begin(1600), begin(7 + TIMESTAMPS - 1), begin(7)), (Some(7), None, None));
    }

    #[test]
    fn broken_files_are_refused_by_line_and_cause() {
        for (merges, line) in [(&b"a"[..], 1), (b"a b\na  b", 2), (b"a b\n\xff b", 2), (b"#version\na b\nb", 3)] {
            let error = open(VOCAB, merges, Some(ADDED), 7).unwrap_err();
            assert!(matches!(error, TextError::Line { line: found, .. } if found == line), "{error}");
        }
        assert!(matches!(open(VOCAB, b"a z", Some(ADDED), 7), Err(TextError::Merge { .. })));
        assert!(matches!(open("{", b"a b", Some(ADDED), 7), Err(TextError::Json { .. })));
        assert!(matches!(open(VOCAB, b"a b", Some("[]"), 7), Err(TextError::Json { .. })));
        assert!(matches!(open(VOCAB, b"a b", None, 7), Err(TextError::MissingSpecial { .. })));
        assert!(matches!(open(VOCAB, b"", Some(r#"{"x":4}"#), 7), Err(TextError::DuplicateId { .. })));
    }
}
