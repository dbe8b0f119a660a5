//! Whisper's text normalisers: what makes two transcripts comparable before words are counted
//! (Radford et al. 2022, appendix C; reference: openai/whisper `normalizers/`).
//!
//! [`english`] lower-cases, drops brackets, fillers and punctuation, opens contractions, writes numbers and money as
//! digits and British words the American way. [`basic`] does the part that holds for any language. Both equal the
//! reference on the goldens of this crate, quirks included (`1.5` becomes `one.5`).
//!
//! One difference is deliberate. The reference replaces British spellings by a list of 1,739 words; here the same comes
//! from rules and word stems of our own. The two agree on the 5,000 most common English words and on all test texts; on
//! rarer words they may differ, in both directions, which touches an error rate only where the two texts that are
//! compared are spelled differently.
//!
//! Cost: a few passes over the text, linear for texts of words.

mod clean;
mod decimal;
mod english;
mod number_words;
mod numbers;
mod scan;
mod spelling;

pub use english::english;

use clean::{remove_brackets, remove_symbols, remove_symbols_and_diacritics};
use scan::collapse_spaces;
use unicode_segmentation::UnicodeSegmentation;

/// What [`basic`] does beyond dropping brackets and symbols. Default: neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BasicOptions {
    /// Letters lose their accents (`é` → `e`).
    pub remove_diacritics: bool,
    /// Every letter becomes a word, for languages without spaces.
    pub split_letters: bool,
}

/// Normalises text of any language: lower case, brackets and symbols dropped, runs of white space one space. Spaces at
/// the ends stay, as in the reference.
///
/// ```
/// use sotto_text::normalize::{BasicOptions, basic};
///
/// assert_eq!(basic("Où est-il [rires] ?", BasicOptions::default()), "où est il ");
/// ```
#[must_use]
pub fn basic(text: &str, options: BasicOptions) -> String {
    let text = remove_brackets(&text.to_lowercase());
    let text = if options.remove_diacritics { remove_symbols_and_diacritics(&text, "") } else { remove_symbols(&text) };
    let text = text.to_lowercase();
    if !options.split_letters {
        return collapse_spaces(&text);
    }
    let letters: Vec<&str> = text.graphemes(true).collect();
    collapse_spaces(&letters.join(" "))
}
