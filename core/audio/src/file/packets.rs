//! Decoding packets of a codec to samples, independent of the container.

use std::io;

use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_AAC, CODEC_ID_AC3, CODEC_ID_ADPCM_IMA_QT, CODEC_ID_ADPCM_IMA_WAV, CODEC_ID_ADPCM_MS, CODEC_ID_ALAC,
    CODEC_ID_DCA, CODEC_ID_EAC3, CODEC_ID_FLAC, CODEC_ID_MP1, CODEC_ID_MP2, CODEC_ID_MP3, CODEC_ID_OPUS,
    CODEC_ID_VORBIS,
};
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Timestamp};

use super::aac::{Config, MultichannelAac};
use super::opus::Opus;
use super::{Codec, Fault, Layout};

pub(super) enum Decoder {
    Symphonia(Box<dyn AudioDecoder>),
    MultichannelAac(Box<MultichannelAac>),
    Opus(Box<Opus>),
}

/// A decoder chosen for a track.
pub(super) struct Chosen {
    pub(super) decoder: Decoder,
    pub(super) codec: Codec,
    /// The rate of its output in Hz, if known.
    pub(super) rate: Option<u32>,
    /// Frames by which its output is early, compared with the decoder that the container's times assume.
    pub(super) ahead: u64,
}

// The extension of HE-AAC delays its output, and the core with it, by this many frames of the core; encoders include
// that delay.
const EXTENSION_DELAY: u64 = 481;

/// Why a packet was not decoded.
pub(super) enum PacketFault {
    /// This packet cannot be decoded; the next one may.
    Damaged(&'static str),
    /// The stream ends and another begins.
    Reset,
    /// The file cannot be decoded any further.
    Final(Fault),
}

impl Decoder {
    /// Chooses a decoder from a container's parameters.
    pub(super) fn choose(parameters: &AudioCodecParameters) -> Result<Chosen, Fault> {
        let codec = match parameters.codec {
            CODEC_ID_AAC => Codec::Aac,
            CODEC_ID_ALAC => Codec::Alac,
            CODEC_ID_FLAC => Codec::Flac,
            CODEC_ID_MP1 | CODEC_ID_MP2 => Codec::Mp2,
            CODEC_ID_MP3 => Codec::Mp3,
            CODEC_ID_VORBIS => Codec::Vorbis,
            CODEC_ID_ADPCM_IMA_QT | CODEC_ID_ADPCM_IMA_WAV | CODEC_ID_ADPCM_MS => Codec::Adpcm,
            CODEC_ID_OPUS => {
                let head = match parameters.extra_data.as_deref() {
                    Some(head) if head.starts_with(b"OpusHead") => super::opus::parse_head(head)?,
                    // CAF stores no Opus header.
                    _ => super::opus::plain(parameters.channels.as_ref().map_or(1, |channels| channels.count() as u8)),
                };
                let opus = Opus::new(&head)?;
                let rate = Some(opus.layout().rate);
                return Ok(Chosen { decoder: Self::Opus(Box::new(opus)), codec: Codec::Opus, rate, ahead: 0 });
            }
            CODEC_ID_AC3 | CODEC_ID_EAC3 => return Err(Fault::unsupported("Dolby Digital (AC-3)")),
            CODEC_ID_DCA => return Err(Fault::unsupported("DTS")),
            _ if is_pcm(parameters) => Codec::Pcm,
            _ => return Err(Fault::unsupported("the codec of this audio track")),
        };
        let mut parameters = parameters.clone();
        let mut ahead = 0;
        if codec == Codec::Aac {
            let config = parameters.extra_data.as_deref().filter(|config| !config.is_empty()).map(Config::parse);
            if let Some(config) = config {
                // Symphonia decodes the core of HE-AAC, but refuses a configuration with the extension.
                let config = config?;
                ahead = if config.extended { EXTENSION_DELAY } else { 0 };
                parameters.with_extra_data(config.core().into_boxed_slice()).with_sample_rate(config.rate);
            }
        }
        // The header is checked before a decoder allocates memory for it; the decoded layout is checked again.
        if let (Some(rate), Some(channels)) = (parameters.sample_rate, &parameters.channels) {
            Layout::new(rate, channels.count() as u32)?;
        }
        // Delay and padding are trimmed by `Trim`: symphonia would cut everything after the length in the header.
        let gapless = !matches!(codec, Codec::Mp2 | Codec::Mp3);
        let options = AudioDecoderOptions::default().gapless(gapless);
        let decoder = match symphonia::default::get_codecs().make_audio_decoder(&parameters, &options) {
            Ok(decoder) => Self::Symphonia(decoder),
            Err(Error::Unsupported(what)) => match multichannel(codec, &parameters) {
                Some((rate, channels)) => Self::MultichannelAac(Box::new(MultichannelAac::new(rate, channels)?)),
                None => return Err(Fault::unsupported(what)),
            },
            Err(error) => return Err(error.into()),
        };
        Ok(Chosen { decoder, codec, rate: parameters.sample_rate, ahead })
    }

    /// Decodes a packet of `frames` frames (if known) into `out`, interleaved; `None` for a packet without audio.
    pub(super) fn decode(
        &mut self,
        data: Box<[u8]>,
        frames: u64,
        out: &mut Vec<f32>,
    ) -> Result<Option<Layout>, PacketFault> {
        self.decode_packet(&Packet::new(0, Timestamp::new(0), Duration::new(frames), data), out)
    }

    pub(super) fn decode_packet(&mut self, packet: &Packet, out: &mut Vec<f32>) -> Result<Option<Layout>, PacketFault> {
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
            Self::Opus(decoder) => decoder.decode(&packet.data, out),
        }
    }

    /// Resets the decoder, because packets are missing.
    pub(super) fn reset(&mut self) {
        if let Self::Symphonia(decoder) = self {
            decoder.reset();
        }
    }
}

fn is_pcm(parameters: &AudioCodecParameters) -> bool {
    symphonia::default::get_codecs()
        .get_audio_decoder(parameters.codec)
        .is_some_and(|registered| registered.codec.info.short_name.starts_with("pcm"))
}

/// Rate and channels of AAC that symphonia refuses only because it has more than two channels.
fn multichannel(codec: Codec, parameters: &AudioCodecParameters) -> Option<(u32, u32)> {
    let plain = parameters.extra_data.as_ref().is_none_or(|config| MultichannelAac::understands(config));
    let channels = parameters.channels.as_ref()?.count() as u32;
    (codec == Codec::Aac && plain && channels > 2).then_some((parameters.sample_rate?, channels))
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
            // A packet that needs a feature that its codec does not have.
            Error::Unsupported(fault) | Error::LimitError(fault) => Self::Damaged(fault),
            Error::ResetRequired => Self::Reset,
            error => Self::Final(error.into()),
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::IoError(error) => Self::Io(error),
            Error::DecodeError(cause) | Error::LimitError(cause) => Self::Malformed(cause.to_owned()),
            Error::Unsupported(what) => Self::unsupported(what),
            other => Self::Malformed(other.to_string()),
        }
    }
}
