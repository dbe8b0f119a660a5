//! Log-mel against openai-whisper, transformers and OpenAI's filter file, and its behaviour as a stream.

// Helpers of tests unwrap as tests do.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use sotto_audio::{LogMel, decode_file, log_mel_spectrogram, mel_filterbank, normalize, whisper_features};
use sotto_testkit::{Tolerance, assert_close, data_dir, golden};

// 1e-4 is guaranteed; measured 2.7e-5.
const TOLERANCE: Tolerance = Tolerance { abs: 5e-5, rel: 0.0 };

/// The signal of scripts/goldens/mel.py, to the bit.
fn signal() -> Vec<f32> {
    let mut state: u64 = 1;
    (0..32_000)
        .map(|i| {
            state = (1_103_515_245 * state + 12_345) % (1 << 31);
            let noise = state as f64 / f64::from(1 << 30) - 1.0;
            let t = f64::from(i) / 16_000.0;
            let loudness = match t {
                0.6..0.8 => 0.0,
                0.8..1.2 => 0.001,
                _ => 1.0,
            };
            let chirp = (2.0 * std::f64::consts::PI * (80.0 * t + 7820.0 / 4.0 * t * t)).sin();
            ((loudness * (0.6 * chirp + 0.02 * noise) * 32_768.0 + 0.5).floor() / 32_768.0) as f32
        })
        .collect()
}

#[test]
fn filters_equal_those_of_openai() {
    let golden = golden("mel").unwrap();
    for n_mels in [80, 128] {
        let mut expected = vec![0.0; n_mels * 201];
        let at = golden.integers(&format!("filter_{n_mels}_at"));
        for (&at, &weight) in at.iter().zip(&golden[format!("filter_{n_mels}_weights").as_str()]) {
            expected[at as usize] = weight;
        }
        // The file was computed in f64 and rounded once, so are ours; the last bit may differ by the library's exp.
        assert_close(&mel_filterbank(n_mels), &expected, Tolerance { abs: 1e-9, rel: 2e-7 });
    }
}

#[test]
fn whole_recordings_equal_openai_whisper() {
    let golden = golden("mel").unwrap();
    for n_mels in [80, 128] {
        let features = log_mel_spectrogram(&signal(), n_mels, 0).unwrap();
        assert_eq!(features.n_frames, 200);
        assert_close(&features.values, &golden[format!("openai_{n_mels}").as_str()], TOLERANCE);
    }
}

#[test]
fn clips_padded_to_30_seconds_equal_both_references() {
    let golden = golden("mel").unwrap();
    let samples = signal();
    let features = log_mel_spectrogram(&samples, 80, 480_000 - samples.len()).unwrap();
    assert_eq!(features.n_frames, 3000);
    let (seen, silent) = features.values.split_at(203 * 80);
    assert_close(seen, &golden["openai_80_padded"], TOLERANCE);
    assert_close(seen, &golden["transformers_80_padded"], TOLERANCE);
    // After the signal every frame is silence, like the last golden frame.
    assert!(silent.iter().all(|&x| x == seen[202 * 80]));
}

#[test]
fn a_window_of_streamed_frames_equals_transformers() {
    let samples = signal();
    let mut mel = LogMel::new(80).unwrap();
    mel.push(&samples);
    mel.push_silence(400);
    mel.finish();
    let window = whisper_features(mel.frames(), 80, 3000);
    assert_eq!(window.len(), 3000 * 80);
    assert_close(&window[..203 * 80], &golden("mel").unwrap()["transformers_80_padded"], TOLERANCE);
}

#[test]
fn a_real_clip_equals_openai_whisper() {
    let Some(data) = data_dir() else { return };
    let golden = golden("mel").unwrap();
    let clip = golden.metadata("clip").unwrap();
    let pcm = decode_file(data.join("speech").join(clip)).unwrap();
    let features = log_mel_spectrogram(pcm.samples(), 80, 0).unwrap();
    let mut bins = vec![0.0f64; 80];
    let mut frames = Vec::new();
    for frame in features.values.chunks_exact(80) {
        bins.iter_mut().zip(frame).for_each(|(sum, &x)| *sum += f64::from(x) / features.n_frames as f64);
        frames.push((frame.iter().map(|&x| f64::from(x)).sum::<f64>() / 80.0) as f32);
    }
    let bins: Vec<f32> = bins.iter().map(|&x| x as f32).collect();
    assert_close(&bins, &golden["clip_bin_means"], Tolerance { abs: 1e-5, rel: 0.0 });
    assert_close(&frames, &golden["clip_frame_means"], Tolerance { abs: 1e-5, rel: 0.0 });
}

#[test]
fn short_recordings_have_the_frames_of_their_length() {
    let samples = signal();
    for n in [0, 1, 2, 80, 159, 160, 161, 200, 201, 319, 320, 360, 399, 400, 401, 800] {
        let features = log_mel_spectrogram(&samples[..n], 80, 0).unwrap();
        assert_eq!(features.n_frames, n / 160, "{n} samples");
        assert!(features.values.iter().all(|x| x.is_finite()), "{n} samples");
    }
}

#[test]
fn other_numbers_of_bins_are_refused() {
    for n_mels in [0, 1, 79, 81, 127, 129, usize::MAX] {
        assert!(LogMel::new(n_mels).unwrap_err().to_string().contains("80 or 128"));
    }
}

#[test]
fn samples_that_are_not_finite_do_not_reach_the_frames() {
    let mut samples = signal();
    samples[1000] = f32::NAN;
    samples[9000] = f32::INFINITY;
    let mut mel = LogMel::new(80).unwrap();
    mel.push(&samples);
    mel.finish();
    assert!(mel.frames().iter().all(|x| x.is_finite() && *x >= -10.0));
}

#[test]
fn draining_keeps_memory_constant_and_changes_no_frame() {
    let samples = signal();
    let mut whole = LogMel::new(80).unwrap();
    let mut drained = LogMel::new(80).unwrap();
    let mut kept = Vec::new();
    let mut longest = 0;
    for _ in 0..30 {
        whole.push(&samples);
        for piece in samples.chunks(1600) {
            drained.push(piece);
            longest = longest.max(drained.frames().len());
            kept.extend_from_slice(drained.frames());
            drained.drain(usize::MAX);
            assert_eq!(drained.first_frame(), drained.frame_count());
        }
    }
    whole.finish();
    drained.finish();
    kept.extend_from_slice(drained.frames());
    assert_eq!(kept, whole.frames());
    assert_eq!((drained.frame_count(), drained.peak()), (whole.frame_count(), whole.peak()));
    assert!(longest <= 11 * 80, "{longest} values were kept");
}

#[test]
fn a_reset_stream_is_a_new_one() {
    let samples = signal();
    let mut mel = LogMel::new(80).unwrap();
    mel.push(&samples[..12_345]);
    mel.reset();
    mel.push(&samples);
    mel.finish();
    let mut frames = mel.frames().to_vec();
    normalize(&mut frames, mel.peak());
    assert_eq!(frames, log_mel_spectrogram(&samples, 80, 0).unwrap().values);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn frames_do_not_depend_on_how_the_input_is_cut(
        length in 0usize..6000,
        cuts in prop::collection::vec(0usize..1500, 0..40),
        silence in 0usize..700,
    ) {
        let samples = &signal()[8000..8000 + length];
        let mut whole = LogMel::new(80).unwrap();
        whole.push(samples);
        whole.push(&vec![0.0; silence]);
        whole.finish();
        let mut cut = LogMel::new(80).unwrap();
        let mut rest = samples;
        for size in cuts {
            let (piece, after) = rest.split_at(size.min(rest.len()));
            cut.push(piece);
            rest = after;
        }
        cut.push(rest);
        cut.push_silence(silence);
        cut.finish();
        prop_assert_eq!(cut.frames(), whole.frames());
        prop_assert_eq!(cut.frame_count() as usize, (length + silence) / 160);
    }
}
