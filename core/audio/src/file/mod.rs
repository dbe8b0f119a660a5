//! Audio files of any supported format as a stream of 16 kHz mono blocks.
//!
//! Formats are told apart by content. Containers and codecs: symphonia (FLAC, MP3, AAC, Vorbis; Ogg, MP4) and opus-pure
//! (Ogg Opus); uncompressed WAV is read here. Whatever a file claims, memory stays bounded: blocks are decoded,
//! mixed down and resampled one after the other.

mod aac;
mod container;
mod detect;
mod edits;
mod opus;
mod trim;
mod wav;

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use crate::sample::first_unusable;
use crate::{AudioError, MAX_CHANNELS, MAX_RATE, MIN_RATE, Pcm16k, Resampler, SAMPLE_RATE};
use detect::Container;
pub(crate) use detect::{HEADER_BYTES, file_kind};

/// How the audio of a file is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// Uncompressed samples in a RIFF, RF64 or BW64 file.
    Wav,
    /// Free Lossless Audio Codec, native or in Ogg.
    Flac,
    /// MPEG audio layer 3.
    Mp3,
    /// Advanced Audio Coding, low complexity, in MP4 (`.m4a`) or ADTS (`.aac`).
    Aac,
    /// Vorbis in Ogg.
    Vorbis,
    /// Opus in Ogg.
    Opus,
}

impl Codec {
    const fn name(self) -> &'static str {
        match self {
            Self::Wav => "WAV",
            Self::Flac => "FLAC",
            Self::Mp3 => "MP3",
            Self::Aac => "AAC",
            Self::Vorbis => "Vorbis",
            Self::Opus => "Opus",
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a file says about its audio.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct AudioInfo {
    /// How the audio is stored.
    pub codec: Codec,
    /// Sampling rate of the stored audio, in Hz.
    pub sample_rate: u32,
    /// Channels of the stored audio.
    pub channels: u32,
    /// Length, where the container tells; for progress, not for allocating memory.
    pub duration: Option<Duration>,
}

/// An audio file being decoded: 16 kHz mono blocks, one after the other.
///
/// Memory is bounded by a block of decoded audio and the container's index, however long the file is, and by 50 MB for
/// hostile files (tested). Blocks the calling thread while reading; `Send + Sync`.
pub struct AudioFile {
    source_name: String,
    info: AudioInfo,
    decoder: Box<dyn Decode>,
    resampler: Resampler,
    /// Decoded by [`AudioFile::open`] to learn the true rate and channels, not handed out yet.
    first: Option<Block>,
    samples: Vec<f32>,
    layout: Layout,
    frames: u64,
    /// Seconds decoded before the layout last changed.
    seconds_before: f64,
    end: End,
}

enum End {
    NotYet,
    /// What was decoded has been handed out; the next call reports this.
    Failed(AudioError),
    Reached,
}

impl fmt::Debug for AudioFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AudioFile")
            .field("source_name", &self.source_name)
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

impl AudioFile {
    /// Opens a file and decodes its first block; the format is recognised by content, whatever the name.
    ///
    /// # Errors
    /// Every [`AudioError`] but `MelBins`, naming `path` and the cause. Costs at most a few MB and milliseconds whatever
    /// the file claims.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, AudioError> {
        let path = path.as_ref();
        let source_name = path.display().to_string();
        match File::open(path) {
            Ok(file) => Self::from_reader(file, source_name),
            Err(cause) => Err(AudioError::Io { source_name, cause }),
        }
    }

    /// The same from any seekable reader (a content URI, a buffer); `source_name` is what errors call it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_reader(
        reader: impl Read + Seek + Send + Sync + 'static,
        source_name: impl Into<String>,
    ) -> Result<Self, AudioError> {
        let source_name = source_name.into();
        let mut input = match Input::new(Box::new(reader)) {
            Ok(input) if input.len == 0 => return Err(AudioError::Empty { source_name }),
            Ok(input) => input,
            Err(cause) => return Err(AudioError::Io { source_name, cause }),
        };
        let container = match detect::detect(&mut input) {
            Ok(container) => container,
            Err(fault) => return Err(fault.at(&source_name, "audio")),
        };
        let codec = container.codec();
        let opened = guarded(|| {
            let mut decoder: Box<dyn Decode> = match container {
                Container::Wav => Box::new(wav::Wav::open(input)?),
                Container::OggOpus => Box::new(opus::OggOpus::open(input)?),
                other => Box::new(container::Demuxed::open(input, other)?),
            };
            let mut samples = Vec::new();
            let layout = decoder.next_block(&mut samples)?;
            Ok((decoder, samples, layout))
        });
        let (decoder, samples, layout) = opened.map_err(|fault| fault.at(&source_name, codec.name()))?;
        let codec = decoder.codec();
        let Some(layout) = layout else {
            return Err(match decoder.announced() {
                Some(announced) => AudioError::CutOff { source_name, present: 0.0, announced },
                None => AudioError::NoAudio { source_name, codec: codec.name() },
            });
        };
        let duration = decoder.seconds().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Ok(Self {
            resampler: layout.resampler().map_err(|error| error.named(&source_name))?,
            info: AudioInfo { codec, sample_rate: layout.rate, channels: layout.channels, duration },
            source_name,
            decoder,
            first: Some(Block { samples, layout }),
            samples: Vec::new(),
            layout,
            frames: 0,
            seconds_before: 0.0,
            end: End::NotYet,
        })
    }

    /// What the file says about its audio.
    #[must_use]
    pub fn info(&self) -> AudioInfo {
        self.info
    }

    /// Appends the next second or so of 16 kHz mono samples to `out`; `false` at the end.
    ///
    /// # Errors
    /// What is wrong with the rest of the file, after everything before it has been handed out; then the stream is
    /// over. [`AudioError::CutOff`] in particular comes after every sample that is there.
    pub fn next_block(&mut self, out: &mut Vec<f32>) -> Result<bool, AudioError> {
        let before = out.len();
        let target = before + SAMPLE_RATE as usize;
        while matches!(self.end, End::NotYet) && out.len() < target {
            if let Err(error) = self.advance(out) {
                self.end = End::Failed(error);
            }
        }
        if out.len() > before {
            return Ok(true);
        }
        match std::mem::replace(&mut self.end, End::Reached) {
            End::Failed(error) => Err(error),
            End::NotYet | End::Reached => Ok(false),
        }
    }

    /// Decodes one block of the file.
    fn advance(&mut self, out: &mut Vec<f32>) -> Result<(), AudioError> {
        let layout = match self.first.take() {
            Some(first) => {
                self.samples = first.samples;
                Some(first.layout)
            }
            None => {
                self.samples.clear();
                let (decoder, samples) = (&mut self.decoder, &mut self.samples);
                guarded(|| decoder.next_block(samples))
                    .map_err(|fault| fault.at(&self.source_name, self.info.codec.name()))?
            }
        };
        let Some(layout) = layout else {
            self.resampler.finish(out);
            self.end = End::Reached;
            return self.check_length();
        };
        if layout != self.layout {
            self.resampler.finish(out);
            self.resampler = layout.resampler().map_err(|error| error.named(&self.source_name))?;
            self.seconds_before = self.seconds();
            self.frames = 0;
            self.layout = layout;
        }
        self.check_samples()?;
        self.frames += (self.samples.len() / layout.channels as usize) as u64;
        self.resampler.push(&self.samples, out);
        Ok(())
    }

    fn check_samples(&self) -> Result<(), AudioError> {
        match first_unusable(&self.samples) {
            None => Ok(()),
            Some(at) => {
                let index = self.frames + at as u64 / u64::from(self.layout.channels);
                Err(AudioError::NotFinite {
                    source_name: self.source_name.clone(),
                    index,
                    seconds: self.seconds_before + index as f64 / f64::from(self.layout.rate),
                })
            }
        }
    }

    fn check_length(&self) -> Result<(), AudioError> {
        let present = self.seconds();
        match self.decoder.announced() {
            Some(announced) if present < announced => {
                Err(AudioError::CutOff { source_name: self.source_name.clone(), present, announced })
            }
            _ => Ok(()),
        }
    }

    /// Seconds of the file decoded so far.
    fn seconds(&self) -> f64 {
        self.seconds_before + self.frames as f64 / f64::from(self.layout.rate)
    }
}

/// Decodes a whole file. For recordings that fit into memory: 64 kB per second.
///
/// # Errors
/// As [`AudioFile::open`]; a file that is cut off is an error here, see [`AudioFile::next_block`] for what is there.
pub fn decode_file(path: impl AsRef<Path>) -> Result<Pcm16k, AudioError> {
    let mut file = AudioFile::open(path)?;
    let mut samples = Vec::new();
    while file.next_block(&mut samples)? {}
    Pcm16k::new(samples).map_err(|error| error.named(&file.source_name))
}

/// A decoder of one file.
trait Decode: Send + Sync {
    fn codec(&self) -> Codec;

    /// Length in seconds, where the file tells.
    fn seconds(&self) -> Option<f64>;

    /// Length in seconds that must be there or the file is cut off; less than [`seconds`](Self::seconds) by what the
    /// container cannot tell exactly.
    fn announced(&self) -> Option<f64>;

    /// Appends a block of interleaved samples to `out`; `None` at the end.
    fn next_block(&mut self, out: &mut Vec<f32>) -> Result<Option<Layout>, Fault>;
}

struct Block {
    samples: Vec<f32>,
    layout: Layout,
}

/// Rate and channels of decoded samples, both in the range that can be resampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Layout {
    rate: u32,
    channels: u32,
}

impl Layout {
    fn new(rate: u32, channels: u32) -> Result<Self, Fault> {
        if !(MIN_RATE..=MAX_RATE).contains(&rate) {
            return Err(Fault::Rate(rate));
        }
        if !(1..=MAX_CHANNELS).contains(&channels) {
            return Err(Fault::Channels(channels));
        }
        Ok(Self { rate, channels })
    }

    fn resampler(self) -> Result<Resampler, AudioError> {
        Resampler::new(self.rate, self.channels)
    }
}

/// What a decoder found wrong; becomes an [`AudioError`] with the file's name.
#[derive(Debug)]
enum Fault {
    Io(io::Error),
    Unknown(&'static str),
    Unsupported(String),
    Malformed(String),
    Rate(u32),
    Channels(u32),
    Panicked,
}

impl Fault {
    fn at(self, name: &str, codec: &'static str) -> AudioError {
        let source_name = name.to_owned();
        match self {
            Self::Io(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => {
                AudioError::Malformed { source_name, codec, cause: "it ends in the middle of its header".into() }
            }
            Self::Io(cause) => AudioError::Io { source_name, cause },
            Self::Unknown(found) => AudioError::UnknownFormat { source_name, found },
            Self::Unsupported(what) => AudioError::Unsupported { source_name, what },
            Self::Malformed(cause) => AudioError::Malformed { source_name, codec, cause },
            Self::Rate(rate) => AudioError::SampleRate { source_name, rate },
            Self::Channels(channels) => AudioError::Channels { source_name, channels },
            Self::Panicked => AudioError::Decoder { source_name, codec },
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Runs third-party decoders with a last line of defence: what should be an error on a damaged file but is a panic
/// stays an error for the app. The first line is checking headers and sizes before they are acted upon.
fn guarded<T>(decode: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    // The decoder is not used again after a fault, so a half-changed state is never seen.
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or(Err(Fault::Panicked))
}

trait ReadSeek: Read + Seek + Send + Sync {}

impl<T: Read + Seek + Send + Sync> ReadSeek for T {}

/// The bytes of a file from `start` on (a tag in front of the audio is not part of it).
struct Input {
    reader: Box<dyn ReadSeek>,
    start: u64,
    /// Bytes from `start` to the end.
    len: u64,
}

impl Input {
    fn new(mut reader: Box<dyn ReadSeek>) -> io::Result<Self> {
        let len = reader.seek(SeekFrom::End(0))?;
        reader.seek(SeekFrom::Start(0))?;
        Ok(Self { reader, start: 0, len })
    }

    /// Leaves out the first `bytes` bytes, all of them if there are fewer.
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let bytes = bytes.min(self.len);
        self.start += bytes;
        self.len -= bytes;
        self.seek(SeekFrom::Start(0)).map(drop)
    }

    /// Fills as much of `buffer` as there is from `position` on.
    fn read_at(&mut self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.seek(SeekFrom::Start(position))?;
        let mut filled = 0;
        while filled < buffer.len() {
            match self.reader.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

impl Seek for Input {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let absolute = match to {
            SeekFrom::Start(position) => SeekFrom::Start(self.start.saturating_add(position)),
            other => other,
        };
        // A position before the start would be one in the tag that was left out: the formats never go there.
        Ok(self.reader.seek(absolute)?.saturating_sub(self.start))
    }
}
