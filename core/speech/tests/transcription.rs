//! What every transcription promises whatever the model says: cancellation, progress, edge cases of audio and options.
//! On a small network whose weights follow a formula.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sotto_audio::{AudioError, Pcm16k};
use sotto_runtime::{CancelToken, NoProgress, Progress, ProgressSink, Stage, Threads};
use sotto_speech::{
    Hotwords, Language, LoadOptions, Normalization, Precision, PromptCarry, SampleSource, Samples, Search, SpeechError,
    SpeechRecognizer, Task, TimestampTokens, Timestamps, TranscribeOptions, Transcript,
};
use sotto_text::whisper::WhisperTokenizer;
use support::formula::FormulaModel;
use support::small;

fn tone(samples: usize) -> Pcm16k {
    Pcm16k::new(support::tone(samples)).unwrap()
}

fn transcribe(audio: &Pcm16k, options: &TranscribeOptions) -> Result<Transcript, SpeechError> {
    small().transcribe(audio, options, &NoProgress, &CancelToken::new())
}

fn every_kind_of_times() -> impl Iterator<Item = TranscribeOptions> {
    [Timestamps::None, Timestamps::Segment, Timestamps::Word].into_iter().flat_map(|timestamps| {
        [TimestampTokens::LongForm, TimestampTokens::Always].into_iter().flat_map(move |timestamp_tokens| {
            [Normalization::Window, Normalization::Recording].map(|normalization| TranscribeOptions {
                timestamps,
                timestamp_tokens,
                normalization,
                ..TranscribeOptions::greedy()
            })
        })
    })
}

#[test]
fn empty_audio_gives_an_empty_transcript() {
    for options in every_kind_of_times() {
        let transcript = transcribe(&Pcm16k::default(), &options).unwrap();
        assert_eq!((transcript.text.as_str(), transcript.segments.len(), transcript.duration), ("", 0, 0.0));
    }
}

#[test]
fn the_language_of_empty_audio_is_no_question_of_options() {
    let found = small().detect_language(&mut Samples::from(&Pcm16k::default()), &CancelToken::new());
    assert!(matches!(found, Err(SpeechError::EmptyAudio)), "{found:?}");
}

#[test]
fn audio_of_any_small_length_is_transcribed_inside_its_bounds() {
    // One sample, just under and over a hop, 10 ms, and around the window of two seconds.
    for samples in [1, 159, 160, 161, 199, 200, 201, 320, 1600, 31_999, 32_000, 32_001, 32_160] {
        let audio = tone(samples);
        for options in every_kind_of_times() {
            let transcript = transcribe(&audio, &options).unwrap();
            let duration = samples as f64 / 16_000.0;
            assert!((transcript.duration - duration).abs() < 1e-9);
            for segment in &transcript.segments {
                assert!(0.0 <= segment.start && segment.start <= segment.end && segment.end <= duration, "{segment:?}");
                assert!(segment.words.iter().all(|word| 0.0 <= word.start && word.end <= duration), "{segment:?}");
            }
        }
    }
}

#[test]
fn samples_that_are_not_finite_never_reach_the_model() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert!(matches!(Pcm16k::new(vec![0.0, bad]), Err(AudioError::NotFinite { index: 1, .. })));
    }
}

#[test]
fn the_same_audio_gives_the_same_transcript_again() {
    let (recognizer, audio) = (small(), tone(100_000));
    // Impossible thresholds: every window goes through all temperatures, sampling included.
    let mut options = TranscribeOptions::default();
    options.thresholds.logprob = Some(0.0);
    options.thresholds.no_speech = None;
    let run = || recognizer.transcribe(&audio, &options, &NoProgress, &CancelToken::new()).unwrap().segments;
    let first = run();
    assert!(first.iter().any(|segment| segment.temperature == 1.0));
    assert_eq!(first, run());
}

#[test]
fn segments_arrive_as_they_are_returned() {
    let audio = tone(200_000);
    let mut heard = Vec::new();
    let transcript = small()
        .transcribe_source(
            &mut Samples::from(&audio),
            &TranscribeOptions::default(),
            &mut |segment| heard.push(segment.clone()),
            &NoProgress,
            &CancelToken::new(),
        )
        .unwrap();
    assert!(!heard.is_empty());
    assert_eq!(heard, transcript.segments);
}

#[test]
fn options_that_contradict_each_other_or_the_model_are_refused_by_name() {
    let search = |change: fn(&mut Search)| {
        let mut options = TranscribeOptions::default();
        change(&mut options.search);
        options
    };
    let language = |code: &str| TranscribeOptions { language: Language::Fixed(code.into()), ..Default::default() };
    for (option, options) in [
        ("beam", search(|search| search.beam = 0)),
        ("beam", search(|search| search.beam = 1000)),
        ("best_of", search(|search| search.best_of = 0)),
        ("patience", search(|search| search.patience = f32::NAN)),
        ("patience", search(|search| search.patience = 0.0)),
        ("length_penalty", search(|search| search.length_penalty = Some(-1.0))),
        ("length_penalty", search(|search| search.length_penalty = Some(f32::NAN))),
        ("temperatures", search(|search| search.temperatures.clear())),
        ("temperatures", search(|search| search.temperatures = vec![0.0, f32::NAN])),
        ("max_tokens", TranscribeOptions { max_tokens: Some(0), ..Default::default() }),
        ("language", language("fr")),
        ("language", language("no such language")),
    ] {
        let error = transcribe(&tone(16_000), &options).unwrap_err();
        assert!(matches!(error, SpeechError::Option { option: found, .. } if found == option), "{option}: {error}");
    }
    transcribe(&tone(16_000), &TranscribeOptions { task: Task::Translate, ..language("German") }).unwrap();
}

/// The vocabulary of [`small`] with other numbers for its tokens.
fn renumbered(number: impl Fn(u64) -> u64) -> WhisperTokenizer {
    let mut json = FormulaModel::small().vocabulary.json();
    let renumber = |id: &mut serde_json::Value| *id = number(id.as_u64().unwrap()).into();
    json["model"]["vocab"].as_object_mut().unwrap().values_mut().for_each(renumber);
    json["added_tokens"].as_array_mut().unwrap().iter_mut().for_each(|token| renumber(&mut token["id"]));
    WhisperTokenizer::from_hugging_face_bytes(json.to_string().as_bytes(), "renumbered").unwrap()
}

#[test]
fn hotwords_of_another_vocabulary_or_without_a_finite_strength_are_refused() {
    let transcribe = |beam, hotwords| {
        let search = Search { beam, ..Search::default() };
        let options = TranscribeOptions { hotwords: Some(Arc::new(hotwords)), search, ..TranscribeOptions::greedy() };
        transcribe(&tone(16_000), &options)
    };
    let words = ["wonder", "zebra"];
    let model = small().model().unwrap();
    let own = model.tokenizer();
    // Tokens that the network does not have, and tokens that are other letters there.
    let (beyond, mixed_up) = (renumbered(|id| id + 50_000), renumbered(|id| if id < 256 { 255 - id } else { id }));
    for beam in [1, 3] {
        let refused = [&beyond, &mixed_up].map(|other| Hotwords::new(words, 2.0, other));
        let infinite = [f32::NAN, f32::INFINITY].map(|strength| Hotwords::new(words, strength, own));
        for hotwords in refused.into_iter().chain(infinite) {
            let error = transcribe(beam, hotwords).unwrap_err();
            assert!(matches!(error, SpeechError::Option { option: "hotwords", .. }), "{error}");
        }
        // Those of another model with the same letters, and no words at all, are welcome.
        transcribe(beam, Hotwords::new(words, 2.0, &renumbered(|id| id))).unwrap();
        transcribe(beam, Hotwords::new([""], 2.0, &beyond)).unwrap();
    }
}

#[test]
fn prompts_prefixes_and_limits_of_any_size_fit_the_context() {
    let long = " word after word".repeat(200);
    for max_tokens in [None, Some(1), Some(50), Some(usize::MAX)] {
        for (prompt, prefix) in [(None, Some(&long)), (Some(&long), None), (Some(&long), Some(&long))] {
            let options = TranscribeOptions {
                prompt: prompt.cloned(),
                prefix: prefix.cloned(),
                max_tokens,
                timestamps: Timestamps::Word,
                condition_on_previous: true,
                ..TranscribeOptions::greedy()
            };
            transcribe(&tone(100_000), &options).unwrap();
        }
    }
}

/// Windows of two seconds: the second one is told the prompt, too, unless it is for the first alone.
#[test]
fn a_prompt_holds_for_every_window_unless_it_is_for_the_first() {
    let special =
        small().model().unwrap().tokenizer().special().eot..small().model().unwrap().dimensions().vocabulary as u32;
    let talkative =
        TranscribeOptions { max_tokens: Some(8), suppress_tokens: special.collect(), ..TranscribeOptions::greedy() };
    let windows = |prompt: Option<&str>, prompt_carry| -> Vec<String> {
        let options = TranscribeOptions { prompt: prompt.map(str::to_owned), prompt_carry, ..talkative.clone() };
        let segments = transcribe(&tone(60_000), &options).unwrap().segments;
        segments.into_iter().map(|segment| segment.text).collect()
    };
    let (none, all) = (windows(None, PromptCarry::All), windows(Some("abc, xyz"), PromptCarry::All));
    let first = windows(Some("abc, xyz"), PromptCarry::First);
    assert!(none.len() >= 2 && all.len() >= 2 && first.len() >= 2, "{none:?} {all:?} {first:?}");
    assert!(all[0] != none[0] && all.last() != none.last(), "{all:?} {none:?}");
    assert_eq!((&first[0], first.last()), (&all[0], none.last()));
}

#[derive(Default)]
struct Reports(Mutex<Vec<(u64, Option<u64>)>>);

impl ProgressSink for Reports {
    fn report(&self, progress: &Progress<'_>) {
        assert_eq!(progress.stage, Stage::Transcribe);
        self.0.lock().unwrap().push((progress.done, progress.total));
    }
}

#[test]
fn progress_grows_and_ends_at_the_total() {
    let reports = Reports::default();
    let audio = tone(200_000);
    small().transcribe(&audio, &TranscribeOptions::default(), &reports, &CancelToken::new()).unwrap();
    let reports = reports.0.into_inner().unwrap();
    assert!(reports.len() >= 6, "{reports:?}");
    assert!(reports.windows(2).all(|pair| pair[0].0 <= pair[1].0), "{reports:?}");
    assert!(reports.iter().all(|report| report.1 == Some(12_500)), "{reports:?}");
    assert_eq!(reports.last().unwrap().0, 12_500);
}

#[test]
fn a_cancelled_token_stops_before_anything_is_done() {
    let cancel = CancelToken::new();
    cancel.cancel();
    for normalization in [Normalization::Window, Normalization::Recording] {
        let options = TranscribeOptions { normalization, ..TranscribeOptions::default() };
        let mut source = Endless(AtomicUsize::new(0));
        let result = small().transcribe_source(&mut source, &options, &mut |_| {}, &NoProgress, &cancel);
        assert!(matches!(result, Err(SpeechError::Cancelled(_))));
        assert!(source.0.into_inner() <= 4, "read on after it was cancelled");
    }
}

/// Without a clock: the token is looked at once per layer and token at least, and the first look that finds it fired is
/// the last thing that happens.
#[test]
fn work_ends_at_the_very_look_at_which_the_token_fires() {
    let audio = tone(80_000);
    // Emulated chips take the same path more slowly.
    let tries = if cfg!(target_arch = "x86_64") { 60 } else { 6 };
    // With the most tokens that one step of the decoder samples.
    let options = [
        (1, TranscribeOptions { timestamps: Timestamps::Word, ..TranscribeOptions::greedy() }),
        (5, TranscribeOptions { search: Search { beam: 3, ..Search::default() }, ..TranscribeOptions::default() }),
        (5, TranscribeOptions { normalization: Normalization::Recording, ..TranscribeOptions::default() }),
    ];
    for precision in [Precision::F32, Precision::Int8] {
        let folder = FormulaModel::small().write();
        let load = LoadOptions { threads: Threads::ONE, precision: Some(precision), ..LoadOptions::default() };
        let recognizer =
            SpeechRecognizer::load(&folder.path().into(), &load, &NoProgress, &CancelToken::new()).unwrap();
        let model = recognizer.model().unwrap();
        let dimensions = model.dimensions();
        for (rows, options) in &options {
            let run = |look| {
                let cancel = CancelToken::firing_at_look(look);
                let result = recognizer.transcribe(&audio, options, &NoProgress, &cancel);
                (result, cancel.looks())
            };
            let (whole, looks) = run(usize::MAX);
            let timing = whole.unwrap().timing;
            let layers = timing.windows * dimensions.encoder_layers + timing.tokens / rows * dimensions.decoder_layers;
            assert!(looks >= layers, "{looks} looks in {layers} layers");
            for look in (1..=looks).step_by(looks / tries + 1).chain([looks]) {
                let (result, looks) = run(look);
                assert!(matches!(result, Err(SpeechError::Cancelled(_))), "{precision:?} at look {look}");
                assert_eq!(looks, look, "{precision:?}: went on after it was cancelled");
            }
        }
    }
}

/// Each call of the decoder looks at the token once per layer, whatever the number of its rows: a beam that fed its
/// hypotheses one by one would look, and read all weights, once for each.
#[test]
fn a_beam_is_one_call_of_the_decoder_per_step() {
    const BEAM: usize = 5;
    let audio = tone(40_000);
    for precision in [Precision::F32, Precision::Int8] {
        let folder = FormulaModel::small().write();
        let load = LoadOptions { threads: Threads::ONE, precision: Some(precision), ..LoadOptions::default() };
        let recognizer =
            SpeechRecognizer::load(&folder.path().into(), &load, &NoProgress, &CancelToken::new()).unwrap();
        let layers = recognizer.model().unwrap().dimensions().decoder_layers;
        let run = |max_tokens| {
            let greedy = TranscribeOptions::greedy();
            let search = Search { beam: BEAM, ..greedy.search.clone() };
            let options = TranscribeOptions { search, max_tokens: Some(max_tokens), ..greedy };
            let cancel = CancelToken::firing_at_look(usize::MAX);
            let timing = recognizer.transcribe(&audio, &options, &NoProgress, &cancel).unwrap().timing;
            (cancel.looks(), timing.tokens, timing.windows)
        };
        let (few_looks, few_tokens, _) = run(4);
        let (looks, tokens, windows) = run(10);
        let steps = 6 * windows;
        assert_eq!(tokens - few_tokens, steps * BEAM, "{precision:?}: steps of all hypotheses");
        assert_eq!(looks - few_looks, steps * layers, "{precision:?}");
    }
}

/// A pipe that never ends; counts the blocks of one second that were read.
struct Endless(AtomicUsize);

impl SampleSource for Endless {
    fn next_block(&mut self, out: &mut Vec<f32>) -> Result<bool, AudioError> {
        let block = self.0.fetch_add(1, Ordering::Relaxed);
        out.extend((0..16_000).map(|i| ((i + block * 31) as f32 * 0.05).sin() * 0.3));
        Ok(true)
    }

    fn seconds(&self) -> Option<f64> {
        None
    }
}

#[test]
fn another_thread_can_cancel_at_any_time() {
    for (milliseconds, normalization) in [
        (0, Normalization::Window),
        (20, Normalization::Window),
        (90, Normalization::Window),
        (30, Normalization::Recording),
    ] {
        let cancel = CancelToken::new();
        let (token, options) = (cancel.clone(), TranscribeOptions { normalization, ..TranscribeOptions::default() });
        // Endless audio: only the token can end this.
        let running = std::thread::spawn(move || {
            let mut source = Endless(AtomicUsize::new(0));
            small().transcribe_source(&mut source, &options, &mut |_| {}, &NoProgress, &token)
        });
        std::thread::sleep(Duration::from_millis(milliseconds));
        cancel.cancel();
        assert!(matches!(running.join().unwrap(), Err(SpeechError::Cancelled(_))));
    }
}

#[test]
fn a_source_that_fails_ends_the_transcription_with_its_error() {
    struct Failing(usize);
    impl SampleSource for Failing {
        fn next_block(&mut self, out: &mut Vec<f32>) -> Result<bool, AudioError> {
            self.0 += 1;
            out.resize(16_000, 0.1);
            match self.0 {
                5 => Err(AudioError::NotFinite { source_name: "pipe".into(), index: 7, seconds: 4.0 }),
                _ => Ok(true),
            }
        }

        fn seconds(&self) -> Option<f64> {
            None
        }
    }
    let options = TranscribeOptions::default();
    let result = small().transcribe_source(&mut Failing(0), &options, &mut |_| {}, &NoProgress, &CancelToken::new());
    assert!(matches!(result, Err(SpeechError::Audio(AudioError::NotFinite { index: 7, .. }))));
}
