//! What can be wrong with audio, where, and what to do about it.

use std::io;

/// Why audio could not be read or used.
///
/// `source_name` is the file's path, or the name that the caller gave to a reader (`stdin`). Nothing of the content
/// is ever quoted.
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
    /// The source has no bytes at all.
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
    /// The content is no audio format that this crate knows.
    #[error(
        "{source_name}: {found}; WAV, AIFF, CAF, FLAC, MP3, M4A/AAC/ALAC, Ogg and WebM with Vorbis or Opus can be read"
    )]
    UnknownFormat {
        /// Where the audio was to come from.
        source_name: String,
        /// What the content looks like instead.
        found: &'static str,
    },
    /// A known container with something in it that this crate does not decode.
    #[error("{source_name}: {what} is not supported; {remedy}")]
    Unsupported {
        /// Where the audio was to come from.
        source_name: String,
        /// What is not supported.
        what: String,
        /// What to do about it: what converts such files.
        remedy: &'static str,
    },
    /// The file breaks the rules of its own format.
    #[error("{source_name}: damaged {codec} file: {cause}; download or record it again")]
    Malformed {
        /// Where the audio was to come from.
        source_name: String,
        /// The format that was recognised.
        codec: &'static str,
        /// The rule that is broken.
        cause: String,
    },
    /// The file ends before the first sample of the audio that its header announces. Files that end later are read as
    /// far as they go, with an [`AudioProblem::Length`](crate::AudioProblem::Length).
    #[error(
        "{source_name}: cut off: the header announces {announced:.3} s, none of it is there; download or copy it again"
    )]
    CutOff {
        /// Where the audio was to come from.
        source_name: String,
        /// Seconds of audio that the header announces.
        announced: f64,
    },
    /// A stream of raw samples that begins with the header of a file.
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
    /// A sampling rate outside of what can be resampled.
    #[error("{source_name}: a sampling rate of {rate} Hz; rates from 1,000 to 384,000 Hz can be read")]
    SampleRate {
        /// Where the audio was to come from.
        source_name: String,
        /// The rate found, in Hz.
        rate: u32,
    },
    /// No channel, or more than can be mixed down.
    #[error("{source_name}: {channels} channels; 1 to 32 channels can be read")]
    Channels {
        /// Where the audio was to come from.
        source_name: String,
        /// The number of channels found.
        channels: u32,
    },
    /// A channel was chosen that the recording does not have.
    #[error("{source_name}: has {channels} channels, so there is no channel {}", wanted + 1)]
    NoChannel {
        /// Where the audio was to come from.
        source_name: String,
        /// The channel, counted from 0.
        wanted: u32,
        /// Channels that there are.
        channels: u32,
    },
    /// A sample that is no usable number: NaN, infinite, or beyond a million times full scale. A file is refused for it
    /// only if it has no other samples.
    #[error("{source_name}: sample {index} ({seconds:.3} s) is not a finite number in range; export the audio again")]
    NotFinite {
        /// Where the audio came from.
        source_name: String,
        /// Index of the first such sample, per channel, counted from the start of the source.
        index: u64,
        /// The same position in seconds.
        seconds: f64,
    },
    /// Whisper models use 80 or 128 mel bins, nothing else.
    #[error("{n_mels} mel bins; Whisper models use 80 or 128: is this the right model file?")]
    MelBins {
        /// The number asked for.
        n_mels: usize,
    },
    /// A decoder failed in a way that it should not; the source is at fault or the decoder is.
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
