//! Stretches of speech between pauses, found by loudness alone, for use without a voice activity detector.
//!
//! The level of each 20 ms is compared with those of half a minute before and after: what is loud among them counts as
//! speech. Continuous noise or music is one stretch; that costs time but loses no word. Cost: one pass over the
//! samples, and sorting the levels once per stretch.

use std::collections::VecDeque;

use crate::vad::Endpoint;
use crate::vad_windows::Endpoints;

/// Samples of a level: 20 ms.
const STEP: usize = 320;

/// Number of levels that are compared: 30 s, the length of a model's window.
const SPAN: usize = 1500;

/// Quiet levels that separate two stretches: 0.7 s. Pauses inside a sentence are shorter.
const PAUSE: usize = 35;

/// Levels that are added before and after a loud part, for soft beginnings and fading sounds.
const BEFORE: usize = 10;
const BEHIND: usize = 15;

/// Minimum number of loud levels of speech: fewer are a click.
const SPEECH: usize = 8;

/// In decibels of full scale: quieter levels are never speech.
const SILENCE: f32 = -65.0;
const RANGE: f32 = 12.0;

/// Finds stretches in 16 kHz mono audio pushed in pieces of any size; they do not depend on the pieces.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    /// Samples of an incomplete level.
    samples: Vec<f32>,
    /// Levels that are not decided yet, in decibels.
    levels: VecDeque<f32>,
    /// Index of the first of them in the stream.
    first: usize,
    /// Levels before them, at most [`SPAN`].
    before: VecDeque<f32>,
}

impl Endpoints for Pauses {
    fn push(&mut self, samples: &[f32]) -> Vec<Endpoint> {
        let mut endpoints = Vec::new();
        self.samples.extend_from_slice(samples);
        let whole = self.samples.len() / STEP * STEP;
        let levels: Vec<f32> = self.samples[..whole].chunks_exact(STEP).map(level).collect();
        self.samples.drain(..whole);
        for level in levels {
            self.levels.push_back(level);
            if self.levels.len() == SPAN {
                self.decide(false, &mut endpoints);
            }
        }
        endpoints
    }

    fn finish(&mut self) -> Vec<Endpoint> {
        let mut endpoints = Vec::new();
        if !self.samples.is_empty() {
            self.levels.push_back(level(&self.samples));
            self.samples.clear();
        }
        while !self.levels.is_empty() {
            self.decide(true, &mut endpoints);
        }
        endpoints
    }

    fn earliest_start(&self) -> usize {
        self.first * STEP
    }
}

impl Pauses {
    /// Finds the first stretch among the levels and drops the levels up to its end; if there is none, drops what is
    /// decided.
    fn decide(&mut self, ended: bool, endpoints: &mut Vec<Endpoint>) {
        let limit = self.limit();
        let levels = self.levels.make_contiguous();
        let loud: Vec<bool> = levels.iter().map(|&level| level > limit).collect();
        let Some(start) = first_speech(&loud) else {
            // A loud part at the very end may continue.
            let kept = if ended { 0 } else { (SPEECH + PAUSE + BEFORE).min(levels.len() - 1) };
            self.forget(self.levels.len() - kept);
            return;
        };
        let last = match pause_behind(&loud, start) {
            Some(last) => last,
            None if ended => (start..loud.len()).rev().find(|&at| loud[at]).unwrap_or(start),
            // It continues: the levels before it are decided.
            None if start > BEFORE => return self.forget(start - BEFORE),
            // Speech without a pause is split where it is softest.
            None => softest(levels).max(start),
        };
        let end = (last + 1 + BEHIND).min(levels.len());
        endpoints.push(Endpoint::Start { sample: (self.first + start.saturating_sub(BEFORE)) * STEP });
        endpoints.push(Endpoint::End { sample: (self.first + end) * STEP });
        self.forget(end);
    }

    fn forget(&mut self, count: usize) {
        self.before.extend(self.levels.drain(..count));
        self.first += count;
        let surplus = self.before.len().saturating_sub(SPAN);
        self.before.drain(..surplus);
    }

    /// The threshold for loud levels, from the softest and loudest levels around.
    fn limit(&self) -> f32 {
        let mut sorted: Vec<f32> = self.before.iter().chain(&self.levels).copied().collect();
        sorted.sort_by(f32::total_cmp);
        let at = |percent: usize| sorted.get(sorted.len() * percent / 100).map_or(SILENCE, |level| level.max(SILENCE));
        // One pause in a minute is found.
        let (soft, peak) = (at(1), at(95));
        if peak - soft < RANGE { SILENCE } else { soft + 0.3 * (peak - soft) }
    }
}

/// Mean power in decibels of full scale.
fn level(samples: &[f32]) -> f32 {
    let power: f32 = samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len().max(1) as f32;
    10.0 * libm::log10f(power.max(1e-12))
}

/// Start of the first stretch that is loud for long enough.
fn first_speech(loud: &[bool]) -> Option<usize> {
    let mut at = 0;
    while at < loud.len() {
        let start = at + loud[at..].iter().position(|&loud| loud)?;
        let end = pause_behind(loud, start).map_or(loud.len(), |last| last + 1);
        if loud[start..end].iter().filter(|&&loud| loud).count() >= SPEECH {
            return Some(start);
        }
        at = end;
    }
    None
}

/// The last loud level before the first pause after `start`.
fn pause_behind(loud: &[bool], start: usize) -> Option<usize> {
    let mut last = start;
    for (at, &loud) in loud.iter().enumerate().skip(start) {
        if loud {
            last = at;
        } else if at - last >= PAUSE {
            return Some(last);
        }
    }
    None
}

/// The middle of the softest 0.2 s of the last third.
fn softest(levels: &[f32]) -> usize {
    const WIDTH: usize = 10;
    let from = levels.len() / 3 * 2;
    let sums = levels[from..].windows(WIDTH).map(|window| window.iter().sum::<f32>());
    let softest = sums.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(at, _)| at);
    from + softest + WIDTH / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds of sound (true) and of quiet noise.
    fn audio(parts: &[(f64, bool)]) -> Vec<f32> {
        let mut state = 1u32;
        let mut noise = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        };
        let part = |&(seconds, sound): &(f64, bool)| {
            let samples = (seconds * 16_000.0) as usize;
            (0..samples).map(|_| noise() * if sound { 0.2 } else { 0.003 }).collect::<Vec<_>>()
        };
        parts.iter().flat_map(part).collect()
    }

    /// Stretches in seconds.
    fn stretches(audio: &[f32], piece: usize) -> Vec<(f64, f64)> {
        let mut pauses = Pauses::default();
        let mut endpoints: Vec<Endpoint> = audio.chunks(piece).flat_map(|piece| pauses.push(piece)).collect();
        endpoints.extend(pauses.finish());
        let seconds = |endpoint: &Endpoint| match *endpoint {
            Endpoint::Start { sample } | Endpoint::End { sample } | Endpoint::Withdrawn { sample } => {
                sample as f64 / 16_000.0
            }
        };
        endpoints.chunks(2).map(|pair| (seconds(&pair[0]), seconds(&pair[1]))).collect()
    }

    #[test]
    fn what_lies_between_pauses_is_found_however_it_arrives() {
        for (parts, expected) in [
            (&[(2.0, false), (5.0, true), (2.0, false), (3.0, true), (1.0, false)][..], &[(1.8, 7.3), (8.8, 12.3)][..]),
            // A short pause is none.
            (&[(5.0, true), (0.5, false), (3.0, true), (4.0, false)], &[(0.0, 8.8)]),
            // Clicks are no speech.
            (&[(2.0, false), (0.1, true), (3.0, false), (2.0, true)], &[(4.9, 7.1)]),
            // Longer than what is looked at together.
            (
                &[(20.0, true), (1.0, false), (20.0, true), (1.0, false), (4.0, true)],
                &[(0.0, 20.3), (20.8, 41.3), (41.8, 46.0)],
            ),
            (&[(100.0, false)], &[(0.0, 20.3)]),
            (&[], &[]),
        ] {
            let audio = audio(parts);
            if parts.len() == 1 {
                // Noise without a pause: all of it, in pieces.
                let found = stretches(&audio, 16_000);
                assert!(found[0].0 == 0.0 && found[found.len() - 1].1 == 100.0, "{found:?}");
                assert!(found.windows(2).all(|two| two[0].1 == two[1].0), "{found:?}");
                continue;
            }
            for piece in [16_000, 7919] {
                let found = stretches(&audio, piece);
                let close = |a: &(f64, f64), b: &(f64, f64)| (a.0 - b.0).abs() < 0.05 && (a.1 - b.1).abs() < 0.05;
                assert!(
                    found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| close(a, b)),
                    "{found:?}"
                );
            }
        }
        assert_eq!(stretches(&vec![0.0; 16_000 * 70], 16_000), []);
    }
}
