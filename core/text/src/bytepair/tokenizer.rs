//! The tokenizer, independent of the source that it was loaded from.

use std::borrow::Cow;

use unicode_normalization::{UnicodeNormalization, is_nfc};

use super::added::{AddedTokens, Part};
use super::merging::{Alphabet, BytePairs, Merges};
use super::pre_tokenizer::PreTokenizer;
use super::vocabulary::Vocabulary;
use crate::tokenizer::{Tokenizer, lossy, without_space};

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

/// How text is prepared before byte pairs are merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Preparation {
    /// Text is normalised to NFC.
    pub(crate) nfc: bool,
    pub(crate) prefix: Prefix,
    pub(crate) alphabet: Alphabet,
    /// Decoding removes the first space, which encoding added.
    pub(crate) strips_space: bool,
    pub(crate) pre_tokenizer: PreTokenizer,
}

/// Whether encoding adds a space before a text, as if it were inside a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Prefix {
    #[default]
    Never,
    /// If there is none; also after an added token.
    UnlessSpace,
    /// If there is none, and only at the very start.
    FirstUnlessSpace,
    /// Even if there is one; also after an added token.
    Always,
}

/// GPT-2's preparation.
impl Default for Preparation {
    fn default() -> Self {
        Self {
            nfc: false,
            prefix: Prefix::Never,
            alphabet: Alphabet::Bytes,
            strips_space: false,
            pre_tokenizer: PreTokenizer::gpt2(),
        }
    }
}

impl BytePairTokenizer {
    pub(crate) fn new(vocabulary: Vocabulary, merges: Merges, preparation: Preparation) -> Self {
        let pairs = BytePairs::new(&vocabulary, merges, preparation.alphabet);
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

    /// Adds the control tokens `names` with consecutive ids from `first` on; `None` if one of these ids is taken.
    pub(crate) fn with_series(&self, first: usize, names: &[String]) -> Option<Self> {
        Some(Self { vocabulary: self.vocabulary.with_series(first, names)?, ..self.clone() })
    }

    /// How text is split before pairs are merged.
    #[must_use]
    pub fn pre_tokenizer(&self) -> &PreTokenizer {
        &self.preparation.pre_tokenizer
    }

    /// Tokens of `text`, in which names of control tokens become these tokens. For prompts from a chat template; never
    /// for text written by users, for which there is [`Tokenizer::encode`].
    #[must_use]
    pub fn encode_with_controls(&self, text: &str) -> Vec<u32> {
        self.encoded(text, true)
    }

    fn encoded(&self, text: &str, controls: bool) -> Vec<u32> {
        let mut tokens = Vec::with_capacity(text.len() / 3);
        let whole = text;
        self.added.split(&self.vocabulary, text, controls, &mut |part| match part {
            Part::Token(token) => tokens.push(token),
            Part::Text(text) => {
                let first = std::ptr::eq(text.as_ptr(), whole.as_ptr());
                let text = self.normalized(text);
                self.added_normalized.split(&self.vocabulary, &text, controls, &mut |part| match part {
                    Part::Token(token) => tokens.push(token),
                    Part::Text(part) => {
                        self.encode_part(part, first && std::ptr::eq(part.as_ptr(), text.as_ptr()), &mut tokens);
                    }
                });
            }
        });
        tokens
    }

    fn normalized<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match &self.preparation {
            Preparation { nfc: true, .. } if !is_nfc(text) => text.nfc().collect::<String>().into(),
            // With an alphabet of characters, this sign and the space are the same.
            Preparation { alphabet: Alphabet::Characters, .. } if text.contains(SPACE_SIGN) => {
                text.replace(SPACE_SIGN, " ").into()
            }
            _ => text.into(),
        }
    }

    /// Appends the tokens of text without added tokens.
    fn encode_part(&self, text: &str, first: bool, tokens: &mut Vec<u32>) {
        let Preparation { prefix, pre_tokenizer, .. } = &self.preparation;
        let wanted = match prefix {
            Prefix::Never => false,
            Prefix::UnlessSpace => !text.starts_with(' '),
            Prefix::FirstUnlessSpace => first && !text.starts_with(' '),
            Prefix::Always => true,
        };
        let text = if wanted { Cow::Owned(format!(" {text}")) } else { Cow::Borrowed(text) };
        pre_tokenizer.cut(&text, &mut |piece| self.pairs.encode(&self.vocabulary, piece, tokens));
    }

    /// Text of `tokens`, with the names of control tokens.
    #[must_use]
    pub fn decode_with_controls(&self, tokens: &[u32]) -> String {
        let mut bytes = Vec::with_capacity(tokens.len() * 4);
        for &token in tokens {
            bytes.extend_from_slice(self.vocabulary.token(token));
        }
        lossy(without_space(bytes, self.preparation.strips_space))
    }

    /// All control tokens: ids and names, ascending by id.
    pub fn special_tokens(&self) -> impl Iterator<Item = (u32, &[u8])> {
        self.vocabulary.controls()
    }
}

impl Tokenizer for BytePairTokenizer {
    fn encode(&self, text: &str) -> Vec<u32> {
        self.encoded(text, false)
    }

    fn token_bytes(&self, token: u32) -> &[u8] {
        self.vocabulary.token(token)
    }

    fn is_text(&self, token: u32) -> bool {
        self.vocabulary.kind(token).is_text()
    }

    fn vocab_size(&self) -> usize {
        self.vocabulary.len()
    }

    fn special_token(&self, name: &str) -> Option<u32> {
        self.vocabulary.controls().find(|(_, token)| *token == name.as_bytes()).map(|(id, _)| id)
    }

    fn strips_space(&self) -> bool {
        self.preparation.strips_space
    }
}

/// The sign for a space in vocabularies from SentencePiece.
pub(super) const SPACE_SIGN: char = '▁';
