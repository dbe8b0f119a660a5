//! Native FLAC, MP4, Matroska and CAF, demuxed by symphonia.

use std::io::{self, Read, Seek, SeekFrom};

use symphonia::core::codecs::CodecParameters;
use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatOptions, FormatReader, Track, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::core::packet::Packet;
use symphonia::default::formats::{CafReader, FlacReader, IsoMp4Reader, MkvReader};

use super::detect::Container;
use super::edits::{self, Edit, Presented};
use super::packets::{Chosen, Decoder, PacketFault};
use super::trim::Trim;
use super::{Codec, Decode, Fault, Input, Layout, Loss};

// Consecutive packets without audio after which the rest of a file counts as damaged: minutes in any codec, but a
// hostile table of four billion empty samples is not read to its end.
const MAX_BAD_PACKETS: u32 = 1 << 14;
// Packets of other tracks (video, subtitles) in a row.
const MAX_FOREIGN_PACKETS: u32 = 1 << 16;
// Maximum silence in place of one packet that cannot be decoded; codecs have 576 to 8192 frames per packet.
const MAX_CONCEALED_SECONDS: f64 = 1.0;
// MP4 gives lengths in ticks of its movie clock and counts whole packets.
const AAC_PACKET_FRAMES: u64 = 1024;
const LENGTH_SLACK_SECONDS: f64 = 0.2;
// Matroska's times are in milliseconds, and those of packets inside a block are estimated.
const GAP_SECONDS: f64 = 0.05;
// A gap is filled only as far as the file's size could have held it at one kilobit per second, so that hostile times
// cost nothing.
const BYTES_PER_SECOND_OF_SILENCE: f64 = 125.0;
// Frames of silence per block.
const SILENCE_BLOCK: u64 = 16_384;
// Limit for files that are read from a pipe as a whole: eight hours at 128 kbit/s.
const MAX_INDEXED_BYTES: u64 = 512 << 20;

pub(super) struct Demuxed {
    format: Box<dyn FormatReader>,
    decoder: Decoder,
    container: Container,
    seekable: bool,
    codec: Codec,
    track: u32,
    /// Length in seconds of a tick of the packets' times.
    tick: Option<f64>,
    trim: Trim,
    seconds: Option<f64>,
    /// Layout of the last decoded packet.
    layout: Option<Layout>,
    bad_packets: u32,
    /// Expected start of the next packet, in seconds of the track.
    expected: Option<f64>,
    /// A packet that waits until the silence before it was returned.
    waiting: Option<Packet>,
    silence: u64,
    silence_left: f64,
    /// An error of the reader since the last packet.
    stumbled: Option<String>,
    losses: Vec<Loss>,
}

impl Demuxed {
    pub(super) fn open(input: Input, container: Container) -> Result<Self, Fault> {
        let mut input = match container {
            // Their index may be at the end.
            Container::Mp4 | Container::Caf => input.indexed(MAX_INDEXED_BYTES)?,
            _ => input,
        };
        let is_mp4 = container == Container::Mp4;
        let presented = if is_mp4 { edits::read(&mut input)? } else { Presented::default() };
        let names = if is_mp4 { edits::audio_codecs(&mut input)? } else { Vec::new() };
        let silence_left = input.len().map_or(3600.0, |bytes| bytes as f64 / BYTES_PER_SECOND_OF_SILENCE);
        input.seek(SeekFrom::Start(0))?;
        let seekable = input.is_seekable();
        // Symphonia refuses a file that is shorter than its header says, but not a pipe.
        let forward = container == Container::Matroska && is_cut_off(&mut input)?;
        input.seek(SeekFrom::Start(0))?;
        let format = reader(input, container, forward)?;
        let track = audio_track(format.as_ref()).map_err(|fault| named(fault, &names))?;
        let Chosen { decoder, codec, rate, ahead } = decoder_of(track).map_err(|fault| named(fault, &names))?;
        let rate = rate.map(f64::from);
        // CAF includes the padding of its last packet.
        let length = track_seconds(track).filter(|_| container != Container::Caf);
        let edit = presented.edits.iter().find(|edit| edit.track == track.id);
        let (trim, seconds) = match (edit, presented.gapless) {
            (Some(edit), _) => trim_of_edit(edit, rate, length, ahead),
            (None, Some(tag)) if codec == Codec::Aac => {
                let total = length.unwrap_or(f64::INFINITY);
                let seconds = rate.map(|rate| (tag.frames as f64 / rate).min(total));
                (Trim::new(tag.delay, Some(tag.frames), tag.padding + AAC_PACKET_FRAMES), seconds)
            }
            _ => (trim_of_encoder(track, codec), length),
        };
        Ok(Self {
            tick: track.time_base.map(|base| f64::from(base.numer.get()) / f64::from(base.denom.get())),
            track: track.id,
            format,
            decoder,
            container,
            seekable,
            codec,
            trim,
            seconds,
            layout: None,
            bad_packets: 0,
            expected: None,
            waiting: None,
            silence: 0,
            silence_left,
            stumbled: None,
            losses: Vec::new(),
        })
    }

    /// The track list changed, as when another stream begins in the same file.
    fn next_stream(&mut self) -> Result<(), Fault> {
        let track = audio_track(self.format.as_ref())?;
        Chosen { decoder: self.decoder, codec: self.codec, .. } = decoder_of(track)?;
        self.track = track.id;
        self.trim = trim_of_encoder(track, self.codec);
        // They are known only for the first stream.
        (self.seconds, self.expected) = (None, None);
        Ok(())
    }

    fn survive(&mut self, fault: &str) -> Result<(), Fault> {
        self.bad_packets += 1;
        if self.bad_packets > MAX_BAD_PACKETS { Err(Fault::Malformed(fault.to_owned())) } else { Ok(()) }
    }

    /// The next packet of the audio track; `None` at the end.
    fn next_packet(&mut self) -> Result<Option<Packet>, Fault> {
        let mut foreign = 0;
        loop {
            match self.format.next_packet() {
                Ok(Some(packet)) if packet.track_id == self.track => return Ok(Some(packet)),
                Ok(Some(_)) => {
                    foreign += 1;
                    if foreign > MAX_FOREIGN_PACKETS {
                        return Err(Fault::Malformed("its audio track has no packets".into()));
                    }
                }
                Ok(None) => return self.end(),
                Err(Error::ResetRequired) => {
                    self.survive("too many streams without audio")?;
                    self.next_stream()?;
                }
                // Cut off in the middle of a packet. Missing audio that the header announced is reported at the end.
                Err(Error::IoError(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    // A pipe may end anywhere.
                    if self.seekable && self.announced().is_none() && self.layout.is_some() {
                        self.losses.push(Loss::damaged(0.0, "it ends in the middle of a packet"));
                    }
                    return self.end();
                }
                Err(Error::DecodeError(fault)) => {
                    self.stumbled.get_or_insert_with(|| fault.to_owned());
                    self.survive(fault)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn end(&mut self) -> Result<Option<Packet>, Fault> {
        match (self.layout, self.stumbled.take()) {
            // No packet could be decoded.
            (None, Some(fault)) => Err(Fault::Malformed(fault)),
            (Some(_), Some(fault)) => {
                self.losses.push(Loss::damaged(0.0, &fault));
                Ok(None)
            }
            (_, None) => Ok(None),
        }
    }

    /// Measures how much audio is missing before `packet`, by its time.
    fn note_gap(&mut self, packet: &Packet) {
        let (Some(tick), Some(layout)) = (self.tick, self.layout) else { return };
        let stumbled = self.stumbled.take();
        let start = packet.pts.get() as f64 * tick;
        let gap = self.expected.map_or(0.0, |expected| start - expected);
        let gap = if gap > GAP_SECONDS || stumbled.is_some() && gap > 0.0 { gap } else { 0.0 };
        let filled = gap.min(self.silence_left);
        self.silence_left -= filled;
        self.silence = (filled * f64::from(layout.rate)).round() as u64;
        // FLAC streams have no gaps; other files may pause.
        let missing = (gap > 0.0 && self.container == Container::Flac).then(|| "frames are missing".to_owned());
        if let Some(cause) = stumbled.or(missing) {
            self.losses.push(Loss::damaged(filled, &cause));
        }
        if gap > 0.0 {
            self.decoder.reset();
        }
    }

    fn hand_out_silence(&mut self, layout: Layout, out: &mut Vec<f32>) {
        let frames = self.silence.min(SILENCE_BLOCK);
        self.silence -= frames;
        out.clear();
        out.resize(frames as usize * layout.channels as usize, 0.0);
        self.trim.apply(out, layout.channels as usize);
    }

    fn seconds_of(&self, packet: &Packet) -> f64 {
        self.tick.map_or(0.0, |tick| packet.block_dur().get() as f64 * tick)
    }

    /// Adds silence for a packet that cannot be decoded, so that the audio after it keeps its time.
    fn conceal(&mut self, packet: &Packet, cause: &str, out: &mut Vec<f32>) {
        out.clear();
        let Some(layout) = self.layout else {
            self.stumbled.get_or_insert_with(|| cause.to_owned());
            return;
        };
        let seconds = self.seconds_of(packet).min(MAX_CONCEALED_SECONDS).min(self.silence_left);
        self.silence_left -= seconds;
        self.losses.push(Loss::damaged(seconds, cause));
        out.resize((seconds * f64::from(layout.rate)).round() as usize * layout.channels as usize, 0.0);
        self.trim.apply(out, layout.channels as usize);
    }
}

impl Decode for Demuxed {
    fn codec(&self) -> Codec {
        self.codec
    }

    fn seconds(&self) -> Option<f64> {
        self.seconds
    }

    fn announced(&self) -> Option<f64> {
        match self.container {
            Container::Flac => self.seconds,
            Container::Mp4 | Container::Caf => {
                self.seconds.map(|seconds| seconds - LENGTH_SLACK_SECONDS).filter(|&seconds| seconds > 0.0)
            }
            // In other containers the length is that of the longest track.
            _ => None,
        }
    }

    fn next_block(&mut self, out: &mut Vec<f32>) -> Result<Option<Layout>, Fault> {
        loop {
            if let Some(layout) = self.layout
                && self.silence > 0
            {
                self.hand_out_silence(layout, out);
                if !out.is_empty() {
                    return Ok(Some(layout));
                }
                continue;
            }
            let packet = match self.waiting.take() {
                Some(packet) => packet,
                None => {
                    let Some(packet) = self.next_packet()? else { return Ok(None) };
                    self.note_gap(&packet);
                    if self.silence > 0 {
                        self.waiting = Some(packet);
                        continue;
                    }
                    packet
                }
            };
            let end = self.tick.map(|tick| packet.pts.get() as f64 * tick + self.seconds_of(&packet));
            match self.decoder.decode_packet(&packet, out) {
                Ok(Some(layout)) => {
                    // Matroska need not store the length of a packet.
                    let decoded = (out.len() / layout.channels as usize) as f64 / f64::from(layout.rate);
                    let start = self.tick.map(|tick| packet.pts.get() as f64 * tick);
                    self.expected = match self.expected {
                        // Its times are rounded; the number of decoded frames is more accurate.
                        Some(expected) if start.is_some_and(|start| (start - expected).abs() <= GAP_SECONDS) => {
                            Some(expected + decoded)
                        }
                        _ => start.map(|start| start + decoded),
                    };
                    self.layout = Some(layout);
                    self.bad_packets = 0;
                    self.trim.apply(out, layout.channels as usize);
                }
                Ok(None) => {
                    self.expected = end.or(self.expected);
                    self.survive("its packets are empty")?;
                }
                Err(PacketFault::Damaged(fault)) => {
                    self.survive(fault)?;
                    self.expected = end.or(self.expected);
                    self.conceal(&packet, fault, out);
                }
                Err(PacketFault::Reset) => {
                    self.survive("too many streams without audio")?;
                    self.next_stream()?;
                }
                Err(PacketFault::Final(fault)) => return Err(fault),
            }
            if !out.is_empty() {
                return Ok(self.layout);
            }
        }
    }

    fn take_losses(&mut self) -> Vec<Loss> {
        std::mem::take(&mut self.losses)
    }
}

/// Whether a Matroska file ends before the end of its segment (RFC 8794 §4: numbers of one to eight bytes, all ones for
/// unknown).
fn is_cut_off(input: &mut Input) -> Result<bool, Fault> {
    let Some(len) = input.len() else { return Ok(false) };
    let mut position = 0u64;
    for name in [[0x1a, 0x45, 0xdf, 0xa3], [0x18, 0x53, 0x80, 0x67]] {
        let mut head = [0; 12];
        if input.read_at(position, &mut head)? < head.len() || head[..4] != name {
            return Ok(false);
        }
        let bytes = head[4].leading_zeros() as usize + 1;
        let Some(number) = head.get(4..4 + bytes.min(8)) else { return Ok(false) };
        let value = number.iter().fold(0u64, |value, &byte| value << 8 | u64::from(byte));
        let limit = 1u64 << (7 * number.len());
        let size = value & (limit - 1);
        if size == limit - 1 {
            return Ok(false);
        }
        position = position.saturating_add(4 + number.len() as u64).saturating_add(size);
    }
    Ok(position > len)
}

fn reader(input: Input, container: Container, forward: bool) -> Result<Box<dyn FormatReader>, Fault> {
    let mut source = MediaSourceStream::new(Box::new(Source { input, forward }), Default::default());
    let options = FormatOptions::default();
    Ok(match container {
        Container::Flac => Box::new(FlacReader::try_new(source, options)?),
        Container::Matroska => Box::new(MkvReader::try_new(source, options)?),
        Container::Caf => Box::new(CafReader::try_new(source, options)?),
        _ => {
            // Symphonia's probe finds `ftyp` behind the size of the first atom; its reader steps back over the size.
            source.read_exact(&mut [0; 4])?;
            match IsoMp4Reader::try_new(source, options) {
                Ok(reader) => Box::new(reader),
                Err(Error::Unsupported(what)) if what.contains("moov") => {
                    return Err(Fault::Malformed("its index is missing; was the recording finished?".into()));
                }
                Err(error) => return Err(error.into()),
            }
        }
    })
}

fn audio_track(format: &dyn FormatReader) -> Result<&Track, Fault> {
    format.default_track(TrackType::Audio).ok_or_else(|| Fault::unsupported("a file without an audio track"))
}

fn decoder_of(track: &Track) -> Result<Chosen, Fault> {
    match &track.codec_params {
        Some(CodecParameters::Audio(parameters)) => Decoder::choose(parameters),
        _ => Err(Fault::unsupported("a file without an audio track")),
    }
}

/// The fault of a file with audio codecs of these names, in common words.
fn named(fault: Fault, names: &[[u8; 4]]) -> Fault {
    let (Fault::Unsupported { .. }, Some(name)) = (&fault, names.first()) else { return fault };
    match name {
        b"samr" => Fault::unsupported("AMR-NB audio"),
        b"sawb" => Fault::unsupported("AMR-WB audio"),
        b"sevc" | b"sqcp" | b"ssmv" => Fault::unsupported("EVRC, QCELP or SMV audio of a phone"),
        b"ac-3" | b"ec-3" => Fault::unsupported("Dolby Digital (AC-3) audio"),
        b"dtsc" | b"dtsh" | b"dtsl" | b"dtse" => Fault::unsupported("DTS audio"),
        b"enca" | b"drms" => Fault::Unsupported {
            what: "a protected track (DRM)".into(),
            remedy: "nothing but the shop's own player reads it",
        },
        // Their faults are specific already.
        b"mp4a" | b"alac" | b"Opus" | b"fLaC" | b".mp3" => fault,
        name => Fault::unsupported(format!("audio with the codec `{}`", name.escape_ascii())),
    }
}

fn track_seconds(track: &Track) -> Option<f64> {
    let base = track.time_base?;
    let ticks = track.num_frames.or(track.duration.map(|duration| duration.get())).filter(|&ticks| ticks > 0)?;
    Some(ticks as f64 * f64::from(base.numer.get()) / f64::from(base.denom.get()))
}

/// Delay and padding from codec and container, without an edit list.
fn trim_of_encoder(track: &Track, codec: Codec) -> Trim {
    let Some(CodecParameters::Audio(parameters)) = &track.codec_params else { return Trim::default() };
    match codec {
        Codec::Opus => {
            let head = parameters.extra_data.as_deref().and_then(|data| super::opus::parse_head(data).ok());
            let delay = head.map_or(track.delay.unwrap_or(0), |head| u32::from(head.pre_skip));
            Trim::new(u64::from(delay), None, 0)
        }
        Codec::Aac => Trim::new(u64::from(track.delay.unwrap_or(0)), None, 0),
        // Lossless codecs have none, and Vorbis encodes it in the packet positions.
        _ => Trim::default(),
    }
}

/// The trimming for an MP4 track's edit list, and the length that remains in seconds. `rate` is that of the decoder's
/// output, which is `ahead` frames early.
fn trim_of_edit(edit: &Edit, rate: Option<f64>, length: Option<f64>, ahead: u64) -> (Trim, Option<f64>) {
    let Some(rate) = rate else { return (Trim::default(), length) };
    let edit = Edit { start_seconds: (edit.start_seconds - ahead as f64 / rate).max(0.0), ..*edit };
    // A fragmented file does not know its length.
    let Some(total) = length else { return (Trim::new((edit.start_seconds * rate).round() as u64, None, 0), None) };
    let presented = edit.seconds.unwrap_or(total - edit.start_seconds).min(total - edit.start_seconds);
    if presented <= 0.0 {
        return (Trim::default(), length);
    }
    let frames = |seconds: f64| (seconds * rate).round() as u64;
    // The table of durations may count only part of the last packet, but the decoder returns all of it.
    let padding = frames((total - edit.start_seconds - presented).max(0.0)) + AAC_PACKET_FRAMES;
    (Trim::new(frames(edit.start_seconds), Some(frames(presented)), padding), Some(presented))
}

/// An input for symphonia.
struct Source {
    input: Input,
    /// Whether it is presented as a pipe.
    forward: bool,
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.input.read(buffer)
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.input.seek(to)
    }
}

impl MediaSource for Source {
    fn is_seekable(&self) -> bool {
        self.input.is_seekable() && !self.forward
    }

    fn byte_len(&self) -> Option<u64> {
        self.input.len().filter(|_| !self.forward)
    }
}
