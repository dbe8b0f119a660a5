//! GPT-2's alphabet: vocabulary files write each byte as one printable character, so that a token of arbitrary bytes
//! can be written as text (source of the table: openai/gpt-2 `encoder.py`, `bytes_to_unicode`).
//!
//! Printable Latin-1 bytes stand for themselves, the other 68 for U+0100 and following, in byte order. The same order
//! (printable ones first) numbers the first 256 tokens of every vocabulary that OpenAI made.

/// Bytes in the order of their tokens 0 to 255.
pub(crate) const TOKEN_ORDER: [u8; 256] = token_order();

// Characters from U+0100 stand for bytes 0x00–0x20, 0x7F–0xA0 and 0xAD.
const SHIFTED: u32 = 0x100;

const fn stands_for_itself(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF)
}

const fn token_order() -> [u8; 256] {
    let mut order = [0; 256];
    let mut next = 0;
    let mut shifted = 0;
    while shifted < 2 {
        let mut byte = 0;
        while byte < 256 {
            if stands_for_itself(byte as u8) == (shifted == 0) {
                order[next] = byte as u8;
                next += 1;
            }
            byte += 1;
        }
        shifted += 1;
    }
    order
}

// 188 of the 256 characters stand for themselves.
const PRINTABLE: usize = 188;

/// The byte that `c` stands for, `None` for characters outside the alphabet.
pub(crate) fn byte_of(c: char) -> Option<u8> {
    let code = u32::from(c);
    if let Ok(byte) = u8::try_from(code) {
        return stands_for_itself(byte).then_some(byte);
    }
    TOKEN_ORDER[PRINTABLE..].get((code - SHIFTED) as usize).copied()
}

/// Appends the bytes that `token` stands for. A token with a character outside the alphabet (a special token) is its
/// own UTF-8, as in Hugging Face's byte-level decoder.
pub(crate) fn append_bytes(token: &str, bytes: &mut Vec<u8>) {
    let start = bytes.len();
    for c in token.chars() {
        let Some(byte) = byte_of(c) else {
            bytes.truncate(start);
            bytes.extend_from_slice(token.as_bytes());
            return;
        };
        bytes.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_exactly_one_character() {
        let mut seen = [false; 256];
        for code in 0..0x250 {
            let Some(byte) = char::from_u32(code).and_then(byte_of) else { continue };
            assert!(!seen[usize::from(byte)], "byte {byte} has two characters");
            seen[usize::from(byte)] = true;
        }
        assert_eq!(seen, [true; 256]);
    }

    #[test]
    fn known_characters_of_gpt2_vocabularies_are_read() {
        for (c, byte) in [('!', b'!'), ('Ġ', b' '), ('Ċ', b'\n'), ('ł', 0xA0), ('Ń', 0xAD), ('ÿ', 0xFF), ('Ā', 0)]
        {
            assert_eq!(byte_of(c), Some(byte), "{c}");
        }
        assert_eq!(byte_of(' '), None);
        assert_eq!(byte_of('ń'), None);
        assert_eq!(byte_of('語'), None);
    }

    #[test]
    fn tokens_outside_the_alphabet_are_their_own_utf8() {
        let mut bytes = b"kept".to_vec();
        append_bytes("Ġdé", &mut bytes);
        assert_eq!(bytes, b"kept d\xE9");
        append_bytes("Ġ語", &mut bytes);
        assert_eq!(bytes, "kept d".bytes().chain([0xE9]).chain("Ġ語".bytes()).collect::<Vec<_>>());
    }
}
