//! Sample formats of uncompressed audio: little-endian bytes to f32 of full scale ±1.

/// How one uncompressed sample is stored, little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SampleFormat {
    /// Unsigned 8 bit, silence at 128.
    U8,
    /// Signed 16 bit.
    S16Le,
    /// Signed 24 bit in three bytes.
    S24Le,
    /// Signed 32 bit.
    S32Le,
    /// 32-bit float.
    F32Le,
    /// 64-bit float.
    F64Le,
    /// G.711 A-law, 8 bit.
    ALaw,
    /// G.711 µ-law, 8 bit.
    MuLaw,
}

impl SampleFormat {
    /// Bytes of one sample.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::ALaw | Self::MuLaw => 1,
            Self::S16Le => 2,
            Self::S24Le => 3,
            Self::S32Le | Self::F32Le => 4,
            Self::F64Le => 8,
        }
    }

    /// Appends the samples of `bytes` to `out`; bytes of an incomplete last sample are ignored.
    pub(crate) fn decode(self, bytes: &[u8], out: &mut Vec<f32>) {
        // Powers of two: the division is exact, as in libsndfile and ffmpeg.
        match self {
            Self::U8 => out.extend(bytes.iter().map(|&b| (f32::from(b) - 128.0) / 128.0)),
            Self::S16Le => out.extend(bytes.as_chunks().0.iter().map(|&b| f32::from(i16::from_le_bytes(b)) / 32_768.0)),
            Self::S24Le => out.extend(
                bytes
                    .as_chunks()
                    .0
                    .iter()
                    .map(|&[a, b, c]| (i32::from_le_bytes([0, a, b, c]) >> 8) as f32 / 8_388_608.0),
            ),
            Self::S32Le => {
                out.extend(bytes.as_chunks().0.iter().map(|&b| i32::from_le_bytes(b) as f32 / 2_147_483_648.0));
            }
            Self::F32Le => out.extend(bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b))),
            Self::F64Le => out.extend(bytes.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b) as f32)),
            Self::ALaw => out.extend(bytes.iter().map(|&b| f32::from(a_law(b)) / 32_768.0)),
            Self::MuLaw => out.extend(bytes.iter().map(|&b| f32::from(mu_law(b)) / 32_768.0)),
        }
    }
}

/// ITU-T G.711 A-law to linear 16 bit.
fn a_law(code: u8) -> i16 {
    let code = code ^ 0x55;
    let exponent = (code >> 4) & 7;
    let mantissa = i16::from(code & 15) << 4;
    let magnitude = if exponent == 0 { mantissa + 8 } else { (mantissa + 0x108) << (exponent - 1) };
    if code & 0x80 == 0 { -magnitude } else { magnitude }
}

/// ITU-T G.711 µ-law to linear 16 bit.
fn mu_law(code: u8) -> i16 {
    let code = !code;
    let magnitude = (((i16::from(code & 15) << 3) + 0x84) << ((code >> 4) & 7)) - 0x84;
    if code & 0x80 == 0 { magnitude } else { -magnitude }
}

// A million times full scale: not explained by scaling in an exporter (16-bit values stored as float reach 32,768), and
// products of such samples would exceed the range of f32.
const LOUDEST: f32 = 1.0e6;

/// Index of the first sample that is NaN, infinite or beyond [`LOUDEST`].
pub(crate) fn first_unusable(samples: &[f32]) -> Option<usize> {
    // Whole blocks first: the reduction vectorises, `position` does not.
    const BLOCK: usize = 1024;
    for (block, chunk) in samples.chunks(BLOCK).enumerate() {
        if !chunk.iter().fold(true, |good, x| good & (x.abs() <= LOUDEST)) {
            return chunk.iter().position(|x| x.is_nan() || x.abs() > LOUDEST).map(|i| block * BLOCK + i);
        }
    }
    None
}

/// Replaces unusable samples by silence. Returns the index of the first one and their number.
pub(crate) fn silence_unusable(samples: &mut [f32]) -> Option<(usize, usize)> {
    let first = first_unusable(samples)?;
    let mut count = 0;
    for sample in &mut samples[first..] {
        if sample.is_nan() || sample.abs() > LOUDEST {
            *sample = 0.0;
            count += 1;
        }
    }
    Some((first, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(format: SampleFormat, bytes: &[u8]) -> Vec<f32> {
        let mut out = Vec::new();
        format.decode(bytes, &mut out);
        out
    }

    #[test]
    fn every_format_maps_full_scale_to_one() {
        assert_eq!(decode(SampleFormat::U8, &[0, 128, 255]), [-1.0, 0.0, 127.0 / 128.0]);
        assert_eq!(decode(SampleFormat::S16Le, &[0, 0x80, 0, 0, 0, 0x40]), [-1.0, 0.0, 0.5]);
        assert_eq!(
            decode(SampleFormat::S24Le, &[0, 0, 0x80, 0, 0, 0x40, 0xff, 0xff, 0xff]),
            [-1.0, 0.5, -1.0 / 8_388_608.0]
        );
        assert_eq!(decode(SampleFormat::S32Le, &[0, 0, 0, 0x80, 0, 0, 0, 0x40]), [-1.0, 0.5]);
        assert_eq!(decode(SampleFormat::F32Le, &0.25f32.to_le_bytes()), [0.25]);
        assert_eq!(decode(SampleFormat::F64Le, &(-0.75f64).to_le_bytes()), [-0.75]);
    }

    #[test]
    fn companded_samples_follow_g711() {
        // Corner values of the recommendation's tables (as audioop and sox decode them).
        assert_eq!([0x2a, 0xaa, 0xd5, 0x55, 0x00, 0x80].map(a_law), [-32_256, 32_256, 8, -8, -5504, 5504]);
        assert_eq!([0x00, 0x80, 0xff, 0x7f, 0xf0, 0x0f].map(mu_law), [-32_124, 32_124, 0, 0, 120, -16_764]);
    }

    #[test]
    fn an_incomplete_last_sample_is_ignored() {
        assert_eq!(decode(SampleFormat::S16Le, &[0, 0x40, 7]), [0.5]);
    }

    #[test]
    fn unusable_samples_are_found_wherever_they_are() {
        for at in [0, 1, 1023, 1024, 5000] {
            let mut samples = vec![0.1; 5001];
            assert_eq!(first_unusable(&samples), None);
            samples[at] = f32::NAN;
            assert_eq!(first_unusable(&samples), Some(at));
        }
    }
}
