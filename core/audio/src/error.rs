//! Errors of audio input: what is wrong, where, and what to do about it.

use std::io;

/// Why audio could not be read or used.
///
/// `source_name` is the file's path, or the caller's name for a reader (`stdin`). The content is never quoted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AudioError {
    /// The operating system refused to open or read the source.
    #[error("{source_name}: cannot be read: {cause}")]
    Io {
        /// Where the audio was to come from.
        source_name: String,
        /// What the operating system said.
        #[source]
        cause: io::Error,
    },
    /// The source is empty.
    #[error("{source_name}: the file is empty; was the recording or the download finished?")]
    Empty {
        /// Where the audio was to come from.
        source_name: String,
    },
    /// A valid file without a single sample.
    #[error("{source_name}: the {codec} file holds no audio; was the recording finished?")]
    NoAudio {
        /// Where the audio was to come from.
        source_name: String,
        /// The format that was recognised.
        codec: &'static str,
    },
    /// The content is not a supported audio format.
    #[error(
        "{source_name}: {found}; WAV, AIFF, CAF, FLAC, MP3, M4A/AAC/ALAC, Ogg and WebM with Vorbis or Opus can be read"
    )]
    UnknownFormat {
        /// Where the audio was to come from.
        source_name: String,
        /// What the content looks like instead.
        found: &'static str,
    },
    /// A supported container with content that this crate does not decode.
    #[error("{source_name}: {what} is not supported; {remedy}")]
    Unsupported {
        /// Where the audio was to come from.
        source_name: String,
        /// What is not supported.
        what: String,
        /// What to do about it, such as how to convert the file.
        remedy: &'static str,
    },
    /// The file violates the rules of its format.
    #[error("{source_name}: damaged {codec} file: {cause}; download or record it again")]
    Malformed {
        /// Where the audio was to come from.
        source_name: String,
        /// The format that was recognised.
        codec: &'static str,
        /// The violated rule.
        cause: String,
    },
    /// The file ends before the first sample that its header announces. Files that end later are read up to their end,
    /// with the warning [`AudioProblem::Length`](crate::AudioProblem::Length).
    #[error(
        "{source_name}: cut off: the header announces {announced:.3} s, none of it is there; download or copy it again"
    )]
    CutOff {
        /// Where the audio was to come from.
        source_name: String,
        /// Seconds of audio that the header announces.
        announced: f64,
    },
    /// A stream of raw samples begins with a file header.
    #[error(
        "{source_name}: raw samples were announced, but it begins as a file ({kind}); give the file itself, or what \
         `ffmpeg -i FILE -f s16le -ac 1 -ar 16000 -` makes of it"
    )]
    FileHeader {
        /// Where the audio was to come from.
        source_name: String,
        /// The kind of file.
        kind: String,
    },
    /// A sampling rate outside the supported range.
    #[error("{source_name}: a sampling rate of {rate} Hz; rates from 1,000 to 384,000 Hz can be read")]
    SampleRate {
        /// Where the audio was to come from.
        source_name: String,
        /// The rate found, in Hz.
        rate: u32,
    },
    /// No channel, or more channels than supported.
    #[error("{source_name}: {channels} channels; 1 to 32 channels can be read")]
    Channels {
        /// Where the audio was to come from.
        source_name: String,
        /// The number of channels found.
        channels: u32,
    },
    /// The recording does not have the selected channel.
    #[error("{source_name}: has {channels} channels, so there is no channel {}", wanted + 1)]
    NoChannel {
        /// Where the audio was to come from.
        source_name: String,
        /// The channel, counted from 0.
        wanted: u32,
        /// Number of channels.
        channels: u32,
    },
    /// A sample is not usable: NaN, infinite, or beyond a million times full scale. A file is refused only if none of
    /// its samples is usable.
    #[error("{source_name}: sample {index} ({seconds:.3} s) is not a finite number in range; export the audio again")]
    NotFinite {
        /// Where the audio came from.
        source_name: String,
        /// Index of the first such sample, per channel, counted from the start of the source.
        index: u64,
        /// The same position in seconds.
        seconds: f64,
    },
    /// The number of mel bins is not 80 or 128, the only ones that Whisper models use.
    #[error("{n_mels} mel bins; Whisper models use 80 or 128: is this the right model file?")]
    MelBins {
        /// The requested number.
        n_mels: usize,
    },
    /// A decoder panicked: because of a damaged source, or a bug in the decoder.
    #[error(
        "{source_name}: the {codec} decoder gave up; convert the file to WAV or FLAC first, \
         and report it if it plays elsewhere"
    )]
    Decoder {
        /// Where the audio came from.
        source_name: String,
        /// The format that was recognised.
        codec: &'static str,
    },
}

impl AudioError {
    /// The same error about `name`.
    pub(crate) fn named(mut self, name: &str) -> Self {
        match &mut self {
            Self::Io { source_name, .. }
            | Self::Empty { source_name }
            | Self::NoAudio { source_name, .. }
            | Self::UnknownFormat { source_name, .. }
            | Self::Unsupported { source_name, .. }
            | Self::Malformed { source_name, .. }
            | Self::CutOff { source_name, .. }
            | Self::FileHeader { source_name, .. }
            | Self::SampleRate { source_name, .. }
            | Self::Channels { source_name, .. }
            | Self::NoChannel { source_name, .. }
            | Self::NotFinite { source_name, .. }
            | Self::Decoder { source_name, .. } => name.clone_into(source_name),
            Self::MelBins { .. } => {}
        }
        self
    }
}
