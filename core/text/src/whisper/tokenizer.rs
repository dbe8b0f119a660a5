//! The tokenizer itself: what all sources have in common once they are loaded.

use super::special::{SpecialTokens, Specials, timestamp_token};
use crate::bytepair::{Alphabet, BytePairTokenizer, MAX_TOKENS, Merges, Prefix, Preparation, SharedBytes, Vocabulary};
use crate::{TextError, Tokenizer};
use std::collections::BTreeSet;
use std::ops::Range;

/// Vocabulary, special tokens and encoder of one Whisper model.
///
/// Immutable after loading, `Send + Sync`. Token ids are those of the model's logits.
#[derive(Debug, Clone)]
pub struct WhisperTokenizer {
    pairs: BytePairTokenizer,
    special: SpecialTokens,
    languages: Vec<(&'static str, u32)>,
    multilingual: bool,
}

/// What is supported, for error messages.
pub(super) const SUPPORTED: &str = "only byte-level BPE vocabularies of Whisper models are supported";

// Id of `<|endoftext|>` in OpenAI's English-only vocabularies. They list 99 languages that the models were not trained
// on.
const ENGLISH_ONLY_END_OF_TEXT: u32 = 50_256;

impl WhisperTokenizer {
    pub(super) fn assemble(
        file: &str,
        vocabulary: Vocabulary,
        merges: Merges,
        prefix: Prefix,
    ) -> Result<Self, TextError> {
        let preparation = Preparation { prefix, ..Preparation::default() };
        Self::of_pairs(file, BytePairTokenizer::new(vocabulary, merges, preparation))
    }

    /// A Whisper tokenizer from a byte-pair tokenizer with Whisper's control tokens.
    fn of_pairs(file: &str, pairs: BytePairTokenizer) -> Result<Self, TextError> {
        let Specials { tokens, languages } = Specials::find(file, pairs.vocabulary())?;
        let english_only = tokens.eot == ENGLISH_ONLY_END_OF_TEXT && tokens.sot == ENGLISH_ONLY_END_OF_TEXT + 1;
        let multilingual = languages.len() > 1 && !english_only;
        Ok(Self { pairs, special: tokens, languages, multilingual })
    }

    /// Opens a packed tokenizer in `range` of `shared`, used in place; `name` is the file's name in errors.
    ///
    /// Takes well under a millisecond for Whisper's vocabularies; some milliseconds for the form of
    /// [`to_packed_compact`](Self::to_packed_compact), whose tables are rebuilt. The bytes must not change while the
    /// tokenizer exists.
    ///
    /// # Errors
    /// [`TextError::Packed`] for bytes that were not written by [`to_packed`](Self::to_packed) or
    /// [`to_packed_compact`](Self::to_packed_compact), [`TextError::Unsupported`] for the tokenizer of another model,
    /// [`TextError::MissingSpecial`] and [`TextError::Timestamps`] as for any vocabulary.
    pub fn from_packed(shared: SharedBytes, range: Range<usize>, name: &str) -> Result<Self, TextError> {
        let pairs = BytePairTokenizer::from_packed(shared, range, name)?;
        let whole = pairs.vocabulary().added().next().map(|_| "tokens that are looked for in text as a whole");
        if let Some(what) = other_than_whisper(pairs.preparation()).or(whole) {
            return Err(TextError::Unsupported { file: name.to_owned(), what: what.to_owned(), supported: SUPPORTED });
        }
        Self::of_pairs(name, pairs)
    }

    /// The whole tokenizer as bytes for [`from_packed`](Self::from_packed). The same tokenizer gives the same bytes.
    #[must_use]
    pub fn to_packed(&self) -> Vec<u8> {
        self.pairs.to_packed()
    }

    /// The whole tokenizer as bytes for [`from_packed`](Self::from_packed), in its smallest form: if possible, tables
    /// that follow from the merge rules are left out and rebuilt on opening. Those of tiny.en take 0.2 MB instead of
    /// 1.6 MB, but 1.6 MB of memory once opened, while the full form can stay in a mapped file.
    #[must_use]
    pub fn to_packed_compact(&self) -> Vec<u8> {
        self.pairs.to_packed_compact()
    }

    /// Adds the timestamps that files of early revisions and some converters omit: `count` tokens right after
    /// `<|notimestamps|>`, OpenAI's numbering. A model with a window of 30 s has 1501.
    ///
    /// Changes nothing if there are timestamps already, if one of these ids is taken, or if they do not fit the model's
    /// `n_vocab` tokens.
    #[must_use]
    pub fn with_timestamps(self, n_vocab: usize, count: usize) -> Self {
        let (None, Some(before)) = (self.special.timestamp_begin, self.special.no_timestamps) else { return self };
        let first = before as usize + 1;
        if count == 0 || first.saturating_add(count) > n_vocab.min(MAX_TOKENS as usize) {
            return self;
        }
        let names: Vec<String> = (0..count).map(timestamp_token).collect();
        let Some(pairs) = self.pairs.with_series(first, &names) else { return self };
        let special =
            SpecialTokens { timestamp_begin: Some(before + 1), timestamp_count: count as u32, ..self.special };
        Self { pairs, special, ..self }
    }

    /// Sets whether language and task tokens belong into the prompt, if the model's settings say so.
    #[must_use]
    pub fn with_multilingual(self, multilingual: bool) -> Self {
        Self { multilingual, ..self }
    }

    /// Text of `tokens` with control tokens and timestamps written out, as `<|1.08|>`.
    #[must_use]
    pub fn decode_with_controls(&self, tokens: &[u32]) -> String {
        self.pairs.decode_with_controls(tokens)
    }

    /// Time of `token` in steps of 0.02 s; `None` if it is not a timestamp.
    #[must_use]
    pub fn timestamp_steps(&self, token: u32) -> Option<u32> {
        let steps = token.checked_sub(self.special.timestamp_begin?)?;
        (steps < self.special.timestamp_count).then_some(steps)
    }

    /// Ids of the control tokens.
    #[must_use]
    pub fn special(&self) -> &SpecialTokens {
        &self.special
    }

    /// Token of a language by Whisper's code (`en`). Use [`language`](super::language) to convert names and aliases.
    #[must_use]
    pub fn language_token(&self, code: &str) -> Option<u32> {
        self.languages.iter().find(|(known, _)| *known == code).map(|(_, token)| *token)
    }

    /// Languages that have a token: Whisper's code and the id, ascending by id.
    #[must_use]
    pub fn languages(&self) -> &[(&'static str, u32)] {
        &self.languages
    }

    /// Whether language and task tokens belong into the prompt.
    ///
    /// The value set by [`with_multilingual`](Self::with_multilingual). By default a vocabulary with two or more
    /// languages is multilingual, except OpenAI's English-only vocabularies, which list 99 languages and are recognised
    /// by the ids of their control tokens.
    #[must_use]
    pub fn is_multilingual(&self) -> bool {
        self.multilingual
    }

    /// Tokens for sounds, speaker names and decoration rather than speech (`♪`, `[`, ` (`), in ascending order;
    /// suppressed by default. Hyphens and apostrophes are suppressed only at the start of a word. Reference:
    /// openai/whisper `tokenizer.py`, `non_speech_tokens`.
    #[must_use]
    pub fn non_speech_tokens(&self) -> Vec<u32> {
        let mut tokens: BTreeSet<u32> =
            [" -", " '"].iter().filter_map(|text| self.encode(text).first().copied()).collect();
        let symbols = NON_SPEECH.iter().map(|symbol| (*symbol, false));
        for (symbol, first_token_is_enough) in symbols.chain(MUSIC.iter().map(|symbol| (*symbol, true))) {
            for text in [symbol.to_owned(), format!(" {symbol}")] {
                let encoded = self.encode(&text);
                if encoded.len() == 1 || first_token_is_enough {
                    tokens.extend(encoded.first());
                }
            }
        }
        tokens.into_iter().collect()
    }
}

impl Tokenizer for WhisperTokenizer {
    fn encode(&self, text: &str) -> Vec<u32> {
        self.pairs.encode(text)
    }

    fn token_bytes(&self, token: u32) -> &[u8] {
        self.pairs.token_bytes(token)
    }

    fn is_text(&self, token: u32) -> bool {
        self.pairs.is_text(token)
    }

    fn vocab_size(&self) -> usize {
        self.pairs.vocab_size()
    }

    fn special_token(&self, name: &str) -> Option<u32> {
        self.pairs.special_token(name)
    }
}

/// The first preparation of text that Whisper's tokenizer does not have, if there is one.
pub(super) fn other_than_whisper(preparation: &Preparation) -> Option<&'static str> {
    let whisper = Preparation { prefix: preparation.prefix, ..Preparation::default() };
    match preparation {
        Preparation { alphabet: Alphabet::Characters, .. } => Some("byte_fallback"),
        Preparation { nfc: true, .. } => Some("normalizer NFC"),
        Preparation { pre_tokenizer, .. } if pre_tokenizer.splits().is_empty() => {
            Some("pre-tokenizer ByteLevel without its regex")
        }
        preparation if *preparation != whisper => Some("another pre-tokenizer than GPT-2's"),
        _ => None,
    }
}

const NON_SPEECH: [&str; 47] = [
    "\"",
    "#",
    "(",
    ")",
    "*",
    "+",
    "/",
    ":",
    ";",
    "<",
    "=",
    ">",
    "@",
    "[",
    "\\",
    "]",
    "^",
    "_",
    "`",
    "{",
    "|",
    "}",
    "~",
    "「",
    "」",
    "『",
    "』",
    "<<",
    ">>",
    "<<<",
    ">>>",
    "--",
    "---",
    "-(",
    "-[",
    "('",
    "(\"",
    "((",
    "))",
    "(((",
    ")))",
    "[[",
    "]]",
    "{{",
    "}}",
    "♪♪",
    "♪♪♪",
];

// U+2640–U+267F: in the vocabularies these share their first token with nothing spoken, so suppressing that token is
// safe.
const MUSIC: [&str; 7] = ["♩", "♪", "♫", "♬", "♭", "♮", "♯"];
