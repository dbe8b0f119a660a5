//! Uncompressed audio in RIFF, RF64 and BW64 files (Microsoft/IBM 1991; EBU Tech 3306; ITU-R BS.2088).
//!
//! Read here and not by symphonia: it has no RF64 (files beyond 4 GB: two hours of 8-channel 32-bit audio), and its chunk
//! reader shifts and allocates by numbers from the header. There is no codec in these files, only sample formats.

use std::io::{Read, Seek, SeekFrom};

use super::{Codec, Decode, Fault, Input, Layout};
use crate::SampleFormat;

// A file of empty chunks must not keep us busy; real ones have a handful.
const MAX_CHUNKS: usize = 1024;
// Bytes read at once: one second of 16-bit mono at 8 kHz.
const BLOCK_BYTES: usize = 16 * 1024;

pub(super) struct Wav {
    input: Input,
    layout: Layout,
    sample: SampleFormat,
    /// Bytes of the data chunk that are in the file and not read yet.
    left: u64,
    present_frames: u64,
    /// Frames that the header announces; `None` when it leaves the length open.
    announced_frames: Option<u64>,
    bytes: Vec<u8>,
}

impl Wav {
    pub(super) fn open(mut input: Input) -> Result<Self, Fault> {
        let mut format = None;
        let mut long_data = None;
        let mut position = 12;
        for _ in 0..MAX_CHUNKS {
            let mut header = [0; 8];
            if input.read_at(position, &mut header)? < header.len() {
                let missing = if format.is_none() { "a format chunk" } else { "a data chunk" };
                return Err(Fault::Malformed(format!("it ends before {missing}")));
            }
            let [a, b, c, d, size @ ..] = header;
            let size = u64::from(u32::from_le_bytes(size));
            let body = position + 8;
            match &[a, b, c, d] {
                b"fmt " => format = Some(read_format(&mut input, body, size)?),
                b"ds64" => long_data = Some(read_long_data_size(&mut input, body)?),
                b"data" => {
                    let Some((layout, sample)) = format else {
                        return Err(Fault::Malformed("its data comes before a format chunk".into()));
                    };
                    return Self::at_data(input, body, size, long_data, layout, sample);
                }
                _ => {}
            }
            // Chunks are padded to even sizes.
            position = body + size + size % 2;
        }
        Err(Fault::Malformed(format!("no data within its first {MAX_CHUNKS} chunks")))
    }

    fn at_data(
        mut input: Input,
        start: u64,
        size: u64,
        long_data: Option<u64>,
        layout: Layout,
        sample: SampleFormat,
    ) -> Result<Self, Fault> {
        let there = input.len.saturating_sub(start);
        const OPEN: u64 = u32::MAX as u64;
        let announced = match (size, long_data) {
            (OPEN, Some(long)) => Some(long),
            // Writers to a pipe do not know the length yet: ffmpeg leaves all ones, others 0.
            (OPEN, None) => None,
            (0, _) if there > 0 => None,
            (size, _) => Some(size),
        };
        let frame_bytes = (sample.bytes() * layout.channels as usize) as u64;
        let left = announced.unwrap_or(there).min(there) / frame_bytes * frame_bytes;
        input.seek(SeekFrom::Start(start))?;
        Ok(Self {
            input,
            layout,
            sample,
            left,
            present_frames: left / frame_bytes,
            announced_frames: announced.map(|bytes| bytes / frame_bytes).filter(|&frames| frames > 0),
            bytes: Vec::new(),
        })
    }
}

impl Decode for Wav {
    fn codec(&self) -> Codec {
        Codec::Wav
    }

    fn seconds(&self) -> Option<f64> {
        Some(self.present_frames as f64 / f64::from(self.layout.rate))
    }

    fn announced(&self) -> Option<f64> {
        self.announced_frames.map(|frames| frames as f64 / f64::from(self.layout.rate))
    }

    fn next_block(&mut self, out: &mut Vec<f32>) -> Result<Option<Layout>, Fault> {
        if self.left == 0 {
            return Ok(None);
        }
        let frame_bytes = self.sample.bytes() * self.layout.channels as usize;
        let whole = (BLOCK_BYTES / frame_bytes * frame_bytes) as u64;
        let wanted = whole.min(self.left);
        self.bytes.clear();
        let read = (&mut self.input).take(wanted).read_to_end(&mut self.bytes)? as u64;
        // A file that shrank while it was read: the frames that are there, then the end.
        self.left = if read < wanted { 0 } else { self.left - read };
        let frames = self.bytes.len() / frame_bytes;
        self.sample.decode(&self.bytes[..frames * frame_bytes], out);
        Ok((frames > 0).then_some(self.layout))
    }
}

/// The `fmt ` chunk: WAVEFORMAT, WAVEFORMATEX or WAVEFORMATEXTENSIBLE.
fn read_format(input: &mut Input, position: u64, size: u64) -> Result<(Layout, SampleFormat), Fault> {
    let mut chunk = [0; 40];
    let read = input.read_at(position, &mut chunk[..size.min(40) as usize])?;
    if read < 16 {
        return Err(Fault::Malformed(format!("its format chunk has {read} bytes, 16 are needed")));
    }
    let u16_at = |at: usize| u16::from_le_bytes([chunk[at], chunk[at + 1]]);
    let mut tag = u16_at(0);
    let channels = u32::from(u16_at(2));
    let layout = Layout::new(u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]), channels)?;
    if tag == EXTENSIBLE {
        // KSDATAFORMAT_SUBTYPE_*: the tag, then a fixed tail.
        const TAIL: [u8; 14] = [0, 0, 0, 0, 16, 0, 128, 0, 0, 170, 0, 56, 155, 113];
        if read < 40 || chunk[26..40] != TAIL {
            return Err(Fault::Unsupported("a WAV file with an unknown extension".into()));
        }
        tag = u16_at(24);
    }
    // What a sample occupies, not how many of its bits are valid: 24 valid bits may lie in the top of four bytes.
    let block_align = u32::from(u16_at(12));
    let occupied = block_align / channels * 8;
    let valid = u32::from(u16_at(14));
    let bits = if block_align % channels == 0 && occupied >= valid { occupied } else { valid };
    let sample = match (tag, bits) {
        (PCM, 8) => SampleFormat::U8,
        (PCM, 16) => SampleFormat::S16Le,
        (PCM, 24) => SampleFormat::S24Le,
        (PCM, 32) => SampleFormat::S32Le,
        (FLOAT, 32) => SampleFormat::F32Le,
        (FLOAT, 64) => SampleFormat::F64Le,
        (A_LAW, 8) => SampleFormat::ALaw,
        (MU_LAW, 8) => SampleFormat::MuLaw,
        (PCM | FLOAT, bits) => return Err(Fault::Unsupported(format!("a WAV file with {bits}-bit samples"))),
        (tag, _) => return Err(Fault::Unsupported(format!("a WAV file with format tag {tag:#06x}"))),
    };
    Ok((layout, sample))
}

const PCM: u16 = 1;
const FLOAT: u16 = 3;
const A_LAW: u16 = 6;
const MU_LAW: u16 = 7;
const EXTENSIBLE: u16 = 0xfffe;

/// The 64-bit size of the data chunk in an RF64 or BW64 file: the second field of its `ds64` chunk.
fn read_long_data_size(input: &mut Input, position: u64) -> Result<u64, Fault> {
    let mut sizes = [0; 16];
    if input.read_at(position, &mut sizes)? < sizes.len() {
        return Err(Fault::Malformed("its ds64 chunk is too short".into()));
    }
    let [_, _, _, _, _, _, _, _, data @ ..] = sizes;
    Ok(u64::from_le_bytes(data))
}
