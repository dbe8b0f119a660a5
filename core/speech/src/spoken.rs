//! The language of a recording, as its windows say.
//!
//! A second of speech may be taken for another language, and what is written in a wrong one is no text at all: live
//! sessions and stretches between pauses begin with so little. The language is listened for again until a window is
//! clear about it, and meanwhile the clearest one counts.

use crate::options::Language;

// Probability from which on a language stays for the whole recording. Of 149 clips cut after 1.2 s whisper-base takes 8
// for another language, one of them with 0.81; after 2.4 s none.
const SURE: f32 = 0.9;

/// What is known of it so far.
#[derive(Debug, Default)]
pub(crate) struct SpokenLanguage {
    heard: Option<Heard>,
    /// What was known before the window at hand.
    before: Option<Heard>,
    /// Whether every stretch is listened to anew.
    each: bool,
    is_fixed: bool,
    is_sure: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Heard {
    code: &'static str,
    probability: f32,
}

impl SpokenLanguage {
    /// `fixed` where the options fix it, or the model knows one only.
    pub(crate) fn new(fixed: Option<&'static str>, options: &Language) -> Self {
        let heard = fixed.map(|code| Heard { code, probability: 1.0 });
        let is_fixed = fixed.is_some();
        Self { heard, before: heard, each: *options == Language::Each, is_fixed, is_sure: is_fixed }
    }

    pub(crate) fn code(&self) -> Option<&'static str> {
        self.heard.map(|heard| heard.code)
    }

    /// Whether it stays: it was fixed, or someone clearly spoke it.
    pub(crate) fn is_sure(&self) -> bool {
        self.is_sure
    }

    /// Whether a longer look at the same audio may find another one.
    pub(crate) fn is_in_doubt(&self) -> bool {
        !self.is_sure && !self.each
    }

    /// What the next window sounds like.
    pub(crate) fn hear(&mut self, code: &'static str, probability: f32) {
        self.before = self.heard;
        if self.each || self.heard.is_none_or(|known| probability >= known.probability) {
            self.heard = Some(Heard { code, probability });
        }
    }

    /// Someone spoke in it; `enough` where the first such window decides, as in the references.
    pub(crate) fn was_spoken(&mut self, enough: bool) {
        self.before = self.heard;
        let clear = self.heard.is_some_and(|heard| heard.probability >= SURE);
        self.is_sure |= !self.each && (enough || clear);
    }

    /// Nobody spoke in it: silence has no language.
    pub(crate) fn was_silent(&mut self) {
        if !self.is_sure {
            self.forget();
        }
    }

    /// All that was heard so far was no speech.
    pub(crate) fn start_over(&mut self) {
        if !self.is_fixed {
            *self = Self { each: self.each, ..Self::default() };
        }
    }

    /// What the window at hand sounded like counts no longer: it is listened to again.
    pub(crate) fn forget(&mut self) {
        // A code must stay, for a text that nothing is known of.
        self.heard = self.before.or(self.heard.map(|heard| Heard { probability: 0.0, ..heard }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Windows by language, probability and whether someone spoke in them.
    fn after(windows: &[(&'static str, f32, bool)], options: &Language) -> (&'static str, bool) {
        let mut language = SpokenLanguage::new(None, options);
        for &(code, probability, spoken) in windows {
            if !language.is_sure() {
                language.hear(code, probability);
            }
            if spoken { language.was_spoken(false) } else { language.was_silent() }
        }
        (language.code().unwrap(), language.is_sure())
    }

    #[test]
    fn a_language_stays_once_someone_clearly_spoke_it() {
        for (windows, expected) in [
            (&[("la", 0.39, true)][..], ("la", false)),
            (&[("la", 0.39, true), ("en", 0.95, true), ("de", 0.99, true)], ("en", true)),
            // The clearest counts.
            (&[("en", 0.7, true), ("cy", 0.4, true)], ("en", false)),
            // Nobody spoke.
            (&[("nn", 0.98, false)], ("nn", false)),
            (&[("nn", 0.98, false), ("en", 0.5, true)], ("en", false)),
            (&[("en", 0.5, true), ("nn", 0.98, false)], ("en", false)),
            (&[("en", 0.95, true), ("nn", 0.98, false)], ("en", true)),
        ] {
            assert_eq!(after(windows, &Language::Auto), expected, "{windows:?}");
        }
    }

    #[test]
    fn what_was_no_speech_leaves_no_language() {
        let mut language = SpokenLanguage::new(None, &Language::Auto);
        language.hear("en", 0.99);
        language.was_spoken(false);
        language.start_over();
        assert!(language.code().is_none() && !language.is_sure());
        language.hear("de", 0.5);
        assert_eq!(language.code(), Some("de"));
        let mut fixed = SpokenLanguage::new(Some("de"), &Language::Fixed("de".into()));
        fixed.start_over();
        assert_eq!((fixed.code(), fixed.is_sure()), (Some("de"), true));
    }

    #[test]
    fn each_stretch_may_have_its_own() {
        assert_eq!(after(&[("en", 0.99, true), ("de", 0.6, true)], &Language::Each), ("de", false));
    }

    #[test]
    fn a_fixed_language_and_the_references_first_window_are_sure() {
        assert!(SpokenLanguage::new(Some("de"), &Language::Auto).is_sure());
        let mut language = SpokenLanguage::new(None, &Language::Auto);
        language.hear("la", 0.3);
        language.was_spoken(true);
        assert!(language.is_sure() && !language.is_in_doubt());
    }

    #[test]
    fn what_is_listened_to_again_counts_once() {
        let mut language = SpokenLanguage::new(None, &Language::Auto);
        language.hear("la", 0.6);
        language.forget();
        language.hear("en", 0.5);
        assert_eq!(language.code(), Some("en"));
    }
}
