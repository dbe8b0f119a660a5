//! Any list of tokens and any text: no control token comes out, and where the vocabulary has every byte of the text,
//! the tokens are the text, byte for byte.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sotto_text::Tokenizer;
use sotto_text::whisper::WhisperTokenizer;

// The input: a byte with the number of tokens, each with its length before it, then the text.
fn tokens(data: &[u8]) -> Option<(Vec<Vec<u8>>, &str)> {
    let (&count, mut rest) = data.split_first()?;
    let mut tokens = Vec::new();
    for _ in 0..count {
        let (&length, tail) = rest.split_first()?;
        let (token, tail) = tail.split_at_checked(usize::from(length % 8))?;
        tokens.push(token.to_vec());
        rest = tail;
    }
    Some((tokens, std::str::from_utf8(rest).ok()?))
}

fuzz_target!(|data: &[u8]| {
    let Some((mut list, text)) = tokens(data) else { return };
    list.extend([b"<|endoftext|>".to_vec(), b"<|startoftranscript|>".to_vec()]);
    let size = list.len();
    let Ok(tokenizer) = WhisperTokenizer::from_vocabulary(list, size, "fuzz") else { return };

    let known: Vec<u8> = (0..size as u32)
        .filter(|&token| tokenizer.is_text(token))
        .filter_map(|token| <[u8; 1]>::try_from(tokenizer.token_bytes(token)).ok())
        .flatten()
        .collect();
    let encoded = tokenizer.encode(text);
    assert!(encoded.iter().all(|&token| tokenizer.is_text(token)), "text became a control token");
    if text.bytes().all(|byte| known.contains(&byte)) {
        let bytes: Vec<u8> = encoded.iter().flat_map(|&token| tokenizer.token_bytes(token)).copied().collect();
        assert_eq!(bytes, text.as_bytes(), "encoding lost or added something");
        assert_eq!(tokenizer.decode(&encoded), text);
    }
});
