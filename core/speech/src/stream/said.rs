//! The final words whose audio is still there: the next steps' text begins with them.

use sotto_text::sentences::sentence_ends;

use crate::align::Timed;

const CLAUSE_ENDS: [char; 5] = [',', ';', ':', '，', '、'];

// Seconds of a pause that stay in front of the audio behind a cut.
const BEFORE: f64 = 0.2;

/// Where the audio may be cut.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cut {
    Sentence,
    Clause,
    Word,
}

/// Final words in order.
#[derive(Debug, Default)]
pub(super) struct Said {
    words: Vec<Timed>,
    tokens: Vec<u32>,
}

impl Said {
    pub(super) fn push(&mut self, words: &[Timed]) {
        for word in words {
            self.tokens.extend_from_slice(&word.tokens);
        }
        self.words.extend_from_slice(words);
    }

    /// Tokens of all words.
    pub(super) fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// How many words to leave behind, and the time of the cut: the last place behind `from` where the audio may be cut.
    ///
    /// The end of a word is known where another one begins: before that a last word may be squeezed to nothing, and
    /// would be heard again behind a cut at its end. `next` is where the first word begins that is not final.
    pub(super) fn cut(&self, at: Cut, from: f64, next: Option<f64>) -> Option<(usize, f64)> {
        let mut text: String = self.words.iter().map(|word| word.text.as_str()).collect();
        let mut behind = String::new();
        let mut start = next;
        for (index, word) in self.words.iter().enumerate().rev() {
            let may = match at {
                Cut::Sentence => sentence_ends(&text, &behind),
                Cut::Clause => text.trim_end().ends_with(CLAUSE_ENDS),
                Cut::Word => true,
            };
            let time = start.map(|start| word.end.max(start - BEFORE));
            if let Some(time) = time.filter(|&time| may && time > from) {
                return Some((index + 1, time));
            }
            text.truncate(text.len() - word.text.len());
            behind.clone_from(&word.text);
            start = Some(word.start);
        }
        None
    }

    /// Forgets the first `count` words and returns their tokens.
    pub(super) fn forget(&mut self, count: usize) -> Vec<u32> {
        let gone: usize = self.words[..count].iter().map(|word| word.tokens.len()).sum();
        self.words.drain(..count);
        self.tokens.drain(..gone).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    pub(super) fn clear(&mut self) -> Vec<u32> {
        self.words.clear();
        std::mem::take(&mut self.tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(words: &[(&str, f64, f64)]) -> Said {
        let mut said = Said::default();
        for (index, &(text, start, end)) in words.iter().enumerate() {
            let tokens = vec![index as u32];
            said.push(&[Timed { text: text.into(), tokens, start, end, heard: start, probability: 1.0 }]);
        }
        said
    }

    #[test]
    fn audio_is_cut_at_the_last_sentence_in_front_of_the_next_word() {
        let mut said = said(&[(" It", 0.0, 1.0), (" rains.", 1.0, 2.0), (" We", 3.0, 3.5), (" stay,", 3.5, 4.0)]);
        assert_eq!(said.cut(Cut::Sentence, 1.0, Some(4.1)), Some((2, 2.8)));
        assert_eq!(said.cut(Cut::Sentence, 2.9, Some(4.1)), None);
        assert_eq!(said.cut(Cut::Clause, 1.0, Some(4.1)), Some((4, 4.0)));
        assert_eq!(said.forget(2), [0, 1]);
        assert_eq!(said.tokens(), [2, 3]);
    }

    /// "service." was heard again: it had three hundredths of a second, and the rest of it lay behind the cut.
    #[test]
    fn the_end_of_a_last_word_is_not_known() {
        let said = said(&[(" reliable", 55.0, 55.3), (" service.", 55.3, 55.33)]);
        assert_eq!(said.cut(Cut::Sentence, 1.0, None), None);
        assert_eq!(said.cut(Cut::Word, 1.0, None), Some((1, 55.3)));
        assert_eq!(said.cut(Cut::Sentence, 1.0, Some(56.4)), Some((2, 56.4 - BEFORE)));
    }
}
