//! From log-mel frames to the normalised features of a Whisper encoder.

use super::{HOP, LogMel, SILENCE};
use crate::AudioError;

/// Normalised log-mel features, time-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    /// Row-major `[n_frames, n_mels]`.
    pub values: Vec<f32>,
    /// Bins per frame.
    pub n_mels: usize,
    /// Number of frames.
    pub n_frames: usize,
}

/// Number of frames for `samples` samples; the last centred window is dropped, as in the reference.
#[must_use]
pub const fn frame_count(samples: usize) -> usize {
    samples / HOP
}

/// Log-mel spectrogram of a whole recording followed by `padding` zeros, normalised by its own peak: openai-whisper's
/// `log_mel_spectrogram(audio, n_mels, padding)`, transposed to time-major.
///
/// transformers' `WhisperFeatureExtractor` pads a clip to 30 s: `padding = 480 000 - samples.len()`, and gives the same
/// values. Blocks the calling thread for a microsecond per frame or less (AVX2); silence costs next to nothing.
///
/// # Errors
/// [`AudioError::MelBins`] unless `n_mels` is 80 or 128.
pub fn log_mel_spectrogram(samples: &[f32], n_mels: usize, padding: usize) -> Result<Features, AudioError> {
    let mut mel = LogMel::new(n_mels)?;
    mel.push(samples);
    mel.push_silence(padding);
    mel.finish();
    let peak = mel.peak();
    let mut values = mel.into_frames();
    normalize(&mut values, peak);
    Ok(Features { n_frames: values.len() / n_mels, values, n_mels })
}

/// One window of encoder input from unnormalised `frames` (`[frames, n_mels]`, see [`LogMel::frames`]): the first
/// `window_frames` of them, followed by silence where there are fewer, normalised by the window's own peak.
///
/// Row-major `[window_frames, n_mels]`. Equals the features of transformers for this clip if the clip is followed by
/// silence instead of its mirror image: push at least 200 samples of silence before [`LogMel::finish`].
///
/// # Panics
/// When `n_mels` is 0, which no [`LogMel`] has.
#[must_use]
pub fn whisper_features(frames: &[f32], n_mels: usize, window_frames: usize) -> Vec<f32> {
    assert!(n_mels > 0, "frames have bins");
    let mut window = Vec::with_capacity(window_frames * n_mels);
    window.extend_from_slice(&frames[..frames.len().min(window_frames * n_mels)]);
    window.resize(window_frames * n_mels, SILENCE);
    let peak = window.iter().fold(f32::NEG_INFINITY, |peak, &x| peak.max(x));
    normalize(&mut window, peak);
    window
}

/// Limits unnormalised log10 energies to 80 dB below `peak` and scales them to about ±1, in place: the reference's
/// `max(x, peak - 8)`, then `(x + 4) / 4`.
pub fn normalize(frames: &mut [f32], peak: f32) {
    let floor = peak - 8.0;
    for x in frames {
        *x = (x.max(floor) + 4.0) / 4.0;
    }
}

/// Time-major `[frames, n_mels]` to the bin-major `[n_mels, frames]` of torch and candle convolutions.
///
/// # Panics
/// When `n_mels` is 0.
#[must_use]
pub fn transpose(frames: &[f32], n_mels: usize) -> Vec<f32> {
    assert!(n_mels > 0, "frames have bins");
    let n_frames = frames.len() / n_mels;
    let mut bins = vec![0.0; n_frames * n_mels];
    for (t, frame) in frames.chunks_exact(n_mels).enumerate() {
        for (bin, &x) in frame.iter().enumerate() {
            bins[bin * n_frames + t] = x;
        }
    }
    bins
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_has_one_value() {
        let features = log_mel_spectrogram(&[0.0; 1600], 80, 0).unwrap();
        assert_eq!(features.n_frames, 10);
        assert!(features.values.iter().all(|&x| x == -1.5));
        assert_eq!(whisper_features(&[], 80, 3), vec![-1.5; 240]);
    }

    #[test]
    fn a_window_is_cut_or_padded_to_its_length() {
        let frames: Vec<f32> = (0..160).map(|i| i as f32 / 100.0).collect();
        let long = whisper_features(&frames, 80, 3);
        assert_eq!(long.len(), 240);
        // Peak 1.59: the padding's -10 is limited to 1.59 - 8.
        assert!((long[239] - (1.59 - 8.0 + 4.0) / 4.0).abs() < 1e-6);
        assert_eq!(whisper_features(&frames, 80, 1), frames[..80].iter().map(|x| (x + 4.0) / 4.0).collect::<Vec<_>>());
    }

    #[test]
    fn transposition_swaps_time_and_bins() {
        assert_eq!(transpose(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2), [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
    }
}
