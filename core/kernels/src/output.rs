//! Where a product writes, and in which type.

use crate::BlockMut;
use crate::simd::{LANES, Simd};

/// Outputs of a product: the last step of its epilogue rounds them to the type of the block.
///
/// Any block of a known type turns into one.
#[derive(Debug)]
pub enum OutputMut<'a> {
    /// As they were computed.
    F32(BlockMut<'a>),
    /// The bits of IEEE half precision, rounded to nearest, ties to even: for caches of keys and values, which are read in it.
    F16(BlockMut<'a, u16>),
}

impl OutputMut<'_> {
    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        match self {
            Self::F32(block) => block.rows(),
            Self::F16(block) => block.rows(),
        }
    }

    /// Values per row.
    #[must_use]
    pub fn columns(&self) -> usize {
        match self {
            Self::F32(block) => block.columns(),
            Self::F16(block) => block.columns(),
        }
    }
}

impl<'a> From<BlockMut<'a>> for OutputMut<'a> {
    fn from(block: BlockMut<'a>) -> Self {
        Self::F32(block)
    }
}

impl<'a> From<BlockMut<'a, u16>> for OutputMut<'a> {
    fn from(block: BlockMut<'a, u16>) -> Self {
        Self::F16(block)
    }
}

/// What a block may hold.
pub(crate) trait Element: Copy + Default {
    fn load<S: Simd>(s: S, from: &[Self; LANES]) -> S::F;
    fn store<S: Simd>(s: S, x: S::F, to: &mut [Self; LANES]);
}

impl Element for f32 {
    #[inline(always)]
    fn load<S: Simd>(s: S, from: &[Self; LANES]) -> S::F {
        s.load(from)
    }

    #[inline(always)]
    fn store<S: Simd>(s: S, x: S::F, to: &mut [Self; LANES]) {
        s.store(x, to);
    }
}

/// Half precision.
impl Element for u16 {
    #[inline(always)]
    fn load<S: Simd>(s: S, from: &[Self; LANES]) -> S::F {
        s.load_f16(from)
    }

    #[inline(always)]
    fn store<S: Simd>(s: S, x: S::F, to: &mut [Self; LANES]) {
        s.store_f16(x, to);
    }
}

/// Stores the first `count` lanes, or as many as `out` has room for.
#[inline(always)]
pub(crate) fn store<S: Simd, T: Element>(s: S, y: S::F, count: usize, accumulate: bool, out: &mut [T]) {
    match out.first_chunk_mut::<LANES>() {
        Some(out) if count == LANES => store_all(s, y, accumulate, out),
        _ => {
            let count = count.min(out.len());
            store_some(s, y, accumulate, &mut out[..count]);
        }
    }
}

#[inline(always)]
fn store_all<S: Simd, T: Element>(s: S, y: S::F, accumulate: bool, out: &mut [T; LANES]) {
    T::store(s, if accumulate { s.add(T::load(s, out), y) } else { y }, out);
}

/// [`store`] of fewer lanes than sixteen.
#[inline(always)]
fn store_some<S: Simd, T: Element>(s: S, y: S::F, accumulate: bool, out: &mut [T]) {
    let mut lanes = [T::default(); LANES];
    lanes[..out.len()].copy_from_slice(out);
    store_all(s, y, accumulate, &mut lanes);
    out.copy_from_slice(&lanes[..out.len()]);
}
