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

/// A recording that a job reads: nothing is opened before the job's thread does it, and what cannot be read is a
/// failure of the job. Read once, block by block, in memory that does not grow with its length.
#[derive(Debug)]
pub struct Recording {
    from: From,
    channel: Channel,
}

enum From {
    File(PathBuf),
    /// Name for messages, and a file.
    Reader(String, Box<dyn Seekable>),
    /// Name for messages, and a file that is read forward.
    Stream(String, Box<dyn Read + Send>),
    /// Name for messages, and samples without a header.
    Raw(String, Box<dyn Read + Send>, RawFormat),
    Samples(Pcm16k),
    Source(Box<dyn SampleSource + Send>),
}

trait Seekable: Read + Seek + Send + Sync {}

impl<R: Read + Seek + Send + Sync> Seekable for R {}

impl Recording {
    /// A file of any format that [`AudioFile`] reads; a named pipe is read forward.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        From::File(path.into()).into()
    }

    /// The same in memory; `name` is what errors call it.
    pub fn bytes(name: impl Into<String>, bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        Self::reader(name, Cursor::new(bytes))
    }

    /// The same from any seekable reader: an open file, a part of one.
    pub fn reader(name: impl Into<String>, reader: impl Read + Seek + Send + Sync + 'static) -> Self {
        From::Reader(name.into(), Box::new(reader)).into()
    }

    /// The same behind a descriptor of which the application stays the owner, as [`open_descriptor`] takes it: a file,
    /// a part of one, or a pipe. It is duplicated at once.
    ///
    /// # Errors
    /// [`AudioError::Io`] where the descriptor cannot be used or the range does not lie in the file.
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

    /// The same from an open file, or a part of one: an asset of an Android package.
    #[must_use]
    pub fn range(range: &FileRange) -> Self {
        Self::reader(range.name(), range.reader())
    }

    /// The same from a reader that only goes forward: a pipe, a socket, a decompressor. While it blocks it cannot be
    /// told of a cancelled job; the job's readers are.
    pub fn stream(name: impl Into<String>, reader: impl Read + Send + 'static) -> Self {
        From::Stream(name.into(), Box::new(reader)).into()
    }

    /// Samples without a header, from a reader that only goes forward.
    pub fn raw(name: impl Into<String>, reader: impl Read + Send + 'static, format: RawFormat) -> Self {
        From::Raw(name.into(), Box::new(reader), format).into()
    }

    /// Samples in memory. They are mono: choosing a channel of them fails.
    #[must_use]
    pub fn samples(samples: Pcm16k) -> Self {
        From::Samples(samples).into()
    }

    /// Whatever hands out samples. A channel must have been chosen there.
    pub fn source(source: impl SampleSource + Send + 'static) -> Self {
        From::Source(Box::new(source)).into()
    }

    /// What is heard of several channels: the mean of all, unless this says otherwise.
    #[must_use]
    pub fn channel(self, channel: Channel) -> Self {
        Self { channel, ..self }
    }

    /// All of it, in memory: for short clips. Blocks the calling thread.
    ///
    /// # Errors
    /// What is wrong with it.
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

/// Samples have one channel, which may be chosen.
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
    /// What kind it is; never what is in it.
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
