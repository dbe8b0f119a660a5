//! Splits the text of a segment into cues.

use sotto_text::sentences::sentence_ends;

use super::SubtitleOptions;
use super::lines::{evened, fits, hard_break, is_clause_end, needs_space, width};
use crate::transcript::Segment;

/// Text of one cue.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) start: f64,
    pub(super) end: f64,
}

/// A word with its times and its leading space.
#[derive(Debug, Clone)]
struct Part {
    text: String,
    start: f64,
    end: f64,
}

// Silence between two words of a segment that ends a cue.
const PAUSE: f64 = 1.5;

// Cost of ending a cue after a sentence, after a clause and between other words, relative to that of an unbalanced cue.
const AFTER_SENTENCE: f64 = 0.0;
const AFTER_CLAUSE: f64 = 0.6;
const AFTER_WORD: f64 = 1.6;
// Cost of a cue with the end of a sentence in its middle, and of one that is too short to be read.
const ACROSS_SENTENCE: f64 = 2.0;
const TOO_SHORT: f64 = 3.0;

/// Splits the segment's text into pieces that fit a cue.
pub(super) fn pieces(segment: &Segment, options: &SubtitleOptions) -> Vec<Piece> {
    let parts = parts(segment, options);
    if options.per_word && !segment.words.is_empty() {
        return parts
            .iter()
            .map(|part| piece(std::slice::from_ref(part)))
            .filter(|piece| !piece.text.is_empty())
            .collect();
    }
    let mut pieces = Vec::new();
    let mut from = 0;
    for index in 1..=parts.len() {
        if index == parts.len() || parts[index].start - parts[index - 1].end >= PAUSE {
            pieces.extend(cut(&parts[from..index], options));
            from = index;
        }
    }
    pieces
}

/// Words with their times; if the segment has none, times in proportion to the length of the text.
fn parts(segment: &Segment, options: &SubtitleOptions) -> Vec<Part> {
    let sane = |time: f64| if time.is_finite() { time.max(0.0) } else { 0.0 };
    let start = sane(segment.start);
    let end = sane(segment.end).max(start);
    let mut parts: Vec<Part> = Vec::new();
    if segment.words.is_empty() {
        let words = split(&segment.text, options.max_line_length);
        let total = words.iter().map(|word| width(word).max(1)).sum::<usize>().max(1) as f64;
        let mut done = 0.0;
        for text in words {
            let from = start + (end - start) * done / total;
            done += width(&text).max(1) as f64;
            parts.push(Part { text, start: from, end: start + (end - start) * done / total });
        }
    } else {
        for word in &segment.words {
            let (from, to) = (sane(word.start), sane(word.end));
            let texts = split(&word.text, options.max_line_length);
            let count = texts.len().max(1) as f64;
            for (index, text) in texts.into_iter().enumerate() {
                let at = |index: usize| from + (to - from).max(0.0) * index as f64 / count;
                parts.push(Part { text, start: at(index), end: at(index + 1) });
            }
        }
    }
    let mut last = 0.0f64;
    for part in &mut parts {
        part.start = part.start.max(last);
        part.end = part.end.max(part.start);
        last = part.end;
    }
    parts
}

/// Words of `text` with the space before them; words longer than a line are split, and scripts without spaces are split
/// into characters.
fn split(text: &str, limit: usize) -> Vec<String> {
    let mut words = Vec::new();
    let even = evened(text);
    let begins = text.starts_with(char::is_whitespace);
    for (index, word) in even.split(' ').filter(|word| !word.is_empty()).enumerate() {
        let mut rest = word;
        let mut space = if index > 0 || begins { " " } else { "" };
        while !rest.is_empty() {
            let cut = super::lines::breaks(rest).find(|&at| at > 0);
            let cut = cut.unwrap_or(rest.len()).min(hard_break(rest, limit));
            let (part, left) = rest.split_at(cut);
            words.push(format!("{space}{part}"));
            (rest, space) = (left, "");
        }
    }
    words
}

fn piece(parts: &[Part]) -> Piece {
    let text: String = parts.iter().map(|part| part.text.as_str()).collect();
    let (start, end) = parts.first().zip(parts.last()).map_or((0.0, 0.0), |(first, last)| (first.start, last.end));
    Piece { text: evened(&text), start, end }
}

/// Splits words without a long pause between them at the lowest total cost (a least-cost path over the gaps between
/// words).
fn cut(parts: &[Part], options: &SubtitleOptions) -> Vec<Piece> {
    let text: String = parts.iter().map(|part| part.text.as_str()).collect();
    // Byte offset in `text` before each word and after the last.
    let mut offsets = vec![0];
    parts.iter().for_each(|part| offsets.push(offsets[offsets.len() - 1] + part.text.len()));
    let ends: Vec<f64> = (1..=parts.len())
        .map(|index| {
            let (before, after) = text.split_at(offsets[index]);
            let last = before.trim_end_matches(['"', '”', '’', ')']).chars().next_back();
            if after.is_empty() || sentence_ends(before, after) {
                AFTER_SENTENCE
            } else if last.is_some_and(is_clause_end) && last.is_none_or(|c| c != '.') {
                AFTER_CLAUSE
            } else {
                AFTER_WORD
            }
        })
        .collect();
    let sentence = |index: usize| index > 0 && ends[index - 1] == AFTER_SENTENCE && index < parts.len();
    let mut best: Vec<(f64, usize)> = vec![(0.0, 0)];
    for end in 1..=parts.len() {
        let mut least = (f64::INFINITY, end - 1);
        for from in (0..end).rev() {
            let single = end - from == 1;
            let shown = evened(&text[offsets[from]..offsets[end]]);
            let seconds = parts[end - 1].end - parts[from].start;
            if !single && (!fits(&shown, options.max_line_length) || seconds > options.max_cue_seconds) {
                break;
            }
            let full = width(&shown) as f64 / (2 * options.max_line_length) as f64;
            // Two cues of half a text each read better than a full one and a very short one.
            let scrap = (1.0 - full).powi(2);
            let across = (from + 1..end).filter(|&index| sentence(index)).count() as f64 * ACROSS_SENTENCE;
            let short = if seconds < options.least_seconds() { TOO_SHORT } else { 0.0 };
            let cost = best[from].0 + 0.5 + scrap + across + short + ends[end - 1];
            if cost < least.0 {
                least = (cost, from);
            }
        }
        best.push(least);
    }
    let mut cuts = vec![parts.len()];
    while let Some(&end) = cuts.last().filter(|&&end| end > 0) {
        cuts.push(best[end].1);
    }
    cuts.reverse();
    cuts.windows(2).map(|pair| piece(&parts[pair[0]..pair[1]])).filter(|piece| !piece.text.is_empty()).collect()
}

impl Piece {
    /// Joins this piece with the next if either is too short to be shown alone and both fit; else returns both
    /// unchanged.
    pub(super) fn joined(self, next: &Self, options: &SubtitleOptions) -> Result<Self, (Self, Self)> {
        let least = options.least_seconds();
        // A short piece can be extended into the pause before the next piece.
        let room = next.start - self.start;
        let short = room < least || (next.end - next.start < least / 2.0 && next.start - self.end < PAUSE);
        let space = if needs_space(&self.text, &next.text) { " " } else { "" };
        let text = format!("{}{space}{}", self.text, next.text);
        let seconds = next.end - self.start;
        let fitting = fits(&text, options.max_line_length) && seconds <= options.max_cue_seconds;
        if short && fitting && seconds.is_finite() {
            return Ok(Self { text, start: self.start, end: next.end.max(self.end) });
        }
        Err((self, next.clone()))
    }
}
