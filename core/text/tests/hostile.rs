//! Damaged and hostile input of every kind: a value or a typed error, soon, and never a panic.

use std::sync::Arc;

use proptest::prelude::*;
use sotto_text::TextError;
use sotto_text::metrics::word_errors;
use sotto_text::normalize::{BasicOptions, basic, english};
use sotto_text::whisper::{IncrementalDecoder, WhisperTokenizer};

const SMALL: &str = r#"{"added_tokens":[{"id":0,"content":"<|endoftext|>","special":true},
{"id":1,"content":"<|startoftranscript|>","special":true},{"id":2,"content":"<|0.00|>"},{"id":3,"content":"<|0.02|>"}],
"pre_tokenizer":{"type":"ByteLevel"},"model":{"type":"BPE","vocab":{"a":4,"b":5,"ab":6,"Ġ":7},"merges":["a b"]}}"#;

fn uses(tokenizer: &WhisperTokenizer, text: &str) {
    let tokens = tokenizer.encode(text);
    assert!(tokens.iter().all(|&token| tokenizer.is_text(token)));
    let _ = tokenizer.split_to_word_tokens(&tokens, Some("ja"));
    let _ = tokenizer.non_speech_tokens();
}

fn packed() -> Vec<u8> {
    WhisperTokenizer::from_hugging_face_bytes(SMALL.as_bytes(), "small.json").expect("a sound file").to_packed()
}

fn open(packed: Vec<u8>) -> Result<WhisperTokenizer, TextError> {
    let length = packed.len();
    WhisperTokenizer::from_packed(Arc::new(packed), 0..length, "model.sotto")
}

#[test]
fn a_packed_vocabulary_is_refused_wherever_it_is_cut() {
    let packed = packed();
    for length in 0..packed.len() {
        let error = open(packed[..length].to_vec()).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("model.sotto"), "{error}");
    }
    assert!(open([&packed[..], &[0]].concat()).is_err());
    assert!(WhisperTokenizer::from_packed(Arc::new(packed), 8..usize::MAX, "model.sotto").is_err());
}

proptest! {
    #[test]
    fn a_packed_vocabulary_with_any_bytes_changed_is_a_tokenizer_or_an_error(
        changes in proptest::collection::vec((0..packed().len(), any::<u8>()), 1..4),
    ) {
        let mut packed = packed();
        changes.iter().for_each(|&(at, byte)| packed[at] = byte);
        if let Ok(tokenizer) = open(packed) {
            uses(&tokenizer, "ab <|endoftext|> ab");
            let _ = tokenizer.decode(&[0, 4, 5, 6, u32::MAX]);
        }
    }

    #[test]
    fn a_json_with_any_byte_changed_is_a_tokenizer_or_an_error(at in 0..SMALL.len(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut json = SMALL.as_bytes().to_vec();
        json[at] = byte;
        if cut {
            json.truncate(at);
        }
        if let Ok(tokenizer) = WhisperTokenizer::from_hugging_face_bytes(&json, "damaged.json") {
            uses(&tokenizer, "ab <|endoftext|> ab");
        }
    }

    #[test]
    fn any_list_is_a_vocabulary_or_an_error(
        tokens in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..6), 0..20),
        n_vocab in prop_oneof![0usize..24, Just(51_864), Just(51_865), Just(51_866), any::<usize>()],
    ) {
        let mut tokens = tokens;
        tokens.extend([b"<|endoftext|>".to_vec(), b"<|startoftranscript|>".to_vec()]);
        for n_vocab in [n_vocab, tokens.len()] {
            if let Ok(tokenizer) = WhisperTokenizer::from_vocabulary(tokens.clone(), n_vocab, "list") {
                uses(&tokenizer, "any text at all");
            }
        }
    }

    #[test]
    fn tokens_decoded_one_by_one_are_the_tokens_decoded_at_once(
        tokens in proptest::collection::vec(prop_oneof![0u32..260, Just(u32::MAX)], 0..40),
    ) {
        let mut list: Vec<Vec<u8>> = (0..=u8::MAX).map(|byte| vec![byte]).collect();
        list.extend([b"<|endoftext|>".to_vec(), b"<|startoftranscript|>".to_vec(), b"\xE2\x82".to_vec(), b"\xFF\xF0\x9F".to_vec()]);
        let size = list.len();
        let tokenizer = WhisperTokenizer::from_vocabulary(list, size, "bytes").expect("a sound list");
        let mut decoder = IncrementalDecoder::new();
        let mut streamed: String = tokens.iter().map(|&token| decoder.push(&tokenizer, token)).collect();
        streamed += &decoder.finish();
        prop_assert_eq!(streamed, tokenizer.decode(&tokens));
        for language in [None, Some("zh")] {
            let (words, word_tokens) = tokenizer.split_to_word_tokens(&tokens, language);
            prop_assert_eq!(words.len(), word_tokens.len());
            let joined = word_tokens.concat();
            prop_assert!(tokens.starts_with(&joined), "words keep the order of tokens");
        }
    }

    #[test]
    fn any_text_is_normalised(text in any::<String>(), spoken in "(( one| oh| twenty| hundred| and| a half| point| minus| double| cents| per| 5|\\.|\\$|,|%|')){0,20}") {
        for text in [&text, &spoken] {
            let _ = word_errors(&english(text), &basic(text, BasicOptions { remove_diacritics: true, split_letters: true }));
        }
    }
}

#[test]
fn a_megabyte_of_openings_is_normalised_in_linear_time() {
    let started = std::time::Instant::now();
    for unit in ["[", "(", "<", "'", " '", ".", "and a ", "$", "one hundred ", "%", "1,"] {
        let _ = english(&unit.repeat(200_000 / unit.len()));
    }
    // Quadratic scans of these would take hours; an unoptimised build under an emulator takes seconds.
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}
