//! The output of a product, in f32 or half precision.

use crate::BlockMut;
use crate::simd::{LANES, Simd};

/// The output block of a product; the last step of the epilogue rounds to its type.
///
/// A [`BlockMut`] of either type converts into one.
#[derive(Debug)]
#[non_exhaustive]
pub enum OutputMut<'a> {
    /// f32, as computed.
    F32(BlockMut<'a>),
    /// Bit patterns of IEEE half precision, rounded to nearest, ties to even: for KV caches, which hold half precision.
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

/// Evaluates an expression for either type of block in an [`OutputMut`], so that the compiler knows the type.
macro_rules! with_block {
    ($output:expr, $block:ident => $call:expr) => {
        match $output {
            $crate::OutputMut::F32($block) => $call,
            $crate::OutputMut::F16($block) => $call,
        }
    };
}
pub(crate) use with_block;

/// Value type of an output block.
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

/// Stores the first `count` lanes, at most sixteen, or as many as fit into `out`.
#[inline(always)]
pub(crate) fn store<S: Simd, T: Element>(s: S, y: S::F, count: usize, accumulate: bool, out: &mut [T]) {
    if count == LANES
        && let Some(out) = out.first_chunk_mut()
    {
        return store_all(s, y, accumulate, out);
    }
    // For the last vector of a panel the compiler knows `count`, and so the length of the copies.
    match out.split_at_mut_checked(count) {
        Some((out, _)) => store_some(s, y, accumulate, out),
        None => store_some(s, y, accumulate, out),
    }
}

/// [`store`] of all lanes.
#[inline(always)]
pub(crate) fn store_all<S: Simd, T: Element>(s: S, y: S::F, accumulate: bool, out: &mut [T; LANES]) {
    T::store(s, if accumulate { s.add(T::load(s, out), y) } else { y }, out);
}

/// [`store`] of as many lanes as `out` has values.
#[inline(always)]
fn store_some<S: Simd, T: Element>(s: S, y: S::F, accumulate: bool, out: &mut [T]) {
    let mut lanes = [T::default(); LANES];
    if accumulate {
        lanes[..out.len()].copy_from_slice(out);
    }
    store_all(s, y, accumulate, &mut lanes);
    out.copy_from_slice(&lanes[..out.len()]);
}
