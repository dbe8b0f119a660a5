//! One table of functions per instruction set: every generic kernel, compiled with that set's features.

#![allow(unsafe_code)]

use crate::attention::{
    AttentionChunk, AttentionScratch, CachedQuery, QuantizedQuery, QuantizedRowScratch, QuantizedScratch, Query,
    RowQuery,
};
use crate::int4::Int4Matrix;
use crate::int8::{Form, Int8, Job, Layout, RowsMut, TopK};
use crate::norm::Norm;
use crate::spectrogram::{Spectrogram, SpectrogramScratch};
use crate::{BlockMut, Isa, MatRef, OutputMut};

/// The kernels of one instruction set.
///
/// # Safety
/// Each function may be called only on a CPU that has the set, as its proof type shows, and only with shapes that
/// fulfil the conditions below.
pub(crate) struct Table {
    pub(crate) isa: Isa,
    pub(crate) layout: Layout,
    pub(crate) form: Form,
    /// `out` has as many rows as `input` has, `input.cols()` deep; the norm's parameters fit.
    pub(crate) quantize: unsafe fn(MatRef<'_>, &Norm<'_>, RowsMut<'_>),
    /// Rows and columns of the block lie inside the product; see [`Job`].
    pub(crate) product: unsafe fn(&Job<'_>, OutputMut<'_>),
    /// As `product`; activations have block sums where the layout has an offset.
    pub(crate) product_int4: unsafe fn(&Job<'_, Int4Matrix>, OutputMut<'_>),
    /// As `product`, with one row.
    pub(crate) product_ranked: unsafe fn(&Job<'_>, BlockMut<'_>, &mut TopK),
    pub(crate) rank: unsafe fn(&[f32], &mut TopK),
    /// Both have the same length; the norm's parameters fit.
    pub(crate) normalize: unsafe fn(&Norm<'_>, &[f32], &mut [f32]),
    pub(crate) softmax: unsafe fn(&mut [f32]),
    pub(crate) log_softmax: unsafe fn(&mut [f32]),
    pub(crate) argmax: unsafe fn(&[f32]) -> usize,
    pub(crate) exp: unsafe fn(&mut [f32]),
    pub(crate) erf: unsafe fn(&mut [f32]),
    pub(crate) tanh: unsafe fn(&mut [f32]),
    pub(crate) sigmoid: unsafe fn(&mut [f32]),
    pub(crate) gelu: unsafe fn(&mut [f32]),
    pub(crate) relu: unsafe fn(&mut [f32]),
    pub(crate) silu: unsafe fn(&mut [f32]),
    /// Query and output have one shape; the scratch is for this head width; there are keys.
    pub(crate) attend: unsafe fn(&Query<'_>, BlockMut<'_>, &mut AttentionScratch),
    /// As many rows and columns as the chunk has.
    pub(crate) fill_quantized: unsafe fn(MatRef<'_>, &mut AttentionChunk),
    /// As `attend`.
    pub(crate) attend_quantized: unsafe fn(&QuantizedQuery<'_>, BlockMut<'_>, &mut QuantizedScratch),
    /// Query and output are one row; the recorded attention has a value per head and key; the scratch was fitted; there
    /// are keys.
    pub(crate) attend_quantized_row: unsafe fn(&RowQuery<'_>, Option<&mut [f32]>, &mut [f32], &mut QuantizedRowScratch),
    /// Query and output are one row; the weights hold `stride` values per head; the query attends to at least one row.
    pub(crate) attend_cached: unsafe fn(&CachedQuery<'_>, &mut [f32], usize, &mut [f32]),
    /// The output is a whole number of frames, and there are enough samples for them.
    pub(crate) log_spectrogram: unsafe fn(&Spectrogram, &[f32], &mut SpectrogramScratch, &mut [f32]),
    /// Both have the same length.
    pub(crate) narrow: unsafe fn(&[f32], &mut [u16]),
    /// Both have the same length.
    pub(crate) widen: unsafe fn(&[u16], &mut [f32]),
}

const fn form<S: Int8>(isa: Isa) -> Form {
    Form { isa, rows: S::TILE_ROWS, group: S::GROUP, unit: S::UNIT }
}

/// Declares a module with the table of one set. Its functions enable the set's features, so that all generic code is
/// inlined into them and compiled with these features.
macro_rules! table {
    ($module:ident, $isa:ident $(, $features:literal)?) => {
        pub(crate) mod $module {
            use super::{form, Table};
            use crate::activation::math;
            use crate::attention::{
                self, AttentionChunk, AttentionScratch, CachedQuery, Query, QuantizedQuery, QuantizedRowScratch,
                QuantizedScratch, RowQuery,
            };
            use crate::float::{quantize, rows};
            use crate::int4::{self, Int4Matrix};
            use crate::int8::{self, Int8, Job, RowsMut, TopK};
            use crate::isa::$isa as Set;
            use crate::norm::{self, Norm};
            use crate::spectrogram::{self, Spectrogram, SpectrogramScratch};
            use crate::{BlockMut, Isa, MatRef, OutputMut};

            table!(@functions ($($features)?)
                fn quantize(input: MatRef<'_>, norm: &Norm<'_>, out: RowsMut<'_>) = quantize::quantize;
                fn product(job: &Job<'_>, out: OutputMut<'_>) = int8::product;
                fn product_int4(job: &Job<'_, Int4Matrix>, out: OutputMut<'_>) = int4::product;
                fn product_ranked(job: &Job<'_>, out: BlockMut<'_>, best: &mut TopK) = int8::product_ranked;
                fn normalize(norm: &Norm<'_>, row: &[f32], out: &mut [f32]) = norm::normalize;
                fn softmax(row: &mut [f32]) = rows::softmax;
                fn log_softmax(row: &mut [f32]) = rows::log_softmax;
                fn attend(query: &Query<'_>, out: BlockMut<'_>, scratch: &mut AttentionScratch) = attention::attend;
                fn fill_quantized(projected: MatRef<'_>, chunk: &mut AttentionChunk) = attention::fill_quantized;
                fn attend_quantized(query: &QuantizedQuery<'_>, out: BlockMut<'_>, scratch: &mut QuantizedScratch) =
                    attention::attend_quantized;
                fn attend_quantized_row(
                    query: &RowQuery<'_>, recorded: Option<&mut [f32]>, out: &mut [f32],
                    scratch: &mut QuantizedRowScratch
                ) = attention::attend_quantized_row;
                fn attend_cached(query: &CachedQuery<'_>, weights: &mut [f32], stride: usize, out: &mut [f32]) =
                    attention::attend_cached;
                fn log_spectrogram(
                    plan: &Spectrogram, samples: &[f32], scratch: &mut SpectrogramScratch, out: &mut [f32]
                ) = spectrogram::log_spectrogram;
                fn narrow(values: &[f32], out: &mut [u16]) = rows::narrow;
                fn widen(values: &[u16], out: &mut [f32]) = rows::widen;
            );
            table!(@maps ($($features)?)
                exp = Exp, erf = Erf, tanh = Tanh, sigmoid = Sigmoid, gelu = Gelu, relu = Relu, silu = Silu);

            $(#[target_feature(enable = $features)])?
            unsafe fn rank(row: &[f32], best: &mut TopK) {
                int8::rank(row, best);
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn argmax(row: &[f32]) -> usize {
                // SAFETY: the table is reached only through the set's proof.
                rows::argmax(unsafe { Set::assume() }, row)
            }

            pub(crate) static TABLE: Table = Table {
                isa: Isa::$isa,
                layout: <Set as Int8>::LAYOUT,
                form: form::<Set>(Isa::$isa),
                quantize,
                product,
                product_int4,
                product_ranked,
                rank,
                normalize,
                softmax,
                log_softmax,
                argmax,
                exp,
                erf,
                tanh,
                sigmoid,
                gelu,
                relu,
                silu,
                attend,
                fill_quantized,
                attend_quantized,
                attend_quantized_row,
                attend_cached,
                log_spectrogram,
                narrow,
                widen,
            };
        }
    };
    (@functions $features:tt $(fn $name:ident($($arg:ident: $type:ty),*) = $kernel:path;)*) => {
        $(table!(@function $features fn $name($($arg: $type),*) = $kernel);)*
    };
    (@function ($($features:literal)?) fn $name:ident($($arg:ident: $type:ty),*) = $kernel:path) => {
        $(#[target_feature(enable = $features)])?
        unsafe fn $name($($arg: $type),*) {
            // SAFETY: the table is reached only through the set's proof.
            let set = unsafe { Set::assume() };
            $kernel(set, $($arg),*);
        }
    };
    (@maps $features:tt $($name:ident = $function:ident),*) => {
        $(table!(@map $features $name = $function);)*
    };
    (@map ($($features:literal)?) $name:ident = $function:ident) => {
        $(#[target_feature(enable = $features)])?
        unsafe fn $name(values: &mut [f32]) {
            // SAFETY: the table is reached only through the set's proof.
            let set = unsafe { Set::assume() };
            rows::map(set, values, math::$function);
        }
    };
}

table!(scalar, Scalar);

#[cfg(target_arch = "x86_64")]
table!(avx2, Avx2, "avx2,fma,f16c");
#[cfg(target_arch = "x86_64")]
table!(avx512, Avx512Vnni, "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512vnni");

#[cfg(target_arch = "aarch64")]
table!(neon, Neon, "neon");
#[cfg(target_arch = "aarch64")]
table!(dotprod, Dotprod, "neon,dotprod");
#[cfg(target_arch = "aarch64")]
table!(dotprod_in_order, DotprodInOrder, "neon,dotprod");
#[cfg(target_arch = "aarch64")]
table!(i8mm, I8mm, "neon,dotprod,i8mm");
