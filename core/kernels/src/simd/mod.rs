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
mod fused;
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
    /// `m` and `e` with `x = m · 2^e`, `√½ ≤ m < √2`, for positive normal `x`.
    fn split(self, x: Self::F) -> (Self::F, Self::F);
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
    fn prefetch_for_store<T>(self, _line: &[T]) {}
}

/// Lanes of f64 that are worked on side by side.
pub(crate) const FRAMES: usize = 8;

// What `split` takes off the bits: those of √½.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const SQRT_HALF_BITS: i32 = 0x3f35_04f3;

/// Vectors of f64, one register each: eight lanes are [`PARTS`](Self::PARTS) of them. For algorithms whose lanes never
/// meet, so that the number of parts does not show in the result.
pub(crate) trait Doubles: Copy {
    /// The lanes of one part.
    type D: Copy;

    /// Parts of eight lanes.
    const PARTS: usize;

    fn splat_f64(self, x: f64) -> Self::D;
    /// The lanes of part `part`.
    ///
    /// # Panics
    /// This and the next two when there is no such part.
    fn load_f64(self, from: &[f64; FRAMES], part: usize) -> Self::D;
    fn store_f64(self, x: Self::D, to: &mut [f64; FRAMES], part: usize);
    /// Widens, exactly.
    fn load_f32_as_f64(self, from: &[f32; FRAMES], part: usize) -> Self::D;
    fn add_f64(self, a: Self::D, b: Self::D) -> Self::D;
    fn sub_f64(self, a: Self::D, b: Self::D) -> Self::D;
    fn mul_f64(self, a: Self::D, b: Self::D) -> Self::D;
    /// `a * b + c`, rounded twice: where the compiler may not use the instruction, a fused one is a library's function.
    #[inline(always)]
    fn mul_add_f64(self, a: Self::D, b: Self::D, c: Self::D) -> Self::D {
        self.add_f64(self.mul_f64(a, b), c)
    }
}
