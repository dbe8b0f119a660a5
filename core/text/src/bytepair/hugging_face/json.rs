//! The JSON structure of a `tokenizer.json` (format: huggingface/tokenizers, `Tokenizer` as JSON).

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// A file with at most `ENTRIES` tokens, as many merge rules, and `ADDED` added tokens, so that a hostile list cannot
/// fill memory.
#[derive(Deserialize)]
pub(crate) struct TokenizerJson<'a, const ENTRIES: usize, const ADDED: usize> {
    #[serde(borrow, default)]
    pub(crate) added_tokens: BoundedList<AddedToken<'a>, ADDED>,
    #[serde(borrow, default)]
    pub(crate) normalizer: Option<Step<'a>>,
    #[serde(borrow, default)]
    pub(crate) pre_tokenizer: Option<Step<'a>>,
    #[serde(borrow, default)]
    pub(super) decoder: Option<Step<'a>>,
    #[serde(borrow)]
    pub(crate) model: Model<'a, ENTRIES>,
}

#[derive(Deserialize)]
pub(crate) struct AddedToken<'a> {
    pub(crate) id: u64,
    #[serde(borrow)]
    pub(crate) content: Cow<'a, str>,
    #[serde(default)]
    pub(crate) special: bool,
    #[serde(default)]
    pub(super) single_word: bool,
    #[serde(default)]
    pub(super) lstrip: bool,
    #[serde(default)]
    pub(super) rstrip: bool,
    #[serde(default)]
    pub(super) normalized: bool,
}

/// A normaliser, pre-tokenizer or decoder: its type, and the settings of the supported types.
#[derive(Deserialize)]
pub(crate) struct Step<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Cow<'a, str>,
    #[serde(default)]
    pub(super) add_prefix_space: bool,
    #[serde(default = "yes")]
    pub(super) use_regex: bool,
    #[serde(default)]
    pub(super) individual_digits: bool,
    #[serde(default)]
    pub(super) invert: bool,
    #[serde(borrow, default)]
    pub(super) behavior: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) pattern: Option<Pattern<'a>>,
    #[serde(borrow, default)]
    pub(super) pretokenizers: BoundedList<Step<'a>, MAX_STEPS>,
    #[serde(borrow, default)]
    pub(super) normalizers: BoundedList<Step<'a>, MAX_STEPS>,
    #[serde(borrow, default)]
    pub(super) decoders: BoundedList<Step<'a>, MAX_STEPS>,
    #[serde(borrow, default)]
    pub(super) content: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) prepend: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) replacement: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) prepend_scheme: Option<Cow<'a, str>>,
    #[serde(default = "yes")]
    pub(super) split: bool,
    #[serde(default)]
    pub(super) start: u64,
}

impl<'a> Step<'a> {
    /// The steps in order: the parts of a `Sequence` (in `parts`), else this step alone.
    pub(super) fn in_turn<'s>(&'s self, parts: &'s BoundedList<Step<'a>, MAX_STEPS>) -> &'s [Step<'a>] {
        if self.kind == "Sequence" { &parts.0 } else { std::slice::from_ref(self) }
    }
}

/// More than any file has.
const MAX_STEPS: usize = 16;

fn yes() -> bool {
    true
}

/// The pattern of a step. Steps with other forms of patterns are not supported.
#[derive(Deserialize)]
pub(super) struct Pattern<'a> {
    #[serde(rename = "Regex", borrow, default)]
    pub(super) regex: Option<Cow<'a, str>>,
    #[serde(rename = "String", borrow, default)]
    pub(super) string: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
pub(crate) struct Model<'a, const ENTRIES: usize> {
    // Files written before tokenizers 0.10 do not name the type.
    #[serde(rename = "type", borrow, default)]
    pub(super) kind: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(super) dropout: Option<f64>,
    #[serde(borrow, default)]
    pub(super) unk_token: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) continuing_subword_prefix: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) end_of_word_suffix: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(super) byte_fallback: bool,
    #[serde(default)]
    pub(crate) ignore_merges: bool,
    #[serde(borrow)]
    pub(crate) vocab: ModelVocab<'a, ENTRIES>,
    /// In the order of their ranks. Models of other types than BPE have none.
    #[serde(borrow, default)]
    pub(crate) merges: Option<BoundedList<Merge<'a>, ENTRIES>>,
}

/// Tokens and their ids as listed, at most `MOST`. Not a map, which would hide a token that is listed twice.
pub(crate) struct Vocab<'a, const MOST: usize>(pub(crate) Vec<(Cow<'a, str>, u64)>);

/// The vocabulary of a model of any type.
pub(crate) enum ModelVocab<'a, const MOST: usize> {
    Ids(Vocab<'a, MOST>),
    /// A list with scores, as in Unigram models.
    Scores,
}

impl<'a, const MOST: usize> ModelVocab<'a, MOST> {
    /// Tokens and their ids; none for a list.
    pub(crate) fn ids(&self) -> &[(Cow<'a, str>, u64)] {
        match self {
            Self::Ids(Vocab(ids)) => ids,
            Self::Scores => &[],
        }
    }
}

/// A list of at most `MOST` entries.
pub(crate) struct BoundedList<T, const MOST: usize>(pub(crate) Vec<T>);

/// A JSON string, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// One rule, `"left right"` or `["left", "right"]`.
pub(crate) struct Merge<'a> {
    pub(crate) left: Cow<'a, str>,
    pub(crate) right: Cow<'a, str>,
}

impl<'de: 'a, 'a, const MOST: usize> Deserialize<'de> for Vocab<'a, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<const MOST: usize>;
        impl<'de, const MOST: usize> Visitor<'de> for Entries<MOST> {
            type Value = Vocab<'de, MOST>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tokens and their ids")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some((Text(token), id)) = map.next_entry()? {
                    if entries.len() == MOST {
                        return Err(A::Error::custom(format_args!("more than {MOST} tokens")));
                    }
                    entries.push((token, id));
                }
                Ok(Vocab(entries))
            }
        }
        deserializer.deserialize_map(Entries::<MOST>)
    }
}

impl<'de: 'a, 'a, const MOST: usize> Deserialize<'de> for ModelVocab<'a, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<const MOST: usize>;
        impl<'de, const MOST: usize> Visitor<'de> for Either<MOST> {
            type Value = ModelVocab<'de, MOST>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tokens and their ids")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                Vocab::deserialize(MapAccessDeserializer::new(map)).map(ModelVocab::Ids)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(ModelVocab::Scores)
            }
        }
        deserializer.deserialize_any(Either::<MOST>)
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
                match (left, right, list.next_element::<IgnoredAny>()?) {
                    (Some(Text(left)), Some(Text(right)), None) => Ok(Merge { left, right }),
                    _ => Err(A::Error::custom(NOT_A_PAIR)),
                }
            }
        }
        deserializer.deserialize_any(Rule)
    }
}

const NOT_A_PAIR: &str = "a merge rule that is not exactly two tokens";

pub(crate) fn pair(rule: &str) -> Option<(&str, &str)> {
    rule.split_once(' ').filter(|(left, right)| !left.is_empty() && !right.is_empty() && !right.contains(' '))
}
