//! Decides when a live text is worth decoding again: measures how much speech is new and how long the last pause is.
//!
//! Uses only loudness, cheaply and conservatively: audio counts as voice if it is near the loudest speech or clearly
//! above the quietest recent half second. In steady noise everything may count as voice; steps then follow the clock.

use std::collections::VecDeque;

use crate::long_form::seconds;

/// Samples per measurement of loudness: 10 ms.
const HOP: usize = 160;

// Hops per block: half a second; a block stores its extremes.
const BLOCK: usize = 50;

// Eight seconds: speakers breathe more often.
const FLOOR_BLOCKS: usize = 16;

// Half a minute: a near speaker makes a far one quiet only for so long.
const TOP_BLOCKS: usize = 60;

const ABOVE_FLOOR: f32 = 6.0;
const BELOW_TOP: f32 = 35.0;

// Decibels of full scale; no microphone is as quiet.
const SILENCE: f32 = -80.0;

/// Follows the loudness of a stream.
#[derive(Debug)]
pub(super) struct Pace {
    /// Quietest and loudest hop of each block; the current block is last.
    blocks: VecDeque<(f32, f32)>,
    hops: usize,
    /// Samples of voice since the last [`mark`](Self::mark).
    new: usize,
    /// Samples processed, in whole hops.
    heard: usize,
    /// End of the last voice, in samples.
    last_voice: usize,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { blocks: VecDeque::new(), hops: 0, new: 0, heard: 0, last_voice: 0 }
    }

    /// Processes the whole hops of the samples.
    pub(super) fn push(&mut self, samples: &[f32]) {
        for hop in samples.chunks_exact(HOP) {
            let power = hop.iter().map(|sample| sample * sample).sum::<f32>() / HOP as f32;
            let level = (10.0 * libm::log10f(power.max(1e-12))).max(SILENCE);
            self.remember(level);
            self.heard += HOP;
            if level > self.threshold() {
                self.new += HOP;
                self.last_voice = self.heard;
            }
        }
    }

    fn remember(&mut self, level: f32) {
        if self.hops.is_multiple_of(BLOCK) {
            self.blocks.push_back((level, level));
            if self.blocks.len() > TOP_BLOCKS {
                self.blocks.pop_front();
            }
        }
        self.hops += 1;
        if let Some((quietest, loudest)) = self.blocks.back_mut() {
            (*quietest, *loudest) = (quietest.min(level), loudest.max(level));
        }
    }

    fn threshold(&self) -> f32 {
        let late = self.blocks.iter().rev().take(FLOOR_BLOCKS);
        let floor = late.map(|block| block.0).fold(f32::INFINITY, f32::min);
        let top = self.blocks.iter().map(|block| block.1).fold(SILENCE, f32::max);
        (floor + ABOVE_FLOOR).min(top - ABOVE_FLOOR).max(top - BELOW_TOP).max(SILENCE)
    }

    /// Seconds of voice since the last [`mark`](Self::mark).
    pub(super) fn new_voice(&self) -> f64 {
        seconds(self.new)
    }

    /// Seconds since the last voice.
    pub(super) fn silence(&self) -> f64 {
        seconds(self.heard - self.last_voice)
    }

    /// Marks all audio so far as decoded.
    pub(super) fn mark(&mut self) {
        self.new = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(seconds: f64, level: f32) -> Vec<f32> {
        (0..(seconds * 16_000.0) as usize).map(|i| (i as f32 * 0.31).sin() * level).collect()
    }

    #[test]
    fn voice_counts_and_silence_does_not() {
        let mut pace = Pace::new();
        pace.push(&tone(1.0, 0.0));
        assert_eq!(pace.new_voice(), 0.0);
        pace.push(&tone(2.0, 0.3));
        assert!((pace.new_voice() - 2.0).abs() < 0.02, "{pace:?}");
        pace.push(&tone(0.7, 0.001));
        assert!((pace.silence() - 0.7).abs() < 0.02, "{pace:?}");
        pace.mark();
        assert_eq!(pace.new_voice(), 0.0);
    }

    #[test]
    fn a_quieter_speaker_is_voice_too() {
        let mut pace = Pace::new();
        for level in [0.5, 0.0, 0.03] {
            pace.push(&tone(2.0, level));
        }
        assert!((pace.new_voice() - 4.0).abs() < 0.05, "{pace:?}");
    }

    #[test]
    fn steady_sound_never_counts_as_silence_for_long() {
        let mut pace = Pace::new();
        pace.push(&tone(20.0, 0.1));
        assert!(pace.new_voice() > 10.0, "{pace:?}");
    }
}
