//! Sixteen f32 lanes on every instruction set: the vocabulary that all float kernels are written in.
//!
//! Sixteen whatever the registers hold (one of AVX-512, two of AVX2, four of NEON, an array in portable Rust), so that
//! an algorithm written once has one order of operations, and with it one result, everywhere. Each operation is
//! correctly rounded by IEEE 754; nothing is contracted or reordered. `max` and `min` are comparisons followed by a
//! selection, because the instructions of the same name disagree about NaN and signed zero.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;

/// Lanes of a vector.
pub(crate) const LANES: usize = 16;

/// Vectors of sixteen f32. A value of an implementing type proves that the CPU can execute the operations.
///
/// All methods are `inline(always)`: they are meant for the bodies of functions that enable the features.
pub(crate) trait Simd: Copy {
    /// Sixteen f32.
    type F: Copy;

    /// Rows of an f32 tile whose sums, sixteen lanes each, fill the registers without spilling.
    const ROWS: usize;
    /// Whether the registers hold four times as many.
    const WIDE: bool = false;

    fn splat(self, x: f32) -> Self::F;
    fn load(self, from: &[f32; LANES]) -> Self::F;
    fn store(self, x: Self::F, to: &mut [f32; LANES]);
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a * b + c`, rounded once.
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// `if a > b { a } else { b }`: `b` when either is NaN.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// `if a < b { a } else { b }`: `b` when either is NaN.
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    /// `if a > b { x } else { y }`.
    fn select_gt(self, a: Self::F, b: Self::F, x: Self::F, y: Self::F) -> Self::F;
    /// Clears the sign.
    fn abs(self, x: Self::F) -> Self::F;
    /// `2^n` from `n + 1.5 · 2^23`, whose low bits are `n`; `-126 ≤ n ≤ 127`.
    fn power_of_two(self, shifted: Self::F) -> Self::F;
    /// `2^(n - 127)` from `n + 1.5 · 2^23`, whose low bits are `n`; `1 ≤ n ≤ 254`.
    fn biased_power_of_two(self, shifted: Self::F) -> Self::F;
    /// Adds the lanes as integers, wrapping: numbers `n + 1.5 · 2^23` are added up exactly by their bits.
    fn add_bits(self, a: Self::F, b: Self::F) -> Self::F;
    /// Stores the low byte of each lane: the integer `n` from `n + 1.5 · 2^23`, `-128 ≤ n ≤ 127`.
    fn store_shifted_i8(self, shifted: Self::F, to: &mut [i8; LANES]);
    /// Rounds to the nearest f32, ties to even.
    fn load_i32(self, from: &[i32; LANES]) -> Self::F;
    /// Rounds to the nearest integer, ties to even; every lane lies between -128 and 127.
    fn store_i8(self, x: Self::F, to: &mut [i8; LANES]);
    /// Widens IEEE half precision, exactly.
    fn load_f16(self, from: &[u16; LANES]) -> Self::F;
    /// Rounds to IEEE half precision, ties to even.
    fn store_f16(self, x: Self::F, to: &mut [u16; LANES]);
    /// Hints that the lines `ahead` bytes behind those of `bytes` will be read soon, whether they exist or not.
    #[inline(always)]
    fn prefetch(self, _bytes: &[u8], _ahead: usize) {}
    /// Hints that the line of the first value will be written soon.
    #[inline(always)]
    fn prefetch_for_store(self, _line: &[f32]) {}
}
