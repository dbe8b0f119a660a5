//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use sotto::packing::{Layout, WeightType, WeightTypes};
use sotto::speech::{AudioContext, ComputeDevice, Precision, PromptCarry};

use crate::models::ModelsCommand;
use crate::named::NamedModel;

/// On-device speech-to-text. Nothing you say leaves this machine.
#[derive(Debug, Parser)]
#[command(name = "sotto", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) global: Global,
}

/// Options of every command.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// One JSON object per line on stdout.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Compute threads; 0 takes the big cores.
    #[arg(long, global = true, default_value_t = 0, value_name = "N")]
    pub(crate) threads: usize,
    /// Most memory that models may hold, in MB.
    #[arg(long, global = true, value_name = "MB")]
    pub(crate) memory: Option<u64>,
    /// How models compute: several times as fast with weights of 8 bits, or exactly as the reference does.
    #[arg(long, global = true, value_enum, default_value_t = PrecisionArg::Int8)]
    pub(crate) precision: PrecisionArg,
    /// What models compute on, where they can: the GPU needs a build with the cargo feature `metal`.
    #[arg(long, global = true, value_enum, default_value_t = DeviceArg::Cpu)]
    pub(crate) device: DeviceArg,
    /// Load models as they are: neither use nor fill the cache of packed models.
    #[arg(long, global = true)]
    pub(crate) no_cache: bool,
    /// No progress bars and no warnings.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

/// Values of `--precision`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PrecisionArg {
    /// Weights and activations of 8 bits.
    #[value(alias = "auto")]
    Int8,
    /// Weights and activations of 8 bits, the encoder's attention in f32.
    Mixed,
    /// Like the reference, in f32.
    F32,
}

impl PrecisionArg {
    pub(crate) fn precision(self) -> Precision {
        match self {
            Self::F32 => Precision::F32,
            Self::Mixed => Precision::Mixed,
            Self::Int8 => Precision::Int8,
        }
    }
}

/// Values of `--device`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DeviceArg {
    /// The CPU.
    Cpu,
    /// The GPU of Apple devices.
    Metal,
}

impl DeviceArg {
    pub(crate) fn device(self) -> ComputeDevice {
        match self {
            Self::Cpu => ComputeDevice::Cpu,
            Self::Metal => ComputeDevice::Metal,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run every task on the starter models, offline.
    Demo,
    /// Turn recordings, or a live stream, into text.
    Transcribe(TranscribeArgs),
    /// Fetch, import, list, switch and remove models.
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Pack a model: one file with weights of 8 bits that loads in milliseconds.
    Quantize(QuantizeArgs),
    /// Say what a model is: sizes, vocabulary, memory.
    Inspect(InspectArgs),
    /// Measure speed, delay, accuracy and memory.
    #[command(subcommand)]
    Bench(BenchCommand),
    /// Profile a model on this machine: loads, speed that lasts, memory, energy and errors, with a verdict.
    Profile(ProfileArgs),
    /// Print the completion script of a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct TranscribeArgs {
    /// Audio files and named pipes (WAV, AIFF, CAF, FLAC, MP3, M4A, Ogg, WebM, …); `-` reads raw PCM from stdin,
    /// /dev/stdin a file.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) model: ModelArg,
    /// Language of the speech: a code (`de`, `pt-BR`), an English name, `auto`, or `each` where speakers change it.
    #[arg(long, default_value = "auto")]
    pub(crate) language: String,
    /// Write what was said, or translate it to English.
    #[arg(long, value_enum, default_value_t = TaskArg::Transcribe)]
    pub(crate) task: TaskArg,
    /// How finely times are given: text is plain unless they are asked for, subtitles and JSON have those of segments.
    #[arg(long, value_enum)]
    pub(crate) timestamps: Option<TimestampsArg>,
    /// Text that came before, in the style that is wanted.
    #[arg(long, value_name = "TEXT")]
    pub(crate) prompt: Option<String>,
    /// For which text the prompt is.
    #[arg(long, value_enum, default_value_t = PromptCarryArg::All, requires = "prompt")]
    pub(crate) prompt_carry: PromptCarryArg,
    /// Text that the transcription must begin with.
    #[arg(long, value_name = "TEXT")]
    pub(crate) prefix: Option<String>,
    #[command(flatten)]
    pub(crate) recording: RecordingArgs,
    /// Exponent of the length penalty of beam search.
    #[arg(long, value_name = "X")]
    pub(crate) length_penalty: Option<f32>,
    /// Only this temperature, without a second try; by default 0 to 1 in steps of 0.2 while results look wrong.
    #[arg(long, value_name = "T")]
    pub(crate) temperature: Option<f32>,
    /// Feed each window the text before it.
    #[arg(long)]
    pub(crate) condition: bool,
    /// Most tokens per window.
    #[arg(long, value_name = "N")]
    pub(crate) max_tokens: Option<usize>,
    /// Transcribe live: text is printed as it becomes sure.
    #[arg(long)]
    pub(crate) stream: bool,
    #[command(flatten)]
    pub(crate) raw: RawArgs,
    /// Which channel of several is heard.
    #[arg(long, value_enum, default_value_t = ChannelArg::Mix)]
    pub(crate) channel: ChannelArg,
    /// Exit with 1 when a recording is damaged, after printing its text.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Form of the output [default: text].
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
    /// Most characters on a line of subtitles; a cue has one or two lines [default: 42].
    #[arg(long, value_name = "N")]
    pub(crate) max_line_length: Option<usize>,
    /// Most seconds that a cue of subtitles is shown [default: 7].
    #[arg(long, value_name = "S")]
    pub(crate) max_cue_seconds: Option<f64>,
}

/// Which model to use, whatever its task.
#[derive(Debug, Args)]
pub(crate) struct ModelArg {
    /// A model folder, a ggml `.bin` file, a packed model, or the name of a pulled one; without it the starter model.
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<NamedModel>,
}

/// How a recording is heard, by whatever model.
#[derive(Debug, Args)]
pub(crate) struct RecordingArgs {
    #[command(flatten)]
    pub(crate) context: ContextArg,
    #[command(flatten)]
    pub(crate) vad: VadArgs,
    /// Words that are likelier than the model thinks, one per line.
    #[arg(long, value_name = "FILE")]
    pub(crate) hotwords: Option<PathBuf>,
    /// How much likelier hotwords are (natural logarithm per token).
    #[arg(long, value_name = "X", requires = "hotwords")]
    pub(crate) hotword_strength: Option<f32>,
    /// Hypotheses that beam search follows; 1 is greedy.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) beam: usize,
}

/// How much of a window is computed.
#[derive(Debug, Args)]
pub(crate) struct ContextArg {
    /// How much of a window of 30 s is computed for a shorter recording.
    #[arg(long, value_enum, default_value_t = AudioContextArg::Auto)]
    pub(crate) audio_context: AudioContextArg,
}

/// Values of `--prompt-carry`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PromptCarryArg {
    /// The beginning only.
    First,
    /// Every window and stretch of speech.
    All,
}

impl From<PromptCarryArg> for PromptCarry {
    fn from(arg: PromptCarryArg) -> Self {
        match arg {
            PromptCarryArg::First => Self::First,
            PromptCarryArg::All => Self::All,
        }
    }
}

/// Values of `--audio-context`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AudioContextArg {
    /// The true length; the window with `--precision f32`.
    Auto,
    /// All of it.
    Window,
    /// As much as there is audio, with the rest where the text is doubtful: faster for recordings of some seconds.
    TrueLength,
}

impl From<AudioContextArg> for AudioContext {
    fn from(arg: AudioContextArg) -> Self {
        match arg {
            AudioContextArg::Auto => Self::Auto,
            AudioContextArg::Window => Self::Window,
            AudioContextArg::TrueLength => Self::TrueLength,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct VadArgs {
    /// Transcribe speech only: no text on silence and noise. Always so with --stream.
    #[arg(long)]
    pub(crate) vad: bool,
    /// No detector with --stream either: pauses are told by loudness alone.
    #[arg(long, conflicts_with_all = ["vad", "vad_model"])]
    pub(crate) no_vad: bool,
    /// Another detector than the built-in one: Silero VAD weights (safetensors or ggml), or the name of a pulled model.
    #[arg(long, value_name = "MODEL", env = "SOTTO_VAD_MODEL")]
    pub(crate) vad_model: Option<NamedModel>,
    /// Probability from which on a moment counts as speech, 0 to 1 [default: the detector's own].
    #[arg(long, value_name = "P", requires = "vad")]
    pub(crate) vad_threshold: Option<f32>,
}

#[derive(Debug, Args)]
pub(crate) struct RawArgs {
    /// Sample rate of raw PCM from stdin [default: 16000].
    #[arg(long, value_name = "HZ")]
    pub(crate) rate: Option<u32>,
    /// Channels of raw PCM from stdin [default: 1].
    #[arg(long, value_name = "N")]
    pub(crate) channels: Option<u16>,
    /// Sample format of raw PCM from stdin [default: s16le].
    #[arg(long, value_enum)]
    pub(crate) sample_format: Option<SampleFormatArg>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum SampleFormatArg {
    /// Unsigned 8 bit.
    U8,
    /// Signed 16 bit, little-endian.
    S16le,
    /// Signed 24 bit, little-endian.
    S24le,
    /// Signed 32 bit, little-endian.
    S32le,
    /// 32-bit float, little-endian.
    F32le,
    /// 64-bit float, little-endian.
    F64le,
    /// G.711 A-law.
    Alaw,
    /// G.711 µ-law.
    Mulaw,
}

/// Values of `--channel`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ChannelArg {
    /// The mean of all; where they cancel each other, the loudest.
    Mix,
    /// The first of two.
    Left,
    /// The second of two.
    Right,
    /// Every channel on its own, its lines labelled: calls with one speaker per channel.
    Each,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum TaskArg {
    /// In the language it was said in.
    Transcribe,
    /// To English.
    Translate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TimestampsArg {
    /// No times.
    None,
    /// Times of segments.
    Segment,
    /// Times of words.
    Word,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Plain text.
    Text,
    /// SubRip subtitles.
    Srt,
    /// WebVTT subtitles.
    Vtt,
}

#[derive(Debug, Args)]
pub(crate) struct QuantizeArgs {
    /// A model folder, a ggml `.bin` file, or the name of a pulled model. A packed model gets another layout.
    #[arg(value_name = "SRC")]
    pub(crate) source: NamedModel,
    /// The file to write, such as `tiny.en.sotto`.
    #[arg(value_name = "DST")]
    pub(crate) destination: PathBuf,
    /// Bits of the weights: int4 halves the decoder's and costs accuracy; --measure says how much.
    #[arg(long, value_enum, default_value_t = WeightsArg::Int8)]
    pub(crate) weights: WeightsArg,
    /// Bits of the encoder's weights, where they are to be others; int4 makes it slower.
    #[arg(long, value_enum, value_name = "WEIGHTS")]
    pub(crate) encoder: Option<WeightsArg>,
    /// Bits of the decoder's weights, where they are to be others.
    #[arg(long, value_enum, value_name = "WEIGHTS")]
    pub(crate) decoder: Option<WeightsArg>,
    /// Bits of the token table, where they are to be others.
    #[arg(long, value_enum, value_name = "WEIGHTS")]
    pub(crate) embedding: Option<WeightsArg>,
    /// Order of the weights: which CPUs use the file as it lies. Others copy the weights when they load it.
    #[arg(long, value_enum, default_value_t = LayoutArg::Auto)]
    pub(crate) layout: LayoutArg,
    /// Keep 8 bits in the matrices whose names begin so, such as `encoder.layers.0.self_attn`; may be given again.
    #[arg(long, value_name = "PREFIX")]
    pub(crate) keep_int8: Vec<String>,
    /// Leave out tables that follow from others: a smaller file that takes more memory and time to load (tiny: 4 MB).
    #[arg(long)]
    pub(crate) compact: bool,
    /// Replace DST if it exists.
    #[arg(long)]
    pub(crate) force: bool,
    /// Licence of the model, where the source does not state it.
    #[arg(long, value_name = "ID")]
    pub(crate) licence: Option<String>,
    /// Measure word error rates in f32 and packed on a `.tsv` list with columns `file` and `text`, and note them in
    /// DST.
    #[arg(long, value_name = "LIST")]
    pub(crate) measure: Option<PathBuf>,
    /// Note the figures of a JSON object in DST as well.
    #[arg(long, value_name = "FILE")]
    pub(crate) quality: Option<PathBuf>,
}

impl QuantizeArgs {
    /// The bits of each part: as `--weights` says, but for the parts that are named.
    pub(crate) fn weight_types(&self) -> WeightTypes {
        let all = WeightTypes::from(self.weights.weight_type());
        let named = |part: Option<WeightsArg>, otherwise| part.map_or(otherwise, WeightsArg::weight_type);
        WeightTypes {
            encoder: named(self.encoder, all.encoder),
            decoder: named(self.decoder, all.decoder),
            embedding: named(self.embedding, all.embedding),
        }
    }
}

/// Values of `--weights`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WeightsArg {
    /// 8 bits, one scale per output.
    Int8,
    /// 4 bits in blocks of 32; as `--weights` for the decoder and the token table, with 8 for the rest.
    Int4,
}

impl WeightsArg {
    pub(crate) fn weight_type(self) -> WeightType {
        match self {
            Self::Int8 => WeightType::Int8,
            Self::Int4 => WeightType::Int4,
        }
    }
}

/// Values of `--layout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LayoutArg {
    /// For the best kernels of this machine.
    Auto,
    /// ARM: NEON and dot product, most phones.
    Quads,
    /// ARM with int8 matrix product (i8mm).
    Octets,
    /// x86 with AVX-512 VNNI.
    Vnni,
    /// x86 with AVX2.
    Pairs,
    /// The portable kernels.
    Columns,
}

impl LayoutArg {
    pub(crate) fn layout(self) -> Option<Layout> {
        match self {
            Self::Auto => None,
            Self::Quads => Some(Layout::Quads),
            Self::Octets => Some(Layout::Octets),
            Self::Vnni => Some(Layout::Vnni),
            Self::Pairs => Some(Layout::Pairs),
            Self::Columns => Some(Layout::Columns),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// A model folder, a ggml `.bin` file, a packed model, or the name of a pulled one; without it the starter model.
    pub(crate) model: Option<NamedModel>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Speed and memory of speech-to-text, or with `--stream` the delays and the stability of live text; with
    /// `--hotwords` their recall, and the error rates of the recordings with and without them.
    Speech(BenchSpeechArgs),
    /// Speed of the kernels alone, on one thread, beside what the processor and the memory allow.
    Kernels(BenchKernelsArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ProfileArgs {
    #[command(flatten)]
    pub(crate) model: ModelArg,
    #[command(flatten)]
    pub(crate) context: ContextArg,
    /// Seconds of lasting work: 300 are the least for a valid profile, and Ctrl-C ends it early.
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub(crate) seconds: u32,
    /// A recording to measure with, instead of the built-in clip.
    #[arg(long, value_name = "FILE")]
    pub(crate) clip: Option<PathBuf>,
    /// What is said in it: adds the word error rate.
    #[arg(long, value_name = "TEXT", requires = "clip")]
    pub(crate) reference: Option<String>,
    /// Write a page with plots: one file that needs nothing else.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Measure nothing: set two profiles side by side, as `--json` wrote them.
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with_all = ["model", "clip", "seconds"])]
    pub(crate) compare: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct BenchKernelsArgs {
    /// All instruction sets of this processor, not just the one that models run on.
    #[arg(long)]
    pub(crate) all_sets: bool,
    /// Times that each operation is measured, 2 ms at least each time.
    #[arg(long, value_name = "N", default_value_t = 41, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) repeats: u32,
    /// Keep one more thread busy meanwhile, as another program would.
    #[arg(long)]
    pub(crate) with_load: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BenchSpeechArgs {
    /// Audio files, or a `.tsv` list with columns `file` and `text` (adds the word error rate).
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) model: ModelArg,
    #[command(flatten)]
    pub(crate) recording: RecordingArgs,
    /// How finely times are asked for; live text always has those of words.
    #[arg(long, value_enum, default_value_t = TimestampsArg::None, conflicts_with = "stream")]
    pub(crate) timestamps: TimestampsArg,
    /// Measure live transcription.
    #[arg(long)]
    pub(crate) stream: bool,
    /// Seconds of new audio after which live text is decoded again.
    #[arg(long, value_name = "S", default_value_t = 1.0, requires = "stream")]
    pub(crate) step: f64,
    /// Measure all recordings N times, one round after the other: shows how a machine slows down under lasting work.
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "stream",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Keep one more thread busy meanwhile, as another program would.
    #[arg(long)]
    pub(crate) with_load: bool,
    /// Only the first N recordings.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
}
