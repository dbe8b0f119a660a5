//! What a stream makes of the options: which it follows, which it refuses. On a small network whose weights follow a
//! formula: its window is two seconds, and live text becomes final at the latest when they are over.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

mod support;

use sotto_audio::{Pcm16k, SAMPLE_RATE};
use sotto_runtime::{CancelToken, NoProgress};
use sotto_speech::stream::{StreamEvent, StreamOptions, StreamTranscriber};
use sotto_speech::{Normalization, SpeechError, TimestampTokens, Timestamps, TranscribeOptions};
use support::{small, tone};

/// The final texts of a stream in order.
fn finals(samples: &[f32], transcribe: TranscribeOptions) -> Vec<String> {
    let options = StreamOptions { transcribe, ..StreamOptions::default() };
    let cancel = CancelToken::new();
    let mut transcriber = StreamTranscriber::new(small(), &options, SAMPLE_RATE, 1, &cancel).unwrap();
    let mut events = Vec::new();
    transcriber.push(samples, &mut events).unwrap();
    transcriber.finish(&mut events).unwrap();
    let text = |event| match event {
        StreamEvent::Final { text, .. } => Some(text.text),
        _ => None,
    };
    events.into_iter().filter_map(text).collect()
}

/// Eight tokens of text and nothing else: left alone, the network ends its text at once.
fn talkative() -> TranscribeOptions {
    let model = small().model().unwrap();
    let special = model.tokenizer().special().eot..model.dimensions().vocabulary as u32;
    TranscribeOptions { max_tokens: Some(8), suppress_tokens: special.collect(), ..TranscribeOptions::greedy() }
}

fn prompt() -> Option<String> {
    Some("abc, xyz".into())
}

#[test]
fn an_utterance_hears_the_prompt_as_a_recording_does() {
    // Less than a step: it is decoded once, at the end.
    let samples = tone(14_000);
    let audio = Pcm16k::new(samples.clone()).unwrap();
    let mut texts = Vec::new();
    for prompt in [None, prompt()] {
        let options = TranscribeOptions { prompt, timestamps: Timestamps::None, ..talkative() };
        let offline = small().transcribe(&audio, &options, &NoProgress, &CancelToken::new()).unwrap().text;
        let live = finals(&samples, options).concat();
        // The network says one word over and over and listens to one place: live text has it until it is said again.
        assert!(!live.trim().is_empty() && offline.starts_with(live.trim()), "{live} {offline}");
        texts.push(offline);
    }
    assert_ne!(texts[0], texts[1], "the network heeds its prompt");
}

#[test]
fn later_utterances_hear_the_prompt_too() {
    let samples = tone(30_000);
    let without = finals(&samples, talkative());
    let with = finals(&samples, TranscribeOptions { prompt: prompt(), ..talkative() });
    assert!(without.len() > 1 && with.len() > 1, "{without:?} {with:?}");
    assert_ne!(without.last(), with.last());
}

#[test]
fn later_utterances_hear_the_text_before_them_where_that_is_wanted() {
    let samples = tone(30_000);
    let alone = finals(&samples, talkative());
    let conditioned = finals(&samples, TranscribeOptions { condition_on_previous: true, ..talkative() });
    assert!(alone.len() > 1 && conditioned.len() > 1, "{alone:?} {conditioned:?}");
    assert_eq!(alone[0], conditioned[0]);
    assert_ne!(alone[1..], conditioned[1..]);
}

#[test]
fn what_cannot_work_on_a_stream_is_refused_by_name() {
    let default = TranscribeOptions::default;
    for (option, transcribe) in [
        ("prefix", TranscribeOptions { prefix: prompt(), ..default() }),
        ("normalization", TranscribeOptions { normalization: Normalization::Recording, ..default() }),
        ("timestamp_tokens", TranscribeOptions { timestamp_tokens: TimestampTokens::Always, ..default() }),
    ] {
        let options = StreamOptions { transcribe, ..StreamOptions::default() };
        let error =
            StreamTranscriber::new(small(), &options, SAMPLE_RATE, 1, &CancelToken::new()).map(drop).unwrap_err();
        assert!(matches!(error, SpeechError::Option { option: found, .. } if found == option), "{option}: {error}");
    }
}
