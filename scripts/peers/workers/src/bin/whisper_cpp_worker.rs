//! whisper.cpp as a worker: `--model FILE --threads N --clips FOLDER --warm-up CLIP
//! [--flash-attention on] [--audio-context STATES]`.
//!
//! Flash attention is off: on the CPU this version of whisper.cpp is slower with it. An audio context is for clips:
//! windows are not to be measured with it, since it stays set.

use std::path::Path;
use std::time::Instant;

use sotto_peers::{
    Arguments, Clips, FEW_TOKENS, Failure, MANY_TOKENS, Part, Request, Times, best_text_token, serve, since,
};
use whisper_rs::{
    FullParams, SamplingStrategy, WHISPER_CPP_VERSION, WhisperContext, WhisperContextParameters, WhisperState,
};

fn main() -> Result<(), Failure> {
    whisper_rs::install_logging_hooks();
    let arguments = Arguments::of_process();
    let mut parameters = WhisperContextParameters::default();
    parameters.flash_attn(arguments.find("flash-attention") == Some("on"));
    let context = WhisperContext::new_with_params(arguments.get("model")?, parameters)?;
    let audio_context = arguments.find("audio-context").map_or(Ok(0), str::parse)?;
    let mut engine = Engine {
        state: context.create_state()?,
        context,
        clips: Clips::new(Path::new(arguments.get("clips")?)),
        threads: arguments.parse("threads")?,
        audio_context,
    };
    let warm_up = arguments.get("warm-up")?.to_owned();
    for part in [Part::Window, Part::Clip] {
        engine.measure(&Request { clip: warm_up.clone(), part })?;
    }
    let built_for = whisper_rs::print_system_info().trim();
    serve(format!("whisper.cpp {WHISPER_CPP_VERSION} ({built_for})"), |request| engine.measure(request))
}

struct Engine {
    context: WhisperContext,
    state: WhisperState,
    clips: Clips,
    threads: i32,
    audio_context: i32,
}

impl Engine {
    fn measure(&mut self, request: &Request) -> Result<Times, Failure> {
        let samples = self.clips.samples(&request.clip)?;
        match request.part {
            Part::Window => self.window(&samples),
            Part::Clip => self.clip(&samples),
            Part::Text => {
                let text = self.transcribe(&samples, 0)?;
                Ok(Times { text: Some(text), ..Times::default() })
            }
        }
    }

    fn window(&mut self, samples: &[f32]) -> Result<Times, Failure> {
        let threads = self.threads as usize;
        self.state.pcm_to_mel(samples, threads)?;
        let start = Instant::now();
        self.state.encode(0, threads)?;
        let encode_ms = since(start);

        let end_of_text = self.context.token_eot() as u32;
        let prompt = [self.context.token_sot(), self.context.token_not()];
        self.state.decode(&prompt, 0, threads)?;
        let mut start = Instant::now();
        let mut token = best_text_token(self.state.get_logits()?, end_of_text);
        for count in 1..MANY_TOKENS {
            if count == FEW_TOKENS {
                start = Instant::now();
            }
            self.state.decode(&[token as i32], prompt.len() + count - 1, threads)?;
            token = best_text_token(self.state.get_logits()?, end_of_text);
        }
        Ok(Times {
            encode_ms: Some(encode_ms),
            token_ms: Some(since(start) / (MANY_TOKENS - FEW_TOKENS) as f64),
            ..Times::default()
        })
    }

    fn clip(&mut self, samples: &[f32]) -> Result<Times, Failure> {
        let start = Instant::now();
        let text = self.transcribe(samples, self.audio_context)?;
        Ok(Times { clip_ms: Some(since(start)), text: Some(text), ..Times::default() })
    }

    /// Greedy, one attempt, no timestamps: the same work as the others do.
    fn transcribe(&mut self, samples: &[f32], audio_context: i32) -> Result<String, Failure> {
        let mut options = FullParams::new(SamplingStrategy::Greedy { best_of: 1 });
        options.set_n_threads(self.threads);
        options.set_audio_ctx(audio_context);
        options.set_language(Some("en"));
        options.set_no_timestamps(true);
        options.set_single_segment(true);
        options.set_no_context(true);
        options.set_suppress_nst(true);
        options.set_temperature_inc(0.0);
        options.set_print_progress(false);
        options.set_print_realtime(false);
        options.set_print_special(false);
        options.set_print_timestamps(false);
        self.state.full(options, samples)?;
        let pieces: Result<Vec<_>, _> =
            self.state.as_iter().map(|segment| segment.to_str().map(str::to_owned)).collect();
        Ok(pieces?.concat())
    }
}
