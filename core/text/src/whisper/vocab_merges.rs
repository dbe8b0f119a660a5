//! `vocab.json`, `merges.txt` and `added_tokens.json`: the vocabulary as GPT-2's tokenizer kept it, which older and
//! fine-tuned repositories have in place of a `tokenizer.json` (reference: huggingface/transformers, `WhisperTokenizer`).

use std::path::Path;

use super::WhisperTokenizer;
use super::byte_alphabet::append_bytes;
use super::hugging_face::{MAX_ENTRIES, Vocab, listed_merges, pair};
use super::openai::{TIMESTAMPS, custom_kind};
use super::source;
use super::special::timestamp_token;
use super::vocabulary::{Kind, VocabularyBuilder};
use crate::TextError;

/// The three files in memory.
#[derive(Debug, Clone, Copy)]
pub struct VocabMerges<'a> {
    /// `vocab.json`: an object of tokens and their ids.
    pub vocab: &'a [u8],
    /// `merges.txt`: one rule per line, in the order of their ranks.
    pub merges: &'a [u8],
    /// `added_tokens.json`: an object like `vocab`, of the special tokens; where there is none, `vocab` has them.
    pub added: Option<&'a [u8]>,
}

impl WhisperTokenizer {
    /// Reads `vocab.json`, `merges.txt` and, where there is one, `added_tokens.json` of `folder` for a model with `n_vocab`
    /// tokens.
    ///
    /// # Errors
    /// As [`from_vocab_and_merges_bytes`](Self::from_vocab_and_merges_bytes), and [`TextError::Read`].
    pub fn from_vocab_and_merges(folder: &Path, n_vocab: usize) -> Result<Self, TextError> {
        let vocab = source::read(&folder.join("vocab.json"))?;
        let merges = source::read(&folder.join("merges.txt"))?;
        let added = folder.join("added_tokens.json");
        let added = added.is_file().then(|| source::read(&added)).transpose()?;
        let files = VocabMerges { vocab: &vocab, merges: &merges, added: added.as_deref() };
        Self::from_vocab_and_merges_bytes(files, n_vocab, &folder.display().to_string())
    }

    /// As [`from_vocab_and_merges`](Self::from_vocab_and_merges), from bytes in memory; `name` stands for their folder in
    /// errors.
    ///
    /// What is written like `<|this|>` is a special token. Old files leave the timestamps out: the last 1501 ids below
    /// `n_vocab` are theirs where no token has any of these ids.
    ///
    /// # Errors
    /// As [`from_hugging_face`](Self::from_hugging_face), and [`TextError::Line`] for a merge rule that is not two tokens.
    pub fn from_vocab_and_merges_bytes(files: VocabMerges<'_>, n_vocab: usize, name: &str) -> Result<Self, TextError> {
        let [vocab_name, merges_name, added_name] =
            ["vocab.json", "merges.txt", "added_tokens.json"].map(|file| format!("{name}/{file}"));
        let vocab = entries(files.vocab, &vocab_name)?;
        let added = files.added.map(|added| entries(added, &added_name)).transpose()?.unwrap_or(Vocab(Vec::new()));
        let rules = rules(files.merges, &merges_name)?;
        let merges = listed_merges(&merges_name, &vocab, rules.into_iter(), false)?;
        let mut builder = VocabularyBuilder::default();
        let (mut bytes, mut last) = (Vec::new(), 0);
        for (token, id) in &vocab.0 {
            bytes.clear();
            append_bytes(token, &mut bytes);
            builder.insert(&vocab_name, *id, &bytes, custom_kind(token.as_bytes()))?;
            last = last.max(*id);
        }
        for (token, id) in &added.0 {
            builder.insert(&added_name, *id, token.as_bytes(), custom_kind(token.as_bytes()))?;
            last = last.max(*id);
        }
        if last + 1 + TIMESTAMPS as u64 == n_vocab as u64 {
            for step in 0..TIMESTAMPS {
                let token = timestamp_token(step);
                builder.insert(name, last + 1 + step as u64, token.as_bytes(), Kind::Timestamp)?;
            }
        }
        Self::assemble(name, builder.build(), merges, false)
    }
}

fn entries<'a>(json: &'a [u8], name: &str) -> Result<Vocab<'a>, TextError> {
    source::check_size(name, json.len() as u64)?;
    serde_json::from_slice(json).map_err(|source| TextError::Json { file: name.to_owned(), source })
}

/// Pairs of tokens, line by line. The first line may be a comment with a version.
fn rules<'a>(text: &'a [u8], name: &str) -> Result<Vec<(&'a str, &'a str)>, TextError> {
    source::check_size(name, text.len() as u64)?;
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
    fn timestamps_that_are_not_listed_are_the_last_ids() {
        let tokenizer = open(VOCAB, b"a b", Some(ADDED), 7 + TIMESTAMPS).unwrap();
        assert_eq!(tokenizer.special().timestamp_begin, Some(7));
        assert_eq!(tokenizer.timestamp_steps(7 + 1500), Some(1500));
        assert_eq!(open(VOCAB, b"a b", Some(ADDED), 1600).unwrap().special().timestamp_begin, None);
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
