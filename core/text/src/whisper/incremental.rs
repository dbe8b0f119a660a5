//! Text of a token stream as soon as it is certain: a character may be spread over several tokens.

use super::WhisperTokenizer;

/// Decodes tokens one at a time; what it has given out never changes.
///
/// Pieces joined equal [`WhisperTokenizer::decode`] of all tokens. Holds at most three bytes; no allocation besides the
/// strings that it returns.
#[derive(Debug, Clone, Default)]
pub struct IncrementalDecoder {
    pending: Vec<u8>,
}

impl IncrementalDecoder {
    /// Nothing decoded yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Text that became certain with `token`: empty while a character is incomplete and for control tokens.
    #[must_use]
    pub fn push(&mut self, tokenizer: &WhisperTokenizer, token: u32) -> String {
        self.pending.extend_from_slice(tokenizer.text_bytes(token));
        let certain = self.pending.len() - incomplete_tail(&self.pending);
        let text = String::from_utf8_lossy(&self.pending[..certain]).into_owned();
        self.pending.drain(..certain);
        text
    }

    /// Ends the stream: an incomplete character becomes U+FFFD. The decoder is as new afterwards.
    #[must_use]
    pub fn finish(&mut self) -> String {
        let text = String::from_utf8_lossy(&self.pending).into_owned();
        self.pending.clear();
        text
    }
}

/// Bytes at the end that are the start of a character and nothing wrong so far.
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
