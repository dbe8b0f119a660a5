//! LocalAgreement-2: the common beginning of two consecutive hypotheses is stable.

/// Stores the last hypothesis for the speech after the final words.
#[derive(Debug, Default)]
pub(super) struct Agreement {
    previous: Vec<String>,
}

impl Agreement {
    /// Number of words at the start of `words` that the last hypothesis had too. Case and punctuation are ignored, so
    /// that a full stop that becomes a comma does not delay a word.
    pub(super) fn agreed<'w>(&mut self, words: impl Iterator<Item = &'w str>) -> usize {
        let words: Vec<String> = words.map(key).collect();
        let agreed = words.iter().zip(&self.previous).take_while(|(new, old)| new == old).count();
        self.previous = words;
        agreed
    }

    /// Removes the first `count` words from the last hypothesis: they are final now.
    pub(super) fn settle(&mut self, count: usize) {
        self.previous.drain(..count.min(self.previous.len()));
    }

    pub(super) fn clear(&mut self) {
        self.previous.clear();
    }
}

fn key(word: &str) -> String {
    let letters: String = word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    if letters.is_empty() { word.trim().to_owned() } else { letters }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreed(agreement: &mut Agreement, text: &str) -> usize {
        agreement.agreed(text.split_inclusive(' '))
    }

    #[test]
    fn nothing_is_sure_the_first_time() {
        assert_eq!(agreed(&mut Agreement::default(), "it is raining"), 0);
    }

    #[test]
    fn the_common_head_is_sure_whatever_its_punctuation() {
        let mut agreement = Agreement::default();
        agreed(&mut agreement, "It is training.");
        assert_eq!(agreed(&mut agreement, "it is, raining today"), 2);
        agreement.settle(2);
        assert_eq!(agreed(&mut agreement, "raining today again"), 2);
    }
}
