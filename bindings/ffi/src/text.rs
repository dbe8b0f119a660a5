//! Text: subtitles of a transcript, sentences, error rates.

use sotto::subtitles::{SubtitleOptions, VTT_HEADER, cues, srt_cue, vtt_cue};
use sotto::text::ErrorCounts;

use crate::error::SpeechFailure;
use crate::speech::Segment;

/// A format of subtitles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum SubtitleFormat {
    /// SubRip.
    Srt,
    /// WebVTT.
    Vtt,
}

/// How subtitles are cut.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct SubtitleSettings {
    /// Most characters on a line; wide characters count twice.
    #[uniffi(default = 42)]
    pub max_line_length: u32,
    /// Most seconds that a cue is shown.
    #[uniffi(default = 7.0)]
    pub max_cue_seconds: f64,
    /// Fewest seconds that a cue is shown.
    #[uniffi(default = 0.8)]
    pub min_cue_seconds: f64,
    /// One cue for each word, where words have times.
    #[uniffi(default = false)]
    pub per_word: bool,
}

/// A text and when it is shown.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct SubtitleCue {
    /// When it appears, in seconds.
    pub start: f64,
    /// When it is taken away, in seconds.
    pub end: f64,
    /// One line or two.
    pub lines: Vec<String>,
}

/// Differences between a reference and what was recognized.
#[derive(Debug, Clone, Copy, PartialEq, uniffi::Record)]
pub struct TextErrors {
    /// Items that both have.
    pub hits: u64,
    /// Items that are another one.
    pub substitutions: u64,
    /// Items that are missing.
    pub deletions: u64,
    /// Items that are too many.
    pub insertions: u64,
    /// Errors per item of the reference.
    pub rate: f64,
}

/// Cuts segments into cues. Milliseconds for an hour of speech.
///
/// # Errors
/// [`SpeechFailure::InvalidOption`].
#[uniffi::export]
pub fn subtitle_cues(segments: Vec<Segment>, settings: SubtitleSettings) -> Result<Vec<SubtitleCue>, SpeechFailure> {
    let cues = cut(segments, &settings)?;
    Ok(cues.into_iter().map(|cue| SubtitleCue { start: cue.start, end: cue.end, lines: cue.lines }).collect())
}

/// The file of subtitles that segments make. Milliseconds for an hour of speech.
///
/// # Errors
/// [`SpeechFailure::InvalidOption`].
#[uniffi::export]
pub fn subtitles(
    segments: Vec<Segment>,
    format: SubtitleFormat,
    settings: SubtitleSettings,
) -> Result<String, SpeechFailure> {
    let cues = cut(segments, &settings)?;
    Ok(match format {
        SubtitleFormat::Srt => (1..).zip(&cues).map(|(number, cue)| srt_cue(number, cue)).collect(),
        SubtitleFormat::Vtt => std::iter::once(VTT_HEADER.to_owned()).chain(cues.iter().map(vtt_cue)).collect(),
    })
}

fn cut(segments: Vec<Segment>, settings: &SubtitleSettings) -> Result<Vec<sotto::subtitles::Cue>, SpeechFailure> {
    let options = SubtitleOptions {
        max_line_length: settings.max_line_length as usize,
        max_cue_seconds: settings.max_cue_seconds,
        min_cue_seconds: settings.min_cue_seconds,
        per_word: settings.per_word,
    };
    let segments: Vec<sotto::speech::Segment> = segments.into_iter().map(Into::into).collect();
    Ok(cues(&segments, &options)?)
}

/// The sentences of a text.
#[uniffi::export]
#[must_use]
pub fn sentences(text: String) -> Vec<String> {
    sotto::text::sentences(&text).map(str::to_owned).collect()
}

/// A text as word error rates compare it: Whisper's English normalization.
#[uniffi::export]
#[must_use]
pub fn normalize_english(text: String) -> String {
    sotto::text::english(&text)
}

/// Errors of words; normalize both texts first.
#[uniffi::export]
#[must_use]
pub fn word_errors(reference: String, recognized: String) -> TextErrors {
    sotto::text::word_errors(&reference, &recognized).into()
}

/// Errors of characters, for languages that are written without spaces.
#[uniffi::export]
#[must_use]
pub fn character_errors(reference: String, recognized: String) -> TextErrors {
    sotto::text::character_errors(&reference, &recognized).into()
}

impl From<ErrorCounts> for TextErrors {
    fn from(counts: ErrorCounts) -> Self {
        let ErrorCounts { hits, substitutions, deletions, insertions } = counts;
        Self { hits, substitutions, deletions, insertions, rate: counts.rate() }
    }
}
