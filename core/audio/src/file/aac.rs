//! AAC: parsing the configuration of a track, and decoding more than two channels element by element.
//!
//! HE-AAC is low-complexity AAC (the core) at half the rate, with data to reconstruct the upper half of the band (SBR)
//! and a second channel (PS). Symphonia decodes the core, and only that is used here. At 44.1 or 48 kHz, of the band
//! that speech recognition uses it lacks only what lies above the crossover, 5 to 8 kHz depending on the bit rate. The
//! core has the same timing as the whole.
//!
//! symphonia decodes low-complexity AAC in mono and stereo. A packet with more channels is a sequence of independent
//! elements (ISO 14496-3 §4.4.2.1), each of one channel or a pair, but their lengths are not stored. So each element
//! gets its own decoder, and the end of an element is found by trial decoding: an element that is cut short runs out of
//! bits; followed by the end marker it decodes.
//!
//! Cost: some 20 parses per element; 7.1 channels decode about ten times faster than they play.

use symphonia::core::audio::{Channels, Position};
use symphonia::core::codecs::audio::well_known::CODEC_ID_AAC;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Timestamp};

use super::{Fault, Layout};

/// The part of an AudioSpecificConfig (ISO 14496-3 §1.6.2.1) that the core needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Config {
    /// Rate of the core in Hz: half the playback rate of an HE-AAC track.
    pub(super) rate: u32,
    rate_index: u32,
    object_type: u32,
    channels: u32,
    /// Whether frames have 960 samples instead of 1024.
    short_frames: bool,
    /// Whether the track is HE-AAC, with the upper half of the band to be reconstructed.
    pub(super) extended: bool,
}

// Object types (§1.5.1.1).
const LOW_COMPLEXITY: u32 = 2;
const SBR: u32 = 5;
const PARAMETRIC_STEREO: u32 = 29;
const RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8000, 7350];

impl Config {
    pub(super) fn parse(config: &[u8]) -> Result<Self, Fault> {
        let mut bits = Bits { data: config, position: 0 };
        Self::read(&mut bits).ok_or_else(|| Fault::Malformed("its AAC configuration ends early".into()))?
    }

    fn read(bits: &mut Bits<'_>) -> Option<Result<Self, Fault>> {
        let mut object_type = bits.object_type()?;
        let (mut rate_index, mut rate) = bits.rate()?;
        let channels = bits.read(4)?;
        // Hierarchical signalling: the playback rate, then the core's type. Compatible signalling has this after the
        // core's configuration, where decoders of the core do not look.
        let mut extended = matches!(object_type, SBR | PARAMETRIC_STEREO);
        if extended {
            let core_rate = (rate_index, rate);
            bits.rate()?;
            object_type = bits.object_type()?;
            (rate_index, rate) = core_rate;
        }
        if object_type != LOW_COMPLEXITY {
            return Some(Err(Fault::unsupported(match object_type {
                1 => "AAC Main",
                3 => "AAC SSR",
                4 => "AAC LTP",
                17 => "error-resilient AAC",
                23 => "AAC-LD",
                39 => "AAC-ELD",
                42 => "xHE-AAC (USAC)",
                _ => "an MPEG-4 audio track that is not AAC-LC or HE-AAC",
            })));
        }
        if rate == 0 {
            return Some(Err(Fault::Malformed("its AAC configuration has no valid rate".into())));
        }
        let short_frames = bits.read(1)? == 1;
        // Two bits that low complexity does not use, a sync word, the type, and whether it is used.
        extended |= bits.read(2).is_some_and(|none| none == 0)
            && bits.read(11) == Some(0x2b7)
            && bits.read(5) == Some(SBR)
            && bits.read(1) == Some(1);
        Some(Ok(Self { rate, rate_index, object_type, channels, short_frames, extended }))
    }

    /// The configuration of the core alone.
    pub(super) fn core(self) -> Vec<u8> {
        let Self { rate, rate_index, object_type, channels, short_frames, .. } = self;
        let mut bits = u64::from(object_type) << 4 | u64::from(rate_index);
        let mut count = 9;
        if rate_index == 15 {
            (bits, count) = (bits << 24 | u64::from(rate), count + 24);
        }
        // Then whether frames are short, and two bits that low complexity does not use.
        bits = bits << 7 | u64::from(channels) << 3 | u64::from(short_frames) << 2;
        count += 7;
        (bits << (64 - count)).to_be_bytes()[..(count as usize).div_ceil(8)].to_vec()
    }
}

struct Bits<'d> {
    data: &'d [u8],
    position: usize,
}

impl Bits<'_> {
    fn read(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for position in self.position..self.position + count {
            let byte = self.data.get(position / 8)?;
            value = value << 1 | u32::from(byte >> (7 - position % 8) & 1);
        }
        self.position += count;
        Some(value)
    }

    fn object_type(&mut self) -> Option<u32> {
        match self.read(5)? {
            31 => Some(32 + self.read(6)?),
            object_type => Some(object_type),
        }
    }

    /// The index of a rate and the rate in Hz; 0 for an invalid index.
    fn rate(&mut self) -> Option<(u32, u32)> {
        match self.read(4)? {
            15 => Some((15, self.read(24)?)),
            index => Some((index, RATES.get(index as usize).copied().unwrap_or(0))),
        }
    }
}

/// Frames per packet.
const FRAMES: usize = 1024;
// Three bits for the type of an element, and four for its number.
const ID_BITS: usize = 3;
const TAG_BITS: usize = 4;
// The marker after the last element.
const END: u8 = 7;
const FILL: u16 = 6;

pub(super) struct MultichannelAac {
    layout: Layout,
    /// One decoder per element of a packet, in order.
    elements: Vec<Element>,
    /// Decoders for trial decoding: a failed attempt must not change the state of an element's decoder.
    probes: [Box<dyn AudioDecoder>; 2],
    /// Samples of one element.
    decoded: Vec<f32>,
}

struct Element {
    channels: usize,
    decoder: Box<dyn AudioDecoder>,
}

impl MultichannelAac {
    /// Whether `config`, a track's AudioSpecificConfig (§1.6.2.1), is plain low complexity with a numbered layout.
    pub(super) fn understands(config: &[u8]) -> bool {
        let [first, second, ..] = config else { return false };
        // Five bits object type, four bits rate, four bits layout; then frames of 1024 samples, no extension.
        let (object_type, channels) = (first >> 3, second >> 3 & 15);
        object_type == 2 && (3..=7).contains(&channels) && second & 0b101 == 0
    }

    pub(super) fn new(rate: u32, channels: u32) -> Result<Self, Fault> {
        let layout = Layout::new(rate, channels)?;
        Ok(Self { layout, elements: Vec::new(), probes: [decoder(rate, 1)?, decoder(rate, 2)?], decoded: Vec::new() })
    }

    /// Decodes one packet into `out`, interleaved in the order of the elements.
    pub(super) fn decode(&mut self, packet: &[u8], out: &mut Vec<f32>) -> Result<Option<Layout>, &'static str> {
        let total = self.layout.channels as usize;
        out.clear();
        out.resize(FRAMES * total, 0.0);
        let (mut position, mut done, mut index) = (0, 0, 0);
        while done < total {
            let mut rest = shifted(packet, position);
            while let Some(bits) = fill_bits(&rest) {
                position += bits;
                rest = shifted(packet, position);
            }
            let channels = match rest.first().map(|byte| byte >> (8 - ID_BITS)) {
                // Single channel, low-frequency channel.
                Some(0 | 3) => 1,
                Some(1) => 2,
                Some(END) if index > 0 => break,
                _ => return Err("an AAC packet begins with an unexpected element"),
            };
            if done + channels > total {
                return Err("an AAC packet has more channels than its header tells");
            }
            let last = done + channels == total;
            let bits = if last { rest.len() * 8 } else { self.element_bits(&rest, channels)? };
            let element = if last { rest } else { terminated(&rest, bits) };
            self.decode_element(index, channels, element)?;
            for (frame, samples) in out.chunks_exact_mut(total).zip(self.decoded.chunks_exact(channels)) {
                frame[done..done + channels].copy_from_slice(samples);
            }
            position += bits;
            done += channels;
            index += 1;
        }
        Ok(Some(self.layout))
    }

    fn decode_element(&mut self, index: usize, channels: usize, data: Vec<u8>) -> Result<(), &'static str> {
        if index == self.elements.len() {
            let decoder = decoder(self.layout.rate, channels as u32).map_err(|_| "no decoder for an AAC element")?;
            self.elements.push(Element { channels, decoder });
        }
        let element = &mut self.elements[index];
        if element.channels != channels {
            return Err("AAC packets differ in their elements");
        }
        let decoded = element.decoder.decode(&raw(data)).map_err(|_| "an AAC element breaks the rules of its codec")?;
        decoded.copy_to_vec_interleaved(&mut self.decoded);
        Ok(())
    }

    /// Length in bits of the first element of `data` and the fill elements after it.
    fn element_bits(&mut self, data: &[u8], channels: usize) -> Result<usize, &'static str> {
        let probe = &mut self.probes[channels - 1];
        // Finds the fewest bytes with which the decoder does not run out of bits: then it has read the element, and
        // either nothing is left or the type and number of another element, which it refuses.
        let (mut short, mut enough) = (0, data.len());
        while enough - short > 1 {
            let middle = usize::midpoint(short, enough);
            if runs_out(probe.decode(&raw(data[..middle].to_vec())).err()) { short = middle } else { enough = middle }
        }
        // With too many bits the attempt fails at the type of the next element: it starts with a 0, the end marker does
        // not.
        (0..8 + ID_BITS + TAG_BITS)
            .filter_map(|fewer| (enough * 8).checked_sub(fewer))
            .find(|&bits| probe.decode(&raw(terminated(data, bits))).is_ok())
            .ok_or("an AAC element breaks the rules of its codec")
    }
}

fn decoder(rate: u32, channels: u32) -> Result<Box<dyn AudioDecoder>, Fault> {
    let positions = if channels == 1 { Position::FRONT_LEFT } else { Position::FRONT_LEFT | Position::FRONT_RIGHT };
    let mut parameters = AudioCodecParameters::new();
    parameters.for_codec(CODEC_ID_AAC).with_sample_rate(rate).with_channels(Channels::Positioned(positions));
    Ok(symphonia::default::get_codecs().make_audio_decoder(&parameters, &AudioDecoderOptions::default())?)
}

fn raw(data: Vec<u8>) -> Packet {
    Packet::new(0, Timestamp::new(0), Duration::new(FRAMES as u64), data)
}

/// Decoders read from memory, so an I/O error means that the data ended.
fn runs_out(error: Option<Error>) -> bool {
    matches!(error, Some(Error::IoError(_)))
}

/// Length in bits of the fill element at the start of `data`, if there is one (§4.4.2.7; encoders sign their name in
/// the first packet).
fn fill_bits(data: &[u8]) -> Option<usize> {
    let header = u16::from_be_bytes([*data.first()?, *data.get(1)?]);
    if header >> 13 != FILL {
        return None;
    }
    match usize::from(header >> 9 & 15) {
        15 => Some(ID_BITS + 12 + 8 * (15 + usize::from(header >> 1 & 255) - 1)),
        count => Some(ID_BITS + 4 + 8 * count),
    }
}

/// The bits of `data` from `position` on, shifted to the start.
fn shifted(data: &[u8], position: usize) -> Vec<u8> {
    let rest = data.get(position / 8..).unwrap_or(&[]);
    let shift = position % 8;
    let next = rest.iter().skip(1).chain(std::iter::once(&0));
    rest.iter().zip(next).map(|(&high, &low)| (u16::from_be_bytes([high, low]) << shift >> 8) as u8).collect()
}

/// The first `bits` bits of `data` and an end marker.
fn terminated(data: &[u8], bits: usize) -> Vec<u8> {
    let mut element = data[..bits.div_ceil(8)].to_vec();
    element.push(0);
    element.push(0);
    if !bits.is_multiple_of(8) {
        element[bits / 8] &= !(0xff >> (bits % 8));
    }
    let marker = (u16::from(END) << (16 - ID_BITS) >> (bits % 8)).to_be_bytes();
    element[bits / 8] |= marker[0];
    element[bits / 8 + 1] |= marker[1];
    element.truncate((bits + ID_BITS).div_ceil(8));
    element
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_signalling_leads_to_the_core() {
        // Low complexity, 22.05 kHz, mono: 00010 0111 0001 000.
        let core = vec![0b0001_0011, 0b1000_1000];
        for (name, config) in [
            ("low complexity", vec![0x13, 0x88]),
            ("low complexity, extension not used", vec![0x13, 0x88, 0x56, 0xe5, 0x00]),
            // … 0x2b7 in eleven bits, type 5, 1, 44.1 kHz.
            ("compatible", vec![0x13, 0x88, 0x56, 0xe5, 0xa0]),
            // Type 5, 22.05 kHz, mono, 44.1 kHz, type 2, 000: 00101 0111 0001 0100 00010 000.
            ("hierarchical", vec![0b0010_1011, 0b1000_1010, 0b0000_1000, 0]),
            // Type 29 instead.
            ("hierarchical, parametric stereo", vec![0b1110_1011, 0b1000_1010, 0b0000_1000, 0]),
        ] {
            let parsed = Config::parse(&config).unwrap();
            assert_eq!((parsed.rate, parsed.channels, parsed.core()), (22_050, 1, core.clone()), "{name}");
            assert_eq!(parsed.extended, !name.starts_with("low"), "{name}");
        }
        // A rate without an index is written in full.
        let parsed = Config::parse(&[0b0001_0111, 0b1000_0000, 0b0001_1111, 0b0100_0000, 0b0001_0000]).unwrap();
        assert_eq!(parsed.rate, 16_000);
        assert_eq!(parsed.core(), [0b0001_0111, 0b1000_0000, 0b0001_1111, 0b0100_0000, 0b0001_0000]);
        for (bad, problem) in [
            (&[][..], "ends early"),
            (&[0x13][..], "ends early"),
            (&[0x0b, 0x88], "Main"),
            (&[0xbb, 0x88], "AAC-LD"),
            (&[0xf8, 0xe6, 0x20], "AAC-ELD"),
            (&[0xf9, 0x46, 0x20], "xHE-AAC"),
            (&[0x16, 0x88], "no valid rate"),
        ] {
            let error = Config::parse(bad).unwrap_err().at("x", "AAC").to_string();
            assert!(error.contains(problem), "{error}");
        }
    }

    #[test]
    fn bits_move_to_the_start() {
        let data = [0b1010_1100, 0b0101_0011, 0b1111_0000];
        assert_eq!(shifted(&data, 0), data);
        assert_eq!(shifted(&data, 3), [0b0110_0010, 0b1001_1111, 0b1000_0000]);
        assert_eq!(shifted(&data, 11), [0b1001_1111, 0b1000_0000]);
        assert!(shifted(&data, 24).is_empty());
    }

    #[test]
    fn the_marker_follows_the_last_bit() {
        let data = [0b0000_0000, 0b0101_0011];
        assert_eq!(terminated(&data, 8), [0b0000_0000, 0b1110_0000]);
        assert_eq!(terminated(&data, 12), [0b0000_0000, 0b0101_1110]);
        assert_eq!(terminated(&data, 15), [0b0000_0000, 0b0101_0011, 0b1100_0000]);
        assert_eq!(terminated(&data, 16), [0b0000_0000, 0b0101_0011, 0b1110_0000]);
        assert_eq!(terminated(&data, 3), [0b0001_1100]);
    }

    #[test]
    fn fill_elements_are_measured() {
        // Name 6, count 2; name 6, count 15 with 3 more; name 0.
        assert_eq!(fill_bits(&[0b1100_0100, 0, 0]), Some(7 + 16));
        assert_eq!(fill_bits(&[0b1101_1110, 0b0000_0110, 0]), Some(15 + 8 * 17));
        assert_eq!(fill_bits(&[0, 0]), None);
    }

    #[test]
    fn only_plain_low_complexity_is_understood() {
        // Object type 2, rate index 3 (48 kHz), layout 7.
        assert!(MultichannelAac::understands(&[0x11, 0xb8]));
        // Stereo; object type 5 (SBR); frames of 960 samples.
        for config in [&[0x11, 0x90][..], &[0x29, 0xb8], &[0x11, 0xbc], &[0x11]] {
            assert!(!MultichannelAac::understands(config));
        }
    }
}
