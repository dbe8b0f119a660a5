//! candle's quantized Whisper as a worker: `--model FILE --config FILE --generation FILE --clips FOLDER --warm-up
//! CLIP`.
//!
//! Threads are given by `RAYON_NUM_THREADS` and `CANDLE_NUM_THREADS`. candle keeps no keys and values of the tokens so
//! far: each step decodes all of them again, as its own example does.

use std::path::Path;
use std::time::Instant;

use candle_core::{Device, IndexOp, Tensor};
use candle_transformers::models::whisper::Config;
use candle_transformers::models::whisper::quantized_model::Whisper;
use candle_transformers::quantized_var_builder::VarBuilder;
use serde_json::Value;
use sotto_peers::{
    Arguments, Clips, FEW_TOKENS, Failure, MANY_TOKENS, Part, Request, Times, best_text_token, best_token, serve, since,
};

const PROMPT: [u32; 2] = [50_257, 50_362];
const END_OF_TEXT: u32 = 50_256;

fn main() -> Result<(), Failure> {
    let arguments = Arguments::of_process();
    let config: Config = serde_json::from_str(&std::fs::read_to_string(arguments.get("config")?)?)?;
    let generation: Value = serde_json::from_str(&std::fs::read_to_string(arguments.get("generation")?)?)?;
    let weights = VarBuilder::from_gguf(arguments.get("model")?, &Device::Cpu)?;
    let mut engine = Engine {
        mels: config.num_mel_bins,
        model: Whisper::load(&weights, config)?,
        clips: Clips::new(Path::new(arguments.get("clips")?)),
        suppressed: ids(&generation["suppress_tokens"]),
        suppressed_first: ids(&generation["begin_suppress_tokens"]),
    };
    let warm_up = arguments.get("warm-up")?.to_owned();
    engine.measure(&Request { clip: warm_up, part: Part::Window })?;
    serve("candle 0.11.1".to_owned(), |request| engine.measure(request))
}

fn ids(list: &Value) -> Vec<u32> {
    list.as_array().into_iter().flatten().filter_map(Value::as_u64).map(|id| id as u32).collect()
}

struct Engine {
    mels: usize,
    model: Whisper,
    clips: Clips,
    suppressed: Vec<u32>,
    suppressed_first: Vec<u32>,
}

impl Engine {
    fn measure(&mut self, request: &Request) -> Result<Times, Failure> {
        let features = self.clips.features(&request.clip)?;
        let frames = features.len() / self.mels;
        let features = Tensor::from_vec(features, (1, self.mels, frames), &Device::Cpu)?;
        let start = Instant::now();
        let states = self.model.encoder.forward(&features, true)?;
        let encode_ms = since(start);
        match request.part {
            Part::Window => Ok(Times { encode_ms: Some(encode_ms), ..self.decode(&states)? }),
            Part::Text => Ok(Times { tokens: Some(self.transcribe(&states)?), ..Times::default() }),
            Part::Clip => Err("candle has no fast log-mel to measure a clip with".into()),
        }
    }

    fn decode(&mut self, states: &Tensor) -> Result<Times, Failure> {
        let start = Instant::now();
        let mut tokens = PROMPT.to_vec();
        let logits = self.step(&tokens, states, true)?;
        let first_ms = since(start);
        tokens.push(best_text_token(&logits, END_OF_TEXT));
        let mut start = Instant::now();
        for count in 1..MANY_TOKENS {
            if count == FEW_TOKENS {
                start = Instant::now();
            }
            let logits = self.step(&tokens, states, false)?;
            tokens.push(best_text_token(&logits, END_OF_TEXT));
        }
        let token_ms = since(start) / (MANY_TOKENS - FEW_TOKENS) as f64;
        // The step right after the prompt is the cheapest one, so this is what keys and values cost at least.
        let start = Instant::now();
        self.step(&PROMPT, states, false)?;
        let cross_ms = (first_ms - since(start)).max(0.0);
        Ok(Times { cross_ms: Some(cross_ms), token_ms: Some(token_ms), ..Times::default() })
    }

    /// Logits after the last of `tokens`.
    fn step(&mut self, tokens: &[u32], states: &Tensor, first: bool) -> Result<Vec<f32>, Failure> {
        let input = Tensor::new(tokens, &Device::Cpu)?.unsqueeze(0)?;
        let hidden = self.model.decoder.forward(&input, states, first)?;
        let last = hidden.i((.., tokens.len() - 1..))?;
        Ok(self.model.decoder.final_linear(&last)?.flatten_all()?.to_vec1()?)
    }

    fn transcribe(&mut self, states: &Tensor) -> Result<Vec<u32>, Failure> {
        let mut tokens = PROMPT.to_vec();
        // No sentence of the clips has more; beyond it a looping model would only cost time.
        while tokens.len() < 64 {
            let first = tokens.len() == PROMPT.len();
            let logits = self.step(&tokens, states, first)?;
            let token = best_token(&logits, |token| {
                !self.suppressed.contains(&token) && !(first && self.suppressed_first.contains(&token))
            });
            if token == END_OF_TEXT {
                break;
            }
            tokens.push(token);
        }
        Ok(tokens.split_off(PROMPT.len()))
    }
}
