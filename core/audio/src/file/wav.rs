//! Audio in RIFF, RIFX, RF64 and BW64 files (Microsoft/IBM 1991; EBU Tech 3306; ITU-R BS.2088) and in Sony's W64.
//!
//! Parsed here and not by symphonia, which supports neither RF64 (files beyond 4 GB) nor W64, and which trusts the
//! sizes in the header. These are often wrong: writers to pipes leave a length of 2 GB, recorders that lose power a
//! length of 0, and editors forget to pad chunks of odd length. Here the real size of the file counts.

use super::frames::{Frames, Kind};
use super::samples::{AdpcmKind, Form, Order, Run, Samples};
use super::{Codec, Decode, Fault, Input, Layout};
use crate::SampleFormat;

// Limits the time for a file of empty chunks; real files have a handful.
const MAX_CHUNKS: usize = 1024;
// How far to search for a chunk after one with a wrong length.
const SEARCHED_BYTES: usize = 64 * 1024;
// sox writes 0x7FFFF000 to pipes, GStreamer 0x7FFF0000, arecord 0x80000000, ffmpeg and others all ones: the length is
// open.
const OPEN_LENGTH: u64 = 0x7fff_0000;

/// The content of a `fmt ` chunk.
#[derive(Debug, Clone, Copy)]
enum Format {
    Samples(Layout, Form),
    /// MPEG frames, which have their own headers.
    Mpeg,
}

pub(super) fn open_riff(mut input: Input, order: Order) -> Result<Box<dyn Decode>, Fault> {
    let (mut format, mut long_data, mut frames) = (None, None, None);
    let mut position = 12;
    for _ in 0..MAX_CHUNKS {
        let mut header = [0; 8];
        if input.read_at(position, &mut header)? < header.len() {
            let missing = if format.is_none() { "a format chunk" } else { "a data chunk" };
            return Err(Fault::Malformed(format!("it ends before {missing}")));
        }
        let [a, b, c, d, size @ ..] = header;
        let size = u64::from(order.u32(size));
        let body = position + 8;
        match &[a, b, c, d] {
            b"fmt " => format = Some(read_format(&mut input, body, size, order)?),
            b"ds64" => long_data = Some(read_long_data_size(&mut input, body)?),
            b"fact" => {
                let mut count = [0; 4];
                frames = (input.read_at(body, &mut count)? == 4).then(|| u64::from(order.u32(count)));
            }
            b"data" => return at_data(input, body, size, long_data, format, frames),
            _ => {}
        }
        position = next_chunk(&mut input, body, size, order)?;
    }
    Err(Fault::Malformed(format!("no data within its first {MAX_CHUNKS} chunks")))
}

/// Start of the chunk after one of `size` bytes at `body`.
///
/// Chunks are padded to even sizes, but not by all writers. If no chunk begins at either position, the length is wrong
/// and the chunk is searched for.
fn next_chunk(input: &mut Input, body: u64, size: u64, order: Order) -> Result<u64, Fault> {
    let padded = body + size + size % 2;
    let unpadded = body + size;
    let length = input.len();
    // The name of a chunk, and whether its length fits the file.
    let mut chunk = |position: u64| -> Result<Option<([u8; 4], bool)>, Fault> {
        let mut header = [0; 8];
        let there = input.read_at(position, &mut header)?;
        let [a, b, c, d, size @ ..] = header;
        let fits = length.is_none_or(|length| position + 8 + u64::from(order.u32(size)) <= length);
        Ok((there >= 4).then_some(([a, b, c, d], fits)))
    };
    let candidates = [(padded, chunk(padded)?), (unpadded, chunk(unpadded)?)];
    type Accept<'a> = &'a dyn Fn(&([u8; 4], bool)) -> bool;
    let known: Accept<'_> = &|(name, _)| matches!(name, b"data" | b"fmt " | b"fact" | b"LIST" | b"bext" | b"ds64");
    let plausible: Accept<'_> = &|(name, fits)| *fits && name.iter().all(|byte| matches!(byte, b' '..=b'~'));
    for accept in [known, plausible] {
        if let Some(&(position, _)) = candidates.iter().find(|(_, chunk)| chunk.as_ref().is_some_and(accept)) {
            return Ok(position);
        }
    }
    let mut bytes = vec![0; SEARCHED_BYTES];
    let read = input.read_at(body, &mut bytes)?;
    let found = bytes[..read].windows(8).position(|bytes| bytes.starts_with(b"data") || bytes.starts_with(b"fmt "));
    Ok(found.map_or(padded, |at| body + at as u64))
}

fn at_data(
    mut input: Input,
    start: u64,
    size: u64,
    long_data: Option<u64>,
    format: Option<Format>,
    frames: Option<u64>,
) -> Result<Box<dyn Decode>, Fault> {
    let (layout, form) = match format {
        Some(Format::Samples(layout, form)) => (layout, form),
        Some(Format::Mpeg) => {
            input.skip(start)?;
            return Ok(Box::new(Frames::open(input, Kind::Mpeg)?));
        }
        None => return Err(Fault::Malformed("its data comes before a format chunk".into())),
    };
    let there = input.len().map(|len| len.saturating_sub(start));
    const ALL_ONES: u64 = u32::MAX as u64;
    let announced = match (size, long_data) {
        (ALL_ONES, Some(long)) => Some(long),
        // Writers to a pipe do not know the length: ffmpeg writes all ones, others 0.
        (ALL_ONES, None) => None,
        (0, _) if there != Some(0) => None,
        // For a pipe such a length is treated as open.
        (size, _) if size >= OPEN_LENGTH && !input.is_seekable() => None,
        (size, _) => Some(size),
    };
    let codec = if matches!(form, Form::Adpcm { .. }) { Codec::Adpcm } else { Codec::Wav };
    Ok(Box::new(Samples::open(input, Run { codec, layout, form, start, announced, frames })?))
}

/// The `fmt ` chunk: WAVEFORMAT, WAVEFORMATEX or WAVEFORMATEXTENSIBLE.
fn read_format(input: &mut Input, position: u64, size: u64, order: Order) -> Result<Format, Fault> {
    let mut chunk = [0; 40];
    let read = input.read_at(position, &mut chunk[..size.min(40) as usize])?;
    if read < 16 {
        return Err(Fault::Malformed(format!("its format chunk has {read} bytes, 16 are needed")));
    }
    let u16_at = |at: usize| order.u16([chunk[at], chunk[at + 1]]);
    let mut tag = u16_at(0);
    if matches!(tag, MPEG | MPEG_LAYER_3) {
        return Ok(Format::Mpeg);
    }
    let channels = u32::from(u16_at(2));
    let layout = Layout::new(order.u32([chunk[4], chunk[5], chunk[6], chunk[7]]), channels)?;
    if tag == EXTENSIBLE {
        // KSDATAFORMAT_SUBTYPE_*: the tag, then a fixed tail.
        const TAIL: [u8; 14] = [0, 0, 0, 0, 16, 0, 128, 0, 0, 170, 0, 56, 155, 113];
        if read < 40 || chunk[26..40] != TAIL {
            return Err(Fault::unsupported("a WAV file with an unknown extension"));
        }
        tag = u16_at(24);
    }
    let block_align = u32::from(u16_at(12));
    let valid = u32::from(u16_at(14));
    let adpcm = |kind| Format::Samples(layout, Form::Adpcm { kind, block_bytes: block_align });
    match tag {
        IMA_ADPCM if valid == 4 => return Ok(adpcm(AdpcmKind::Ima)),
        MICROSOFT_ADPCM if valid == 4 => return Ok(adpcm(AdpcmKind::Microsoft)),
        _ => {}
    }
    // The storage size of a sample, not its valid bits: 24 valid bits may be stored in the top of four bytes.
    let occupied = block_align / channels * 8;
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
        (PCM | FLOAT, bits) => return Err(Fault::unsupported(format!("a WAV file with {bits}-bit samples"))),
        (IMA_ADPCM | MICROSOFT_ADPCM, _) => {
            return Err(Fault::unsupported(format!("a WAV file with ADPCM of {valid} bits")));
        }
        (GSM, _) => return Err(Fault::unsupported("a WAV file with GSM 6.10 audio")),
        (tag, _) => return Err(Fault::unsupported(format!("a WAV file with format tag {tag:#06x}"))),
    };
    Ok(Format::Samples(layout, Form::Plain { sample, order, signed_bytes: false }))
}

// Format tags (RFC 2361).
const PCM: u16 = 1;
const MICROSOFT_ADPCM: u16 = 2;
const FLOAT: u16 = 3;
const A_LAW: u16 = 6;
const MU_LAW: u16 = 7;
const IMA_ADPCM: u16 = 0x11;
const GSM: u16 = 0x31;
const MPEG: u16 = 0x50;
const MPEG_LAYER_3: u16 = 0x55;
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

/// The bytes after the four letters of a W64 chunk's name.
const W64_TAIL: [u8; 12] = [0xf3, 0xac, 0xd3, 0x11, 0x8c, 0xd1, 0, 0xc0, 0x4f, 0x8e, 0xdb, 0x8a];

/// W64: the chunks of a WAV file under names of 16 bytes, with sizes of 64 bits that count the header, padded to eight.
pub(super) fn open_w64(mut input: Input) -> Result<Box<dyn Decode>, Fault> {
    const HEADER: u64 = 24;
    let mut format = None;
    // The file header: a name, the total size, and another name.
    let mut position = 40u64;
    for _ in 0..MAX_CHUNKS {
        let mut header = [0; HEADER as usize];
        if input.read_at(position, &mut header)? < header.len() {
            return Err(Fault::Malformed("it ends before a data chunk".into()));
        }
        let [a, b, c, d, tail @ .., _, _, _, _, _, _, _, _] = header;
        let [.., s0, s1, s2, s3, s4, s5, s6, s7] = header;
        let size = u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
        let body = position + HEADER;
        match (&[a, b, c, d], tail == W64_TAIL) {
            (b"fmt ", true) => {
                format = Some(read_format(&mut input, body, size.saturating_sub(HEADER), Order::Little)?)
            }
            (b"data", true) => {
                // An open length is 0 or all ones here too.
                let announced = size.checked_sub(HEADER).filter(|&size| size < u64::MAX >> 1).unwrap_or(0);
                return at_data(
                    input,
                    body,
                    u64::from(u32::MAX),
                    Some(announced).filter(|&size| size > 0),
                    format,
                    None,
                );
            }
            _ => {}
        }
        if size < HEADER {
            return Err(Fault::Malformed("a chunk is shorter than its header".into()));
        }
        position = position.saturating_add(size).checked_next_multiple_of(8).unwrap_or(u64::MAX);
    }
    Err(Fault::Malformed(format!("no data within its first {MAX_CHUNKS} chunks")))
}
