//! Any bytes as a rank file of tiktoken: an error, or a tokenizer whose text tokens are the listed ones. The first byte
//! chooses the size that the model states.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sotto_text::Tokenizer;
use sotto_text::whisper::WhisperTokenizer;

fuzz_target!(|data: &[u8]| {
    let Some((&size, ranks)) = data.split_first() else { return };
    let n_vocab = match size {
        0 => 51_864,
        1 => 51_865,
        2 => 51_866,
        size => usize::from(size) - 3,
    };
    let Ok(tokenizer) = WhisperTokenizer::from_tiktoken_bytes(ranks, n_vocab, "fuzz.tiktoken") else { return };
    let tokens = tokenizer.encode("one <|endoftext|> two");
    assert!(tokens.iter().all(|&token| tokenizer.is_text(token)), "text became a control token");
    let all: Vec<u32> = (0..tokenizer.vocab_size() as u32).collect();
    let _ = tokenizer.decode(&all);
});
