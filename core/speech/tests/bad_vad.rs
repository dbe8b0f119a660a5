//! Bad weights of the voice activity detector: a typed error that names the file, within 100 ms and 50 MB.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

use std::borrow::Cow;
use std::path::Path;

use proptest::prelude::*;
use sotto_speech::vad::SileroVad;
use sotto_testkit::data_dir;
use sotto_testkit::heap::assert_soon;

fn refused(bytes: &[u8]) -> String {
    let load = || SileroVad::from_bytes(Cow::Owned(bytes.to_vec()), "hostile.vad").map(|_| ());
    let message = assert_soon(load).unwrap_err().to_string();
    assert!(message.contains("hostile.vad") && message.len() < 600, "{message}");
    message
}

fn real(name: &str) -> Option<Vec<u8>> {
    Some(std::fs::read(data_dir()?.join("vad").join(name)).unwrap())
}

#[test]
fn other_files_are_refused() {
    for bytes in [&b""[..], b"lmgg", b"RIFF\x24\x08\0\0WAVE", b"some text that was renamed", &[0xFF; 4096]] {
        refused(bytes);
    }
    refused(&[&2u64.to_le_bytes()[..], b"{}"].concat());
}

#[test]
fn a_missing_file_and_a_folder_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().join("absent.safetensors"), folder.path().to_owned()] {
        let message = assert_soon(|| SileroVad::load(&path).map(|_| ())).unwrap_err().to_string();
        assert!(message.contains(&path.display().to_string()), "{message}");
    }
    assert!(SileroVad::load(Path::new("")).is_err());
}

#[test]
fn cut_files_are_refused_wherever_they_are_cut() {
    for name in ["silero_vad_16k.safetensors", "ggml-silero-v6.2.0.bin"] {
        let Some(file) = real(name) else { return };
        for length in (0..200).chain((200..file.len()).step_by(file.len() / 50)) {
            refused(&file[..length]);
        }
    }
}

#[test]
fn a_whisper_model_is_not_a_voice_detector() {
    let Some(data) = data_dir() else { return };
    for path in ["openai-whisper-tiny.en/model.safetensors", "whisper-ggml-headers/for-tests-ggml-tiny.en.bin"] {
        let path = data.join(path);
        let message = assert_soon(|| SileroVad::load(&path).map(|_| ())).unwrap_err().to_string();
        assert!(message.contains(&path.display().to_string()), "{message}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_changed_bytes_are_weights_or_an_error(
        changes in proptest::collection::vec((0usize..2000, any::<u8>()), 1..6),
        ggml in any::<bool>(),
    ) {
        let name = if ggml { "ggml-silero-v6.2.0.bin" } else { "silero_vad_16k.safetensors" };
        let Some(mut file) = real(name) else { return Ok(()) };
        changes.iter().for_each(|&(at, value)| file[at] = value);
        let _ = SileroVad::from_bytes(Cow::Owned(file), name);
    }
}
