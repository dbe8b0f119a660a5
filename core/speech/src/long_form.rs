//! Recordings of any length: each window starts where the timestamps of the previous one end (openai/whisper
//! `transcribe.py`).

use std::ops::Range;

use sotto_audio::SAMPLE_RATE;
use sotto_runtime::{Cancelled, Progress, ProgressSink, Stage};
use sotto_text::Tokenizer;
use sotto_text::sentences::sentence_ends;
use sotto_text::whisper::WhisperTokenizer;

use crate::align::{self, Listening};
use crate::decode::Attempt;
use crate::error::SpeechError;
use crate::features::{FeatureWindow, FeatureWindows};
use crate::options::{Thresholds, TimestampTokens, Timestamps};
use crate::previous::Previous;
use crate::source::SampleSource;
use crate::transcript::{Segment, Word};
use crate::unheard::{is_silent, unheard};
use crate::voice_bounds::Voice;
use crate::window::{Context, WindowDecoder};

/// Mel frames per second.
const FRAMES_PER_SECOND: f64 = 100.0;

// The text of a window that was decoded at a higher temperature is not used as context for the next (the reference's
// `prompt_reset_since`).
pub(crate) const HOT: f32 = 0.5;

// The next window starts at least half a second later.
const LEAST_FRAMES: usize = 50;

/// The text of one window.
struct Heard {
    segments: Vec<Segment>,
    /// Number of frames to the start of the next window.
    advance: usize,
    /// Attention of its words to each encoder state; empty if not needed.
    attention: Vec<f32>,
}

/// Receives segments in the order in which they are final.
pub(crate) type SegmentSink<'a> = dyn FnMut(Segment) + 'a;

/// Transcribes one recording, window by window.
pub(crate) struct LongForm<'d, 'm> {
    decoder: &'d mut WindowDecoder<'m>,
    /// Prompt and text so far: the context of the next windows.
    previous: Previous,
    prefix: Vec<u32>,
    last_speech: f64,
}

impl<'d, 'm> LongForm<'d, 'm> {
    pub(crate) fn new(decoder: &'d mut WindowDecoder<'m>) -> Self {
        let options = decoder.options;
        let previous = Previous::new(decoder);
        let prefix = decoder.tokens_of(options.prefix.as_deref());
        Self { decoder, previous, prefix, last_speech: 0.0 }
    }

    pub(crate) fn check_cancelled(&self) -> Result<(), Cancelled> {
        self.decoder.cancel.check()
    }

    /// Transcribes the audio of `source`, which starts `offset` seconds into the whole; returns its length in seconds.
    pub(crate) fn run(
        &mut self,
        source: &mut dyn SampleSource,
        offset: f64,
        sink: &mut SegmentSink<'_>,
        progress: &dyn ProgressSink,
    ) -> Result<f64, SpeechError> {
        let dimensions = self.decoder.model.dimensions();
        let (mels, window_frames) = (dimensions.mels, dimensions.window_frames());
        let options = self.decoder.options;
        let windows = FeatureWindows::new(source, mels, window_frames, self.decoder.cancel)?;
        let mut windows = windows.normalized_by(options.normalization)?;
        let timestamps = self.decoder.can_write_timestamps()
            && (options.timestamp_tokens == TimestampTokens::Always
                || self.decoder.model.prefers_timestamps
                || !windows.fits_one_window()?);
        let mut seek = 0;
        while let Some(window) = windows.at(seek)? {
            self.decoder.cancel.check()?;
            let start = offset + seek as f64 / FRAMES_PER_SECOND;
            let (segments, advance) = self.window(&window, timestamps, start)?;
            let end = offset + windows.seconds();
            for mut segment in segments.into_iter().filter(|segment| !segment.text.trim().is_empty()) {
                segment.clamp(offset..end);
                self.decoder.language().clone_into(&mut segment.language);
                sink(segment);
            }
            seek += advance as u64;
            report(progress, offset + seek as f64 / FRAMES_PER_SECOND, windows.expected_seconds(), offset);
        }
        Ok(windows.seconds())
    }

    /// One window: its segments in absolute time, and the number of frames to the next window. Speech that its text
    /// leaves out is decoded again: after the end of the text by the next window, in the middle as a separate window.
    fn window(
        &mut self,
        window: &FeatureWindow,
        timestamps: bool,
        start: f64,
    ) -> Result<(Vec<Segment>, usize), SpeechError> {
        let Heard { mut segments, mut advance, attention } = self.text(window, timestamps, start)?;
        // A model that writes timestamps by default states the end of its text, and its heads are not suitable for
        // this.
        if self.decoder.options.as_written || self.decoder.model.prefers_timestamps || segments.is_empty() {
            return Ok((segments, advance));
        }
        let mels = self.decoder.model.dimensions().mels;
        let states = attention.len().min(advance.div_ceil(2));
        for gap in unheard(&window.values, mels, &attention[..states]) {
            let frames = gap.states.start * 2..(gap.states.end * 2).min(window.frames);
            if !gap.behind_all {
                let seconds = start + frames.start as f64 / FRAMES_PER_SECOND;
                let found = self.part(&window.part(frames, mels), seconds)?;
                // Breath between two phrases decodes to "you", so the default thresholds apply, whatever the options
                // say.
                let Thresholds { logprob, no_speech, .. } = Thresholds::default();
                let silent = |segment: &Segment| {
                    no_speech.is_some_and(|limit| segment.no_speech_prob > limit)
                        && logprob.is_some_and(|limit| segment.avg_logprob < limit)
                };
                segments.extend(found.into_iter().filter(|segment| !silent(segment)));
            } else if frames.start >= LEAST_FRAMES {
                advance = frames.start;
            }
        }
        segments.sort_by(|a, b| a.start.total_cmp(&b.start));
        Ok((segments, advance))
    }

    /// Transcribes a part of a window.
    fn part(&mut self, window: &FeatureWindow, start: f64) -> Result<Vec<Segment>, SpeechError> {
        let mels = self.decoder.model.dimensions().mels;
        let (mut segments, mut seek) = (Vec::new(), 0);
        while seek < window.frames {
            let rest = window.part(seek..window.frames, mels);
            let (found, advance) = self.window(&rest, false, start + seek as f64 / FRAMES_PER_SECOND)?;
            segments.extend(found);
            seek += advance;
        }
        Ok(segments)
    }

    /// The text of a window as the model writes it, with its attention.
    fn text(&mut self, window: &FeatureWindow, timestamps: bool, start: f64) -> Result<Heard, SpeechError> {
        let options = self.decoder.options;
        if !options.as_written && is_silent(&window.values) {
            return Ok(Heard { segments: Vec::new(), advance: window.frames, attention: Vec::new() });
        }
        let prefix = std::mem::take(&mut self.prefix);
        let context = Context { previous: self.previous.tokens(), prefix: &prefix, timestamps, ..Context::default() };
        let mut attempt = self.decoder.decode(&window.values, window.frames, context)?;
        if attempt.is_silence(&options.thresholds) {
            return Ok(Heard { segments: Vec::new(), advance: window.frames, attention: Vec::new() });
        }
        self.begin_with(self.decoder.fitting_prefix(context), &mut attempt);
        let voice = Voice::new(&window.values, self.decoder.model.dimensions().mels, window.frames);
        if !timestamps && options.timestamps != Timestamps::None {
            let (segments, attention) = self.sentences(&attempt, &voice, start)?;
            self.remember(&segments, &attempt);
            return Ok(Heard { segments, advance: window.frames, attention });
        }
        let tokenizer = self.decoder.model.tokenizer();
        let cut = cut(tokenizer, &attempt, window.frames);
        let mut segments: Vec<Segment> =
            cut.segments.iter().map(|piece| segment(tokenizer, &attempt, piece, start)).collect();
        self.remember(&segments, &attempt);
        let attention = self.settle(&mut segments, &voice, start)?;
        Ok(Heard { segments, advance: cut.advance, attention })
    }

    /// Puts the prefix before the text, behind an opening timestamp, unless the model wrote it again.
    fn begin_with(&self, prefix: &[u32], attempt: &mut Attempt) {
        if prefix.is_empty() {
            return;
        }
        let tokenizer = self.decoder.model.tokenizer();
        if !begins_with(&tokenizer.decode(&attempt.tokens), &tokenizer.decode(prefix)) {
            let opening =
                attempt.tokens.iter().take_while(|&&token| tokenizer.timestamp_steps(token).is_some()).count();
            attempt.tokens.splice(opening..opening, prefix.iter().copied());
        }
    }

    /// Times of the segments of a window with timestamps: adds words if they are wanted or needed for a long pause, and
    /// fits bounds to the voice. Returns the attention, if gaps are to be found.
    fn settle(&mut self, segments: &mut Vec<Segment>, voice: &Voice, start: f64) -> Result<Vec<f32>, SpeechError> {
        let options = self.decoder.options;
        let wanted = options.timestamps;
        if options.as_written && wanted != Timestamps::Word {
            return Ok(Vec::new());
        }
        let pauses =
            |segment: &Segment| voice.longest_pause(segment.start - start..segment.end - start) >= align::LONGEST_PAUSE;
        let attention = if wanted == Timestamps::Word || (wanted == Timestamps::Segment && segments.iter().any(pauses))
        {
            align::add_words(self.decoder, voice, segments, start, self.last_speech)?
        } else {
            let tokens: Vec<u32> = segments.iter().flat_map(|segment| &segment.tokens).copied().collect();
            align::listen(self.decoder, voice, &tokens)?.attention
        };
        voice.fit(segments, start);
        self.last_speech = segments.last().map_or(self.last_speech, |segment| segment.end);
        if wanted != Timestamps::Word {
            segments.iter_mut().for_each(|segment| segment.words.clear());
        }
        Ok(attention)
    }

    /// Segments of a window without timestamps: words with times from the attention, split at sentence ends.
    fn sentences(
        &mut self,
        attempt: &Attempt,
        voice: &Voice,
        start: f64,
    ) -> Result<(Vec<Segment>, Vec<f32>), SpeechError> {
        let Listening { words: timed, attention, .. } = align::listen(self.decoder, voice, &attempt.tokens)?;
        let with_words = self.decoder.options.timestamps == Timestamps::Word;
        let mut segments: Vec<Segment> = Vec::new();
        for word in timed {
            let ended = segments.last().is_none_or(|segment| {
                let pause = start + word.start - segment.end;
                pause >= align::LONGEST_PAUSE || sentence_ends(&segment.text, &word.text)
            });
            if ended {
                let piece = Piece { tokens: 0..0, start: word.start, end: word.end };
                segments.push(segment(self.decoder.model.tokenizer(), attempt, &piece, start));
            }
            let Some(segment) = segments.last_mut() else { continue };
            segment.end = start + word.end;
            segment.text.push_str(&word.text);
            segment.tokens.extend_from_slice(&word.tokens);
            if with_words {
                let (start, end) = (start + word.start, start + word.end);
                segment.words.push(Word { start, end, text: word.text, probability: word.probability });
            }
        }
        self.last_speech = segments.last().map_or(self.last_speech, |segment| segment.end);
        Ok((segments, attention))
    }

    fn remember(&mut self, segments: &[Segment], attempt: &Attempt) {
        let kept = segments.iter().filter(|segment| !segment.text.trim().is_empty() && segment.start != segment.end);
        let said: Vec<u32> = kept.flat_map(|segment| &segment.tokens).copied().collect();
        self.previous.doubted = attempt.temperature > HOT;
        self.previous.remember(&said);
    }
}

/// Whether `text` begins with the words of `beginning`, however they are written.
fn begins_with(text: &str, beginning: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        let letters = |word: &str| word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        text.split_whitespace().map(letters).filter(|word: &String| !word.is_empty()).collect()
    };
    words(text).starts_with(&words(beginning))
}

fn report(progress: &dyn ProgressSink, done: f64, total: Option<f64>, offset: f64) {
    let milliseconds = |seconds: f64| (seconds * 1000.0) as u64;
    let total = total.map(|seconds| milliseconds(seconds + offset));
    let done = milliseconds(done).min(total.unwrap_or(u64::MAX));
    progress.report(&Progress { stage: Stage::Transcribe, done, total, subject: "audio".into() });
}

/// A stretch of a window's tokens with its times in seconds from the start of the window.
#[derive(Debug, PartialEq)]
struct Piece {
    tokens: Range<usize>,
    start: f64,
    end: f64,
}

/// The segments of a window's tokens, and the distance to the start of the next window.
#[derive(Debug, PartialEq)]
struct Cut {
    segments: Vec<Piece>,
    advance: usize,
    ends_with_single_timestamp: bool,
}

/// Splits at pairs of timestamps. Speech after the last pair is decoded again by the next window.
fn cut(tokenizer: &WhisperTokenizer, attempt: &Attempt, frames: usize) -> Cut {
    let tokens = &attempt.tokens;
    let steps = |index: usize| tokenizer.timestamp_steps(tokens[index]);
    let seconds = |steps: u32| f64::from(steps) * align::STATE_SECONDS;
    let is_timestamp: Vec<bool> = (0..tokens.len()).map(|index| steps(index).is_some()).collect();
    let single = matches!(is_timestamp[..], [.., false, true]);
    let mut bounds: Vec<usize> =
        (1..tokens.len()).filter(|&index| is_timestamp[index - 1] && is_timestamp[index]).collect();
    if bounds.is_empty() {
        let last = (0..tokens.len()).rev().find_map(steps).filter(|&steps| steps > 0);
        let end = last.map_or(frames as f64 / FRAMES_PER_SECOND, seconds);
        let segments = vec![Piece { tokens: 0..tokens.len(), start: 0.0, end }];
        return Cut { segments, advance: frames, ends_with_single_timestamp: single };
    }
    if single {
        bounds.push(tokens.len());
    }
    let mut segments = Vec::with_capacity(bounds.len());
    let mut first = 0;
    for bound in bounds {
        let start = seconds(steps(first).unwrap_or(0));
        let end = seconds(steps(bound - 1).unwrap_or(0));
        segments.push(Piece { tokens: first..bound, start, end });
        first = bound;
    }
    // Two mel frames per timestamp step.
    let heard = if single { frames } else { steps(first - 1).map_or(frames, |steps| steps as usize * 2) };
    Cut { segments, advance: heard.clamp(1, frames), ends_with_single_timestamp: single }
}

fn segment(tokenizer: &WhisperTokenizer, attempt: &Attempt, piece: &Piece, offset: f64) -> Segment {
    let tokens = attempt.tokens[piece.tokens.clone()].to_vec();
    let text = tokenizer.decode(&tokens);
    Segment {
        start: offset + piece.start,
        end: offset + piece.end.max(piece.start),
        text,
        tokens,
        avg_logprob: attempt.avg_logprob,
        compression_ratio: attempt.compression_ratio,
        no_speech_prob: attempt.no_speech_prob,
        temperature: attempt.temperature,
        ..Segment::default()
    }
}

/// Seconds of `samples` at 16 kHz.
pub(crate) fn seconds(samples: usize) -> f64 {
    samples as f64 / f64::from(SAMPLE_RATE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_begins_with_the_same_words_however_they_are_written() {
        for (text, beginning, expected) in [
            (" we went home", " we", true),
            (" went home", " we", false),
            (" Very good", " very", true),
            (" \"We, the people\"", " we the", true),
            (" the", " the people", false),
            (" anything", "", true),
        ] {
            assert_eq!(begins_with(text, beginning), expected, "{text:?} {beginning:?}");
        }
    }
}
