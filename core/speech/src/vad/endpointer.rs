//! Silero's rules (`get_speech_timestamps`, version 6.2), one probability at a time.

use std::ops::Range;

use super::detector::STEP;
use super::options::VadOptions;

const SAMPLES_PER_MS: f64 = 16.0;

/// A decision from one probability. Positions are samples since the beginning, without padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// The segment that began at this sample is long enough to be kept.
    Started(usize),
    /// The segment that began at `start` ends at `end`. It was announced by [`Decision::Started`].
    Ended { start: usize, end: usize },
}

impl Decision {
    /// Start of the segment that goes on.
    pub(super) fn begun(self) -> Option<usize> {
        match self {
            Self::Started(start) => Some(start),
            Self::Ended { .. } => None,
        }
    }

    /// The segment that has ended.
    pub(super) fn ended(self) -> Option<Range<usize>> {
        match self {
            Self::Started(_) => None,
            Self::Ended { start, end } => Some(start..end),
        }
    }
}

/// A pause inside a segment at which it may be split.
#[derive(Debug, Clone, Copy)]
struct Pause {
    at: usize,
    length: usize,
}

/// State between steps.
#[derive(Debug, Clone)]
pub(super) struct Endpointer {
    threshold: f32,
    neg_threshold: f32,
    min_speech: f64,
    min_voiced: f64,
    max_speech: f64,
    min_silence: f64,
    min_pause: f64,
    /// First sample of the next step.
    now: usize,
    current: Option<Current>,
}

/// The current segment.
#[derive(Debug, Clone, Copy)]
struct Current {
    start: usize,
    announced: bool,
    /// Number of samples at or above the threshold.
    voiced: usize,
    /// Start of the silence that may end it.
    silent_since: Option<usize>,
    longest_pause: Option<Pause>,
}

impl Current {
    fn at(start: usize, voiced: usize) -> Self {
        Self { start, announced: false, voiced, silent_since: None, longest_pause: None }
    }
}

impl Endpointer {
    pub(super) fn new(options: &VadOptions) -> Self {
        let samples = |ms: u32| f64::from(ms) * SAMPLES_PER_MS;
        let pad = samples(options.speech_pad_ms);
        Self {
            threshold: options.threshold,
            neg_threshold: options.neg_threshold.unwrap_or((options.threshold - 0.15).max(0.01)),
            min_speech: samples(options.min_speech_ms),
            min_voiced: samples(options.min_voiced_ms),
            max_speech: f64::from(options.max_speech_s) * 1000.0 * SAMPLES_PER_MS - STEP as f64 - 2.0 * pad,
            min_silence: samples(options.min_silence_ms),
            min_pause: samples(options.min_pause_at_max_speech_ms),
            now: 0,
            current: None,
        }
    }

    /// Processes the probability of the next step. It decides at most an end and a start, in this order.
    pub(super) fn step(&mut self, probability: f32, mut decided: impl FnMut(Decision)) {
        let now = self.now;
        self.now += STEP;
        let speech = probability >= self.threshold;
        let Some(mut current) = self.current else {
            self.current = speech.then(|| Current::at(now, STEP));
            return;
        };
        if speech {
            current.voiced += STEP;
            self.end_pause(&mut current, now);
        }
        if (now - current.start) as f64 > self.max_speech {
            let cut = current.longest_pause;
            if self.voiced_enough(&current) {
                end(&mut current, cut.map_or(now, |pause| pause.at), &mut decided);
            }
            let Some(pause) = cut else {
                self.current = None;
                return;
            };
            // The rest of a split segment keeps its voiced samples.
            current = Current::at(pause.at + pause.length, current.voiced);
        }
        if probability < self.neg_threshold {
            let since = *current.silent_since.get_or_insert(now);
            if (now - since) as f64 >= self.min_silence {
                if self.stays(&current, since) {
                    end(&mut current, since, &mut decided);
                }
                self.current = None;
                return;
            }
        } else if current.silent_since.is_none() && self.stays(&current, now + STEP) {
            announce(&mut current, &mut decided);
        }
        self.current = Some(current);
    }

    /// Segments that were not announced yet do not begin before this sample.
    pub(super) fn earliest_start(&self) -> usize {
        self.current.map_or(self.now, |current| current.start)
    }

    /// The recording ends after `length` samples.
    pub(super) fn finish(&mut self, length: usize, mut decided: impl FnMut(Decision)) {
        if let Some(mut current) = self.current.take()
            && self.stays(&current, length)
        {
            end(&mut current, length, &mut decided);
        }
    }

    /// Speech resumed: a pause that was long enough becomes a possible split point.
    fn end_pause(&self, current: &mut Current, now: usize) {
        let Some(at) = current.silent_since.take() else { return };
        let length = now - at;
        let longest = current.longest_pause.is_none_or(|pause| length > pause.length);
        if length as f64 > self.min_pause && longest {
            current.longest_pause = Some(Pause { at, length });
        }
    }

    /// Whether the segment is kept when it ends at `end`.
    fn stays(&self, current: &Current, end: usize) -> bool {
        end.saturating_sub(current.start) as f64 > self.min_speech && self.voiced_enough(current)
    }

    fn voiced_enough(&self, current: &Current) -> bool {
        current.voiced as f64 >= self.min_voiced
    }
}

fn announce(current: &mut Current, decided: &mut impl FnMut(Decision)) {
    if !current.announced {
        current.announced = true;
        decided(Decision::Started(current.start));
    }
}

fn end(current: &mut Current, end: usize, decided: &mut impl FnMut(Decision)) {
    announce(current, decided);
    decided(Decision::Ended { start: current.start, end });
}
