//! Audio files of any supported format as a stream of 16 kHz mono blocks.
//!
//! Formats are recognised by content. Codecs: symphonia (FLAC, ALAC, MPEG audio, AAC, Vorbis, ADPCM) and opus-pure
//! (Opus). MP4, Matroska, CAF and native FLAC are demuxed by symphonia; Ogg, MPEG frames and uncompressed audio in WAV,
//! W64, AIFF and AU are parsed here, so that damage can be found, measured and skipped. Memory stays bounded whatever a
//! file claims: blocks are decoded, mixed down and resampled one by one.

mod aac;
mod aiff;
mod container;
mod detect;
mod edits;
mod frames;
mod input;
mod ogg;
mod opus;
mod packets;
mod samples;
mod trim;
mod wav;

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use crate::mix::Mixer;
use crate::sample::silence_unusable;
use crate::warning::Warnings;
use crate::{
    AudioError, AudioProblem, AudioWarning, Channel, MAX_CHANNELS, MAX_RATE, MIN_RATE, Pcm16k, Resampler, SAMPLE_RATE,
};
use detect::Container;
pub(crate) use detect::{HEADER_BYTES, file_kind};
use input::Input;

/// How the audio of a file is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// Uncompressed or companded samples in a RIFF, RF64, BW64 or W64 file.
    Wav,
    /// Uncompressed or companded samples in another container: AIFF, AU, CAF, QuickTime, Matroska.
    Pcm,
    /// Four bits per sample by IMA's or Microsoft's rules, in WAV, AIFF or CAF.
    Adpcm,
    /// Free Lossless Audio Codec.
    Flac,
    /// Apple Lossless Audio Codec.
    Alac,
    /// MPEG audio layer 1 or 2.
    Mp2,
    /// MPEG audio layer 3.
    Mp3,
    /// Advanced Audio Coding: low complexity, and the core of HE-AAC, which has the lower half of its band.
    Aac,
    /// Vorbis.
    Vorbis,
    /// Opus.
    Opus,
}

impl Codec {
    const fn name(self) -> &'static str {
        match self {
            Self::Wav => "WAV",
            Self::Pcm => "PCM",
            Self::Adpcm => "ADPCM",
            Self::Flac => "FLAC",
            Self::Alac => "ALAC",
            Self::Mp2 => "MP2",
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

/// Properties of a file's audio.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct AudioInfo {
    /// How the audio is stored.
    pub codec: Codec,
    /// Sampling rate of the stored audio, in Hz.
    pub sample_rate: u32,
    /// Number of channels of the stored audio.
    pub channels: u32,
    /// Length, if the container states it. Use it for progress, not to allocate memory.
    pub duration: Option<Duration>,
}

/// An audio file that is decoded to 16 kHz mono, block by block.
///
/// Damage does not end decoding: everything that can be decoded keeps its time, and [`warnings`](Self::warnings) says
/// what was wrong. Memory is bounded by a block of decoded audio and the container's index, however long the file is,
/// and by 50 MB for hostile files (tested). Blocks the calling thread while reading; `Send + Sync`.
pub struct AudioFile {
    source_name: String,
    info: AudioInfo,
    decoder: Box<dyn Decode>,
    channel: Channel,
    mixer: Mixer,
    resampler: Resampler,
    /// The block that [`AudioFile::open`] decoded to find the real rate and channels; not returned yet.
    first: Option<Block>,
    samples: Vec<f32>,
    mono: Vec<f32>,
    layout: Layout,
    frames: u64,
    /// Seconds decoded before the layout last changed.
    seconds_before: f64,
    /// Position of the first unusable sample (index, seconds), as long as no usable one was found.
    unusable: Option<(u64, f64)>,
    usable: bool,
    warnings: Warnings,
    end: End,
}

enum End {
    NotYet,
    /// Everything decoded was returned; the next call returns this error.
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
    /// Opens a file and decodes its first block. The format is recognised by content, not by the name.
    ///
    /// A named pipe or a device is read forward, as by [`from_stream`](Self::from_stream): opening waits for its first
    /// bytes.
    ///
    /// # Errors
    /// Every [`AudioError`] except `MelBins`, with `path` and the cause. Costs at most a few MB and milliseconds,
    /// whatever the file claims.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, AudioError> {
        let path = path.as_ref();
        let source_name = path.display().to_string();
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?.is_file(), file)));
        match opened {
            Ok((true, file)) => Self::from_reader(file, source_name),
            Ok((false, pipe)) => Self::from_stream(pipe, source_name),
            Err(cause) => Err(AudioError::Io { source_name, cause }),
        }
    }

    /// As [`open`](Self::open), from any seekable reader (a content URI, a buffer); `source_name` is its name in
    /// errors.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_reader(
        reader: impl Read + Seek + Send + Sync + 'static,
        source_name: impl Into<String>,
    ) -> Result<Self, AudioError> {
        let source_name = source_name.into();
        match Input::seekable(reader) {
            Ok(input) => Self::from_input(input, source_name),
            Err(cause) => Err(AudioError::Io { source_name, cause }),
        }
    }

    /// As [`open`](Self::open), from a forward-only reader: a pipe, a socket, a decompressor.
    ///
    /// Blocks are returned as they are read. MP4 and CAF files, whose index may be at the end, are first read into
    /// memory, at most 512 MB. The length is unknown for formats that state it only at the end.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_stream(reader: impl Read + Send + 'static, source_name: impl Into<String>) -> Result<Self, AudioError> {
        Self::from_input(Input::forward(reader), source_name.into())
    }

    fn from_input(mut input: Input, source_name: String) -> Result<Self, AudioError> {
        match input.read_at(0, &mut [0]) {
            Ok(0) => return Err(AudioError::Empty { source_name }),
            Ok(_) => {}
            Err(cause) => return Err(AudioError::Io { source_name, cause }),
        }
        let (container, skipped) = match detect::detect(&mut input) {
            Ok(detected) => detected,
            Err(fault) => return Err(fault.at(&source_name, "audio")),
        };
        let codec = container.codec();
        let opened = guarded(|| {
            let mut decoder = decoder(input, container)?;
            let mut samples = Vec::new();
            let layout = decoder.next_block(&mut samples)?;
            Ok((decoder, samples, layout))
        });
        let (mut decoder, samples, layout) = opened.map_err(|fault| fault.at(&source_name, codec.name()))?;
        let codec = decoder.codec();
        let Some(layout) = layout else {
            return Err(match decoder.announced() {
                Some(announced) if announced > 0.0 => AudioError::CutOff { source_name, announced },
                _ => AudioError::NoAudio { source_name, codec: codec.name() },
            });
        };
        let duration = decoder.seconds().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let mut warnings = Warnings::default();
        if skipped > 0 {
            warnings.add(0.0, 0.0, AudioProblem::Foreign { bytes: skipped });
        }
        for Loss { seconds, problem } in decoder.take_losses() {
            warnings.add(0.0, seconds, problem);
        }
        Ok(Self {
            channel: Channel::Mix,
            mixer: layout.mixer(Channel::Mix),
            resampler: layout.resampler().map_err(|error| error.named(&source_name))?,
            info: AudioInfo { codec, sample_rate: layout.rate, channels: layout.channels, duration },
            source_name,
            decoder,
            first: Some(Block { samples, layout }),
            samples: Vec::new(),
            mono: Vec::new(),
            layout,
            frames: 0,
            seconds_before: 0.0,
            unusable: None,
            usable: false,
            warnings,
            end: End::NotYet,
        })
    }

    /// Properties of the file's audio.
    #[must_use]
    pub fn info(&self) -> AudioInfo {
        self.info
    }

    /// Selects the channel from the next block on. The default is the mean of all channels.
    ///
    /// # Errors
    /// [`AudioError::NoChannel`] when the file has fewer channels.
    pub fn select(&mut self, channel: Channel) -> Result<(), AudioError> {
        if let Channel::Only(wanted) = channel
            && wanted >= self.info.channels
        {
            let channels = self.info.channels;
            return Err(AudioError::NoChannel { source_name: self.source_name.clone(), wanted, channels });
        }
        self.channel = channel;
        self.mixer = self.layout.mixer(channel);
        Ok(())
    }

    /// The damage found in the part that was read, ordered by time. Damage of the same kind within a second is reported
    /// as one warning. There are at most a hundred; the last one then stands for all that follow.
    #[must_use]
    pub fn warnings(&self) -> &[AudioWarning] {
        self.warnings.all()
    }

    /// Appends the next second or so of 16 kHz mono samples to `out`; `false` at the end.
    ///
    /// # Errors
    /// [`AudioError::NotFinite`] at the end of a file without a usable sample. All other damage after the first block
    /// only causes [`warnings`](Self::warnings).
    pub fn next_block(&mut self, out: &mut Vec<f32>) -> Result<bool, AudioError> {
        let before = out.len();
        let target = before + SAMPLE_RATE as usize;
        while matches!(self.end, End::NotYet) && out.len() < target {
            self.advance(out);
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
    fn advance(&mut self, out: &mut Vec<f32>) {
        let layout = match self.first.take() {
            Some(first) => {
                self.samples = first.samples;
                Some(first.layout)
            }
            None => self.decode_block(),
        };
        let Some(layout) = layout else { return self.finish(out) };
        if layout != self.layout {
            self.resampler.finish(out);
            // The rate and channels of a layout are always valid for a resampler.
            let Ok(resampler) = layout.resampler() else { return self.finish(out) };
            self.resampler = resampler;
            self.mixer = layout.mixer(self.channel);
            self.seconds_before = self.seconds();
            self.frames = 0;
            self.layout = layout;
        }
        self.check_samples();
        self.frames += (self.samples.len() / layout.channels as usize) as u64;
        self.mono.clear();
        self.mixer.push(&self.samples, &mut self.mono);
        self.resampler.push(&self.mono, out);
    }

    /// Decodes the next block into `samples`; `None` at the end of the file, or if it cannot be decoded any further.
    fn decode_block(&mut self) -> Option<Layout> {
        self.samples.clear();
        let (decoder, samples) = (&mut self.decoder, &mut self.samples);
        let result = guarded(|| decoder.next_block(samples));
        let at = self.seconds();
        for Loss { seconds, problem } in self.decoder.take_losses() {
            self.warnings.add(at, seconds, problem);
        }
        match result {
            Ok(layout) => {
                if layout.is_none() {
                    self.check_length();
                }
                layout
            }
            Err(fault) => {
                let lost = self.decoder.announced().map_or(0.0, |announced| (announced - at).max(0.0));
                self.warnings.add(at, lost, fault.problem());
                None
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<f32>) {
        self.resampler.finish(out);
        self.end = match self.unusable {
            Some((index, seconds)) if !self.usable => {
                out.clear();
                End::Failed(AudioError::NotFinite { source_name: self.source_name.clone(), index, seconds })
            }
            _ => End::Reached,
        };
    }

    /// Replaces unusable samples by silence.
    fn check_samples(&mut self) {
        let Some((first, count)) = silence_unusable(&mut self.samples) else {
            self.usable |= !self.samples.is_empty();
            return;
        };
        let index = self.frames + first as u64 / u64::from(self.layout.channels);
        let at = self.seconds_before + index as f64 / f64::from(self.layout.rate);
        self.usable |= count < self.samples.len();
        self.unusable.get_or_insert((index, at));
        self.warnings.add(at, 0.0, AudioProblem::NotFinite { samples: count as u64 });
    }

    fn check_length(&mut self) {
        let present = self.seconds();
        if let Some(announced) = self.decoder.announced()
            && present < announced
        {
            self.warnings.add(present, announced - present, AudioProblem::Length { announced, present });
        }
    }

    /// Seconds of the file decoded so far.
    fn seconds(&self) -> f64 {
        self.seconds_before + self.frames as f64 / f64::from(self.layout.rate)
    }
}

/// The decoder of a container.
fn decoder(mut input: Input, container: Container) -> Result<Box<dyn Decode>, Fault> {
    Ok(match container {
        Container::Caf => match aiff::caf_samples(&mut input)? {
            Some(run) => Box::new(samples::Samples::open(input, run)?),
            None => Box::new(container::Demuxed::open(input, container)?),
        },
        Container::Wav => wav::open_riff(input, samples::Order::Little)?,
        Container::Rifx => wav::open_riff(input, samples::Order::Big)?,
        Container::W64 => wav::open_w64(input)?,
        Container::Aiff => aiff::open_aiff(input)?,
        Container::Au => aiff::open_au(input)?,
        Container::Mpeg => Box::new(frames::Frames::open(input, frames::Kind::Mpeg)?),
        Container::Adts => Box::new(frames::Frames::open(input, frames::Kind::Adts)?),
        Container::Ogg => Box::new(ogg::Ogg::open(input)?),
        Container::Flac | Container::Mp4 | Container::Matroska => Box::new(container::Demuxed::open(input, container)?),
    })
}

/// Decodes a whole file, damaged or not (for details of damage use [`AudioFile::warnings`]). For recordings that fit
/// into memory: 64 kB per second.
///
/// # Errors
/// As [`AudioFile::open`] and [`AudioFile::next_block`].
pub fn decode_file(path: impl AsRef<Path>) -> Result<Pcm16k, AudioError> {
    let mut file = AudioFile::open(path)?;
    let mut samples = Vec::new();
    while file.next_block(&mut samples)? {}
    Pcm16k::new(samples).map_err(|error| error.named(&file.source_name))
}

/// A decoder of one file.
trait Decode: Send + Sync {
    fn codec(&self) -> Codec;

    /// Length in seconds, if the file states it.
    fn seconds(&self) -> Option<f64>;

    /// Minimum length in seconds; a shorter file is cut off. Smaller than [`seconds`](Self::seconds) by the container's
    /// inaccuracy.
    fn announced(&self) -> Option<f64>;

    /// Appends a block of interleaved samples to `out`; `None` at the end. Audio that is lost before a block is
    /// replaced by silence, if the file tells how much it is.
    fn next_block(&mut self, out: &mut Vec<f32>) -> Result<Option<Layout>, Fault>;

    /// Damage found since the last call; it lies at the start of the last block.
    fn take_losses(&mut self) -> Vec<Loss>;
}

/// Damage that does not end a file, and how much audio is lost.
#[derive(Debug)]
struct Loss {
    seconds: f64,
    problem: AudioProblem,
}

impl Loss {
    fn damaged(seconds: f64, cause: &str) -> Self {
        Self { seconds, problem: AudioProblem::Damaged { cause: cause.to_owned() } }
    }
}

struct Block {
    samples: Vec<f32>,
    layout: Layout,
}

/// Rate and channels of decoded samples; both are valid for a resampler.
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

    fn mixer(self, wanted: Channel) -> Mixer {
        Mixer::new(self.channels, self.rate, wanted)
    }

    /// A resampler for the mixer's output.
    fn resampler(self) -> Result<Resampler, AudioError> {
        Resampler::new(self.rate, 1)
    }
}

/// A fault found by a decoder; becomes an [`AudioError`] with the file's name.
#[derive(Debug)]
enum Fault {
    Io(io::Error),
    Unknown(&'static str),
    Unsupported { what: String, remedy: &'static str },
    Malformed(String),
    Rate(u32),
    Channels(u32),
    Panicked,
}

// ffmpeg reads nearly every format.
const CONVERT: &str = "convert it first: `ffmpeg -i FILE -ac 1 -ar 16000 FILE.wav`";

impl Fault {
    fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported { what: what.into(), remedy: CONVERT }
    }

    /// The problem for a warning, for a file whose start was decoded.
    fn problem(self) -> AudioProblem {
        match self {
            Self::Io(cause) => AudioProblem::Unreadable { cause: cause.to_string() },
            Self::Panicked => AudioProblem::Unreadable { cause: "the decoder gave up".into() },
            Self::Malformed(cause) => AudioProblem::Damaged { cause },
            Self::Unsupported { what, .. } => AudioProblem::Damaged { cause: format!("it goes on with {what}") },
            Self::Unknown(found) => AudioProblem::Damaged { cause: found.to_owned() },
            Self::Rate(rate) => AudioProblem::Damaged { cause: format!("its rate changes to {rate} Hz") },
            Self::Channels(channels) => AudioProblem::Damaged { cause: format!("it changes to {channels} channels") },
        }
    }

    fn at(self, name: &str, codec: &'static str) -> AudioError {
        let source_name = name.to_owned();
        match self {
            Self::Io(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => {
                AudioError::Malformed { source_name, codec, cause: "it ends in the middle of its header".into() }
            }
            Self::Io(cause) => AudioError::Io { source_name, cause },
            Self::Unknown(found) => AudioError::UnknownFormat { source_name, found },
            Self::Unsupported { what, remedy } => AudioError::Unsupported { source_name, what, remedy },
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

/// Runs third-party decoders and turns a panic on a damaged file into an error. This is the last line of defence; the
/// first is to check headers and sizes before they are used.
fn guarded<T>(decode: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    // The decoder is not used again after a fault, so its state does not matter.
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or(Err(Fault::Panicked))
}
