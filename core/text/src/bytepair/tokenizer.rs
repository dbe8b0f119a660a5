//! The tokenizer itself: what all sources have in common once they are loaded.

use std::borrow::Cow;

use unicode_normalization::{UnicodeNormalization, is_nfc};

use super::added::{AddedTokens, Part};
use super::merging::{BytePairs, Merges};
use super::pre_tokenizer::PreTokenizer;
use super::vocabulary::{Kind, Vocabulary};
use crate::tokenizer::{Tokenizer, lossy};

/// Vocabulary, control tokens and encoder of one model.
///
/// Immutable after loading, `Send + Sync`. Token ids are those of the model's logits.
#[derive(Debug, Clone)]
pub struct BytePairTokenizer {
    vocabulary: Vocabulary,
    pairs: BytePairs,
    preparation: Preparation,
    added: AddedTokens,
    added_normalized: AddedTokens,
}

/// What is done to text before byte pairs are merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Preparation {
    /// Text becomes NFC.
    pub(crate) nfc: bool,
    /// A text, and what follows a token that was found as a whole, begins with a space, as if it stood inside a
    /// sentence.
    pub(crate) prefix_space: bool,
    pub(crate) pre_tokenizer: PreTokenizer,
}

/// GPT-2's.
impl Default for Preparation {
    fn default() -> Self {
        Self { nfc: false, prefix_space: false, pre_tokenizer: PreTokenizer::gpt2() }
    }
}

impl BytePairTokenizer {
    pub(crate) fn new(vocabulary: Vocabulary, merges: Merges, preparation: Preparation) -> Self {
        let pairs = BytePairs::new(&vocabulary, merges);
        let [added, added_normalized] = [false, true].map(|normalized| AddedTokens::new(&vocabulary, normalized));
        Self { vocabulary, pairs, preparation, added, added_normalized }
    }

    pub(crate) fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    pub(super) fn merges(&self) -> &Merges {
        self.pairs.merges()
    }

    pub(crate) fn preparation(&self) -> &Preparation {
        &self.preparation
    }

    /// With the series of control tokens `names` at `first` and following; `None` where one of these ids is taken.
    pub(crate) fn with_series(&self, first: usize, names: &[String]) -> Option<Self> {
        Some(Self { vocabulary: self.vocabulary.with_series(first, names)?, ..self.clone() })
    }

    /// How text is cut before pairs are merged.
    #[must_use]
    pub fn pre_tokenizer(&self) -> &PreTokenizer {
        &self.preparation.pre_tokenizer
    }

    /// Tokens of `text`. Never a control token: `<|im_start|>` in a text is just these characters. This is how what
    /// users write is encoded.
    ///
    /// O(n log n) in the length of the longest piece. Bytes that a small vocabulary does not have are left out; models'
    /// vocabularies have all.
    #[must_use]
    pub fn encode(&self, text: &str) -> Vec<u32> {
        self.encoded(text, false)
    }

    /// Tokens of `text`, in which the names of control tokens are these tokens: for prompts that a chat template has
    /// written, never for what users write.
    #[must_use]
    pub fn encode_with_controls(&self, text: &str) -> Vec<u32> {
        self.encoded(text, true)
    }

    fn encoded(&self, text: &str, controls: bool) -> Vec<u32> {
        let mut tokens = Vec::with_capacity(text.len() / 3);
        self.added.split(&self.vocabulary, text, controls, &mut |part| match part {
            Part::Token(token) => tokens.push(token),
            Part::Text(text) => {
                let text = if self.preparation.nfc { composed(text) } else { text.into() };
                self.added_normalized.split(&self.vocabulary, &text, controls, &mut |part| match part {
                    Part::Token(token) => tokens.push(token),
                    Part::Text(text) => self.encode_part(text, &mut tokens),
                });
            }
        });
        tokens
    }

    /// Appends the tokens of text in which no token is looked for as a whole.
    fn encode_part(&self, text: &str, tokens: &mut Vec<u32>) {
        let text = match self.preparation.prefix_space && !text.is_empty() && !text.starts_with(' ') {
            true => Cow::Owned(format!(" {text}")),
            false => Cow::Borrowed(text),
        };
        self.pre_tokenizer().cut(&text, &mut |piece| self.pairs.encode(&self.vocabulary, piece.as_bytes(), tokens));
    }

    /// Text of `tokens`; control tokens and unknown ids are left out. Bytes that are not UTF-8 become U+FFFD, as in the
    /// reference. [`IncrementalDecoder`](crate::IncrementalDecoder) does it token by token.
    #[must_use]
    pub fn decode(&self, tokens: &[u32]) -> String {
        Tokenizer::decode(self, tokens)
    }

    /// Text of `tokens` with control tokens written out.
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

    /// Whether `token` is part of the text, neither a control token nor a gap in the numbering.
    #[must_use]
    pub fn is_text(&self, token: u32) -> bool {
        self.vocabulary.kind(token) == Kind::Text
    }

    /// One past the largest token id. Logits of some models are padded beyond it.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        self.vocabulary.len()
    }

    /// The control token of this name, such as `<|endoftext|>`. Looks through the vocabulary: keep the id.
    #[must_use]
    pub fn special_token(&self, name: &str) -> Option<u32> {
        self.vocabulary.controls().find(|(_, token)| *token == name.as_bytes()).map(|(id, _)| id)
    }

    /// All control tokens: ids and names, ascending by id.
    pub fn special_tokens(&self) -> impl Iterator<Item = (u32, &[u8])> {
        self.vocabulary.controls()
    }
}

impl Tokenizer for BytePairTokenizer {
    fn encode(&self, text: &str) -> Vec<u32> {
        self.encode(text)
    }

    fn token_bytes(&self, token: u32) -> &[u8] {
        self.token_bytes(token)
    }

    fn is_text(&self, token: u32) -> bool {
        self.is_text(token)
    }

    fn vocab_size(&self) -> usize {
        self.vocab_size()
    }

    fn special_token(&self, name: &str) -> Option<u32> {
        self.special_token(name)
    }
}

fn composed(text: &str) -> Cow<'_, str> {
    if is_nfc(text) { text.into() } else { text.nfc().collect::<String>().into() }
}
