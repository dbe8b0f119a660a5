//! Streams of frames without a container: MPEG audio (ISO 11172-3, 13818-3) and AAC in ADTS (ISO 13818-7 §6.2).
//!
//! Parsed here and not by symphonia: recordings of streams begin in the middle of a frame or after other bytes, and a
//! gap in the middle must be found and measured. A frame counts if another one follows it. Other bytes between frames
//! are skipped and replaced by silence, as long as earlier frames of that many bytes.

use std::io::{Seek, SeekFrom};

use symphonia::core::audio::{Channels, Position};
use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::codecs::audio::well_known::{CODEC_ID_AAC, CODEC_ID_MP1, CODEC_ID_MP2, CODEC_ID_MP3};

use super::packets::{Chosen, Decoder, PacketFault};
use super::trim::Trim;
use super::{Codec, Decode, Fault, Input, Layout, Loss};
use crate::AudioProblem;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Mpeg,
    Adts,
}

/// A frame header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    /// Length of the whole frame.
    bytes: usize,
    frames: u32,
    rate: u32,
    channels: u32,
    /// Version and layer of MPEG audio, or profile of AAC; constant within a stream.
    variant: u8,
    layer: u8,
    /// Offset of the audio data.
    payload: usize,
}

// The longest frame: ADTS has 13 bits for it.
const MAX_FRAME_BYTES: usize = 8191;
// The longest header of a frame and of a tag between frames.
const HEADER_BYTES: usize = 16;
const READ_BYTES: usize = 4096;
// Consecutive frames required to accept a stream at the start, and after a gap.
const SURE_AT_START: usize = 4;
const SURE_AGAIN: usize = 2;
// Frames after a gap that may fail because they refer to missing frames; the gap was reported already.
const RECOVERING_FRAMES: u32 = 10;
// Maximum silence for one gap: an hour.
const MAX_GAP_SECONDS: f64 = 3600.0;
// Frames of silence per block.
const SILENCE_BLOCK: u64 = 16_384;
// Headers count whole frames, and writers disagree whether the header's own frame is counted.
const LENGTH_SLACK_SECONDS: f64 = 0.2;

pub(super) struct Frames {
    input: Input,
    kind: Kind,
    /// Unused bytes begin at `at`.
    buffer: Vec<u8>,
    at: usize,
    ended: bool,
    first: Header,
    decoder: Decoder,
    codec: Codec,
    layout: Option<Layout>,
    trim: Trim,
    /// Frames of audio announced by a header.
    announced: Option<u64>,
    /// Bytes and frames of the stream so far.
    stream_bytes: u64,
    stream_frames: u64,
    /// Frames of silence still to be returned.
    silence: u64,
    recovering: u32,
    losses: Vec<Loss>,
}

impl Frames {
    pub(super) fn open(mut input: Input, kind: Kind) -> Result<Self, Fault> {
        input.seek(SeekFrom::Start(0))?;
        let mut buffer = Vec::new();
        let mut ended = fill(&mut input, &mut buffer, HEADER_BYTES)?;
        let Some(first) = header(kind, &buffer) else {
            return Err(Fault::Malformed("no frame of audio is at its start".into()));
        };
        ended |= fill(&mut input, &mut buffer, first.bytes)?;
        let Chosen { decoder, codec, .. } = Decoder::choose(&parameters(kind, &first))?;
        let mut opened = Self {
            input,
            kind,
            buffer,
            at: 0,
            ended,
            first,
            decoder,
            codec,
            layout: None,
            trim: Trim::default(),
            announced: None,
            stream_bytes: 0,
            stream_frames: 0,
            silence: 0,
            // A stream cut out of another one refers to earlier frames that it does not have.
            recovering: RECOVERING_FRAMES,
            losses: Vec::new(),
        };
        if kind == Kind::Mpeg
            && let Some(tag) = opened.buffer.get(..first.bytes).and_then(|frame| info_tag(frame, &first))
        {
            opened.at = first.bytes;
            let total = tag.frames.map(|frames| u64::from(frames) * u64::from(first.frames));
            opened.announced = total.map(|total| total.saturating_sub(tag.delay + tag.padding));
            opened.trim = Trim::new(tag.delay, opened.announced, tag.padding);
        }
        Ok(opened)
    }

    /// Makes `count` bytes available after `at`, or fewer at the end.
    fn available(&mut self, count: usize) -> Result<usize, Fault> {
        if self.buffer.len() - self.at < count && !self.ended {
            self.buffer.drain(..self.at);
            self.at = 0;
            self.ended = fill(&mut self.input, &mut self.buffer, count)?;
        }
        Ok(self.buffer.len() - self.at)
    }

    /// The header at `at` if it belongs to this stream.
    fn own_header(&self, at: usize) -> Option<Header> {
        header(self.kind, self.buffer.get(at..)?).filter(|header| belongs(header, &self.first))
    }

    /// The next frame's header, its bytes available; `None` at the end.
    fn next_frame(&mut self) -> Result<Option<Header>, Fault> {
        let mut skipped = 0;
        while self.available(HEADER_BYTES)? > 0 {
            if let Some(header) = self.own_header(self.at) {
                // Without a gap, a single frame is accepted, so that live streams are not delayed.
                let (wanted, sure) = if skipped == 0 { (header.bytes, 1) } else { (2 * MAX_FRAME_BYTES, SURE_AGAIN) };
                let available = self.available(wanted)?;
                if follows(self.kind, &self.buffer[self.at..], &self.first, sure) {
                    if header.bytes <= available {
                        self.note_gap(skipped);
                        return Ok(Some(header));
                    }
                    // Streams may end anywhere.
                    break;
                }
            }
            match tag_bytes(&self.buffer[self.at..]) {
                // Tags between and after frames are not damage.
                Some(bytes) if skipped == 0 => self.skip(bytes)?,
                _ => {
                    let step = self.to_next_sync();
                    self.at += step;
                    skipped += step as u64;
                }
            }
        }
        if skipped > 0 {
            let seconds = self.seconds_of(skipped);
            self.losses.push(Loss { seconds, problem: AudioProblem::Foreign { bytes: skipped } });
        }
        Ok(None)
    }

    /// Skips `bytes` bytes, fewer at the end.
    fn skip(&mut self, bytes: u64) -> Result<(), Fault> {
        let buffered = (self.buffer.len() - self.at) as u64;
        self.at += bytes.min(buffered) as usize;
        let rest = bytes.saturating_sub(buffered);
        if rest > 0 && std::io::copy(&mut std::io::Read::take(&mut self.input, rest), &mut std::io::sink())? < rest {
            self.ended = true;
        }
        Ok(())
    }

    /// Number of bytes to the next possible start of a frame, at least one.
    fn to_next_sync(&self) -> usize {
        let rest = &self.buffer[self.at + 1..];
        rest.iter().position(|&byte| byte == 0xff).unwrap_or(rest.len()) + 1
    }

    /// Adds silence in place of `bytes` bytes.
    fn note_gap(&mut self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        let seconds = self.seconds_of(bytes).min(MAX_GAP_SECONDS);
        self.silence += (seconds * f64::from(self.first.rate)) as u64;
        self.recovering = RECOVERING_FRAMES;
        self.decoder.reset();
        self.losses.push(Loss { seconds, problem: AudioProblem::Foreign { bytes } });
    }

    /// Duration in seconds of that many bytes of this stream.
    fn seconds_of(&self, bytes: u64) -> f64 {
        let (frames, of) = match self.stream_bytes {
            0 => (u64::from(self.first.frames), self.first.bytes as u64),
            stream_bytes => (self.stream_frames, stream_bytes),
        };
        bytes as f64 * frames as f64 / of as f64 / f64::from(self.first.rate)
    }

    fn decode(&mut self, header: &Header, out: &mut Vec<f32>) -> Result<(), Fault> {
        let start = if self.kind == Kind::Adts { header.payload } else { 0 };
        let data = self.buffer[self.at + start..self.at + header.bytes].into();
        self.at += header.bytes;
        self.stream_bytes += header.bytes as u64;
        self.stream_frames += u64::from(header.frames);
        match self.decoder.decode(data, u64::from(header.frames), out) {
            Ok(Some(layout)) => {
                self.layout = Some(layout);
                self.recovering = self.recovering.saturating_sub(1);
                Ok(())
            }
            Ok(None) | Err(PacketFault::Reset) => self.conceal(header, "a frame is empty", out),
            Err(PacketFault::Damaged(cause)) => self.conceal(header, cause, out),
            Err(PacketFault::Final(fault)) => Err(fault),
        }
    }

    fn conceal(&mut self, header: &Header, cause: &str, out: &mut Vec<f32>) -> Result<(), Fault> {
        if self.recovering > 0 {
            self.recovering -= 1;
        } else {
            self.losses.push(Loss::damaged(f64::from(header.frames) / f64::from(header.rate), cause));
        }
        let layout = self.layout.map_or_else(|| Layout::new(header.rate, header.channels), Ok)?;
        self.layout = Some(layout);
        out.clear();
        out.resize(header.frames as usize * layout.channels as usize, 0.0);
        Ok(())
    }
}

impl Decode for Frames {
    fn codec(&self) -> Codec {
        self.codec
    }

    fn seconds(&self) -> Option<f64> {
        self.announced.map(|frames| frames as f64 / f64::from(self.first.rate))
    }

    fn announced(&self) -> Option<f64> {
        // Streams without a header may end anywhere.
        self.seconds().map(|seconds| seconds - LENGTH_SLACK_SECONDS).filter(|&seconds| seconds > 0.0)
    }

    fn next_block(&mut self, out: &mut Vec<f32>) -> Result<Option<Layout>, Fault> {
        let mut pending = None;
        loop {
            if self.silence == 0 {
                let header = match pending.take() {
                    Some(header) => header,
                    None => match self.next_frame()? {
                        Some(header) => header,
                        None => return Ok(None),
                    },
                };
                if self.silence == 0 {
                    let frame = &self.buffer[self.at..self.at + header.bytes];
                    // Concatenated files contain the header of each.
                    if self.kind == Kind::Mpeg && info_tag(frame, &header).is_some() {
                        self.at += header.bytes;
                        continue;
                    }
                    self.decode(&header, out)?;
                }
            }
            let layout = self.layout.map_or_else(|| Layout::new(self.first.rate, self.first.channels), Ok)?;
            if self.silence > 0 {
                let frames = self.silence.min(SILENCE_BLOCK);
                self.silence -= frames;
                out.clear();
                out.resize(frames as usize * layout.channels as usize, 0.0);
            }
            self.trim.apply(out, layout.channels as usize);
            if !out.is_empty() {
                return Ok(Some(layout));
            }
        }
    }

    fn take_losses(&mut self) -> Vec<Loss> {
        std::mem::take(&mut self.losses)
    }
}

/// Finds the start and kind of a stream of frames in `bytes`, the beginning of a file.
pub(super) fn find(bytes: &[u8]) -> Option<(usize, Kind)> {
    let mut syncs = bytes.iter().enumerate().filter(|&(_, &byte)| byte == 0xff).map(|(at, _)| at);
    syncs.find_map(|at| {
        let rest = &bytes[at..];
        let kind = [Kind::Adts, Kind::Mpeg].into_iter().find(|&kind| {
            let Some(first) = header(kind, rest) else { return false };
            // After other bytes a second frame is required; at the very start a file may have a single frame.
            let second = rest.get(first.bytes..).and_then(|rest| header(kind, rest));
            follows(kind, rest, &first, SURE_AT_START) && (at == 0 || second.is_some())
        })?;
        Some((at, kind))
    })
}

/// Whether `bytes` begins with `count` frames of the same stream, or with fewer up to its end.
fn follows(kind: Kind, bytes: &[u8], first: &Header, count: usize) -> bool {
    let mut at = 0;
    for index in 0..count {
        match bytes.get(at..).map(|rest| header(kind, rest)) {
            Some(Some(header)) if belongs(&header, first) => at += header.bytes,
            // The rest is too short for a header, or is a tag.
            Some(None) if index > 0 && (bytes.len() - at < 9 || tag_bytes(&bytes[at..]).is_some()) => return true,
            // The last frame ends at the end of the bytes, or beyond.
            None => return index > 0 && (index > 1 || at == bytes.len()),
            _ => return false,
        }
    }
    true
}

fn belongs(header: &Header, first: &Header) -> bool {
    (header.variant, header.layer, header.rate) == (first.variant, first.layer, first.rate)
}

/// Reads until `buffer` has `count` bytes. Returns whether the input has ended.
fn fill(input: &mut Input, buffer: &mut Vec<u8>, count: usize) -> Result<bool, Fault> {
    while buffer.len() < count {
        let before = buffer.len();
        buffer.resize(before + READ_BYTES, 0);
        let read = input.fill_some(&mut buffer[before..])?;
        buffer.truncate(before + read);
        if read == 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Length of the tag at the start of `bytes`, if there is one: ID3v2 and APE before or between frames, ID3v1, APE and
/// Lyrics3 after them.
fn tag_bytes(bytes: &[u8]) -> Option<u64> {
    match bytes {
        [b'I', b'D', b'3', _, _, flags, a, b, c, d, ..] => {
            let size = [a, b, c, d].iter().fold(0u64, |size, &&byte| size << 7 | u64::from(byte & 0x7f));
            Some(10 + size + if flags & 0x10 != 0 { 10 } else { 0 })
        }
        [b'T', b'A', b'G', ..] => Some(128),
        [b'A', b'P', b'E', b'T', b'A', b'G', b'E', b'X', _, _, _, _, a, b, c, d, ..] => {
            Some(32 + u64::from(u32::from_le_bytes([*a, *b, *c, *d])))
        }
        // Its length is stored at its end, and only a tag of 128 bytes may follow.
        [b'L', b'Y', b'R', b'I', b'C', b'S', b'B', b'E', b'G', b'I', b'N', ..] => Some(bytes.len() as u64),
        _ => None,
    }
}

fn header(kind: Kind, bytes: &[u8]) -> Option<Header> {
    match kind {
        Kind::Mpeg => mpeg_header(bytes),
        Kind::Adts => adts_header(bytes),
    }
}

/// Four bytes (ISO 11172-3 §2.4.1.3; version 2.5 is Fraunhofer's).
fn mpeg_header(bytes: &[u8]) -> Option<Header> {
    // Bit rates in kbit/s: version 1 layer 1, 2, 3; versions 2 and 2.5 layer 1, then 2 and 3.
    const BIT_RATES: [[u32; 14]; 5] = [
        [32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
        [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
        [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
        [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
        [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
    ];
    let &[0xff, second, third, fourth, ..] = bytes else { return None };
    let (version, layer) = (second >> 3 & 3, 4 - (second >> 1 & 3));
    if second >> 5 != 7 || version == 1 || layer == 4 || fourth & 3 == 2 {
        return None;
    }
    let table = match (version, layer) {
        (3, layer) => usize::from(layer) - 1,
        (_, 1) => 3,
        _ => 4,
    };
    // 0 is an unspecified rate, 15 is invalid.
    let bit_rate = *BIT_RATES[table].get(usize::from(third >> 4).checked_sub(1)?)?;
    let rate = *[44_100, 48_000, 32_000].get(usize::from(third >> 2 & 3))? >> [2, 0, 1, 0][usize::from(version)];
    let padding = u32::from(third >> 1 & 1);
    let frames = match (layer, version) {
        (1, _) => 384,
        (3, 0 | 2) => 576,
        _ => 1152,
    };
    let bytes = match layer {
        1 => (12 * bit_rate * 1000 / rate + padding) * 4,
        _ => frames / 8 * bit_rate * 1000 / rate + padding,
    };
    let channels = if fourth >> 6 == 3 { 1 } else { 2 };
    let bytes = (bytes as usize).max(8);
    Some(Header { bytes, frames, rate, channels, variant: version, layer, payload: 4 })
}

/// Seven bytes, and two of a checksum.
fn adts_header(bytes: &[u8]) -> Option<Header> {
    let &[0xff, second, third, fourth, fifth, sixth, seventh, ..] = bytes else { return None };
    if second & 0xf6 != 0xf0 {
        return None;
    }
    const RATES: [u32; 12] =
        [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8000];
    let rate = *RATES.get(usize::from(third >> 2 & 15))?;
    let channels = u32::from((third & 1) << 2 | fourth >> 6);
    let bytes = usize::from(fourth & 3) << 11 | usize::from(fifth) << 3 | usize::from(sixth >> 5);
    let payload = if second & 1 == 0 { 9 } else { 7 };
    let frames = 1024 * (u32::from(seventh & 3) + 1);
    let channels = if channels == 7 { 8 } else { channels };
    (bytes > payload).then_some(Header { bytes, frames, rate, channels, variant: third >> 6, layer: 0, payload })
}

fn parameters(kind: Kind, header: &Header) -> AudioCodecParameters {
    let codec = match (kind, header.layer) {
        (Kind::Adts, _) => CODEC_ID_AAC,
        (Kind::Mpeg, 1) => CODEC_ID_MP1,
        (Kind::Mpeg, 2) => CODEC_ID_MP2,
        (Kind::Mpeg, _) => CODEC_ID_MP3,
    };
    let channels = match header.channels {
        1 => Channels::Positioned(Position::FRONT_LEFT),
        2 => Channels::Positioned(Position::FRONT_LEFT | Position::FRONT_RIGHT),
        channels => Channels::Discrete(channels as u16),
    };
    let mut parameters = AudioCodecParameters::new();
    parameters.for_codec(codec).with_sample_rate(header.rate).with_channels(channels);
    parameters
}

/// The information in the first frame of many files, in place of audio.
#[derive(Debug, Default, PartialEq)]
struct InfoTag {
    /// Frames of the stream that follow.
    frames: Option<u32>,
    /// Samples before the audio: the encoder's delay plus the decoder's own 529.
    delay: u64,
    /// Samples after the audio.
    padding: u64,
}

/// Xing's, LAME's or Fraunhofer's header in the frame of layer 3 (gabriel.mp3-tech.org/mp3infotag.html).
fn info_tag(frame: &[u8], header: &Header) -> Option<InfoTag> {
    if header.layer != 3 {
        return None;
    }
    let u32_at = |at: usize| Some(u32::from_be_bytes(*frame.get(at..)?.first_chunk()?));
    if frame.get(36..40)? == b"VBRI" {
        return Some(InfoTag { frames: u32_at(50), ..InfoTag::default() });
    }
    // After the side information, which is empty; a checksum may precede it.
    let side = match (header.variant == 3, header.channels) {
        (true, 1) => 17,
        (true, _) => 32,
        (false, 1) => 9,
        (false, _) => 17,
    };
    let start = [4 + side, 6 + side].into_iter().find(|&at| {
        let name = frame.get(at..at + 4);
        name == Some(b"Xing") || name == Some(b"Info")
    })?;
    let flags = u32_at(start + 4)?;
    let frames = if flags & 1 != 0 { u32_at(start + 8).filter(|&frames| frames > 0) } else { None };
    let fields: usize = [(1, 4), (2, 4), (4, 100), (8, 4)]
        .into_iter()
        .filter_map(|(flag, bytes)| (flags & flag != 0).then_some(bytes))
        .sum();
    let encoder = start + 8 + fields;
    let mut tag = InfoTag { frames, ..InfoTag::default() };
    if let Some([b'L', b'A', b'M', b'E'] | [b'L', b'a', b'v', b'f' | b'c']) = frame.get(encoder..encoder + 4)
        && let Some([a, b, c]) = frame.get(encoder + 21..encoder + 24)
    {
        // Decoders add 528 samples and one of their own.
        const DECODER: u64 = 529;
        tag.delay = (u64::from(*a) << 4 | u64::from(b >> 4)) + DECODER;
        tag.padding = (u64::from(b & 15) << 8 | u64::from(*c)).saturating_sub(DECODER);
    }
    Some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_tell_length_and_rate() {
        // Bytes, and frame length in bytes, samples, rate, channels as ffmpeg reports them.
        for (bytes, expected) in [
            ([0xff, 0xfb, 0x90, 0x00], (417, 1152, 44_100, 2)),
            ([0xff, 0xfb, 0x92, 0x00], (418, 1152, 44_100, 2)),
            ([0xff, 0xf3, 0x48, 0xc4], (144, 576, 16_000, 1)),
            ([0xff, 0xe3, 0x48, 0xc4], (288, 576, 8000, 1)),
            ([0xff, 0xfd, 0xa4, 0x00], (576, 1152, 48_000, 2)),
            ([0xff, 0xff, 0xc0, 0x00], (416, 384, 44_100, 2)),
        ] {
            let header = mpeg_header(&bytes).unwrap();
            assert_eq!((header.bytes, header.frames, header.rate, header.channels), expected, "{bytes:02x?}");
        }
        let none = [
            [0xff, 0xfb, 0, 0],
            [0xff, 0xfb, 0xf0, 0],
            [0xff, 0xfb, 0x9c, 0],
            [0xff, 0xeb, 0x90, 0],
            [0xff, 0xf9, 0x90, 0],
        ];
        for bytes in none {
            assert_eq!(mpeg_header(&bytes), None, "{bytes:02x?}");
        }
        let adts = adts_header(&[0xff, 0xf1, 0x60, 0x40, 0x2e, 0x7f, 0xfc]).unwrap();
        assert_eq!((adts.bytes, adts.frames, adts.rate, adts.channels, adts.payload), (371, 1024, 16_000, 1, 7));
    }

    #[test]
    fn tags_are_measured() {
        assert_eq!(tag_bytes(b"ID3\x04\0\0\0\0\x01\x02"), Some(140));
        assert_eq!(tag_bytes(b"ID3\x04\0\x10\0\0\x01\x02"), Some(150));
        assert_eq!(tag_bytes(b"TAGtitle"), Some(128));
        assert_eq!(tag_bytes(b"\xff\xfb"), None);
    }
}
