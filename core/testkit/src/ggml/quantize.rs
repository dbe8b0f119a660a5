//! ggml's reference quantizers (`quantize_row_*_ref`), rounding included: blocks of 32 with f16 scales.

use half::f16;

use super::GgmlType;

const BLOCK: usize = 32;

/// The bytes of `values` in a type.
///
/// # Panics
/// When a quantized type is asked for and the values are not whole blocks of 32.
#[must_use]
pub fn quantize(values: &[f32], kind: GgmlType) -> Vec<u8> {
    let mut out = Vec::new();
    match kind {
        GgmlType::F32 => values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes())),
        GgmlType::F16 => values.iter().for_each(|value| out.extend_from_slice(&f16::from_f32(*value).to_le_bytes())),
        _ => {
            let (blocks, rest) = values.as_chunks::<BLOCK>();
            assert!(rest.is_empty(), "{} values are not whole blocks", values.len());
            blocks.iter().for_each(|block| append_block(&mut out, block, kind));
        }
    }
    out
}

fn append_block(out: &mut Vec<u8>, block: &[f32; BLOCK], kind: GgmlType) {
    match kind {
        GgmlType::Q4_0 => symmetric(out, block, 4),
        GgmlType::Q5_0 => symmetric(out, block, 5),
        GgmlType::Q4_1 => with_minimum(out, block, 4),
        GgmlType::Q5_1 => with_minimum(out, block, 5),
        _ => bytes(out, block),
    }
}

/// The value of the largest magnitude becomes the lowest code, so that the sign of the scale follows it.
fn symmetric(out: &mut Vec<u8>, block: &[f32; BLOCK], bits: u32) {
    let half_range = (1 << (bits - 1)) as f32;
    let extreme =
        block.iter().fold(0.0f32, |extreme, &value| if value.abs() > extreme.abs() { value } else { extreme });
    let scale = extreme / -half_range;
    let codes = block.map(|value| (value * inverse(scale) + (half_range + 0.5)) as u8).map(|c| c.min((1 << bits) - 1));
    out.extend(f16::from_f32(scale).to_le_bytes());
    append_codes(out, &codes, bits);
}

fn with_minimum(out: &mut Vec<u8>, block: &[f32; BLOCK], bits: u32) {
    let minimum = block.iter().copied().fold(f32::INFINITY, f32::min);
    let maximum = block.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let highest = (1u8 << bits) - 1;
    let scale = (maximum - minimum) / f32::from(highest);
    let codes = block.map(|value| ((value - minimum) * inverse(scale) + 0.5) as u8).map(|code| code.min(highest));
    out.extend(f16::from_f32(scale).to_le_bytes());
    out.extend(f16::from_f32(minimum).to_le_bytes());
    append_codes(out, &codes, bits);
}

fn bytes(out: &mut Vec<u8>, block: &[f32; BLOCK]) {
    let scale = block.iter().fold(0.0f32, |extreme, value| extreme.max(value.abs())) / 127.0;
    out.extend(f16::from_f32(scale).to_le_bytes());
    out.extend(block.map(|value| (value * inverse(scale)).round() as i8 as u8));
}

/// Codes of five bits keep the fifth ones in a word of their own, in front of the nibbles.
fn append_codes(out: &mut Vec<u8>, codes: &[u8; BLOCK], bits: u32) {
    if bits == 5 {
        let fifth = codes.iter().rev().fold(0u32, |word, code| word << 1 | u32::from(code >> 4));
        out.extend(fifth.to_le_bytes());
    }
    let (low, high) = codes.split_at(BLOCK / 2);
    out.extend(low.iter().zip(high).map(|(low, high)| low & 0x0f | high << 4));
}

fn inverse(scale: f32) -> f32 {
    if scale == 0.0 { 0.0 } else { 1.0 / scale }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Golden, workspace_root};

    #[test]
    fn blocks_are_those_of_the_gguf_package() {
        // scripts/goldens/ggml_blocks.py
        let golden = workspace_root().join("core/nn/tests/goldens/ggml_blocks.safetensors");
        let golden = Golden::open(&golden).unwrap();
        for (name, kind) in [
            ("q4_0", GgmlType::Q4_0),
            ("q4_1", GgmlType::Q4_1),
            ("q5_0", GgmlType::Q5_0),
            ("q5_1", GgmlType::Q5_1),
            ("q8_0", GgmlType::Q8_0),
        ] {
            let expected: Vec<u8> = golden.integers(&format!("{name}.blocks")).iter().map(|&byte| byte as u8).collect();
            assert_eq!(quantize(&golden["values"], kind), expected, "{name}");
        }
    }
}
