//! The tokenizer itself: what all sources have in common once they are loaded.

use super::bpe::{BytePairs, Merges};
use super::pre_tokenize::pieces;
use super::special::{SpecialTokens, Specials, timestamp_token};
use super::vocabulary::{Kind, MAX_TOKENS, Vocabulary};
use crate::TextError;
use std::collections::BTreeSet;

/// Vocabulary, special tokens and encoder of one Whisper model.
///
/// Immutable after loading, `Send + Sync`. Token ids are those of the model's logits.
#[derive(Debug, Clone)]
pub struct WhisperTokenizer {
    vocabulary: Vocabulary,
    pairs: BytePairs,
    special: SpecialTokens,
    languages: Vec<(&'static str, u32)>,
    // Some files ask for a space before the first word, as if it stood inside a sentence.
    prefix_space: bool,
    multilingual: bool,
}

// Where OpenAI's English-only vocabularies end their text. They list 99 languages that the models were not trained on.
const ENGLISH_ONLY_END_OF_TEXT: u32 = 50_256;

impl WhisperTokenizer {
    pub(super) fn assemble(
        file: &str,
        vocabulary: Vocabulary,
        merges: Merges,
        prefix_space: bool,
    ) -> Result<Self, TextError> {
        let Specials { tokens, languages } = Specials::find(file, &vocabulary)?;
        let pairs = BytePairs::new(&vocabulary, merges);
        let english_only = tokens.eot == ENGLISH_ONLY_END_OF_TEXT && tokens.sot == ENGLISH_ONLY_END_OF_TEXT + 1;
        let multilingual = languages.len() > 1 && !english_only;
        Ok(Self { vocabulary, pairs, special: tokens, languages, prefix_space, multilingual })
    }

    /// Adds the timestamps that files of early revisions and some converters leave out: `count` tokens right behind
    /// `<|notimestamps|>`, as OpenAI numbers them; a model with a window of 30 s has 1501.
    ///
    /// Nothing changes where there are timestamps already, where one of these ids is another token's, or where the
    /// model's `n_vocab` tokens end before them.
    #[must_use]
    pub fn with_timestamps(self, n_vocab: usize, count: usize) -> Self {
        let (None, Some(before)) = (self.special.timestamp_begin, self.special.no_timestamps) else { return self };
        let first = before as usize + 1;
        if count == 0 || first.saturating_add(count) > n_vocab.min(MAX_TOKENS as usize) {
            return self;
        }
        let names: Vec<String> = (0..count).map(timestamp_token).collect();
        let Some(vocabulary) = self.vocabulary.with_timestamps(first, &names) else { return self };
        let special =
            SpecialTokens { timestamp_begin: Some(before + 1), timestamp_count: count as u32, ..self.special };
        Self { vocabulary, special, ..self }
    }

    /// Decides whether language and task tokens belong into the prompt, where the model's settings say it.
    #[must_use]
    pub fn with_multilingual(self, multilingual: bool) -> Self {
        Self { multilingual, ..self }
    }

    pub(super) fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    pub(super) fn merges(&self) -> &Merges {
        self.pairs.merges()
    }

    pub(super) fn prefix_space(&self) -> bool {
        self.prefix_space
    }

    /// Tokens of `text`. Never a control token: `<|en|>` in a text is just these six characters.
    ///
    /// O(n log n) in the length of the longest word. Bytes that a small vocabulary does not have are left out; OpenAI's
    /// vocabularies have all.
    #[must_use]
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut tokens = Vec::with_capacity(text.len() / 3);
        let prefixed;
        let text = if self.prefix_space && !text.is_empty() && !text.starts_with(char::is_whitespace) {
            prefixed = format!(" {text}");
            &prefixed
        } else {
            text
        };
        for piece in pieces(text) {
            self.pairs.encode(&self.vocabulary, piece.as_bytes(), &mut tokens);
        }
        tokens
    }

    /// Text of `tokens`; control tokens, timestamps and unknown ids are left out. Bytes that are not UTF-8 become
    /// U+FFFD, as in the reference.
    #[must_use]
    pub fn decode(&self, tokens: &[u32]) -> String {
        let mut bytes = Vec::with_capacity(tokens.len() * 4);
        for &token in tokens {
            bytes.extend_from_slice(self.text_bytes(token));
        }
        lossy(bytes)
    }

    /// Text of `tokens` with control tokens and timestamps written out, as `<|1.08|>`.
    #[must_use]
    pub fn decode_with_controls(&self, tokens: &[u32]) -> String {
        let mut bytes = Vec::with_capacity(tokens.len() * 4);
        for &token in tokens {
            bytes.extend_from_slice(self.vocabulary.token(token));
        }
        lossy(bytes)
    }

    /// Bytes of one token: for text possibly a part of a character, for control tokens their name. Empty for ids that
    /// no token has.
    #[must_use]
    pub fn token_bytes(&self, token: u32) -> &[u8] {
        self.vocabulary.token(token)
    }

    /// Bytes that `token` adds to the text: none for control tokens.
    pub(super) fn text_bytes(&self, token: u32) -> &[u8] {
        match self.vocabulary.kind(token) {
            Kind::Text => self.vocabulary.token(token),
            _ => &[],
        }
    }

    pub(super) fn kind(&self, token: u32) -> Kind {
        self.vocabulary.kind(token)
    }

    /// Whether `token` is part of the text, neither control token nor timestamp nor a gap in the numbering.
    #[must_use]
    pub fn is_text(&self, token: u32) -> bool {
        self.kind(token) == Kind::Text
    }

    /// Time in steps of 0.02 s that `token` stands for; `None` if it is not a timestamp.
    #[must_use]
    pub fn timestamp_steps(&self, token: u32) -> Option<u32> {
        let steps = token.checked_sub(self.special.timestamp_begin?)?;
        (steps < self.special.timestamp_count).then_some(steps)
    }

    /// One past the largest token id. Logits of some models are padded beyond it.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        self.vocabulary.len()
    }

    /// Ids of the control tokens.
    #[must_use]
    pub fn special(&self) -> &SpecialTokens {
        &self.special
    }

    /// Token of a language by Whisper's code (`en`); names and aliases go through [`language`](super::language) first.
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
    /// What [`with_multilingual`](Self::with_multilingual) said, else: OpenAI's English-only vocabularies list 99
    /// languages as well and are told by the numbers of their control tokens; any other vocabulary counts as
    /// multilingual from two languages on.
    #[must_use]
    pub fn is_multilingual(&self) -> bool {
        self.multilingual
    }

    /// Tokens that stand for sounds, speaker names and decoration rather than speech (`♪`, `[`, ` (`), ascending:
    /// suppressed by default. Hyphens and apostrophes are suppressed at the start of a word only.
    /// Reference: openai/whisper `tokenizer.py`, `non_speech_tokens`.
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

// U+2640–U+267F: in the vocabularies these share their first token with nothing that is spoken, so suppressing that
// token is safe.
const MUSIC: [&str; 7] = ["♩", "♪", "♫", "♬", "♭", "♮", "♯"];

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
