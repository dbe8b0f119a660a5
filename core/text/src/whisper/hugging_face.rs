//! Hugging Face's `tokenizer.json` with a byte-level BPE model (format: huggingface/tokenizers, `Tokenizer` as JSON).
//!
//! Only what Whisper's tokenizers consist of is accepted; every other setting that would change tokens is refused by
//! name instead of being ignored. The file's post-processor is not used: prompts are built by the decoder.

use super::WhisperTokenizer;
use super::bpe::{Merges, Rules};
use super::byte_alphabet::append_bytes;
use super::source;
use super::special::{is_control, timestamp_steps};
use super::vocabulary::{Kind, VocabularyBuilder};
use crate::TextError;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::path::Path;

#[derive(Deserialize)]
struct TokenizerJson<'a> {
    #[serde(borrow, default)]
    added_tokens: BoundedList<AddedToken<'a>, MAX_ADDED>,
    #[serde(default)]
    normalizer: Option<Typed<'a>>,
    #[serde(default)]
    pre_tokenizer: Option<PreTokenizer<'a>>,
    model: Model<'a>,
}

#[derive(Deserialize)]
struct AddedToken<'a> {
    id: u64,
    #[serde(borrow)]
    content: Cow<'a, str>,
    #[serde(default)]
    special: bool,
}

#[derive(Deserialize)]
struct Typed<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
}

#[derive(Deserialize)]
struct PreTokenizer<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default)]
    add_prefix_space: bool,
    #[serde(default = "yes")]
    use_regex: bool,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
struct Model<'a> {
    // Files written before tokenizers 0.10 do not name the type.
    #[serde(rename = "type", borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(default)]
    dropout: Option<f64>,
    #[serde(borrow, default)]
    continuing_subword_prefix: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    end_of_word_suffix: Option<Cow<'a, str>>,
    #[serde(default)]
    byte_fallback: bool,
    #[serde(default)]
    ignore_merges: bool,
    #[serde(borrow)]
    vocab: Vocab<'a>,
    #[serde(borrow)]
    /// In the order of their ranks.
    merges: BoundedList<Merge<'a>, MAX_ENTRIES>,
}

/// More than any vocabulary has: a hostile list ends here instead of in memory.
pub(super) const MAX_ENTRIES: usize = 1 << 17;
/// Whisper adds 1,608 tokens.
const MAX_ADDED: usize = 1 << 14;

/// The vocabulary as listed: a map would swallow a token that is listed twice.
pub(super) struct Vocab<'a>(pub(super) Vec<(Cow<'a, str>, u64)>);

/// A list of at most `MOST` entries.
struct BoundedList<T, const MOST: usize>(Vec<T>);

/// A JSON string, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// One rule, `"left right"` or `["left", "right"]`.
struct Merge<'a> {
    left: Cow<'a, str>,
    right: Cow<'a, str>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Vocab<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Vocab<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tokens and their ids")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some((Text(token), id)) = map.next_entry()? {
                    if entries.len() == MAX_ENTRIES {
                        return Err(A::Error::custom(format_args!("more than {MAX_ENTRIES} tokens")));
                    }
                    entries.push((token, id));
                }
                Ok(Vocab(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

impl<T, const MOST: usize> Default for BoundedList<T, MOST> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for BoundedList<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List<T, const MOST: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for List<T, MOST> {
            type Value = BoundedList<T, MOST>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = list.next_element()? {
                    if entries.len() == MOST {
                        return Err(A::Error::custom(format_args!("a list of more than {MOST} entries")));
                    }
                    entries.push(entry);
                }
                Ok(BoundedList(entries))
            }
        }
        deserializer.deserialize_seq(List(PhantomData))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Merge<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Rule;
        impl<'de> Visitor<'de> for Rule {
            type Value = Merge<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a merge rule: two tokens in one string with a space between, or in a list")
            }

            fn visit_borrowed_str<E: Error>(self, rule: &'de str) -> Result<Self::Value, E> {
                let (left, right) = pair(rule).ok_or_else(|| E::custom(NOT_A_PAIR))?;
                Ok(Merge { left: left.into(), right: right.into() })
            }

            fn visit_str<E: Error>(self, rule: &str) -> Result<Self::Value, E> {
                let (left, right) = pair(rule).ok_or_else(|| E::custom(NOT_A_PAIR))?;
                Ok(Merge { left: left.to_owned().into(), right: right.to_owned().into() })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let (left, right) = (list.next_element()?, list.next_element()?);
                match (left, right, list.next_element::<serde::de::IgnoredAny>()?) {
                    (Some(Text(left)), Some(Text(right)), None) => Ok(Merge { left, right }),
                    _ => Err(A::Error::custom(NOT_A_PAIR)),
                }
            }
        }
        deserializer.deserialize_any(Rule)
    }
}

const NOT_A_PAIR: &str = "a merge rule that is not exactly two tokens";

pub(super) fn pair(rule: &str) -> Option<(&str, &str)> {
    rule.split_once(' ').filter(|(left, right)| !left.is_empty() && !right.is_empty() && !right.contains(' '))
}

impl WhisperTokenizer {
    /// Reads a Hugging Face `tokenizer.json`. Takes tens of milliseconds for Whisper's 2.4 MB.
    ///
    /// Added tokens that are special, or known as such by their names, become control tokens; other added tokens are
    /// text, but are not looked for when text is encoded. Early revisions and some converters leave the timestamps out:
    /// see
    /// [`with_timestamps`](Self::with_timestamps).
    ///
    /// # Errors
    /// [`TextError`] for files that cannot be read, are broken, are no byte-level BPE, or lack `<|endoftext|>` or
    /// `<|startoftranscript|>`.
    pub fn from_hugging_face(path: &Path) -> Result<Self, TextError> {
        Self::from_hugging_face_bytes(&source::read(path)?, &path.display().to_string())
    }

    /// Like [`from_hugging_face`](Self::from_hugging_face), from bytes in memory; `name` stands for them in errors.
    ///
    /// # Errors
    /// As [`from_hugging_face`](Self::from_hugging_face).
    pub fn from_hugging_face_bytes(json: &[u8], name: &str) -> Result<Self, TextError> {
        source::check_size(name, json.len() as u64)?;
        let json: TokenizerJson<'_> = serde_json::from_slice(json)
            .map_err(|error| TextError::Json { file: name.to_owned(), problem: error.to_string() })?;
        refuse_other_tokenizers(&json).map_err(|what| TextError::Unsupported { file: name.to_owned(), what })?;
        let Model { vocab, merges, ignore_merges, .. } = &json.model;
        let rules = merges.0.iter().map(|merge| (&*merge.left, &*merge.right));
        let merges = listed_merges(name, vocab, rules, *ignore_merges)?;
        let mut builder = VocabularyBuilder::default();
        let mut bytes = Vec::new();
        for (token, id) in &json.model.vocab.0 {
            bytes.clear();
            append_bytes(token, &mut bytes);
            builder.insert(name, *id, &bytes, Kind::Text)?;
        }
        for token in &json.added_tokens.0 {
            let content = token.content.as_bytes();
            let kind = match timestamp_steps(content) {
                Some(_) => Kind::Timestamp,
                // Some converters forget the mark.
                None if token.special || is_control(content) => Kind::Special,
                None => Kind::Text,
            };
            builder.insert(name, token.id, content, kind)?;
        }
        let prefix_space = json.pre_tokenizer.is_some_and(|pre| pre.add_prefix_space);
        Self::assemble(name, builder.build(), merges, prefix_space)
    }
}

/// The first setting that would give other tokens than this engine does.
fn refuse_other_tokenizers(json: &TokenizerJson<'_>) -> Result<(), String> {
    let model = &json.model;
    if let Some(kind) = model.kind.as_deref().filter(|kind| *kind != "BPE") {
        return Err(format!("model of type {kind}"));
    }
    if let Some(normalizer) = &json.normalizer {
        return Err(format!("normalizer {}", normalizer.kind));
    }
    match &json.pre_tokenizer {
        Some(pre) if pre.kind == "ByteLevel" && pre.use_regex => {}
        Some(pre) if pre.kind == "ByteLevel" => return Err("pre-tokenizer ByteLevel without its regex".to_owned()),
        Some(pre) => return Err(format!("pre-tokenizer {}", pre.kind)),
        None => return Err("no pre-tokenizer".to_owned()),
    }
    if model.dropout.is_some_and(|dropout| dropout != 0.0) {
        return Err("BPE dropout, which makes encoding random".to_owned());
    }
    if model.byte_fallback {
        return Err("byte_fallback".to_owned());
    }
    for affix in [&model.continuing_subword_prefix, &model.end_of_word_suffix] {
        if affix.as_deref().is_some_and(|affix| !affix.is_empty()) {
            return Err("subword prefix or suffix".to_owned());
        }
    }
    Ok(())
}

/// The merge rules, given as pairs of tokens in the order of their ranks, by token ids.
pub(super) fn listed_merges<'r>(
    file: &str,
    vocab: &Vocab<'_>,
    listed: impl Iterator<Item = (&'r str, &'r str)>,
    whole_piece_first: bool,
) -> Result<Merges, TextError> {
    let mut ids: HashMap<&str, u32> = HashMap::with_capacity(vocab.0.len());
    for (token, id) in &vocab.0 {
        // Ids beyond u32 are refused when the vocabulary is built; none of them is ever used.
        let id = u32::try_from(*id).unwrap_or(u32::MAX);
        if let Some(first) = ids.insert(token, id) {
            return Err(TextError::DuplicateToken { file: file.to_owned(), first, second: id });
        }
    }
    let mut rules = Vec::with_capacity(listed.size_hint().0);
    let mut joined = String::new();
    for (index, (left, right)) in listed.enumerate() {
        let broken = |cause| TextError::Merge { file: file.to_owned(), index, cause };
        joined.clear();
        joined.push_str(left);
        joined.push_str(right);
        let id = |token: &str, cause| ids.get(token).copied().ok_or_else(|| broken(cause));
        let left = id(left, "its left token is not in the vocabulary")?;
        let right = id(right, "its right token is not in the vocabulary")?;
        let whole = id(&joined, "the token that it makes is not in the vocabulary")?;
        // Bounded by the file size, far below u32.
        rules.push([left, right, index as u32, whole]);
    }
    Ok(Merges::Listed { rules: Rules::new(rules), whole_piece_first })
}
