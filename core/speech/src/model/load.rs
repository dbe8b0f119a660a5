//! Loading: a Hugging Face folder, a whisper.cpp file, a packed model, or the bytes of a model inside the application.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use sotto_kernels::KernelSet;
use sotto_nn::layers::Watched;
use sotto_nn::load::{
    ComputeDevice, LoadError, LoadOptions, ModelBytes, ModelSource, Opened, OtherFile, Precision, SlowDevice, Switch,
    check_task, open_folder_weights, read_settings,
};
use sotto_nn::packed::PackedModel;
use sotto_nn::weights::{Weights, WhisperGgml, WhisperHeader};
use sotto_runtime::spans::{self, Counter};
use sotto_runtime::{Bytes, CancelToken, Progress, ProgressSink, Stage};
use sotto_text::Tokenizer;
use sotto_text::whisper::WhisperTokenizer;

use super::control::ControlTokens;
use super::inventory::inventory;
use super::names::{NamedWeights, Naming, Tensors};
use super::{Dimensions, GenerationConfig, Model, device, exact, int8, speed, weight_count};
use crate::error::ConfigError;
use crate::memory::{self, Estimate, ModelMemory, Residence, SessionSize};
use crate::options::TranscribeOptions;

/// Everything of a model except its tensors: small, read first, and enough to estimate the memory of the rest.
pub(crate) struct Manifest {
    name: String,
    dimensions: Dimensions,
    generation: GenerationConfig,
    control: ControlTokens,
    vocabulary: Vocabulary,
    file: ModelFile,
}

enum Vocabulary {
    File(PathBuf),
    /// A folder with `vocab.json` and `merges.txt`.
    Folder(PathBuf),
    Bytes(&'static [u8]),
    Ggml(Vec<Vec<u8>>),
    Packed,
}

/// The file that contains the tensors.
pub(super) enum ModelFile {
    Original(Weights, Naming),
    Packed(PackedModel),
}

impl ModelFile {
    /// Length of the file, or of all files with tensors.
    fn bytes(&self) -> u64 {
        match self {
            Self::Original(weights, _) => weights.bytes_on_disk(),
            Self::Packed(model) => model.bytes_on_disk(),
        }
    }
}

/// Settings that come with a model, complete.
pub(super) struct Settings {
    pub(super) alignment_heads: Vec<(usize, usize)>,
    pub(super) suppress: Vec<u32>,
    pub(super) suppress_first: Vec<u32>,
    pub(super) prefers_timestamps: bool,
    pub(super) max_initial_timestamp: Option<usize>,
}

impl Manifest {
    pub(crate) fn open(source: &ModelSource) -> Result<Self, LoadError> {
        let manifest = match source.open()? {
            Opened::Files(bytes) => Self::from_bytes(&bytes),
            Opened::Folder(folder) => Self::open_folder(&folder),
            Opened::Packed(model) => Self::open_packed(model),
            Opened::Other(file) => Self::open_ggml(&file),
        }?;
        if let Tensors::Named(weights) = manifest.tensors() {
            inventory(&manifest.dimensions).check(|name, shape| weights.check(name, shape))?;
        }
        Ok(manifest)
    }

    fn from_bytes(bytes: &ModelBytes) -> Result<Self, LoadError> {
        let settings = (bytes.config, Some(bytes.generation_config));
        Self::of_hugging_face(bytes.name.to_owned(), settings, Vocabulary::Bytes(bytes.tokenizer), || {
            Ok(Weights::from_safetensors_bytes(Cow::Borrowed(bytes.weights), bytes.name)?)
        })
    }

    /// Reads the settings of a Hugging Face folder: `config.json` and `generation_config.json`, if there is one.
    fn of_hugging_face(
        name: String,
        (config_json, generation_json): (&[u8], Option<&[u8]>),
        vocabulary: Vocabulary,
        weights: impl FnOnce() -> Result<Weights, LoadError>,
    ) -> Result<Self, LoadError> {
        let config = LoadError::config::<ConfigError>(&name);
        let mut dimensions = Dimensions::from_config_json(config_json).map_err(&config)?;
        let generation =
            generation_json.map(GenerationConfig::from_json).transpose().map_err(&config)?.unwrap_or_default();
        let control = ControlTokens::read(config_json, generation_json, &dimensions).map_err(&config)?;
        let weights = weights()?;
        let naming = Naming::of_hugging_face(&weights);
        // An output layer that differs from the embedding was trained separately, whatever the configuration says.
        let named = NamedWeights { weights: &weights, naming: &naming };
        dimensions.tied_output = dimensions.tied_output && !named.has_an_output_of_its_own()?;
        Ok(Self { name, dimensions, generation, control, vocabulary, file: ModelFile::Original(weights, naming) })
    }

    fn open_folder(folder: &Path) -> Result<Self, LoadError> {
        let has = |name: &str| folder.join(name).is_file();
        let vocabulary = match has("tokenizer.json") {
            false if has("vocab.json") && has("merges.txt") => Vocabulary::Folder(folder.to_owned()),
            _ => Vocabulary::File(folder.join("tokenizer.json")),
        };
        let missing = match &vocabulary {
            _ if !has("config.json") => Some("config.json"),
            Vocabulary::File(file) if !file.is_file() => Some("tokenizer.json"),
            _ => None,
        };
        if let Some(file) = missing {
            return Err(not_a_model(folder, &format!("the folder has no {file}")));
        }
        let config = settings(&folder.join("config.json"))?;
        let generation = folder.join("generation_config.json");
        let generation = generation.is_file().then(|| settings(&generation)).transpose()?;
        let settings = (&*config, generation.as_deref());
        Self::of_hugging_face(folder.display().to_string(), settings, vocabulary, || open_safetensors(folder))
    }

    fn open_ggml(file: &OtherFile) -> Result<Self, LoadError> {
        let (WhisperGgml { header, vocabulary, .. }, weights) = match file {
            OtherFile::Path(path) if !path.exists() => return Err(not_a_model(path, "there is nothing")),
            OtherFile::Path(path) => Weights::open_ggml(path)?,
            OtherFile::Memory(file) => Weights::open_ggml_memory(file)?,
            OtherFile::Range(range) => Weights::open_ggml_range(range)?,
        };
        let name = weights.name().to_owned();
        let dimensions = Dimensions::from_ggml(&header).map_err(LoadError::config(&name))?;
        Ok(Self {
            name,
            generation: known_generation_config(&header),
            control: ControlTokens::default(),
            dimensions,
            vocabulary: Vocabulary::Ggml(vocabulary),
            file: ModelFile::Original(weights, Naming::OpenAi),
        })
    }

    fn open_packed(model: PackedModel) -> Result<Self, LoadError> {
        check_task(&model, TASK)?;
        let name = model.name().to_owned();
        let config = LoadError::config::<ConfigError>(&name);
        let json = |key| model.metadata(key).unwrap_or_default().as_bytes();
        Ok(Self {
            dimensions: Dimensions::from_config_json(json(CONFIG_KEY)).map_err(&config)?,
            generation: GenerationConfig::from_json(json(GENERATION_KEY)).map_err(&config)?,
            control: ControlTokens::default(),
            vocabulary: Vocabulary::Packed,
            file: ModelFile::Packed(model),
            name,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn dimensions(&self) -> &Dimensions {
        &self.dimensions
    }

    pub(super) fn file(&self) -> &ModelFile {
        &self.file
    }

    pub(super) fn tensors(&self) -> Tensors<'_> {
        match &self.file {
            ModelFile::Original(weights, naming) => Tensors::Named(NamedWeights { weights, naming }),
            ModelFile::Packed(model) => Tensors::Packed(model),
        }
    }

    /// Memory of the model and of one transcription with these options.
    pub(crate) fn estimate(
        &self,
        options: &LoadOptions,
        transcription: &TranscribeOptions,
    ) -> Result<Estimate, LoadError> {
        let heads = self.generation.alignment_heads(&self.dimensions).map_err(LoadError::config(&self.name))?.len();
        let session = SessionSize::of(&self.dimensions, transcription, heads, options.threads);
        let (memory, precision) = (self.memory(options)?, self.precision(options)?);
        let session = session_bytes(&self.dimensions, &session, precision, options.device);
        Ok(Estimate { loading: memory.loading, model: memory.loaded, session })
    }

    /// Memory of the model alone.
    fn memory(&self, options: &LoadOptions) -> Result<ModelMemory, LoadError> {
        let precision = self.precision(options)?;
        let (bytes_on_disk, residence) = match &self.file {
            ModelFile::Original(weights, _) => (weights.bytes_on_disk(), Residence::Converted(precision)),
            ModelFile::Packed(model) => {
                let repacked = self.kernels(options)?.layout() != model.layout();
                (model.bytes_on_disk() + model.widened_bytes(), Residence::Mapped { repacked })
            }
        };
        let ModelMemory { loading, loaded } = memory::of_model(&self.dimensions, bytes_on_disk, residence);
        let beside = match options.device {
            ComputeDevice::Cpu => Bytes(0),
            _ => memory::weights_on_device(&self.dimensions, device::weight_bytes(precision)),
        };
        Ok(ModelMemory { loading: loading + beside, loaded: loaded + beside })
    }

    fn precision(&self, options: &LoadOptions) -> Result<Precision, LoadError> {
        match (&self.file, options.precision) {
            (ModelFile::Original(..), precision) => Ok(precision.unwrap_or_default()),
            (ModelFile::Packed(_), Some(Precision::F32)) => Err(LoadError::Precision { model: self.name.clone() }),
            (ModelFile::Packed(_), precision) => Ok(precision.unwrap_or_default()),
        }
    }

    /// The kernels to compute with: the requested ones, else those that read the file in place, else the best.
    fn kernels(&self, options: &LoadOptions) -> Result<KernelSet, LoadError> {
        Ok(match &self.file {
            ModelFile::Original(..) => options.kernels()?,
            ModelFile::Packed(model) => options.kernels_for(model)?,
        })
    }

    /// Refuses a model that is too slow on this device. Not checked for f32, which uses other products, and for other
    /// processors: both must be requested explicitly.
    fn check_speed(&self, options: &LoadOptions) -> Result<(), LoadError> {
        if options.slow_device == SlowDevice::Allow
            || options.device != ComputeDevice::Cpu
            || self.precision(options)? == Precision::F32
        {
            return Ok(());
        }
        let is_asked_for = options.isa.is_some() || KernelSet::is_asked_for();
        speed::check(&self.name, &self.dimensions, self.kernels(options)?, options.threads, is_asked_for)
    }

    pub(crate) fn load(
        self,
        options: &LoadOptions,
        progress: &dyn ProgressSink,
        cancel: &CancelToken,
    ) -> Result<Model, LoadError> {
        let refused = |refused| LoadError::OutOfBudget { model: self.name.clone(), refused };
        self.check_speed(options)?;
        // A model without memory for a transcription would be useless. Transcriptions reserve their memory when they
        // start.
        let needed = self.estimate(options, &TranscribeOptions::default())?.peak();
        let mut memory = options.budget.reserve(needed).map_err(refused)?;
        let switch = Switch::new(options.device != ComputeDevice::Cpu);
        // A device holds a second copy of the weights.
        let copies = if options.device == ComputeDevice::Cpu { 1 } else { 2 };
        let total = Some(copies * weight_count(&self.dimensions));
        let report = |done| {
            let subject = Cow::Borrowed(self.name.as_str());
            progress.report(&Progress { stage: Stage::Load, done, total, subject });
        };
        report(0);
        cancel.check()?;
        let tokenizer = self.tokenizer()?;
        let (tensors, precision) = (self.tensors(), self.precision(options)?);
        let source = Watched::new(&tensors, cancel, &report);
        let kernels = self.kernels(options)?;
        let backend = options.backend(kernels);
        let dimensions = &self.dimensions;
        let place = device::Place { device: options.device, switch: &switch, precision, dimensions };
        let network = match precision.quantized() {
            None => place.put(exact::Network::load(&source, dimensions)?, &source)?,
            Some(precision) => place.put(int8::Network::load(&source, &backend, dimensions, precision)?, &source)?,
        };
        let settings = self.settings(&tokenizer)?;
        memory.shrink_to(self.memory(options)?.loaded);
        spans::count(Counter::LoadedBytes, self.file.bytes());
        let packed = match self.file {
            ModelFile::Packed(model) => Some(model),
            ModelFile::Original(..) => None,
        };
        Ok(Model {
            dimensions: self.dimensions,
            network,
            tokenizer,
            alignment_heads: settings.alignment_heads,
            suppress: settings.suppress,
            suppress_first: settings.suppress_first,
            prefers_timestamps: settings.prefers_timestamps,
            max_initial_timestamp: settings.max_initial_timestamp,
            packed,
            device: switch,
            precision,
            isa: kernels.isa(),
            computes_on: options.device,
            budget: options.budget.clone(),
            memory,
        })
    }

    /// The settings of the file, or the reference's defaults.
    pub(super) fn settings(&self, tokenizer: &WhisperTokenizer) -> Result<Settings, LoadError> {
        let generation = &self.generation;
        let config = LoadError::config(&self.name);
        let special = *tokenizer.special();
        let suppress = match &generation.suppress_tokens {
            Some(list) => tokens(list),
            None => {
                let controls = [special.transcribe, special.translate, special.sot_lm, special.sot_prev];
                let others = [Some(special.sot), special.no_speech];
                let mut list = tokenizer.non_speech_tokens();
                list.extend(controls.into_iter().chain(others).flatten());
                list
            }
        };
        let suppress_first = match &generation.begin_suppress_tokens {
            Some(list) => tokens(list),
            None => tokenizer.encode(" ").into_iter().chain([special.eot]).collect(),
        };
        Ok(Settings {
            alignment_heads: generation.alignment_heads(&self.dimensions).map_err(config)?,
            suppress,
            suppress_first,
            prefers_timestamps: generation.return_timestamps,
            max_initial_timestamp: generation.max_initial_timestamp_index.or(Some(50)),
        })
    }

    pub(super) fn tokenizer(&self) -> Result<WhisperTokenizer, LoadError> {
        let tokenizer = match &self.vocabulary {
            Vocabulary::File(path) => WhisperTokenizer::from_hugging_face(path),
            Vocabulary::Folder(folder) => WhisperTokenizer::from_vocab_and_merges(folder, self.dimensions.vocabulary),
            Vocabulary::Bytes(bytes) => WhisperTokenizer::from_hugging_face_bytes(bytes, &self.name),
            Vocabulary::Ggml(tokens) => {
                WhisperTokenizer::from_vocabulary(tokens.clone(), self.dimensions.vocabulary, &self.name)
            }
            Vocabulary::Packed => {
                let ModelFile::Packed(model) = &self.file else { unreachable!("packed files hold their vocabulary") };
                let (shared, range) = model.bytes(TOKENIZER)?;
                WhisperTokenizer::from_packed(shared, range, &self.name)
            }
        }
        .map_err(LoadError::vocabulary)?;
        let config = LoadError::config::<ConfigError>(&self.name);
        if tokenizer.vocab_size() > self.dimensions.vocabulary {
            let problem = ConfigError::Vocabulary {
                token: (tokenizer.vocab_size() - 1) as u32,
                vocabulary: self.dimensions.vocabulary,
            };
            return Err(config(problem));
        }
        let tokenizer = self.control.apply(tokenizer, &self.dimensions).map_err(config)?;
        Ok(match self.generation.is_multilingual {
            Some(multilingual) => tokenizer.with_multilingual(multilingual),
            None => tokenizer,
        })
    }
}

/// Bytes of one transcription, on every processor that works on it.
pub(super) fn session_bytes(
    dimensions: &Dimensions,
    session: &SessionSize,
    precision: Precision,
    computes_on: ComputeDevice,
) -> Bytes {
    let beside = match computes_on {
        ComputeDevice::Cpu => Bytes(0),
        _ => memory::session_on_device(dimensions, device::weight_bytes(precision)),
    };
    session.bytes(dimensions, precision) + beside
}

// Metadata and tensors of a packed Whisper model, in addition to those of the packed format.
pub(super) const TASK: &str = "whisper";
pub(super) const CONFIG_KEY: &str = "sotto.config";
pub(super) const GENERATION_KEY: &str = "sotto.generation_config";
/// The tensor that holds the vocabulary.
pub(super) const TOKENIZER: &str = "tokenizer";

fn tokens(list: &[i64]) -> Vec<u32> {
    list.iter().filter_map(|&token| u32::try_from(token).ok()).collect()
}

fn open_safetensors(folder: &Path) -> Result<Weights, LoadError> {
    let problem = "the folder has neither model.safetensors nor model.safetensors.index.json";
    open_folder_weights(folder)?.ok_or_else(|| not_a_model(folder, problem))
}

/// The bytes of a file of settings.
pub(super) fn settings(path: &Path) -> Result<Vec<u8>, LoadError> {
    read_settings(path)?.ok_or_else(|| not_a_model(path, "larger than 4 MB"))
}

fn not_a_model(path: &Path, problem: &str) -> LoadError {
    let expected =
        "a folder with config.json, model.safetensors and tokenizer.json, a ggml .bin file or a packed model";
    LoadError::NotAModel { path: path.to_owned(), problem: problem.to_owned(), expected }
}

/// whisper.cpp's files do not contain the alignment heads; OpenAI's models are recognised by their sizes.
fn known_generation_config(header: &WhisperHeader) -> GenerationConfig {
    let english = header.n_vocab < MULTILINGUAL_VOCABULARY;
    let heads = super::heads::of_openai_model(header.n_text_layer, header.n_text_head, english, header.n_mels);
    GenerationConfig { alignment_heads: heads.map(<[_]>::to_vec), ..GenerationConfig::default() }
}

const MULTILINGUAL_VOCABULARY: usize = 51_865;
