//! Whisper's encoder and decoder as operations of candle's tensors.
//!
//! Rows are tokens or audio states, `[rows, width]`; in attention, `[heads, rows, head width]`. Every call may fail:
//! the device may be out of memory or no longer available.

use candle_core::{D, DType, Device, Tensor};
use candle_nn::ops::softmax_last_dim;
use candle_nn::{Conv1d, Embedding, LayerNorm, Linear, Module};
use sotto_nn::candle::{BridgeError, DeviceTensors};
use sotto_nn::layers::{Biased, ConvShape, Part, TensorSource};
use sotto_nn::search::Row;
use sotto_runtime::CancelToken;

use super::PassError;
use crate::model::Dimensions;

// Queries of the encoder that attend at once: bounds the scores, which are 18 MB in f32 for tiny and 61 MB for large.
const QUERIES: usize = 512;

#[derive(Debug)]
pub(super) struct Encoder {
    device: Device,
    element: DType,
    conv1: Conv1d,
    conv2: Conv1d,
    /// `[audio context, width]`.
    positions: Tensor,
    blocks: Vec<EncoderBlock>,
    norm: LayerNorm,
    heads: usize,
    mels: usize,
}

#[derive(Debug)]
struct EncoderBlock {
    norm: LayerNorm,
    /// Queries, keys and values side by side.
    projections: Linear,
    out: Linear,
    feed_forward: FeedForward,
}

#[derive(Debug)]
pub(super) struct Decoder {
    device: Device,
    element: DType,
    tokens: Embedding,
    /// The output layer, `[vocabulary, width]`: the tokens' own tensor where both are one.
    output: Tensor,
    /// `[text context, width]`.
    positions: Tensor,
    blocks: Vec<DecoderBlock>,
    norm: LayerNorm,
    heads: usize,
}

#[derive(Debug)]
struct DecoderBlock {
    self_norm: LayerNorm,
    /// Queries, keys and values side by side.
    self_projections: Linear,
    self_out: Linear,
    cross_norm: LayerNorm,
    cross_query: Linear,
    /// Keys and values of the audio side by side.
    cross_projections: Linear,
    cross_out: Linear,
    feed_forward: FeedForward,
}

/// Keys and values of one block, `[heads, rows, head width]` each. Tensors share their memory: copies cost nothing.
#[derive(Debug, Clone)]
pub(super) struct KeyValues {
    keys: Tensor,
    values: Tensor,
}

/// Caches of one hypothesis, one per block; empty before the first token.
pub(super) type SelfLayers = Vec<KeyValues>;

/// The results of feeding tokens.
#[derive(Debug)]
pub(super) struct Fed {
    /// Normalised hidden states, `[rows, width]`.
    pub(super) hidden: Tensor,
    /// The extended caches of each fed hypothesis.
    pub(super) caches: Vec<(usize, SelfLayers)>,
    /// Cross-attention weights `[heads, rows, states]` of the requested blocks.
    pub(super) attention: Vec<(usize, Vec<Vec<Vec<f32>>>)>,
}

/// `fc2(gelu(fc1(norm(x))))`.
#[derive(Debug)]
struct FeedForward {
    norm: LayerNorm,
    inner: Linear,
    outer: Linear,
}

impl FeedForward {
    fn load<S: TensorSource>(
        tensors: &DeviceTensors<'_, S>,
        block: &str,
        width: usize,
        hidden: usize,
    ) -> Result<Self, BridgeError> {
        let linear = |name: &str, inputs, outputs| {
            let name = format!("{block}.{name}");
            tensors.linear(&[Part { name: &name, biased: Biased::Yes, outputs }], inputs)
        };
        Ok(Self {
            norm: tensors.norm(&format!("{block}.final_layer_norm"), width)?,
            inner: linear("fc1", width, hidden)?,
            outer: linear("fc2", hidden, width)?,
        })
    }

    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        self.outer.forward(&self.inner.forward(&self.norm.forward(x)?)?.gelu_erf()?)
    }
}

/// The projections `parts` of an attention layer, side by side. Keys have no bias.
fn projections<S: TensorSource>(
    tensors: &DeviceTensors<'_, S>,
    attention: &str,
    parts: &[&str],
    width: usize,
) -> Result<Linear, BridgeError> {
    let named = |part: &&str| {
        let biased = if *part == "k" { Biased::No } else { Biased::Yes };
        (format!("{attention}.{part}_proj"), biased)
    };
    let names: Vec<(String, Biased)> = parts.iter().map(named).collect();
    let parts: Vec<Part<'_>> =
        names.iter().map(|(name, biased)| Part { name, biased: *biased, outputs: width }).collect();
    tensors.linear(&parts, width)
}

impl Encoder {
    pub(super) fn load<S: TensorSource>(
        tensors: &DeviceTensors<'_, S>,
        dimensions: &Dimensions,
    ) -> Result<Self, BridgeError> {
        let &Dimensions { mels, width, audio_context, encoder_heads, encoder_ffn, .. } = dimensions;
        let block = |index: usize| {
            let (name, attention) = (format!("encoder.layers.{index}"), format!("encoder.layers.{index}.self_attn"));
            Ok(EncoderBlock {
                norm: tensors.norm(&format!("{attention}_layer_norm"), width)?,
                projections: projections(tensors, &attention, &["q", "k", "v"], width)?,
                out: projections(tensors, &attention, &["out"], width)?,
                feed_forward: FeedForward::load(tensors, &name, width, encoder_ffn)?,
            })
        };
        let conv = |inputs, stride| ConvShape { inputs, outputs: width, kernel: 3, stride };
        let positions = tensors.tensor("encoder.embed_positions.weight", &[audio_context, width])?;
        Ok(Self {
            device: positions.device().clone(),
            element: positions.dtype(),
            conv1: tensors.convolution("encoder.conv1", conv(mels, 1))?,
            conv2: tensors.convolution("encoder.conv2", conv(width, 2))?,
            positions,
            blocks: (0..dimensions.encoder_layers).map(block).collect::<Result<_, BridgeError>>()?,
            norm: tensors.norm("encoder.layer_norm", width)?,
            heads: encoder_heads,
            mels,
        })
    }

    /// Encodes `[frames, mels]` into `[frames / 2, width]` states in main memory. Polls `cancel` before every block.
    pub(super) fn encode(&self, features: &[f32], cancel: &CancelToken) -> Result<Vec<f32>, PassError> {
        cancel.check()?;
        let frames = features.len() / self.mels;
        let x = Tensor::from_slice(features, (1, frames, self.mels), &Device::Cpu)?.to_dtype(self.element)?;
        let x = x.to_device(&self.device)?.transpose(1, 2)?.contiguous()?;
        let x = self.conv2.forward(&self.conv1.forward(&x)?.gelu_erf()?)?.gelu_erf()?;
        let x = x.squeeze(0)?.t()?.contiguous()?;
        let mut x = (&x + self.positions.narrow(0, 0, x.dim(0)?)?)?;
        for block in &self.blocks {
            cancel.check()?;
            let projected = block.projections.forward(&block.norm.forward(&x)?)?;
            x = (&x + block.out.forward(&self.attend(&projected)?)?)?;
            x = (&x + block.feed_forward.forward(&x)?)?;
        }
        Ok(download(&self.norm.forward(&x)?.flatten_all()?)?)
    }

    /// Self-attention of all rows, from queries, keys and values side by side.
    fn attend(&self, projected: &Tensor) -> candle_core::Result<Tensor> {
        let width = projected.dim(1)? / 3;
        let part = |index| split_heads(&projected.narrow(1, index * width, width)?, self.heads);
        let (queries, layer) = (part(0)?, KeyValues { keys: part(1)?, values: part(2)? });
        let rows = queries.dim(1)?;
        let blocks: Vec<Tensor> = (0..rows)
            .step_by(QUERIES)
            .map(|first| {
                let queries = queries.narrow(1, first, QUERIES.min(rows - first))?.contiguous()?;
                Ok(layer.attend(&queries, None)?.0)
            })
            .collect::<candle_core::Result<_>>()?;
        Tensor::cat(&blocks, 0)
    }
}

impl Decoder {
    pub(super) fn load<S: TensorSource>(
        tensors: &DeviceTensors<'_, S>,
        dimensions: &Dimensions,
    ) -> Result<Self, BridgeError> {
        let &Dimensions { width, text_context, decoder_heads, decoder_ffn, vocabulary, .. } = dimensions;
        let block = |index: usize| {
            let name = format!("decoder.layers.{index}");
            let (own, cross) = (format!("{name}.self_attn"), format!("{name}.encoder_attn"));
            Ok(DecoderBlock {
                self_norm: tensors.norm(&format!("{own}_layer_norm"), width)?,
                self_projections: projections(tensors, &own, &["q", "k", "v"], width)?,
                self_out: projections(tensors, &own, &["out"], width)?,
                cross_norm: tensors.norm(&format!("{cross}_layer_norm"), width)?,
                cross_query: projections(tensors, &cross, &["q"], width)?,
                cross_projections: projections(tensors, &cross, &["k", "v"], width)?,
                cross_out: projections(tensors, &cross, &["out"], width)?,
                feed_forward: FeedForward::load(tensors, &name, width, decoder_ffn)?,
            })
        };
        let positions = tensors.tensor("decoder.embed_positions.weight", &[text_context, width])?;
        let tokens = tensors.embedding("decoder.embed_tokens", vocabulary, width)?;
        let output = if dimensions.tied_output {
            tokens.embeddings().clone()
        } else {
            tensors.embedding("proj_out", vocabulary, width)?.embeddings().clone()
        };
        Ok(Self {
            device: positions.device().clone(),
            element: positions.dtype(),
            tokens,
            output,
            positions,
            blocks: (0..dimensions.decoder_layers).map(block).collect::<Result<_, BridgeError>>()?,
            norm: tensors.norm("decoder.layer_norm", width)?,
            heads: decoder_heads,
        })
    }

    /// Bytes of one weight.
    pub(super) fn weight_bytes(&self) -> u64 {
        self.element.size_in_bytes() as u64
    }

    /// Projects encoder states `[states, width]` to the keys and values of every block.
    pub(super) fn cross_layers(&self, states: &[f32], cancel: &CancelToken) -> Result<Vec<KeyValues>, PassError> {
        let width = self.positions.dim(1)?;
        let states = Tensor::from_slice(states, (states.len() / width, width), &Device::Cpu)?;
        let states = states.to_dtype(self.element)?.to_device(&self.device)?;
        let layer = |block: &DecoderBlock| {
            cancel.check()?;
            let projected = block.cross_projections.forward(&states)?;
            let part = |index| split_heads(&projected.narrow(1, index * width, width)?, self.heads);
            Ok(KeyValues { keys: part(0)?, values: part(1)? })
        };
        self.blocks.iter().map(layer).collect()
    }

    /// Feeds tokens: `caches[hypothesis]` is the KV cache of a hypothesis, `starts[hypothesis]` its number of tokens;
    /// neither is changed. `recorded` lists the blocks whose cross-attention is wanted.
    pub(super) fn feed(
        &self,
        rows: &[Row],
        (caches, starts): (&[&SelfLayers], &[usize]),
        cross: &[KeyValues],
        recorded: &[usize],
        cancel: &CancelToken,
    ) -> Result<Fed, PassError> {
        let runs = runs(rows);
        let positions: Vec<u32> =
            runs.iter().flat_map(|run| (0..run.len).map(|offset| (starts[run.hypothesis] + offset) as u32)).collect();
        let tokens: Vec<u32> = rows.iter().map(|row| row.token).collect();
        let embedded = self.tokens.forward(&self.indices(&tokens)?)?;
        let mut x = (embedded + self.positions.index_select(&self.indices(&positions)?, 0)?)?;
        let mut grown: Vec<(usize, SelfLayers)> =
            runs.iter().map(|run| (run.hypothesis, Vec::with_capacity(self.blocks.len()))).collect();
        let mut attention = Vec::new();
        for (index, (block, cross)) in self.blocks.iter().zip(cross).enumerate() {
            cancel.check()?;
            let projected = block.self_projections.forward(&block.self_norm.forward(&x)?)?;
            let mut attended = Vec::with_capacity(runs.len());
            for (run, (hypothesis, grown)) in runs.iter().zip(&mut grown) {
                let (out, cache) = self.attend_self(&projected, run, caches[*hypothesis].get(index))?;
                attended.push(out);
                grown.push(cache);
            }
            x = (&x + block.self_out.forward(&Tensor::cat(&attended, 0)?)?)?;
            let queries = split_heads(&block.cross_query.forward(&block.cross_norm.forward(&x)?)?, self.heads)?;
            let (out, weights) = cross.attend(&queries, None)?;
            if recorded.contains(&index) {
                attention.push((index, weights.to_dtype(DType::F32)?.to_vec3()?));
            }
            x = (&x + block.cross_out.forward(&out)?)?;
            x = (&x + block.feed_forward.forward(&x)?)?;
        }
        Ok(Fed { hidden: self.norm.forward(&x)?, caches: grown, attention })
    }

    /// Logits of the next token after each of the rows `picked`: `[picked, vocabulary]`, in main memory.
    pub(super) fn logits(&self, hidden: &Tensor, picked: &[usize]) -> candle_core::Result<Vec<f32>> {
        let picked: Vec<u32> = picked.iter().map(|&row| row as u32).collect();
        let rows = hidden.index_select(&self.indices(&picked)?, 0)?;
        download(&rows.matmul(&self.output.t()?)?.flatten_all()?)
    }

    fn indices(&self, indices: &[u32]) -> candle_core::Result<Tensor> {
        Tensor::from_slice(indices, indices.len(), &self.device)
    }

    /// Self-attention of a hypothesis' new rows; also returns its extended cache.
    fn attend_self(
        &self,
        projected: &Tensor,
        run: &Run,
        seen: Option<&KeyValues>,
    ) -> candle_core::Result<(Tensor, KeyValues)> {
        let width = projected.dim(1)? / 3;
        let rows = projected.narrow(0, run.first, run.len)?;
        let part = |index| split_heads(&rows.narrow(1, index * width, width)?, self.heads);
        let (keys, values) = (part(1)?, part(2)?);
        let cache = match seen {
            Some(seen) => KeyValues {
                keys: Tensor::cat(&[&seen.keys, &keys], 1)?,
                values: Tensor::cat(&[&seen.values, &values], 1)?,
            },
            None => KeyValues { keys, values },
        };
        let mask = (run.len > 1).then(|| self.mask(run.len, cache.keys.dim(1)?)).transpose()?;
        Ok((cache.attend(&part(0)?, mask.as_ref())?.0, cache))
    }

    /// The causal mask, `-inf` for later tokens: `[1, rows, seen]`; the last `rows` of `seen` are the rows themselves.
    fn mask(&self, rows: usize, seen: usize) -> candle_core::Result<Tensor> {
        let before = seen - rows;
        let value = |row, column| if column > before + row { f32::NEG_INFINITY } else { 0.0 };
        let mask: Vec<f32> = (0..rows).flat_map(|row| (0..seen).map(move |column| value(row, column))).collect();
        Tensor::from_vec(mask, (1, rows, seen), &Device::Cpu)?.to_dtype(self.element)?.to_device(&self.device)
    }
}

impl KeyValues {
    /// Attention of queries `[heads, rows, head width]`: the result `[rows, width]` and the weights `[heads, rows,
    /// seen]`.
    fn attend(&self, queries: &Tensor, mask: Option<&Tensor>) -> candle_core::Result<(Tensor, Tensor)> {
        // Scaled before the product, because f16 overflows easily.
        let queries = (queries * (queries.dim(D::Minus1)? as f64).powf(-0.5))?;
        let mut scores = queries.matmul(&self.keys.t()?)?;
        if let Some(mask) = mask {
            scores = scores.broadcast_add(mask)?;
        }
        let weights = softmax_last_dim(&scores)?;
        let heads = weights.matmul(&self.values)?.transpose(0, 1)?.contiguous()?;
        Ok((heads.flatten_from(1)?, weights))
    }
}

/// Consecutive rows of one hypothesis.
struct Run {
    hypothesis: usize,
    first: usize,
    len: usize,
}

fn runs(rows: &[Row]) -> Vec<Run> {
    let mut first = 0;
    rows.chunk_by(|a, b| a.hypothesis == b.hypothesis)
        .map(|run| {
            let start = first;
            first += run.len();
            Run { hypothesis: run[0].hypothesis, first: start, len: run.len() }
        })
        .collect()
}

/// `[rows, width]` → `[heads, rows, head width]`.
fn split_heads(x: &Tensor, heads: usize) -> candle_core::Result<Tensor> {
    let (rows, width) = x.dims2()?;
    x.reshape((rows, heads, width / heads))?.transpose(0, 1)?.contiguous()
}

/// Copies values to main memory, in f32.
fn download(x: &Tensor) -> candle_core::Result<Vec<f32>> {
    x.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.to_vec1()
}
