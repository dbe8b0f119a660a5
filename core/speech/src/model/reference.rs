//! The f32 reference: candle-transformers' Whisper, to compare our network with (cargo feature `reference`).
//!
//! An independent implementation with other kernels and another file reader: an error is unlikely to be in both. It is
//! not for users: without a KV cache for self-attention the `n`-th token costs a pass over `n` tokens, and a pass
//! cannot be cancelled.
//!
//! It differs from the original in two places, which bound how closely the two can agree: candle-transformers 0.11.1
//! takes GELU's tanh approximation where Whisper was trained with the error function (up to 5e-4 per value), and
//! computes the encoder's positions where our network reads them from the file (up to 3e-4 in tiny.en's f16). So exact
//! tokens and the network's structure are compared with candle, and values within fine tolerances with goldens of
//! transformers.
//!
//! Threads: candle computes on all cores, or on as many as `RAYON_NUM_THREADS` says.

use std::path::{Path, PathBuf};

use candle_core::{DType, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::whisper::{Config, model::Whisper};
use sotto_nn::load::LoadError;
use sotto_nn::search::argmax;
use sotto_runtime::{CancelToken, Cancelled};
use sotto_text::Tokenizer;

pub use candle_core::Device;

use super::load::settings;
use super::{Dimensions, Model};
use crate::decode::{Rules, TimestampRules};

/// Why the reference could not be loaded or did not compute.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// The caller cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// The folder holds no Whisper model.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Candle refused the weights.
    #[error("{path}: {source}; is this file complete and for this model size?")]
    Weights {
        /// The file.
        path: PathBuf,
        /// Candle's error.
        source: candle_core::Error,
    },
    /// Candle failed at a step.
    #[error("candle cannot {step}: {source}")]
    Step {
        /// What was to be done.
        step: &'static str,
        /// Candle's error.
        source: candle_core::Error,
    },
    /// An input that does not fit the network.
    #[error("{input}: {found} values, {expected}")]
    Input {
        /// Which input.
        input: &'static str,
        /// How many values there are, or the value that does not fit.
        found: usize,
        /// What fits.
        expected: String,
    },
}

/// Turns candle's error into ours, with the step that it happened in.
fn at(step: &'static str) -> impl Fn(candle_core::Error) -> ReferenceError {
    move |source| ReferenceError::Step { step, source }
}

/// A Whisper network in f32 on candle. Not shared between threads: passes keep cross-attention keys and values inside.
#[derive(Debug)]
pub struct ReferenceModel {
    network: Whisper,
    dimensions: Dimensions,
    device: Device,
}

impl ReferenceModel {
    /// Reads `config.json` and `model.safetensors` of a Hugging Face folder; weights become f32 on `device`.
    ///
    /// The file is held in memory beside the converted weights while loading.
    ///
    /// # Errors
    /// [`ReferenceError::Load`] when a file is absent or the configuration impossible, [`ReferenceError::Weights`] when
    /// tensors are missing or of another shape.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, ReferenceError> {
        let json = settings(&folder.join("config.json"))?;
        let dimensions =
            Dimensions::from_config_json(&json).map_err(LoadError::config(&folder.display().to_string()))?;
        // Half of the width are sines and half cosines, over the distances between them.
        if dimensions.width < 4 || !dimensions.width.is_multiple_of(2) {
            let expected = "candle needs an even width of at least 4".into();
            return Err(ReferenceError::Input { input: "d_model", found: dimensions.width, expected });
        }
        let path = folder.join("model.safetensors");
        let file = std::fs::read(&path).map_err(|source| LoadError::Io { path: path.clone(), source })?;
        let network =
            Self::read_network(file, &dimensions, device).map_err(|source| ReferenceError::Weights { path, source })?;
        Ok(Self { network, dimensions, device: device.clone() })
    }

    fn read_network(file: Vec<u8>, dimensions: &Dimensions, device: &Device) -> candle_core::Result<Whisper> {
        let weights = VarBuilder::from_buffered_safetensors(file, DType::F32, device)?;
        // Candle computes these positions itself, as many as the configuration claims: the file must have them too.
        weights.get((dimensions.audio_context, dimensions.width), "model.encoder.embed_positions.weight")?;
        Whisper::load(&weights, candle_config(dimensions))
    }

    /// Sizes of the network.
    #[must_use]
    pub fn dimensions(&self) -> &Dimensions {
        &self.dimensions
    }

    /// Encoder states `[frames / 2, width]` of normalised log-mel features `[frames, mels]`, as [`Model::encode`].
    ///
    /// # Errors
    /// [`ReferenceError::Input`] for features that are no whole, even number of frames or longer than a window.
    pub fn encode(&mut self, features: &[f32]) -> Result<Vec<f32>, ReferenceError> {
        let (mels, window) = (self.dimensions.mels, self.dimensions.window_frames());
        let frames = features.len() / mels;
        if frames == 0 || frames > window || !features.len().is_multiple_of(mels * 2) {
            let expected = format!("must be an even number of frames of {mels} values, at most {window}");
            return Err(ReferenceError::Input { input: "features", found: features.len(), expected });
        }
        let encode = |network: &mut Whisper| {
            let bins_first = Tensor::from_slice(features, (1, frames, mels), &self.device)?.transpose(1, 2)?;
            network.encoder.forward(&bins_first.contiguous()?, true)?.flatten_all()?.to_vec1()
        };
        encode(&mut self.network).map_err(at("encode"))
    }

    /// Logits `[tokens, vocabulary]` after each of `tokens`, given encoder states, as [`Model::logits`].
    ///
    /// # Errors
    /// [`ReferenceError::Input`] for states that are not rows of the network's width, for no tokens, more than there
    /// are text positions, or one beyond the vocabulary.
    pub fn logits(&mut self, states: &[f32], tokens: &[u32]) -> Result<Vec<f32>, ReferenceError> {
        let states = self.states(states)?;
        self.check_tokens(tokens)?;
        self.decode(&states, tokens, true, tokens.len())
    }

    /// Greedy decoding after `prompt` by the rules of `model`; returns the tokens without the end of the text. `prompt`
    /// starts a transcript (`sot`, language, task, `no_timestamps` if wanted).
    ///
    /// Stops after `max_tokens` or when the text context is full. Polls `cancel` before every token.
    ///
    /// # Errors
    /// As [`logits`](Self::logits); [`ReferenceError::Input`] too when `model` has another vocabulary than this
    /// network.
    pub fn greedy(
        &mut self,
        model: &Model,
        states: &[f32],
        prompt: &[u32],
        max_tokens: usize,
        cancel: &CancelToken,
    ) -> Result<Vec<u32>, ReferenceError> {
        let (vocabulary, room) = (self.dimensions.vocabulary, self.dimensions.text_context);
        if model.dimensions.vocabulary != vocabulary {
            let expected = format!("the reference has {vocabulary}; load both from one model");
            return Err(ReferenceError::Input { input: "vocabulary", found: model.dimensions.vocabulary, expected });
        }
        let states = self.states(states)?;
        self.check_tokens(prompt)?;
        let rules = rules(model, prompt);
        let mut tokens = prompt.to_vec();
        while tokens.len() < room && tokens.len() - prompt.len() < max_tokens {
            cancel.check()?;
            // Cross-attention keys and values stay from the first pass on.
            let first = tokens.len() == prompt.len();
            let mut scores = self.decode(&states, &tokens, first, 1)?;
            rules.apply(&mut scores, &tokens[prompt.len()..]);
            let next = argmax(&scores) as u32;
            if next == model.tokenizer.special().eot {
                break;
            }
            tokens.push(next);
        }
        Ok(tokens.split_off(prompt.len()))
    }

    /// Encoder states in candle's form, `[1, positions, width]`.
    fn states(&self, states: &[f32]) -> Result<Tensor, ReferenceError> {
        let width = self.dimensions.width;
        if states.is_empty() || !states.len().is_multiple_of(width) {
            let expected = format!("must be one or more rows of {width}");
            return Err(ReferenceError::Input { input: "encoder states", found: states.len(), expected });
        }
        Tensor::from_slice(states, (1, states.len() / width, width), &self.device).map_err(at("take encoder states"))
    }

    fn check_tokens(&self, tokens: &[u32]) -> Result<(), ReferenceError> {
        let Dimensions { text_context, vocabulary, .. } = self.dimensions;
        if tokens.is_empty() || tokens.len() > text_context {
            let expected = format!("must be 1 to {text_context}");
            return Err(ReferenceError::Input { input: "tokens", found: tokens.len(), expected });
        }
        match tokens.iter().find(|&&token| token as usize >= vocabulary) {
            Some(&token) => {
                let expected = format!("is not below {vocabulary}, the size of the vocabulary");
                Err(ReferenceError::Input { input: "token", found: token as usize, expected })
            }
            None => Ok(()),
        }
    }

    /// One pass over all `tokens`; logits of the last `rows` of them.
    fn decode(
        &mut self,
        states: &Tensor,
        tokens: &[u32],
        new_states: bool,
        rows: usize,
    ) -> Result<Vec<f32>, ReferenceError> {
        let decode = |network: &mut Whisper| {
            let row = Tensor::from_slice(tokens, (1, tokens.len()), &self.device)?;
            let hidden = network.decoder.forward(&row, states, new_states)?;
            let picked = hidden.narrow(1, tokens.len() - rows, rows)?;
            network.decoder.final_linear(&picked.contiguous()?)?.flatten_all()?.to_vec1()
        };
        decode(&mut self.network).map_err(at("decode"))
    }
}

/// Candle's own reader of `config.json` refuses files whose `suppress_tokens` are null, and checks no size.
fn candle_config(dimensions: &Dimensions) -> Config {
    Config {
        num_mel_bins: dimensions.mels,
        max_source_positions: dimensions.audio_context,
        d_model: dimensions.width,
        encoder_attention_heads: dimensions.encoder_heads,
        encoder_layers: dimensions.encoder_layers,
        vocab_size: dimensions.vocabulary,
        max_target_positions: dimensions.text_context,
        decoder_attention_heads: dimensions.decoder_heads,
        decoder_layers: dimensions.decoder_layers,
        // Read by candle's example program only; suppression here is by our rules.
        suppress_tokens: Vec::new(),
    }
}

/// The rules that the recognizer applies with default options.
fn rules(model: &Model, prompt: &[u32]) -> Rules {
    let special = model.tokenizer.special();
    let wanted = special.no_timestamps.is_none_or(|token| !prompt.contains(&token));
    Rules {
        suppress: model.suppress.clone(),
        suppress_first: model.suppress_first.clone(),
        timestamps: wanted.then(|| TimestampRules::new(special, model.max_initial_timestamp)).flatten(),
        vocabulary: model.tokenizer.vocab_size().min(model.dimensions.vocabulary),
    }
}
