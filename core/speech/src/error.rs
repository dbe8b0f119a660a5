//! What can go wrong with speech-to-text, and what to do about it. Nothing said is ever quoted.

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
    /// The memory budget has too little left for a transcription with these options. Nothing was allocated.
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
    /// There is no audio at all, so nothing can be heard in it.
    #[error("the audio is empty, so its language cannot be heard")]
    EmptyAudio,
    /// The thread of a job did not do its work.
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

/// Why a model could not be packed. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuantizeError {
    /// The model cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The packed file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The thread of a job did not do its work.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// The measured figures that were to go into the file are no JSON object.
    #[error("the measured figures are not a JSON object: {problem}")]
    Measured {
        /// Where the parser stopped, and why.
        problem: String,
    },
    /// The source is packed already, with other weights than are wanted.
    #[error("{model}: is packed with {found} weights already; pack its publisher's model with {wanted} weights")]
    PackedWeights {
        /// The packed model.
        model: String,
        /// What it has.
        found: WeightTypes,
        /// What was asked for.
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

/// What is wrong with a model's configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Not JSON, or JSON of another kind.
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
        /// The family it names.
        model_type: String,
    },
    /// A size that no network has.
    #[error("{field} is {value}, must be between {least} and {limit}")]
    OutOfRange {
        /// Which field.
        field: &'static str,
        /// Its value.
        value: usize,
        /// The lowest value that is accepted.
        least: usize,
        /// The highest value that is accepted.
        limit: usize,
    },
    /// No log-mel features have that many bins.
    #[error("num_mel_bins is {found}; Whisper models have 80, or 128 from large-v3 on")]
    MelBins {
        /// What the configuration says.
        found: usize,
    },
    /// The width is no multiple of the number of heads.
    #[error("{field} is {heads}, but a width of {width} cannot be cut into so many heads")]
    Heads {
        /// Which field.
        field: &'static str,
        /// Its value.
        heads: usize,
        /// The width.
        width: usize,
    },
    /// Encoder and decoder do not fit each other.
    #[error("the encoder is {encoder} wide, the decoder {decoder}; they must be equal")]
    Widths {
        /// Encoder width.
        encoder: usize,
        /// Decoder width.
        decoder: usize,
    },
    /// An alignment head that the network does not have.
    #[error("alignment head {head} of layer {layer} does not exist; the decoder has {layers} layers of {heads} heads")]
    AlignmentHead {
        /// Named layer.
        layer: usize,
        /// Named head.
        head: usize,
        /// Layers there are.
        layers: usize,
        /// Heads per layer.
        heads: usize,
    },
    /// The vocabulary does not fit the network.
    #[error("the vocabulary has token {token}, the network only {vocabulary} rows; are both of the same model?")]
    Vocabulary {
        /// The token beyond the network.
        token: u32,
        /// Rows of the embedding.
        vocabulary: usize,
    },
    /// Settings and vocabulary number a control token differently.
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
        /// Its number there.
        stated: u32,
        /// Its number in the vocabulary.
        found: Option<u32>,
    },
    /// The settings are those of a multilingual model, the vocabulary is not.
    #[error(
        "generation_config.json says is_multilingual, but the vocabulary has no tokens for languages and tasks; take \
         both files from one model"
    )]
    NoLanguages,
    /// The vocabulary is that of another one of OpenAI's models.
    #[error(
        "the vocabulary has {listed} tokens, config.json says vocab_size {vocabulary}: one is of an English-only \
         model, a multilingual one or large-v3, the other is not; take both files from one model"
    )]
    OtherVocabulary {
        /// Tokens of the vocabulary.
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
