//! Raw PCM from a pipe: without a header, so the caller states the format.

use std::fmt;
use std::io::{ErrorKind, Read};

use crate::file::{HEADER_BYTES, file_kind};
use crate::mix::Mixer;
use crate::sample::first_unusable;
use crate::{AudioError, Channel, Resampler, SampleFormat};

/// Format of a raw PCM stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawFormat {
    /// How one sample is stored.
    pub sample: SampleFormat,
    /// Frames per second, in Hz.
    pub rate: u32,
    /// Number of interleaved channels.
    pub channels: u32,
}

impl Default for RawFormat {
    /// 16-bit, 16 kHz, mono: what `arecord -f S16_LE -r 16000` and `ffmpeg -f s16le -ar 16000 -ac 1` write.
    fn default() -> Self {
        Self { sample: SampleFormat::S16Le, rate: crate::SAMPLE_RATE, channels: 1 }
    }
}

// The capacity of a pipe on Linux, so one read empties it; two seconds of 16-bit mono at 16 kHz.
const READ_BYTES: usize = 64 * 1024;

/// Raw PCM as a stream of 16 kHz mono blocks.
///
/// For live pipes: every block has the samples of one `read` call; nothing waits for a block to fill up. Memory is
/// constant. Bytes of an incomplete last frame are dropped.
pub struct RawPcm<R> {
    reader: R,
    source_name: String,
    format: RawFormat,
    mixer: Mixer,
    resampler: Resampler,
    bytes: Vec<u8>,
    /// Number of bytes at the start of `bytes` that belong to an incomplete frame.
    carried: usize,
    /// The first bytes of the stream, until they were checked for a file header.
    head: Option<Vec<u8>>,
    samples: Vec<f32>,
    mono: Vec<f32>,
    samples_in: u64,
    ended: bool,
}

impl<R> fmt::Debug for RawPcm<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawPcm")
            .field("source_name", &self.source_name)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

impl<R: Read> RawPcm<R> {
    /// Reads samples of `format` from `reader`; `source_name` is its name in errors (`stdin`).
    ///
    /// # Errors
    /// [`AudioError::SampleRate`] and [`AudioError::Channels`] when they are out of range.
    pub fn new(reader: R, format: RawFormat, source_name: impl Into<String>) -> Result<Self, AudioError> {
        let source_name = source_name.into();
        // This also checks the number of channels.
        Resampler::new(format.rate, format.channels).map_err(|error| error.named(&source_name))?;
        Ok(Self {
            mixer: Mixer::new(format.channels, format.rate, Channel::Mix),
            resampler: Resampler::new(format.rate, 1).map_err(|error| error.named(&source_name))?,
            reader,
            source_name,
            format,
            bytes: vec![0; READ_BYTES],
            carried: 0,
            head: Some(Vec::new()),
            samples: Vec::new(),
            mono: Vec::new(),
            samples_in: 0,
            ended: false,
        })
    }

    /// Selects the channel. The default is the mean of all channels.
    ///
    /// # Errors
    /// [`AudioError::NoChannel`] when the stream has fewer channels.
    pub fn select(&mut self, channel: Channel) -> Result<(), AudioError> {
        let channels = self.format.channels;
        match channel {
            Channel::Only(wanted) if wanted >= channels => {
                Err(AudioError::NoChannel { source_name: self.source_name.clone(), wanted, channels })
            }
            channel => {
                self.mixer = Mixer::new(channels, self.format.rate, channel);
                Ok(())
            }
        }
    }

    /// Reads once and appends the samples as 16 kHz mono to `out`. Blocks only while the reader has no data.
    ///
    /// Returns `false` at the end of the stream. A block may be empty while the resampler waits for more input.
    ///
    /// # Errors
    /// [`AudioError::Io`] when the reader fails, [`AudioError::FileHeader`] for a file instead of its samples,
    /// [`AudioError::NotFinite`] for a sample that is not usable. Each ends the stream.
    pub fn next_block(&mut self, out: &mut Vec<f32>) -> Result<bool, AudioError> {
        if self.ended {
            return Ok(false);
        }
        let read = self.read().inspect_err(|_| self.ended = true)?;
        self.check_head(read).inspect_err(|_| self.ended = true)?;
        if read == 0 {
            self.ended = true;
            let before = out.len();
            self.resampler.finish(out);
            return Ok(out.len() > before);
        }
        let available = self.carried + read;
        let whole = available - available % (self.format.sample.bytes() * self.format.channels as usize);
        self.samples.clear();
        self.format.sample.decode(&self.bytes[..whole], &mut self.samples);
        self.bytes.copy_within(whole..available, 0);
        self.carried = available - whole;
        if let Some(at) = first_unusable(&self.samples) {
            self.ended = true;
            let index = (self.samples_in + at as u64) / u64::from(self.format.channels);
            return Err(AudioError::NotFinite {
                source_name: self.source_name.clone(),
                index,
                seconds: index as f64 / f64::from(self.format.rate),
            });
        }
        self.samples_in += self.samples.len() as u64;
        self.mono.clear();
        self.mixer.push(&self.samples, &mut self.mono);
        self.resampler.push(&self.mono, out);
        Ok(true)
    }

    /// Checks the first bytes of the stream for a file header, as soon as there are enough or the stream has ended.
    fn check_head(&mut self, read: usize) -> Result<(), AudioError> {
        let Some(mut head) = self.head.take() else { return Ok(()) };
        let fresh = &self.bytes[self.carried..self.carried + read];
        head.extend(fresh.iter().take(HEADER_BYTES - head.len()));
        if read > 0 && head.len() < HEADER_BYTES {
            self.head = Some(head);
            return Ok(());
        }
        let refuse = |kind| Err(AudioError::FileHeader { source_name: self.source_name.clone(), kind });
        file_kind(&head).map_or(Ok(()), refuse)
    }

    fn read(&mut self) -> Result<usize, AudioError> {
        loop {
            match self.reader.read(&mut self.bytes[self.carried..]) {
                Ok(read) => return Ok(read),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(cause) => return Err(AudioError::Io { source_name: self.source_name.clone(), cause }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pipe that returns its bytes in pieces of the given sizes.
    struct Pipe<'a>(&'a [u8], std::vec::IntoIter<usize>);

    impl Read for Pipe<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let size = self.1.next().unwrap_or(usize::MAX).min(self.0.len()).min(buffer.len());
            buffer[..size].copy_from_slice(&self.0[..size]);
            self.0 = &self.0[size..];
            Ok(size)
        }
    }

    #[test]
    fn every_read_becomes_a_block_at_once() {
        let bytes: Vec<u8> = (0..2000i16).flat_map(|x| x.to_le_bytes()).collect();
        let mut raw = RawPcm::new(Pipe(&bytes, vec![1, 1, 3, 100].into_iter()), RawFormat::default(), "pipe").unwrap();
        let mut out = Vec::new();
        let mut lengths = Vec::new();
        while raw.next_block(&mut out).unwrap() {
            lengths.push(out.len());
        }
        assert_eq!(lengths, [0, 1, 2, 52, 2000]);
        assert!(out.iter().zip(0..2000).all(|(&x, i)| x == i as f32 / 32_768.0));
    }

    #[test]
    fn a_file_is_told_from_its_samples_however_it_arrives() {
        let files: [(&[u8], &str); 7] = [
            (b"RIFF\x24\x08\0\0WAVEfmt \x10\0\0\0", "WAV"),
            (b"fLaC\0\0\0\x22", "FLAC"),
            (b"OggS\0\x02\0\0\0\0\0\0\0\0\0\0", "Ogg"),
            (b"\0\0\0\x20ftypM4A ", "M4A"),
            (b"ID3\x04\0\0\0\0\x0f\x76TSSE", "MP3"),
            (b"FORM\0\0\x10\0AIFFCOMM", "AIFF"),
            (b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x1f", "Matroska"),
        ];
        for (bytes, name) in files {
            for sizes in [vec![], vec![1, 2, 3], vec![1; 11]] {
                let mut raw = RawPcm::new(Pipe(bytes, sizes.into_iter()), RawFormat::default(), "stdin").unwrap();
                let mut out = Vec::new();
                let error = loop {
                    match raw.next_block(&mut out) {
                        Ok(more) => assert!(more, "{name} was taken for samples"),
                        Err(error) => break error,
                    }
                };
                assert!(matches!(&error, AudioError::FileHeader { kind, .. } if kind.contains(name)), "{error}");
                assert!(error.to_string().starts_with("stdin: raw samples"), "{error}");
                assert!(out.len() <= HEADER_BYTES / 2 && !raw.next_block(&mut out).unwrap());
            }
        }
    }

    #[test]
    fn samples_that_look_like_an_mpeg_frame_are_samples() {
        // -5 and 2000 in 16 bits: the sync word of MP3.
        let bytes = [0xff, 0xfb, 0xd0, 0x07].repeat(100);
        let mut raw = RawPcm::new(bytes.as_slice(), RawFormat::default(), "stdin").unwrap();
        let mut out = Vec::new();
        while raw.next_block(&mut out).unwrap() {}
        assert_eq!(out.len(), 200);
    }

    #[test]
    fn a_float_that_is_no_number_is_named_by_frame_and_time() {
        let mut samples = vec![0.0f32; 96_000];
        samples[2 * 16_000 + 1] = f32::NAN;
        let bytes: Vec<u8> = samples.iter().flat_map(|x| x.to_le_bytes()).collect();
        let format = RawFormat { sample: SampleFormat::F32Le, rate: 32_000, channels: 2 };
        let mut raw = RawPcm::new(bytes.as_slice(), format, "stdin").unwrap();
        let mut out = Vec::new();
        let error = loop {
            match raw.next_block(&mut out) {
                Ok(more) => assert!(more, "the bad sample was not found"),
                Err(error) => break error,
            }
        };
        assert!(matches!(&error, AudioError::NotFinite { index: 16_000, seconds, .. } if *seconds == 0.5), "{error}");
        assert!(error.to_string().starts_with("stdin: "));
        assert!(!raw.next_block(&mut out).unwrap());
    }
}
