//! Vocabularies with OpenAI's numbering: tiktoken's rank files, and the token lists in whisper.cpp's `ggml` files.
//!
//! Both list text tokens only; special tokens follow them in a fixed order that depends on the number of languages
//! (reference: openai/whisper `tokenizer.py`, `get_encoding`). The rank of a merge is the id of the token it makes.

use super::WhisperTokenizer;
use super::hugging_face::MAX_FILE;
use super::languages::LANGUAGES;
use super::special::{timestamp_steps, timestamp_token};
use crate::bytepair::{Kind, Merges, Prefix, TOKEN_ORDER, Vocabulary, VocabularyBuilder};
use crate::{TextError, source};
use base64::Engine;
use std::path::Path;

const END_OF_TEXT: &[u8] = b"<|endoftext|>";
// 0.00 s to 30.00 s in steps of 0.02 s.
pub(super) const TIMESTAMPS: usize = 1501;
// Text tokens of the multilingual vocabulary: no rank file is longer.
const LARGEST: usize = 50_257;
// <|endoftext|>, <|startoftranscript|>, and the six between the languages and the timestamps.
const CONTROLS: usize = 8;
const AFTER_LANGUAGES: [&str; 6] =
    ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"];

/// The number of text tokens and languages of a vocabulary.
pub(super) struct Layout {
    pub(super) text_tokens: usize,
    languages: usize,
}

impl Layout {
    pub(super) fn of(n_vocab: usize) -> Option<Self> {
        let (text_tokens, languages) = match n_vocab {
            51_864 => (50_256, 99),
            51_865 => (50_257, 99),
            51_866 => (50_257, 100),
            _ => return None,
        };
        debug_assert_eq!(text_tokens + CONTROLS + languages + TIMESTAMPS, n_vocab);
        Some(Self { text_tokens, languages })
    }

    /// Appends the special tokens in OpenAI's order.
    pub(super) fn append_controls(&self, file: &str, builder: &mut VocabularyBuilder) -> Result<(), TextError> {
        let first = self.text_tokens as u64;
        let languages = LANGUAGES[..self.languages].iter().map(|language| format!("<|{}|>", language.code));
        let names = ["<|endoftext|>", "<|startoftranscript|>"].into_iter().map(str::to_owned);
        let names = names.chain(languages).chain(AFTER_LANGUAGES.into_iter().map(str::to_owned));
        let timestamps = (0..TIMESTAMPS).map(timestamp_token);
        let names = names.map(|name| (name, Kind::Special)).chain(timestamps.map(|name| (name, Kind::Series)));
        for (id, (name, kind)) in (first..).zip(names) {
            builder.insert(file, id, name.as_bytes(), kind)?;
        }
        Ok(())
    }
}

impl WhisperTokenizer {
    /// The vocabulary of a whisper.cpp `ggml` file: `tokens` in id order as listed there, `n_vocab` from its header;
    /// `name` is the file's name in errors.
    ///
    /// For OpenAI's sizes (51,864 English-only, 51,865 multilingual, 51,866 with Cantonese) special tokens get OpenAI's
    /// numbers; a custom vocabulary must list all its tokens, special ones by name. Some old files contain U+FFFD in
    /// place of invalid UTF-8. The 256 single-byte tokens are then restored, so that every text can be encoded; longer
    /// tokens with parts of characters keep U+FFFD.
    ///
    /// # Errors
    /// [`TextError::Size`] when the length of the list matches no such vocabulary, [`TextError::MissingSpecial`] and
    /// [`TextError::Timestamps`] for custom ones.
    pub fn from_vocabulary(tokens: Vec<Vec<u8>>, n_vocab: usize, name: &str) -> Result<Self, TextError> {
        source::check_size(name, tokens.iter().map(|token| token.len() as u64).sum(), MAX_FILE)?;
        let vocabulary = match Layout::of(n_vocab) {
            Some(layout) => openai_vocabulary(tokens, n_vocab, &layout, name)?,
            None => custom_vocabulary(&tokens, n_vocab, name)?,
        };
        Self::assemble(name, vocabulary, Merges::ByToken, Prefix::Never)
    }

    /// Reads OpenAI's rank file (`gpt2.tiktoken`, `multilingual.tiktoken`: one base64 token and its rank per line) for
    /// a model with `n_vocab` tokens, which determines the number of languages.
    ///
    /// # Errors
    /// [`TextError::Read`], [`TextError::Line`] for lines that are not a token and the next rank, and those of
    /// [`from_vocabulary`](Self::from_vocabulary).
    pub fn from_tiktoken(path: &Path, n_vocab: usize) -> Result<Self, TextError> {
        Self::from_tiktoken_bytes(&source::read(path, MAX_FILE)?, n_vocab, &path.display().to_string())
    }

    /// As [`from_tiktoken`](Self::from_tiktoken), from bytes in memory; `name` is used in errors.
    ///
    /// # Errors
    /// As [`from_tiktoken`](Self::from_tiktoken).
    pub fn from_tiktoken_bytes(ranks: &[u8], n_vocab: usize, name: &str) -> Result<Self, TextError> {
        source::check_size(name, ranks.len() as u64, MAX_FILE)?;
        Self::from_vocabulary(rank_file(ranks, name)?, n_vocab, name)
    }
}

fn openai_vocabulary(
    mut tokens: Vec<Vec<u8>>,
    n_vocab: usize,
    layout: &Layout,
    name: &str,
) -> Result<Vocabulary, TextError> {
    // Some files also list special tokens, under whisper.cpp's own names; OpenAI's names replace them. A shorter list
    // lacks text tokens and is damaged.
    let longer = tokens.len() == layout.text_tokens + 1 && tokens.last().is_some_and(|last| last == END_OF_TEXT);
    if tokens.len() != layout.text_tokens && !longer && tokens.len() != n_vocab {
        let expected = "it must list all text tokens (50256 English-only, 50257 multilingual) or all tokens";
        return Err(TextError::Size { file: name.to_owned(), listed: tokens.len(), vocabulary: n_vocab, expected });
    }
    tokens.truncate(layout.text_tokens);
    restore_bytes(&mut tokens);
    let mut builder = VocabularyBuilder::default();
    for (id, token) in (0..).zip(&tokens) {
        builder.insert(name, id, token, Kind::Text)?;
    }
    layout.append_controls(name, &mut builder)?;
    Ok(builder.build())
}

/// Restores the 256 single-byte tokens, for which an old converter wrote U+FFFD if they are invalid UTF-8.
fn restore_bytes(tokens: &mut [Vec<u8>]) {
    let is_whole_alphabet = tokens.len() >= TOKEN_ORDER.len()
        && tokens.iter().zip(TOKEN_ORDER).all(|(token, byte)| *token == [byte] || token == "\u{fffd}".as_bytes());
    if is_whole_alphabet {
        for (token, byte) in tokens.iter_mut().zip(TOKEN_ORDER) {
            *token = vec![byte];
        }
    }
}

fn custom_vocabulary(tokens: &[Vec<u8>], n_vocab: usize, name: &str) -> Result<Vocabulary, TextError> {
    if tokens.len() != n_vocab {
        let expected = "a vocabulary of this size must list all its tokens, special ones included";
        return Err(TextError::Size { file: name.to_owned(), listed: tokens.len(), vocabulary: n_vocab, expected });
    }
    let mut builder = VocabularyBuilder::default();
    for (id, token) in (0..).zip(tokens) {
        builder.insert(name, id, token, custom_kind(token))?;
    }
    Ok(builder.build())
}

/// The kind of a token in a list without marks: special if it is written like a special token.
pub(super) fn custom_kind(token: &[u8]) -> Kind {
    if timestamp_steps(token).is_some() {
        return Kind::Series;
    }
    let name = token.strip_prefix(b"<|").and_then(|rest| rest.strip_suffix(b"|>"));
    match name {
        Some(name) if !name.is_empty() && name.iter().all(u8::is_ascii_alphanumeric) => Kind::Special,
        _ => Kind::Text,
    }
}

/// Tokens of a rank file in rank order.
fn rank_file(text: &[u8], name: &str) -> Result<Vec<Vec<u8>>, TextError> {
    let mut tokens = Vec::new();
    for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let broken = |cause| TextError::Line { file: name.to_owned(), line: index + 1, cause };
        let mut fields = line.split(|&byte| byte == b' ');
        let (Some(token), Some(rank), None) = (fields.next(), fields.next(), fields.next()) else {
            return Err(broken("not a token and its rank"));
        };
        let rank = std::str::from_utf8(rank).ok().and_then(|rank| rank.parse::<usize>().ok());
        if tokens.len() == LARGEST {
            return Err(broken("more tokens than any Whisper model has"));
        }
        if rank != Some(tokens.len()) {
            return Err(broken("the rank is not the one after that of the line before"));
        }
        tokens.push(base64_token(token).ok_or_else(|| broken("the token is not base64"))?);
    }
    Ok(tokens)
}

fn base64_token(field: &[u8]) -> Option<Vec<u8>> {
    // The multilingual file ends in an empty token, written as a lone padding character.
    if field == b"=" {
        return Some(Vec::new());
    }
    base64::engine::general_purpose::STANDARD.decode(field).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rank_files_are_read_line_by_line() {
        assert_eq!(rank_file(b"IQ== 0\r\nIg== 1\n\n= 2", "f").unwrap(), [&b"!"[..], b"\"", b""]);
        for (text, line) in
            [("IQ== 0\nIg== 2", 2), ("IQ==", 1), ("IQ== 0 0", 1), ("!! 0", 1), ("IQ== x", 1), ("IQ== -1", 1)]
        {
            let error = rank_file(text.as_bytes(), "f").unwrap_err();
            assert!(matches!(error, TextError::Line { line: l, .. } if l == line), "{text}: {error}");
        }
    }

    #[test]
    fn single_bytes_are_restored_only_in_openai_order() {
        let lossy: Vec<Vec<u8>> = TOKEN_ORDER
            .iter()
            .map(|&byte| if byte < 0x80 { vec![byte] } else { "\u{fffd}".as_bytes().to_vec() })
            .collect();
        let mut restored = lossy.clone();
        restore_bytes(&mut restored);
        assert!(restored.iter().zip(TOKEN_ORDER).all(|(token, byte)| *token == [byte]));
        let mut other = lossy;
        other.swap(0, 1);
        let before = other.clone();
        restore_bytes(&mut other);
        assert_eq!(other, before);
    }
}
