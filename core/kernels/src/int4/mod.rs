//! Product of int8 rows with 4-bit weights in blocks of 32, for decoders: each token reads every weight once, so its
//! time is proportional to the bytes of the weights.
//!
//! For row `r` and column `c`, with `q` the int8 values of the row and `w` the 4-bit values of the column: `sum = Σ
//! over blocks b, in order: fma(f32(Σₖ in b q[r, k] · w[c, k]), d[c, b], sum)`, then `out[r, c] = activation(fma(sum,
//! s[r], bias[c]))`, plus the previous value of `out` with `accumulate`. The sum of a block is exact, `d` is a
//! half-precision scale widened exactly, and each multiply-add is rounded once: the same bits on every instruction set.
//! Half-precision outputs are as in the int8 product.
//!
//! A block is unpacked to int8 in the order of the set's [`Layout`](crate::Layout), 1 KB that stays in the L1 cache,
//! and multiplied by the loops of the int8 product. The weights have the values of ggml's q4_0: -8 to 7, with one f16
//! scale per 32.

mod pack;
mod product;

pub use pack::{BLOCK, Int4Matrix, quantize_int4};
pub(crate) use product::product;
