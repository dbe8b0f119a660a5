//! Small vocabularies with Whisper's control tokens, as used by the starter recognizer and tests.

use sotto_text::whisper::WhisperTokenizer;
use sotto_text::{TextError, Tokenizer};

/// A tokenizer.json of a handful of tokens; `edit` may damage it.
fn small(edit: impl Fn(String) -> String) -> Result<WhisperTokenizer, TextError> {
    let json = r#"{
      "version": "1.0", "truncation": null, "padding": null,
      "added_tokens": [
        {"id": 0, "content": "<|endoftext|>", "special": true},
        {"id": 1, "content": "<|startoftranscript|>", "special": true},
        {"id": 2, "content": "<|en|>", "special": true},
        {"id": 3, "content": "<|transcribe|>", "special": true},
        {"id": 4, "content": "<|notimestamps|>", "special": true},
        {"id": 5, "content": "<|0.00|>", "special": false},
        {"id": 6, "content": "<|0.02|>", "special": false}
      ],
      "normalizer": null,
      "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
      "post_processor": null,
      "decoder": {"type": "ByteLevel"},
      "model": {
        "type": "BPE", "dropout": null, "unk_token": null,
        "continuing_subword_prefix": null, "end_of_word_suffix": null,
        "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
        "vocab": {"<|endoftext|>": 0, "Ġ": 7, "o": 8, "n": 9, "e": 10, "t": 11, "w": 12, "Ġo": 13, "Ġt": 14, "ne": 15,
          "Ġone": 16, "wo": 17, "Ġtwo": 18, "é": 19, "Ã": 20},
        "merges": ["Ġ o", "Ġ t", ["n", "e"], "Ġo ne", "w o", "Ġt wo"]
      }
    }"#;
    WhisperTokenizer::from_hugging_face_bytes(edit(json.to_owned()).as_bytes(), "small.json")
}

fn replaced(from: &'static str, to: &'static str) -> Result<WhisperTokenizer, TextError> {
    small(|json| {
        assert!(json.contains(from), "{from}");
        json.replacen(from, to, 1)
    })
}

#[test]
fn a_small_vocabulary_is_a_full_tokenizer() {
    let tokenizer = small(|json| json).unwrap();
    let special = tokenizer.special();
    assert_eq!((special.eot, special.sot, special.transcribe, special.no_timestamps), (0, 1, Some(3), Some(4)));
    assert_eq!((special.timestamp_begin, special.timestamp_count), (Some(5), 2));
    assert_eq!((special.translate, special.no_speech, special.sot_prev, special.sot_lm), (None, None, None, None));
    assert_eq!(tokenizer.languages(), [("en", 2)]);
    assert!(!tokenizer.is_multilingual());
    assert_eq!(tokenizer.encode(" one two one"), [16, 18, 16]);
    assert_eq!(tokenizer.encode("two none"), [11, 17, 7, 9, 8, 15]);
    assert_eq!(tokenizer.encode("<|endoftext|>"), [10, 9, 8, 11, 10, 11], "bytes that no token has are left out");
    assert_eq!(tokenizer.decode(&[1, 2, 3, 5, 16, 18, 6, 0, 99]), " one two");
    assert_eq!(tokenizer.decode_with_controls(&[5, 16, 6]), "<|0.00|> one<|0.02|>");
    assert_eq!(tokenizer.timestamp_steps(6), Some(1));
    assert_eq!(tokenizer.timestamp_steps(7), None);
    assert_eq!(tokenizer.decode(&[20, 19]), "\u{fffd}\u{fffd}", "0xC3 0xE9 is no UTF-8");
}

#[test]
fn damage_is_named() {
    use TextError as E;
    let is = |result: Result<WhisperTokenizer, TextError>, expected: fn(&TextError) -> bool| {
        let error = result.unwrap_err();
        assert!(expected(&error), "{error}");
        assert!(error.to_string().starts_with("small.json: "), "{error}");
    };
    is(small(|json| json[..json.len() / 2].to_owned()), |e| matches!(e, E::Json { .. }));
    is(small(|_| String::new()), |e| matches!(e, E::Json { .. }));
    is(small(|_| "[".repeat(100_000)), |e| matches!(e, E::Json { .. }));
    is(small(|_| "RIFF\u{0}".to_owned()), |e| matches!(e, E::Json { .. }));
    is(replaced("\"é\": 19", "\"é\": 18"), |e| matches!(e, E::DuplicateId { id: 18, .. }));
    is(replaced("\"é\": 19", "\"e\": 19"), |e| matches!(e, E::DuplicateToken { first: 10, second: 19, .. }));
    is(replaced("\"é\": 19", "\"é\": 4294967295"), |e| matches!(e, E::IdTooLarge { id: 4_294_967_295, .. }));
    is(replaced("\"é\": 19", "\"é\": 18446744073709551615"), |e| matches!(e, E::IdTooLarge { .. }));
    is(replaced("\"é\": 19", "\"é\": -1"), |e| matches!(e, E::Json { .. }));
    is(replaced("<|startoftranscript|>", "<|start|>"), |e| {
        matches!(e, E::MissingSpecial { token: "<|startoftranscript|>", .. })
    });
    is(replaced("<|0.02|>", "<|0.04|>"), |e| matches!(e, E::Timestamps { token: 6, .. }));
    is(replaced("\"Ġ o\"", "\"Ġ x\""), |e| matches!(e, E::Merge { index: 0, .. }));
    is(replaced("\"w o\"", "\"w e\""), |e| matches!(e, E::Merge { index: 4, .. }));
    is(replaced("\"w o\"", "\"wo\""), |e| matches!(e, E::Json { .. }));
    is(replaced("\"w o\"", "[\"w\", \"o\", \"o\"]"), |e| matches!(e, E::Json { .. }));
    is(replaced("\"BPE\"", "\"Unigram\""), |e| matches!(e, E::Kind { kind, .. } if kind == "Unigram"));
    is(replaced("\"normalizer\": null", "\"normalizer\": {\"type\": \"NFC\"}"), |e| matches!(e, E::Unsupported { .. }));
    is(replaced("\"use_regex\": true", "\"use_regex\": false"), |e| matches!(e, E::Unsupported { .. }));
    is(replaced("\"byte_fallback\": false", "\"byte_fallback\": true"), |e| matches!(e, E::Unsupported { .. }));
}

#[test]
fn a_prefix_space_is_added_where_the_file_asks_for_it() {
    let tokenizer = replaced("\"add_prefix_space\": false", "\"add_prefix_space\": true").unwrap();
    assert_eq!(tokenizer.encode("one two"), [16, 18]);
    assert_eq!(tokenizer.encode(""), [] as [u32; 0]);
}

#[test]
fn a_listed_vocabulary_works_without_json() {
    let tokens = [
        "<|endoftext|>",
        "<|startoftranscript|>",
        "<|en|>",
        "<|de|>",
        "<|0.00|>",
        " ",
        "o",
        "n",
        "e",
        " o",
        "ne",
        " one",
        "<|>",
    ];
    let list = |tokens: &[&str]| tokens.iter().map(|token| token.as_bytes().to_vec()).collect::<Vec<_>>();
    let tokenizer = WhisperTokenizer::from_vocabulary(list(&tokens), tokens.len(), "list").unwrap();
    assert_eq!(tokenizer.encode(" one on"), [11, 9, 7]);
    assert!(tokenizer.is_multilingual());
    assert!(tokenizer.is_text(12));
    for (count, size) in [(12, 13), (13, 51_864), (0, 51_865), (13, usize::MAX)] {
        let error = WhisperTokenizer::from_vocabulary(list(&tokens[..count]), size, "list").unwrap_err();
        assert!(matches!(error, TextError::Size { .. }), "{error}");
    }
    let error = WhisperTokenizer::from_vocabulary(list(&tokens[1..]), 12, "list").unwrap_err();
    assert!(matches!(error, TextError::MissingSpecial { .. }), "{error}");
}

#[test]
fn unreadable_files_and_folders_are_named() {
    for path in ["no/such/tokenizer.json", "."] {
        let error = WhisperTokenizer::from_hugging_face(std::path::Path::new(path)).unwrap_err();
        assert!(matches!(error, TextError::Read { .. }), "{error}");
        assert!(error.to_string().starts_with(path), "{error}");
    }
}

#[test]
fn a_file_larger_than_any_vocabulary_is_refused_unread() {
    let path = std::env::temp_dir().join(format!("sotto-huge-{}.json", std::process::id()));
    // A sparse file: a gigabyte long, but nothing is written.
    std::fs::File::create(&path).unwrap().set_len(1 << 30).unwrap();
    let error = WhisperTokenizer::from_hugging_face(&path).unwrap_err();
    std::fs::remove_file(&path).unwrap();
    // Who reads stops behind the limit; only who asks the system knows the whole length.
    assert!(matches!(error, TextError::TooLarge { bytes: 1_073_741_824, .. }), "{error}");
}
