//! Any bytes as a `tokenizer.json`: a typed error, or a tokenizer that encodes text to text tokens only, decodes every
//! id, and gives the same text token by token as at once.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sotto_text::whisper::WhisperTokenizer;
use sotto_text::{IncrementalDecoder, Tokenizer};

fuzz_target!(|data: &[u8]| {
    let Ok(tokenizer) = WhisperTokenizer::from_hugging_face_bytes(data, "fuzz.json") else { return };
    let special = tokenizer.special();
    assert!(!tokenizer.is_text(special.eot) && !tokenizer.is_text(special.sot));
    assert!(tokenizer.languages().iter().all(|(_, token)| !tokenizer.is_text(*token)));

    let tokens = tokenizer.encode(" one <|endoftext|> two's 语\n\n");
    assert!(tokens.iter().all(|&token| tokenizer.is_text(token)), "text became a control token");

    let first: Vec<u32> = (0..tokenizer.vocab_size().min(300) as u32).collect();
    let mut decoder = IncrementalDecoder::new();
    let mut streamed: String = first.iter().map(|&token| decoder.push(&tokenizer, token)).collect();
    streamed += &decoder.finish();
    assert_eq!(streamed, tokenizer.decode(&first));
});
