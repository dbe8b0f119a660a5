//! Reading audio: files of many formats, raw samples, resampling.

mod open;

use std::fmt;
use std::io::{Cursor, Read, Seek};
use std::path::PathBuf;

use sotto_speech::FileRange;

pub use sotto_audio::{
    AudioError, AudioFile, AudioInfo, AudioProblem, AudioWarning, Channel, Codec, Pcm16k, RawBytes, RawFormat, RawPcm,
    Resampler, SAMPLE_RATE, SampleFormat, decode_file,
};
pub use sotto_speech::{SampleSource, Samples};

#[cfg(unix)]
pub use open::open_descriptor;
pub use open::{decode_bytes, open_bytes, open_range};
#[cfg(unix)]
pub use sotto_speech::duplicate_descriptor;

/// A recording for a job. The job's thread opens it; a recording that cannot be read makes the job fail. It is read
/// once, block by block, in memory that does not grow with its length.
#[derive(Debug)]
pub struct Recording {
    from: From,
    channel: Channel,
}

enum From {
    File(PathBuf),
    /// Name for messages, and a seekable file.
    Reader(String, Box<dyn Seekable>),
    /// Name for messages, and a file that is only read forward.
    Stream(String, Box<dyn Read + Send>),
    /// Name for messages, and samples without a header.
    Raw(String, Box<dyn Read + Send>, RawFormat),
    Samples(Pcm16k),
    Source(Box<dyn SampleSource + Send>),
}

trait Seekable: Read + Seek + Send + Sync {}

impl<R: Read + Seek + Send + Sync> Seekable for R {}

impl Recording {
    /// A file of any format that [`AudioFile`] supports; a named pipe is read forward.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        From::File(path.into()).into()
    }

    /// A file in memory; `name` is its name in errors.
    pub fn bytes(name: impl Into<String>, bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        Self::reader(name, Cursor::new(bytes))
    }

    /// A file from any seekable reader: an open file, or a part of one.
    pub fn reader(name: impl Into<String>, reader: impl Read + Seek + Send + Sync + 'static) -> Self {
        From::Reader(name.into(), Box::new(reader)).into()
    }

    /// A file, a part of one, or a pipe by its descriptor, as in [`open_descriptor`]. The descriptor is duplicated at
    /// once; the application keeps its own.
    ///
    /// # Errors
    /// [`AudioError::Io`] when the descriptor cannot be used or the range does not lie in the file.
    #[cfg(unix)]
    pub fn descriptor(
        name: impl Into<String>,
        descriptor: std::os::fd::RawFd,
        offset: u64,
        length: Option<u64>,
    ) -> Result<Self, AudioError> {
        let name = name.into();
        match open::of_descriptor(descriptor, offset, length, &name)? {
            open::Behind::File(range) => Ok(Self::reader(name, range.reader())),
            open::Behind::Stream(stream) => Ok(Self::stream(name, stream)),
        }
    }

    /// An open file, or a part of one, such as an asset of an Android package.
    #[must_use]
    pub fn range(range: &FileRange) -> Self {
        Self::reader(range.name(), range.reader())
    }

    /// A file from a forward-only reader: a pipe, a socket, a decompressor. A read that blocks does not notice that the
    /// job was cancelled; those who wait for events do.
    pub fn stream(name: impl Into<String>, reader: impl Read + Send + 'static) -> Self {
        From::Stream(name.into(), Box::new(reader)).into()
    }

    /// Raw samples without a header, from a forward-only reader.
    pub fn raw(name: impl Into<String>, reader: impl Read + Send + 'static, format: RawFormat) -> Self {
        From::Raw(name.into(), Box::new(reader), format).into()
    }

    /// Samples in memory. They are mono, so selecting a channel other than the first fails.
    #[must_use]
    pub fn samples(samples: Pcm16k) -> Self {
        From::Samples(samples).into()
    }

    /// Any source of samples. A channel must be selected in the source itself.
    pub fn source(source: impl SampleSource + Send + 'static) -> Self {
        From::Source(Box::new(source)).into()
    }

    /// Selects a channel; the default is the mean of all channels.
    #[must_use]
    pub fn channel(self, channel: Channel) -> Self {
        Self { channel, ..self }
    }

    /// Decodes the whole recording into memory: for short clips. Blocks the calling thread.
    ///
    /// # Errors
    /// [`AudioError`] when it cannot be read.
    pub fn decode(self) -> Result<Pcm16k, AudioError> {
        self.read(|source| {
            let mut samples = Vec::new();
            while source.next_block(&mut samples)? {}
            Pcm16k::new(samples)
        })
    }

    /// Opens it and calls `read` with its samples.
    pub(crate) fn read<T, E: std::convert::From<AudioError>>(
        self,
        read: impl FnOnce(&mut dyn SampleSource) -> Result<T, E>,
    ) -> Result<T, E> {
        let Self { from, channel } = self;
        let mut file = match from {
            From::File(path) => AudioFile::open(path)?,
            From::Reader(name, reader) => AudioFile::from_reader(reader, name)?,
            From::Stream(name, reader) => AudioFile::from_stream(reader, name)?,
            From::Raw(name, reader, format) => {
                let mut raw = RawPcm::new(reader, format, name)?;
                raw.select(channel)?;
                return read(&mut raw);
            }
            From::Samples(samples) => {
                check_mono(channel)?;
                return read(&mut Samples::from(&samples));
            }
            From::Source(mut source) => {
                check_mono(channel)?;
                return read(source.as_mut());
            }
        };
        file.select(channel)?;
        read(&mut file)
    }
}

/// Samples have one channel, which may be selected.
fn check_mono(channel: Channel) -> Result<(), AudioError> {
    match channel {
        Channel::Only(wanted) if wanted > 0 => {
            Err(AudioError::NoChannel { source_name: "samples".into(), wanted, channels: 1 })
        }
        _ => Ok(()),
    }
}

impl std::convert::From<From> for Recording {
    fn from(from: From) -> Self {
        Self { from, channel: Channel::default() }
    }
}

impl std::convert::From<Pcm16k> for Recording {
    fn from(samples: Pcm16k) -> Self {
        Self::samples(samples)
    }
}

impl std::convert::From<PathBuf> for Recording {
    fn from(path: PathBuf) -> Self {
        Self::file(path)
    }
}

impl fmt::Debug for From {
    /// Its kind; never its content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Reader(name, _) => f.debug_tuple("Reader").field(name).finish(),
            Self::Stream(name, _) => f.debug_tuple("Stream").field(name).finish(),
            Self::Raw(name, _, format) => f.debug_tuple("Raw").field(name).field(format).finish(),
            Self::Samples(samples) => f.debug_tuple("Samples").field(&samples.seconds()).finish(),
            Self::Source(_) => f.write_str("Source"),
        }
    }
}
