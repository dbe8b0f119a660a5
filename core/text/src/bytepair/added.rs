//! Added tokens, which are matched as a whole before text is split into pieces: control tokens such as `<|im_start|>`,
//! and words that were added to a trained vocabulary.

use super::vocabulary::{Marks, Vocabulary};

/// Ids of the added tokens, ordered by their bytes. The leftmost match wins; of several there, the longest.
#[derive(Debug, Clone)]
pub(super) struct AddedTokens {
    ids: Vec<u32>,
    /// The first bytes of all tokens: most positions in a text are skipped by this.
    first: [bool; 256],
}

/// A part of a text: plain text, or an added token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part<'t> {
    Text(&'t str),
    Token(u32),
}

impl AddedTokens {
    /// The added tokens of `vocabulary` that are matched in normalised text, or those that are matched before
    /// normalisation.
    pub(super) fn new(vocabulary: &Vocabulary, normalized: bool) -> Self {
        let wanted =
            |&id: &u32| vocabulary.marks(id).has(Marks::NORMALIZED) == normalized && !vocabulary.token(id).is_empty();
        let mut ids: Vec<u32> = vocabulary.added().filter(wanted).collect();
        ids.sort_by(|&a, &b| vocabulary.token(a).cmp(vocabulary.token(b)));
        let mut first = [false; 256];
        for byte in ids.iter().filter_map(|&id| vocabulary.token(id).first()) {
            first[usize::from(*byte)] = true;
        }
        Self { ids, first }
    }

    /// Calls `each` with the parts of `text` in order. Unless `controls` is set, names of control tokens are plain
    /// text.
    pub(super) fn split<'t>(
        &self,
        vocabulary: &Vocabulary,
        text: &'t str,
        controls: bool,
        each: &mut dyn FnMut(Part<'t>),
    ) {
        // Start of the text that was not yet passed to `each`.
        let mut begin = 0;
        let mut at = 0;
        // End of the white space stripped by the last token, so that it is not scanned again.
        let mut stripped = 0;
        while !self.ids.is_empty() && at < text.len() {
            let Some(id) = self.longest(vocabulary, &text.as_bytes()[at..]) else {
                at += 1;
                continue;
            };
            let (mut start, mut end) = (at, at + vocabulary.token(id).len());
            at = end;
            // A damaged table may have tokens that begin or end inside a character.
            let (true, true) = (text.is_char_boundary(start), text.is_char_boundary(end)) else { continue };
            if !controls && !vocabulary.kind(id).is_text() {
                continue;
            }
            let marks = vocabulary.marks(id);
            if marks.has(Marks::STRIPS_LEFT) && begin < start {
                start = begin + text[begin..start].trim_end().len();
            }
            if marks.has(Marks::STRIPS_RIGHT) {
                end = if end < stripped { stripped } else { text.len() - text[end..].trim_start().len() };
                stripped = end;
            }
            if begin < start {
                each(Part::Text(&text[begin..start]));
            }
            each(Part::Token(id));
            begin = end;
        }
        if begin < text.len() {
            each(Part::Text(&text[begin..]));
        }
    }

    /// The longest added token that `text` begins with.
    fn longest(&self, vocabulary: &Vocabulary, text: &[u8]) -> Option<u32> {
        if !self.first[usize::from(*text.first()?)] {
            return None;
        }
        // The range of tokens that share the first `depth` bytes of the text; a token of exactly that length comes
        // first.
        let (mut low, mut high) = (0, self.ids.len());
        let mut best = None;
        for (depth, byte) in text.iter().enumerate() {
            let next = |id: &u32| vocabulary.token(*id).get(depth);
            low += self.ids[low..high].partition_point(|id| next(id) < Some(byte));
            high = low + self.ids[low..high].partition_point(|id| next(id) == Some(byte));
            let Some(&id) = self.ids[low..high].first() else { break };
            if vocabulary.token(id).len() == depth + 1 {
                best = Some(id);
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::super::vocabulary::{Kind, VocabularyBuilder};
    use super::*;

    fn parts(text: &str, controls: bool) -> Vec<Part<'_>> {
        let mut builder = VocabularyBuilder::default();
        let left = Marks::ADDED.with(Marks::STRIPS_LEFT, true);
        let right = Marks::ADDED.with(Marks::STRIPS_RIGHT, true);
        for (id, token, kind, marks) in [
            (0, "<s>", Kind::Special, Marks::ADDED),
            (1, "<s><s>", Kind::Special, Marks::ADDED),
            (2, "  ", Kind::Text, Marks::ADDED),
            (3, "<l>", Kind::Special, left),
            (4, "<r>", Kind::Special, right),
            (5, "語", Kind::Text, Marks::ADDED),
            (6, "plain", Kind::Text, Marks::default()),
        ] {
            builder.insert("test", id, token.as_bytes(), kind).unwrap();
            builder.mark(id, marks);
        }
        let vocabulary = builder.build();
        let mut parts = Vec::new();
        AddedTokens::new(&vocabulary, false).split(&vocabulary, text, controls, &mut |part| parts.push(part));
        parts
    }

    #[test]
    fn the_longest_at_the_leftmost_place_is_found() {
        use Part::{Text, Token};
        assert_eq!(parts("a<s><s><s>b", true), [Text("a"), Token(1), Token(0), Text("b")]);
        assert_eq!(parts("日語本  ", true), [Text("日"), Token(5), Text("本"), Token(2)]);
        assert_eq!(parts("plain<s", true), [Text("plain<s")]);
        assert_eq!(parts("", true), []);
    }

    #[test]
    fn control_tokens_are_text_unless_they_are_wanted() {
        use Part::{Text, Token};
        assert_eq!(parts("a<s>  b", false), [Text("a<s>"), Token(2), Text("b")]);
    }

    #[test]
    fn white_space_beside_a_token_may_belong_to_it() {
        use Part::{Text, Token};
        assert_eq!(parts("a \n<l> b", true), [Text("a"), Token(3), Text(" b")]);
        assert_eq!(parts("a <r>\t b", true), [Text("a "), Token(4), Text("b")]);
    }
}
