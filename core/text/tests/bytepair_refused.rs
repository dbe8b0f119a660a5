//! A tokenizer.json that is damaged or needs unsupported settings: an error that names the file and the cause, within
//! limits of time and memory, and never a panic.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

use std::sync::Arc;

use proptest::prelude::*;
use sotto_testkit::heap::assert_soon;
use sotto_text::bytepair::{BytePairTokenizer, PreTokenizer, Split};
use sotto_text::{IncrementalDecoder, TextError, Tokenizer};

const SMALL: &str = concat!(
    r#"{"added_tokens":[{"id":9,"content":"<|end|>","special":true,"normalized":false,"rstrip":true},
{"id":10,"content":"<x>","normalized":true}],
"normalizer":{"type":"NFC"},
"pre_tokenizer":{"type":"Sequence","pretokenizers":[
{"type":"Split","pattern":{"Regex":"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|"#,
    r#" ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"},"behavior":"Isolated","invert":false},
{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]},
"post_processor":{"type":"TemplateProcessing","single":[]},"truncation":null,
"model":{"type":"BPE","dropout":null,"unk_token":null,"ignore_merges":false,
"vocab":{"a":4,"b":5,"ab":6,"Ġ":7,"<":0,">":1,"|":2,"x":3},"merges":["a b"]}}"#
);

fn open(json: &str) -> Result<BytePairTokenizer, TextError> {
    BytePairTokenizer::from_hugging_face_bytes(json.as_bytes(), "model.json")
}

/// `SMALL` with one part replaced.
fn with(part: &str, other: &str) -> String {
    assert!(SMALL.contains(part), "{part}");
    SMALL.replacen(part, other, 1)
}

/// The error of a file that must be refused; checks the time and that the error names the file.
fn refused(json: &str) -> TextError {
    let error = assert_soon(|| open(json).map(|_| ())).unwrap_err();
    let message = error.to_string();
    assert!(message.starts_with("model.json: ") && message.len() < 600, "{message}");
    error
}

#[test]
fn what_is_supported_opens() {
    let tokenizer = open(SMALL).unwrap();
    assert_eq!(tokenizer.pre_tokenizer(), &PreTokenizer::new(&[Split::Qwen2]).unwrap());
    assert_eq!(tokenizer.encode("ab<|end|> <x>ab"), [6, 0, 2, 2, 1, 7, 10, 6], "letters without a token are left out");
    assert_eq!(tokenizer.encode_with_controls("ab<|end|> <x>ab"), [6, 9, 10, 6]);
    // Old files do not name the type; some write rules as pairs; all may say that matches are kept.
    for json in [
        with(r#""type":"BPE","#, ""),
        with(r#"["a b"]"#, r#"[["a","b"]]"#),
        with(r#""behavior":"Isolated","invert":false"#, r#""behavior":"Removed","invert":true"#),
        with(r#"{"type":"NFC"}"#, r#"{"type":"Sequence","normalizers":[{"type":"NFC"}]}"#),
        with(r#""unk_token":null"#, r#""unk_token":null,"byte_fallback":false"#),
    ] {
        assert!(open(&json).unwrap().to_packed() == tokenizer.to_packed(), "{json}");
    }
}

#[test]
fn other_types_are_refused_by_name() {
    let unigram = r#"{"normalizer":{"type":"Precompiled","precompiled_charsmap":"AA=="},
        "pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true},
        "model":{"type":"Unigram","unk_id":0,"vocab":[["<unk>",0.0],["▁the",-3.2]],"byte_fallback":false}}"#;
    let word_piece = r###"{"normalizer":{"type":"BertNormalizer","lowercase":true},
        "pre_tokenizer":{"type":"BertPreTokenizer"},"model":{"type":"WordPiece","unk_token":"[UNK]",
        "continuing_subword_prefix":"##","vocab":{"[UNK]":0,"the":1}}}"###;
    let word_level = r#"{"model":{"type":"WordLevel","vocab":{"<unk>":0},"unk_token":"<unk>"}}"#;
    for (json, name) in [(unigram, "Unigram"), (word_piece, "WordPiece"), (word_level, "WordLevel")] {
        let error = refused(json);
        assert!(matches!(&error, TextError::Kind { kind, .. } if kind == name), "{error}");
        assert!(error.to_string().contains(&format!("of type {name};")), "{error}");
        let untyped = json.replace(&format!(r#""type":"{name}","#), "");
        assert!(matches!(refused(&untyped), TextError::Kind { .. }), "told by its parts");
    }
    let long = with(r#""type":"BPE""#, &format!(r#""type":"{}""#, "é".repeat(10_000)));
    assert!(matches!(refused(&long), TextError::Kind { .. }));
}

#[test]
fn settings_that_would_change_tokens_are_refused_by_name() {
    let replace = r#"{"type":"Replace","pattern":{"String":" "},"content":"▁"}"#;
    let digits = r#"{"type":"Digits","individual_digits":true},"#;
    for (part, other, named) in [
        (r#"{"type":"NFC"}"#, r#"{"type":"Lowercase"}"#, "normalizer Lowercase"),
        (r#"{"type":"NFC"}"#, replace, "normalizer Replace"),
        (
            r#"{"type":"NFC"}"#,
            r#"{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"NFKC"}]}"#,
            "normalizer NFKC",
        ),
        (r#""type":"Split""#, r#""type":"Whitespace""#, "pre-tokenizer Whitespace"),
        (r#""type":"Split""#, r#""type":"Metaspace","replacement":"▁""#, "pre-tokenizer Metaspace"),
        (r#"(?i:'s"#, r#"(?i:'x"#, "unknown regular expression (?i:'x|"),
        (r#""Regex":"#, r#""String":"#, "pre-tokenizer Split at"),
        (r#""Isolated""#, r#""MergedWithPrevious""#, "behavior MergedWithPrevious"),
        (r#""invert":false"#, r#""invert":true"#, "invert true"),
        (r#""behavior":"Isolated","#, "", "behavior missing"),
        (r#""add_prefix_space":false"#, r#""add_prefix_space":true"#, "add_prefix_space"),
        (r#"{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}"#, r#"{"type":"Digits"}"#, "no ByteLevel"),
        (r#"{"type":"Split""#, &format!(r#"{}{{"type":"Split""#, digits.repeat(5)), "more than 5 pre-tokenizers"),
        (r#""dropout":null"#, r#""dropout":0.1"#, "dropout"),
        (r#""dropout":null"#, r#""byte_fallback":true"#, "byte_fallback"),
        (r#""dropout":null"#, r#""end_of_word_suffix":"</w>""#, "suffix"),
        (r#""dropout":null"#, r###""continuing_subword_prefix":"##""###, "prefix"),
        (r#""unk_token":null"#, r#""unk_token":"<""#, "unk_token"),
        (r#""normalized":true"#, r#""normalized":true,"single_word":true"#, "added token 10"),
        (r#""<x>""#, "\"e\u{301}\"", "added token 10"),
    ] {
        let error = refused(&with(part, other));
        assert!(matches!(error, TextError::Unsupported { .. }), "{error}");
        assert!(error.to_string().contains(named), "{error}");
    }
    let start = SMALL.find(r#""pre_tokenizer""#).unwrap();
    let end = SMALL.find(r#""post_processor""#).unwrap();
    for (steps, named) in [
        ("", "no pre-tokenizer"),
        (r#""pre_tokenizer":null,"#, "no pre-tokenizer"),
        (r#""pre_tokenizer":{"type":"Sequence","pretokenizers":[]},"#, "empty sequence"),
        (r#""pre_tokenizer":{"type":"BertPreTokenizer"},"#, "pre-tokenizer BertPreTokenizer"),
    ] {
        let error = refused(&[&SMALL[..start], steps, &SMALL[end..]].concat());
        assert!(matches!(error, TextError::Unsupported { .. }) && error.to_string().contains(named), "{error}");
    }
}

/// Characters with byte fallback.
const CHARACTERS: &str = r#"{"normalizer":null,
"pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":false},
"decoder":{"type":"Sequence","decoders":[{"type":"Strip","content":" ","start":1,"stop":0}]},
"model":{"type":"BPE","unk_token":"x","byte_fallback":true,"vocab":{"▁":300,"a":301,"▁a":302BYTES},"merges":["▁ a"]}}"#;

#[test]
fn bytes_to_fall_back_to_must_be_complete_and_spaces_be_written_as_their_sign() {
    let bytes = |count: u32| (0..count).map(|byte| format!(r#","<0x{byte:02X}>":{byte}"#)).collect::<String>();
    let whole = CHARACTERS.replace("BYTES", &bytes(256));
    let tokenizer = open(&whole).unwrap();
    assert_eq!(tokenizer.encode("a é a"), [302, 300, 0xC3, 0xA9, 302]);
    assert_eq!(
        (tokenizer.decode(&[302, 300, 0xC3, 0xA9, 302]), tokenizer.decode(&[0xC3])),
        ("a é a".into(), "\u{fffd}".into())
    );
    assert!(tokenizer.is_text(0xC3));
    for (part, other, named) in [
        (bytes(256), bytes(255), "lacks some bytes"),
        (r#""a":301"#.into(), r#""a":301,"a b":303"#.into(), "token 303 with a space"),
        (r#""split":false"#.into(), r#""split":true"#.into(), "splits at spaces"),
        (r#""first""#.into(), r#""sometimes""#.into(), "prepend_scheme sometimes"),
        (r#""replacement":"▁""#.into(), r#""replacement":"_""#.into(), "another sign"),
        (r#""Metaspace""#.into(), r#""ByteLevel""#.into(), "pre-tokenizer ByteLevel"),
        (r#""normalizer":null"#.into(), r#""normalizer":{"type":"Lowercase"}"#.into(), "normalizer Lowercase"),
        (
            r#"{"normalizer":null"#.into(),
            r#"{"added_tokens":[{"id":400,"content":"<y>","normalized":true,"rstrip":true}],"normalizer":null"#.into(),
            "added token 400",
        ),
    ] {
        let message = refused(&whole.replacen(&part, &other, 1)).to_string();
        assert!(message.contains(named), "{named}: {message}");
    }
    let none =
        whole.replace(r#"{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":false}"#, "null");
    assert!(refused(&none).to_string().contains("without ▁"));
}

#[test]
fn damage_is_named() {
    use TextError as E;
    let is = |part: &str, other: &str, expected: fn(&E) -> bool| {
        let error = refused(&with(part, other));
        assert!(expected(&error), "{error}");
    };
    is(r#""merges":["a b"]"#, r#""merges":["a z"]"#, |e| matches!(e, E::Merge { index: 0, .. }));
    is(r#""merges":["a b"]"#, r#""merges":["ab"]"#, |e| matches!(e, E::Json { .. }));
    is(r#","merges":["a b"]"#, "", |e| matches!(e, E::Json { .. }));
    is(r#""vocab":{"#, r#""vocab":[],"old":{"#, |e| matches!(e, E::Json { .. }));
    is(r#""a":4"#, r#""a":5"#, |e| matches!(e, E::DuplicateId { id: 5, .. }));
    is(r#""a":4"#, r#""b":4"#, |e| matches!(e, E::DuplicateToken { .. }));
    is(r#""a":4"#, r#""a":1048576"#, |e| matches!(e, E::IdTooLarge { .. }));
    is(r#"{"id":9"#, r#"{"id":4"#, |e| matches!(e, E::DuplicateId { id: 4, .. }));
    for length in (0..SMALL.len()).filter(|&length| SMALL.is_char_boundary(length)) {
        assert!(matches!(open(&SMALL[..length]), Err(E::Json { .. })), "cut at {length}");
    }
    refused(&"[".repeat(1 << 20));
    let steps = r#"{"type":"Digits"},"#.repeat(100);
    is(r#"{"type":"Split""#, &format!(r#"{steps}{{"type":"Split""#), |e| matches!(e, E::Json { .. }));
    let huge = vec![b' '; (64 << 20) + 1];
    let error = BytePairTokenizer::from_hugging_face_bytes(&huge, "model.json").unwrap_err();
    assert!(matches!(error, E::TooLarge { .. }), "{error}");
    let error = BytePairTokenizer::from_hugging_face(std::path::Path::new("no/such.json")).unwrap_err();
    assert!(matches!(error, E::Read { .. }), "{error}");
}

#[test]
fn tokens_that_overlap_in_many_ways_take_no_quadratic_time() {
    let added: Vec<String> =
        (1..400).map(|n| format!(r#"{{"id":{},"content":"{}","lstrip":true}}"#, n + 20, "a".repeat(n))).collect();
    let spaces = r#"{"id":900,"content":" ","lstrip":true,"rstrip":true}"#;
    let tokenizer = open(&with(r#"{"id":10,"#, &format!(r#"{},{spaces},{{"id":10,"#, added.join(",")))).unwrap();
    let started = std::time::Instant::now();
    for text in ["a".repeat(200_000), " ".repeat(200_000), "a ".repeat(100_000), format!("{}b", "a".repeat(200_000))] {
        assert!(!tokenizer.encode(&text).is_empty());
    }
    // Quadratic would be 10^10 steps of 400 tokens each.
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}

fn uses(tokenizer: &BytePairTokenizer) {
    let text = "ab <|end|> \u{301} <x>ab's 12\n";
    let tokens = tokenizer.encode(text);
    assert!(tokens.iter().all(|&token| tokenizer.is_text(token)), "text became a control token");
    let _ = tokenizer.encode_with_controls(text);
    let all: Vec<u32> = (0..tokenizer.vocab_size().min(64) as u32).chain([u32::MAX]).collect();
    let mut decoder = IncrementalDecoder::new();
    let mut streamed: String = all.iter().map(|&token| decoder.push(tokenizer, token)).collect();
    streamed += &decoder.finish();
    assert_eq!(streamed, tokenizer.decode(&all));
}

#[test]
fn a_packed_tokenizer_is_refused_wherever_it_is_cut() {
    let packed = open(SMALL).unwrap().to_packed();
    for length in 0..packed.len() {
        let cut = packed[..length].to_vec();
        let error = BytePairTokenizer::from_packed(Arc::new(cut), 0..length, "model.sotto").unwrap_err();
        assert!(matches!(error, TextError::Packed { .. }), "{error}");
    }
    // Unknown pre-tokenizers and unknown settings.
    for (at, byte) in [(25, 8), (26, 1), (27, 0x11), (24, 0x40)] {
        let mut other = packed.clone();
        other[at] = byte;
        let length = other.len();
        let error = BytePairTokenizer::from_packed(Arc::new(other), 0..length, "model.sotto").unwrap_err();
        assert!(error.to_string().contains("header is impossible"), "{error}");
    }
}

proptest! {
    #[test]
    fn a_packed_tokenizer_with_any_bytes_changed_is_a_tokenizer_or_an_error(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut packed = open(SMALL).unwrap().to_packed();
        let length = packed.len();
        changes.iter().for_each(|(at, byte)| packed[at.index(length)] = *byte);
        if let Ok(tokenizer) = BytePairTokenizer::from_packed(Arc::new(packed), 0..length, "model.sotto") {
            uses(&tokenizer);
        }
    }

    #[test]
    fn a_json_with_any_byte_changed_is_a_tokenizer_or_an_error(at in 0..SMALL.len(), byte in any::<u8>()) {
        let mut json = SMALL.as_bytes().to_vec();
        json[at] = byte;
        if let Ok(tokenizer) = BytePairTokenizer::from_hugging_face_bytes(&json, "model.json") {
            uses(&tokenizer);
        }
    }
}

/// The seeds of the fuzz targets must be valid.
#[test]
fn the_seeds_of_the_fuzz_targets_open() {
    let folder = |name: &str| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(name);
    let files = |name: &str| std::fs::read_dir(folder(name)).unwrap().map(|entry| entry.unwrap().path());
    for path in files("text_bytepair_json") {
        uses(&BytePairTokenizer::from_hugging_face(&path).unwrap());
    }
    for path in files("text_bytepair_packed") {
        let packed = std::fs::read(path).unwrap();
        let length = packed.len();
        uses(&BytePairTokenizer::from_packed(Arc::new(packed), 0..length, "seed").unwrap());
    }
}
