//! Any bytes as a `tokenizer.json` of byte pairs: a typed error, or a tokenizer that encodes text to text tokens only,
//! gives the same text token by token as at once, and is the same when it was packed.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use sotto_text::bytepair::BytePairTokenizer;
use sotto_text::{IncrementalDecoder, Tokenizer};

const TEXT: &str = " one <|end|>  two'S 12345 e\u{301}语\n\n\u{a0}camelCase</s> ";

fuzz_target!(|data: &[u8]| {
    let Ok(tokenizer) = BytePairTokenizer::from_hugging_face_bytes(data, "fuzz.json") else { return };
    let tokens = tokenizer.encode(TEXT);
    assert!(tokens.iter().all(|&token| tokenizer.is_text(token)), "text became a control token");
    let with_controls = tokenizer.encode_with_controls(TEXT);

    let first: Vec<u32> = (0..tokenizer.vocab_size().min(300) as u32).collect();
    let mut decoder = IncrementalDecoder::new();
    let mut streamed: String = first.iter().map(|&token| decoder.push(&tokenizer, token)).collect();
    streamed += &decoder.finish();
    assert_eq!(streamed, tokenizer.decode(&first));

    let packed = tokenizer.to_packed_compact();
    let length = packed.len();
    let opened = BytePairTokenizer::from_packed(Arc::new(packed), 0..length, "fuzz.sotto").expect("what was packed");
    assert_eq!(opened.encode(TEXT), tokens);
    assert_eq!(opened.encode_with_controls(TEXT), with_controls);
});
