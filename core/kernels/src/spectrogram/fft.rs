//! Power spectrum of 400 real samples, by a complex FFT of length 200.
//!
//! Even samples are the real parts, odd ones the imaginary parts. 200 = 8 · 25 with coprime factors, so the transform
//! is eight transforms of length 25 and then 25 of length 8, without twiddle factors between them (I. J. Good, "The
//! interaction algorithm and practical Fourier analysis", 1958). Length 25 is two rounds of five (Cooley and Tukey,
//! 1965).

use super::roots::unit_root;
use super::{BINS, WINDOW};
use crate::simd::{Doubles, FRAMES};

const HALF: usize = WINDOW / 2;
const ROWS: usize = 8;
const COLUMNS: usize = 25;

/// Complex values in one part of the lanes.
#[derive(Debug, Clone, Copy)]
struct Complex<D> {
    re: D,
    im: D,
}

/// Roots of unity of the transforms.
#[derive(Debug, Clone)]
pub(super) struct Tables {
    /// `e^(-2πi bc / 25)` at `5 b + c`.
    fives: [(f64, f64); COLUMNS],
    /// `e^(-2πi k / 400)`, `k` up to 100.
    untangle: Vec<(f64, f64)>,
}

/// Complex values between the rounds, real and imaginary parts in separate arrays.
#[derive(Debug, Clone)]
pub(super) struct Scratch {
    re: Vec<[f64; FRAMES]>,
    im: Vec<[f64; FRAMES]>,
}

impl Tables {
    pub(super) fn new() -> Self {
        let root = |k, n| {
            let (cos, sin) = unit_root(k, n);
            (cos, -sin)
        };
        Self {
            fives: std::array::from_fn(|i| root(i / 5 * (i % 5), COLUMNS)),
            untangle: (0..=HALF / 2).map(|k| root(k, WINDOW)).collect(),
        }
    }
}

impl Scratch {
    #[inline(always)]
    fn load<S: Doubles>(&self, s: S, part: usize, i: usize) -> Complex<S::D> {
        Complex { re: s.load_f64(&self.re[i], part), im: s.load_f64(&self.im[i], part) }
    }

    #[inline(always)]
    fn store<S: Doubles>(&mut self, s: S, part: usize, i: usize, x: Complex<S::D>) {
        s.store_f64(x.re, &mut self.re[i], part);
        s.store_f64(x.im, &mut self.im[i], part);
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self { re: vec![[0.0; FRAMES]; HALF], im: vec![[0.0; FRAMES]; HALF] }
    }
}

/// |FFT|² of the windowed samples of one part of the lanes. `window` holds half the window's weights, so that the sums
/// and differences that separate the two interleaved transforms need no division by 2.
#[inline(always)]
pub(super) fn power<S: Doubles>(
    s: S,
    part: usize,
    window: &[f64],
    tables: &Tables,
    samples: &[[f32; FRAMES]],
    scratch: &mut Scratch,
    power: &mut [[f64; FRAMES]],
) {
    let (window, samples) = (&window[..WINDOW], &samples[..WINDOW]);
    for row in 0..ROWS {
        let mut input = [Complex { re: s.splat_f64(0.0), im: s.splat_f64(0.0) }; COLUMNS];
        for (column, input) in input.iter_mut().enumerate() {
            let i = 2 * ((COLUMNS * row + ROWS * column) % HALF);
            input.re = s.mul_f64(s.load_f32_as_f64(&samples[i], part), s.splat_f64(window[i]));
            input.im = s.mul_f64(s.load_f32_as_f64(&samples[i + 1], part), s.splat_f64(window[i + 1]));
        }
        dft25(s, part, tables, &input, scratch, row * COLUMNS);
    }
    for column in 0..COLUMNS {
        dft8(s, part, scratch, column);
    }
    untangle(s, part, tables, scratch, power);
}

/// Transform of 25 values, written from `start` on.
// The compiler unrolls loops of this form; other forms took a quarter longer.
#[inline(always)]
fn dft25<S: Doubles>(
    s: S,
    part: usize,
    tables: &Tables,
    input: &[Complex<S::D>; COLUMNS],
    scratch: &mut Scratch,
    start: usize,
) {
    let mut between = [[input[0]; 5]; 5];
    for (b, between) in between.iter_mut().enumerate() {
        *between = dft5(s, [input[b], input[5 + b], input[10 + b], input[15 + b], input[20 + b]]);
        for (c, value) in between.iter_mut().enumerate().skip(1) {
            if b > 0 {
                *value = multiply(s, *value, tables.fives[5 * b + c]);
            }
        }
    }
    #[expect(clippy::needless_range_loop, reason = "a column of each row, which iterators copy through memory")]
    for c in 0..5 {
        let column = [between[0][c], between[1][c], between[2][c], between[3][c], between[4][c]];
        for (d, value) in dft5(s, column).into_iter().enumerate() {
            scratch.store(s, part, start + c + 5 * d, value);
        }
    }
}

#[inline(always)]
fn dft5<S: Doubles>(s: S, x: [Complex<S::D>; 5]) -> [Complex<S::D>; 5] {
    // Cosines and sines of one and two fifths of a turn.
    const COS: [f64; 2] = [0.309_016_994_374_947_45, -0.809_016_994_374_947_5];
    const SIN: [f64; 2] = [0.951_056_516_295_153_5, 0.587_785_252_292_473_1];
    let (outer, inner) = (add(s, x[1], x[4]), add(s, x[2], x[3]));
    let (across, beside) = (sub(s, x[1], x[4]), sub(s, x[2], x[3]));
    let even_1 = add_scaled(s, add_scaled(s, x[0], outer, COS[0]), inner, COS[1]);
    let even_2 = add_scaled(s, add_scaled(s, x[0], outer, COS[1]), inner, COS[0]);
    let odd_1 = add_scaled(s, scale(s, across, SIN[0]), beside, SIN[1]);
    let odd_2 = add_scaled(s, scale(s, across, SIN[1]), beside, -SIN[0]);
    let constant = add(s, x[0], add(s, outer, inner));
    [constant, minus_i(s, even_1, odd_1), minus_i(s, even_2, odd_2), plus_i(s, even_2, odd_2), plus_i(s, even_1, odd_1)]
}

/// Transform over the rows of one column, in place: bin `k` is written to row `k`.
#[inline(always)]
fn dft8<S: Doubles>(s: S, part: usize, scratch: &mut Scratch, column: usize) {
    let mut x = [Complex { re: s.splat_f64(0.0), im: s.splat_f64(0.0) }; ROWS];
    for (row, x) in x.iter_mut().enumerate() {
        *x = scratch.load(s, part, row * COLUMNS + column);
    }
    let even = dft4(s, [x[0], x[2], x[4], x[6]]);
    let odd = dft4(s, [x[1], x[3], x[5], x[7]]);
    // Multiplication by e^(-2πi k / 8) for k = 1 and 3; the factor -i of k = 2 is part of the last step.
    let one = scale(s, minus_i(s, odd[1], odd[1]), std::f64::consts::FRAC_1_SQRT_2);
    let three = scale(s, plus_i(s, odd[3], odd[3]), -std::f64::consts::FRAC_1_SQRT_2);
    let out = [
        (add(s, even[0], odd[0]), sub(s, even[0], odd[0])),
        (add(s, even[1], one), sub(s, even[1], one)),
        (minus_i(s, even[2], odd[2]), plus_i(s, even[2], odd[2])),
        (add(s, even[3], three), sub(s, even[3], three)),
    ];
    for (k, (low, high)) in out.into_iter().enumerate() {
        scratch.store(s, part, k * COLUMNS + column, low);
        scratch.store(s, part, (k + 4) * COLUMNS + column, high);
    }
}

#[inline(always)]
fn dft4<S: Doubles>(s: S, x: [Complex<S::D>; 4]) -> [Complex<S::D>; 4] {
    let (sum, difference) = (add(s, x[0], x[2]), sub(s, x[0], x[2]));
    let (odd_sum, odd_difference) = (add(s, x[1], x[3]), sub(s, x[1], x[3]));
    [
        add(s, sum, odd_sum),
        minus_i(s, difference, odd_difference),
        sub(s, sum, odd_sum),
        plus_i(s, difference, odd_difference),
    ]
}

/// Power of the real transform's bins, from the complex transform of half the length.
#[inline(always)]
fn untangle<S: Doubles>(s: S, part: usize, tables: &Tables, scratch: &Scratch, power: &mut [[f64; FRAMES]]) {
    let power = &mut power[..BINS];
    for (k, &root) in tables.untangle.iter().enumerate() {
        let (a, b) = (scratch.load(s, part, place(k)), scratch.load(s, part, place((HALF - k) % HALF)));
        // Transforms of the even samples, and of the odd samples times i.
        let even = Complex { re: s.add_f64(a.re, b.re), im: s.sub_f64(a.im, b.im) };
        let odd = multiply(s, Complex { re: s.sub_f64(a.re, b.re), im: s.add_f64(a.im, b.im) }, root);
        s.store_f64(square(s, plus_i(s, even, odd)), &mut power[HALF - k], part);
        s.store_f64(square(s, minus_i(s, even, odd)), &mut power[k], part);
    }
}

/// Position of bin `k` of the complex transform: 176 is 1 modulo 25, and 25 is 1 modulo 8.
#[inline(always)]
fn place(k: usize) -> usize {
    k % ROWS * COLUMNS + k % COLUMNS
}

#[inline(always)]
fn add<S: Doubles>(s: S, a: Complex<S::D>, b: Complex<S::D>) -> Complex<S::D> {
    Complex { re: s.add_f64(a.re, b.re), im: s.add_f64(a.im, b.im) }
}

#[inline(always)]
fn sub<S: Doubles>(s: S, a: Complex<S::D>, b: Complex<S::D>) -> Complex<S::D> {
    Complex { re: s.sub_f64(a.re, b.re), im: s.sub_f64(a.im, b.im) }
}

/// `a - i b`.
#[inline(always)]
fn minus_i<S: Doubles>(s: S, a: Complex<S::D>, b: Complex<S::D>) -> Complex<S::D> {
    Complex { re: s.add_f64(a.re, b.im), im: s.sub_f64(a.im, b.re) }
}

/// `a + i b`.
#[inline(always)]
fn plus_i<S: Doubles>(s: S, a: Complex<S::D>, b: Complex<S::D>) -> Complex<S::D> {
    Complex { re: s.sub_f64(a.re, b.im), im: s.add_f64(a.im, b.re) }
}

#[inline(always)]
fn scale<S: Doubles>(s: S, a: Complex<S::D>, factor: f64) -> Complex<S::D> {
    let factor = s.splat_f64(factor);
    Complex { re: s.mul_f64(a.re, factor), im: s.mul_f64(a.im, factor) }
}

/// `a + factor · b`.
#[inline(always)]
fn add_scaled<S: Doubles>(s: S, a: Complex<S::D>, b: Complex<S::D>, factor: f64) -> Complex<S::D> {
    let factor = s.splat_f64(factor);
    Complex { re: s.mul_add_f64(b.re, factor, a.re), im: s.mul_add_f64(b.im, factor, a.im) }
}

/// Squared magnitude.
#[inline(always)]
fn square<S: Doubles>(s: S, a: Complex<S::D>) -> S::D {
    s.mul_add_f64(a.im, a.im, s.mul_f64(a.re, a.re))
}

#[inline(always)]
fn multiply<S: Doubles>(s: S, a: Complex<S::D>, (re, im): (f64, f64)) -> Complex<S::D> {
    let (re, im) = (s.splat_f64(re), s.splat_f64(im));
    let product = s.mul_f64(a.im, im);
    Complex { re: s.sub_f64(s.mul_f64(a.re, re), product), im: s.mul_add_f64(a.re, im, s.mul_f64(a.im, re)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Scalar;

    #[test]
    fn the_power_is_that_of_the_plain_sum_in_every_lane() {
        let s = Scalar::new().expect("every CPU has it");
        let noise = |lane: usize, i: usize| {
            let hash = (i * FRAMES + lane).wrapping_mul(2_654_435_761) % 1_000_003;
            hash as f32 / 500_000.0 - 1.0
        };
        let samples: Vec<[f32; FRAMES]> = (0..WINDOW).map(|i| std::array::from_fn(|lane| noise(lane, i))).collect();
        let window: Vec<f64> = (0..WINDOW).map(|i| 0.25 + 0.001 * i as f64).collect();
        let (tables, mut scratch) = (Tables::new(), Scratch::default());
        let mut found = vec![[0.0; FRAMES]; BINS];
        for part in 0..<Scalar as Doubles>::PARTS {
            power(s, part, &window, &tables, &samples, &mut scratch, &mut found);
        }
        for (k, found) in found.iter().enumerate() {
            for (lane, found) in found.iter().enumerate() {
                let (mut re, mut im) = (0.0, 0.0);
                for (i, sample) in samples.iter().enumerate() {
                    let (cos, sin) = unit_root(i * k, WINDOW);
                    let value = 2.0 * window[i] * f64::from(sample[lane]);
                    re += value * cos;
                    im -= value * sin;
                }
                let expected = re * re + im * im;
                assert!(
                    (found - expected).abs() < 1e-10 * (1.0 + expected),
                    "bin {k}, lane {lane}: {found} {expected}"
                );
            }
        }
    }
}
