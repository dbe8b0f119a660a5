//! Hugging Face, whisper.cpp and OpenAI files of the same model give the same tokenizer. Needs the files of
//! `SOTTO_DATA`; skips with a message without them.

use serde_json::Value;
use sotto_text::Tokenizer;
use sotto_text::whisper::{VocabMerges, WhisperTokenizer};
use std::path::{Path, PathBuf};

fn data(path: &str) -> Option<PathBuf> {
    Some(sotto_testkit::data_dir()?.join(path))
}

/// Vocabulary size and token list of a ggml file: eleven numbers, the mel filters, then tokens with their lengths.
fn ggml_vocabulary(path: &Path) -> (usize, Vec<Vec<u8>>) {
    let bytes = std::fs::read(path).expect("the header file is readable");
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize;
    let mut at = 56 + 4 * number(48) * number(52);
    let count = number(at);
    at += 4;
    let mut tokens = Vec::new();
    for _ in 0..count {
        let start = at + 4;
        at = start + number(at);
        tokens.push(bytes[start..at].to_vec());
    }
    (number(4), tokens)
}

const TEXTS: [&str; 8] = [
    " Hello world, it's 25 degrees; isn't it?",
    "  two  spaces\n\nand\ttabs  ",
    "<|endoftext|><|en|> <|0.00|>",
    "naïve café — “quotes” … ½ ² Ⅳ",
    "日本語のテキスト、ไทย, العربية, हिन्दी",
    "👩‍👩‍👧‍👦🏳️‍🌈 \u{0}\u{7f}\u{a0}\u{2028}",
    "don'T I'LL we'd've",
    "",
];

#[test]
fn english_vocabularies_of_all_sources_are_the_same() {
    let (Some(json), Some(ranks)) =
        (data("openai-whisper-tiny.en/tokenizer.json"), data("openai-whisper-tiny.en/gpt2.tiktoken"))
    else {
        return;
    };
    let started = std::time::Instant::now();
    let json = WhisperTokenizer::from_hugging_face(&json).unwrap();
    eprintln!("tokenizer.json of tiny.en loaded in {:?}", started.elapsed());
    let started = std::time::Instant::now();
    let ranks = WhisperTokenizer::from_tiktoken(&ranks, 51_864).unwrap();
    eprintln!("gpt2.tiktoken loaded in {:?}", started.elapsed());

    assert_eq!(json.vocab_size(), 51_864);
    assert_eq!(ranks.vocab_size(), 51_864);
    assert_eq!(json.special(), ranks.special());
    assert_eq!(json.languages(), ranks.languages());
    assert!(!json.is_multilingual() && !ranks.is_multilingual());
    for id in 0..51_864 {
        // Renamed since: Hugging Face's file of tiny.en has the older names, `nocaptions` and `iw`.
        if Some(id) != json.special().no_speech && Some(id) != json.language_token("he") {
            assert_eq!(json.token_bytes(id), ranks.token_bytes(id), "token {id}");
        }
        assert_eq!(json.is_text(id), ranks.is_text(id), "token {id}");
    }
    for text in TEXTS {
        let tokens = json.encode(text);
        assert_eq!(tokens, ranks.encode(text), "{text:?}");
        assert_eq!(json.decode(&tokens), text);
        assert!(tokens.iter().all(|&token| json.is_text(token)), "{text:?} became a control token");
    }
}

#[test]
fn a_vocabulary_with_merges_is_the_tokenizer_file_in_parts() {
    let Some(path) = data("openai-whisper-tiny.en/tokenizer.json") else { return };
    let json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let rules = json["model"]["merges"].as_array().unwrap().iter();
    let rules: Vec<String> = rules
        .map(|rule| match rule.as_str() {
            Some(rule) => rule.to_owned(),
            None => format!("{} {}", rule[0].as_str().unwrap(), rule[1].as_str().unwrap()),
        })
        .collect();
    let merges = format!("#version: 0.2\n{}\n", rules.join("\n"));
    let vocab = json["model"]["vocab"].to_string();
    let whole = WhisperTokenizer::from_hugging_face(&path).unwrap();
    // Old files end before the timestamps.
    for listed in [usize::MAX, 50_363] {
        let added = json["added_tokens"]
            .as_array()
            .unwrap()
            .iter()
            .take_while(|token| token["id"].as_u64().unwrap() < listed as u64);
        let added = added.map(|token| (token["content"].as_str().unwrap().to_owned(), token["id"].clone()));
        let added = Value::Object(added.collect()).to_string();
        let files = VocabMerges { vocab: vocab.as_bytes(), merges: merges.as_bytes(), added: Some(added.as_bytes()) };
        let parts = WhisperTokenizer::from_vocab_and_merges_bytes(files, 51_864, "tiny.en").unwrap();
        assert_eq!((parts.special(), parts.vocab_size()), (whole.special(), whole.vocab_size()));
        for id in 0..51_864 {
            assert_eq!((parts.token_bytes(id), parts.is_text(id)), (whole.token_bytes(id), whole.is_text(id)), "{id}");
        }
        for text in TEXTS {
            assert_eq!(parts.encode(text), whole.encode(text), "{text:?}");
        }
    }
}

/// Indented by four, one line per value, with non-ASCII characters escaped: like `json.dumps` with `indent=4`.
fn indented_and_escaped(json: &Value) -> String {
    let mut pretty = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    serde::Serialize::serialize(json, &mut serde_json::Serializer::with_formatter(&mut pretty, formatter))
        .expect("values have a text");
    let mut escaped = String::new();
    for c in String::from_utf8(pretty).expect("JSON is text").chars() {
        if c.is_ascii() {
            escaped.push(c);
        } else {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| escaped += &format!("\\u{unit:04x}"));
        }
    }
    escaped
}

#[test]
fn a_tokenizer_file_is_read_however_it_is_written() {
    let Some(path) = data("openai-whisper-tiny.en/tokenizer.json") else { return };
    let mut json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let expected = WhisperTokenizer::from_hugging_face(&path).unwrap();
    for rule in json["model"]["merges"].as_array_mut().unwrap() {
        if let Some(text) = rule.as_str() {
            *rule = text.split(' ').map(str::to_owned).collect::<Vec<_>>().into();
        }
    }
    let text = indented_and_escaped(&json);
    assert!(text.is_ascii() && text.len() > 4 << 20, "{} bytes", text.len());
    let found = WhisperTokenizer::from_hugging_face_bytes(text.as_bytes(), "indented.json").unwrap();
    assert!(found.to_packed() == expected.to_packed());
}

#[test]
fn timestamps_that_a_file_leaves_out_are_those_of_the_window() {
    for (folder, n_vocab) in [("openai-whisper-tiny.en", 51_864)] {
        let Some(folder) = data(folder) else { return };
        let early = WhisperTokenizer::from_hugging_face(&folder.join("tokenizer.early.json")).unwrap();
        let late = WhisperTokenizer::from_hugging_face(&folder.join("tokenizer.json")).unwrap();
        assert_eq!((early.special().timestamp_begin, early.is_multilingual()), (None, false));
        // They do not fit the vocabulary, or the count is invalid.
        for (n_vocab, count) in [(n_vocab - 1, 1501), (n_vocab, 1502), (n_vocab, 0), (n_vocab, usize::MAX)] {
            assert_eq!(early.clone().with_timestamps(n_vocab, count).special().timestamp_begin, None);
        }
        let completed = early.with_timestamps(n_vocab, 1501);
        assert_eq!((completed.special(), completed.vocab_size()), (late.special(), late.vocab_size()));
        for id in 0..n_vocab as u32 {
            assert_eq!(completed.token_bytes(id), late.token_bytes(id), "token {id}");
            assert_eq!(completed.is_text(id), late.is_text(id), "token {id}");
        }
        for text in TEXTS {
            assert_eq!(completed.encode(text), late.encode(text), "{text:?}");
        }
        let again = late.clone().with_timestamps(60_000, 1501);
        assert_eq!((again.special(), again.vocab_size()), (late.special(), late.vocab_size()));
    }
}

#[test]
fn the_control_tokens_beside_a_vocabulary_stand_in_any_of_three_files_or_in_none() {
    let Some(path) = data("openai-whisper-tiny.en/tokenizer.early.json") else { return };
    let json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let whole = WhisperTokenizer::from_hugging_face(&path).unwrap().with_timestamps(51_864, 1501);
    let rules = json["model"]["merges"].as_array().unwrap().iter();
    let rules: Vec<String> = rules
        .map(|rule| match rule.as_str() {
            Some(rule) => rule.to_owned(),
            None => format!("{} {}", rule[0].as_str().unwrap(), rule[1].as_str().unwrap()),
        })
        .collect();
    let added = || json["added_tokens"].as_array().unwrap().iter();
    let as_map = || {
        let entries = added().map(|token| (token["content"].as_str().unwrap().to_owned(), token["id"].clone()));
        entries.collect::<serde_json::Map<_, _>>()
    };
    let decoder: serde_json::Map<String, Value> =
        added().map(|token| (token["id"].to_string(), token.clone())).collect();
    let mut with_controls = json["model"]["vocab"].as_object().unwrap().clone();
    with_controls.extend(as_map());
    let vocab = json["model"]["vocab"].to_string();
    let folder = std::env::temp_dir().join(format!("sotto-vocabulary-{}", std::process::id()));
    for (kind, vocab, extra) in [
        ("added_tokens.json", vocab.clone(), Some(("added_tokens.json", Value::from(as_map()).to_string()))),
        (
            "tokenizer_config.json",
            vocab.clone(),
            Some(("tokenizer_config.json", serde_json::json!({ "added_tokens_decoder": decoder }).to_string())),
        ),
        ("vocab.json itself", Value::from(with_controls).to_string(), None),
        ("nowhere", vocab.clone(), None),
        ("nowhere, beside other settings", vocab, Some(("tokenizer_config.json", "{}".to_owned()))),
    ] {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("vocab.json"), vocab).unwrap();
        std::fs::write(folder.join("merges.txt"), format!("#version: 0.2\n{}\n", rules.join("\n"))).unwrap();
        if let Some((name, content)) = extra {
            std::fs::write(folder.join(name), content).unwrap();
        }
        let found = WhisperTokenizer::from_vocab_and_merges(&folder, 51_864);
        let multilingual = WhisperTokenizer::from_vocab_and_merges(&folder, 51_865);
        std::fs::remove_dir_all(&folder).unwrap();
        let found = found.unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!((found.vocab_size(), found.is_multilingual()), (whole.vocab_size(), false), "{kind}");
        let (special, expected) = (found.special(), whole.special());
        assert_eq!((special.eot, special.sot, special.no_speech), (expected.eot, expected.sot, expected.no_speech));
        assert_eq!(special.timestamp_begin, expected.timestamp_begin, "{kind}");
        for id in 0..50_257 {
            assert_eq!(found.token_bytes(id), whole.token_bytes(id), "{kind}: token {id}");
        }
        for text in TEXTS {
            assert_eq!(found.encode(text), whole.encode(text), "{kind}: {text:?}");
        }
        if kind.starts_with("nowhere") {
            let error = multilingual.unwrap_err().to_string();
            assert!(
                error.contains("<|startoftranscript|>"),
                "an English vocabulary has no multilingual controls: {error}"
            );
        }
    }
}

#[test]
fn special_tokens_of_english_and_multilingual_models_have_openai_numbers() {
    let Some(english) = data("openai-whisper-tiny.en/tokenizer.json") else { return };
    let english = WhisperTokenizer::from_hugging_face(&english).unwrap();
    let special = english.special();
    assert_eq!(
        (special.eot, special.sot, special.translate, special.transcribe),
        (50256, 50257, Some(50357), Some(50358))
    );
    assert_eq!((special.sot_lm, special.sot_prev, special.no_speech), (Some(50359), Some(50360), Some(50361)));
    assert_eq!(
        (special.no_timestamps, special.timestamp_begin, special.timestamp_count),
        (Some(50362), Some(50363), 1501)
    );
    assert_eq!(english.language_token("en"), Some(50258));

    let Some(ranks) = data("openai-whisper-tiny.en/multilingual.tiktoken") else { return };
    let tiny = WhisperTokenizer::from_tiktoken(&ranks, 51_865).unwrap();
    let special = tiny.special();
    assert!(tiny.is_multilingual());
    assert_eq!(
        (special.eot, special.sot, special.translate, special.transcribe),
        (50257, 50258, Some(50358), Some(50359))
    );
    assert_eq!(
        (special.no_speech, special.no_timestamps, special.timestamp_begin),
        (Some(50362), Some(50363), Some(50364))
    );
    assert_eq!(
        (tiny.language_token("en"), tiny.language_token("su"), tiny.language_token("yue")),
        (Some(50259), Some(50357), None)
    );

    let large = WhisperTokenizer::from_tiktoken(&ranks, 51_866).unwrap();
    assert_eq!(large.languages().len(), 100);
    assert_eq!((large.language_token("yue"), large.special().translate), (Some(50358), Some(50359)));
    assert_eq!((large.special().timestamp_begin, large.vocab_size()), (Some(50365), 51_866));
    assert_eq!(large.timestamp_steps(51_865), Some(1500));
    assert_eq!(large.timestamp_steps(51_866), None);
    assert_eq!(large.timestamp_steps(50_364), None);
}

#[test]
fn vocabularies_of_whisper_cpp_files_agree_with_the_rank_files() {
    for (ggml, ranks, n_vocab) in [
        ("for-tests-ggml-tiny.en.bin", "gpt2.tiktoken", 51_864),
        ("for-tests-ggml-base.en.bin", "gpt2.tiktoken", 51_864),
        ("for-tests-ggml-tiny.bin", "multilingual.tiktoken", 51_865),
    ] {
        let (Some(ggml), Some(ranks)) =
            (data(&format!("whisper-ggml-headers/{ggml}")), data(&format!("openai-whisper-tiny.en/{ranks}")))
        else {
            return;
        };
        let (stated, tokens) = ggml_vocabulary(&ggml);
        assert_eq!(stated, n_vocab);
        let ggml = WhisperTokenizer::from_vocabulary(tokens, n_vocab, "ggml").unwrap();
        let ranks = WhisperTokenizer::from_tiktoken(&ranks, n_vocab).unwrap();
        assert_eq!(ggml.special(), ranks.special());
        assert_eq!(ggml.vocab_size(), ranks.vocab_size());
        let mut lossy = 0;
        for id in 0..n_vocab as u32 {
            let (found, expected) = (ggml.token_bytes(id), ranks.token_bytes(id));
            if std::str::from_utf8(expected).is_ok() || expected.len() == 1 {
                assert_eq!(found, expected, "token {id}");
            } else {
                // These test files were written by a converter that replaced invalid UTF-8.
                assert_eq!(found, String::from_utf8_lossy(expected).as_bytes(), "token {id}");
                lossy += 1;
            }
        }
        assert!(lossy < 1500, "{lossy} damaged tokens");
        for text in TEXTS.into_iter().filter(|text| text.is_ascii()) {
            assert_eq!(ggml.encode(text), ranks.encode(text), "{text:?}");
        }
        for text in TEXTS {
            let tokens = ggml.encode(text);
            assert!(!tokens.is_empty() || text.is_empty());
            assert!(tokens.iter().all(|&token| ggml.is_text(token)));
        }
    }
}

#[test]
fn encoding_equals_the_tokenizers_crate() {
    let Some(path) = data("openai-whisper-tiny.en/tokenizer.json") else { return };
    let started = std::time::Instant::now();
    let oracle = tokenizers::Tokenizer::from_file(&path).unwrap();
    eprintln!("the tokenizers crate loads tokenizer.json in {:?}", started.elapsed());
    let ours = WhisperTokenizer::from_hugging_face(&path).unwrap();
    // The oracle matches control tokens in text, so such texts are left out.
    for text in TEXTS.into_iter().filter(|text| !text.contains("<|")) {
        let expected = oracle.encode_fast(text, false).unwrap();
        assert_eq!(ours.encode(text), expected.get_ids(), "{text:?}");
        assert_eq!(ours.decode(expected.get_ids()), text);
    }
}

#[test]
fn a_packed_vocabulary_is_the_one_that_was_packed() {
    let (Some(json), Some(ranks)) =
        (data("openai-whisper-tiny.en/tokenizer.json"), data("openai-whisper-tiny.en/gpt2.tiktoken"))
    else {
        return;
    };
    let json = WhisperTokenizer::from_hugging_face(&json).unwrap();
    let ranks = WhisperTokenizer::from_tiktoken(&ranks, 51_864).unwrap();
    for tokenizer in [json, ranks] {
        let packed = tokenizer.to_packed();
        assert!(packed == tokenizer.to_packed(), "the same tokenizer gives the same bytes");
        // In the middle of a file, at an odd address.
        let (start, end) = (3, 3 + packed.len());
        let file = [&[7; 3][..], &packed, &[7; 5]].concat();
        let started = std::time::Instant::now();
        let opened = WhisperTokenizer::from_packed(std::sync::Arc::new(file), start..end, "model.sotto").unwrap();
        eprintln!("{} bytes opened in {:?}", packed.len(), started.elapsed());
        assert_eq!(opened.special(), tokenizer.special());
        assert_eq!(opened.languages(), tokenizer.languages());
        assert_eq!(opened.vocab_size(), tokenizer.vocab_size());
        for id in 0..51_865 {
            assert_eq!(opened.token_bytes(id), tokenizer.token_bytes(id), "token {id}");
            assert_eq!(opened.is_text(id), tokenizer.is_text(id), "token {id}");
        }
        for text in TEXTS {
            assert_eq!(opened.encode(text), tokenizer.encode(text), "{text}");
        }
        assert_eq!(opened.non_speech_tokens(), tokenizer.non_speech_tokens());
        assert!(opened.to_packed() == packed);
    }
}

#[test]
fn the_compact_form_opens_as_the_same_tokenizer() {
    let Some(path) = data("openai-whisper-tiny.en/tokenizer.json") else { return };
    let tokenizer = WhisperTokenizer::from_hugging_face(&path).unwrap();
    let (full, compact) = (tokenizer.to_packed(), tokenizer.to_packed_compact());
    assert!(compact.len() < full.len() / 7, "{} and {} bytes", compact.len(), full.len());
    let length = compact.len();
    let opened = WhisperTokenizer::from_packed(std::sync::Arc::new(compact), 0..length, "model.sotto").unwrap();
    assert!(opened.to_packed() == full);
    for text in TEXTS {
        assert_eq!(opened.encode(text), tokenizer.encode(text), "{text}");
    }
}

#[test]
fn what_has_no_compact_form_keeps_its_full_one() {
    // Ids that do not follow the merge rules, and a vocabulary with ranks instead of rules.
    let odd = r#"{"added_tokens":[{"id":0,"content":"<|endoftext|>","special":true},
        {"id":1,"content":"<|startoftranscript|>","special":true}],"pre_tokenizer":{"type":"ByteLevel"},
        "model":{"type":"BPE","vocab":{"a":2,"ab":3,"b":4,"abb":5},"merges":["a b","ab b"]}}"#;
    let odd = WhisperTokenizer::from_hugging_face_bytes(odd.as_bytes(), "odd.json").unwrap();
    assert!(odd.to_packed_compact() == odd.to_packed());
    let Some(ranks) = data("openai-whisper-tiny.en/gpt2.tiktoken") else { return };
    let ranks = WhisperTokenizer::from_tiktoken(&ranks, 51_864).unwrap();
    assert!(ranks.to_packed_compact() == ranks.to_packed());
}
