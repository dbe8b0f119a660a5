//! Any bytes as the file of a packed Whisper model, mapped as an app does it, with the checksum of the header made to
//! fit: an error, or a model whose vocabulary, sizes and settings belong together. Every token can be written as text,
//! text can be read, and a small network computes as many logits as it has tokens.

#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sotto_nn::packed::reseal;
use sotto_runtime::{Bytes, CancelToken, MemoryBudget, NoProgress, Threads};
use sotto_speech::{LoadOptions, Model, ModelSource, SpeechRecognizer};
use sotto_text::Tokenizer;

// In memory where the system has such a place; one file per process, written anew for each input.
static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let folder = if memory.is_dir() { memory } else { std::env::temp_dir() };
    folder.join(format!("sotto-fuzz-{}.sotto", std::process::id()))
});

// More than a model needs that is a few times as large as its file.
const BUDGET: Bytes = Bytes(64 << 20);

fuzz_target!(|data: &[u8]| {
    let mut file = data.to_vec();
    reseal(&mut file);
    // A new file each time: what is mapped must not change.
    let _ = std::fs::remove_file(&*FILE);
    std::fs::write(&*FILE, &file).expect("room for a small file");
    let options =
        LoadOptions { threads: Threads::ONE, budget: MemoryBudget::limited(BUDGET), ..LoadOptions::default() };
    let loaded = SpeechRecognizer::load(&ModelSource::Path(FILE.clone()), &options, &NoProgress, &CancelToken::new());
    let _ = std::fs::remove_file(&*FILE);
    if let Ok(recognizer) = loaded {
        read_vocabulary(&recognizer.model().unwrap());
        compute(&recognizer.model().unwrap());
    }
});

fn read_vocabulary(model: &Model) {
    let (tokenizer, vocabulary) = (model.tokenizer(), model.dimensions().vocabulary);
    assert!(tokenizer.vocab_size() <= vocabulary);
    let all: Vec<u32> = (0..vocabulary as u32).collect();
    let _ = tokenizer.decode(&all);
    for token in tokenizer.encode(" Hello, wörld <|endoftext|>\n") {
        assert!((token as usize) < vocabulary);
    }
}

/// Where the sizes of the file are as small as those of the seed: greater ones would only cost time.
fn compute(model: &Model) {
    let (sizes, cancel) = (model.dimensions(), CancelToken::new());
    if sizes.width > 64 || sizes.window_frames() > 64 || sizes.encoder_layers + sizes.decoder_layers > 4 {
        return;
    }
    let features = vec![0.5; sizes.window_frames() * sizes.mels];
    let Ok(states) = model.encode(&features, Threads::ONE, &cancel) else { return };
    let special = model.tokenizer().special();
    let logits = model.logits(&states, &[special.sot], Threads::ONE, &cancel).expect("nobody cancels");
    assert_eq!(logits.len(), sizes.vocabulary);
}
