//! The packed form of a vocabulary: one run of bytes that is used in place, without parsing or copying.
//!
//! ```text
//! "STOK", version, tokens, text tokens, merge rules, bytes of all tokens, settings   7 little-endian u32
//! starts      tokens + 1 u32: token i is bytes[starts[i]..starts[i + 1]]
//! by_bytes    u32: ids of the text tokens, ordered by their bytes
//! rules       4 u32 each: left, right, rank, merged token; ordered by left and right
//! kinds       one byte per token: 0 absent, 1 text, 2 special, 3 series (timestamps), 4 a byte; beside that how it is
//!             looked for: 16 as a whole, 32 and 64 with white space left and right of it, 128 in normalised text
//! bytes       of all tokens
//! ```
//!
//! Settings (bits): 1 a space before the text, 2 rules are listed, 4 whole pieces first, 8 NFC, 16 characters instead
//! of bytes, 32 decoding removes the first space, 64 (with 1) and 128 when the space before the text is added; from bit
//! 8 on the pre-tokenizer, where 0 is GPT-2's.
//!
//! The module `compact` has a smaller form, which is not used in place.
//!
//! The tables for decoding (starts, kinds, bytes) are checked on opening. Those of the encoder (by_bytes, rules) are
//! not: wrong content there gives other tokens, but never one that is not text.

use std::ops::Range;

use super::compact;
use super::hugging_face::MAX_FILE;
use super::merging::{Alphabet, Merges, Rules};
use super::pre_tokenizer::PreTokenizer;
use super::table::{SharedBytes, Table};
use super::tokenizer::{BytePairTokenizer, Prefix, Preparation};
use super::vocabulary::{Kind, MAX_TOKENS, Vocabulary};
use crate::{TextError, source};

pub(super) const MAGIC: u32 = u32::from_le_bytes(*b"STOK");

/// Increases with every change of the format above.
const VERSION: u32 = 1;

/// Number of u32 values before the tables.
pub(super) const NUMBERS: usize = 7;

const PREFIX_SPACE: u32 = 1;
const LISTED_MERGES: u32 = 2;
const WHOLE_PIECE_FIRST: u32 = 4;
const NFC: u32 = 8;
const CHARACTERS: u32 = 16;
const STRIPS_SPACE: u32 = 32;
const FIRST: u32 = 64;
const FIRST_SPACE: u32 = PREFIX_SPACE | FIRST;
const ALWAYS: u32 = 128;
const PRE_TOKENIZER_AT: u32 = 8;

/// The settings in the last number of the header.
pub(super) struct Settings {
    pub(super) preparation: Preparation,
    listed_merges: bool,
    pub(super) whole_piece_first: bool,
}

impl Settings {
    pub(super) fn of(tokenizer: &BytePairTokenizer) -> Self {
        let (listed_merges, whole_piece_first) = match tokenizer.merges() {
            Merges::ByToken => (false, false),
            Merges::Listed { whole_piece_first, .. } => (true, *whole_piece_first),
        };
        Self { preparation: tokenizer.preparation().clone(), listed_merges, whole_piece_first }
    }

    pub(super) fn number(&self) -> u32 {
        let flag = |flag, set| if set { flag } else { 0 };
        let prefix = match self.preparation.prefix {
            Prefix::Never => 0,
            Prefix::UnlessSpace => PREFIX_SPACE,
            Prefix::FirstUnlessSpace => FIRST_SPACE,
            Prefix::Always => ALWAYS,
        };
        prefix
            | flag(LISTED_MERGES, self.listed_merges)
            | flag(WHOLE_PIECE_FIRST, self.whole_piece_first)
            | flag(NFC, self.preparation.nfc)
            | flag(CHARACTERS, self.preparation.alphabet == Alphabet::Characters)
            | flag(STRIPS_SPACE, self.preparation.strips_space)
            | self.preparation.pre_tokenizer.number() << PRE_TOKENIZER_AT
    }

    pub(super) fn from_number(number: u32) -> Option<Self> {
        let has = |flag| number & flag != 0;
        let preparation = Preparation {
            nfc: has(NFC),
            prefix: match number & (PREFIX_SPACE | FIRST | ALWAYS) {
                PREFIX_SPACE => Prefix::UnlessSpace,
                FIRST_SPACE => Prefix::FirstUnlessSpace,
                ALWAYS => Prefix::Always,
                _ => Prefix::Never,
            },
            alphabet: if has(CHARACTERS) { Alphabet::Characters } else { Alphabet::Bytes },
            strips_space: has(STRIPS_SPACE),
            pre_tokenizer: PreTokenizer::from_number(number >> PRE_TOKENIZER_AT)?,
        };
        let settings =
            Self { preparation, listed_merges: has(LISTED_MERGES), whole_piece_first: has(WHOLE_PIECE_FIRST) };
        (settings.number() == number).then_some(settings)
    }
}

impl BytePairTokenizer {
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
        for number in [MAGIC, VERSION].into_iter().chain(numbers).chain([Settings::of(self).number()]) {
            packed.extend_from_slice(&number.to_le_bytes());
        }
        for table in [starts, by_bytes, rules, kinds, bytes] {
            packed.extend_from_slice(table);
        }
        packed
    }

    /// Opens a packed tokenizer in `range` of `shared`, used in place; `name` is the file's name in errors.
    ///
    /// Takes well under a millisecond for vocabularies of Whisper's size; some milliseconds for the form of
    /// [`to_packed_compact`](Self::to_packed_compact), whose tables are rebuilt. The bytes must not change while the
    /// tokenizer exists.
    ///
    /// # Errors
    /// [`TextError::Packed`] for bytes that were not written by [`to_packed`](Self::to_packed) or
    /// [`to_packed_compact`](Self::to_packed_compact).
    pub fn from_packed(shared: SharedBytes, range: Range<usize>, name: &str) -> Result<Self, TextError> {
        let damaged = |cause| TextError::Packed { file: name.to_owned(), cause };
        let all = Table::new(shared, range).ok_or_else(|| damaged("it lies beyond the file"))?;
        if [0, 1].map(|index| all.word(index)) == [Some(MAGIC), Some(compact::VERSION)] {
            return Self::from_compact(&all, name);
        }
        let parts = Parts::read(&all, name)?;
        check(&parts).map_err(damaged)?;
        let Settings { preparation, listed_merges, whole_piece_first } = parts.settings;
        let merges = if listed_merges {
            Merges::Listed { rules: Rules::from_table(parts.rules), whole_piece_first }
        } else {
            Merges::ByToken
        };
        let vocabulary = Vocabulary::from_tables(parts.starts, parts.by_bytes, parts.kinds, parts.bytes);
        Ok(Self::new(vocabulary, merges, preparation))
    }
}

struct Parts {
    starts: Table,
    by_bytes: Table,
    rules: Table,
    kinds: Table,
    bytes: Table,
    settings: Settings,
}

impl Parts {
    fn read(all: &Table, name: &str) -> Result<Self, TextError> {
        let damaged = |cause| TextError::Packed { file: name.to_owned(), cause };
        source::check_size(name, all.bytes().len() as u64, MAX_FILE)?;
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
        let settings = Settings::from_number(number(6)).filter(|_| tokens <= u64::from(MAX_TOKENS) && text <= tokens);
        let settings = settings.ok_or_else(|| damaged("its header is impossible"))?;
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
            settings,
        };
        if start != all.bytes().len() as u64 {
            return Err(damaged("something follows it"));
        }
        Ok(parts)
    }
}

/// Checks everything that decoding relies on.
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
