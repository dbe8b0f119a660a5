//! Any bytes as `vocab.json`, `merges.txt` and `added_tokens.json`, which zero bytes divide: an error, or a tokenizer
//! that encodes text to text tokens only.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sotto_text::Tokenizer;
use sotto_text::whisper::{VocabMerges, WhisperTokenizer};

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(3, |&byte| byte == 0);
    let (Some(vocab), Some(merges)) = (parts.next(), parts.next()) else { return };
    let files = VocabMerges { vocab, merges, added: parts.next() };
    for n_vocab in [7, 1508, 51_865] {
        let Ok(tokenizer) = WhisperTokenizer::from_vocab_and_merges_bytes(files, n_vocab, "fuzz") else { return };
        let tokens = tokenizer.encode("a <|endoftext|> b");
        assert!(tokens.iter().all(|&token| tokenizer.is_text(token)), "text became a control token");
    }
});
