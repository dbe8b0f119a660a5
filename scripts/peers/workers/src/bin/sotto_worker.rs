//! Sotto as a worker: `--model FOLDER --precision int8|mixed|f32 --threads N --clips FOLDER --warm-up CLIP
//! [--audio-context window]`.
//!
//! Clips are encoded at their true length, which is the default of a program that uses Sotto, or as a window of 30 s.

use std::path::Path;
use std::time::Instant;

use sotto_audio::Pcm16k;
use sotto_kernels::{KernelSet, measure::read_bandwidth};
use sotto_peers::{Arguments, Clips, FEW_TOKENS, Failure, MANY_TOKENS, Part, Request, Times, serve, since};
use sotto_runtime::{CancelToken, NoProgress, Threads};
use sotto_speech::{
    AudioContext, LoadOptions, ModelSource, Precision, SpeechRecognizer, Thresholds, TranscribeOptions, Transcript,
};

fn main() -> Result<(), Failure> {
    // Figures of another set than the one that was asked for would stand under its name.
    if let Some(notice) = KernelSet::notice() {
        return Err(notice.to_string().into());
    }
    let arguments = Arguments::of_process();
    let precision = match arguments.get("precision")? {
        "int8" => Precision::Int8,
        "mixed" => Precision::Mixed,
        "f32" => Precision::F32,
        other => return Err(format!("--precision {other}: not understood").into()),
    };
    let options = LoadOptions {
        threads: Threads::new(arguments.parse("threads")?),
        precision: Some(precision),
        ..LoadOptions::default()
    };
    let source = ModelSource::Path(arguments.get("model")?.into());
    let engine = Engine {
        recognizer: SpeechRecognizer::load(&source, &options, &NoProgress, &CancelToken::new())?,
        clips: Clips::new(Path::new(arguments.get("clips")?)),
        audio_context: match arguments.find("audio-context") {
            None => AudioContext::TrueLength,
            Some("window") => AudioContext::Window,
            Some(other) => return Err(format!("--audio-context {other}: not understood").into()),
        },
    };
    let warm_up = arguments.get("warm-up")?.to_owned();
    for part in [Part::Window, Part::Clip] {
        engine.measure(&Request { clip: warm_up.clone(), part })?;
    }
    serve(format!("sotto {}", env!("CARGO_PKG_VERSION")), |request| engine.measure(request))
}

struct Engine {
    recognizer: SpeechRecognizer,
    clips: Clips,
    audio_context: AudioContext,
}

impl Engine {
    fn measure(&self, request: &Request) -> Result<Times, Failure> {
        let audio = Pcm16k::new(self.clips.samples(&request.clip)?)?;
        match request.part {
            Part::Window => self.window(&audio),
            Part::Clip => self.clip(&audio),
            Part::Text => {
                let text = self.transcribe(&audio, &TranscribeOptions::greedy())?.text;
                Ok(Times { text: Some(text), ..Times::default() })
            }
        }
    }

    /// End-of-text is forbidden, so that both runs decode as many tokens as they may.
    fn window(&self, audio: &Pcm16k) -> Result<Times, Failure> {
        let end_of_text = self.recognizer.model()?.tokenizer().special().eot;
        let run = |tokens| {
            let endless = TranscribeOptions {
                max_tokens: Some(tokens),
                suppress_tokens: vec![end_of_text],
                ..TranscribeOptions::greedy()
            };
            self.transcribe(audio, &endless)
        };
        let (few, many) = (run(FEW_TOKENS)?.timing, run(MANY_TOKENS)?.timing);
        let bytes = self.recognizer.model()?.bytes_per_token();
        let milliseconds = (many.decode.as_secs_f64() - few.decode.as_secs_f64()) * 1e3;
        Ok(Times {
            encode_ms: Some(few.encode.as_secs_f64() * 1e3),
            token_ms: Some(milliseconds / (MANY_TOKENS - FEW_TOKENS) as f64),
            bytes_per_token: Some(bytes),
            read_gb_per_s: Some(read_bandwidth(bytes as usize) / 1e9),
            ..Times::default()
        })
    }

    fn clip(&self, audio: &Pcm16k) -> Result<Times, Failure> {
        // With thresholds a text from the true length may be doubtful, and is decoded again.
        let options = TranscribeOptions {
            audio_context: self.audio_context,
            thresholds: Thresholds::default(),
            ..TranscribeOptions::greedy()
        };
        let start = Instant::now();
        let text = self.transcribe(audio, &options)?.text;
        Ok(Times { clip_ms: Some(since(start)), text: Some(text), ..Times::default() })
    }

    fn transcribe(&self, audio: &Pcm16k, options: &TranscribeOptions) -> Result<Transcript, Failure> {
        Ok(self.recognizer.transcribe(audio, options, &NoProgress, &CancelToken::new())?)
    }
}
