//! Uncompressed audio in AIFF, AIFF-C and CAF files (Apple 1989, 1991, 2005) and in those of NeXT and Sun (`.au`,
//! `.snd`).

use super::samples::{AdpcmKind, Form, Order, Run, Samples};
use super::{Codec, Decode, Fault, Input, Layout};
use crate::SampleFormat;

const MAX_CHUNKS: usize = 1024;

/// The content of a `COMM` chunk.
struct Common {
    layout: Layout,
    form: Form,
    /// Size of all samples in bytes; `None` if the chunk does not determine it.
    bytes: Option<u64>,
}

pub(super) fn open_aiff(mut input: Input) -> Result<Box<dyn Decode>, Fault> {
    let mut kind = [0; 4];
    input.read_at(8, &mut kind)?;
    let compressed = kind == *b"AIFC";
    let (mut common, mut data) = (None, None);
    let mut position = 12u64;
    for _ in 0..MAX_CHUNKS {
        let mut header = [0; 8];
        if input.read_at(position, &mut header)? < header.len() {
            break;
        }
        let [a, b, c, d, size @ ..] = header;
        let size = u64::from(u32::from_be_bytes(size));
        let body = position + 8;
        match &[a, b, c, d] {
            b"COMM" => common = Some(read_common(&mut input, body, size, compressed)?),
            b"SSND" => {
                let mut offset = [0; 4];
                input.read_at(body, &mut offset)?;
                data = Some((body, size, u64::from(u32::from_be_bytes(offset))));
            }
            _ => {}
        }
        if common.is_some() && data.is_some() {
            break;
        }
        // The samples of a pipe cannot be skipped.
        if data.is_some() && !input.is_seekable() {
            return Err(Fault::unsupported("an AIFF file from a pipe whose format comes behind its samples"));
        }
        // Chunks are padded to even sizes.
        position = body + size + size % 2;
    }
    let Some(Common { layout, form, bytes }) = common else {
        return Err(Fault::Malformed("it ends before a format chunk".into()));
    };
    // A file without samples needs no chunk for them.
    let Some((body, size, offset)) = data else { return Err(Fault::Malformed("it ends before its samples".into())) };
    let start = body + 8 + offset;
    // Writers to a pipe leave the chunk's length open and the number of frames at 0.
    let announced = size.checked_sub(8 + offset).filter(|&size| size > 0 && size < 0x7fff_0000);
    let announced = match (announced, bytes) {
        (Some(chunk), Some(frames)) if frames > 0 => Some(chunk.min(frames)),
        (chunk, _) => chunk,
    };
    let codec = if matches!(form, Form::Adpcm { .. }) { Codec::Adpcm } else { Codec::Pcm };
    Ok(Box::new(Samples::open(input, Run { codec, layout, form, start, announced, frames: None })?))
}

fn read_common(input: &mut Input, position: u64, size: u64, compressed: bool) -> Result<Common, Fault> {
    let mut chunk = [0; 22];
    let read = input.read_at(position, &mut chunk[..size.min(22) as usize])?;
    if read < if compressed { 22 } else { 18 } {
        return Err(Fault::Malformed(format!("its format chunk has {read} bytes")));
    }
    let [c0, c1, f0, f1, f2, f3, b0, b1, rate @ .., k0, k1, k2, k3] = chunk;
    let channels = u32::from(u16::from_be_bytes([c0, c1]));
    let frames = u64::from(u32::from_be_bytes([f0, f1, f2, f3]));
    let bits = u16::from_be_bytes([b0, b1]);
    let layout = Layout::new(extended(rate), channels)?;
    let kind = if compressed { [k0, k1, k2, k3] } else { *b"NONE" };
    let plain = |sample, order| Form::Plain { sample, order, signed_bytes: sample == SampleFormat::U8 };
    let integer = |order| {
        Some(match bits {
            1..=8 => plain(SampleFormat::U8, order),
            9..=16 => plain(SampleFormat::S16Le, order),
            17..=24 => plain(SampleFormat::S24Le, order),
            25..=32 => plain(SampleFormat::S32Le, order),
            _ => return None,
        })
    };
    let form = match &kind {
        b"NONE" | b"twos" | b"in24" | b"in32" => integer(Order::Big),
        b"sowt" | b"42ni" | b"23ni" => integer(Order::Little),
        b"raw " => Some(Form::Plain { sample: SampleFormat::U8, order: Order::Big, signed_bytes: false }),
        b"fl32" | b"FL32" => Some(plain(SampleFormat::F32Le, Order::Big)),
        b"fl64" | b"FL64" => Some(plain(SampleFormat::F64Le, Order::Big)),
        b"alaw" | b"ALAW" => Some(plain(SampleFormat::ALaw, Order::Big)),
        b"ulaw" | b"ULAW" => Some(plain(SampleFormat::MuLaw, Order::Big)),
        b"ima4" => Some(Form::Adpcm { kind: AdpcmKind::QuickTime, block_bytes: 34 * channels }),
        _ => return Err(Fault::unsupported(format!("an AIFF file with the codec `{}`", kind.escape_ascii()))),
    };
    let form = form.ok_or_else(|| Fault::unsupported(format!("an AIFF file with {bits}-bit samples")))?;
    let bytes = match form {
        Form::Plain { sample, .. } => frames.checked_mul(sample.bytes() as u64 * u64::from(channels)),
        // Some writers count blocks, others frames.
        Form::Adpcm { .. } => None,
    };
    Ok(Common { layout, form, bytes })
}

/// The rate from an 80-bit IEEE 754 number, rounded; 0 if it is not a valid rate.
fn extended(bytes: [u8; 10]) -> u32 {
    let [e0, e1, mantissa @ ..] = bytes;
    let exponent = i32::from(u16::from_be_bytes([e0, e1]) & 0x7fff) - 16_383 - 63;
    let value = u64::from_be_bytes(mantissa) as f64 * libm::exp2(f64::from(exponent));
    if e0 & 0x80 != 0 { 0 } else { value.round() as u32 }
}

/// `.snd`, the offset and length of the samples, their encoding, the rate and the number of channels.
pub(super) fn open_au(mut input: Input) -> Result<Box<dyn Decode>, Fault> {
    let mut header = [0; 24];
    if input.read_at(0, &mut header)? < header.len() {
        return Err(Fault::Malformed("it ends in the middle of its header".into()));
    }
    let field = |at: usize| u32::from_be_bytes(std::array::from_fn(|i| header[at + i]));
    let layout = Layout::new(field(16), field(20))?;
    let plain = |sample, signed_bytes| Form::Plain { sample, order: Order::Big, signed_bytes };
    let form = match field(12) {
        1 => plain(SampleFormat::MuLaw, false),
        2 => plain(SampleFormat::U8, true),
        3 => plain(SampleFormat::S16Le, false),
        4 => plain(SampleFormat::S24Le, false),
        5 => plain(SampleFormat::S32Le, false),
        6 => plain(SampleFormat::F32Le, false),
        7 => plain(SampleFormat::F64Le, false),
        27 => plain(SampleFormat::ALaw, false),
        other => return Err(Fault::unsupported(format!("an AU file with encoding {other}"))),
    };
    let announced = Some(u64::from(field(8))).filter(|&bytes| bytes > 0 && bytes < 0x7fff_0000);
    let start = u64::from(field(4)).max(24);
    Ok(Box::new(Samples::open(input, Run { codec: Codec::Pcm, layout, form, start, announced, frames: None })?))
}

/// The samples of a CAF file (Apple, Core Audio Format 1.0), unless they are compressed packets.
pub(super) fn caf_samples(input: &mut Input) -> Result<Option<Run>, Fault> {
    let mut form = None;
    let mut position = 8u64;
    for _ in 0..MAX_CHUNKS {
        let mut header = [0; 12];
        if input.read_at(position, &mut header)? < header.len() {
            break;
        }
        let [a, b, c, d, size @ ..] = header;
        // −1: to the end of the file.
        let size = u64::try_from(i64::from_be_bytes(size)).ok();
        let body = position + 12;
        match &[a, b, c, d] {
            b"desc" => form = caf_form(input, body)?,
            b"data" => {
                let Some((layout, form)) = form else { return Ok(None) };
                let codec = if matches!(form, Form::Adpcm { .. }) { Codec::Adpcm } else { Codec::Pcm };
                // An edit count precedes the samples.
                let announced = size.and_then(|size| size.checked_sub(4)).filter(|&bytes| bytes > 0);
                return Ok(Some(Run { codec, layout, form, start: body + 4, announced, frames: None }));
            }
            _ => {}
        }
        let Some(next) = size.and_then(|size| body.checked_add(size)) else { break };
        position = next;
    }
    Ok(None)
}

/// The content of a `desc` chunk, if it describes samples.
fn caf_form(input: &mut Input, position: u64) -> Result<Option<(Layout, Form)>, Fault> {
    let mut chunk = [0; 32];
    if input.read_at(position, &mut chunk)? < chunk.len() {
        return Err(Fault::Malformed("its description is too short".into()));
    }
    let field = |at: usize| u32::from_be_bytes(std::array::from_fn(|i| chunk[at + i]));
    let rate = f64::from_be_bytes(std::array::from_fn(|i| chunk[i])).round() as u32;
    let (flags, channels, bits) = (field(12), field(24), field(28));
    const FLOAT: u32 = 1;
    const LITTLE: u32 = 2;
    let sample = match (&chunk[8..12], flags & FLOAT != 0, bits) {
        (b"lpcm", true, 32) => SampleFormat::F32Le,
        (b"lpcm", true, 64) => SampleFormat::F64Le,
        (b"lpcm", false, 8) => SampleFormat::U8,
        (b"lpcm", false, 16) => SampleFormat::S16Le,
        (b"lpcm", false, 24) => SampleFormat::S24Le,
        (b"lpcm", false, 32) => SampleFormat::S32Le,
        (b"ulaw", ..) => SampleFormat::MuLaw,
        (b"alaw", ..) => SampleFormat::ALaw,
        (b"ima4", ..) => {
            let form = Form::Adpcm { kind: AdpcmKind::QuickTime, block_bytes: channels.saturating_mul(34) };
            return Ok(Some((Layout::new(rate, channels)?, form)));
        }
        _ => return Ok(None),
    };
    // Frames that are wider than their samples are left to symphonia and its error.
    if u64::from(field(16)) != sample.bytes() as u64 * u64::from(channels) {
        return Ok(None);
    }
    let order = if flags & LITTLE != 0 { Order::Little } else { Order::Big };
    let form = Form::Plain { sample, order, signed_bytes: sample == SampleFormat::U8 };
    Ok(Some((Layout::new(rate, channels)?, form)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_extended_floats() {
        for (bytes, rate) in [
            ([0x40, 0x0e, 0xac, 0x44, 0, 0, 0, 0, 0, 0], 44_100),
            ([0x40, 0x0c, 0xfa, 0, 0, 0, 0, 0, 0, 0], 16_000),
            ([0x40, 0x0b, 0xfa, 0, 0, 0, 0, 0, 0, 0], 8000),
            ([0; 10], 0),
            ([0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], u32::MAX),
            ([0xc0, 0x0c, 0xfa, 0, 0, 0, 0, 0, 0, 0], 0),
        ] {
            assert_eq!(extended(bytes), rate, "{bytes:?}");
        }
    }
}
