//! Streaming log-mel: samples may arrive in pieces of any size; the frames do not depend on how the input was cut.
//!
//! Cost: one 400-point real FFT and one sparse 201 × `n_mels` product per frame, up to eight frames at once. No
//! allocation per frame once the buffer has grown to the number of frames that the caller leaves in it.

use sotto_kernels::{KernelSet, Spectrogram, SpectrogramScratch};

use super::filters::mel_filterbank;
use super::{HOP, SILENCE, WINDOW};
use crate::AudioError;

// Frame `i` covers the samples `160 i - 200 .. 160 i + 200`: the reference centres its windows.
const LEAD: usize = WINDOW / 2;

/// Incremental log-mel spectrogram of 16 kHz mono samples, Whisper's front end.
///
/// A stream of `n` samples has `n / 160` frames. Beyond both ends the signal is mirrored, as in the reference
/// (`torch.stft`, centred, last frame dropped). For features of the audio followed by silence, as transformers and
/// openai-whisper compute them, push the silence too ([`push_silence`](Self::push_silence)).
///
/// Memory: the frames that were not [drained](Self::drain), plus some 20 kB. `Send`; pushing needs exclusive access.
#[derive(Debug, Clone)]
pub struct LogMel {
    kernels: KernelSet,
    spectrogram: Spectrogram,
    scratch: SpectrogramScratch,
    /// Samples from stream position `160 · next_frame - 200` on (the first frames' mirrored lead included).
    pending: Vec<f32>,
    /// Start of the next frame's window in `pending`.
    cursor: usize,
    samples_in: u64,
    frames: Vec<f32>,
    frames_dropped: u64,
    peak: f32,
    /// Whether the mirrored lead was built; that needs 201 samples.
    started: bool,
}

impl LogMel {
    /// A stream of frames with `n_mels` bins.
    ///
    /// # Errors
    /// [`AudioError::MelBins`] unless `n_mels` is 80 or 128.
    pub fn new(n_mels: usize) -> Result<Self, AudioError> {
        if !matches!(n_mels, 80 | 128) {
            return Err(AudioError::MelBins { n_mels });
        }
        Ok(Self {
            kernels: KernelSet::best(),
            spectrogram: Spectrogram::new(HOP, &mel_filterbank(n_mels)),
            scratch: SpectrogramScratch::default(),
            pending: Vec::new(),
            cursor: 0,
            samples_in: 0,
            frames: Vec::new(),
            frames_dropped: 0,
            peak: f32::NEG_INFINITY,
            started: false,
        })
    }

    /// Bins per frame, 80 or 128.
    #[must_use]
    pub fn n_mels(&self) -> usize {
        self.spectrogram.filters()
    }

    /// Adds the next samples of the stream and computes every frame that they complete.
    ///
    /// Samples must be finite; a window with one that is not counts as silence.
    pub fn push(&mut self, samples: &[f32]) {
        // In pieces, so that the buffer stays bounded however long the push is.
        for piece in samples.chunks(16 * 1024) {
            self.pending.extend_from_slice(piece);
            self.samples_in += piece.len() as u64;
            self.advance();
        }
    }

    /// Adds `count` samples of digital silence; cheaper than pushing zeros, with the same result.
    pub fn push_silence(&mut self, count: usize) {
        const ZEROS: [f32; 1600] = [0.0; 1600];
        let mut left = count;
        while left > 0 {
            let piece = left.min(ZEROS.len());
            self.push(&ZEROS[..piece]);
            left -= piece;
        }
    }

    /// Ends the stream: mirrors the signal at its end and computes the last frame or two.
    ///
    /// Further samples begin a new stream only after [`reset`](Self::reset).
    pub fn finish(&mut self) {
        let expected = self.samples_in / HOP as u64;
        if !self.started {
            // Up to 200 samples: the mirror image at each end reaches beyond the other end and is mirrored again.
            self.start();
        }
        let end = self.pending.len();
        // Mirrored without repeating the last sample; everything needed is in `pending`, the lead included.
        for i in 0..LEAD {
            let mirrored = self.pending.get(end.wrapping_sub(2 + i)).copied().unwrap_or(0.0);
            self.pending.push(mirrored);
        }
        self.compute(expected.saturating_sub(self.frame_count()) as usize);
        self.compact(true);
    }

    /// Frames computed so far and not drained, row-major `[frames, n_mels]`, unnormalised log10 energies ≥ −10.
    ///
    /// The last frame or two of a stream need samples that have not arrived yet: they appear after
    /// [`finish`](Self::finish).
    #[must_use]
    pub fn frames(&self) -> &[f32] {
        &self.frames
    }

    /// The frames, without a copy.
    pub(super) fn into_frames(self) -> Vec<f32> {
        self.frames
    }

    /// Index in the stream of the first of [`frames`](Self::frames): the number of drained frames.
    #[must_use]
    pub fn first_frame(&self) -> u64 {
        self.frames_dropped
    }

    /// Frames computed since the start of the stream, drained ones included.
    #[must_use]
    pub fn frame_count(&self) -> u64 {
        self.frames_dropped + (self.frames.len() / self.n_mels()) as u64
    }

    /// Largest value of any frame since the start of the stream, drained ones included; −∞ before the first frame.
    ///
    /// The reference normalises a whole file by this value ([`normalize`](super::normalize)).
    #[must_use]
    pub fn peak(&self) -> f32 {
        self.peak
    }

    /// Drops the oldest `frames` frames (all, if there are fewer); their memory is reused.
    pub fn drain(&mut self, frames: usize) {
        let frames = frames.min(self.frames.len() / self.n_mels());
        self.frames.drain(..frames * self.n_mels());
        self.frames_dropped += frames as u64;
    }

    /// Resets the state: the next sample is the first of a new stream. Buffers are kept.
    pub fn reset(&mut self) {
        self.pending.clear();
        self.cursor = 0;
        self.samples_in = 0;
        self.frames.clear();
        self.frames_dropped = 0;
        self.peak = f32::NEG_INFINITY;
        self.started = false;
    }

    fn advance(&mut self) {
        if !self.started {
            if self.pending.len() <= LEAD {
                return;
            }
            self.start();
        }
        self.compute(usize::MAX);
        self.compact(false);
    }

    /// Inserts the mirrored lead before the first samples.
    fn start(&mut self) {
        let samples = self.pending.len();
        let lead: Vec<f32> =
            (1..=LEAD).rev().map(|i| self.pending.get(mirror(i, samples)).copied().unwrap_or(0.0)).collect();
        self.pending.splice(..0, lead);
        self.started = true;
    }

    /// Computes the frames whose windows are complete, at most `limit`.
    fn compute(&mut self, limit: usize) {
        let start = self.frames.len();
        let mut left = limit.min(complete(self.pending.len() - self.cursor));
        while left > 0 {
            let windows = &self.pending[self.cursor..];
            let silent = is_silent(windows);
            let run = (1..left).take_while(|&frame| is_silent(&windows[frame * HOP..]) == silent).count() + 1;
            let (at, n_mels) = (self.frames.len(), self.n_mels());
            self.frames.resize(at + run * n_mels, SILENCE);
            if !silent {
                let out = &mut self.frames[at..];
                self.kernels.log_spectrogram(&self.spectrogram, windows, &mut self.scratch, out);
            }
            self.cursor += run * HOP;
            left -= run;
        }
        self.peak = self.frames[start..].iter().fold(self.peak, |peak, &x| peak.max(x));
    }

    /// Drops consumed samples when there are enough of them, or `all`.
    fn compact(&mut self, all: bool) {
        if self.cursor > 4096 || all {
            self.pending.drain(..self.cursor.min(self.pending.len()));
            self.cursor = 0;
        }
    }
}

/// Number of frames whose windows lie within `samples` samples.
const fn complete(samples: usize) -> usize {
    if samples < WINDOW { 0 } else { (samples - WINDOW) / HOP + 1 }
}

/// Whether the first window is digital silence, so that its frame need not be computed.
fn is_silent(samples: &[f32]) -> bool {
    samples[..WINDOW].iter().all(|&x| x == 0.0)
}

/// Index of the sample `i` before the start of a signal of `len` samples, mirrored at both ends as often as needed.
fn mirror(i: usize, len: usize) -> usize {
    if len < 2 {
        return 0;
    }
    let period = 2 * (len - 1);
    let offset = i % period;
    if offset < len { offset } else { period - offset }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_goes_on_after_its_end_may_end_again() {
        let mut mel = LogMel::new(80).unwrap();
        mel.push(&[0.1; 500]);
        mel.finish();
        let ended = mel.frames().to_vec();
        assert_eq!(mel.frame_count(), (500 / HOP) as u64);
        for count in [1, 700] {
            let before = mel.frame_count();
            mel.push(&vec![0.1; count]);
            mel.finish();
            // Computed frames stay, and new ones follow them.
            assert!(mel.frame_count() >= before + (count / HOP) as u64 && mel.frames().starts_with(&ended));
        }
    }

    #[test]
    fn mirroring_repeats_over_short_signals() {
        // numpy.pad([0, 1, 2], (7, 0), mode="reflect") = 1 0 1 2 1 2 1 | 0 1 2 … read backwards from the start.
        assert_eq!((1..=7).map(|i| mirror(i, 3)).collect::<Vec<_>>(), [1, 2, 1, 0, 1, 2, 1]);
        assert_eq!(mirror(5, 1), 0);
    }
}
