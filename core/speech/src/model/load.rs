//! Loading: a Hugging Face folder, a whisper.cpp file, or the bytes of a model inside the application.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use sotto_kernels::{Isa, KernelSet};
use sotto_nn::layers::Backend;
use sotto_nn::weights::{Weights, WhisperGgml, WhisperHeader};
use sotto_runtime::{Bytes, CancelToken, MemoryBudget, Progress, ProgressSink, Stage, Threads};
use sotto_text::whisper::WhisperTokenizer;

use super::names::{NamedWeights, Naming};
use super::{Decoder, Dimensions, Encoder, GenerationConfig, Model, Precision};
use crate::error::{ConfigError, LoadError};
use crate::memory;

/// Where a model comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelSource {
    /// A Hugging Face folder (`config.json`, `model.safetensors`, `tokenizer.json`, `generation_config.json` if there
    /// is one) or a whisper.cpp `.bin` file.
    Path(PathBuf),
    /// The files of a Hugging Face folder, compiled into the application.
    Bytes(ModelBytes),
}

/// The files of a Hugging Face folder in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelBytes {
    /// Name for messages.
    pub name: &'static str,
    /// `config.json`.
    pub config: &'static [u8],
    /// `generation_config.json`.
    pub generation_config: &'static [u8],
    /// `tokenizer.json`.
    pub tokenizer: &'static [u8],
    /// `model.safetensors`.
    pub weights: &'static [u8],
}

impl From<PathBuf> for ModelSource {
    fn from(path: PathBuf) -> Self {
        Self::Path(path)
    }
}

impl From<&Path> for ModelSource {
    fn from(path: &Path) -> Self {
        Self::Path(path.to_owned())
    }
}

/// How a model is loaded.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Threads that the model computes with.
    pub threads: Threads,
    /// The account that the model's memory is taken from.
    pub budget: MemoryBudget,
    /// How the model computes.
    pub precision: Precision,
    /// Instruction set of the int8 kernels; `None` takes the best one of this CPU, or what `SOTTO_ISA` names. All give the
    /// same bits: choosing is for comparing them.
    pub isa: Option<Isa>,
}

impl LoadOptions {
    fn backend(&self) -> Result<Backend, LoadError> {
        match self.isa {
            None => Ok(Backend::new(self.threads)),
            Some(isa) => KernelSet::new(isa)
                .map(|kernels| Backend::with_kernels(kernels, self.threads))
                .ok_or(LoadError::UnsupportedIsa { isa }),
        }
    }
}

/// Everything of a model but its tensors: small, read first, enough to know what the rest will need.
pub(crate) struct Manifest {
    name: String,
    dimensions: Dimensions,
    generation: GenerationConfig,
    vocabulary: Vocabulary,
    weights: Weights,
    naming: Naming,
}

enum Vocabulary {
    File(PathBuf),
    Bytes(&'static [u8]),
    Ggml(Vec<Vec<u8>>),
}

impl Manifest {
    pub(crate) fn open(source: &ModelSource) -> Result<Self, LoadError> {
        match source {
            ModelSource::Bytes(bytes) => Self::from_bytes(bytes),
            ModelSource::Path(path) if path.is_dir() => Self::open_folder(path),
            ModelSource::Path(path) => Self::open_ggml(path),
        }
    }

    fn from_bytes(bytes: &ModelBytes) -> Result<Self, LoadError> {
        let config = |problem| LoadError::Config { model: bytes.name.to_owned(), problem };
        Ok(Self {
            name: bytes.name.to_owned(),
            dimensions: Dimensions::from_config_json(bytes.config).map_err(config)?,
            generation: GenerationConfig::from_json(bytes.generation_config).map_err(config)?,
            vocabulary: Vocabulary::Bytes(bytes.tokenizer),
            weights: Weights::from_safetensors_bytes(Cow::Borrowed(bytes.weights), bytes.name)?,
            naming: Naming::HuggingFace,
        })
    }

    fn open_folder(folder: &Path) -> Result<Self, LoadError> {
        let config = |problem| LoadError::Config { model: folder.display().to_string(), problem };
        let tokenizer = folder.join("tokenizer.json");
        for required in [folder.join("config.json"), tokenizer.clone()] {
            if !required.is_file() {
                let problem = format!("the folder has no {}", required.file_name().unwrap_or_default().display());
                return Err(LoadError::NotAModel { path: folder.to_owned(), problem });
            }
        }
        let dimensions = Dimensions::from_config_json(&read_small(&folder.join("config.json"))?).map_err(config)?;
        let generation = folder.join("generation_config.json");
        let generation = match generation.is_file() {
            true => GenerationConfig::from_json(&read_small(&generation)?).map_err(config)?,
            false => GenerationConfig::default(),
        };
        Ok(Self {
            name: folder.display().to_string(),
            dimensions,
            generation,
            vocabulary: Vocabulary::File(tokenizer),
            weights: open_safetensors(folder)?,
            naming: Naming::HuggingFace,
        })
    }

    fn open_ggml(path: &Path) -> Result<Self, LoadError> {
        if !path.exists() {
            return Err(LoadError::NotAModel { path: path.to_owned(), problem: "there is nothing".into() });
        }
        let (WhisperGgml { header, vocabulary, .. }, weights) = Weights::open_ggml(path)?;
        let name = path.display().to_string();
        let dimensions =
            Dimensions::from_ggml(&header).map_err(|problem| LoadError::Config { model: name.clone(), problem })?;
        Ok(Self {
            name,
            generation: known_generation_config(&header),
            dimensions,
            vocabulary: Vocabulary::Ggml(vocabulary),
            weights,
            naming: Naming::OpenAi,
        })
    }

    /// Bytes that the loaded model will hold, with the memory of one transcription on top.
    pub(crate) fn estimate(&self, precision: Precision) -> Bytes {
        memory::estimate(&self.dimensions, self.weights.bytes_on_disk(), precision)
    }

    pub(crate) fn load(
        self,
        options: &LoadOptions,
        progress: &dyn ProgressSink,
        cancel: &CancelToken,
    ) -> Result<Model, LoadError> {
        let refused = |refused| LoadError::OutOfBudget { model: self.name.clone(), refused };
        let memory = options.budget.reserve(self.estimate(options.precision)).map_err(refused)?;
        let config = |problem| LoadError::Config { model: self.name.clone(), problem };
        let report = Steps { sink: progress, name: &self.name, total: 3 };
        report.done(0);
        let tokenizer = self.tokenizer()?;
        report.done(1);
        cancel.check()?;
        let source = NamedWeights { weights: &self.weights, naming: self.naming };
        let backend = options.backend()?;
        let encoder = Encoder::load(&source, options.precision, &backend, &self.dimensions)?;
        report.done(2);
        cancel.check()?;
        let decoder = Decoder::load(&source, options.precision, &backend, &self.dimensions)?;
        report.done(3);
        let alignment_heads = self.generation.alignment_heads(&self.dimensions).map_err(config)?;
        let special = *tokenizer.special();
        let suppress = match &self.generation.suppress_tokens {
            Some(list) => tokens(list),
            None => {
                let controls = [special.transcribe, special.translate, special.sot_lm, special.sot_prev];
                let others = [Some(special.sot), special.no_speech];
                let mut list = tokenizer.non_speech_tokens();
                list.extend(controls.into_iter().chain(others).flatten());
                list
            }
        };
        let suppress_first = match &self.generation.begin_suppress_tokens {
            Some(list) => tokens(list),
            None => tokenizer.encode(" ").into_iter().chain([special.eot]).collect(),
        };
        Ok(Model {
            dimensions: self.dimensions,
            encoder,
            decoder,
            tokenizer,
            alignment_heads,
            suppress,
            suppress_first,
            prefers_timestamps: self.generation.return_timestamps,
            max_initial_timestamp: self.generation.max_initial_timestamp_index.or(Some(50)),
            _memory: memory,
        })
    }

    fn tokenizer(&self) -> Result<WhisperTokenizer, LoadError> {
        let tokenizer = match &self.vocabulary {
            Vocabulary::File(path) => WhisperTokenizer::from_hugging_face(path)?,
            Vocabulary::Bytes(bytes) => WhisperTokenizer::from_hugging_face_bytes(bytes, &self.name)?,
            Vocabulary::Ggml(tokens) => {
                WhisperTokenizer::from_vocabulary(tokens.clone(), self.dimensions.vocabulary, &self.name)?
            }
        };
        if tokenizer.vocab_size() > self.dimensions.vocabulary {
            let problem = ConfigError::Vocabulary {
                token: (tokenizer.vocab_size() - 1) as u32,
                vocabulary: self.dimensions.vocabulary,
            };
            return Err(LoadError::Config { model: self.name.clone(), problem });
        }
        Ok(tokenizer)
    }
}

struct Steps<'a> {
    sink: &'a dyn ProgressSink,
    name: &'a str,
    total: u64,
}

impl Steps<'_> {
    fn done(&self, done: u64) {
        let subject = Cow::Borrowed(self.name);
        self.sink.report(&Progress { stage: Stage::Load, done, total: Some(self.total), subject });
    }
}

fn tokens(list: &[i64]) -> Vec<u32> {
    list.iter().filter_map(|&token| u32::try_from(token).ok()).collect()
}

fn open_safetensors(folder: &Path) -> Result<Weights, LoadError> {
    let (single, index) = (folder.join("model.safetensors"), folder.join("model.safetensors.index.json"));
    if single.is_file() {
        Ok(Weights::open_safetensors(&single)?)
    } else if index.is_file() {
        Ok(Weights::open_safetensors_sharded(&index)?)
    } else {
        let problem = "the folder has neither model.safetensors nor model.safetensors.index.json".into();
        Err(LoadError::NotAModel { path: folder.to_owned(), problem })
    }
}

/// Reads a configuration file; refuses one that is larger than any configuration.
pub(super) fn read_small(path: &Path) -> Result<Vec<u8>, LoadError> {
    use std::io::Read;
    const LIMIT: u64 = 4 << 20;
    let io = |source| LoadError::Io { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(io)?.take(LIMIT + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > LIMIT {
        return Err(LoadError::NotAModel { path: path.to_owned(), problem: "larger than 4 MB".into() });
    }
    Ok(bytes)
}

/// whisper.cpp's files do not say which heads follow the audio: OpenAI's models are known by their sizes.
fn known_generation_config(header: &WhisperHeader) -> GenerationConfig {
    let english = header.n_vocab < MULTILINGUAL_VOCABULARY;
    let heads = super::heads::of_openai_model(header.n_text_layer, header.n_text_head, english, header.n_mels);
    GenerationConfig { alignment_heads: heads.map(<[_]>::to_vec), ..GenerationConfig::default() }
}

const MULTILINGUAL_VOCABULARY: usize = 51_865;
