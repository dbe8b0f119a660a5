//! Hugging Face's `tokenizer.json` of a Whisper model.
//!
//! Only the settings of Whisper's tokenizers are accepted; every other setting that would change tokens is refused by
//! name. The file's post-processor is ignored: the decoder builds the prompts.

use super::WhisperTokenizer;
use super::special::{is_control, timestamp_steps};
use super::tokenizer::{SUPPORTED, other_than_whisper};
use crate::bytepair::{Kind, builder, merges, parse, preparation};
use crate::{TextError, source};
use std::path::Path;

/// Maximum file size. The tokenizer.json of the multilingual models has 1.7 MB as published, and 6.1 MiB if indented by
/// four and with non-ASCII characters escaped.
pub(super) const MAX_FILE: u64 = 16 << 20;
/// More entries than any of Whisper's vocabularies has, so that a hostile list cannot fill memory.
pub(super) const MAX_ENTRIES: usize = 1 << 17;
/// Whisper adds 1,608 tokens.
const MAX_ADDED: usize = 1 << 14;

impl WhisperTokenizer {
    /// Reads a Hugging Face `tokenizer.json`. Takes tens of milliseconds for Whisper's 2.4 MB.
    ///
    /// Added tokens that are marked special, or have the name of a control token, become control tokens. Other added
    /// tokens are text, but are not matched when text is encoded. Early revisions and some converters omit the
    /// timestamps: see [`with_timestamps`](Self::with_timestamps).
    ///
    /// # Errors
    /// [`TextError`] for files that cannot be read, are damaged, are not byte-level BPE, or lack `<|endoftext|>` or
    /// `<|startoftranscript|>`.
    pub fn from_hugging_face(path: &Path) -> Result<Self, TextError> {
        Self::from_hugging_face_bytes(&source::read(path, MAX_FILE)?, &path.display().to_string())
    }

    /// Like [`from_hugging_face`](Self::from_hugging_face), from bytes in memory; `name` is used in errors.
    ///
    /// # Errors
    /// As [`from_hugging_face`](Self::from_hugging_face).
    pub fn from_hugging_face_bytes(json: &[u8], name: &str) -> Result<Self, TextError> {
        let json = parse::<MAX_ENTRIES, MAX_ADDED>(json, name, MAX_FILE)?;
        let unsupported = |what| TextError::Unsupported { file: name.to_owned(), what, supported: SUPPORTED };
        let preparation = preparation(&json).map_err(unsupported)?;
        if let Some(what) = other_than_whisper(&preparation) {
            return Err(unsupported(what.to_owned()));
        }
        let merges = merges(name, &json)?;
        let mut builder = builder(name, &json)?;
        for token in &json.added_tokens.0 {
            let content = token.content.as_bytes();
            let kind = match timestamp_steps(content) {
                Some(_) => Kind::Series,
                // Some converters forget the mark.
                None if token.special || is_control(content) => Kind::Special,
                None => Kind::Text,
            };
            builder.insert(name, token.id, content, kind)?;
        }
        Self::assemble(name, builder.build(), merges, preparation.prefix)
    }
}
