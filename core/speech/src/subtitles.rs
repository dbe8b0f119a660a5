//! Subtitles: cues of one or two balanced lines, as SubRip (SRT) or WebVTT.
//!
//! A cue has text that fits two lines and can be read in its time. If possible it ends at the end of a sentence, else
//! of a clause, else between words. Times come from the words of the segments, or from the length of the text if there
//! are none. Every cue has a visible duration, and cues do not overlap. The default limits are those of Netflix for
//! English: 42 characters per line, 7 seconds.
//!
//! ```
//! use sotto_speech::Segment;
//! use sotto_speech::subtitles::{SubtitleOptions, Subtitles, vtt_cue};
//!
//! let segment = Segment { start: 1.0, end: 2.5, text: " Salt & pepper.".into(), ..Segment::default() };
//! let mut subtitles = Subtitles::new(SubtitleOptions::default())?;
//! let mut cues = subtitles.push(&segment);
//! cues.extend(subtitles.finish());
//! assert_eq!(vtt_cue(&cues[0]), "00:00:01.000 --> 00:00:02.500\nSalt &amp; pepper.\n\n");
//! # Ok::<(), sotto_speech::SpeechError>(())
//! ```

mod cutting;
mod lines;

use std::fmt::Write as _;

use crate::error::SpeechError;
use crate::transcript::Segment;
use cutting::Piece;

/// Options of subtitles.
#[derive(Debug, Clone, PartialEq)]
pub struct SubtitleOptions {
    /// Maximum characters per line; wide characters (Chinese, Japanese, Korean) count twice. Longer words are broken.
    pub max_line_length: usize,
    /// Maximum seconds of a cue. A single longer word becomes one cue of this length.
    pub max_cue_seconds: f64,
    /// Minimum seconds of a cue: a shorter one is extended into the following pause, joined to a neighbour, or delays
    /// the next one.
    pub min_cue_seconds: f64,
    /// One cue per word, if words have times.
    pub per_word: bool,
}

impl Default for SubtitleOptions {
    fn default() -> Self {
        Self { max_line_length: 42, max_cue_seconds: 7.0, min_cue_seconds: 0.8, per_word: false }
    }
}

// Minimum limits: a word has to fit, and a cue has to be visible.
const LEAST_LINE: usize = 8;
const LEAST_SECONDS: f64 = 0.1;

impl SubtitleOptions {
    /// Minimum seconds of a cue; shorter for single words, which follow each other faster than lines.
    fn least_seconds(&self) -> f64 {
        if self.per_word { LEAST_SECONDS } else { self.min_cue_seconds }
    }

    /// Checks that the options can be fulfilled.
    ///
    /// # Errors
    /// [`SpeechError::Option`] names the one that cannot.
    pub fn check(&self) -> Result<(), SpeechError> {
        let problem = |option, problem: String| Err(SpeechError::Option { option, problem });
        if self.max_line_length < LEAST_LINE {
            return problem("max_line_length", format!("must be at least {LEAST_LINE} characters"));
        }
        if !(self.max_cue_seconds.is_finite() && self.max_cue_seconds >= 1.0) {
            return problem("max_cue_seconds", "must be at least 1 second".into());
        }
        if !(LEAST_SECONDS..=self.max_cue_seconds).contains(&self.min_cue_seconds) {
            return problem(
                "min_cue_seconds",
                format!("must be between {LEAST_SECONDS} and the longest cue's seconds"),
            );
        }
        Ok(())
    }
}

/// A text and the time in which it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Cue {
    /// Start in seconds, in whole milliseconds.
    pub start: f64,
    /// End in seconds; after `start`, and not after the start of the next cue.
    pub end: f64,
    /// One or two lines, none of them blank.
    pub lines: Vec<String>,
}

/// Makes cues of segments as they arrive. The last cue is held until the next text is known: call
/// [`finish`](Self::finish) at the end.
#[derive(Debug)]
pub struct Subtitles {
    options: SubtitleOptions,
    /// Text that may still be joined to the next text, or shown longer.
    waiting: Option<Piece>,
    /// End of the last returned cue.
    shown_until: f64,
}

impl Subtitles {
    /// A maker of cues with these options.
    ///
    /// # Errors
    /// As [`SubtitleOptions::check`].
    pub fn new(options: SubtitleOptions) -> Result<Self, SpeechError> {
        options.check()?;
        Ok(Self { options, waiting: None, shown_until: 0.0 })
    }

    /// Adds a segment and returns the cues that are then final. Segments must come in the order of their times.
    pub fn push(&mut self, segment: &Segment) -> Vec<Cue> {
        let mut cues = Vec::new();
        for piece in cutting::pieces(segment, &self.options) {
            let Some(waiting) = self.waiting.take() else {
                self.waiting = Some(piece);
                continue;
            };
            match waiting.joined(&piece, &self.options) {
                Ok(joined) => self.waiting = Some(joined),
                Err((waiting, piece)) => {
                    cues.push(self.show(&waiting, piece.start));
                    self.waiting = Some(piece);
                }
            }
        }
        cues
    }

    /// Returns the last cue, if there is one.
    pub fn finish(&mut self) -> Option<Cue> {
        self.waiting.take().map(|piece| self.show(&piece, f64::INFINITY))
    }

    /// The piece as a cue: after the last one, with the minimum duration, and if possible ending before the next one,
    /// which begins at `next`.
    fn show(&mut self, piece: &Piece, next: f64) -> Cue {
        let milliseconds = |seconds: f64| (seconds.max(0.0) * 1000.0).round();
        let least = milliseconds(self.options.least_seconds());
        let start = milliseconds(piece.start.max(self.shown_until));
        let most = start + milliseconds(self.options.max_cue_seconds);
        let mut end = milliseconds(piece.end).min(most);
        if next.is_finite() {
            end = end.min(milliseconds(next));
        }
        // A cue that is too short is extended into the pause; without a pause the next one starts a little later.
        if end < start + least {
            let pause = if next.is_finite() { milliseconds(next) } else { f64::INFINITY };
            end = (start + least).min(pause.max(start + milliseconds(LEAST_SECONDS).max(least / 2.0)));
        }
        self.shown_until = end / 1000.0;
        Cue {
            start: start / 1000.0,
            end: end / 1000.0,
            lines: lines::balanced(&piece.text, self.options.max_line_length),
        }
    }
}

/// All cues of `segments`.
///
/// # Errors
/// As [`SubtitleOptions::check`].
pub fn cues(segments: &[Segment], options: &SubtitleOptions) -> Result<Vec<Cue>, SpeechError> {
    let mut subtitles = Subtitles::new(options.clone())?;
    let mut cues: Vec<Cue> = segments.iter().flat_map(|segment| subtitles.push(segment)).collect();
    cues.extend(subtitles.finish());
    Ok(cues)
}

/// A cue in SubRip format, with the blank line after it. `number` counts from 1.
#[must_use]
pub fn srt_cue(number: usize, cue: &Cue) -> String {
    let mut text = format!("{number}\n{} --> {}\n", clock(cue.start, ','), clock(cue.end, ','));
    for line in &cue.lines {
        // SubRip has no escapes, so the arrow between times must not occur in a text.
        let _ = writeln!(text, "{}", line.replace("-->", "→"));
    }
    text.push('\n');
    text
}

/// The header of a WebVTT file, with the blank line after it.
pub const VTT_HEADER: &str = "WEBVTT\n\n";

/// A cue in WebVTT format, with the blank line after it.
#[must_use]
pub fn vtt_cue(cue: &Cue) -> String {
    let mut text = format!("{} --> {}\n", clock(cue.start, '.'), clock(cue.end, '.'));
    for line in &cue.lines {
        let _ = writeln!(text, "{}", line.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"));
    }
    text.push('\n');
    text
}

/// `hh:mm:ss.mmm` with the decimal point of the format.
#[must_use]
pub fn clock(seconds: f64, point: char) -> String {
    let milliseconds = (seconds.max(0.0) * 1000.0).round() as u64;
    let (seconds, milliseconds) = (milliseconds / 1000, milliseconds % 1000);
    format!("{:02}:{:02}:{:02}{point}{milliseconds:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::Word;

    fn segment(start: f64, end: f64, text: &str) -> Segment {
        Segment { start, end, text: text.into(), ..Segment::default() }
    }

    /// A segment of consecutive words, each with a duration proportional to its letters.
    fn worded(start: f64, per_letter: f64, text: &str) -> Segment {
        let mut at = start;
        let words: Vec<Word> = text
            .split_inclusive(' ')
            .map(|word| {
                let from = at;
                at += per_letter * word.trim().chars().count() as f64;
                Word { start: from, end: at, text: format!(" {}", word.trim()), probability: 1.0 }
            })
            .collect();
        Segment { start, end: at, text: format!(" {text}"), words, ..Segment::default() }
    }

    fn texts(cues: &[Cue]) -> Vec<String> {
        cues.iter().map(|cue| cue.lines.join("|")).collect()
    }

    /// Parses SubRip or WebVTT strictly, like players: times, order, lines, escapes.
    fn parsed(text: &str, vtt: bool) -> Vec<(u64, u64, Vec<String>)> {
        let body = if vtt { text.strip_prefix("WEBVTT\n\n").expect("a header") } else { text };
        assert!(body.is_empty() || body.ends_with("\n\n"));
        let time = |text: &str| -> u64 {
            let point = if vtt { '.' } else { ',' };
            let (clock, milliseconds) = text.split_once(point).expect("a decimal point");
            assert_eq!(milliseconds.len(), 3);
            let parts: Vec<u64> = clock.split(':').map(|part| part.parse().expect("a number")).collect();
            assert!(parts.len() == 3 && parts[1] < 60 && parts[2] < 60, "{text}");
            (parts[0] * 3600 + parts[1] * 60 + parts[2]) * 1000 + milliseconds.parse::<u64>().expect("a number")
        };
        let mut cues = Vec::new();
        for (index, block) in body.split("\n\n").filter(|block| !block.is_empty()).enumerate() {
            let mut lines = block.split('\n');
            if !vtt {
                assert_eq!(lines.next().expect("a number"), (index + 1).to_string());
            }
            let (start, end) = lines.next().and_then(|line| line.split_once(" --> ")).expect("times");
            let lines: Vec<String> = lines.map(str::to_owned).collect();
            assert!(!lines.is_empty() && lines.iter().all(|line| !line.trim().is_empty() && !line.contains("-->")));
            if vtt {
                for line in &lines {
                    assert!(!line.contains(['<', '>']), "{line}");
                    let names = line.split('&').skip(1);
                    names.for_each(|rest| {
                        assert!(["amp;", "lt;", "gt;"].iter().any(|name| rest.starts_with(name)), "{line}")
                    });
                }
            }
            cues.push((time(start), time(end), lines));
        }
        cues
    }

    /// Checks the properties that every list of cues must have.
    #[track_caller]
    fn assert_readable(cues: &[Cue], options: &SubtitleOptions) {
        let srt: String = cues.iter().enumerate().map(|(index, cue)| srt_cue(index + 1, cue)).collect();
        let vtt: String = [VTT_HEADER.to_owned()].into_iter().chain(cues.iter().map(vtt_cue)).collect();
        for found in [parsed(&srt, false), parsed(&vtt, true)] {
            assert_eq!(found.len(), cues.len());
            let least =
                if options.per_word { LEAST_SECONDS } else { (options.min_cue_seconds / 2.0).max(LEAST_SECONDS) };
            for (start, end, lines) in &found {
                let seconds = (end - start) as f64 / 1000.0;
                assert!(end > start && seconds + 0.0015 >= least, "{start} {end}");
                assert!(seconds <= options.max_cue_seconds + 0.0015, "{start} {end}");
                assert!(lines.len() <= 2, "{lines:?}");
            }
            assert!(found.windows(2).all(|pair| pair[0].1 <= pair[1].0), "overlap: {found:?}");
        }
        assert!(cues.iter().flat_map(|cue| &cue.lines).all(|line| lines::width(line) <= options.max_line_length));
    }

    #[test]
    fn cues_end_with_sentences_then_clauses_then_words() {
        let options = SubtitleOptions { max_line_length: 24, ..SubtitleOptions::default() };
        for (text, expected) in [
            ("It is late. We all go home now.", &["It is late.", "We all go home now."][..]),
            (
                "When the rain stopped at last, nobody in the house said a single word.",
                &["When the rain|stopped at last,", "nobody in the house|said a single word."],
            ),
            ("Dr. Smith met Mr. Jones.", &["Dr. Smith met Mr. Jones."]),
        ] {
            let found = cues(&[worded(1.0, 0.1, text)], &options).unwrap();
            assert_eq!(texts(&found), expected);
            assert_readable(&found, &options);
        }
    }

    #[test]
    fn a_cue_is_no_longer_than_asked_for_and_follows_the_words() {
        let segment = worded(2.0, 0.2, "one two three four five six seven eight nine ten eleven twelve");
        let options = SubtitleOptions { max_cue_seconds: 3.0, ..SubtitleOptions::default() };
        let found = cues(std::slice::from_ref(&segment), &options).unwrap();
        assert_readable(&found, &options);
        assert!(found.len() >= 4, "{found:?}");
        for cue in &found {
            let first = cue.lines[0].split(' ').next().unwrap();
            let word = segment.words.iter().find(|word| word.text.trim() == first).unwrap();
            assert!((word.start - cue.start).abs() < 0.002, "{cue:?}");
        }
    }

    #[test]
    fn a_long_pause_inside_a_segment_ends_a_cue() {
        let mut segment = worded(1.0, 0.1, "before the pause and behind");
        for word in &mut segment.words[3..] {
            (word.start, word.end) = (word.start + 5.0, word.end + 5.0);
        }
        let found = cues(&[segment], &SubtitleOptions::default()).unwrap();
        assert_eq!(texts(&found), ["before the pause", "and behind"]);
        assert!(found[0].end < 3.5 && found[1].start > 6.0, "{found:?}");
    }

    #[test]
    fn short_cues_last_into_the_pause_or_join_their_neighbour() {
        let options = SubtitleOptions::default();
        let alone = cues(&[segment(1.0, 1.2, " Yes."), segment(9.0, 10.0, " No.")], &options).unwrap();
        assert_eq!((alone[0].start, alone[0].end), (1.0, 1.8));
        let joined = cues(&[segment(1.0, 1.2, " Yes."), segment(1.2, 3.0, " I do.")], &options).unwrap();
        assert_eq!(texts(&joined), ["Yes. I do."]);
        let none = cues(&[segment(1.0, 1.0, " Yes."), segment(5.0, 5.0, "  ")], &options).unwrap();
        assert_eq!((texts(&none), none[0].end > none[0].start), (vec!["Yes.".to_owned()], true));
    }

    #[test]
    fn markup_in_a_text_is_written_so_that_players_show_it() {
        let cue = Cue { start: 3661.5, end: 3662.0004, lines: vec!["R&D <b> --> x".into()] };
        assert_eq!(vtt_cue(&cue), "01:01:01.500 --> 01:01:02.000\nR&amp;D &lt;b&gt; --&gt; x\n\n");
        assert_eq!(srt_cue(7, &cue), "7\n01:01:01,500 --> 01:01:02,000\nR&D <b> → x\n\n");
    }

    #[test]
    fn a_cue_has_no_blank_line_whatever_its_text_has() {
        for text in [" Call\n\nnow ", "Call\r\n \t\r\nnow\n", "Call\r\rnow", "Call\u{2028}now"] {
            let found = cues(&[segment(0.0, 2.0, text)], &SubtitleOptions::default()).unwrap();
            assert_eq!(texts(&found), ["Call now"], "{text:?}");
        }
    }

    #[test]
    fn words_one_by_one_where_they_are_asked_for() {
        let options = SubtitleOptions { per_word: true, ..SubtitleOptions::default() };
        let found = cues(&[worded(0.0, 0.1, "one by one")], &options).unwrap();
        assert_eq!(texts(&found), ["one", "by", "one"]);
        assert_readable(&found, &options);
    }

    #[test]
    fn options_that_cannot_be_met_are_named() {
        let default = SubtitleOptions::default;
        for (options, name) in [
            (SubtitleOptions { max_line_length: 3, ..default() }, "max_line_length"),
            (SubtitleOptions { max_cue_seconds: 0.0, ..default() }, "max_cue_seconds"),
            (SubtitleOptions { max_cue_seconds: f64::NAN, ..default() }, "max_cue_seconds"),
            (SubtitleOptions { min_cue_seconds: 9.0, ..default() }, "min_cue_seconds"),
        ] {
            assert!(options.check().unwrap_err().to_string().contains(name), "{name}");
        }
    }

    /// For segments of any times and texts, cues are visible, do not overlap and lose no text.
    #[test]
    fn cues_are_readable_whatever_the_segments() {
        let mut seed = 11u64;
        let mut random = move |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % below
        };
        let words = [
            "a",
            "Yes.",
            "when,",
            "Donaudampfschifffahrtsgesellschaftskapitän",
            "今天我们去",
            "R&D",
            "<i>",
            "-->",
            "so",
        ];
        for round in 0..400 {
            let options = SubtitleOptions {
                max_line_length: [8, 16, 42][round % 3],
                max_cue_seconds: [1.0, 3.0, 7.0][round / 3 % 3],
                per_word: round % 5 == 0,
                ..SubtitleOptions::default()
            };
            let (mut segments, mut at) = (Vec::new(), 0.0);
            for _ in 0..1 + random(6) {
                let text: Vec<&str> = (0..random(25)).map(|_| words[random(9) as usize]).collect();
                let start = at + random(300) as f64 / 100.0 - 1.0;
                let mut made = worded(start, random(12) as f64 / 100.0, &text.join(" "));
                match random(6) {
                    0 => made.words.clear(),
                    1 => (made.start, made.end) = (made.end, made.start),
                    2 => made.end = f64::NAN,
                    3 => made.words.iter_mut().for_each(|word| word.end = f64::INFINITY),
                    _ => {}
                }
                at = if made.end.is_finite() { made.end } else { at };
                segments.push(made);
            }
            let found = cues(&segments, &options).unwrap();
            assert_readable(&found, &options);
            let bare = |text: &str| text.split_whitespace().collect::<String>();
            let said: String = segments.iter().map(|segment| bare(&segment.text)).collect();
            assert_eq!(bare(&found.iter().flat_map(|cue| cue.lines.clone()).collect::<String>()), said);
        }
    }
}
