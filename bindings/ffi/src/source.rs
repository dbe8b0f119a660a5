//! Where models and recordings are.

use std::path::PathBuf;

use sotto::audio::{Channel, RawFormat, Recording, SampleFormat};
use sotto::speech::{ModelSource, SessionInput};
use sotto::{FileRange, MemoryFile};

use crate::error::SpeechFailure;

/// Where a model is.
#[derive(Debug, Clone, uniffi::Enum)]
pub enum ModelLocation {
    /// A folder, a ggml file or a packed model.
    Path {
        /// Absolute path.
        path: String,
    },
    /// A packed model in memory. Copied once; a file or a descriptor is mapped and costs no memory of its own.
    Bytes {
        /// Name for messages.
        name: String,
        /// The file.
        bytes: Vec<u8>,
    },
    /// A packed model inside an open file, such as an uncompressed asset of an Android package: mapped where it lies.
    Descriptor {
        /// Name for messages.
        name: String,
        /// File descriptor of this process. It is duplicated: the caller closes its own at any time.
        descriptor: i32,
        /// First byte of the model in the file.
        offset: u64,
        /// Bytes of the model; `null` for all up to the end.
        length: Option<u64>,
    },
}

/// Where a recording is.
#[derive(Debug, Clone, uniffi::Enum)]
pub enum AudioInput {
    /// A file of any format that Sotto reads.
    Path {
        /// Absolute path.
        path: String,
    },
    /// The bytes of such a file.
    Bytes {
        /// Name for messages.
        name: String,
        /// The file.
        bytes: Vec<u8>,
    },
    /// Such a file inside an open file.
    Descriptor {
        /// Name for messages.
        name: String,
        /// File descriptor of this process. It is duplicated: the caller closes its own at any time.
        descriptor: i32,
        /// First byte of the recording in the file; 0 for a pipe, as documents of remote storage are.
        offset: u64,
        /// Bytes of the recording; `null` for all up to the end.
        length: Option<u64>,
    },
    /// Samples.
    Samples {
        /// Interleaved samples.
        pcm: Vec<u8>,
        /// What they are.
        format: PcmFormat,
    },
}

/// How a sample is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum SampleEncoding {
    /// Two bytes, little-endian: what `AudioRecord` gives by default.
    Signed16,
    /// Four bytes, little-endian, -1 to 1: what AVAudioEngine gives.
    Float32,
}

/// Format of raw samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct PcmFormat {
    /// How a sample is written.
    pub encoding: SampleEncoding,
    /// Samples per second and channel.
    #[uniffi(default = 16000)]
    pub rate: u32,
    /// Interleaved channels; they are mixed.
    #[uniffi(default = 1)]
    pub channels: u16,
}

/// Which channel of a recording is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum AudioChannel {
    /// All together; one alone where they cancel each other.
    Mix,
    /// The first one.
    Left,
    /// The second one.
    Right,
}

impl ModelLocation {
    pub(crate) fn source(self) -> Result<ModelSource, SpeechFailure> {
        Ok(match self {
            Self::Path { path } => ModelSource::Path(PathBuf::from(path)),
            Self::Bytes { name, bytes } => ModelSource::Memory(MemoryFile::new(&name, bytes)),
            Self::Descriptor { name, descriptor, offset, length } => {
                let range = FileRange::of_descriptor(descriptor, offset, length, &name);
                ModelSource::File(range.map_err(|error| SpeechFailure::model(&error))?)
            }
        })
    }
}

impl AudioInput {
    pub(crate) fn recording(self, channel: Option<AudioChannel>) -> Result<Recording, SpeechFailure> {
        let recording = match self {
            Self::Path { path } => Recording::file(path),
            Self::Bytes { name, bytes } => Recording::bytes(name, bytes),
            Self::Descriptor { name, descriptor, offset, length } => {
                Recording::descriptor(name, descriptor, offset, length).map_err(|error| SpeechFailure::audio(&error))?
            }
            Self::Samples { pcm, format } => Recording::raw("samples", std::io::Cursor::new(pcm), format.raw()),
        };
        Ok(recording.channel(match channel {
            Some(AudioChannel::Left) => Channel::LEFT,
            Some(AudioChannel::Right) => Channel::RIGHT,
            Some(AudioChannel::Mix) | None => Channel::Mix,
        }))
    }
}

impl SampleEncoding {
    fn format(self) -> SampleFormat {
        match self {
            Self::Signed16 => SampleFormat::S16Le,
            Self::Float32 => SampleFormat::F32Le,
        }
    }
}

impl PcmFormat {
    pub(crate) fn input(self) -> SessionInput {
        SessionInput { rate: self.rate, channels: self.channels, format: self.encoding.format() }
    }

    fn raw(self) -> RawFormat {
        RawFormat { sample: self.encoding.format(), rate: self.rate, channels: u32::from(self.channels) }
    }
}
