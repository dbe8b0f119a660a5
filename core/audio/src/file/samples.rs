//! A run of uncompressed or ADPCM samples in any container.

use std::io::{Seek, SeekFrom};

use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::well_known::{CODEC_ID_ADPCM_IMA_QT, CODEC_ID_ADPCM_IMA_WAV, CODEC_ID_ADPCM_MS};
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Timestamp};

use super::{Codec, Decode, Fault, Input, Layout, Loss};
use crate::SampleFormat;

// Bytes per read: one second of 16-bit mono at 8 kHz.
const BLOCK_BYTES: usize = 16 * 1024;

/// Byte order of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    pub(super) fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    pub(super) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }
}

/// How samples are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Plain {
        sample: SampleFormat,
        order: Order,
        /// Whether 8-bit samples are signed (zero at 0, not at 128), as in AIFF.
        signed_bytes: bool,
    },
    /// Four bits per sample, in blocks of `block_bytes` bytes.
    Adpcm { kind: AdpcmKind, block_bytes: u32 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AdpcmKind {
    Ima,
    Microsoft,
    QuickTime,
}

impl AdpcmKind {
    /// Frames of a block with `bytes` bytes: a header with the first sample (IMA) or two (Microsoft) of each channel,
    /// then two samples per byte. QuickTime's blocks hold 64.
    fn frames(self, bytes: u32, channels: u32) -> Option<u32> {
        let frames = match self {
            Self::Ima => bytes.checked_sub(4 * channels)? * 2 / channels + 1,
            Self::Microsoft => bytes.checked_sub(7 * channels)? * 2 / channels + 2,
            Self::QuickTime => 64,
        };
        Some(frames)
    }
}

/// Position and format of a file's samples.
pub(super) struct Run {
    pub(super) codec: Codec,
    pub(super) layout: Layout,
    pub(super) form: Form,
    pub(super) start: u64,
    /// Length in bytes from the header; `None` if the header leaves it open.
    pub(super) announced: Option<u64>,
    /// Number of frames from the header: the last ADPCM block may be padded.
    pub(super) frames: Option<u64>,
}

/// Reads the samples of a file.
pub(super) struct Samples {
    input: Input,
    run: Run,
    /// Bytes and frames of one unit: a frame, or an ADPCM block.
    unit_bytes: u64,
    unit_frames: u64,
    adpcm: Option<Box<dyn AudioDecoder>>,
    /// Remaining bytes of the run; `None` up to the end of the file.
    left: Option<u64>,
    /// Remaining frames, if the last block may be padded.
    frames_left: u64,
    bytes: Vec<u8>,
    losses: Vec<Loss>,
}

impl Samples {
    pub(super) fn open(mut input: Input, mut run: Run) -> Result<Self, Fault> {
        let channels = run.layout.channels;
        let (unit_bytes, unit_frames, adpcm) = match run.form {
            Form::Plain { sample, .. } => (sample.bytes() as u64 * u64::from(channels), 1, None),
            Form::Adpcm { kind, block_bytes } => {
                let frames = kind.frames(block_bytes, channels).filter(|&frames| frames > 0 && channels <= 2);
                let frames = frames.ok_or_else(|| Fault::unsupported("ADPCM audio with such blocks"))?;
                (u64::from(block_bytes), u64::from(frames), Some(adpcm(kind, frames, run.layout)?))
            }
        };
        let there = input.len().map(|len| len.saturating_sub(run.start));
        let left = match (run.announced, there) {
            (Some(announced), Some(there)) => Some(announced.min(there)),
            (announced, there) => announced.or(there),
        };
        // The number of frames gives the end of the audio in the last block, unless it is wrong.
        let blocks = run.announced.map(|bytes| bytes / unit_bytes * unit_frames);
        run.frames = run.frames.filter(|&frames| {
            unit_frames > 1 && blocks.is_some_and(|blocks| frames <= blocks && frames + unit_frames > blocks)
        });
        let frames_left = run.frames.unwrap_or(u64::MAX);
        input.seek(SeekFrom::Start(run.start))?;
        Ok(Self {
            frames_left,
            input,
            run,
            unit_bytes,
            unit_frames,
            adpcm,
            left,
            bytes: Vec::new(),
            losses: Vec::new(),
        })
    }

    fn seconds_of(&self, bytes: u64) -> f64 {
        let frames = (bytes / self.unit_bytes * self.unit_frames).min(self.run.frames.unwrap_or(u64::MAX));
        frames as f64 / f64::from(self.run.layout.rate)
    }

    /// Reads whole units into `bytes`: up to a full block from a file, the available ones from a pipe.
    fn read_units(&mut self) -> Result<usize, Fault> {
        let whole = (BLOCK_BYTES as u64 / self.unit_bytes).max(1) * self.unit_bytes;
        let wanted = self.left.map_or(whole, |left| whole.min(left)) as usize;
        self.bytes.resize(wanted, 0);
        let mut filled = 0;
        while filled < wanted {
            let limit = match filled as u64 % self.unit_bytes {
                0 => wanted,
                part => wanted.min(filled + (self.unit_bytes - part) as usize),
            };
            let read = self.input.fill_some(&mut self.bytes[filled..limit])?;
            filled += read;
            let complete = (filled as u64).is_multiple_of(self.unit_bytes);
            if read == 0 || complete && filled > 0 && !self.input.is_seekable() {
                break;
            }
        }
        self.bytes.truncate(filled);
        // A file that became shorter while it was read ends here.
        let ended = filled == 0 || self.input.is_seekable() && filled < wanted;
        self.left = if ended { Some(0) } else { self.left.map(|left| left - filled as u64) };
        Ok(filled)
    }

    fn decode_adpcm(&mut self, out: &mut Vec<f32>) {
        let channels = self.run.layout.channels as usize;
        let Some(decoder) = &mut self.adpcm else { return };
        let mut block_samples = Vec::new();
        for block in self.bytes.chunks_exact(self.unit_bytes as usize) {
            let packet = Packet::new(0, Timestamp::new(0), Duration::new(self.unit_frames), block);
            match decoder.decode(&packet) {
                Ok(decoded) => {
                    decoded.copy_to_vec_interleaved(&mut block_samples);
                    out.extend_from_slice(&block_samples);
                }
                Err(_) => {
                    let seconds = self.unit_frames as f64 / f64::from(self.run.layout.rate);
                    self.losses.push(Loss::damaged(seconds, "an ADPCM block breaks the rules of its codec"));
                    out.resize(out.len() + self.unit_frames as usize * channels, 0.0);
                }
            }
        }
    }
}

impl Decode for Samples {
    fn codec(&self) -> Codec {
        self.run.codec
    }

    fn seconds(&self) -> Option<f64> {
        let there = self.input.len().map(|len| len.saturating_sub(self.run.start));
        let bytes = match (self.run.announced, there) {
            (Some(announced), Some(there)) => announced.min(there),
            (announced, there) => announced.or(there)?,
        };
        Some(self.seconds_of(bytes))
    }

    fn announced(&self) -> Option<f64> {
        self.run.announced.map(|bytes| self.seconds_of(bytes))
    }

    fn next_block(&mut self, out: &mut Vec<f32>) -> Result<Option<Layout>, Fault> {
        if self.left == Some(0) {
            return Ok(None);
        }
        self.read_units()?;
        let whole = self.bytes.len() as u64 / self.unit_bytes * self.unit_bytes;
        self.bytes.truncate(whole as usize);
        match self.run.form {
            Form::Plain { sample, order, signed_bytes } => {
                if order == Order::Big {
                    self.bytes.chunks_exact_mut(sample.bytes()).for_each(<[u8]>::reverse);
                }
                if signed_bytes {
                    self.bytes.iter_mut().for_each(|byte| *byte ^= 0x80);
                }
                sample.decode(&self.bytes, out);
            }
            Form::Adpcm { .. } => {
                self.decode_adpcm(out);
                let channels = self.run.layout.channels as usize;
                let kept = self.frames_left.min((out.len() / channels) as u64);
                out.truncate(kept as usize * channels);
                self.frames_left -= kept;
            }
        }
        Ok((!out.is_empty()).then_some(self.run.layout))
    }

    fn take_losses(&mut self) -> Vec<Loss> {
        std::mem::take(&mut self.losses)
    }
}

fn adpcm(kind: AdpcmKind, frames: u32, layout: Layout) -> Result<Box<dyn AudioDecoder>, Fault> {
    let codec = match kind {
        AdpcmKind::Ima => CODEC_ID_ADPCM_IMA_WAV,
        AdpcmKind::Microsoft => CODEC_ID_ADPCM_MS,
        AdpcmKind::QuickTime => CODEC_ID_ADPCM_IMA_QT,
    };
    let mut parameters = AudioCodecParameters::new();
    parameters
        .for_codec(codec)
        .with_sample_rate(layout.rate)
        .with_channels(Channels::Discrete(layout.channels as u16))
        .with_max_frames_per_packet(u64::from(frames))
        .with_frames_per_block(u64::from(frames));
    Ok(symphonia::default::get_codecs().make_audio_decoder(&parameters, &AudioDecoderOptions::default())?)
}
