//! Control tokens of a vocabulary, found by name.

use super::languages::{LANGUAGES, Language};
use crate::TextError;
use crate::bytepair::{Kind, Vocabulary};
use std::collections::HashMap;

/// Ids of the tokens that control a Whisper model. `None` if a small vocabulary lacks one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpecialTokens {
    /// `<|endoftext|>`: the model has finished.
    pub eot: u32,
    /// `<|startoftranscript|>`: first token of every prompt.
    pub sot: u32,
    /// `<|translate|>`: speech of any language to English text.
    pub translate: Option<u32>,
    /// `<|transcribe|>`: speech to text of the same language.
    pub transcribe: Option<u32>,
    /// `<|startoflm|>`: used in training only.
    pub sot_lm: Option<u32>,
    /// `<|startofprev|>`: followed by the text of the previous window, or an initial prompt.
    pub sot_prev: Option<u32>,
    /// `<|nospeech|>`, in older files `<|nocaptions|>`: its probability right after `sot` is the no-speech probability.
    pub no_speech: Option<u32>,
    /// `<|notimestamps|>`: asks for text without timestamps.
    pub no_timestamps: Option<u32>,
    /// `<|0.00|>`; token `timestamp_begin + n` is n × 0.02 s.
    pub timestamp_begin: Option<u32>,
    /// Number of consecutive timestamps from `timestamp_begin` on; 1501 in OpenAI's models, up to 30.00 s.
    pub timestamp_count: u32,
}

/// The control tokens and languages of a vocabulary.
pub(super) struct Specials {
    pub(super) tokens: SpecialTokens,
    pub(super) languages: Vec<(&'static str, u32)>,
}

/// The timestamp token of `step` steps of 0.02 s, such as `<|1.08|>`.
pub(super) fn timestamp_token(step: usize) -> String {
    format!("<|{}.{:02}|>", step / 50, step % 50 * 2)
}

/// Time of a timestamp token such as `<|1.08|>`, in steps of 0.02 s.
pub(super) fn timestamp_steps(token: &[u8]) -> Option<u32> {
    let number = token.strip_prefix(b"<|")?.strip_suffix(b"|>")?;
    let [seconds @ .., b'.', tenths, hundredths] = number else { return None };
    // At most 9,999.98 s: no overflow below, and no vocabulary has more.
    if !(1..=4).contains(&seconds.len()) || !seconds.iter().chain([tenths, hundredths]).all(u8::is_ascii_digit) {
        return None;
    }
    let digits = seconds.iter().chain([tenths, hundredths]);
    let centiseconds = digits.fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
    centiseconds.is_multiple_of(2).then_some(centiseconds / 2)
}

impl Specials {
    /// Finds them among the control tokens of `vocabulary`. Of two tokens with the same name the first counts.
    pub(super) fn find(file: &str, vocabulary: &Vocabulary) -> Result<Self, TextError> {
        let mut ids = HashMap::new();
        let mut languages = Vec::new();
        for (id, token) in vocabulary.controls().filter(|(id, _)| vocabulary.kind(*id) == Kind::Special) {
            ids.entry(token).or_insert(id);
            if let Some(language) = language_of(token)
                && !languages.iter().any(|(code, _)| *code == language.code)
            {
                languages.push((language.code, id));
            }
        }
        let find = |content: &str| ids.get(content.as_bytes()).copied();
        let require = |token| find(token).ok_or(TextError::MissingSpecial { file: file.to_owned(), token });
        let (timestamp_begin, timestamp_count) = timestamps(file, vocabulary)?;
        let tokens = SpecialTokens {
            eot: require("<|endoftext|>")?,
            sot: require("<|startoftranscript|>")?,
            translate: find("<|translate|>"),
            transcribe: find("<|transcribe|>"),
            sot_lm: find("<|startoflm|>"),
            sot_prev: find("<|startofprev|>"),
            no_speech: find("<|nospeech|>").or_else(|| find("<|nocaptions|>")),
            no_timestamps: find("<|notimestamps|>"),
            timestamp_begin,
            timestamp_count,
        };
        Ok(Self { tokens, languages })
    }
}

/// Whether this is the name of one of Whisper's control tokens, except timestamps.
pub(super) fn is_control(token: &[u8]) -> bool {
    const NAMES: [&str; 9] = [
        "<|endoftext|>",
        "<|startoftranscript|>",
        "<|translate|>",
        "<|transcribe|>",
        "<|startoflm|>",
        "<|startofprev|>",
        "<|nospeech|>",
        "<|nocaptions|>",
        "<|notimestamps|>",
    ];
    NAMES.iter().any(|name| name.as_bytes() == token) || language_of(token).is_some()
}

fn language_of(token: &[u8]) -> Option<&'static Language> {
    let code = std::str::from_utf8(token.strip_prefix(b"<|")?.strip_suffix(b"|>")?).ok()?;
    LANGUAGES.iter().find(|language| language.code == code || language.aliases.contains(&code))
}

/// Id of the first timestamp, and the number of timestamps. Decoding rules compute with the ids, so ids out of order
/// are refused.
fn timestamps(file: &str, vocabulary: &Vocabulary) -> Result<(Option<u32>, u32), TextError> {
    let mut begin = None;
    let mut count = 0;
    for (id, token) in vocabulary.controls().filter(|(id, _)| vocabulary.kind(*id) == Kind::Series) {
        let first = *begin.get_or_insert(id);
        if timestamp_steps(token) != Some(count) || id != first + count {
            return Err(TextError::Timestamps { file: file.to_owned(), token: id });
        }
        count += 1;
    }
    Ok((begin, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_read_in_steps_of_20_ms() {
        for (token, steps) in [
            ("<|0.00|>", Some(0)),
            ("<|1.08|>", Some(54)),
            ("<|30.00|>", Some(1500)),
            ("<|0.01|>", None),
            ("<|0.0|>", None),
            ("<|.00|>", None),
            ("<|99999.00|>", None),
            ("<|-1.00|>", None),
            ("0.00", None),
            ("<|en|>", None),
            ("", None),
        ] {
            assert_eq!(timestamp_steps(token.as_bytes()), steps, "{token}");
        }
    }
}
