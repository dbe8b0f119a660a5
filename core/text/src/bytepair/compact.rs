//! The compact packed form of a vocabulary: tables that follow from the merge rules are left out. It has a seventh of
//! the bytes and takes some milliseconds to open.
//!
//! ```text
//! "STOK", version, tokens, single tokens, merge rules, bytes, settings  7 little-endian u32, as in the full form
//! rules       2 u16 each: left, right; in the order of their ranks
//! kinds       one byte per token that no rule makes; what a rule makes is text
//! lengths     one byte per token that no rule makes
//! bytes       of these tokens
//! ```
//!
//! The single tokens have the first ids; then come the tokens made by the first rule, the second, and so on, as
//! byte-pair encoding learns them; control tokens and timestamps follow. Vocabularies with another numbering have no
//! compact form.

use super::merging::{Merges, Rules};
use super::packed::{MAGIC, NUMBERS, Settings};
use super::table::{SharedBytes, Table};
use super::tokenizer::BytePairTokenizer;
use super::vocabulary::{Kind, Vocabulary};
use crate::TextError;

/// Increases with every change of the format above. The full form has other numbers.
pub(super) const VERSION: u32 = 2;

/// Maximum size of all tokens together, because rules that double a token repeatedly would fill any memory. Whisper's
/// tokens have 0.4 MB.
const MAX_BYTES: usize = 4 << 20;

impl BytePairTokenizer {
    /// The whole tokenizer as bytes for [`from_packed`](Self::from_packed), in its smallest form: if possible, tables
    /// that follow from the merge rules are left out and rebuilt on opening. Those of tiny.en take 0.2 MB instead of
    /// 1.6 MB, but 1.6 MB of memory once opened, while the full form can stay in a mapped file.
    #[must_use]
    pub fn to_packed_compact(&self) -> Vec<u8> {
        let full = self.to_packed();
        let same = |bytes: &Vec<u8>| {
            let (shared, range): (SharedBytes, _) = (std::sync::Arc::new(bytes.clone()), 0..bytes.len());
            Self::from_packed(shared, range, "").is_ok_and(|opened| opened.to_packed() == full)
        };
        self.derivable().filter(same).unwrap_or(full)
    }

    /// The compact form, if the vocabulary has the required numbering. The caller must check that it opens as the same
    /// tokenizer.
    fn derivable(&self) -> Option<Vec<u8>> {
        let Merges::Listed { rules, .. } = self.merges() else { return None };
        let vocabulary = self.vocabulary();
        let mut ranked: Vec<[u32; 4]> = rules.iter().collect();
        ranked.sort_unstable_by_key(|&[_, _, rank, _]| rank);
        let first = ranked.first().map_or(0, |rule| rule[3] as usize);
        let made = first..first.checked_add(ranked.len())?;
        if made.end > vocabulary.len() {
            return None;
        }
        let single = || (0..vocabulary.len()).filter(|id| !made.contains(id)).map(|id| vocabulary.token(id as u32));
        let bytes: usize = single().map(<[u8]>::len).sum();
        let mut packed = Vec::new();
        let numbers = [vocabulary.len(), first, ranked.len(), bytes].map(|number| number as u32);
        for number in [MAGIC, VERSION].into_iter().chain(numbers).chain([Settings::of(self).number()]) {
            packed.extend_from_slice(&number.to_le_bytes());
        }
        for part in ranked.iter().flat_map(|&[left, right, ..]| [left, right]) {
            packed.extend_from_slice(&u16::try_from(part).ok()?.to_le_bytes());
        }
        let [_, _, kinds, _] = vocabulary.tables();
        packed.extend_from_slice(kinds.get(..made.start)?);
        packed.extend_from_slice(kinds.get(made.end..)?);
        for token in single() {
            packed.push(u8::try_from(token.len()).ok()?);
        }
        single().for_each(|token| packed.extend_from_slice(token));
        Some(packed)
    }

    /// Opens a tokenizer from `all`, in the compact form.
    pub(super) fn from_compact(all: &Table, name: &str) -> Result<Self, TextError> {
        let damaged = |cause| TextError::Packed { file: name.to_owned(), cause };
        let number = |index: usize| all.word(index).unwrap_or_default();
        let [tokens, first, rules, bytes] = [2, 3, 4, 5].map(|index| number(index) as usize);
        // The numbers have 32 bits, so no sum overflows 64.
        let made = first as u64..first as u64 + rules as u64;
        let possible = tokens <= usize::from(u16::MAX) + 1 && made.end <= tokens as u64 && bytes <= MAX_BYTES;
        let settings = Settings::from_number(number(6)).filter(|_| possible);
        let settings = settings.ok_or_else(|| damaged("its header is impossible"))?;
        let single = tokens - rules;
        let mut rest = all.bytes().get(4 * NUMBERS..).unwrap_or_default();
        let mut next = |length: usize| {
            let (part, behind) = rest.split_at_checked(length).ok_or_else(|| damaged("it is cut off"))?;
            rest = behind;
            Ok::<_, TextError>(part)
        };
        let (pairs, kinds, lengths, bytes) = (next(4 * rules)?, next(single)?, next(single)?, next(bytes)?);
        if !rest.is_empty() {
            return Err(damaged("something follows it"));
        }
        let (starts, bytes, rules) = expanded(pairs, first, lengths, bytes).map_err(damaged)?;
        if kinds.iter().any(|&kind| Kind::from_number(kind).is_none()) {
            return Err(damaged("it has a token of an unknown kind"));
        }
        let (before, behind) = kinds.split_at(first);
        let kinds = [before, &vec![Kind::Text.number(); rules.len()], behind].concat();
        let vocabulary = Vocabulary::indexed(bytes, starts, kinds);
        let merges = Merges::Listed { rules: Rules::new(rules), whole_piece_first: settings.whole_piece_first };
        Ok(Self::new(vocabulary, merges, settings.preparation))
    }
}

/// Starts and bytes of all tokens, and the rules in full.
type Expanded = (Vec<u32>, Vec<u8>, Vec<[u32; 4]>);

fn expanded(pairs: &[u8], first: usize, lengths: &[u8], bytes: &[u8]) -> Result<Expanded, &'static str> {
    let (before, behind) = lengths.split_at_checked(first).ok_or("its header is impossible")?;
    let mut starts = vec![0];
    let mut all = Vec::with_capacity(4 * bytes.len());
    let mut rules = Vec::new();
    let mut rest = bytes;
    let mut single = |length: u8, all: &mut Vec<u8>, starts: &mut Vec<u32>| {
        let (token, after) = rest.split_at_checked(usize::from(length)).ok_or("its tokens do not fit")?;
        rest = after;
        all.extend_from_slice(token);
        starts.push(all.len() as u32);
        Ok::<_, &'static str>(())
    };
    before.iter().try_for_each(|&length| single(length, &mut all, &mut starts))?;
    for (rank, pair) in pairs.as_chunks::<4>().0.iter().enumerate() {
        let parts = [[pair[0], pair[1]], [pair[2], pair[3]]].map(|part| usize::from(u16::from_le_bytes(part)));
        for part in parts {
            // A rule joins tokens that come before its own.
            let (Some(&start), Some(&end)) = (starts.get(part), starts.get(part + 1)) else {
                return Err("a rule joins tokens that come later");
            };
            all.extend_from_within(start as usize..end as usize);
        }
        if all.len() > MAX_BYTES {
            return Err("its tokens are too long");
        }
        rules.push([parts[0] as u32, parts[1] as u32, rank as u32, (first + rank) as u32]);
        starts.push(all.len() as u32);
    }
    behind.iter().try_for_each(|&length| single(length, &mut all, &mut starts))?;
    if rest.is_empty() { Ok((starts, all, rules)) } else { Err("its tokens do not fill it") }
}
