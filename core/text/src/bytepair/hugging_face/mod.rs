//! Hugging Face's `tokenizer.json` with a BPE model: byte-level, or of characters with byte fallback (`spaces`).
//!
//! Every setting that would change tokens is either supported or refused by name. Only settings that apply after
//! tokenization are ignored: the post-processor (the caller builds prompts and chat templates), truncation and padding.

mod json;
mod spaces;

use json::{AddedToken, Model, ModelVocab, Step, TokenizerJson};
pub(crate) use json::{Vocab, pair};

use super::alphabet::append_bytes;
use super::merging::{Alphabet, Merges, Rules};
use super::pre_tokenizer::{PreTokenizer, Split};
use super::tokenizer::{BytePairTokenizer, Prefix, Preparation, SPACE_SIGN};
use super::vocabulary::{Kind, Marks, Vocabulary, VocabularyBuilder};
use crate::{TextError, source};
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use unicode_normalization::is_nfc;

/// Gemma's vocabulary, the largest in use, has 262,144 tokens and 514,906 merge rules.
const MAX_ENTRIES: usize = 1 << 20;
/// Gemma adds 6,415 tokens.
const MAX_ADDED: usize = 1 << 15;
/// Llama 3's file has 17 MB, Gemma's 33 MB.
pub(super) const MAX_FILE: u64 = 64 << 20;

/// What is supported, for error messages.
const SUPPORTED: &str = "tokenizer.json is read for BPE of bytes with the pre-tokenizers of GPT-2, Llama 3, Qwen 2, \
                         Mistral Nemo and GPT-4o, and for BPE of characters with byte_fallback";

impl BytePairTokenizer {
    /// Reads a Hugging Face `tokenizer.json` whose model is BPE: of bytes as in GPT-2, Llama 3, Qwen 2 and 3, SmolLM2
    /// and Mistral Nemo, or of characters with `byte_fallback` as in Llama 2, Phi 3 and Gemma. Takes tens of
    /// milliseconds for each 2 MB.
    ///
    /// Supported: `NFC`, the pre-tokenizers `ByteLevel`, `Digits`, `Split` with a published regular expression and
    /// `Sequence` of them, merge rules as strings or pairs, `ignore_merges`, added tokens with `lstrip`, `rstrip` and
    /// `normalized`; with `byte_fallback` the ways to write a space as `▁` (`Prepend`, `Replace`, `Metaspace`).
    /// Ignored, because they apply after tokenization: `post_processor`, `truncation`, `padding`. Every other setting
    /// that would change tokens is refused by name.
    ///
    /// # Errors
    /// [`TextError::Kind`] for Unigram, WordPiece and other types, [`TextError::Unsupported`] for settings beyond the
    /// above, other [`TextError`]s for files that cannot be read or are broken.
    pub fn from_hugging_face(path: &Path) -> Result<Self, TextError> {
        Self::from_hugging_face_bytes(&source::read(path, MAX_FILE)?, &path.display().to_string())
    }

    /// Like [`from_hugging_face`](Self::from_hugging_face), from bytes in memory; `name` is used in errors.
    ///
    /// # Errors
    /// As [`from_hugging_face`](Self::from_hugging_face).
    pub fn from_hugging_face_bytes(json: &[u8], name: &str) -> Result<Self, TextError> {
        let json = parse::<MAX_ENTRIES, MAX_ADDED>(json, name, MAX_FILE)?;
        let unsupported = |what| TextError::Unsupported { file: name.to_owned(), what, supported: SUPPORTED };
        let preparation = preparation(&json).map_err(unsupported)?;
        let characters = preparation.alphabet == Alphabet::Characters;
        let mut builder =
            if characters { spaces::builder(name, json.model.vocab.ids(), SUPPORTED)? } else { builder(name, &json)? };
        for token in &json.added_tokens.0 {
            let marks = marks(token, &preparation).map_err(unsupported)?;
            let kind = if token.special { Kind::Special } else { Kind::Text };
            if characters && kind == Kind::Text && token.content.contains(SPACE_SIGN) {
                // A run of spaces, which the merge rules make as well.
                builder.insert(name, token.id, spaces::content(&token.content).as_bytes(), kind)?;
                continue;
            }
            builder.insert(name, token.id, token.content.as_bytes(), kind)?;
            builder.mark(token.id, marks);
        }
        let vocabulary = builder.build();
        if characters && vocabulary.fallback().contains(&None) {
            return Err(unsupported("byte_fallback with a vocabulary that lacks some bytes".to_owned()));
        }
        if !characters && json.model.unk_token.is_some() && !spells_everything(&vocabulary) {
            return Err(unsupported("unk_token with a vocabulary that lacks some bytes".to_owned()));
        }
        let merges = merges(name, &json)?;
        Ok(Self::new(vocabulary, merges, preparation))
    }
}

/// Parses a file if it is a BPE tokenizer of at most `limit` bytes.
pub(crate) fn parse<'a, const ENTRIES: usize, const ADDED: usize>(
    json: &'a [u8],
    name: &str,
    most_bytes: u64,
) -> Result<TokenizerJson<'a, ENTRIES, ADDED>, TextError> {
    source::check_size(name, json.len() as u64, most_bytes)?;
    let broken = |problem| TextError::Json { file: name.to_owned(), problem };
    let json: TokenizerJson<'_, ENTRIES, ADDED> =
        serde_json::from_slice(json).map_err(|error| broken(error.to_string()))?;
    let Model { kind, vocab, merges, .. } = &json.model;
    let kind = match (kind, vocab, merges) {
        (Some(kind), ..) => kind,
        // Older files do not name their type; their parts show it.
        (None, ModelVocab::Scores, _) => "Unigram",
        (None, ModelVocab::Ids(_), None) => "WordPiece or WordLevel",
        (None, ModelVocab::Ids(_), Some(_)) => "BPE",
    };
    match (kind, vocab, merges) {
        ("BPE", ModelVocab::Ids(_), Some(_)) => Ok(json),
        ("BPE", ModelVocab::Scores, _) => Err(broken("the vocabulary of a BPE model is no object".to_owned())),
        ("BPE", _, None) => Err(broken("a BPE model without `merges`".to_owned())),
        (kind, ..) => Err(TextError::Kind { file: name.to_owned(), kind: shortened(kind) }),
    }
}

/// How text is prepared before pairs are merged, or the first setting that is not supported.
pub(crate) fn preparation<const ENTRIES: usize, const ADDED: usize>(
    json: &TokenizerJson<'_, ENTRIES, ADDED>,
) -> Result<Preparation, String> {
    let model = &json.model;
    if model.dropout.is_some_and(|dropout| dropout != 0.0) {
        return Err("BPE dropout, which makes encoding random".to_owned());
    }
    for affix in [&model.continuing_subword_prefix, &model.end_of_word_suffix] {
        if affix.as_deref().is_some_and(|affix| !affix.is_empty()) {
            return Err("subword prefix or suffix".to_owned());
        }
    }
    if model.byte_fallback {
        return spaces::preparation(json.normalizer.as_ref(), json.pre_tokenizer.as_ref(), json.decoder.as_ref());
    }
    let mut preparation = Preparation::default();
    if let Some(normalizer) = &json.normalizer {
        preparation.nfc = normalizes(normalizer)?;
    }
    let Some(step) = &json.pre_tokenizer else { return Err("no pre-tokenizer".to_owned()) };
    let mut splits = Vec::new();
    let [before @ .., last] = step.in_turn(&step.pretokenizers) else {
        return Err("an empty sequence of pre-tokenizers".to_owned());
    };
    for step in before {
        splits.push(split(step)?);
    }
    if last.kind != "ByteLevel" {
        return Err(format!("pre-tokenizer {}, with no ByteLevel behind it", shortened(&last.kind)));
    }
    // After other steps, the space would be added before each of their pieces.
    if last.add_prefix_space && !before.is_empty() {
        return Err("add_prefix_space behind other pre-tokenizers".to_owned());
    }
    if last.add_prefix_space {
        preparation.prefix = Prefix::UnlessSpace;
    }
    if last.use_regex {
        splits.push(Split::Gpt2);
    }
    preparation.pre_tokenizer =
        PreTokenizer::new(&splits).ok_or_else(|| format!("more than {} pre-tokenizers", PreTokenizer::MOST))?;
    Ok(preparation)
}

/// Whether text is normalised to NFC.
fn normalizes(normalizer: &Step<'_>) -> Result<bool, String> {
    let steps = normalizer.in_turn(&normalizer.normalizers);
    match steps.iter().find(|step| step.kind != "NFC") {
        Some(other) => Err(format!("normalizer {}", shortened(&other.kind))),
        None => Ok(!steps.is_empty()),
    }
}

/// The rule of one pre-tokenizer before the last.
fn split(step: &Step<'_>) -> Result<Split, String> {
    match &*step.kind {
        "Digits" if step.individual_digits => Ok(Split::Digits),
        "Digits" => Ok(Split::DigitRuns),
        "Split" => {
            let pattern = step.pattern.as_ref();
            let Some(regex) = pattern.and_then(|pattern| pattern.regex.as_deref()) else {
                let string = pattern.and_then(|pattern| pattern.string.as_deref()).unwrap_or_default();
                return Err(format!("pre-tokenizer Split at {:?}", shortened(string)));
            };
            let known = Split::of_regex(regex)
                .ok_or_else(|| format!("pre-tokenizer Split by the unknown regular expression {}", shortened(regex)))?;
            // These expressions match the whole text, so keeping only the matches and keeping everything are the same.
            match step.behavior.as_deref() {
                Some("Isolated") if !step.invert => Ok(known),
                Some("Removed") if step.invert => Ok(known),
                behavior => Err(format!(
                    "pre-tokenizer Split with behavior {} and invert {}",
                    shortened(behavior.unwrap_or("missing")),
                    step.invert
                )),
            }
        }
        kind => Err(format!("pre-tokenizer {}", shortened(kind))),
    }
}

/// How an added token is matched.
fn marks(token: &AddedToken<'_>, preparation: &Preparation) -> Result<Marks, String> {
    if token.single_word {
        return Err(format!("added token {} that is to be found as a single word only", token.id));
    }
    // In normalised text a space is ▁, which no token strips.
    let strips = preparation.alphabet == Alphabet::Characters && (token.lstrip || token.rstrip);
    let changes = preparation.nfc && !is_nfc(&token.content) || preparation.prefix == Prefix::Always;
    if token.normalized && (changes || strips) {
        return Err(format!("added token {} that would be normalised in another way than text is", token.id));
    }
    Ok(Marks::ADDED
        .with(Marks::STRIPS_LEFT, token.lstrip)
        .with(Marks::STRIPS_RIGHT, token.rstrip)
        .with(Marks::NORMALIZED, token.normalized))
}

/// Whether every byte that occurs in UTF-8 is a token.
fn spells_everything(vocabulary: &Vocabulary) -> bool {
    (0..=0xF4_u8).filter(|byte| !matches!(byte, 0xC0 | 0xC1)).all(|byte| vocabulary.find(&[byte]).is_some())
}

/// Collects the tokens of the model itself, without added tokens.
pub(crate) fn builder<const ENTRIES: usize, const ADDED: usize>(
    name: &str,
    json: &TokenizerJson<'_, ENTRIES, ADDED>,
) -> Result<VocabularyBuilder, TextError> {
    let mut builder = VocabularyBuilder::default();
    let mut bytes = Vec::new();
    for (token, id) in json.model.vocab.ids() {
        bytes.clear();
        append_bytes(token, &mut bytes);
        builder.insert(name, *id, &bytes, Kind::Text)?;
    }
    Ok(builder)
}

/// The merge rules of the file.
pub(crate) fn merges<const ENTRIES: usize, const ADDED: usize>(
    name: &str,
    json: &TokenizerJson<'_, ENTRIES, ADDED>,
) -> Result<Merges, TextError> {
    let Model { vocab, merges, ignore_merges, .. } = &json.model;
    let rules = merges.iter().flat_map(|list| &list.0).map(|merge| (&*merge.left, &*merge.right));
    listed_merges(name, vocab.ids(), rules, *ignore_merges)
}

/// The beginning of an arbitrary name from a file.
fn shortened(name: &str) -> String {
    const MOST: usize = 80;
    if name.chars().nth(MOST).is_none() {
        return name.to_owned();
    }
    name.chars().take(MOST).chain(['…']).collect()
}

/// The merge rules, given as pairs of tokens in the order of their ranks, by token ids.
pub(crate) fn listed_merges<'r>(
    file: &str,
    vocab: &[(Cow<'_, str>, u64)],
    listed: impl Iterator<Item = (&'r str, &'r str)>,
    whole_piece_first: bool,
) -> Result<Merges, TextError> {
    let mut ids: HashMap<&str, u32> = HashMap::with_capacity(vocab.len());
    for (token, id) in vocab {
        // Ids beyond u32 are refused when the vocabulary is built, so this value is never used.
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
