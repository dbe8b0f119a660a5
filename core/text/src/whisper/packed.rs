//! A loaded vocabulary as one run of bytes that is used in place: nothing is parsed, nothing is copied.
//!
//! ```text
//! "STOK", version, tokens, text tokens, merge rules, bytes of all tokens, flags      7 little-endian u32
//! starts      tokens + 1 u32: token i is bytes[starts[i]..starts[i + 1]]
//! by_bytes    u32: ids of the text tokens, ordered by their bytes
//! rules       4 u32 each: left, right, rank, merged token; ordered by left and right
//! kinds       one byte per token: 0 absent, 1 text, 2 special, 3 timestamp
//! bytes       of all tokens
//! ```
//!
//! `compact` has a smaller form that is not used in place.
//!
//! What decoding reads (starts, kinds, bytes) is checked on opening. The encoder's tables (by_bytes, rules) are left
//! alone until text is encoded: wrong content there gives other tokens, never a token that is not text.

use std::ops::Range;

use super::bpe::{Merges, Rules};
use super::table::{SharedBytes, Table};
use super::vocabulary::{Kind, MAX_TOKENS, Vocabulary};
use super::{WhisperTokenizer, compact, source};
use crate::TextError;

pub(super) const MAGIC: u32 = u32::from_le_bytes(*b"STOK");

/// Counts up with every change of the form above.
const VERSION: u32 = 1;

/// Numbers in front of the tables.
pub(super) const NUMBERS: usize = 7;

pub(super) const PREFIX_SPACE: u32 = 1;
const LISTED_MERGES: u32 = 2;
pub(super) const WHOLE_PIECE_FIRST: u32 = 4;
pub(super) const FLAGS: u32 = PREFIX_SPACE | LISTED_MERGES | WHOLE_PIECE_FIRST;

impl WhisperTokenizer {
    /// The whole tokenizer as bytes for [`from_packed`](Self::from_packed). The same tokenizer gives the same bytes.
    #[must_use]
    pub fn to_packed(&self) -> Vec<u8> {
        let vocabulary = self.vocabulary();
        let rules = match self.merges() {
            Merges::ByToken => &[][..],
            Merges::Listed { rules, .. } => rules.bytes(),
        };
        let [starts, by_bytes, kinds, bytes] = vocabulary.tables();
        let numbers = [vocabulary.len(), by_bytes.len() / 4, rules.len() / Rules::BYTES, bytes.len()];
        let mut packed = Vec::new();
        let numbers = numbers.map(|number| number as u32);
        for number in [MAGIC, VERSION].into_iter().chain(numbers).chain([flags_of(self)]) {
            packed.extend_from_slice(&number.to_le_bytes());
        }
        for table in [starts, by_bytes, rules, kinds, bytes] {
            packed.extend_from_slice(table);
        }
        packed
    }

    /// A tokenizer that lies packed in `range` of `shared`, used in place; `name` stands for the file in errors.
    ///
    /// Takes well under a millisecond for Whisper's vocabularies, some milliseconds in the form of
    /// [`to_packed_compact`](Self::to_packed_compact), whose tables are made anew. The bytes must not change while the
    /// tokenizer exists.
    ///
    /// # Errors
    /// [`TextError::Packed`] for bytes that [`to_packed`](Self::to_packed) did not write, [`TextError::MissingSpecial`]
    /// and [`TextError::Timestamps`] as for any vocabulary.
    pub fn from_packed(shared: SharedBytes, range: Range<usize>, name: &str) -> Result<Self, TextError> {
        let damaged = |cause| TextError::Packed { file: name.to_owned(), cause };
        let all = Table::new(shared, range).ok_or_else(|| damaged("it lies beyond the file"))?;
        if [0, 1].map(|index| all.word(index)) == [Some(MAGIC), Some(compact::VERSION)] {
            return Self::from_compact(&all, name);
        }
        let parts = Parts::read(&all, name)?;
        check(&parts).map_err(damaged)?;
        let merges = match parts.flags & LISTED_MERGES {
            0 => Merges::ByToken,
            _ => Merges::Listed {
                rules: Rules::from_table(parts.rules),
                whole_piece_first: parts.flags & WHOLE_PIECE_FIRST != 0,
            },
        };
        let vocabulary = Vocabulary::from_tables(parts.starts, parts.by_bytes, parts.kinds, parts.bytes);
        Self::assemble(name, vocabulary, merges, parts.flags & PREFIX_SPACE != 0)
    }
}

/// The last number of the header.
pub(super) fn flags_of(tokenizer: &WhisperTokenizer) -> u32 {
    let merges = match tokenizer.merges() {
        Merges::ByToken => 0,
        Merges::Listed { whole_piece_first: false, .. } => LISTED_MERGES,
        Merges::Listed { whole_piece_first: true, .. } => LISTED_MERGES | WHOLE_PIECE_FIRST,
    };
    merges | if tokenizer.prefix_space() { PREFIX_SPACE } else { 0 }
}

struct Parts {
    starts: Table,
    by_bytes: Table,
    rules: Table,
    kinds: Table,
    bytes: Table,
    flags: u32,
}

impl Parts {
    fn read(all: &Table, name: &str) -> Result<Self, TextError> {
        let damaged = |cause| TextError::Packed { file: name.to_owned(), cause };
        source::check_size(name, all.bytes().len() as u64)?;
        if all.words() < NUMBERS {
            return Err(damaged("it is shorter than its header"));
        }
        let number = |index: usize| all.word(index).unwrap_or_default();
        if number(0) != MAGIC {
            return Err(damaged("it does not begin as one"));
        }
        if number(1) != VERSION {
            return Err(damaged("it is of an unknown version"));
        }
        let [tokens, text, rules, bytes] = [2, 3, 4, 5].map(|index| u64::from(number(index)));
        let flags = number(6);
        if tokens > u64::from(MAX_TOKENS) || text > tokens || flags & !FLAGS != 0 {
            return Err(damaged("its header is impossible"));
        }
        let mut start = 4 * NUMBERS as u64;
        let mut next = |length: u64| {
            let range = start..start + length;
            start = range.end;
            let range = usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?;
            all.part(range)
        };
        let mut next = |length| next(length).ok_or_else(|| damaged("it is cut off"));
        let parts = Self {
            starts: next(4 * (tokens + 1))?,
            by_bytes: next(4 * text)?,
            rules: next(Rules::BYTES as u64 * rules)?,
            kinds: next(tokens)?,
            bytes: next(bytes)?,
            flags,
        };
        if start != all.bytes().len() as u64 {
            return Err(damaged("something follows it"));
        }
        Ok(parts)
    }
}

/// What decoding relies on.
fn check(parts: &Parts) -> Result<(), &'static str> {
    let starts = parts.starts.bytes().as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word));
    let mut last = 0;
    for (index, start) in starts.enumerate() {
        if start < last || (index == 0 && start != 0) {
            return Err("its tokens are out of order");
        }
        last = start;
    }
    if last as usize != parts.bytes.bytes().len() {
        return Err("its tokens do not fill it");
    }
    if parts.kinds.bytes().iter().any(|&kind| Kind::from_number(kind).is_none()) {
        return Err("it has a token of an unknown kind");
    }
    Ok(())
}
