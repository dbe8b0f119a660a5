//! Where models and recordings are.

use std::path::PathBuf;
use std::sync::Arc;

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
        /// Bytes of the model.
        length: u64,
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
        /// First byte of the recording in the file.
        offset: u64,
        /// Bytes of the recording.
        length: u64,
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
