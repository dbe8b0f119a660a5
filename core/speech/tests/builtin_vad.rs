//! The detector that comes with the library, against PyTorch (`sotto_vad.safetensors`, scripts/goldens/sotto_vad.py),
//! and as a file that may be damaged.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;
use sotto_audio::decode_file;
use sotto_speech::Vad;
use sotto_speech::vad::{Detector, STEP, SottoVad, VadError, VadOptions, VadStream, load_detector};
use sotto_testkit::heap::assert_soon;
use sotto_testkit::{Tolerance, assert_close, data_dir, golden};

/// Allowed difference: sums are taken in another order. The FFT is in f64 on both sides.
const TOLERANCE: Tolerance = Tolerance::abs(1e-4);

/// FNV-1a over the bits of the probabilities of [`noise`], on every platform.
const DIGEST: u64 = 0x91da_b30e_aa3b_03b3;

fn probabilities<D: Detector + ?Sized>(vad: &Arc<D>, pieces: &[&[f32]]) -> Vec<f32> {
    let (mut stream, mut probabilities) = (VadStream::new(vad), Vec::new());
    for piece in pieces {
        stream.push(piece, |probability| probabilities.push(probability));
    }
    probabilities.extend(stream.finish());
    probabilities
}

/// Samples in ±1 that need no function of the platform.
fn noise(length: usize) -> Vec<f32> {
    let mut state = 1u32;
    let mut next = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    // Louder and softer, as speech is.
    (0..length).map(|i| next() * ((i / 3_000 % 5) as f32 * 0.2)).collect()
}

#[test]
fn probabilities_equal_those_of_pytorch() {
    let Some(data) = data_dir() else { return };
    let golden = golden("sotto_vad").unwrap();
    let files: HashMap<String, String> = serde_json::from_str(golden.metadata("clips").unwrap()).unwrap();
    let seconds: usize = golden.metadata("seconds").unwrap().parse().unwrap();
    for (clip, file) in files {
        let mut samples = decode_file(data.join("speech").join(file)).unwrap().into_samples();
        samples.truncate(seconds * 16_000);
        assert_close(&probabilities(&SottoVad::builtin(), &[&samples]), &golden[clip.as_str()], TOLERANCE);
    }
}

#[test]
fn the_bits_are_the_same_on_every_platform() {
    let bytes = probabilities(&SottoVad::builtin(), &[&noise(64_000)])
        .into_iter()
        .flat_map(|value| value.to_bits().to_le_bytes());
    let digest = bytes
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    assert_eq!(digest, DIGEST, "{digest:#018x}");
}

#[test]
fn a_stream_that_was_reset_is_at_its_beginning_and_a_copy_goes_its_own_way() {
    let (vad, samples) = (SottoVad::builtin(), noise(8 * STEP));
    let mut stream = VadStream::new(&vad);
    let heard = |stream: &mut VadStream| {
        let mut found = Vec::new();
        stream.push(&samples, |probability| found.push(probability));
        found
    };
    let first = heard(&mut stream);
    let mut copy = stream.clone();
    let second = heard(&mut stream);
    assert_eq!(heard(&mut copy), second);
    assert_ne!(first, second);
    stream.reset();
    assert_eq!(heard(&mut stream), first);
}

#[test]
fn the_built_in_detector_is_loaded_once_and_brings_its_rules() {
    assert!(Arc::ptr_eq(&SottoVad::builtin(), &SottoVad::builtin()));
    assert_eq!(Vad::builtin().options, VadOptions::SOTTO);
    VadOptions::SOTTO.check().unwrap();
}

#[test]
fn a_file_of_any_detector_is_told_by_its_content() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some.bin");
    std::fs::write(&path, sotto_starter::vad()).unwrap();
    let samples = noise(4 * STEP);
    let vad = load_detector(&path).unwrap();
    assert_eq!(probabilities(&vad, &[&samples]), probabilities(&SottoVad::builtin(), &[&samples]));
    assert_eq!(vad.options(), VadOptions::SOTTO);
    if let Some(data) = data_dir() {
        for name in ["ggml-silero-v6.2.0.bin", "silero_vad_16k.safetensors"] {
            assert_eq!(load_detector(&data.join("vad").join(name)).unwrap().options(), VadOptions::default());
        }
    }
}

fn refused(bytes: &[u8]) -> VadError {
    let load = || SottoVad::from_bytes(Cow::Owned(bytes.to_vec()), "hostile.vad").map(|_| ());
    let error = assert_soon(load).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("hostile.vad") && message.len() < 600, "{message}");
    error
}

#[test]
fn damaged_files_and_others_are_refused() {
    for bytes in [&b""[..], b"lmgg", b"RIFF\x24\x08\0\0WAVE", &[0xFF; 4096], &[&2u64.to_le_bytes()[..], b"{}"].concat()]
    {
        refused(bytes);
    }
    let file = sotto_starter::vad();
    for length in (0..200).chain((200..file.len()).step_by(file.len() / 50)) {
        refused(&file[..length]);
    }
    let changed = |from: &str, to: &str| {
        let at = file.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
        [&file[..at], to.as_bytes(), &file[at + from.len()..]].concat()
    };
    for (from, to) in [("sotto-vad", "other-vad"), ("\"version\":\"1\"", "\"version\":\"2\"")] {
        assert!(matches!(refused(&changed(from, to)), VadError::Unsupported { .. }), "{to}");
    }
    refused(&changed("[80,40,3]", "[40,80,3]"));
    // The last two bytes are the last f16 of the last tensor: the largest finite value, then a NaN.
    for (bits, damaged) in [(0x7BFF_u16, true), (0x7E00, false)] {
        let error = refused(&[&file[..file.len() - 2], &bits.to_le_bytes()].concat());
        assert_eq!(matches!(error, VadError::Damaged { .. }), damaged, "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn probabilities_do_not_depend_on_the_pieces(cuts in proptest::collection::vec(0usize..5000, 0..8)) {
        let samples = noise(5000);
        let mut cuts = cuts;
        cuts.extend([0, samples.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[f32]> = cuts.windows(2).map(|cut| &samples[cut[0]..cut[1]]).collect();
        prop_assert_eq!(probabilities(&SottoVad::builtin(), &pieces), probabilities(&SottoVad::builtin(), &[&samples]));
    }

    #[test]
    fn any_changed_bytes_are_probabilities_or_an_error(
        changes in proptest::collection::vec((0usize..190_000, any::<u8>()), 1..6),
    ) {
        let mut file = sotto_starter::vad().to_vec();
        changes.iter().for_each(|&(at, value)| file[at] = value);
        if let Ok(vad) = SottoVad::from_bytes(Cow::Owned(file), "changed") {
            for probability in probabilities(&Arc::new(vad), &[&[1e6; 3 * STEP], &noise(3 * STEP)]) {
                prop_assert!((0.0..=1.0).contains(&probability));
            }
        }
    }
}
