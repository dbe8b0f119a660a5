//! Parts that encoder and decoder blocks share: the attention projections and the feed-forward layer.

use sotto_kernels::{Heads, gelu};
use sotto_nn::layers::{LayerNorm, Linear, TensorSource};
use sotto_nn::weights::WeightError;
use sotto_runtime::Threads;

/// The four projections of a multi-head attention, with the norm in front of it.
#[derive(Debug)]
pub(super) struct Attention {
    pub(super) norm: LayerNorm,
    pub(super) query: Linear,
    pub(super) key: Linear,
    pub(super) value: Linear,
    pub(super) out: Linear,
    pub(super) heads: Heads,
}

impl Attention {
    /// Reads `{block}.{name}` and its norm `{block}.{name}_layer_norm`.
    pub(super) fn load(source: &impl TensorSource, block: &str, name: &str, heads: Heads) -> Result<Self, WeightError> {
        let (width, prefix) = (heads.width(), format!("{block}.{name}"));
        Ok(Self {
            norm: LayerNorm::load(source, &format!("{prefix}_layer_norm"), width)?,
            query: Linear::load(source, &format!("{prefix}.q_proj"), width, width)?,
            key: Linear::load_without_bias(source, &format!("{prefix}.k_proj"), width, width)?,
            value: Linear::load(source, &format!("{prefix}.v_proj"), width, width)?,
            out: Linear::load(source, &format!("{prefix}.out_proj"), width, width)?,
            heads,
        })
    }
}

/// `x += fc2(gelu(fc1(norm(x))))`.
#[derive(Debug)]
pub(super) struct FeedForward {
    norm: LayerNorm,
    inner: Linear,
    outer: Linear,
    width: usize,
}

// Rows per pass: the hidden layer of 256 rows of tiny is 1.5 MB and stays in L2 between the two products.
const ROWS: usize = 256;

impl FeedForward {
    pub(super) fn load(
        source: &impl TensorSource,
        block: &str,
        width: usize,
        hidden: usize,
    ) -> Result<Self, WeightError> {
        Ok(Self {
            norm: LayerNorm::load(source, &format!("{block}.final_layer_norm"), width)?,
            inner: Linear::load(source, &format!("{block}.fc1"), width, hidden)?,
            outer: Linear::load(source, &format!("{block}.fc2"), hidden, width)?,
            width,
        })
    }

    /// Adds the layer's result to `x`, `[rows, width]`. `scratch` grows to 256 rows.
    pub(super) fn forward_add(&self, x: &mut [f32], scratch: &mut FeedForwardScratch, threads: Threads) {
        for rows in x.chunks_mut(ROWS * self.width) {
            scratch.normed.resize(rows.len(), 0.0);
            self.norm.forward(rows, &mut scratch.normed);
            scratch.hidden.resize(rows.len() / self.width * self.inner.outputs(), 0.0);
            self.inner.forward(&scratch.normed, &mut scratch.hidden, threads);
            gelu(&mut scratch.hidden);
            self.outer.forward_add(&scratch.hidden, rows, threads);
        }
    }
}

/// Memory of a [`FeedForward`] pass.
#[derive(Debug, Default)]
pub(super) struct FeedForwardScratch {
    normed: Vec<f32>,
    hidden: Vec<f32>,
}
