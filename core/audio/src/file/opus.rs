//! Ogg Opus (RFC 7845) by opus-pure: pre-skip, output gain and end trimming as the RFC asks.

use std::io::{BufReader, Seek, SeekFrom};

use opus_pure::{Error, MAX_PACKET_SAMPLES, OggOpusReader, OggPacket, OpusDecoder, OpusHead, OpusMSDecoder, Trim};

use super::{Codec, Decode, Fault, Input, Layout};

// Opus always decodes to 48 kHz here: the granule positions count at that rate, and one resampler serves all formats.
const RATE: u32 = 48_000;
// Packets in a row that cannot be decoded before the stream counts as damaged: a few seconds.
const MAX_BAD_PACKETS: u32 = 256;

pub(super) struct OggOpus {
    reader: Option<OggOpusReader<BufReader<Input>>>,
    decoder: Decoder,
    trim: Trim,
    layout: Layout,
    packet: OggPacket,
    /// One decoded packet, interleaved.
    block: Vec<f32>,
    seconds: Option<f64>,
    bad_packets: u32,
    decoded: bool,
}

enum Decoder {
    Plain(Box<OpusDecoder>),
    /// Mapping families 1 (surround) and 255 (discrete channels).
    Multi(OpusMSDecoder),
}

impl OggOpus {
    pub(super) fn open(mut input: Input) -> Result<Self, Fault> {
        let last_granule = last_granule(&mut input)?;
        input.seek(SeekFrom::Start(0))?;
        let reader = OggOpusReader::new(BufReader::new(input))?;
        let (decoder, trim, layout) = start(reader.head())?;
        let pre_skip = u64::from(reader.head().pre_skip);
        let seconds = last_granule
            .and_then(|granule| granule.checked_sub(pre_skip))
            .map(|frames| frames as f64 / f64::from(RATE));
        Ok(Self {
            reader: Some(reader),
            decoder,
            trim,
            layout,
            packet: OggPacket::default(),
            block: vec![0.0; MAX_PACKET_SAMPLES * layout.channels as usize],
            seconds,
            bad_packets: 0,
            decoded: false,
        })
    }

    /// Goes on with the next stream of a chained file, if there is one.
    fn next_stream(&mut self) -> Result<bool, Fault> {
        let Some(ended) = self.reader.take() else { return Ok(false) };
        // What follows the last page may also be a tag or garbage: the audio before it is complete, so no error.
        let Ok(reader) = OggOpusReader::new(ended.into_inner()) else { return Ok(false) };
        (self.decoder, self.trim, self.layout) = start(reader.head())?;
        self.block.resize(MAX_PACKET_SAMPLES * self.layout.channels as usize, 0.0);
        self.seconds = None;
        self.reader = Some(reader);
        Ok(true)
    }

    fn survive(&mut self, fault: &'static str) -> Result<(), Fault> {
        self.bad_packets += 1;
        if self.bad_packets > MAX_BAD_PACKETS { Err(Fault::Malformed(fault.to_owned())) } else { Ok(()) }
    }

    /// Decodes the current packet, or conceals it when it is damaged; frames in `block`.
    fn decode(&mut self) -> Result<usize, Fault> {
        match self.decoder.decode(&self.packet.data, MAX_PACKET_SAMPLES, &mut self.block) {
            Ok(frames) => {
                self.bad_packets = 0;
                self.decoded = true;
                Ok(frames)
            }
            Err(Error::InvalidPacket(fault) | Error::Internal(fault)) => {
                self.survive(fault)?;
                // 20 ms, the packet length nearly every encoder uses; an empty packet asks for concealment.
                let frames = RATE as usize / 50;
                Ok(self.decoder.decode(&[], frames, &mut self.block).unwrap_or(0))
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Decode for OggOpus {
    fn codec(&self) -> Codec {
        Codec::Opus
    }

    fn seconds(&self) -> Option<f64> {
        self.seconds
    }

    fn announced(&self) -> Option<f64> {
        // Captures of live streams end anywhere.
        None
    }

    fn next_block(&mut self, out: &mut Vec<f32>) -> Result<Option<Layout>, Fault> {
        loop {
            let Some(reader) = &mut self.reader else { return Ok(None) };
            match reader.read_packet_into(&mut self.packet) {
                Ok(true) => {}
                Ok(false) => {
                    if !self.next_stream()? {
                        return Ok(None);
                    }
                    self.survive("too many streams without audio")?;
                    continue;
                }
                // A page that is cut off ends the stream; nothing of it can be used.
                Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof && self.decoded => {
                    self.reader = None;
                    return Ok(None);
                }
                Err(error) => return Err(error.into()),
            }
            let frames = self.decode()?;
            let decoded = &self.block[..frames * self.layout.channels as usize];
            let kept = self.trim.keep(&self.packet, decoded);
            if !kept.is_empty() {
                out.extend_from_slice(kept);
                return Ok(Some(self.layout));
            }
        }
    }
}

impl Decoder {
    fn decode(&mut self, packet: &[u8], frames: usize, out: &mut [f32]) -> opus_pure::Result<usize> {
        match self {
            Self::Plain(decoder) => decoder.decode(packet, frames, out),
            Self::Multi(decoder) => decoder.decode(packet, frames, out),
        }
    }
}

fn start(head: &OpusHead) -> Result<(Decoder, Trim, Layout), Fault> {
    let channels = u32::from(head.channel_count);
    let layout = Layout::new(RATE, channels)?;
    let rate = RATE.cast_signed();
    let decoder = if head.mapping_family == 0 {
        Decoder::Plain(Box::new(head.decoder(rate)?))
    } else {
        let mut decoder = OpusMSDecoder::new(rate, channels as usize, head.mapping_family)?;
        let standard = decoder.layout();
        if (standard.nb_streams, standard.nb_coupled_streams, standard.mapping.as_slice())
            != (usize::from(head.stream_count), usize::from(head.coupled_count), head.channel_mapping.as_slice())
        {
            return Err(Fault::Unsupported("an Opus stream with a channel mapping of its own".into()));
        }
        for stream in decoder.streams_mut() {
            stream.gain_q8 = i32::from(head.output_gain_q8);
        }
        Decoder::Multi(decoder)
    };
    Ok((decoder, Trim::new(head, rate, channels as usize)?, layout))
}

/// Granule position of the last page (RFC 3533 §6): frames at 48 kHz from the start of the stream, pre-skip included.
fn last_granule(input: &mut Input) -> Result<Option<u64>, Fault> {
    // Pages are at most 65,307 bytes, so the last one begins within this many of the end.
    let mut tail = vec![0; (64 * 1024).min(input.len as usize)];
    let from = input.len - tail.len() as u64;
    let read = input.read_at(from, &mut tail)?;
    let pages = tail[..read].windows(14).rev().filter(|page| page.starts_with(b"OggS\0"));
    // All ones: a page on which no packet ends.
    let granules = pages.map(|page| u64::from_le_bytes(std::array::from_fn(|i| page[6 + i])));
    Ok(granules.into_iter().find(|&granule| granule != u64::MAX))
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Io(error) => Self::Io(error),
            Error::InvalidStream(cause) | Error::InvalidPacket(cause) => Self::Malformed(cause.to_owned()),
            other => Self::Unsupported(format!("this Opus stream ({other})")),
        }
    }
}
