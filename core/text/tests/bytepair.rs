//! Byte-pair encoding compared with the `tokenizers` crate, with the pre-tokenizers of published models, on
//! vocabularies trained here from this repository's text, and on real ones if `SOTTO_DATA` has them.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use serde_json::{Value, json};
use sotto_text::bytepair::BytePairTokenizer;
use sotto_text::whisper::WhisperTokenizer;
use sotto_text::{IncrementalDecoder, Tokenizer};
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::BpeTrainer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::utils::SysRegex;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

// As published in the models' `tokenizer.json`.
const LLAMA3: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|",
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);
const QWEN2: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|",
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);
const NEMO: &str = concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}|",
    r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);
const GPT4O: &str = concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}|",
    r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);
const GPT2: &str = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const GPT4: &str =
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+";

fn byte_level(regex: bool, prefix_space: bool) -> Value {
    json!({ "type": "ByteLevel", "add_prefix_space": prefix_space, "trim_offsets": true, "use_regex": regex })
}

fn split_at(regex: &str) -> Value {
    let split = json!({ "type": "Split", "pattern": { "Regex": regex }, "behavior": "Isolated", "invert": false });
    json!({ "type": "Sequence", "pretokenizers": [split, byte_level(false, false)] })
}

fn digits(individual: bool) -> Value {
    let digits = json!({ "type": "Digits", "individual_digits": individual });
    json!({ "type": "Sequence", "pretokenizers": [digits, byte_level(true, false)] })
}

/// A tokenizer.json of a kind of model, in both implementations.
struct Pair {
    name: &'static str,
    json: String,
    ours: BytePairTokenizer,
    oracle: tokenizers::Tokenizer,
    /// The oracle, set to treat control tokens in a text as text.
    plain: tokenizers::Tokenizer,
}

impl Pair {
    fn new(name: &'static str, json: String) -> Self {
        let ours = BytePairTokenizer::from_hugging_face_bytes(json.as_bytes(), name).unwrap();
        let oracle = tokenizers::Tokenizer::from_bytes(&json).unwrap();
        let mut plain = oracle.clone();
        plain.set_encode_special_tokens(true);
        Self { name, json, ours, oracle, plain }
    }

    fn agree(&self, text: &str) {
        let ids = |oracle: &tokenizers::Tokenizer| oracle.encode_fast(text, false).unwrap().get_ids().to_vec();
        let (plain, controls) = (ids(&self.plain), ids(&self.oracle));
        assert_eq!(self.ours.encode(text), plain, "{}: {text:?}", self.name);
        assert_eq!(self.ours.encode_with_controls(text), controls, "{}: {text:?}", self.name);
        for tokens in [plain, controls] {
            let decoded = self.ours.decode(&tokens);
            assert_eq!(decoded, self.oracle.decode(&tokens, true).unwrap(), "{}: {text:?}", self.name);
            let mut decoder = IncrementalDecoder::new();
            let mut streamed: String = tokens.iter().map(|&token| decoder.push(&self.ours, token)).collect();
            streamed += &decoder.finish();
            assert_eq!(streamed, decoded, "{}: token by token", self.name);
            let written = self.oracle.decode(&tokens, false).unwrap();
            assert_eq!(self.ours.decode_with_controls(&tokens), written, "{}: {text:?}", self.name);
        }
    }
}

const CODE: [&str; 4] = [
    include_str!("../src/sentences.rs"),
    include_str!("../src/normalize/english.rs"),
    include_str!("goldens/tokenizer.json"),
    include_str!("goldens/normalizer.json"),
];

/// The model and vocabulary that the `tokenizers` crate trains with this pre-tokenizer.
fn trained(pre_tokenizer: &Value, normalizer: &Value) -> Value {
    let empty = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": null,
        "decoder": byte_level(true, false),
        "model": { "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": {}, "merges": [] },
    });
    let mut tokenizer = tokenizers::Tokenizer::from_bytes(empty.to_string()).unwrap();
    let bytes = pre_tokenizer["type"] != "Metaspace";
    let alphabet = ByteLevel::alphabet().into_iter().filter(|_| bytes).collect();
    let trainer = BpeTrainer::builder().show_progress(false).vocab_size(1500).limit_alphabet(300);
    let trainer = trainer.initial_alphabet(alphabet).build();
    tokenizer.train(&mut TrainerWrapper::from(trainer), CODE.iter().flat_map(|text| text.lines())).unwrap();
    serde_json::from_str(&tokenizer.to_string(false).unwrap()).unwrap()
}

/// A SentencePiece model: characters with byte fallback.
fn with_characters(normalizer: Value, pre_tokenizer: Value, strips: bool) -> Value {
    let words = json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true });
    let mut json = trained(&words, &Value::Null);
    let vocab = json["model"]["vocab"].as_object_mut().unwrap();
    vocab.values_mut().for_each(|id| *id = (259 + id.as_u64().unwrap()).into());
    let bytes = (0..=255).map(|byte| format!("<0x{byte:02X}>"));
    let first = ["<unk>", "<s>", "</s>"].map(str::to_owned).into_iter().chain(bytes);
    vocab.extend(first.enumerate().map(|(id, token)| (token, id.into())));
    for (key, value) in [("byte_fallback", true.into()), ("fuse_unk", true.into()), ("unk_token", "<unk>".into())] {
        json["model"][key] = value;
    }
    let mut decoders = vec![
        json!({ "type": "Replace", "pattern": { "String": "▁" }, "content": " " }),
        json!({ "type": "ByteFallback" }),
        json!({ "type": "Fuse" }),
    ];
    if strips {
        decoders.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
    }
    json["normalizer"] = normalizer;
    json["pre_tokenizer"] = pre_tokenizer;
    json["decoder"] = json!({ "type": "Sequence", "decoders": decoders });
    json
}

fn characters_pairs() -> Vec<Pair> {
    let replace = json!({ "type": "Replace", "pattern": { "String": " " }, "content": "▁" });
    let prepend = json!({ "type": "Prepend", "prepend": "▁" });
    let both = json!({ "type": "Sequence", "normalizers": [prepend, replace] });
    let split =
        json!({ "type": "Split", "pattern": { "String": " " }, "behavior": "MergedWithPrevious", "invert": false });
    let metaspace =
        |scheme: &str| json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": false });
    let plain = Form::default();
    let raw = Form { never_normalized: true, ..plain };
    let pair = |name, json, form| Pair::new(name, file(json, form));
    vec![
        pair("Llama 2", with_characters(both, Value::Null, true), raw),
        pair("Gemma", with_characters(replace, split, false), Form { rules_as_strings: true, ..plain }),
        pair("Mistral", with_characters(Value::Null, metaspace("first"), true), raw),
        pair("a space before each part", with_characters(Value::Null, metaspace("always"), false), raw),
        pair("no space before", with_characters(Value::Null, metaspace("never"), true), raw),
    ]
}

/// Differences between files other than the pre-tokenizer.
#[derive(Clone, Copy, Default)]
struct Form {
    ignore_merges: bool,
    rules_as_strings: bool,
    /// Ids with gaps, the added tokens among them.
    odd_ids: bool,
    /// No added token is matched in normalised text.
    never_normalized: bool,
}

fn file(mut json: Value, form: Form) -> String {
    let model = &mut json["model"];
    model["ignore_merges"] = form.ignore_merges.into();
    if form.rules_as_strings {
        for rule in model["merges"].as_array_mut().unwrap() {
            *rule = format!("{} {}", rule[0].as_str().unwrap(), rule[1].as_str().unwrap()).into();
        }
    }
    let fallback = model["byte_fallback"] == true;
    let vocab = model["vocab"].as_object_mut().unwrap();
    if form.odd_ids {
        vocab.values_mut().for_each(|id| *id = (7 + 2 * id.as_u64().unwrap()).into());
    }
    let first = vocab.values().map(|id| id.as_u64().unwrap()).max().unwrap() + 1;
    let added = [
        ("<|im_start|>", true, "", false),
        ("<|im_end|>", true, "", false),
        ("<tool>", false, "", false),
        ("   ", false, "", true),
        ("<pad>", true, "rstrip", false),
        ("<mask>", true, "lstrip", true),
        ("<|im_", false, "", false),
    ];
    let added: Vec<Value> = (first..)
        .zip(added)
        .map(|(id, (content, special, strips, normalized))| {
            if form.odd_ids {
                vocab.insert(content.to_owned(), id.into());
            }
            let normalized = normalized && !form.never_normalized && (strips.is_empty() || !fallback);
            json!({
                "id": id, "content": content, "single_word": false, "lstrip": strips == "lstrip",
                "rstrip": strips == "rstrip", "normalized": normalized, "special": special,
            })
        })
        .collect();
    json["added_tokens"] = added.into();
    json.to_string()
}

static PAIRS: LazyLock<Vec<Pair>> = LazyLock::new(|| {
    let nfc = json!({ "type": "NFC" });
    let several = json!({ "type": "Sequence", "normalizers": [nfc] });
    let plain = Form::default();
    let strings = Form { rules_as_strings: true, ..plain };
    let whole = Form { ignore_merges: true, ..plain };
    let odd = Form { odd_ids: true, ..plain };
    let pair = |name, steps: &Value, normalizer: &Value, form| Pair::new(name, file(trained(steps, normalizer), form));
    let mut pairs = vec![
        pair("GPT-2", &byte_level(true, false), &Value::Null, strings),
        pair("GPT-2 with a space before", &byte_level(true, true), &Value::Null, plain),
        pair("GPT-2 as a split", &split_at(GPT2), &Value::Null, odd),
        pair("Llama 3", &split_at(LLAMA3), &Value::Null, whole),
        pair("Llama 3 without whole pieces", &split_at(GPT4), &Value::Null, odd),
        pair("Qwen 2", &split_at(QWEN2), &nfc, strings),
        pair("Qwen 2, normalised in a sequence", &split_at(QWEN2), &several, whole),
        pair("SmolLM2", &digits(true), &Value::Null, plain),
        pair("numbers apart", &digits(false), &Value::Null, odd),
        pair("Mistral Nemo", &split_at(NEMO), &Value::Null, whole),
        pair("GPT-4o", &split_at(GPT4O), &Value::Null, plain),
        pair("no pieces", &byte_level(false, false), &nfc, plain),
    ];
    pairs.extend(characters_pairs());
    pairs
});

const TEXTS: [&str; 31] = [
    "",
    " ",
    "  two  spaces\n\nand\ttabs  ",
    "Hello world, it's 25 degrees; isn't it?",
    "don'T I'LL we'd've YOU'RE they'Re 'tis 'S 'ſ it'ſ ''ll 'l 'r 'R",
    "I’ll l’été rock ’n’ roll",
    "1 12 123 1234 12345 3.14159 1,000,000 ½ ² Ⅳ ٣٤٥ १२३ 四五 0x1F 1e-9",
    "fn main() {\n    let x: &str = \"a\\n\";\r\n\tprintln!(\"{x:?}\"); // done\n}\n\n\n",
    "if (a<b) { return a/b; } /* c */\n//\n///\r\n",
    "camelCase HTTPServer XMLHttpRequest iPhone McDonald's USA's USAs",
    "   leading, trailing   ",
    "\u{a0}\u{2003}x\u{3000}語\u{85}y\u{200b}z\u{2028}w\u{b}v\u{c}u",
    "a \n b\n \nc \r\n\r\n d\r",
    "naïve café — “quotes” … ‘single’ «guillemets»",
    "cafe\u{301} n\u{303} a\u{308}\u{304} \u{301}start \u{1100}\u{1161}\u{11a8} \u{212b} \u{fb01}",
    "日本語のテキスト、中文。한국어 텍스트",
    "ไทยภาษา العربية हिन्दी தமிழ் עברית ქართული Հայերեն",
    "👩‍👩‍👧‍👦🏳️‍🌈 👍🏽 😀😃 🇩🇪🇫🇷 ✂️ ♪♫",
    "ǅungla ʰello ªº ŉ ß ẞ İ ı Ω ℵ ⅷ ① 〇",
    "\u{0}\u{7f}\u{ad}\u{fffd}\u{feff}\u{e000}\u{10ffff}",
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
    "<|im_start<|im_start|><|im_|im_end|>",
    "<tool>{\"a\": [1, 2]}</tool>   <tool>",
    "x <pad> \n y <pad><pad>  <mask>z \t<mask> ",
    "a     b       c          ",
    "http://example.org/a/b?c=d&e=f#g user@example.org #tag @name",
    "e\u{301}\u{323}e\u{323}\u{301} \u{1e69} s\u{323}\u{307} s\u{307}\u{323}",
    "Привет, МИР! Ёлка й и\u{306} ГОСТ-123",
    "C'EST L'ÉTÉ D'UN'ALTRA o'clock O'Neill 'em 'M",
    "▁a ▁▁b▁ c<0x0A>  ▁",
    "\t\t\tx\n\t\t\ty  \n  \n\n z",
];

#[test]
fn every_kind_of_model_has_the_tokens_of_the_tokenizers_crate() {
    for pair in PAIRS.iter() {
        for text in TEXTS {
            pair.agree(text);
        }
        pair.agree(&TEXTS.concat());
        pair.agree(include_str!("bytepair.rs"));
    }
}

#[test]
fn models_differ_where_their_rules_do() {
    let tokens = |name: &str, text: &str| PAIRS.iter().find(|pair| pair.name == name).unwrap().ours.encode(text);
    let letters = |name: &str, text: &str| {
        let ours = &PAIRS.iter().find(|pair| pair.name == name).unwrap().ours;
        tokens(name, text).iter().map(|&token| ours.decode(&[token])).collect::<Vec<_>>()
    };
    assert_eq!(letters("Qwen 2", "12345"), ["1", "2", "3", "4", "5"]);
    assert_eq!(letters("SmolLM2", "12345"), ["1", "2", "3", "4", "5"]);
    assert!(letters("GPT-2", "x'LL").concat() == "x'LL" && letters("Llama 3", "x'LL").concat() == "x'LL");
    assert_eq!(tokens("Qwen 2", "e\u{301}"), tokens("Qwen 2", "é"), "text is composed");
    assert_ne!(tokens("Llama 3", "e\u{301}"), tokens("Llama 3", "é"));
}

#[test]
fn control_tokens_are_found_by_name_and_never_in_what_users_write() {
    for pair in PAIRS.iter() {
        let tokenizer: &dyn Tokenizer = &pair.ours;
        let start = tokenizer.special_token("<|im_start|>").unwrap();
        assert_eq!(tokenizer.token_bytes(start), b"<|im_start|>");
        assert!(!tokenizer.is_text(start) && tokenizer.text_bytes(start).is_empty());
        assert_eq!(tokenizer.special_token("<tool>"), None, "an added token that is text");
        assert_eq!(tokenizer.special_token("<|im_start|> "), None);
        let written = tokenizer.encode("<|im_start|><|im_end|><pad><mask>");
        assert!(written.iter().all(|&token| tokenizer.is_text(token)), "{}", pair.name);
        assert_eq!(pair.ours.encode_with_controls("<|im_start|>")[..], [start]);
        assert_eq!(tokenizer.vocab_size(), pair.ours.special_tokens().last().unwrap().0 as usize + 2, "{}", pair.name);
        assert_eq!(tokenizer.token_bytes(u32::MAX), b"");
    }
}

#[test]
fn a_packed_tokenizer_is_the_one_that_was_packed() {
    for pair in PAIRS.iter() {
        for packed in [pair.ours.to_packed(), pair.ours.to_packed_compact()] {
            let length = packed.len();
            let opened = BytePairTokenizer::from_packed(Arc::new(packed), 0..length, "model.sotto").unwrap();
            assert_eq!(opened.pre_tokenizer(), pair.ours.pre_tokenizer());
            assert!(opened.special_tokens().eq(pair.ours.special_tokens()));
            assert!(opened.to_packed() == pair.ours.to_packed());
            for text in TEXTS {
                assert_eq!(opened.encode(text), pair.ours.encode(text), "{}: {text:?}", pair.name);
                assert_eq!(opened.encode_with_controls(text), pair.ours.encode_with_controls(text), "{}", pair.name);
            }
            let length = pair.ours.to_packed().len();
            let error = WhisperTokenizer::from_packed(Arc::new(pair.ours.to_packed()), 0..length, "model.sotto");
            assert!(error.unwrap_err().to_string().starts_with("model.sotto: "), "not Whisper's");
        }
    }
}

/// Texts in many languages, if the data folder has them.
fn lines(data: &std::path::Path) -> Vec<String> {
    let tables = ["speech/manifest.tsv", "speech/synthetic.tsv", "speech/formats/en-sample.txt"];
    let text = tables.iter().filter_map(|table| std::fs::read_to_string(data.join(table)).ok());
    text.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn real_vocabularies_have_the_tokens_of_the_tokenizers_crate() {
    let Some(data) = sotto_testkit::data_dir() else { return };
    let lines = lines(&data);
    assert!(lines.len() > 100);
    let files: [Option<PathBuf>; 2] = [Some(data.join("openai-whisper-tiny.en")), sotto_testkit::whisper_base()];
    for file in files.into_iter().flatten() {
        let json = std::fs::read_to_string(file.join("tokenizer.json")).unwrap();
        let pair = Pair::new("Whisper", json);
        for text in TEXTS.into_iter().chain(lines.iter().map(String::as_str)) {
            pair.agree(text);
        }
        pair.agree("a<|endoftext|> b<|0.00|><|startoftranscript|>");
        let whisper = WhisperTokenizer::from_hugging_face_bytes(pair.json.as_bytes(), "Whisper").unwrap();
        for text in TEXTS {
            assert_eq!(whisper.encode(text), pair.ours.encode(text), "the same byte pairs");
        }
        assert_eq!(Tokenizer::special_token(&whisper, "<|endoftext|>"), Some(whisper.special().eot));
    }
}

/// Whether both Unicode tables agree on `c`; those of the crate are older.
fn agreed(c: char) -> bool {
    static CLASSES: LazyLock<Vec<(SysRegex, Vec<GeneralCategory>)>> = LazyLock::new(|| {
        use GeneralCategory as G;
        let class = |regex: &str, categories: &[G]| (SysRegex::new(regex).unwrap(), categories.to_vec());
        vec![
            class(r"[\p{Lu}\p{Lt}]", &[G::UppercaseLetter, G::TitlecaseLetter]),
            class(r"\p{Ll}", &[G::LowercaseLetter]),
            class(r"[\p{Lm}\p{Lo}]", &[G::ModifierLetter, G::OtherLetter]),
            class(r"\p{M}", &[G::NonspacingMark, G::SpacingMark, G::EnclosingMark]),
            class(r"\p{N}", &[G::DecimalNumber, G::LetterNumber, G::OtherNumber]),
        ]
    });
    let text = c.to_string();
    CLASSES.iter().all(|(regex, categories)| {
        regex.find_iter(&text).next().is_some() == categories.contains(&c.general_category())
    })
}

/// Pieces that rules treat differently, in any order.
fn fragments() -> impl Strategy<Value = String> {
    const FRAGMENTS: [&str; 75] = [
        "'s",
        "'S",
        "'ſ",
        "'t",
        "'T",
        "'re",
        "'RE",
        "'Re",
        "'ve",
        "'VE",
        "'m",
        "'M",
        "'ll",
        "'LL",
        "'lL",
        "'d",
        "'D",
        "'",
        "’",
        "\"",
        "a",
        "b",
        "the",
        "The",
        "THE",
        "lower",
        "Upper",
        "mixedCase",
        "ABC",
        "x",
        "é",
        "e\u{301}",
        "\u{301}",
        "\u{323}",
        "ß",
        "ǅ",
        "ʰ",
        "Ω",
        "語",
        "日本",
        "か",
        "ภา",
        "ا",
        "हि",
        "한",
        "\u{1100}\u{1161}",
        "0",
        "7",
        "12",
        "345",
        "6789",
        "½",
        "²",
        "٣",
        "Ⅳ",
        " ",
        "  ",
        "   ",
        "\t",
        "\n",
        "\n\n",
        "\r\n",
        "\u{a0}",
        "\u{3000}",
        "\u{85}",
        "\u{200b}",
        "/",
        "//",
        "▁",
        "!",
        "...",
        "=>",
        "😀",
        "👩‍👧",
        "<|im_start|>",
    ];
    let token = prop::sample::select(&["<|im_end|>", "<tool>", "<pad>", "<mask>", "<|im_", "<"][..]);
    let fragment = prop_oneof![
        8 => prop::sample::select(&FRAGMENTS[..]).prop_map(str::to_owned),
        1 => token.prop_map(str::to_owned),
        1 => prop::char::range('\u{20}', '\u{24f}').prop_map(String::from),
    ];
    prop::collection::vec(fragment, 0..24).prop_map(|parts| parts.concat())
}

/// Any characters on which both Unicode tables agree, also after composition.
fn characters() -> impl Strategy<Value = String> {
    let c = prop_oneof![
        2 => any::<char>(),
        1 => prop::char::range('\u{0}', '\u{2fff}'),
        1 => prop::char::range('\u{2000}', '\u{33ff}'),
        1 => prop::char::range('\u{a000}', '\u{ffff}'),
        1 => prop::char::range('\u{10000}', '\u{1ffff}'),
        1 => prop::sample::select(&[' ', '\n', '\'', 's', 'A', '1'][..]),
    ];
    prop::collection::vec(c.prop_filter("known to both", |&c| agreed(c)), 0..32).prop_map(String::from_iter)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_text_of_telling_pieces_has_the_tokens_of_the_tokenizers_crate(text in fragments()) {
        PAIRS.iter().for_each(|pair| pair.agree(&text));
    }

    #[test]
    fn any_unicode_text_has_the_tokens_of_the_tokenizers_crate(text in characters()) {
        let not_composed = PAIRS.iter().filter(|pair| !pair.json.contains("\"NFC\""));
        not_composed.for_each(|pair| pair.agree(&text));
    }
}
