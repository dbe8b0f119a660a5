//! Layers that encoder and decoder blocks share, loaded by Whisper's tensor names.

use sotto_kernels::{Activation, Heads};
use sotto_nn::layers::exact::{Attention, FeedForward, Linear, Norm};
use sotto_nn::layers::{NormKind, NormPlace, TensorSource};
use sotto_nn::weights::WeightError;

/// Reads `{block}.{name}` and its norm `{block}.{name}_layer_norm`. Keys have no bias.
pub(super) fn attention(
    source: &impl TensorSource,
    block: &str,
    name: &str,
    heads: Heads,
) -> Result<Attention, WeightError> {
    let (width, prefix) = (heads.width(), format!("{block}.{name}"));
    Ok(Attention {
        norm: Norm::load(source, &format!("{prefix}_layer_norm"), NormKind::LAYER, width)?,
        place: NormPlace::Before,
        query: Linear::load(source, &format!("{prefix}.q_proj"), width, width)?,
        key: Linear::load_without_bias(source, &format!("{prefix}.k_proj"), width, width)?,
        value: Linear::load(source, &format!("{prefix}.v_proj"), width, width)?,
        out: Linear::load(source, &format!("{prefix}.out_proj"), width, width)?,
        heads,
        rotary: None,
    })
}

/// `x += fc2(gelu(fc1(norm(x))))`.
pub(super) fn feed_forward(
    source: &impl TensorSource,
    block: &str,
    width: usize,
    hidden: usize,
) -> Result<FeedForward, WeightError> {
    Ok(FeedForward {
        norm: Norm::load(source, &format!("{block}.final_layer_norm"), NormKind::LAYER, width)?,
        place: NormPlace::Before,
        inner: Linear::load(source, &format!("{block}.fc1"), width, hidden)?,
        gate: None,
        activation: Activation::Gelu,
        outer: Linear::load(source, &format!("{block}.fc2"), hidden, width)?,
    })
}
