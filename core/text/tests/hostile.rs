//! Damaged and hostile input of every kind: a value or a typed error, within 100 ms and 50 MB, and never a panic.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

use std::sync::Arc;

use proptest::prelude::*;
use sotto_testkit::heap::assert_soon;
use sotto_text::Tokenizer;
use sotto_text::metrics::word_errors;
use sotto_text::normalize::{BasicOptions, basic, english};
use sotto_text::whisper::WhisperTokenizer;
use sotto_text::{IncrementalDecoder, TextError};

const SMALL: &str = r#"{"added_tokens":[{"id":0,"content":"<|endoftext|>","special":true},
{"id":1,"content":"<|startoftranscript|>","special":true},{"id":2,"content":"<|0.00|>"},{"id":3,"content":"<|0.02|>"}],
"pre_tokenizer":{"type":"ByteLevel"},"model":{"type":"BPE","vocab":{"a":4,"b":5,"ab":6,"Ġ":7},"merges":["a b"]}}"#;

fn uses(tokenizer: &WhisperTokenizer, text: &str) {
    let tokens = tokenizer.encode(text);
    assert!(tokens.iter().all(|&token| tokenizer.is_text(token)));
    let _ = tokenizer.split_to_word_tokens(&tokens);
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
        let error = assert_soon(|| open(packed[..length].to_vec()).map(|_| ())).unwrap_err().to_string();
        assert!(error.contains("model.sotto"), "{error}");
    }
    assert!(open([&packed[..], &[0]].concat()).is_err());
    assert!(WhisperTokenizer::from_packed(Arc::new(packed), 8..usize::MAX, "model.sotto").is_err());
}

#[test]
fn a_packed_vocabulary_of_tokens_that_are_found_whole_is_not_whispers() {
    let sound = packed();
    for (id, kind) in [(3, 0x11), (6, 0xB4), (0, 0x92)] {
        let mut packed = sound.clone();
        // The kinds are stored before the bytes of the 8 tokens.
        let bytes = u32::from_le_bytes(packed[20..24].try_into().unwrap()) as usize;
        let at = packed.len() - bytes - 8 + id;
        packed[at] = kind;
        let error = open(packed).unwrap_err();
        assert!(matches!(error, TextError::Unsupported { .. }), "{error}");
    }
}

/// Two single tokens, `rules` merge rules and control tokens: a vocabulary with a compact form.
fn compact(rules: usize) -> Vec<u8> {
    let mut tokens = vec!["a".to_owned(), "b".to_owned(), "ab".to_owned()];
    let mut merges = vec![r#""a b""#.to_owned()];
    for _ in 1..rules {
        let last = tokens.last().unwrap().clone();
        merges.push(format!(r#""{last} a""#));
        tokens.push(last + "a");
    }
    let listed: Vec<String> = tokens.iter().enumerate().map(|(id, token)| format!(r#""{token}":{id}"#)).collect();
    let (first, second) = (tokens.len(), tokens.len() + 1);
    let json = format!(
        r#"{{"added_tokens":[{{"id":{first},"content":"<|endoftext|>","special":true}},
        {{"id":{second},"content":"<|startoftranscript|>","special":true}}],"pre_tokenizer":{{"type":"ByteLevel"}},
        "model":{{"type":"BPE","vocab":{{{}}},"merges":[{}]}}}}"#,
        listed.join(","),
        merges.join(",")
    );
    WhisperTokenizer::from_hugging_face_bytes(json.as_bytes(), "small.json").unwrap().to_packed_compact()
}

#[test]
fn a_compact_vocabulary_is_refused_wherever_it_is_cut() {
    let packed = compact(3);
    assert_eq!(packed[4], 2, "the compact form");
    uses(&open(packed.clone()).unwrap(), "abaab");
    for length in 0..packed.len() {
        let error = assert_soon(|| open(packed[..length].to_vec()).map(|_| ())).unwrap_err().to_string();
        assert!(error.contains("model.sotto"), "{error}");
    }
    assert!(open([&packed[..], &[0]].concat()).is_err());
}

#[test]
fn rules_that_double_and_double_again_are_refused_in_time_and_memory() {
    let mut packed = compact(60);
    // Each rule joins the result of the one before with itself.
    for rank in 1..60_u16 {
        let at = 28 + 4 * usize::from(rank);
        let last = (rank + 1).to_le_bytes();
        packed[at..at + 4].copy_from_slice(&[last, last].concat());
    }
    let error = assert_soon(|| open(packed.clone()).map(|_| ())).unwrap_err().to_string();
    assert!(error.contains("its tokens are too long"), "{error}");
    // A rule that joins itself.
    let mut packed = compact(3);
    packed[28..30].copy_from_slice(&2_u16.to_le_bytes());
    assert!(open(packed).unwrap_err().to_string().contains("later"));
}

/// The error message of a file that must be refused; checks the time and that the message names the file.
fn refused(json: &str) -> String {
    let open = || WhisperTokenizer::from_hugging_face_bytes(json.as_bytes(), "hostile.json").map(|_| ());
    let message = assert_soon(open).unwrap_err().to_string();
    assert!(message.starts_with("hostile.json: ") && message.len() < 600, "{message}");
    message
}

/// `SMALL` with one part replaced.
fn with(part: &str, other: &str) -> String {
    assert!(SMALL.contains(part));
    SMALL.replacen(part, other, 1)
}

#[test]
fn files_that_swell_when_they_are_read_are_refused_in_time_and_memory() {
    let tokens: String = (0..230_000).map(|id| format!(r#""{id:x}":{id},"#)).collect();
    assert!(refused(&with(r#""a":4,"#, &tokens)).contains("more than 131072 tokens"));
    let rules = r#"["a","b"],"#.repeat(350_000);
    assert!(refused(&with(r#""a b""#, &format!(r#"{rules}"a b""#))).contains("more than 131072 entries"));
    let added = r#"{"id":9,"content":"x"},"#.repeat(150_000);
    assert!(refused(&with("{\"id\":0,", &format!("{added}{{\"id\":2000000,"))).contains("more than 16384 entries"));
    // A token of half a million spaces is odd, but a token.
    let long = with("Ġ", &"\\u0120".repeat(600_000));
    assert!(assert_soon(|| WhisperTokenizer::from_hugging_face_bytes(long.as_bytes(), "long.json").is_ok()));
    refused(&"[".repeat(4 << 20));
    assert!(refused(&" ".repeat((16 << 20) + 1)).contains("at most 16777216"));
    refused(&with(r#""b":5"#, r#""b":1048576"#));
    refused(&with(r#""b":5"#, r#""b":-1"#));
    refused(&with(r#""a b""#, r#""a z""#));
}

#[test]
fn rank_files_are_refused_in_time_and_memory() {
    let refused = |ranks: &[u8]| {
        let open = || WhisperTokenizer::from_tiktoken_bytes(ranks, 51_864, "hostile.tiktoken").map(|_| ());
        let message = assert_soon(open).unwrap_err().to_string();
        assert!(message.starts_with("hostile.tiktoken: "), "{message}");
        message
    };
    let long: String = (0..250_000).map(|rank| format!("IQ== {rank}\n")).collect();
    assert!(refused(long.as_bytes()).contains("more tokens than any Whisper model has"));
    for ranks in [&b""[..], b"IQ==", b"IQ== 0\nIg== 2\n", b"\xff\xfe 0\n", b"!! 0\n", b"IQ== 99999999999999999999\n"] {
        refused(ranks);
    }
    refused(&b"\n".repeat(4 << 20));
    assert!(refused(&b"A".repeat((16 << 20) + 1)).contains("at most 16777216"));
}

#[test]
fn lists_that_no_model_has_are_refused_in_time_and_memory() {
    for (tokens, n_vocab) in
        [(0, 51_864), (10, 51_865), (50_000, 51_864), (300_000, 51_866), (300_000, 7), (3, usize::MAX)]
    {
        let list = vec![b"x".to_vec(); tokens];
        let open = || WhisperTokenizer::from_vocabulary(list.clone(), n_vocab, "hostile.bin").map(|_| ());
        let message = assert_soon(open).unwrap_err().to_string();
        assert!(message.starts_with("hostile.bin: "), "{message}");
    }
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
    fn a_compact_vocabulary_with_any_bytes_changed_is_a_tokenizer_or_an_error(
        changes in proptest::collection::vec((0..compact(5).len(), any::<u8>()), 1..4),
    ) {
        let mut packed = compact(5);
        changes.iter().for_each(|&(at, byte)| packed[at] = byte);
        if let Ok(tokenizer) = open(packed) {
            uses(&tokenizer, "ab <|endoftext|> abaab");
            let _ = tokenizer.decode(&[0, 4, 5, 6, u32::MAX]);
        }
    }

    #[test]
    fn a_json_with_any_byte_changed_is_a_tokenizer_or_an_error(
        at in 0..SMALL.len(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
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
        let others: [&[u8]; 4] = [b"<|endoftext|>", b"<|startoftranscript|>", b"\xE2\x82", b"\xFF\xF0\x9F"];
        list.extend(others.map(<[u8]>::to_vec));
        let size = list.len();
        let tokenizer = WhisperTokenizer::from_vocabulary(list, size, "bytes").expect("a sound list");
        let mut decoder = IncrementalDecoder::new();
        let mut streamed: String = tokens.iter().map(|&token| decoder.push(&tokenizer, token)).collect();
        streamed += &decoder.finish();
        prop_assert_eq!(streamed, tokenizer.decode(&tokens));
        let (words, word_tokens) = tokenizer.split_to_word_tokens(&tokens);
        prop_assert_eq!(words.len(), word_tokens.len());
        prop_assert!(tokens.starts_with(&word_tokens.concat()), "words keep the order of tokens");
    }

    #[test]
    fn any_text_is_normalised(
        text in any::<String>(),
        spoken in "(( one| oh| twenty| hundred| and| a half| point| minus| double| cents| per| 5|\\.|\\$|,|%|')){0,20}",
    ) {
        for text in [&text, &spoken] {
            let options = BasicOptions { remove_diacritics: true, split_letters: true };
            let _ = word_errors(&english(text), &basic(text, options));
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
