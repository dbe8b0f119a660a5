//! Windows of log-mel features of a recording, computed while it is read: memory for one window, however long the
//! recording is.

use std::ops::Range;

use sotto_audio::{AudioError, HOP, LogMel, normalize};
use sotto_runtime::CancelToken;
use sotto_runtime::spans::{SpanName, span};

use crate::error::SpeechError;
use crate::options::Normalization;
use crate::source::SampleSource;

/// Reads samples on demand and returns windows, each starting at or after the start of the one before.
pub(crate) struct FeatureWindows<'s> {
    source: &'s mut dyn SampleSource,
    cancel: &'s CancelToken,
    mel: LogMel,
    block: Vec<f32>,
    samples: u64,
    ended: bool,
    window: usize,
    /// Peak of the whole recording, if windows are normalised by it.
    peak: Option<f32>,
}

/// A window of features, and how much of it is audio.
#[derive(Debug, PartialEq)]
pub(crate) struct FeatureWindow {
    /// Normalised, `[window, n_mels]`.
    pub(crate) values: Vec<f32>,
    /// Number of frames with audio; the rest is padding.
    pub(crate) frames: usize,
}

impl FeatureWindow {
    /// A range of its frames as a separate window, padded with silence.
    pub(crate) fn part(&self, frames: Range<usize>, mels: usize) -> Self {
        let mut values = self.values[frames.start * mels..frames.end * mels].to_vec();
        let loudest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        // The normalised value of silence: 80 dB below the peak, or no energy at all.
        let floor = (loudest - 2.0).max(-1.5);
        values.iter_mut().for_each(|value| *value = value.max(floor));
        values.resize(self.values.len(), floor);
        Self { values, frames: frames.len() }
    }
}

impl<'s> FeatureWindows<'s> {
    /// Polls `cancel` before every block that is read.
    pub(crate) fn new(
        source: &'s mut dyn SampleSource,
        n_mels: usize,
        window: usize,
        cancel: &'s CancelToken,
    ) -> Result<Self, AudioError> {
        let mel = LogMel::new(n_mels)?;
        Ok(Self { source, cancel, mel, block: Vec::new(), samples: 0, ended: false, window, peak: None })
    }

    /// Normalises by the peak of the whole recording: reads all of it and keeps its frames in memory.
    pub(crate) fn normalized_by(mut self, normalization: Normalization) -> Result<Self, SpeechError> {
        if normalization == Normalization::Recording {
            while !self.ended {
                self.read_to(self.mel.frame_count() + self.window as u64)?;
            }
            self.peak = Some(self.mel.peak());
        }
        Ok(self)
    }

    /// The window from frame `seek` on; `None` when the audio ends before it. Frames before `seek` are dropped.
    pub(crate) fn at(&mut self, seek: u64) -> Result<Option<FeatureWindow>, SpeechError> {
        self.read_to(seek + self.window as u64)?;
        self.mel.drain((seek - self.mel.first_frame()) as usize);
        let left = self.content_frames().saturating_sub(seek);
        if left == 0 {
            return Ok(None);
        }
        let frames = self.window.min(left as usize);
        let n_mels = self.mel.n_mels();
        let _span = span(SpanName::Mel);
        let values = match self.peak {
            // The references pad long recordings with zeros after normalising.
            Some(peak) => {
                let mut values = self.mel.frames()[..frames * n_mels].to_vec();
                normalize(&mut values, peak);
                values.resize(self.window * n_mels, 0.0);
                values
            }
            // Separate windows are padded with silence before normalising, as in training.
            None => {
                let mut values = self.mel.frames()[..self.window * n_mels].to_vec();
                let peak = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                normalize(&mut values, peak);
                values
            }
        };
        Ok(Some(FeatureWindow { values, frames }))
    }

    /// Whether the recording ends inside its first window.
    pub(crate) fn fits_one_window(&mut self) -> Result<bool, SpeechError> {
        self.read_to(self.window as u64 + 1)?;
        Ok(self.ended && self.content_frames() <= self.window as u64)
    }

    /// Seconds of audio read so far; the length of the recording once it has ended.
    pub(crate) fn seconds(&self) -> f64 {
        self.samples as f64 / f64::from(sotto_audio::SAMPLE_RATE)
    }

    /// Length of the whole audio in seconds, if the source knows it.
    pub(crate) fn expected_seconds(&self) -> Option<f64> {
        self.source.seconds()
    }

    /// Number of frames with audio read so far. A last piece shorter than a hop counts as a frame only if there is no
    /// other audio.
    fn content_frames(&self) -> u64 {
        let whole = self.samples / HOP as u64;
        if self.samples > 0 { whole.max(1) } else { 0 }
    }

    /// Reads until `end` frames are available or the audio ends; at its end a window of silence is appended.
    fn read_to(&mut self, end: u64) -> Result<(), SpeechError> {
        while !self.ended && self.mel.frame_count() < end {
            self.cancel.check()?;
            self.block.clear();
            if self.source.next_block(&mut self.block)? {
                self.samples += self.block.len() as u64;
                let _span = span(SpanName::Mel);
                self.mel.push(&self.block);
            } else {
                self.ended = true;
                let _span = span(SpanName::Mel);
                self.mel.push_silence((self.window + 4) * HOP);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use sotto_audio::{Pcm16k, log_mel_spectrogram};

    use super::*;
    use crate::source::Samples;

    fn tone(samples: usize) -> Pcm16k {
        Pcm16k::new((0..samples).map(|i| (i as f32 * 0.05).sin() * 0.3 + (i as f32 * 0.31).sin() * 0.1).collect())
            .unwrap()
    }

    #[test]
    fn a_short_recording_equals_the_reference_on_padded_samples() {
        let audio = tone(20_000);
        let (mut source, cancel) = (Samples::from(&audio), CancelToken::new());
        let mut windows = FeatureWindows::new(&mut source, 80, 300, &cancel).unwrap();
        assert!(windows.fits_one_window().unwrap());
        let window = windows.at(0).unwrap().unwrap();
        let reference = log_mel_spectrogram(audio.samples(), 80, 48_000 - 20_000).unwrap();
        assert_eq!(window.frames, 125);
        assert_eq!(window.values, reference.values[..300 * 80]);
    }

    #[test]
    fn windows_end_with_the_audio_and_forget_what_lies_behind() {
        let audio = tone(160 * 700 + 13);
        let (mut source, cancel) = (Samples::from(&audio), CancelToken::new());
        let mut windows = FeatureWindows::new(&mut source, 80, 300, &cancel).unwrap();
        assert!(!windows.fits_one_window().unwrap());
        let counts: Vec<_> = [0, 300, 450, 600, 700].map(|at| windows.at(at).unwrap().map(|w| w.frames)).into();
        assert_eq!(counts, [Some(300), Some(300), Some(250), Some(100), None]);
        assert!(windows.mel.frames().len() < 80 * 400);
    }

    #[test]
    fn an_empty_recording_has_no_window() {
        let audio = Pcm16k::new(Vec::new()).unwrap();
        let (mut source, cancel) = (Samples::from(&audio), CancelToken::new());
        assert_eq!(FeatureWindows::new(&mut source, 80, 300, &cancel).unwrap().at(0).unwrap(), None);
    }
}
