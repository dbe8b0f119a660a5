//! Errors of speech-to-text, with what to do about them. Spoken text is never quoted.

use sotto_audio::AudioError;
use sotto_nn::load::LoadError;
use sotto_nn::packed::{PackError, WriteError};
use sotto_runtime::{Cancelled, OutOfBudget, Unloaded, WorkerError};

use crate::model::WeightTypes;
use crate::vad::VadError;

/// Why a transcription failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpeechError {
    /// The caller cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// The model could not be loaded.
    #[error(transparent)]
    Load(LoadError),
    /// The model was unloaded before this call.
    #[error(transparent)]
    Unloaded(#[from] Unloaded),
    /// Too little of the memory budget is left for a transcription with these options. Nothing was allocated.
    #[error(
        "a transcription with these options takes {}, {} left of the memory budget; follow fewer hypotheses (beam, \
         best_of), end another transcription or raise the budget", .0.needed, .0.available
    )]
    OutOfBudget(#[from] OutOfBudget),
    /// The audio could not be read.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// The voice activity detector could not be loaded.
    #[error(transparent)]
    Vad(#[from] VadError),
    /// There is no audio, so its language cannot be detected.
    #[error("the audio is empty, so its language cannot be heard")]
    EmptyAudio,
    /// The thread of a job could not be started, or panicked.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// The options contradict each other or the model.
    #[error("option `{option}`: {problem}")]
    Option {
        /// Which option.
        option: &'static str,
        /// What is wrong and what would be right.
        problem: String,
    },
}

impl From<LoadError> for SpeechError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Cancelled(cancelled) => Self::Cancelled(cancelled),
            other => Self::Load(other),
        }
    }
}

/// Why a model could not be packed. No partial file is left.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuantizeError {
    /// The model cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The packed file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The thread of a job could not be started, or panicked.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// The measured figures for the file are not a JSON object.
    #[error("the measured figures are not a JSON object: {problem}")]
    Measured {
        /// Where the parser stopped, and why.
        problem: String,
    },
    /// The source is already packed, with other weight types than requested.
    #[error("{model}: is packed with {found} weights already; pack its publisher's model with {wanted} weights")]
    PackedWeights {
        /// The packed model.
        model: String,
        /// The weight types that it has.
        found: WeightTypes,
        /// The requested weight types.
        wanted: WeightTypes,
    },
}

impl From<Cancelled> for QuantizeError {
    fn from(cancelled: Cancelled) -> Self {
        Self::Load(cancelled.into())
    }
}

impl From<PackError> for QuantizeError {
    fn from(error: PackError) -> Self {
        match error {
            PackError::Weights(error) => Self::Load(error.into()),
            PackError::Write(error) => Self::Write(error),
        }
    }
}

/// Errors of a model's configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file is not JSON of the expected form.
    #[error("{file} cannot be read ({problem}); fetch it again")]
    Json {
        /// Which file.
        file: &'static str,
        /// Where the parser stopped, and why.
        problem: String,
    },
    /// The model is of another family.
    #[error("this is a `{model_type}` model; Sotto's speech-to-text reads Whisper models (model_type `whisper`)")]
    NotWhisper {
        /// The family in the configuration.
        model_type: String,
    },
    /// A size is outside the supported range.
    #[error("{field} is {value}, must be between {least} and {limit}")]
    OutOfRange {
        /// Which field.
        field: &'static str,
        /// Its value.
        value: usize,
        /// The smallest accepted value.
        least: usize,
        /// The largest accepted value.
        limit: usize,
    },
    /// The number of mel bins is not supported.
    #[error("num_mel_bins is {found}; Whisper models have 80, or 128 from large-v3 on")]
    MelBins {
        /// The number in the configuration.
        found: usize,
    },
    /// The width is not a multiple of the number of heads.
    #[error("{field} is {heads}, but a width of {width} cannot be cut into so many heads")]
    Heads {
        /// Which field.
        field: &'static str,
        /// Its value.
        heads: usize,
        /// The width.
        width: usize,
    },
    /// Encoder and decoder have different widths.
    #[error("the encoder is {encoder} wide, the decoder {decoder}; they must be equal")]
    Widths {
        /// Encoder width.
        encoder: usize,
        /// Decoder width.
        decoder: usize,
    },
    /// An alignment head does not exist in the network.
    #[error("alignment head {head} of layer {layer} does not exist; the decoder has {layers} layers of {heads} heads")]
    AlignmentHead {
        /// Named layer.
        layer: usize,
        /// Named head.
        head: usize,
        /// Number of layers.
        layers: usize,
        /// Heads per layer.
        heads: usize,
    },
    /// The vocabulary is larger than the network's embedding.
    #[error("the vocabulary has token {token}, the network only {vocabulary} rows; are both of the same model?")]
    Vocabulary {
        /// A token beyond the embedding.
        token: u32,
        /// Rows of the embedding.
        vocabulary: usize,
    },
    /// Settings and vocabulary have different ids for a control token.
    #[error(
        "{file} says in {field} that {token} is token {stated}, in the vocabulary it is {}; \
         take both files from one model",
        shown(*found)
    )]
    ControlToken {
        /// The file with the settings.
        file: &'static str,
        /// Which field.
        field: &'static str,
        /// The token.
        token: String,
        /// Its id in the settings.
        stated: u32,
        /// Its id in the vocabulary, if it has one.
        found: Option<u32>,
    },
    /// The settings belong to a multilingual model, but the vocabulary does not.
    #[error(
        "generation_config.json says is_multilingual, but the vocabulary has no tokens for languages and tasks; take \
         both files from one model"
    )]
    NoLanguages,
    /// The vocabulary belongs to another of OpenAI's models.
    #[error(
        "the vocabulary has {listed} tokens, config.json says vocab_size {vocabulary}: one is of an English-only \
         model, a multilingual one or large-v3, the other is not; take both files from one model"
    )]
    OtherVocabulary {
        /// Number of tokens in the vocabulary.
        listed: usize,
        /// Rows of the embedding.
        vocabulary: usize,
    },
}

fn shown(token: Option<u32>) -> String {
    token.map_or_else(|| "absent".to_owned(), |token| token.to_string())
}

impl ConfigError {
    pub(crate) fn json(file: &'static str) -> impl Fn(serde_json::Error) -> Self {
        move |error| Self::Json { file, problem: error.to_string() }
    }
}
