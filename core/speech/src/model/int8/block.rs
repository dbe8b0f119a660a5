//! Layers that encoder and decoder blocks share, loaded by Whisper's tensor names.

use sotto_kernels::{Activation, Heads};
use sotto_nn::layers::quantized::{CrossAttention, FeedForward, Linear, Norm, SelfAttention};
use sotto_nn::layers::{Backend, Biased, NormKind, NormPlace, Part, TensorSource};
use sotto_nn::weights::WeightError;

/// Reads `{block}.self_attn` and its norm.
pub(super) fn self_attention(
    source: &impl TensorSource,
    backend: &Backend,
    block: &str,
    heads: Heads,
) -> Result<SelfAttention, WeightError> {
    let name = format!("{block}.self_attn");
    Ok(SelfAttention {
        norm: norm(source, &name, heads)?,
        place: NormPlace::Before,
        projections: projections(source, backend, &name, &[QUERY, KEY, VALUE], heads)?,
        out: projections(source, backend, &name, &[OUT], heads)?,
        heads,
        rotary: None,
    })
}

/// Reads `{block}.encoder_attn` and its norm.
pub(super) fn cross_attention(
    source: &impl TensorSource,
    backend: &Backend,
    block: &str,
    heads: Heads,
) -> Result<CrossAttention, WeightError> {
    let name = format!("{block}.encoder_attn");
    Ok(CrossAttention {
        norm: norm(source, &name, heads)?,
        place: NormPlace::Before,
        query: projections(source, backend, &name, &[QUERY], heads)?,
        projections: projections(source, backend, &name, &[KEY, VALUE], heads)?,
        out: projections(source, backend, &name, &[OUT], heads)?,
        heads,
    })
}

/// `x += fc2(gelu(fc1(norm(x))))`.
pub(super) fn feed_forward(
    source: &impl TensorSource,
    backend: &Backend,
    block: &str,
    width: usize,
    hidden: usize,
) -> Result<FeedForward, WeightError> {
    Ok(FeedForward {
        norm: Norm::load(source, &format!("{block}.final_layer_norm"), NormKind::LAYER, width)?,
        place: NormPlace::Before,
        inner: Linear::load(source, backend, &format!("{block}.fc1"), width, hidden)?,
        gate: None,
        activation: Activation::Gelu,
        outer: Linear::load(source, backend, &format!("{block}.fc2"), hidden, width)?,
    })
}

// Keys have no bias.
const QUERY: (&str, Biased) = ("q", Biased::Yes);
const KEY: (&str, Biased) = ("k", Biased::No);
const VALUE: (&str, Biased) = ("v", Biased::Yes);
const OUT: (&str, Biased) = ("out", Biased::Yes);

fn norm(source: &impl TensorSource, attention: &str, heads: Heads) -> Result<Norm, WeightError> {
    Norm::load(source, &format!("{attention}_layer_norm"), NormKind::LAYER, heads.width())
}

fn projections(
    source: &impl TensorSource,
    backend: &Backend,
    attention: &str,
    parts: &[(&str, Biased)],
    heads: Heads,
) -> Result<Linear, WeightError> {
    let width = heads.width();
    let names: Vec<_> = parts.iter().map(|&(part, biased)| (format!("{attention}.{part}_proj"), biased)).collect();
    let parts: Vec<_> = names.iter().map(|(name, biased)| Part { name, biased: *biased, outputs: width }).collect();
    Linear::stacked(source, backend, &parts, width)
}
