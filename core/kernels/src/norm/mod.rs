//! Layer norm and root-mean-square norm of a row, sixteen values at a time.

mod reference;

pub use reference::{layer_norm, rms_norm};

use crate::float::reduce::{self, padded};
use crate::simd::{LANES, Simd};

/// The normalisation of a row before it is used.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Norm<'a> {
    /// No normalisation.
    None,
    /// `(x - mean) / √(variance + epsilon) · weight + bias` (Ba et al. 2016).
    Layer {
        /// One factor per column.
        weight: &'a [f32],
        /// One summand per column.
        bias: &'a [f32],
        /// Prevents a division by zero for a constant row; 1e-5 in Whisper and Marian.
        epsilon: f32,
    },
    /// `x / √(mean of squares + epsilon) · weight` (Zhang and Sennrich 2019).
    RootMeanSquare {
        /// One factor per column.
        weight: &'a [f32],
        /// Prevents a division by zero for a zero row.
        epsilon: f32,
    },
}

impl Norm<'_> {
    /// # Panics
    /// When the parameters do not have one value per column.
    pub(crate) fn check(&self, columns: usize) {
        match self {
            Self::None => {}
            Self::Layer { weight, bias, .. } => {
                assert_eq!((weight.len(), bias.len()), (columns, columns), "one weight and bias per column");
            }
            Self::RootMeanSquare { weight, .. } => assert_eq!(weight.len(), columns, "one weight per column"),
        }
    }

    /// The offset that is subtracted from the values of a row, and the factor that they are then multiplied with.
    #[inline(always)]
    fn moments<S: Simd>(&self, s: S, row: &[f32]) -> (f32, f32) {
        let count = row.len() as f32;
        match self {
            Self::None => (0.0, 1.0),
            Self::Layer { epsilon, .. } => {
                let mean = sum(s, row) / count;
                (mean, 1.0 / (sum_of_squares(s, row, mean) / count + epsilon).sqrt())
            }
            Self::RootMeanSquare { epsilon, .. } => (0.0, 1.0 / (sum_of_squares(s, row, 0.0) / count + epsilon).sqrt()),
        }
    }

    /// Sixteen values of the normalised row from `column` on; zeros after its end. (Not a closure per block: a closure
    /// that the compiler does not inline is compiled without the CPU's features.)
    #[inline(always)]
    pub(crate) fn block<S: Simd>(&self, s: S, row: &Normed<'_, S>, column: usize) -> S::F {
        let count = row.values.len() - column;
        let y = match self {
            Self::None => block(s, row.values, column),
            Self::Layer { weight, bias, .. } => {
                let (weight, bias) = (block(s, weight, column), block(s, bias, column));
                s.fma(s.mul(s.sub(block(s, row.values, column), row.mean), row.scale), weight, bias)
            }
            Self::RootMeanSquare { weight, .. } => {
                s.mul(s.mul(block(s, row.values, column), row.scale), block(s, weight, column))
            }
        };
        if count < LANES { keep(s, y, count) } else { y }
    }
}

/// A row with the mean and scale that its norm needs.
pub(crate) struct Normed<'a, S: Simd> {
    values: &'a [f32],
    mean: S::F,
    scale: S::F,
}

impl<'a, S: Simd> Normed<'a, S> {
    #[inline(always)]
    pub(crate) fn new(s: S, norm: &Norm<'_>, values: &'a [f32]) -> Self {
        let (mean, scale) = norm.moments(s, values);
        Self { values, mean: s.splat(mean), scale: s.splat(scale) }
    }
}

/// The whole blocks of a normalised row, with one bounds check for all of them.
pub(crate) trait Blocks<S: Simd>: Copy {
    /// Number of whole blocks.
    fn count(self) -> usize;
    /// Block `index`, below [`count`](Self::count).
    fn get(self, s: S, index: usize) -> S::F;
}

/// A row as it is.
#[derive(Clone, Copy)]
pub(crate) struct Plain<'a>(pub(crate) &'a [[f32; LANES]]);

/// A row under layer normalisation.
#[derive(Clone, Copy)]
pub(crate) struct Layered<'a, S: Simd> {
    values: &'a [[f32; LANES]],
    weight: &'a [[f32; LANES]],
    bias: &'a [[f32; LANES]],
    mean: S::F,
    scale: S::F,
}

/// A row under root-mean-square normalisation.
#[derive(Clone, Copy)]
pub(crate) struct Scaled<'a, S: Simd> {
    values: &'a [[f32; LANES]],
    weight: &'a [[f32; LANES]],
    scale: S::F,
}

impl<'a, S: Simd> Layered<'a, S> {
    #[inline(always)]
    pub(crate) fn new(row: &Normed<'a, S>, weight: &'a [f32], bias: &'a [f32]) -> Self {
        let values = row.values.as_chunks().0;
        let (weight, bias) = (&weight.as_chunks().0[..values.len()], &bias.as_chunks().0[..values.len()]);
        Self { values, weight, bias, mean: row.mean, scale: row.scale }
    }
}

impl<'a, S: Simd> Scaled<'a, S> {
    #[inline(always)]
    pub(crate) fn new(row: &Normed<'a, S>, weight: &'a [f32]) -> Self {
        let values = row.values.as_chunks().0;
        Self { values, weight: &weight.as_chunks().0[..values.len()], scale: row.scale }
    }
}

impl<S: Simd> Blocks<S> for Plain<'_> {
    #[inline(always)]
    fn count(self) -> usize {
        self.0.len()
    }

    #[inline(always)]
    fn get(self, s: S, index: usize) -> S::F {
        s.load(&self.0[index])
    }
}

impl<S: Simd> Blocks<S> for Layered<'_, S> {
    #[inline(always)]
    fn count(self) -> usize {
        self.values.len()
    }

    #[inline(always)]
    fn get(self, s: S, index: usize) -> S::F {
        let x = s.mul(s.sub(s.load(&self.values[index]), self.mean), self.scale);
        s.fma(x, s.load(&self.weight[index]), s.load(&self.bias[index]))
    }
}

impl<S: Simd> Blocks<S> for Scaled<'_, S> {
    #[inline(always)]
    fn count(self) -> usize {
        self.values.len()
    }

    #[inline(always)]
    fn get(self, s: S, index: usize) -> S::F {
        s.mul(s.mul(s.load(&self.values[index]), self.scale), s.load(&self.weight[index]))
    }
}

/// Normalises one row.
#[inline(always)]
pub(crate) fn normalize<S: Simd>(s: S, norm: &Norm<'_>, row: &[f32], out: &mut [f32]) {
    let row = Normed::new(s, norm, row);
    for column in (0..out.len()).step_by(LANES) {
        let y = norm.block(s, &row, column);
        if let Some(block) = out[column..].first_chunk_mut::<LANES>() {
            s.store(y, block);
        } else {
            let mut block = [0.0; LANES];
            s.store(y, &mut block);
            let rest = &mut out[column..];
            rest.copy_from_slice(&block[..rest.len()]);
        }
    }
}

/// Sixteen values from `column` on, padded with zeros past the end.
#[inline(always)]
fn block<S: Simd>(s: S, values: &[f32], column: usize) -> S::F {
    match values[column..].first_chunk::<LANES>() {
        Some(block) => s.load(block),
        None => s.load(&padded(&values[column..], 0.0)),
    }
}

/// Keeps the first `count` lanes and zeroes the others, which hold normalised padding.
#[inline(always)]
fn keep<S: Simd>(s: S, x: S::F, count: usize) -> S::F {
    let mut lanes = [0.0; LANES];
    s.store(x, &mut lanes);
    lanes[count..].fill(0.0);
    s.load(&lanes)
}

#[inline(always)]
fn sum<S: Simd>(s: S, row: &[f32]) -> f32 {
    let (blocks, rest) = row.as_chunks::<LANES>();
    let mut lanes = s.splat(0.0);
    for block in blocks {
        lanes = s.add(lanes, s.load(block));
    }
    if !rest.is_empty() {
        lanes = s.add(lanes, s.load(&padded(rest, 0.0)));
    }
    reduce::sum(s, lanes)
}

#[inline(always)]
fn sum_of_squares<S: Simd>(s: S, row: &[f32], mean: f32) -> f32 {
    let (blocks, rest) = row.as_chunks::<LANES>();
    let mut lanes = s.splat(0.0);
    let shift = s.splat(mean);
    for block in blocks {
        let d = s.sub(s.load(block), shift);
        lanes = s.fma(d, d, lanes);
    }
    if !rest.is_empty() {
        // Padding equal to the mean adds nothing.
        let d = s.sub(s.load(&padded(rest, mean)), shift);
        lanes = s.fma(d, d, lanes);
    }
    reduce::sum(s, lanes)
}
