//! Pushed samples that wait to be decoded.
//!
//! A queue of blocks of a second each. Taking one moves no samples, and its memory is reused. So an audio thread only
//! waits for the copy of its samples, and allocates nothing while decoding keeps up.

use std::collections::VecDeque;

use super::session::{SessionError, SessionInput};

// Enough for a phone that was busy for some time: 19 MB of 16 kHz mono.
const MAX_SECONDS: f64 = 300.0;

// The limit at higher rates: 175 s of 48 kHz stereo. Bounds the memory on a phone.
const MAX_BYTES: usize = 64 << 20;

/// Interleaved samples in the order of the pushes.
#[derive(Debug)]
pub(super) struct Backlog {
    /// None is empty or longer than a second.
    blocks: VecDeque<Vec<f32>>,
    /// An empty block, kept to reuse its memory.
    spare: Option<Vec<f32>>,
    /// Number of samples in all blocks.
    waiting: usize,
    /// Number of samples of all channels in a second.
    second: usize,
}

impl Backlog {
    pub(super) fn new(input: SessionInput) -> Self {
        let second = (input.rate as usize).saturating_mul(input.channels.into()).max(1);
        Self { blocks: VecDeque::new(), spare: None, waiting: 0, second }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Maximum number of samples that may wait.
    fn limit(&self) -> usize {
        let samples = (MAX_SECONDS * self.second as f64) as usize;
        // At least a second, because that is taken at once.
        samples.min(MAX_BYTES / size_of::<f32>()).max(self.second)
    }

    /// Seconds of waiting audio.
    pub(super) fn seconds(&self) -> f64 {
        self.waiting as f64 / self.second as f64
    }

    /// Whether `samples` more samples may wait.
    pub(super) fn check(&self, samples: usize) -> Result<(), SessionError> {
        let limit = self.limit();
        let seconds = |samples: usize| samples as f64 / self.second as f64;
        if samples > limit {
            return Err(SessionError::TooLong { seconds: seconds(samples), most: seconds(limit) });
        }
        if self.waiting + samples > limit {
            return Err(SessionError::Behind { seconds: seconds(self.waiting + samples) });
        }
        Ok(())
    }

    /// Appends all of `samples`, or none of them.
    pub(super) fn push(&mut self, mut samples: &[f32]) -> Result<(), SessionError> {
        self.check(samples.len())?;
        let second = self.second;
        self.waiting += samples.len();
        while !samples.is_empty() {
            let mut block = match self.blocks.pop_back_if(|last| last.len() < second) {
                Some(begun) => begun,
                None => self.spare.take().unwrap_or_else(|| Vec::with_capacity(second)),
            };
            let (now, later) = samples.split_at(samples.len().min(second - block.len()));
            block.extend_from_slice(now);
            self.blocks.push_back(block);
            samples = later;
        }
        Ok(())
    }

    /// Replaces `block` by the oldest samples, at most a second; `false` if none wait.
    pub(super) fn take(&mut self, block: &mut Vec<f32>) -> bool {
        let Some(oldest) = self.blocks.pop_front() else { return false };
        self.waiting -= oldest.len();
        let mut spare = std::mem::replace(block, oldest);
        spare.clear();
        self.spare = (spare.capacity() > 0).then_some(spare);
        true
    }

    /// Drops everything.
    pub(super) fn clear(&mut self) {
        (self.blocks, self.spare, self.waiting) = (VecDeque::new(), None, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A backlog of 1000 samples per second.
    fn backlog() -> Backlog {
        Backlog::new(SessionInput { rate: 500, channels: 2, ..SessionInput::default() })
    }

    #[test]
    fn samples_come_out_in_their_order_a_second_at_most_at_a_time() {
        let samples: Vec<f32> = (0..5432).map(|index| index as f32).collect();
        for sizes in [&[1][..], &[5432], &[999, 1, 1001], &[160, 2500]] {
            let (mut backlog, mut out, mut block) = (backlog(), Vec::new(), Vec::new());
            let (mut left, mut turns) = (&samples[..], sizes.iter().cycle().enumerate());
            while let (false, Some((turn, &size))) = (left.is_empty(), turns.next()) {
                let (now, later) = left.split_at(size.min(left.len()));
                backlog.push(now).unwrap();
                left = later;
                if turn % 3 == 2 && backlog.take(&mut block) {
                    out.extend_from_slice(&block);
                }
            }
            while backlog.take(&mut block) {
                assert!((1..=1000).contains(&block.len()));
                out.extend_from_slice(&block);
            }
            assert_eq!(out, samples, "{sizes:?}");
            assert_eq!((backlog.waiting, backlog.is_empty()), (0, true));
        }
    }

    #[test]
    fn what_would_exceed_the_bound_is_refused_as_a_whole() {
        let mut backlog = backlog();
        let minute = vec![0.0; 60_000];
        for _ in 0..5 {
            backlog.push(&minute).unwrap();
        }
        let refused = backlog.push(&[0.0]);
        assert!(matches!(refused, Err(SessionError::Behind { seconds }) if seconds > 300.0), "{refused:?}");
        let mut block = Vec::new();
        assert!(backlog.take(&mut block));
        backlog.push(&block.clone()).unwrap();
        assert_eq!(backlog.waiting, 300_000);
    }

    #[test]
    fn a_push_that_never_fits_says_so() {
        let refused = backlog().push(&vec![0.0; 300_001]);
        assert!(matches!(refused, Err(SessionError::TooLong { most, .. }) if most == 300.0), "{refused:?}");
    }

    #[test]
    fn the_bound_is_one_of_bytes_where_samples_come_fast() {
        for (rate, channels, most) in [(16_000, 1, 300.0), (48_000, 2, 174.76), (768_000, 64, 1.0)] {
            let backlog = Backlog::new(SessionInput { rate, channels, ..SessionInput::default() });
            let found = backlog.limit() as f64 / backlog.second as f64;
            assert!((found - most).abs() < 0.01, "{rate} Hz, {channels} channels: {found} s");
        }
    }

    #[test]
    fn blocks_are_used_again() {
        let (mut backlog, mut block) = (backlog(), Vec::new());
        let mut places = Vec::new();
        for _ in 0..6 {
            backlog.push(&[0.0; 10]).unwrap();
            assert!(backlog.take(&mut block));
            places.push(block.as_ptr());
        }
        assert_eq!((places[0], places[1]), (places[2], places[3]));
        assert_eq!(places[2..4], places[4..6]);
    }
}
