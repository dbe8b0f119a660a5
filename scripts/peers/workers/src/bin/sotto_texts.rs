//! What Sotto hears: `--model FOLDER --clips FOLDER --texts FOLDER [--beam N]`. A `.txt` for each `.f32`.
//!
//! One thread, int8, English, what a program gets that sets nothing else.

use sotto_audio::Pcm16k;
use sotto_peers::{Arguments, Failure, each_clip};
use sotto_runtime::{CancelToken, NoProgress, Threads};
use sotto_speech::{Language, LoadOptions, ModelSource, Precision, SpeechRecognizer, TranscribeOptions};

fn main() -> Result<(), Failure> {
    let arguments = Arguments::of_process();
    let load = LoadOptions { threads: Threads::ONE, precision: Some(Precision::Int8), ..LoadOptions::default() };
    let source = ModelSource::Path(arguments.get("model")?.into());
    let recognizer = SpeechRecognizer::load(&source, &load, &NoProgress, &CancelToken::new())?;
    let mut options = TranscribeOptions { language: Language::Fixed("en".into()), ..TranscribeOptions::default() };
    if arguments.find("beam").is_some() {
        options.search.beam = arguments.parse("beam")?;
    }
    each_clip(&arguments, |samples| {
        let audio = Pcm16k::new(samples)?;
        Ok(recognizer.transcribe(&audio, &options, &NoProgress, &CancelToken::new())?.text)
    })
}
