//! Equality with the reference implementations; each golden file names its script and versions. Exact: no tolerance.
//! Tokenizers need the vocabulary files of `SOTTO_DATA`, and skip with a message without them.

use serde_json::Value;
use sha2::{Digest, Sha256};
use sotto_text::metrics::{ErrorCounts, character_errors, word_errors};
use sotto_text::normalize::{BasicOptions, basic, english};
use sotto_text::whisper::WhisperTokenizer;
use sotto_text::{IncrementalDecoder, Tokenizer};
use std::collections::HashMap;

fn golden(name: &str) -> Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens").join(name);
    let text = std::fs::read_to_string(&path).expect("the golden file is part of the repository");
    serde_json::from_str(&text).expect("the golden file is JSON")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

fn ids(value: &Value) -> Vec<u32> {
    list(value).iter().map(|id| id.as_u64().and_then(|id| u32::try_from(id).ok()).expect("an id")).collect()
}

fn tokenizer(file: &str, n_vocab: usize) -> Option<WhisperTokenizer> {
    let path = sotto_testkit::data_dir()?.join("openai-whisper-tiny.en").join(file);
    Some(WhisperTokenizer::from_tiktoken(&path, n_vocab).expect("a sound rank file"))
}

#[test]
fn tokens_equal_openai_whisper() {
    let (Some(english), Some(multilingual)) =
        (tokenizer("gpt2.tiktoken", 51_864), tokenizer("multilingual.tiktoken", 51_865))
    else {
        return;
    };
    let golden = golden("tokenizer.json");
    assert!(list(&golden["strings"]).len() > 150);
    for row in list(&golden["strings"]) {
        let input = text(&row["text"]);
        for (tokenizer, expected) in [(&english, &row["english"]), (&multilingual, &row["multilingual"])] {
            let tokens = ids(expected);
            assert_eq!(tokenizer.encode(input), tokens, "{input:?}");
            assert_eq!(tokenizer.decode(&tokens), input);
            let mut decoder = IncrementalDecoder::new();
            let mut streamed: String = tokens.iter().map(|&token| decoder.push(tokenizer, token)).collect();
            streamed += &decoder.finish();
            assert_eq!(streamed, input, "decoded token by token");
        }
    }
}

/// Words here are split only at spaces and by scripts, so each consists of whole words of the reference, and of whole
/// characters.
#[test]
fn words_are_made_of_whole_words_of_openai_whisper() {
    let Some(tokenizer) = tokenizer("multilingual.tiktoken", 51_865) else { return };
    let golden = golden("tokenizer.json");
    assert!(list(&golden["words"]).len() > 100);
    let ends = |words: &[Vec<u32>]| {
        words
            .iter()
            .scan(0, |end, word| Some(std::mem::replace(end, *end + word.len()) + word.len()))
            .collect::<Vec<_>>()
    };
    for row in list(&golden["words"]) {
        let tokens = ids(&row["tokens"]);
        let (words, word_tokens) = tokenizer.split_to_word_tokens(&tokens);
        for (reference, spaces) in [(&row["spaces"], true), (&row["characters"], false)] {
            let expected: Vec<Vec<u32>> = list(&reference[1]).iter().map(ids).collect();
            let texts: String = list(&reference[0]).iter().map(text).collect();
            assert_eq!(words.concat(), texts, "{tokens:?}");
            assert_eq!(word_tokens.concat(), expected.concat(), "{tokens:?}");
            // The reference joins scripts without spaces unless it is told the language, and words to a timestamp.
            let joins = texts.chars().any(|c| c >= '\u{0e00}') || texts.contains("<|");
            if !(spaces && joins) {
                let expected = ends(&expected);
                assert!(ends(&word_tokens).iter().all(|end| expected.contains(end)), "{words:?}");
            }
        }
    }
}

#[test]
fn words_are_split_at_spaces_and_scripts() {
    let Some(tokenizer) = tokenizer("multilingual.tiktoken", 51_865) else { return };
    for (text, expected) in [
        (" It rose 3.5%, to $10,000.", &[" It", " rose", " 3.5%,", " to", " $10,000."][..]),
        (" AT&T. Well-known o'clock", &[" AT&T.", " Well-known", " o'clock"]),
        (" \"Yes,\" he said... (no) – really!", &[" \"Yes,\"", " he", " said...", " (no) –", " really!"]),
        (" - Yes - no", &[" - Yes -", " no"]),
        (" ¿ Que ? \" hola \" fin \"", &[" ¿ Que ?", " \" hola", " \" fin \""]),
        (" 5 + 3 = 8 & more", &[" 5", " +", " 3", " =", " 8", " &", " more"]),
        ("...", &["..."]),
        ("Déjà vu", &["Déjà", " vu"]),
        ("我去。他看见了！", &["我", "去。", "他", "看", "见", "了！"]),
        ("コンピュータです。", &["コンピュータ", "です。"]),
        ("「行く」", &["「行", "く」"]),
        ("我用 iPhone 15 打", &["我", "用", " iPhone", " 15", " 打"]),
        ("แม่ไป", &["แม่", "ไป"]),
        ("그는 갔다.", &["그는", " 갔다."]),
        ("", &[]),
    ] {
        let (words, tokens) = tokenizer.split_to_word_tokens(&tokenizer.encode(text));
        assert_eq!(words, expected, "{text}");
        assert_eq!(tokens.concat(), tokenizer.encode(text));
    }
}

#[test]
fn non_speech_tokens_equal_openai_whisper() {
    let golden = golden("tokenizer.json");
    for (file, n_vocab, name) in [
        ("gpt2.tiktoken", 51_864, "english"),
        ("multilingual.tiktoken", 51_865, "multilingual"),
        ("multilingual.tiktoken", 51_866, "large"),
    ] {
        let Some(tokenizer) = tokenizer(file, n_vocab) else { return };
        assert_eq!(tokenizer.non_speech_tokens(), ids(&golden["non_speech"][name]), "{name}");
    }
}

const PLAIN: BasicOptions = BasicOptions { remove_diacritics: true, split_letters: false };
const LETTERS: BasicOptions = BasicOptions { remove_diacritics: false, split_letters: true };

#[test]
fn english_normaliser_equals_openai_whisper() {
    let golden = golden("normalizer.json");
    let rows = list(&golden["english"]);
    assert!(rows.len() > 400);
    let differing: Vec<_> = rows
        .iter()
        .map(|row| (text(&row[0]), english(text(&row[0])), text(&row[1])))
        .filter(|(_, ours, expected)| ours != expected)
        .collect();
    assert!(differing.is_empty(), "{} of {}: {differing:#?}", differing.len(), rows.len());
}

#[test]
fn basic_normaliser_equals_openai_whisper() {
    let golden = golden("normalizer.json");
    for row in list(&golden["basic"]) {
        let input = text(&row[0]);
        assert_eq!(basic(input, BasicOptions::default()), text(&row[1]), "{input:?}");
        assert_eq!(basic(input, PLAIN), text(&row[2]), "{input:?}");
        assert_eq!(basic(input, LETTERS), text(&row[3]), "{input:?}");
    }
}

fn hash(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn reference_texts_of_all_clips_are_normalised_as_by_openai_whisper() {
    let Some(data) = sotto_testkit::data_dir() else { return };
    let golden = golden("normalizer.json");
    let mut texts = HashMap::new();
    for name in ["manifest", "synthetic"] {
        let table = std::fs::read_to_string(data.join(format!("speech/{name}.tsv"))).expect("a table of clips");
        for line in table.lines().skip(1) {
            let (file, _) = line.split_once('\t').expect("a row");
            let (_, text) = line.rsplit_once('\t').expect("a row");
            texts.insert((name, file.to_owned()), text.to_owned());
        }
    }
    assert!(!list(&golden["texts"]).is_empty());
    for row in list(&golden["texts"]) {
        let text = &texts[&(text(&row[0]), text(&row[1]).to_owned())];
        let forms = [english(text), basic(text, BasicOptions::default()), basic(text, PLAIN), basic(text, LETTERS)];
        assert_eq!(hash(&forms.join("\n")), row[2], "{row}: {forms:?}");
    }
}

#[test]
fn the_5000_most_common_english_words_are_normalised_as_by_openai_whisper() {
    let Some(data) = sotto_testkit::data_dir() else { return };
    let words = std::fs::read_to_string(data.join("keyboard/freq/en_50k.txt")).expect("a list of words");
    let words = words.lines().take(5000).filter_map(|line| line.split_whitespace().next());
    let normalised: Vec<String> = words.map(english).collect();
    assert_eq!(hash(&normalised.join("\n")), golden("normalizer.json")["common_words"]);
}

#[test]
fn error_rates_equal_jiwer() {
    let golden = golden("error_rates.json");
    let number = |value: &Value| value.as_u64().expect("a count");
    for row in list(&golden["clear"]) {
        let counts = word_errors(text(&row[0]), text(&row[1]));
        let found = [counts.hits, counts.substitutions, counts.deletions, counts.insertions];
        assert_eq!(found, [2, 3, 4, 5].map(|column| number(&row[column])), "{row}");
    }
    let (mut words, mut letters) = (ErrorCounts::default(), ErrorCounts::default());
    for row in list(&golden["random"]) {
        let word = word_errors(text(&row[0]), text(&row[1]));
        let letter = character_errors(text(&row[0]), text(&row[1]));
        assert_eq!((word.errors(), letter.errors()), (number(&row[2]), number(&row[4])), "{row}");
        assert_rate(word.rate(), &row[3]);
        assert_rate(letter.rate(), &row[5]);
        words += word;
        letters += letter;
    }
    assert_rate(words.rate(), &golden["corpus"]["wer"]);
    assert_rate(letters.rate(), &golden["corpus"]["cer"]);
}

fn assert_rate(rate: f64, expected: &Value) {
    // The same division; the JSON reader may be off by the last bit.
    assert!((rate - expected.as_f64().expect("a rate")).abs() < 1e-12, "{rate}, expected {expected}");
}
