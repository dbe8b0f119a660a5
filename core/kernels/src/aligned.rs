//! Byte buffers that start on a cache line.

#![allow(unsafe_code)]

/// Alignment of packed weights and panels: one cache line on every supported CPU, and the width of the widest vector
/// register.
pub const ALIGNMENT: usize = 64;

/// Minimum alignment of packed weights that are read in place from memory owned by someone else, such as a mapped file:
/// that of an f32. All kernels load from any address; a load that crosses a cache line is slower on some cores. Files
/// inside an Android package start at multiples of 4.
pub const IN_PLACE: usize = 4;

#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; ALIGNMENT]);

const ZERO: Line = Line([0; ALIGNMENT]);

/// A growable buffer of plain bytes, aligned to [`ALIGNMENT`].
#[derive(Debug, Clone, Default)]
pub struct AlignedBytes {
    lines: Vec<Line>,
    len: usize,
}

impl AlignedBytes {
    /// `len` zero bytes.
    pub(crate) fn zeroed(len: usize) -> Self {
        Self { lines: vec![ZERO; len.div_ceil(ALIGNMENT)], len }
    }

    /// Changes the length to `len`; keeps the contents and fills with zeros. Allocates only beyond the capacity.
    pub(crate) fn resize(&mut self, len: usize) {
        self.lines.resize(len.div_ceil(ALIGNMENT), ZERO);
        self.len = len;
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the lines hold at least `len` initialised bytes without padding between them; u8 has no alignment.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`; any byte is valid in a line, and the borrow is unique.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

impl From<&[u8]> for AlignedBytes {
    fn from(bytes: &[u8]) -> Self {
        let mut aligned = Self::zeroed(bytes.len());
        aligned.bytes_mut().copy_from_slice(bytes);
        aligned
    }
}

impl AsRef<[u8]> for AlignedBytes {
    fn as_ref(&self) -> &[u8] {
        self.bytes()
    }
}

/// The bytes as f32 values, or `None` when they are not aligned for that; trailing bytes that fill no value are left
/// out.
pub(crate) fn as_floats(bytes: &[u8]) -> Option<&[f32]> {
    // SAFETY: every bit pattern is a valid f32; `align_to` keeps to the aligned middle.
    let (before, values, _) = unsafe { bytes.align_to::<f32>() };
    before.is_empty().then_some(values)
}

/// The bytes as half-precision bit patterns, or `None` when they are not aligned for that; a trailing odd byte is left
/// out.
pub(crate) fn as_halves(bytes: &[u8]) -> Option<&[u16]> {
    // SAFETY: every bit pattern is a valid u16; `align_to` keeps to the aligned middle.
    let (before, values, _) = unsafe { bytes.align_to::<u16>() };
    before.is_empty().then_some(values)
}

/// The i8 values as bytes.
pub(crate) fn as_bytes(values: &[i8]) -> &[u8] {
    // SAFETY: i8 and u8 have one size and alignment, and every bit pattern is valid in both.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), values.len()) }
}

/// The bytes as i8 values.
pub(crate) fn as_i8(bytes: &[u8]) -> &[i8] {
    // SAFETY: i8 and u8 have one size and alignment, and every bit pattern is valid in both.
    unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len()) }
}

/// The bytes as i8 values.
pub(crate) fn as_i8_mut(bytes: &mut [u8]) -> &mut [i8] {
    // SAFETY: i8 and u8 have one size and alignment, every bit pattern is valid in both, and the borrow is unique.
    unsafe { std::slice::from_raw_parts_mut(bytes.as_mut_ptr().cast(), bytes.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_start_on_a_line_and_grow_with_zeros() {
        let mut buffer = AlignedBytes::zeroed(5);
        buffer.bytes_mut().fill(7);
        buffer.resize(200);
        assert_eq!(buffer.bytes().as_ptr().align_offset(ALIGNMENT), 0);
        assert_eq!((buffer.bytes()[4], buffer.bytes()[64], buffer.bytes().len()), (7, 0, 200));
    }
}
