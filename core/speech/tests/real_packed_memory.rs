//! A packed tiny.en loads without copying its weights.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

use std::time::Instant;

use sotto_runtime::{CancelToken, NoProgress, Threads};
use sotto_speech::{LoadOptions, ModelSource, QuantizeOptions, SpeechRecognizer, quantize};
use sotto_testkit::data_dir;
use sotto_testkit::heap::measured;

#[test]
fn loading_copies_no_weights() {
    let Some(data) = data_dir() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.en.sotto");
    let (source, cancel) = (ModelSource::Path(data.join("openai-whisper-tiny.en")), CancelToken::new());
    let bytes = quantize(&source, &path, &QuantizeOptions::default(), &NoProgress, &cancel).unwrap().bytes.0;
    let source = ModelSource::Path(path);
    let options = LoadOptions { threads: Threads::ONE, ..LoadOptions::default() };
    let mut fastest = f64::INFINITY;
    for _ in 0..20 {
        let start = Instant::now();
        let (recognizer, info) = measured(|| SpeechRecognizer::load(&source, &options, &NoProgress, &cancel).unwrap());
        fastest = fastest.min(start.elapsed().as_secs_f64());
        // There is one thread, so that every allocation is counted.
        let allocated = info.bytes_total;
        assert!(recognizer.model().unwrap().packed().is_some());
        assert!(allocated < 512 << 10, "{allocated} bytes allocated for a file of {bytes}");
        println!("{allocated} bytes allocated for a file of {bytes}");
    }
    println!("loaded in {:.2} ms", 1e3 * fastest);
}
