//! Sources of samples: memory, a file that is decoded while it is read, a pipe.

use sotto_audio::{AudioError, AudioFile, AudioWarning, Pcm16k, RawPcm};

/// Provides 16 kHz mono samples block by block.
pub trait SampleSource {
    /// Appends the next block to `out`; `false` at the end.
    ///
    /// # Errors
    /// When the audio is damaged or cannot be read.
    fn next_block(&mut self, out: &mut Vec<f32>) -> Result<bool, AudioError>;

    /// Length of the audio in seconds, if it is known in advance.
    fn seconds(&self) -> Option<f64>;

    /// Damage in the part that was read.
    fn warnings(&self) -> &[AudioWarning] {
        &[]
    }
}

impl SampleSource for AudioFile {
    fn next_block(&mut self, out: &mut Vec<f32>) -> Result<bool, AudioError> {
        AudioFile::next_block(self, out)
    }

    fn seconds(&self) -> Option<f64> {
        self.info().duration.map(|duration| duration.as_secs_f64())
    }

    fn warnings(&self) -> &[AudioWarning] {
        AudioFile::warnings(self)
    }
}

impl<R: std::io::Read> SampleSource for RawPcm<R> {
    fn next_block(&mut self, out: &mut Vec<f32>) -> Result<bool, AudioError> {
        RawPcm::next_block(self, out)
    }

    fn seconds(&self) -> Option<f64> {
        None
    }
}

/// Samples in memory.
#[derive(Debug)]
pub struct Samples<'a> {
    left: &'a [f32],
    seconds: f64,
}

// A second: small enough that features are computed only when needed.
const BLOCK: usize = 16_000;

impl<'a> From<&'a Pcm16k> for Samples<'a> {
    fn from(audio: &'a Pcm16k) -> Self {
        Self { left: audio.samples(), seconds: audio.seconds() }
    }
}

impl<'a> Samples<'a> {
    /// A source over a part of checked audio.
    pub(crate) fn part(samples: &'a [f32]) -> Self {
        Self { left: samples, seconds: samples.len() as f64 / f64::from(sotto_audio::SAMPLE_RATE) }
    }
}

impl SampleSource for Samples<'_> {
    fn next_block(&mut self, out: &mut Vec<f32>) -> Result<bool, AudioError> {
        let (block, left) = self.left.split_at(BLOCK.min(self.left.len()));
        out.extend_from_slice(block);
        self.left = left;
        Ok(!block.is_empty())
    }

    fn seconds(&self) -> Option<f64> {
        Some(self.seconds)
    }
}
