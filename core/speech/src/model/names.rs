//! Tensor names: the layers ask in Hugging Face's scheme, whisper.cpp's files answer in OpenAI's.

use std::borrow::Cow;

use sotto_kernels::{Floats, Layout};
use sotto_nn::layers::{FloatWeights, MatrixRequest, QuantizedWeights, TensorSource};
use sotto_nn::packed::PackedModel;
use sotto_nn::weights::{WeightError, Weights};

use super::positions;

/// How a file names its tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    /// `encoder.layers.0.self_attn.q_proj.weight` behind a `model.` prefix.
    HuggingFace,
    /// `encoder.blocks.0.attn.query.weight`, as in OpenAI's checkpoints and whisper.cpp's files.
    OpenAi,
}

impl Naming {
    /// The file format that names its tensors so.
    pub(crate) fn file_format(self) -> &'static str {
        match self {
            Self::HuggingFace => "safetensors",
            Self::OpenAi => "ggml",
        }
    }
}

/// A weight file whose tensors are asked for by their Hugging Face name without the `model.` prefix.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NamedWeights<'a> {
    pub(crate) weights: &'a Weights,
    pub(crate) naming: Naming,
}

impl NamedWeights<'_> {
    /// How the file calls the type of a tensor's elements.
    pub(crate) fn element(&self, name: &str) -> Option<&'static str> {
        self.weights.element(&self.name(name))
    }

    /// Checks that the file has the tensor in this shape; reads none of it.
    pub(crate) fn check(&self, name: &str, shape: &[usize]) -> Result<(), WeightError> {
        let name = self.name(name);
        self.weights.check(&name, &self.shape(&name, shape))
    }

    /// How the file shapes a tensor: whisper.cpp stores the biases of the convolutions as columns.
    fn shape<'s>(&self, file_name: &str, shape: &'s [usize]) -> Cow<'s, [usize]> {
        let column =
            self.naming == Naming::OpenAi && file_name.starts_with("encoder.conv") && file_name.ends_with("bias");
        if column { Cow::Owned([shape, &[1]].concat()) } else { Cow::Borrowed(shape) }
    }

    fn name<'n>(&self, name: &'n str) -> Cow<'n, str> {
        match self.naming {
            Naming::HuggingFace => Cow::Owned(format!("model.{name}")),
            Naming::OpenAi => Cow::Owned(openai_name(name)),
        }
    }
}

impl TensorSource for NamedWeights<'_> {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightError> {
        let name = self.name(name);
        self.weights.tensor(&name, &self.shape(&name, shape))
    }

    fn contains(&self, name: &str) -> bool {
        self.weights.shape(&self.name(name)).is_some()
    }
}

/// The tensors of a model, whatever file holds them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tensors<'a> {
    /// A file of the model's publisher.
    Named(NamedWeights<'a>),
    /// A packed model; its tensors have the names that layers ask for.
    Packed(&'a PackedModel),
}

impl TensorSource for Tensors<'_> {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightError> {
        match self {
            Self::Named(weights) => weights.tensor(name, shape),
            Self::Packed(model) => match left_out(model, name, shape) {
                Some(table) => Ok(table),
                None => model.tensor(name, shape),
            },
        }
    }

    fn contains(&self, name: &str) -> bool {
        match self {
            Self::Named(weights) => weights.contains(name),
            Self::Packed(model) => model.contains(name),
        }
    }

    fn floats(&self, name: &str, shape: &[usize]) -> Result<Floats, WeightError> {
        match self {
            Self::Named(weights) => weights.floats(name, shape),
            Self::Packed(model) => match left_out(model, name, shape) {
                Some(table) => Ok(table.into()),
                None => model.floats(name, shape),
            },
        }
    }

    fn quantized(&self, layout: Layout, request: &MatrixRequest<'_>) -> Result<QuantizedWeights, WeightError> {
        match self {
            Self::Named(weights) => weights.quantized(layout, request),
            Self::Packed(model) => model.quantized(layout, request),
        }
    }

    fn matrix(&self, request: &MatrixRequest<'_>) -> Result<FloatWeights, WeightError> {
        match self {
            Self::Named(weights) => weights.matrix(request),
            Self::Packed(model) => model.matrix(request),
        }
    }
}

/// The table of the encoder's positions where a packed file goes without.
fn left_out(model: &PackedModel, name: &str, shape: &[usize]) -> Option<Vec<f32>> {
    match shape {
        &[rows, width] if name == positions::NAME && !model.contains(name) => Some(positions::sinusoids(rows, width)),
        _ => None,
    }
}

fn openai_name(name: &str) -> String {
    match name {
        "encoder.embed_positions.weight" => return "encoder.positional_embedding".into(),
        "decoder.embed_positions.weight" => return "decoder.positional_embedding".into(),
        "decoder.embed_tokens.weight" => return "decoder.token_embedding.weight".into(),
        "encoder.layer_norm.weight" => return "encoder.ln_post.weight".into(),
        "encoder.layer_norm.bias" => return "encoder.ln_post.bias".into(),
        "decoder.layer_norm.weight" => return "decoder.ln.weight".into(),
        "decoder.layer_norm.bias" => return "decoder.ln.bias".into(),
        _ => {}
    }
    name.replace(".layers.", ".blocks.")
        .replace("self_attn_layer_norm", "attn_ln")
        .replace("encoder_attn_layer_norm", "cross_attn_ln")
        .replace("final_layer_norm", "mlp_ln")
        .replace("self_attn", "attn")
        .replace("encoder_attn", "cross_attn")
        .replace("q_proj", "query")
        .replace("k_proj", "key")
        .replace("v_proj", "value")
        .replace("out_proj", "out")
        .replace("fc1", "mlp.0")
        .replace("fc2", "mlp.2")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_openai_checkpoints() {
        for (ours, theirs) in [
            ("encoder.conv1.weight", "encoder.conv1.weight"),
            ("encoder.layers.3.self_attn.q_proj.bias", "encoder.blocks.3.attn.query.bias"),
            ("encoder.layers.0.self_attn_layer_norm.weight", "encoder.blocks.0.attn_ln.weight"),
            ("decoder.layers.2.encoder_attn.out_proj.weight", "decoder.blocks.2.cross_attn.out.weight"),
            ("decoder.layers.2.encoder_attn_layer_norm.bias", "decoder.blocks.2.cross_attn_ln.bias"),
            ("decoder.layers.1.fc2.weight", "decoder.blocks.1.mlp.2.weight"),
            ("decoder.layers.1.final_layer_norm.weight", "decoder.blocks.1.mlp_ln.weight"),
            ("decoder.layer_norm.weight", "decoder.ln.weight"),
        ] {
            assert_eq!(openai_name(ours), theirs);
        }
    }
}
