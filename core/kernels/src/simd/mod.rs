//! Sixteen f32 lanes on every instruction set: the operations that all float kernels are written in.
//!
//! Always sixteen (one AVX-512 register, two of AVX2, four of NEON, an array in portable Rust), so that an algorithm is
//! written once and has one order of operations, and so one result, everywhere. Each operation is correctly rounded by
//! IEEE 754; nothing is contracted or reordered. `max` and `min` are comparisons followed by a selection, because the
//! instructions of the same name disagree about NaN and signed zero.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod fused;
#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;

/// Lanes of a vector.
pub(crate) const LANES: usize = 16;

/// Vectors of sixteen f32. A value of an implementing type proves that the CPU can execute the operations.
///
/// All methods are `inline(always)`: call them in functions that enable the CPU features.
pub(crate) trait Simd: Copy {
    /// Sixteen f32.
    type F: Copy;

    /// Rows of an f32 tile whose sums, sixteen lanes each, fill the registers without spilling.
    const ROWS: usize;
    /// Whether the registers hold the sums of a tile four times as wide.
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
    /// `2^n`, given `n + 1.5 · 2^23`, whose low bits are `n`; `-126 ≤ n ≤ 127`.
    fn power_of_two(self, shifted: Self::F) -> Self::F;
    /// `2^(n - 127)`, given `n + 1.5 · 2^23`, whose low bits are `n`; `1 ≤ n ≤ 254`.
    fn biased_power_of_two(self, shifted: Self::F) -> Self::F;
    /// Adds the bits of the lanes as wrapping integers, which sums values `n + 1.5 · 2^23` exactly.
    fn add_bits(self, a: Self::F, b: Self::F) -> Self::F;
    /// Returns `m` and `e` with `x = m · 2^e`, `√½ ≤ m < √2`, for positive normal `x`.
    fn split(self, x: Self::F) -> (Self::F, Self::F);
    /// Stores the low byte of each lane: the integer `n`, given `n + 1.5 · 2^23`, `-128 ≤ n ≤ 127`.
    fn store_shifted_i8(self, shifted: Self::F, to: &mut [i8; LANES]);
    /// Loads integers, rounded to the nearest f32, ties to even.
    fn load_i32(self, from: &[i32; LANES]) -> Self::F;
    /// Stores lanes, rounded to the nearest integer, ties to even. Every lane must lie between -128 and 127.
    fn store_i8(self, x: Self::F, to: &mut [i8; LANES]);
    /// Loads IEEE half precision, widened exactly.
    fn load_f16(self, from: &[u16; LANES]) -> Self::F;
    /// Stores lanes, rounded to IEEE half precision, ties to even.
    fn store_f16(self, x: Self::F, to: &mut [u16; LANES]);
    /// Prefetches, for reading, the cache lines that lie `ahead` bytes after those of `bytes`. These need not exist.
    #[inline(always)]
    fn prefetch(self, _bytes: &[u8], _ahead: usize) {}
    /// Prefetches, for writing, the cache line of the first value.
    #[inline(always)]
    fn prefetch_for_store<T>(self, _line: &[T]) {}
}

/// Number of f64 lanes: frames that are processed side by side.
pub(crate) const FRAMES: usize = 8;

// The bits of √½, which `split` subtracts.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const SQRT_HALF_BITS: i32 = 0x3f35_04f3;

/// Vectors of f64, one register each; eight lanes are [`PARTS`](Self::PARTS) registers. For algorithms whose lanes
/// never meet, so that the number of parts does not affect the result.
pub(crate) trait Doubles: Copy {
    /// The lanes of one part (one register).
    type D: Copy;

    /// Number of parts of eight lanes.
    const PARTS: usize;

    fn splat_f64(self, x: f64) -> Self::D;
    /// Loads the lanes of part `part`.
    ///
    /// # Panics
    /// This method and the next two panic when there is no such part.
    fn load_f64(self, from: &[f64; FRAMES], part: usize) -> Self::D;
    fn store_f64(self, x: Self::D, to: &mut [f64; FRAMES], part: usize);
    /// Loads f32 lanes, widened exactly.
    fn load_f32_as_f64(self, from: &[f32; FRAMES], part: usize) -> Self::D;
    fn add_f64(self, a: Self::D, b: Self::D) -> Self::D;
    fn sub_f64(self, a: Self::D, b: Self::D) -> Self::D;
    fn mul_f64(self, a: Self::D, b: Self::D) -> Self::D;
    /// `a * b + c`, rounded twice: without the instruction a fused multiply-add is a library call.
    #[inline(always)]
    fn mul_add_f64(self, a: Self::D, b: Self::D, c: Self::D) -> Self::D {
        self.add_f64(self.mul_f64(a, b), c)
    }
}
