//! Token bytes by id, and ids by bytes: one arena, two index arrays.

use super::table::Table;
use crate::TextError;

/// Bound for ids. The largest vocabularies in use have 262,144 tokens; the bound limits the memory that a hostile id
/// can claim.
pub(crate) const MAX_TOKENS: u32 = 1 << 20;

/// The kind of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A gap in the numbering: no token has this id.
    Absent,
    /// Part of the text.
    Text,
    /// Control token; not text.
    Special,
    /// Control token of a numbered series, such as Whisper's `<|0.00|>` and following.
    Series,
    /// Part of the text, but not found by its bytes: a single byte for byte fallback.
    Byte,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Absent, Self::Text, Self::Special, Self::Series, Self::Byte];

    /// The kind stored in a table: its index in [`ALL`](Self::ALL), combined with [`Marks`].
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number & !Marks::ALL)).copied()
    }

    pub(crate) fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Byte)
    }

    pub(crate) fn number(self) -> u8 {
        self as u8
    }
}

/// How an added token is matched in text; stored with its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Marks(u8);

impl Marks {
    /// Matched as a whole, before text is split into pieces.
    pub(crate) const ADDED: Self = Self(0x10);
    /// White space before it belongs to it.
    pub(crate) const STRIPS_LEFT: Self = Self(0x20);
    /// White space after it belongs to it.
    pub(crate) const STRIPS_RIGHT: Self = Self(0x40);
    /// Matched in normalised text, not in the original text.
    pub(crate) const NORMALIZED: Self = Self(0x80);

    const ALL: u8 = 0xF0;

    pub(crate) fn has(self, mark: Self) -> bool {
        self.0 & mark.0 != 0
    }

    /// These marks, plus `mark` if `wanted`.
    pub(crate) fn with(self, mark: Self, wanted: bool) -> Self {
        if wanted { Self(self.0 | mark.0) } else { self }
    }
}

/// All tokens of a model; ids are dense from 0 (gaps are [`Kind::Absent`] and empty).
#[derive(Debug, Clone)]
pub(crate) struct Vocabulary {
    bytes: Table,
    // u32 values: token `id` is `bytes[starts[id]..starts[id + 1]]`.
    starts: Table,
    // One byte per token: `Kind::number` and its `Marks`.
    kinds: Table,
    // u32 values: ids of text tokens, ordered by their bytes. Half the memory of a hash map, and only prompts are
    // looked up.
    by_bytes: Table,
}

/// Collects tokens, in any order of ids.
#[derive(Debug, Default)]
pub(crate) struct VocabularyBuilder {
    bytes: Vec<u8>,
    slots: Vec<Slot>,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    start: u32,
    end: u32,
    kind: Kind,
    marks: Marks,
}

const ABSENT: Slot = Slot { start: 0, end: 0, kind: Kind::Absent, marks: Marks(0) };

impl VocabularyBuilder {
    /// Adds one token. A second token with the same id must have the same bytes; its kind then replaces the first one's
    /// (Hugging Face lists `<|endoftext|>` of English-only models twice).
    pub(crate) fn insert(&mut self, file: &str, id: u64, token: &[u8], kind: Kind) -> Result<(), TextError> {
        let Some(index) = u32::try_from(id).ok().filter(|id| *id < MAX_TOKENS) else {
            return Err(TextError::IdTooLarge { file: file.to_owned(), id, limit: MAX_TOKENS - 1 });
        };
        let slot = index as usize;
        if slot >= self.slots.len() {
            self.slots.resize(slot + 1, ABSENT);
        }
        let known = self.slots[slot];
        if known.kind != Kind::Absent {
            if self.bytes[known.start as usize..known.end as usize] != *token {
                return Err(TextError::DuplicateId { file: file.to_owned(), id: index });
            }
            self.slots[slot].kind = kind;
            return Ok(());
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(token);
        // The size of sources was limited to far below 4 GiB before (`source::check_size`).
        let (Ok(start), Ok(end)) = (u32::try_from(start), u32::try_from(self.bytes.len())) else {
            let limit = u64::from(u32::MAX);
            return Err(TextError::TooLarge { file: file.to_owned(), bytes: limit + 1, limit });
        };
        self.slots[slot] = Slot { start, end, kind, marks: Marks::default() };
        Ok(())
    }

    /// Marks an existing token.
    pub(crate) fn mark(&mut self, id: u64, marks: Marks) {
        if let Some(slot) = usize::try_from(id).ok().and_then(|id| self.slots.get_mut(id)) {
            slot.marks = marks;
        }
    }

    /// Orders the tokens by id and indexes the text tokens. Of text tokens with equal bytes the first is found.
    pub(crate) fn build(self) -> Vocabulary {
        let mut bytes = Vec::with_capacity(self.bytes.len());
        let mut starts = Vec::with_capacity(self.slots.len() + 1);
        starts.push(0);
        for slot in &self.slots {
            bytes.extend_from_slice(&self.bytes[slot.start as usize..slot.end as usize]);
            starts.push(bytes.len() as u32);
        }
        Vocabulary::indexed(bytes, starts, self.slots.iter().map(|slot| slot.kind.number() | slot.marks.0).collect())
    }
}

impl Vocabulary {
    /// A vocabulary from tokens in the order of their ids. The caller has checked that `starts` ascends and ends at the
    /// length of `bytes`, and that all `kinds` are known.
    pub(crate) fn indexed(bytes: Vec<u8>, starts: Vec<u32>, kinds: Vec<u8>) -> Self {
        let mut vocabulary = Self {
            bytes: Table::of_bytes(bytes),
            starts: Table::of_words(starts),
            kinds: Table::of_bytes(kinds),
            by_bytes: Table::of_bytes(Vec::new()),
        };
        let text = (0..vocabulary.len() as u32).filter(|&id| vocabulary.kind(id) == Kind::Text);
        let mut by_bytes: Vec<u32> = text.collect();
        by_bytes.sort_by(|&a, &b| vocabulary.token(a).cmp(vocabulary.token(b)));
        by_bytes.dedup_by(|later, earlier| vocabulary.token(*later) == vocabulary.token(*earlier));
        vocabulary.by_bytes = Table::of_words(by_bytes);
        vocabulary
    }

    /// A vocabulary from ready tables. The caller has checked that `starts` ascends and ends at the length of `bytes`,
    /// and that all `kinds` are known.
    pub(crate) fn from_tables(starts: Table, by_bytes: Table, kinds: Table, bytes: Table) -> Self {
        Self { bytes, starts, kinds, by_bytes }
    }

    /// Starts, ids by bytes, kinds and bytes, in the form of [`from_tables`](Self::from_tables).
    pub(crate) fn tables(&self) -> [&[u8]; 4] {
        [self.starts.bytes(), self.by_bytes.bytes(), self.kinds.bytes(), self.bytes.bytes()]
    }

    /// This vocabulary with the series `names` added, with consecutive ids from `first` on; `None` if one of these ids
    /// is taken.
    pub(crate) fn with_series(&self, first: usize, names: &[String]) -> Option<Self> {
        let end = first + names.len();
        if (first..end).any(|id| self.kind(id as u32) != Kind::Absent) {
            return None;
        }
        let mut bytes = Vec::new();
        let mut starts = vec![0];
        let mut kinds = Vec::new();
        for id in 0..self.len().max(end) {
            let (token, kind) = match id.checked_sub(first).and_then(|step| names.get(step)) {
                Some(name) => (name.as_bytes(), Kind::Series.number()),
                None => (self.token(id as u32), self.kind_number(id as u32)),
            };
            bytes.extend_from_slice(token);
            starts.push(bytes.len() as u32);
            kinds.push(kind);
        }
        // A series is not text, so the index by bytes does not change.
        let by_bytes = self.by_bytes.clone();
        Some(Self {
            bytes: Table::of_bytes(bytes),
            starts: Table::of_words(starts),
            kinds: Table::of_bytes(kinds),
            by_bytes,
        })
    }

    /// One past the largest id.
    pub(crate) fn len(&self) -> usize {
        self.kinds.bytes().len()
    }

    /// Bytes of token `id`; empty for unused ids.
    pub(crate) fn token(&self, id: u32) -> &[u8] {
        let id = id as usize;
        match (self.starts.word(id), self.starts.word(id + 1)) {
            (Some(start), Some(end)) => self.bytes.bytes().get(start as usize..end as usize).unwrap_or(&[]),
            _ => &[],
        }
    }

    fn kind_number(&self, id: u32) -> u8 {
        self.kinds.bytes().get(id as usize).copied().unwrap_or_default()
    }

    pub(crate) fn kind(&self, id: u32) -> Kind {
        Kind::from_number(self.kind_number(id)).unwrap_or(Kind::Absent)
    }

    pub(crate) fn marks(&self, id: u32) -> Marks {
        Marks(self.kind_number(id) & Marks::ALL)
    }

    /// Ids of the added tokens, which are matched as a whole.
    pub(crate) fn added(&self) -> impl Iterator<Item = u32> {
        (0..self.len() as u32).filter(|&id| self.marks(id).has(Marks::ADDED) && self.kind(id) != Kind::Absent)
    }

    /// The text token with exactly these bytes.
    pub(crate) fn find(&self, bytes: &[u8]) -> Option<u32> {
        let (ids, _) = self.by_bytes.bytes().as_chunks::<4>();
        let index = ids.binary_search_by(|id| self.token(u32::from_le_bytes(*id)).cmp(bytes)).ok()?;
        let id = u32::from_le_bytes(ids[index]);
        // A packed table is not checked when it is opened.
        (self.kind(id) == Kind::Text).then_some(id)
    }

    /// The byte-fallback token of each byte.
    pub(super) fn fallback(&self) -> Vec<Option<u32>> {
        let mut bytes = vec![None; 256];
        for id in (0..self.len() as u32).filter(|&id| self.kind(id) == Kind::Byte) {
            if let [byte] = self.token(id) {
                bytes[usize::from(*byte)].get_or_insert(id);
            }
        }
        bytes
    }

    /// Tokens that are not text, ascending by id.
    pub(crate) fn controls(&self) -> impl Iterator<Item = (u32, &[u8])> {
        (0..self.len() as u32)
            .filter(|&id| matches!(self.kind(id), Kind::Special | Kind::Series))
            .map(|id| (id, self.token(id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_found_by_id_and_by_bytes_whatever_order_they_came_in() {
        let mut builder = VocabularyBuilder::default();
        for (id, token, kind) in
            [(3, "b", Kind::Text), (0, "ab", Kind::Text), (5, "<|x|>", Kind::Special), (4, "ab", Kind::Text)]
        {
            builder.insert("test", id, token.as_bytes(), kind).unwrap();
        }
        let vocabulary = builder.build();
        assert_eq!(vocabulary.len(), 6);
        assert_eq!(vocabulary.token(3), b"b");
        assert_eq!(vocabulary.token(1), b"");
        assert_eq!(vocabulary.token(u32::MAX), b"");
        assert_eq!(vocabulary.kind(1), Kind::Absent);
        assert_eq!(vocabulary.find(b"ab"), Some(0));
        assert_eq!(vocabulary.find(b"<|x|>"), None, "control tokens are not text");
        assert_eq!(vocabulary.controls().collect::<Vec<_>>(), [(5, &b"<|x|>"[..])]);
    }

    #[test]
    fn ids_beyond_the_bound_and_ids_given_twice_are_refused() {
        let mut builder = VocabularyBuilder::default();
        builder.insert("f", 1, b"a", Kind::Text).unwrap();
        builder.insert("f", 1, b"a", Kind::Special).unwrap();
        assert!(matches!(builder.insert("f", 1, b"b", Kind::Text), Err(TextError::DuplicateId { id: 1, .. })));
        for id in [u64::from(MAX_TOKENS), u64::MAX] {
            assert!(matches!(builder.insert("f", id, b"c", Kind::Text), Err(TextError::IdTooLarge { .. })));
        }
        assert_eq!(builder.build().kind(1), Kind::Special);
    }

    #[test]
    fn marks_lie_beside_the_kind() {
        let mut builder = VocabularyBuilder::default();
        builder.insert("f", 0, b"a", Kind::Text).unwrap();
        builder.insert("f", 2, b"<b>", Kind::Special).unwrap();
        let marks = Marks::ADDED.with(Marks::STRIPS_RIGHT, true).with(Marks::STRIPS_LEFT, false);
        builder.mark(2, marks);
        builder.mark(9, marks);
        let vocabulary = builder.build();
        assert_eq!((vocabulary.kind(2), vocabulary.marks(2)), (Kind::Special, marks));
        assert_eq!(vocabulary.added().collect::<Vec<_>>(), [2]);
    }
}
