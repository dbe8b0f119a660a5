//! Element types of tensors and their conversion to f32.
//!
//! The block formats are ggml's (`ggml-common.h`, `dequantize_row_*`): 32 values share one f16 scale. In 4- and 5-bit
//! types, the low nibbles hold values 0..16 and the high nibbles values 16..32; fifth bits are in one little-endian
//! word.

use half::f16;
use half::slice::HalfFloatSliceExt;

/// Values per block of ggml's quantized types.
pub(super) const BLOCK: usize = 32;

/// How a tensor's values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    F64,
    F32,
    F16,
    Bf16,
    /// Needs the scales of a companion tensor.
    I8,
    /// Two values per byte, the first in the low half, stored as value + 8. Needs the scales of a companion tensor.
    I4,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    /// Known types that no layer reads; only their size is needed, to check the file's layout.
    Other {
        name: &'static str,
        bits: usize,
    },
}

/// Types with a size but no conversion to f32, by their names in safetensors.
const OTHERS: [(&str, usize); 16] = [
    ("F4", 4),
    ("F6_E2M3", 6),
    ("F6_E3M2", 6),
    ("BOOL", 8),
    ("U8", 8),
    ("F8_E5M2", 8),
    ("F8_E4M3", 8),
    ("F8_E8M0", 8),
    ("F8_E4M3FNUZ", 8),
    ("F8_E5M2FNUZ", 8),
    ("I16", 16),
    ("U16", 16),
    ("I32", 32),
    ("U32", 32),
    ("I64", 64),
    ("U64", 64),
];

impl Element {
    /// The type of that name in a safetensors header.
    pub(super) fn from_safetensors(name: &str) -> Option<Self> {
        Some(match name {
            "F64" => Self::F64,
            "F32" => Self::F32,
            "F16" => Self::F16,
            "BF16" => Self::Bf16,
            "I8" => Self::I8,
            _ => {
                let &(name, bits) = OTHERS.iter().find(|(other, _)| *other == name)?;
                Self::Other { name, bits }
            }
        })
    }

    /// The type of that number in a ggml tensor record.
    pub(super) fn from_ggml(number: i32) -> Option<Self> {
        Some(match number {
            0 => Self::F32,
            1 => Self::F16,
            2 => Self::Q4_0,
            3 => Self::Q4_1,
            6 => Self::Q5_0,
            7 => Self::Q5_1,
            8 => Self::Q8_0,
            _ => return None,
        })
    }

    /// Whether a companion tensor holds the scales.
    pub(super) fn is_scaled_apart(self) -> bool {
        matches!(self, Self::I8 | Self::I4)
    }

    /// Its name in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::F64 => "F64",
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
            Self::I8 => "I8",
            Self::I4 => "I4",
            Self::Q4_0 => "q4_0",
            Self::Q4_1 => "q4_1",
            Self::Q5_0 => "q5_0",
            Self::Q5_1 => "q5_1",
            Self::Q8_0 => "q8_0",
            Self::Other { name, .. } => name,
        }
    }

    /// Values per block: a row must hold a whole number of blocks.
    pub(super) fn block(self) -> usize {
        match self {
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0 => BLOCK,
            _ => 1,
        }
    }

    /// Bytes of `count` values; `None` when that overflows or is not a whole number of blocks or bytes.
    pub(super) fn bytes(self, count: usize) -> Option<usize> {
        let (block, bits) = match self {
            Self::F64 => (1, 64),
            Self::F32 => (1, 32),
            Self::F16 | Self::Bf16 => (1, 16),
            Self::I8 => (1, 8),
            Self::I4 => (1, 4),
            Self::Q4_0 => (BLOCK, 18 * 8),
            Self::Q4_1 => (BLOCK, 20 * 8),
            Self::Q5_0 => (BLOCK, 22 * 8),
            Self::Q5_1 => (BLOCK, 24 * 8),
            Self::Q8_0 => (BLOCK, 34 * 8),
            Self::Other { bits, .. } => (1, bits),
        };
        let bits = count.is_multiple_of(block).then(|| (count / block).checked_mul(bits))??;
        bits.is_multiple_of(8).then_some(bits / 8)
    }

    /// Converts the bytes of a tensor to f32. Integers are not scaled. `None` for types without a conversion.
    pub(super) fn to_f32(self, bytes: &[u8]) -> Option<Vec<f32>> {
        Some(match self {
            Self::F64 => each(bytes, |b| f64::from_le_bytes(b) as f32),
            Self::F32 => each(bytes, f32::from_le_bytes),
            Self::F16 => f16_to_f32(bytes),
            Self::Bf16 => each(bytes, |b| f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16)),
            Self::I8 => bytes.iter().map(|&b| f32::from(b as i8)).collect(),
            Self::I4 => bytes.iter().flat_map(|&b| [b & 15, b >> 4].map(|code| f32::from(code) - 8.0)).collect(),
            Self::Q4_0 => blocks(bytes, q4_0),
            Self::Q4_1 => blocks(bytes, q4_1),
            Self::Q5_0 => blocks(bytes, q5_0),
            Self::Q5_1 => blocks(bytes, q5_1),
            Self::Q8_0 => blocks(bytes, q8_0),
            Self::Other { .. } => return None,
        })
    }
}

fn each<const N: usize>(bytes: &[u8], convert: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes.as_chunks::<N>().0.iter().map(|value| convert(*value)).collect()
}

/// Uses `half`'s slice conversion, which uses the CPU's instruction if there is one, eight values at a time.
fn f16_to_f32(bytes: &[u8]) -> Vec<f32> {
    const PIECE: usize = 1024;
    let values = bytes.as_chunks::<2>().0;
    let mut out = vec![0.0; values.len()];
    // The bytes need not be aligned for f16; the stack copy is.
    let mut aligned = [f16::ZERO; PIECE];
    for (piece, out) in values.chunks(PIECE).zip(out.chunks_mut(PIECE)) {
        let aligned = &mut aligned[..piece.len()];
        for (value, bytes) in aligned.iter_mut().zip(piece) {
            *value = f16::from_le_bytes(*bytes);
        }
        aligned.convert_to_f32_slice(out);
    }
    out
}

fn blocks<const N: usize>(bytes: &[u8], convert: impl Fn(&[u8; N], &mut [f32; BLOCK])) -> Vec<f32> {
    let stored = bytes.as_chunks::<N>().0;
    let mut out = vec![0.0; stored.len() * BLOCK];
    for (block, out) in stored.iter().zip(out.as_chunks_mut::<BLOCK>().0) {
        convert(block, out);
    }
    out
}

fn half_at(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// Writes `value(index, nibble)` for the 16 bytes of nibbles of a block.
fn nibbles(bytes: &[u8], out: &mut [f32; BLOCK], value: impl Fn(usize, u8) -> f32) {
    let (low, high) = out.split_at_mut(BLOCK / 2);
    for (index, (&byte, (low, high))) in bytes.iter().zip(low.iter_mut().zip(high)).enumerate() {
        *low = value(index, byte & 0x0f);
        *high = value(index + BLOCK / 2, byte >> 4);
    }
}

fn q4_0(block: &[u8; 18], out: &mut [f32; BLOCK]) {
    let scale = half_at(block, 0);
    nibbles(&block[2..], out, |_, nibble| f32::from(nibble as i8 - 8) * scale);
}

fn q4_1(block: &[u8; 20], out: &mut [f32; BLOCK]) {
    let (scale, minimum) = (half_at(block, 0), half_at(block, 2));
    nibbles(&block[4..], out, |_, nibble| f32::from(nibble) * scale + minimum);
}

fn q5_0(block: &[u8; 22], out: &mut [f32; BLOCK]) {
    let scale = half_at(block, 0);
    let fifth = u32::from_le_bytes([block[2], block[3], block[4], block[5]]);
    nibbles(&block[6..], out, |index, nibble| f32::from(with_fifth(nibble, fifth, index) as i8 - 16) * scale);
}

fn q5_1(block: &[u8; 24], out: &mut [f32; BLOCK]) {
    let (scale, minimum) = (half_at(block, 0), half_at(block, 2));
    let fifth = u32::from_le_bytes([block[4], block[5], block[6], block[7]]);
    nibbles(&block[8..], out, |index, nibble| f32::from(with_fifth(nibble, fifth, index)) * scale + minimum);
}

fn with_fifth(nibble: u8, fifth: u32, index: usize) -> u8 {
    nibble | ((fifth >> index & 1) as u8) << 4
}

fn q8_0(block: &[u8; 34], out: &mut [f32; BLOCK]) {
    let scale = half_at(block, 0);
    for (out, &value) in out.iter_mut().zip(&block[2..]) {
        *out = f32::from(value as i8) * scale;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn convert(element: Element, bytes: &[u8]) -> Vec<f32> {
        element.to_f32(bytes).unwrap()
    }

    #[test]
    fn every_f16_widens_as_half_defines_it_at_any_alignment() {
        let bytes: Vec<u8> = std::iter::once(0).chain((0..=u16::MAX).flat_map(u16::to_le_bytes)).collect();
        for (bits, value) in convert(Element::F16, &bytes[1..]).into_iter().enumerate() {
            let expected = f16::from_bits(bits as u16).to_f32();
            assert!(value == expected || value.is_nan() && expected.is_nan(), "{bits:#x}: {value} {expected}");
        }
    }

    #[test]
    fn wide_types_convert_value_by_value() {
        assert_eq!(convert(Element::F64, &0.1f64.to_le_bytes()), [0.1f32]);
        assert_eq!(convert(Element::F32, &(-3.25f32).to_le_bytes()), [-3.25]);
        assert_eq!(convert(Element::Bf16, &[0x80, 0xbf]), [-1.0]);
        assert_eq!(convert(Element::I8, &[0, 127, 0x81]), [0.0, 127.0, -127.0]);
    }

    /// A block with scale 0.5 (and minimum -1 where there is one) whose value `i` has the code `i % codes`.
    fn block(minimum: bool, codes: u32) -> Vec<u8> {
        let mut bytes = f16::from_f32(0.5).to_le_bytes().to_vec();
        if minimum {
            bytes.extend(f16::from_f32(-1.0).to_le_bytes());
        }
        if codes == 32 {
            // Codes 16..32 are those of values 16..32.
            bytes.extend(0xffff_0000u32.to_le_bytes());
        }
        bytes.extend((0..16u8).map(|i| i | i << 4));
        bytes
    }

    #[test]
    fn nibbles_lie_low_half_first_and_fifth_bits_in_one_word() {
        for (element, minimum, codes, zero, offset) in [
            (Element::Q4_0, false, 16, 8, 0.0),
            (Element::Q4_1, true, 16, 0, -1.0),
            (Element::Q5_0, false, 32, 16, 0.0),
            (Element::Q5_1, true, 32, 0, -1.0),
        ] {
            let bytes = block(minimum, codes);
            assert_eq!(element.bytes(BLOCK), Some(bytes.len()), "{element:?}");
            let expected: Vec<f32> = (0..32).map(|i| ((i % codes) as i32 - zero) as f32 * 0.5 + offset).collect();
            assert_eq!(convert(element, &bytes), expected, "{element:?}");
        }
    }

    #[test]
    fn q8_0_is_signed_bytes_times_a_scale() {
        let mut bytes = f16::from_f32(0.25).to_le_bytes().to_vec();
        bytes.extend((-16i8..16).map(|v| v as u8));
        assert_eq!(convert(Element::Q8_0, &bytes), (-16..16).map(|v| v as f32 * 0.25).collect::<Vec<_>>());
    }

    #[test]
    fn sizes_that_overflow_or_split_a_block_have_no_byte_count() {
        assert_eq!(Element::F32.bytes(usize::MAX / 16), None);
        assert_eq!(Element::Q4_0.bytes(33), None);
        assert_eq!(Element::Q8_0.bytes(64), Some(68));
        assert_eq!(Element::Other { name: "F4", bits: 4 }.bytes(3), None);
        assert_eq!(Element::Other { name: "F4", bits: 4 }.bytes(4), Some(2));
    }
}
