//! The interface of all tokenizers, and a decoder of token streams.

/// Converts text to tokens and back, for one model's vocabulary.
///
/// Token ids are indices of the model's logits. Implementations are immutable and can be shared between threads. The
/// trait can be used as `dyn Tokenizer`.
pub trait Tokenizer: Send + Sync {
    /// Tokens of `text`. Never gives a control token: `<|im_start|>` in a text is just these characters. Use it for
    /// text written by users.
    ///
    /// O(n log n) in the length of the longest piece. Cannot fail: bytes without a token are left out, which only
    /// happens with small vocabularies for tests.
    fn encode(&self, text: &str) -> Vec<u32>;

    /// Bytes of one token: text, possibly only part of a character, or the name of a control token. Empty for unused
    /// ids.
    fn token_bytes(&self, token: u32) -> &[u8];

    /// Whether `token` is text: not a control token, a timestamp or an unused id.
    fn is_text(&self, token: u32) -> bool;

    /// One past the largest token id. Some models have more logits (padding).
    fn vocab_size(&self) -> usize;

    /// The control token of this name, such as `<|endoftext|>`. Searches the vocabulary: store the id.
    fn special_token(&self, name: &str) -> Option<u32>;

    /// Bytes that `token` adds to a text; empty for control tokens.
    fn text_bytes(&self, token: u32) -> &[u8] {
        if self.is_text(token) { self.token_bytes(token) } else { &[] }
    }

    /// Whether decoding removes the first space of a text, because encoding adds one.
    fn strips_space(&self) -> bool {
        false
    }

    /// Text of `tokens`; control tokens, timestamps and unknown ids are left out. Invalid UTF-8 becomes U+FFFD, as in
    /// the references. [`IncrementalDecoder`] does the same token by token.
    fn decode(&self, tokens: &[u32]) -> String {
        let mut bytes = Vec::with_capacity(tokens.len() * 4);
        for &token in tokens {
            bytes.extend_from_slice(self.text_bytes(token));
        }
        lossy(without_space(bytes, self.strips_space()))
    }
}

/// Decodes tokens one at a time. Returned text never changes, and no character is ever split.
///
/// The joined pieces equal [`Tokenizer::decode`] of all tokens. Holds at most three bytes; allocates only the returned
/// strings.
#[derive(Debug, Clone, Default)]
pub struct IncrementalDecoder {
    pending: Vec<u8>,
    begun: bool,
}

impl IncrementalDecoder {
    /// A decoder at the beginning of a text.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The text that `token` completes: empty while a character is incomplete, and for control tokens.
    #[must_use]
    pub fn push(&mut self, tokenizer: &(impl Tokenizer + ?Sized), token: u32) -> String {
        let mut bytes = tokenizer.text_bytes(token);
        if !self.begun && !bytes.is_empty() {
            self.begun = true;
            bytes = bytes.strip_prefix(b" ").filter(|_| tokenizer.strips_space()).unwrap_or(bytes);
        }
        self.pending.extend_from_slice(bytes);
        let certain = self.pending.len() - incomplete_tail(&self.pending);
        let text = String::from_utf8_lossy(&self.pending[..certain]).into_owned();
        self.pending.drain(..certain);
        text
    }

    /// Ends the text: an incomplete character becomes U+FFFD. The decoder can then be used for another text.
    #[must_use]
    pub fn finish(&mut self) -> String {
        let text = String::from_utf8_lossy(&self.pending).into_owned();
        *self = Self::new();
        text
    }
}

/// `bytes`, without a space at the start if `wanted`.
pub(crate) fn without_space(mut bytes: Vec<u8>, wanted: bool) -> Vec<u8> {
    if wanted && bytes.first() == Some(&b' ') {
        bytes.remove(0);
    }
    bytes
}

/// `bytes` as text; invalid UTF-8 becomes U+FFFD.
pub(crate) fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Number of bytes at the end that are a valid but incomplete character.
fn incomplete_tail(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    loop {
        match std::str::from_utf8(rest) {
            Ok(_) => return 0,
            Err(error) => match error.error_len() {
                None => return rest.len() - error.valid_up_to(),
                Some(wrong) => rest = &rest[error.valid_up_to() + wrong..],
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unfinished_characters_wait() {
        for (bytes, tail) in [
            (&b"abc"[..], 0),
            ("é".as_bytes(), 0),
            (b"a\xC3", 1),
            (b"\xF0\x9F\x98", 3),
            (b"\xFFa\xE2\x82", 2),
            (b"\xF0\x28", 0),
            (b"\x80", 0),
            (b"", 0),
        ] {
            assert_eq!(incomplete_tail(bytes), tail, "{bytes:?}");
        }
    }
}
