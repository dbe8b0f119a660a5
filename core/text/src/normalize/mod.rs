//! Whisper's text normalisers, which make transcripts comparable before errors are counted (Radford et al. 2022,
//! appendix C; reference: openai/whisper `normalizers/`).
//!
//! [`english`] lower-cases, drops brackets, fillers and punctuation, opens contractions, writes numbers and money as
//! digits, and uses American spelling. [`basic`] does the part that applies to any language. Both equal the reference
//! on the goldens of this crate, quirks included (`1.5` becomes `one.5`).
//!
//! One difference is deliberate. The reference replaces British spellings by a list of 1,739 words; here they follow
//! from rules and word stems. The two agree on the 5,000 most common English words and on all test texts. They may
//! differ, in both directions, on rarer words; that affects an error rate only if the compared texts spell such a word
//! differently.
//!
//! Cost: a few passes over the text; linear for ordinary text.

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

/// Options of [`basic`]; both are off by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BasicOptions {
    /// Removes accents (`é` → `e`).
    pub remove_diacritics: bool,
    /// Makes a word of every letter, for languages without spaces.
    pub split_letters: bool,
}

/// Normalises text of any language: lower case, without brackets and symbols, runs of white space as one space. Spaces
/// at the ends stay, as in the reference.
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
