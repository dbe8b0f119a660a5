//! Vorbis, FLAC and Opus in Ogg (RFC 3533; RFC 7845; Xiph's Vorbis I and Ogg FLAC mappings).
//!
//! Parsed here and not by symphonia, so that a damaged page loses only its own content. Each page states the number of
//! frames of its stream up to its end, so the length of a gap before it is known exactly, and is filled with silence.
//!
//! Memory: one decoded page (at most 64 kB of packets), and the longest packet.

mod pages;

use std::collections::VecDeque;
use std::io::{Seek, SeekFrom};

use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::codecs::audio::well_known::{CODEC_ID_FLAC, CODEC_ID_VORBIS};

use super::opus::{self, Opus};
use super::packets::{Decoder, PacketFault};
use super::{Codec, Decode, Fault, Input, Layout, Loss};
use pages::{Page, Pages};

// A gap is filled only as far as the file's size could have held it at one kilobit per second, so that hostile
// positions cost nothing.
const BYTES_PER_SECOND_OF_SILENCE: u64 = 125;
// Frames of silence per block.
const SILENCE_BLOCK: u64 = 16_384;
// Maximum number of parallel streams: a film has video, audio in some languages, and subtitles.
const MAX_STREAMS: usize = 64;
// Maximum number of consecutive pages of other streams, pages without audio, or streams without audio.
const MAX_IDLE_PAGES: u32 = 1 << 16;

pub(super) struct Ogg {
    pages: Pages,
    stream: Stream,
    /// The first page after the headers, not used yet.
    next: Option<Page>,
    /// Decoded audio that was not returned yet.
    ready: VecDeque<Piece>,
    seconds: Option<f64>,
    silence_left: u64,
    losses: Vec<Loss>,
    ended: bool,
}

enum Piece {
    Silence(u64),
    Audio(Vec<f32>),
}

/// One logical stream.
struct Stream {
    serial: u32,
    codec: Codec,
    decoder: Decoder,
    layout: Layout,
    sequence: u32,
    partial: Vec<u8>,
    /// Whether `partial` is the start of a packet.
    open: bool,
    /// Frames up to the end of the last page; `None` before the first.
    position: Option<u64>,
    /// Decoded frames to drop: the delay of Opus.
    skip: u64,
    /// Whether the next Vorbis block is the first, which gives no audio.
    fresh: bool,
    /// Damage since the last page with a position.
    damage: Option<&'static str>,
    /// Frames of silence for packets of known length, since then.
    concealed: u64,
}

impl Ogg {
    pub(super) fn open(mut input: Input) -> Result<Self, Fault> {
        let last = last_position(&mut input)?;
        let bytes = input.len();
        input.seek(SeekFrom::Start(0))?;
        let mut pages = Pages::new(input);
        let first = pages.next()?.ok_or_else(|| Fault::Malformed("it has no whole Ogg page".into()))?;
        let (stream, next) = Stream::start(&mut pages, first)?;
        let rate = u64::from(stream.layout.rate);
        let seconds = last
            .filter(|&(serial, _)| serial == stream.serial)
            .and_then(|(_, position)| position.checked_sub(stream.skip))
            .map(|frames| frames as f64 / rate as f64);
        // The length of a pipe is unknown: an hour of silence.
        let silence_left = bytes.map_or(3600, |bytes| bytes / BYTES_PER_SECOND_OF_SILENCE) * rate;
        Ok(Self {
            pages,
            stream,
            next,
            ready: VecDeque::new(),
            seconds,
            silence_left,
            losses: Vec::new(),
            ended: false,
        })
    }

    /// Decodes one more page into `ready`; `false` at the end.
    fn advance(&mut self) -> Result<bool, Fault> {
        let page = match self.next.take() {
            Some(page) => page,
            None => match self.pages.next()? {
                Some(page) => page,
                None => {
                    if self.pages.cut_off() {
                        self.losses.push(Loss::damaged(0.0, "it ends in the middle of an Ogg page"));
                    } else if self.pages.take_skipped() > 0 {
                        self.losses.push(Loss::damaged(0.0, "bytes behind the last whole Ogg page"));
                    }
                    return Ok(false);
                }
            },
        };
        if self.pages.take_skipped() > 0 {
            // It may have been the first page with audio; the stream then still begins at 0.
            self.stream.position.get_or_insert(0);
            self.stream.lose("a damaged Ogg page");
        }
        if page.first {
            // Another stream follows in the same file; it may be of an unknown kind.
            let (stream, next) = Stream::start(&mut self.pages, page)?;
            (self.stream, self.next, self.seconds) = (stream, next, None);
            return Ok(true);
        }
        if page.serial == self.stream.serial {
            self.decode_page(&page)?;
        }
        Ok(true)
    }

    fn decode_page(&mut self, page: &Page) -> Result<(), Fault> {
        let stream = &mut self.stream;
        let channels = stream.layout.channels as usize;
        let mut audio = Vec::new();
        // Position of the gap in `audio`: at the front, unless a packet inside is damaged.
        let mut gap_at = None;
        for packet in stream.packets(page) {
            if stream.is_header(&packet) {
                continue;
            }
            stream.decode(packet, &mut audio, &mut gap_at)?;
        }
        let decoded = (audio.len() / channels) as u64;
        let mut gap = 0;
        if let Some(end) = page.position {
            match stream.position {
                None => {
                    let surplus = decoded.saturating_sub(end);
                    if page.last {
                        audio.truncate((decoded - surplus) as usize * channels);
                    } else if surplus > 0 && stream.codec == Codec::Vorbis {
                        // The audio begins inside the first page.
                        audio.drain(..surplus as usize * channels);
                    }
                }
                Some(before) => {
                    let expected = before.saturating_add(decoded);
                    gap = end.saturating_sub(expected);
                    if page.last {
                        let surplus = expected.saturating_sub(end).min(decoded);
                        audio.truncate((decoded - surplus) as usize * channels);
                    }
                }
            }
            stream.position = Some(end);
            gap = gap.min(self.silence_left);
            self.silence_left -= gap;
            let concealed = std::mem::take(&mut stream.concealed);
            if let Some(cause) = stream.damage.take() {
                self.losses.push(Loss::damaged((gap + concealed) as f64 / f64::from(stream.layout.rate), cause));
            }
        }
        let tail = audio.split_off(gap_at.unwrap_or(0).min(audio.len()));
        self.ready.push_back(Piece::Audio(audio));
        if gap > 0 {
            self.ready.push_back(Piece::Silence(gap));
        }
        self.ready.push_back(Piece::Audio(tail));
        self.trim_delay(channels);
        Ok(())
    }

    /// Drops the frames that Opus decodes before the audio begins.
    fn trim_delay(&mut self, channels: usize) {
        for piece in &mut self.ready {
            let Piece::Audio(audio) = piece else { continue };
            let dropped = self.stream.skip.min((audio.len() / channels) as u64);
            audio.drain(..dropped as usize * channels);
            self.stream.skip -= dropped;
        }
    }
}

impl Decode for Ogg {
    fn codec(&self) -> Codec {
        self.stream.codec
    }

    fn seconds(&self) -> Option<f64> {
        self.seconds
    }

    fn announced(&self) -> Option<f64> {
        // Recordings of live streams may end anywhere.
        None
    }

    fn next_block(&mut self, out: &mut Vec<f32>) -> Result<Option<Layout>, Fault> {
        let mut idle = 0;
        loop {
            match self.ready.front_mut() {
                Some(Piece::Silence(frames)) => {
                    let block = (*frames).min(SILENCE_BLOCK);
                    *frames -= block;
                    if *frames == 0 {
                        self.ready.pop_front();
                    }
                    out.resize(block as usize * self.stream.layout.channels as usize, 0.0);
                    return Ok(Some(self.stream.layout));
                }
                Some(Piece::Audio(audio)) => {
                    std::mem::swap(out, audio);
                    self.ready.pop_front();
                    if !out.is_empty() {
                        return Ok(Some(self.stream.layout));
                    }
                }
                None if self.ended => return Ok(None),
                None => {
                    self.ended = !self.advance()?;
                    idle += 1;
                    if idle > MAX_IDLE_PAGES {
                        return Err(Fault::Malformed("its Ogg pages hold no audio".into()));
                    }
                }
            }
        }
    }

    fn take_losses(&mut self) -> Vec<Loss> {
        std::mem::take(&mut self.losses)
    }
}

impl Stream {
    /// Starts the first audio stream among those that begin at `page`. Also returns the first page after its headers.
    fn start(pages: &mut Pages, page: Page) -> Result<(Self, Option<Page>), Fault> {
        let mut found = None;
        let mut refused = None;
        let mut page = Some(page);
        for _ in 0..MAX_STREAMS {
            let Some(begins) = page.take_if(|page| page.first) else { break };
            if found.is_none() {
                match Self::identify(&begins) {
                    Ok(head) => found = Some((begins.serial, begins.sequence, head)),
                    Err(fault) => refused = Some(fault),
                }
            }
            page = pages.next()?;
        }
        let Some((serial, sequence, head)) = found else {
            return Err(refused.unwrap_or_else(|| Fault::Malformed("no stream begins in it".into())));
        };
        match head {
            Head::Opus(head) => {
                let decoder = Opus::new(&head)?;
                let layout = decoder.layout();
                let decoder = Decoder::Opus(Box::new(decoder));
                let mut stream = Self::new(serial, sequence, Codec::Opus, decoder, layout);
                stream.skip = u64::from(head.pre_skip);
                Ok((stream, page))
            }
            Head::Flac { info, layout } => {
                let mut parameters = AudioCodecParameters::new();
                parameters.for_codec(CODEC_ID_FLAC).with_extra_data(info).with_sample_rate(layout.rate);
                let decoder = Decoder::choose(&parameters)?.decoder;
                Ok((Self::new(serial, sequence, Codec::Flac, decoder, layout), page))
            }
            Head::Vorbis { ident, layout } => Self::vorbis(pages, page, serial, sequence, ident, layout),
        }
    }

    fn new(serial: u32, sequence: u32, codec: Codec, decoder: Decoder, layout: Layout) -> Self {
        Self {
            serial,
            codec,
            decoder,
            layout,
            sequence,
            partial: Vec::new(),
            open: false,
            position: None,
            skip: 0,
            fresh: true,
            damage: None,
            concealed: 0,
        }
    }

    /// A Vorbis decoder needs the third header packet.
    fn vorbis(
        pages: &mut Pages,
        mut page: Option<Page>,
        serial: u32,
        sequence: u32,
        mut ident: Vec<u8>,
        layout: Layout,
    ) -> Result<(Self, Option<Page>), Fault> {
        let ends = || Fault::Malformed("it ends before its Vorbis headers do".into());
        // A stream with a placeholder decoder collects the headers.
        let nothing = Decoder::Opus(Box::new(Opus::new(&opus::plain(1))?));
        let mut stream = Self::new(serial, sequence, Codec::Vorbis, nothing, layout);
        let mut setup = None;
        for _ in 0..MAX_IDLE_PAGES {
            let current = match page.take() {
                Some(page) => page,
                None => pages.next()?.ok_or_else(ends)?,
            };
            if current.first {
                return Err(ends());
            }
            if current.serial != serial {
                continue;
            }
            // Audio begins on a page of its own.
            let mut packets = stream.packets(&current);
            setup = setup.or_else(|| {
                packets.iter().position(|packet| packet.starts_with(b"\x05vorbis")).map(|at| packets.swap_remove(at))
            });
            if setup.is_some() {
                break;
            }
        }
        ident.extend(setup.ok_or_else(ends)?);
        let mut parameters = AudioCodecParameters::new();
        parameters
            .for_codec(CODEC_ID_VORBIS)
            .with_extra_data(ident.into_boxed_slice())
            .with_sample_rate(layout.rate)
            .with_channels(Channels::Discrete(layout.channels as u16));
        stream.decoder = Decoder::choose(&parameters)?.decoder;
        pages.take_skipped();
        Ok((stream, None))
    }

    /// Parses the first packet of a stream.
    fn identify(page: &Page) -> Result<Head, Fault> {
        let packet = page.packets().next().map(|(packet, _)| packet).unwrap_or_default();
        match packet {
            [b'O', b'p', b'u', b's', b'H', b'e', b'a', b'd', ..] => opus::parse_head(packet).map(Head::Opus),
            [1, b'v', b'o', b'r', b'b', b'i', b's', _, _, _, _, channels, r0, r1, r2, r3, ..] => {
                let layout = Layout::new(u32::from_le_bytes([*r0, *r1, *r2, *r3]), u32::from(*channels))?;
                Ok(Head::Vorbis { ident: packet.to_vec(), layout })
            }
            [0x7f, b'F', b'L', b'A', b'C', ..] => {
                // Version, number of headers, `fLaC`, the header of a metadata block, and the stream's information.
                let info = packet.get(17..51).ok_or_else(|| Fault::Malformed("its FLAC header is too short".into()))?;
                let bits = u32::from_be_bytes([info[10], info[11], info[12], info[13]]);
                let layout = Layout::new(bits >> 12, (bits >> 9 & 7) + 1)?;
                Ok(Head::Flac { info: info.into(), layout })
            }
            packet if packet.starts_with(b"Speex   ") => Err(Fault::unsupported("Speex")),
            packet if packet.starts_with(b"fishead\0") || packet.starts_with(b"\x80theora") => {
                Err(Fault::unsupported("Ogg video without Vorbis, FLAC or Opus"))
            }
            _ => Err(Fault::Malformed("its first Ogg packet belongs to no known codec".into())),
        }
    }

    /// The packets that end on `page`.
    fn packets(&mut self, page: &Page) -> Vec<Vec<u8>> {
        if page.sequence != self.sequence.wrapping_add(1) {
            self.lose("Ogg pages are missing");
        }
        self.sequence = page.sequence;
        // A packet whose start or end is missing is not whole.
        let mut whole = page.continued == self.open;
        if !page.continued {
            self.partial.clear();
        }
        let mut packets = Vec::new();
        for (data, complete) in page.packets() {
            if whole {
                self.partial.extend_from_slice(data);
            }
            self.open = !complete && whole;
            if self.partial.len() > pages::MAX_PACKET_BYTES {
                self.lose("an Ogg packet is too long");
                whole = false;
            }
            if complete {
                let packet = std::mem::take(&mut self.partial);
                if whole {
                    packets.push(packet);
                }
                whole = true;
            }
        }
        packets
    }

    /// Records that something is missing here.
    fn lose(&mut self, cause: &'static str) {
        self.partial.clear();
        self.open = false;
        // Damage in the headers causes no warning.
        if self.position.is_some() {
            self.damage = Some(cause);
            self.decoder.reset();
            self.fresh = true;
        }
    }

    /// Whether a packet is a header, by its first bytes: some headers may be lost.
    fn is_header(&self, packet: &[u8]) -> bool {
        match self.codec {
            Codec::Opus => packet.starts_with(b"OpusTags") || packet.starts_with(b"OpusHead"),
            Codec::Vorbis => packet.first().is_none_or(|first| first & 1 == 1),
            _ => packet.first() != Some(&0xff),
        }
    }

    /// Appends the audio of a packet. Sets `gap_at` to the position of a packet that cannot be decoded.
    fn decode(&mut self, packet: Vec<u8>, audio: &mut Vec<f32>, gap_at: &mut Option<usize>) -> Result<(), Fault> {
        let concealed = if self.codec == Codec::Opus { opus::packet_frames(&packet) } else { 0 };
        let mut samples = Vec::new();
        // The first Vorbis block has nothing to overlap with.
        let silent = std::mem::take(&mut self.fresh) && self.codec == Codec::Vorbis;
        match self.decoder.decode(packet.into_boxed_slice(), 0, &mut samples) {
            Ok(Some(layout)) if layout == self.layout => {
                if !silent {
                    audio.append(&mut samples);
                }
            }
            Ok(Some(_)) => return Err(Fault::Malformed("its channels or rate change within a stream".into())),
            Ok(None) => {}
            Err(PacketFault::Damaged(cause)) => {
                self.damage = Some(cause);
                gap_at.get_or_insert(audio.len());
                self.concealed += concealed;
                audio.resize(audio.len() + concealed as usize * self.layout.channels as usize, 0.0);
            }
            Err(PacketFault::Reset) => self.damage = Some("a packet of another stream"),
            Err(PacketFault::Final(fault)) => return Err(fault),
        }
        Ok(())
    }
}

enum Head {
    Opus(opus_pure::OpusHead),
    Vorbis { ident: Vec<u8>, layout: Layout },
    Flac { info: Box<[u8]>, layout: Layout },
}

/// Serial number and position of the last page with a position, read from the end of a file.
fn last_position(input: &mut Input) -> Result<Option<(u32, u64)>, Fault> {
    let Some(len) = input.len() else { return Ok(None) };
    // A page has at most 65,307 bytes, so the last one begins within this distance of the end.
    let mut tail = vec![0; (64 * 1024).min(len as usize)];
    let read = input.read_at(len - tail.len() as u64, &mut tail)?;
    let pages = tail[..read].windows(18).rev().filter(|page| page.starts_with(b"OggS\0"));
    let told = pages.map(|page| {
        let serial = u32::from_le_bytes(std::array::from_fn(|i| page[14 + i]));
        (serial, u64::from_le_bytes(std::array::from_fn(|i| page[6 + i])))
    });
    // All ones marks a page on which no packet ends.
    Ok(told.into_iter().find(|&(_, position)| position != u64::MAX))
}
