//! Any bytes as a packed tokenizer: a typed error, or a tokenizer that encodes text to text tokens only, decodes every
//! id, and gives the same text token by token as at once.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use sotto_text::bytepair::BytePairTokenizer;
use sotto_text::{IncrementalDecoder, Tokenizer};

fuzz_target!(|data: &[u8]| {
    let shared = Arc::new(data.to_vec());
    let Ok(tokenizer) = BytePairTokenizer::from_packed(shared, 0..data.len(), "fuzz.sotto") else { return };
    let text = " one <|end|>  two'S 12345 e\u{301}语\n\n";
    assert!(tokenizer.encode(text).iter().all(|&token| tokenizer.is_text(token)), "text became a control token");
    let _ = tokenizer.encode_with_controls(text);
    let first: Vec<u32> = (0..tokenizer.vocab_size().min(300) as u32).collect();
    let mut decoder = IncrementalDecoder::new();
    let mut streamed: String = first.iter().map(|&token| decoder.push(&tokenizer, token)).collect();
    streamed += &decoder.finish();
    assert_eq!(streamed, tokenizer.decode(&first));
});
