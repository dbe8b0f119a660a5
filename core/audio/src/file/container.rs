//! FLAC, MP3, AAC and Vorbis by symphonia.

use std::io::{self, Read, Seek, SeekFrom};

use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::well_known::{CODEC_ID_AAC, CODEC_ID_FLAC, CODEC_ID_MP3, CODEC_ID_VORBIS};
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatOptions, FormatReader, Track, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::core::packet::Packet;
use symphonia::default::formats::{AdtsReader, FlacReader, IsoMp4Reader, MpaReader, OggReader};

use super::aac::MultichannelAac;
use super::detect::Container;
use super::edits::{self, Edit, Presented};
use super::trim::Trim;
use super::{Codec, Decode, Fault, Input, Layout};

// Packets in a row without audio before a file counts as damaged: a few seconds of noise in an MP3 are survived,
// a hostile table of four billion empty samples is not followed.
const MAX_BAD_PACKETS: u32 = 256;
// Packets of other tracks (video, subtitles) in a row.
const MAX_FOREIGN_PACKETS: u32 = 1 << 16;
// Silence put in for a packet that cannot be decoded, at most; codecs have 576 to 4608 frames per packet.
const MAX_CONCEALED_FRAMES: u64 = 8192;
// MP4 tells lengths in ticks of its movie clock and counts whole packets.
const AAC_PACKET_FRAMES: u64 = 1024;
const LENGTH_SLACK_SECONDS: f64 = 0.2;

pub(super) struct Demuxed {
    format: Box<dyn FormatReader>,
    decoder: Decoder,
    container: Container,
    codec: Codec,
    track: u32,
    trim: Trim,
    seconds: Option<f64>,
    /// Of the last decoded packet.
    layout: Option<Layout>,
    bad_packets: u32,
    last_fault: Option<&'static str>,
}

impl Demuxed {
    pub(super) fn open(mut input: Input, container: Container) -> Result<Self, Fault> {
        let presented = if container == Container::Mp4 { edits::read(&mut input)? } else { Presented::default() };
        input.seek(SeekFrom::Start(0))?;
        let format = reader(input, container)?;
        let track = audio_track(format.as_ref())?;
        let (decoder, codec) = decoder_of(track)?;
        let length = track_seconds(track);
        let edit = presented.edits.iter().find(|edit| edit.track == track.id);
        let (trim, seconds) = match (edit, presented.gapless) {
            (Some(edit), _) => trim_of_edit(edit, track, length),
            (None, Some(tag)) => {
                let total = length.unwrap_or(f64::INFINITY);
                let seconds = track_rate(track).map(|rate| (tag.frames as f64 / rate).min(total));
                (Trim::new(tag.delay, Some(tag.frames), tag.padding + AAC_PACKET_FRAMES), seconds)
            }
            (None, None) => (trim_of_encoder(track, container), length),
        };
        let track = track.id;
        Ok(Self {
            format,
            decoder,
            container,
            codec,
            track,
            trim,
            seconds,
            layout: None,
            bad_packets: 0,
            last_fault: None,
        })
    }

    /// Another stream begins in the same file (chained Ogg).
    fn next_stream(&mut self) -> Result<(), Fault> {
        let track = audio_track(self.format.as_ref())?;
        (self.decoder, self.codec) = decoder_of(track)?;
        self.track = track.id;
        self.trim = trim_of_encoder(track, self.container);
        // Told the length of the first stream only.
        self.seconds = None;
        Ok(())
    }

    fn survive(&mut self, fault: &'static str) -> Result<(), Fault> {
        self.bad_packets += 1;
        self.last_fault = Some(fault);
        if self.bad_packets > MAX_BAD_PACKETS { Err(Fault::Malformed(fault.to_owned())) } else { Ok(()) }
    }

    /// What stands for a packet that cannot be decoded, so that what follows keeps its time.
    fn conceal(&mut self, frames: u64, out: &mut Vec<f32>) {
        out.clear();
        if let Some(layout) = self.layout {
            let channels = layout.channels as usize;
            out.resize(frames.min(MAX_CONCEALED_FRAMES) as usize * channels, 0.0);
            self.trim.apply(out, channels);
        }
    }

    fn end(&self) -> Result<Option<Layout>, Fault> {
        match (self.layout, self.last_fault) {
            // Not one packet could be decoded.
            (None, Some(fault)) => Err(Fault::Malformed(fault.to_owned())),
            _ => Ok(None),
        }
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
            Container::Mp4 => {
                self.seconds.map(|seconds| seconds - LENGTH_SLACK_SECONDS).filter(|&seconds| seconds > 0.0)
            }
            // MP3 and AAC streams and Ogg captures end anywhere, that is normal.
            _ => None,
        }
    }

    fn next_block(&mut self, out: &mut Vec<f32>) -> Result<Option<Layout>, Fault> {
        let mut foreign = 0;
        loop {
            let packet = match self.format.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => return self.end(),
                Err(Error::ResetRequired) => {
                    self.survive("too many streams without audio")?;
                    self.next_stream()?;
                    continue;
                }
                // Cut off in the middle of a packet: what was announced and is missing is reported at the end.
                Err(Error::IoError(error)) if error.kind() == io::ErrorKind::UnexpectedEof => return self.end(),
                Err(Error::DecodeError(fault)) => {
                    self.survive(fault)?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            if packet.track_id != self.track {
                foreign += 1;
                if foreign > MAX_FOREIGN_PACKETS {
                    return Err(Fault::Malformed("its audio track has no packets".into()));
                }
                continue;
            }
            match self.decoder.decode(&packet, out) {
                Ok(Some(layout)) => {
                    self.layout = Some(layout);
                    self.bad_packets = 0;
                    self.trim.apply(out, layout.channels as usize);
                }
                Ok(None) => self.survive("its packets are empty")?,
                Err(PacketFault::Damaged(fault)) => {
                    self.survive(fault)?;
                    self.conceal(packet.block_dur().get(), out);
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
}

enum Decoder {
    Symphonia(Box<dyn AudioDecoder>),
    MultichannelAac(Box<MultichannelAac>),
}

impl Decoder {
    /// Decodes a packet into `out`, interleaved; `None` for a packet without audio.
    fn decode(&mut self, packet: &Packet, out: &mut Vec<f32>) -> Result<Option<Layout>, PacketFault> {
        match self {
            Self::Symphonia(decoder) => {
                let buffer = decoder.decode(packet)?;
                if buffer.frames() == 0 {
                    return Ok(None);
                }
                let spec = buffer.spec();
                let layout = Layout::new(spec.rate(), spec.channels().count() as u32)?;
                buffer.copy_to_vec_interleaved(out);
                Ok(Some(layout))
            }
            Self::MultichannelAac(decoder) => decoder.decode(&packet.data, out).map_err(PacketFault::Damaged),
        }
    }
}

/// What is wrong with one packet.
enum PacketFault {
    /// It cannot be decoded, the next one may.
    Damaged(&'static str),
    /// The stream ends and another begins.
    Reset,
    /// The file cannot be decoded any further.
    Final(Fault),
}

impl From<Fault> for PacketFault {
    fn from(fault: Fault) -> Self {
        Self::Final(fault)
    }
}

impl From<Error> for PacketFault {
    fn from(error: Error) -> Self {
        match error {
            Error::DecodeError(fault) => Self::Damaged(fault),
            Error::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Self::Damaged("a packet ends early")
            }
            Error::ResetRequired => Self::Reset,
            error => Self::Final(error.into()),
        }
    }
}

fn reader(input: Input, container: Container) -> Result<Box<dyn FormatReader>, Fault> {
    // Streams of frames without an index are not seeked: symphonia would estimate their length from the bit rate of
    // the first frames and then trim the audio to it.
    let seekable = !matches!(container, Container::Mp3 | Container::Adts);
    let mut source = MediaSourceStream::new(Box::new(Source { input, seekable }), Default::default());
    let options = FormatOptions::default();
    Ok(match container {
        Container::Flac => Box::new(FlacReader::try_new(source, options)?),
        Container::Mp3 => Box::new(MpaReader::try_new(source, options)?),
        Container::Adts => Box::new(AdtsReader::try_new(source, options)?),
        Container::Mp4 => {
            // Symphonia's probe finds `ftyp` behind the size of the first atom; its reader steps back over the size.
            source.read_exact(&mut [0; 4])?;
            Box::new(IsoMp4Reader::try_new(source, options)?)
        }
        Container::OggVorbis | Container::OggFlac => Box::new(OggReader::try_new(source, options)?),
        Container::Wav | Container::OggOpus => unreachable!("read by modules of their own"),
    })
}

fn audio_track(format: &dyn FormatReader) -> Result<&Track, Fault> {
    format.default_track(TrackType::Audio).ok_or_else(|| Fault::Unsupported("a file without an audio track".into()))
}

fn decoder_of(track: &Track) -> Result<(Decoder, Codec), Fault> {
    let Some(CodecParameters::Audio(parameters)) = &track.codec_params else {
        return Err(Fault::Unsupported("a file without an audio track".into()));
    };
    let codec = match parameters.codec {
        CODEC_ID_AAC => Codec::Aac,
        CODEC_ID_FLAC => Codec::Flac,
        CODEC_ID_MP3 => Codec::Mp3,
        CODEC_ID_VORBIS => Codec::Vorbis,
        _ => return Err(Fault::Unsupported("the codec of this audio track".into())),
    };
    // What the header says is checked before a decoder allocates by it; what it decodes to is checked again.
    if let (Some(rate), Some(channels)) = (parameters.sample_rate, &parameters.channels) {
        Layout::new(rate, channels.count() as u32)?;
    }
    // MP3 delay and padding are trimmed by `Trim`: symphonia cuts everything after the length in the header.
    let options = AudioDecoderOptions::default().gapless(codec != Codec::Mp3);
    let decoder = match symphonia::default::get_codecs().make_audio_decoder(parameters, &options) {
        Ok(decoder) => Decoder::Symphonia(decoder),
        Err(Error::Unsupported(what)) => match multichannel(codec, parameters) {
            Some((rate, channels)) => Decoder::MultichannelAac(Box::new(MultichannelAac::new(rate, channels)?)),
            None => return Err(Fault::Unsupported(what.to_owned())),
        },
        Err(error) => return Err(error.into()),
    };
    Ok((decoder, codec))
}

/// Rate and channels of AAC that is only refused because it has more than two channels.
fn multichannel(codec: Codec, parameters: &AudioCodecParameters) -> Option<(u32, u32)> {
    let plain = parameters.extra_data.as_ref().is_none_or(|config| MultichannelAac::understands(config));
    let channels = parameters.channels.as_ref()?.count() as u32;
    (codec == Codec::Aac && plain && channels > 2).then_some((parameters.sample_rate?, channels))
}

fn track_rate(track: &Track) -> Option<f64> {
    match &track.codec_params {
        Some(CodecParameters::Audio(parameters)) => parameters.sample_rate.map(f64::from),
        _ => None,
    }
}

fn track_seconds(track: &Track) -> Option<f64> {
    let base = track.time_base?;
    let ticks = track.num_frames.or(track.duration.map(|duration| duration.get())).filter(|&ticks| ticks > 0)?;
    Some(ticks as f64 * f64::from(base.numer.get()) / f64::from(base.denom.get()))
}

/// The delay and padding that LAME's tag tells; Vorbis carries its own in the packets' positions.
fn trim_of_encoder(track: &Track, container: Container) -> Trim {
    if container != Container::Mp3 {
        return Trim::default();
    }
    let padding = u64::from(track.padding.unwrap_or(0));
    Trim::new(u64::from(track.delay.unwrap_or(0)), track.num_frames, padding)
}

/// The part of an MP4 track that its edit list presents, and how long that is.
fn trim_of_edit(edit: &Edit, track: &Track, length: Option<f64>) -> (Trim, Option<f64>) {
    let Some(rate) = track_rate(track) else { return (Trim::default(), length) };
    let total = length.unwrap_or(0.0);
    let presented = edit.seconds.unwrap_or(total - edit.start_seconds).min(total - edit.start_seconds);
    if presented <= 0.0 {
        return (Trim::default(), length);
    }
    let frames = |seconds: f64| (seconds * rate).round() as u64;
    // The table of durations may count only the audio of the last packet, the decoder returns all of it.
    let padding = frames((total - edit.start_seconds - presented).max(0.0)) + AAC_PACKET_FRAMES;
    (Trim::new(frames(edit.start_seconds), Some(frames(presented)), padding), Some(presented))
}

/// An input for symphonia.
struct Source {
    input: Input,
    seekable: bool,
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
        self.seekable
    }

    fn byte_len(&self) -> Option<u64> {
        self.seekable.then_some(self.input.len)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::IoError(error) => Self::Io(error),
            Error::DecodeError(cause) | Error::LimitError(cause) => Self::Malformed(cause.to_owned()),
            Error::Unsupported(what) => Self::Unsupported(what.to_owned()),
            other => Self::Malformed(other.to_string()),
        }
    }
}
