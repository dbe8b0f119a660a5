//! Decoding Opus packets (RFC 6716) with opus-pure, and the identification header in containers (RFC 7845 §5.1).

use opus_pure::{Error, MAX_PACKET_SAMPLES, OpusDecoder, OpusHead, OpusMSDecoder};

use super::packets::PacketFault;
use super::{Fault, Layout};

/// Opus is always decoded to 48 kHz: containers count frames at that rate, and the resampler handles all rates.
pub(super) const RATE: u32 = 48_000;

/// A decoder of one stream.
pub(super) struct Opus {
    decoder: Decoder,
    layout: Layout,
    /// One decoded packet, interleaved.
    block: Vec<f32>,
}

enum Decoder {
    Plain(Box<OpusDecoder>),
    /// Mapping families 1 (surround) and 255 (discrete channels).
    Multi(OpusMSDecoder),
}

impl Opus {
    pub(super) fn new(head: &OpusHead) -> Result<Self, Fault> {
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
                return Err(Fault::unsupported("an Opus stream with a channel mapping of its own"));
            }
            for stream in decoder.streams_mut() {
                stream.gain_q8 = i32::from(head.output_gain_q8);
            }
            Decoder::Multi(decoder)
        };
        Ok(Self { decoder, layout, block: vec![0.0; MAX_PACKET_SAMPLES * channels as usize] })
    }

    pub(super) fn layout(&self) -> Layout {
        self.layout
    }

    /// Decodes a packet into `out`, interleaved.
    pub(super) fn decode(&mut self, packet: &[u8], out: &mut Vec<f32>) -> Result<Option<Layout>, PacketFault> {
        let result = match &mut self.decoder {
            Decoder::Plain(decoder) => decoder.decode(packet, MAX_PACKET_SAMPLES, &mut self.block),
            Decoder::Multi(decoder) => decoder.decode(packet, MAX_PACKET_SAMPLES, &mut self.block),
        };
        let frames = match result {
            // For an empty packet a decoder would conceal as many frames as requested.
            _ if packet.is_empty() => return Err(PacketFault::Damaged("an empty Opus packet")),
            Ok(frames) => frames,
            Err(Error::InvalidPacket(fault) | Error::Internal(fault)) => return Err(PacketFault::Damaged(fault)),
            Err(error) => return Err(PacketFault::Final(error.into())),
        };
        out.clear();
        out.extend_from_slice(&self.block[..frames * self.layout.channels as usize]);
        Ok((frames > 0).then_some(self.layout))
    }
}

/// A header for a mono or stereo stream without one.
pub(super) fn plain(channels: u8) -> OpusHead {
    let channel_count = channels.clamp(1, 2);
    OpusHead {
        channel_count,
        pre_skip: 0,
        input_sample_rate: RATE,
        output_gain_q8: 0,
        mapping_family: 0,
        stream_count: 1,
        coupled_count: channel_count - 1,
        channel_mapping: Vec::new(),
    }
}

/// Parses the identification header and checks everything that decoding depends on.
pub(super) fn parse_head(packet: &[u8]) -> Result<OpusHead, Fault> {
    let malformed = |cause: &str| Err(Fault::Malformed(cause.into()));
    let Some(fields) = packet.strip_prefix(b"OpusHead").and_then(|rest| rest.first_chunk::<11>()) else {
        return malformed("its Opus header is too short");
    };
    let [version, channel_count, s0, s1, r0, r1, r2, r3, g0, g1, mapping_family] = *fields;
    if version >> 4 != 0 {
        return Err(Fault::unsupported(format!("Opus with a header of version {version}")));
    }
    let mut head = OpusHead {
        channel_count,
        pre_skip: u16::from_le_bytes([s0, s1]),
        input_sample_rate: u32::from_le_bytes([r0, r1, r2, r3]),
        output_gain_q8: i16::from_le_bytes([g0, g1]),
        mapping_family,
        stream_count: 1,
        coupled_count: channel_count.saturating_sub(1),
        channel_mapping: Vec::new(),
    };
    if mapping_family == 0 {
        return if matches!(channel_count, 1 | 2) {
            Ok(head)
        } else {
            malformed("its Opus header has no valid channels")
        };
    }
    let Some([streams, coupled, mapping @ ..]) = packet.get(19..).filter(|rest| rest.len() >= 2) else {
        return malformed("its Opus header has no channel mapping");
    };
    let Some(mapping) = mapping.get(..usize::from(channel_count)).filter(|mapping| !mapping.is_empty()) else {
        return malformed("its Opus header has no channel mapping");
    };
    (head.stream_count, head.coupled_count, head.channel_mapping) = (*streams, *coupled, mapping.to_vec());
    Ok(head)
}

/// Number of frames at 48 kHz of a packet that cannot be decoded, from its first byte (RFC 6716 §3.1); 20 ms for an
/// empty packet.
pub(super) fn packet_frames(packet: &[u8]) -> u64 {
    let Some(&toc) = packet.first() else { return 960 };
    let frame = match toc >> 3 {
        config @ 0..12 => [480, 960, 1920, 2880][usize::from(config % 4)],
        config @ 12..16 => [480, 960][usize::from(config % 2)],
        config => [120, 240, 480, 960][usize::from(config % 4)],
    };
    let count = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u64::from(packet.get(1).unwrap_or(&1) & 63),
    };
    // A packet lasts 120 ms at most.
    (frame * count).clamp(120, MAX_PACKET_SAMPLES as u64)
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Io(error) => Self::Io(error),
            Error::InvalidStream(cause) | Error::InvalidPacket(cause) => Self::Malformed(cause.to_owned()),
            other => Self::unsupported(format!("this Opus stream ({other})")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_is_written() {
        let stereo = b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\x01\0";
        let head = parse_head(stereo).unwrap();
        assert_eq!((head.channel_count, head.pre_skip, head.output_gain_q8, head.coupled_count), (2, 312, 256, 1));
        let surround = b"OpusHead\x01\x06\x38\x01\x80\xbb\0\0\0\0\x01\x04\x02\0\x04\x01\x02\x03\x05";
        let head = parse_head(surround).unwrap();
        assert_eq!((head.stream_count, head.coupled_count), (4, 2));
        assert_eq!(head.channel_mapping, [0, 4, 1, 2, 3, 5]);
        for bad in [&b""[..], b"OpusHead", &stereo[..18], &surround[..22], b"OpusHead\x01\0\0\0\0\0\0\0\0\0\0"] {
            assert!(parse_head(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_first_byte_tells_how_long_a_packet_is() {
        for (packet, frames) in [
            (&[0x08][..], 960),
            (&[0xfc], 960),
            (&[0xe0], 120),
            (&[0x19], 5760),
            (&[0xfb, 6], 5760),
            (&[0x0b, 3], 2880),
            (&[], 960),
        ] {
            assert_eq!(packet_frames(packet), frames, "{packet:?}");
        }
    }
}
