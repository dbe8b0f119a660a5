//! The kernels of the best instruction set that the CPU has, chosen once per process.

#![allow(unsafe_code)]

use std::fmt;

use once_cell::sync::OnceCell;
use sotto_runtime::big_cores_are_in_order;

use crate::int4::Int4Matrix;
use crate::int8::{Activations, Epilogue, Job, Layout, PackedMatrix, TopK};
use crate::isa;
use crate::norm::Norm;
use crate::table::{self, Table};
use crate::{BlockMut, Isa, MatRef, OutputMut, self_test};

/// Environment variable that names the instruction set to use.
pub const ISA_VARIABLE: &str = "SOTTO_ISA";

/// All kernels of one instruction set that the running CPU has.
///
/// A value exists only where the CPU can execute the set, so every method is safe. Sets differ in speed, never in
/// results: each operation has one defined order, so all sets give the same bits for finite input. (From NaN or
/// infinite input, different NaNs may result.) Copying is free; all methods may be called from any thread.
#[derive(Clone, Copy)]
pub struct KernelSet {
    pub(crate) table: &'static Table,
}

/// Why the set in use is not the one named by [`ISA_VARIABLE`], or not the fastest that the CPU reports. Never fatal;
/// an application may show it once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IsaNotice {
    /// The variable names no known instruction set.
    #[error("{ISA_VARIABLE} is no known instruction set; using {used}")]
    Unknown {
        /// What is used instead.
        used: Isa,
    },
    /// The CPU, or this build, does not have the set.
    #[error("{ISA_VARIABLE} asks for {wanted}, which this CPU does not have; using {used}")]
    Unavailable {
        /// What the variable names.
        wanted: Isa,
        /// What is used instead.
        used: Isa,
    },
    /// The CPU reports the set, but failed its self-test.
    #[error(
        "this CPU reports {failed}, but computes wrong results with it; using {used}, which is slower. Please report \
         the device"
    )]
    Wrong {
        /// The fastest set that failed.
        failed: Isa,
        /// What is used instead.
        used: Isa,
    },
}

/// The set that a process uses.
#[derive(Debug)]
struct Choice {
    set: KernelSet,
    /// Whether [`ISA_VARIABLE`] named it.
    is_asked_for: bool,
    /// Why it is not the set that was asked for, or not the fastest.
    notice: Option<IsaNotice>,
}

/// The choice of this process.
static CHOSEN: OnceCell<Choice> = OnceCell::new();

impl KernelSet {
    /// The set of this process: the fastest that the CPU has, or the one that [`ISA_VARIABLE`] names. Chosen at the
    /// first call; later changes of the variable have no effect.
    ///
    /// A set must pass a self-test first: small operations with known results, less than a millisecond per set. A set
    /// that fails is skipped, and [`notice`](Self::notice) says so.
    #[must_use]
    pub fn best() -> Self {
        Self::chosen().set
    }

    /// Why [`best`](Self::best) is not the set that was asked for, or not the fastest that the CPU reports; `None` if
    /// it is.
    #[must_use]
    pub fn notice() -> Option<&'static IsaNotice> {
        Self::chosen().notice.as_ref()
    }

    /// Whether [`best`](Self::best) was named by [`ISA_VARIABLE`].
    #[must_use]
    pub fn is_asked_for() -> bool {
        Self::chosen().is_asked_for
    }

    fn chosen() -> &'static Choice {
        CHOSEN.get_or_init(|| {
            let wanted = std::env::var_os(ISA_VARIABLE).filter(|name| !name.is_empty());
            Self::choose(&Self::all_available(), wanted.as_deref().map(|name| name.to_str().unwrap_or_default()))
        })
    }

    /// Chooses from `available`, the fastest last; `wanted` is the value of the variable.
    fn choose(available: &[Self], wanted: Option<&str>) -> Choice {
        // The portable set is the specification: there is nothing to compare it with.
        let is_right = |set: &Self| set.isa() == Isa::Scalar || self_test::passes(*set);
        let in_order = big_cores_are_in_order();
        let fastest = available.last().copied().unwrap_or_else(Self::scalar).ordered(in_order);
        let right = available.iter().rev().map(|set| set.ordered(in_order)).find(is_right);
        let best = right.unwrap_or_else(Self::scalar);
        let used = best.isa();
        let wrong = (used != fastest.isa()).then_some(IsaNotice::Wrong { failed: fastest.isa(), used });
        let by_itself = |notice| Choice { set: best, is_asked_for: false, notice };
        match wanted.map(str::parse::<Isa>) {
            None => by_itself(wrong),
            Some(Err(_)) => by_itself(Some(IsaNotice::Unknown { used })),
            Some(Ok(wanted)) => match available.iter().copied().find(|set| set.isa() == wanted) {
                Some(set) if is_right(&set) => Choice { set, is_asked_for: true, notice: None },
                Some(_) => by_itself(Some(IsaNotice::Wrong { failed: wanted, used })),
                None => by_itself(Some(IsaNotice::Unavailable { wanted, used })),
            },
        }
    }

    /// The variant of this set that is scheduled for in-order cores, if there is one and `in_order` asks for it.
    fn ordered(self, in_order: bool) -> Self {
        let ordered = (in_order && self.isa() == Isa::Dotprod).then(|| Self::new(Isa::DotprodInOrder));
        ordered.flatten().unwrap_or(self)
    }

    /// The kernels of `isa`, if the CPU has it.
    #[must_use]
    pub fn new(isa: Isa) -> Option<Self> {
        let table = match isa {
            Isa::Scalar => isa::Scalar::new().map(|_| &table::scalar::TABLE),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => isa::Neon::new().map(|_| &table::neon::TABLE),
            #[cfg(target_arch = "aarch64")]
            Isa::Dotprod => isa::Dotprod::new().map(|_| &table::dotprod::TABLE),
            #[cfg(target_arch = "aarch64")]
            Isa::DotprodInOrder => isa::DotprodInOrder::new().map(|_| &table::dotprod_in_order::TABLE),
            #[cfg(target_arch = "aarch64")]
            Isa::I8mm => isa::I8mm::new().map(|_| &table::i8mm::TABLE),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => isa::Avx2::new().map(|_| &table::avx2::TABLE),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni => isa::Avx512Vnni::new().map(|_| &table::avx512::TABLE),
            #[allow(unreachable_patterns, reason = "sets of other architectures than the one compiled for")]
            _ => None,
        }?;
        Some(Self { table })
    }

    /// The portable kernels, for every CPU: the specification of all others.
    #[must_use]
    pub fn scalar() -> Self {
        Self { table: &table::scalar::TABLE }
    }

    /// All sets that the CPU reports, the scalar one first, the fastest last. Executes no kernel.
    #[must_use]
    pub fn all_available() -> Vec<Self> {
        Isa::ALL.into_iter().filter_map(Self::new).collect()
    }

    /// The set for weights packed in `layout`: [`best`](Self::best) if it reads that layout, otherwise the fastest
    /// other set of the CPU that does. The portable set is left out: repacking the weights is faster than computing
    /// with it.
    ///
    /// `None` when there is no such set, or when [`ISA_VARIABLE`] has chosen a set that reads another layout.
    #[must_use]
    pub fn reading(layout: Layout) -> Option<Self> {
        let best = Self::best();
        if best.layout() == layout {
            return Some(best);
        }
        if Self::chosen().is_asked_for {
            return None;
        }
        let mut others = Self::all_available().into_iter().rev().filter(|set| set.isa() != Isa::Scalar);
        let found = others.find(|set| set.layout() == layout && self_test::passes(*set));
        found.map(|set| set.ordered(big_cores_are_in_order()))
    }

    /// The instruction set.
    #[must_use]
    pub fn isa(self) -> Isa {
        self.table.isa
    }

    /// The layout of int8 weights that this set reads.
    #[must_use]
    pub fn layout(self) -> Layout {
        self.table.layout
    }

    /// An empty buffer for quantized rows, with memory for `rows × depth` values; grows when more are needed.
    #[must_use]
    pub fn activations(self, rows: usize, depth: usize) -> Activations {
        Activations::new(self.table.form, rows, depth)
    }

    /// Normalises each row of `input` and quantizes it to int8 with a scale of its own.
    ///
    /// `input` is `[rows, depth]`; its rows may overlap (a convolution over time is a product with such rows). Per row:
    /// scale = `max|x| / 127`; value = `x · (127 / max|x|)` rounded to nearest, ties to even. A row with `max|x|`
    /// below 1e-30 becomes zeros.
    ///
    /// # Panics
    /// When the norm's parameters do not have `depth` values, or `out` belongs to another set.
    pub fn quantize(self, input: MatRef<'_>, norm: &Norm<'_>, out: &mut Activations) {
        norm.check(input.cols());
        assert_eq!(out.form, self.table.form, "activations of another kernel set");
        out.reshape(input.rows(), input.cols());
        // SAFETY: `self` exists, so the CPU has the set; the norm fits, and `out` was shaped for the rows of this set.
        unsafe { (self.table.quantize)(input, norm, out.rows_mut()) }
    }

    /// `out = epilogue(activations · weightsᵀ)`; the module's documentation defines every rounding.
    ///
    /// `[rows, depth] · [columns, depth]ᵀ → [rows, columns]`; the output is a [`BlockMut`] of f32 or of half
    /// precision. One row reads each weight once, at memory speed; up to a tile of rows (4 to 12) costs little more.
    ///
    /// # Panics
    /// When the shapes do not match, or activations or weights belong to another kernel set.
    pub fn product<'a>(
        self,
        activations: &Activations,
        weights: &PackedMatrix,
        epilogue: Epilogue<'_>,
        out: impl Into<OutputMut<'a>>,
    ) {
        let out = out.into();
        assert_whole(&out, activations, weights.columns());
        self.product_part(activations, weights, epilogue, (0, 0), out);
    }

    /// Computes the part of a product that `out` holds: rows and columns from `start = (row, column)` on. For threads
    /// that share one product. `row` must be a multiple of [`row_step`](Self::row_step), `column` of
    /// [`column_step`](Self::column_step).
    ///
    /// # Panics
    /// As [`product`](Self::product), and when `start` is not at such a multiple or the part ends outside of the
    /// product.
    pub fn product_part<'a>(
        self,
        activations: &Activations,
        weights: &PackedMatrix,
        epilogue: Epilogue<'_>,
        start: (usize, usize),
        out: impl Into<OutputMut<'a>>,
    ) {
        let out = out.into();
        if out.rows() == 0 || out.columns() == 0 {
            return;
        }
        let job = self.job(activations, weights, epilogue, start, (out.rows(), out.columns()));
        // SAFETY: `self` exists, so the CPU has the set; `job` has checked the shapes.
        unsafe { (self.table.product)(&job, out) }
    }

    /// [`product`](Self::product) of one row that also finds its largest values while they are in the cache: logits
    /// over a vocabulary, and the candidates for the next token.
    ///
    /// # Panics
    /// As [`product`](Self::product), and unless there is exactly one row.
    pub fn product_ranked(
        self,
        activations: &Activations,
        weights: &PackedMatrix,
        epilogue: Epilogue<'_>,
        out: &mut [f32],
        best: &mut TopK,
    ) {
        assert_eq!((activations.rows(), out.len()), (1, weights.columns()), "one row, as many outputs as columns");
        let out = BlockMut::new(out, weights.columns());
        let job = self.job(activations, weights, epilogue, (0, 0), (1, out.columns()));
        // SAFETY: `self` exists, so the CPU has the set; `job` has checked the shapes.
        unsafe { (self.table.product_ranked)(&job, out, best) }
    }

    /// As [`quantize`](Self::quantize), for products with 4-bit weights: the same values, and the block sums that some
    /// sets need.
    ///
    /// # Panics
    /// As [`quantize`](Self::quantize).
    pub fn quantize_for_int4(self, input: MatRef<'_>, norm: &Norm<'_>, out: &mut Activations) {
        self.quantize(input, norm, out);
        out.prepare_for_int4(self.layout());
    }

    /// `out = epilogue(activations · weightsᵀ)` with 4-bit weights, as the module `int4` defines it: exact sums per
    /// block, then one multiply-add per block, in order.
    ///
    /// `[rows, depth] · [columns, depth]ᵀ → [rows, columns]`. One row reads each weight once; up to 48 rows share
    /// the unpacking.
    ///
    /// # Panics
    /// When the shapes do not match, the activations do not come from [`quantize_for_int4`](Self::quantize_for_int4),
    /// or activations or weights belong to another kernel set.
    pub fn product_int4<'a>(
        self,
        activations: &Activations,
        weights: &Int4Matrix,
        epilogue: Epilogue<'_>,
        out: impl Into<OutputMut<'a>>,
    ) {
        let out = out.into();
        assert_whole(&out, activations, weights.columns());
        self.product_int4_part(activations, weights, epilogue, (0, 0), out);
    }

    /// Computes the part of a product that `out` holds, as [`product_part`](Self::product_part).
    ///
    /// # Panics
    /// As [`product_int4`](Self::product_int4), and for `start` as [`product_part`](Self::product_part).
    pub fn product_int4_part<'a>(
        self,
        activations: &Activations,
        weights: &Int4Matrix,
        epilogue: Epilogue<'_>,
        (row, column): (usize, usize),
        out: impl Into<OutputMut<'a>>,
    ) {
        let out = out.into();
        if out.rows() == 0 || out.columns() == 0 {
            return;
        }
        let shape = (weights.layout(), weights.columns(), weights.depth());
        self.check_part(activations, shape, epilogue, (row, column), (out.rows(), out.columns()));
        assert!(activations.are_for_int4(), "rows quantized for 4-bit weights");
        let job = Job { activations, row, weights, column, epilogue };
        // SAFETY: `self` exists, so the CPU has the set; the shapes were checked, and the sums of blocks are there.
        unsafe { (self.table.product_int4)(&job, out) }
    }

    fn job<'a>(
        self,
        activations: &'a Activations,
        weights: &'a PackedMatrix,
        epilogue: Epilogue<'a>,
        (row, column): (usize, usize),
        block: (usize, usize),
    ) -> Job<'a> {
        let shape = (weights.layout(), weights.columns(), weights.depth());
        self.check_part(activations, shape, epilogue, (row, column), block);
        Job { activations, row, weights, column, epilogue }
    }

    /// Checks the activations, and the position and size of the output part, against the weights' layout, columns and
    /// depth.
    fn check_part(
        self,
        activations: &Activations,
        (layout, columns, depth): (Layout, usize, usize),
        epilogue: Epilogue<'_>,
        (row, column): (usize, usize),
        (block_rows, block_columns): (usize, usize),
    ) {
        assert_eq!(activations.form, self.table.form, "activations of another kernel set");
        assert_eq!(layout, self.layout(), "weights packed for another kernel set");
        assert_eq!(activations.depth(), depth, "depth of activations and weights");
        assert!(
            block_rows <= activations.rows().saturating_sub(row)
                && block_columns <= columns.saturating_sub(column)
                && row.is_multiple_of(self.row_step())
                && column.is_multiple_of(self.column_step()),
            "block of {block_rows} × {block_columns} at {row}, {column} in a product of {} × {columns}",
            activations.rows(),
        );
        if let Some(bias) = epilogue.bias {
            assert_eq!(bias.len(), columns, "one bias per column");
        }
    }

    /// Rows per tile. Products are split at multiples of it.
    #[must_use]
    pub fn row_step(self) -> usize {
        self.table.form.rows
    }

    /// Columns per panel. Products are split at multiples of it.
    #[must_use]
    pub fn column_step(self) -> usize {
        self.layout().panel()
    }

    /// Finds the largest values of a row.
    pub fn rank(self, row: &[f32], best: &mut TopK) {
        // SAFETY: `self` exists, so the CPU has the set.
        unsafe { (self.table.rank)(row, best) }
    }

    /// Normalises each row of `input`, `columns` values long, into `out`.
    ///
    /// # Panics
    /// When the lengths differ, are not whole rows, or do not match the norm's parameters.
    pub fn normalize(self, norm: &Norm<'_>, columns: usize, input: &[f32], out: &mut [f32]) {
        norm.check(columns);
        assert!(columns > 0 && input.len() == out.len() && input.len().is_multiple_of(columns), "whole rows");
        for (row, out) in input.chunks_exact(columns).zip(out.chunks_exact_mut(columns)) {
            // SAFETY: `self` exists, so the CPU has the set; row and output have one length, which the norm fits.
            unsafe { (self.table.normalize)(norm, row, out) }
        }
    }

    /// Softmax of each row of `columns` values, in place. `-inf` becomes 0; a row of only `-inf` becomes zeros.
    ///
    /// # Panics
    /// When the values are not whole rows.
    pub fn softmax(self, columns: usize, values: &mut [f32]) {
        assert!(columns > 0 && values.len().is_multiple_of(columns), "whole rows");
        for row in values.chunks_exact_mut(columns) {
            // SAFETY: `self` exists, so the CPU has the set.
            unsafe { (self.table.softmax)(row) }
        }
    }

    /// Turns one row of scores into log-probabilities, in place; the sum is in f64. `-inf` stays, also in a row of only
    /// `-inf`.
    pub fn log_softmax(self, row: &mut [f32]) {
        // SAFETY: `self` exists, so the CPU has the set.
        unsafe { (self.table.log_softmax)(row) }
    }

    /// Index of the largest value, the first of equal ones; 0 if there is none. NaN is never chosen.
    #[must_use]
    pub fn argmax(self, row: &[f32]) -> usize {
        // SAFETY: `self` exists, so the CPU has the set.
        unsafe { (self.table.argmax)(row) }
    }

    /// Rounds to IEEE half precision (bit patterns), ties to even.
    ///
    /// # Panics
    /// When the lengths differ.
    pub fn narrow(self, values: &[f32], out: &mut [u16]) {
        assert_eq!(values.len(), out.len());
        // SAFETY: `self` exists, so the CPU has the set; the lengths are equal.
        unsafe { (self.table.narrow)(values, out) }
    }

    /// Widens IEEE half precision (bit patterns), exactly.
    ///
    /// # Panics
    /// When the lengths differ.
    pub fn widen(self, values: &[u16], out: &mut [f32]) {
        assert_eq!(values.len(), out.len());
        // SAFETY: `self` exists, so the CPU has the set; the lengths are equal.
        unsafe { (self.table.widen)(values, out) }
    }
}

/// Checks that the output of a whole product has as many rows as the activations and as many columns as the weights.
fn assert_whole(out: &OutputMut<'_>, activations: &Activations, columns: usize) {
    assert_eq!((out.rows(), out.columns()), (activations.rows(), columns), "rows and columns of the output");
}

macro_rules! elementwise {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        impl KernelSet {
            $(
                $(#[$doc])*
                pub fn $name(self, values: &mut [f32]) {
                    // SAFETY: `self` exists, so the CPU has the set.
                    unsafe { (self.table.$name)(values) }
                }
            )*
        }
    };
}

elementwise! {
    /// `e^x` in place, relative error below 2e-7 on [-87.3, 88.3]; 0 below, `e^88.3` above.
    exp;
    /// Error function in place, absolute error below 5e-7.
    erf;
    /// Hyperbolic tangent in place, relative error below 5e-7.
    tanh;
    /// Logistic function `1 / (1 + e^-x)` in place.
    sigmoid;
    /// GELU in place, `x · Φ(x)`, the exact form.
    gelu;
    /// `max(x, 0)` in place.
    relu;
    /// `x / (1 + e^-x)` in place.
    silu;
}

impl fmt::Debug for KernelSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KernelSet({})", self.isa())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_met_or_answered_with_a_notice() {
        let best = KernelSet::choose(&KernelSet::all_available(), None).set.isa();
        for isa in Isa::ALL {
            let Choice { set, is_asked_for, notice } = KernelSet::choose(&KernelSet::all_available(), Some(isa.name()));
            match KernelSet::new(isa) {
                Some(_) => assert_eq!((set.isa(), is_asked_for, notice), (isa, true, None)),
                None => {
                    let expected = Some(IsaNotice::Unavailable { wanted: isa, used: best });
                    assert_eq!((set.isa(), is_asked_for, notice), (best, false, expected));
                }
            }
        }
        assert_eq!(
            KernelSet::choose(&KernelSet::all_available(), Some("pentium")).notice,
            Some(IsaNotice::Unknown { used: best })
        );
    }

    /// The fastest set, with one operation that computes wrong results.
    fn broken(breaking: impl FnOnce(&mut Table)) -> KernelSet {
        let fastest = KernelSet::all_available().last().copied().unwrap_or_else(KernelSet::scalar);
        let isa = if fastest.isa() == Isa::Scalar { Isa::Neon } else { fastest.isa() };
        let mut table = Table { isa, ..table::scalar::TABLE };
        table.form.isa = isa;
        breaking(&mut table);
        KernelSet { table: Box::leak(Box::new(table)) }
    }

    #[test]
    fn a_set_that_computes_wrong_results_is_passed_over_and_reported() {
        unsafe fn no_product(_: &Job<'_>, _: OutputMut<'_>) {}
        unsafe fn no_int4(_: &Job<'_, Int4Matrix>, _: OutputMut<'_>) {}
        unsafe fn no_norm(_: &Norm<'_>, row: &[f32], out: &mut [f32]) {
            out.copy_from_slice(row);
        }
        unsafe fn off_by_little(values: &mut [f32]) {
            KernelSet::scalar().gelu(values);
            values.iter_mut().for_each(|value| *value *= 1.0 + f32::EPSILON);
        }
        let sound = broken(|_| ());
        assert!(self_test::passes(sound), "the hook itself breaks nothing");
        let wrong = [
            broken(|table| table.product = no_product),
            broken(|table| table.product_int4 = no_int4),
            broken(|table| table.gelu = off_by_little),
            broken(|table| table.normalize = no_norm),
        ];
        for (index, set) in wrong.into_iter().enumerate() {
            let (scalar, failed) = (KernelSet::scalar(), set.isa());
            let notice = Some(IsaNotice::Wrong { failed, used: Isa::Scalar });
            for wanted in [None, Some(failed.name())] {
                let choice = KernelSet::choose(&[scalar, set], wanted);
                assert_eq!((choice.set.isa(), choice.is_asked_for), (Isa::Scalar, false), "{index}");
                assert_eq!(choice.notice, notice, "{index}");
            }
            // A set that works lies between them.
            let choice = KernelSet::choose(&[scalar, sound, set], None);
            assert!(std::ptr::eq(choice.set.table, sound.table), "{index}");
            // Naming another set causes no notice.
            let choice = KernelSet::choose(&[scalar, set], Some("scalar"));
            assert_eq!((choice.is_asked_for, choice.notice), (true, None), "{index}");
        }
    }

    #[test]
    fn cores_that_do_not_reorder_get_another_order_of_the_same_set() {
        for set in KernelSet::all_available() {
            assert_eq!(set.ordered(false).isa(), set.isa());
            let expected = if set.isa() == Isa::Dotprod { Isa::DotprodInOrder } else { set.isa() };
            assert_eq!(set.ordered(true).isa(), expected);
            assert_eq!(set.ordered(true).layout(), set.layout());
        }
    }

    #[test]
    fn packed_weights_are_read_by_the_best_set_that_can() {
        assert_eq!(KernelSet::reading(KernelSet::best().layout()).map(KernelSet::isa), Some(KernelSet::best().isa()));
        for layout in Layout::ALL {
            if let Some(set) = KernelSet::reading(layout) {
                assert_eq!(set.layout(), layout);
            }
        }
    }

    #[test]
    fn the_scalar_set_comes_first_and_always() {
        assert_eq!(KernelSet::all_available()[0].isa(), Isa::Scalar);
    }
}
