//! Tensor names: layers use Hugging Face's scheme, whisper.cpp's files OpenAI's.

use std::borrow::Cow;

use sotto_kernels::{Floats, Layout};
use sotto_nn::layers::{FloatWeights, MatrixRequest, QuantizedWeights, TensorSource};
use sotto_nn::packed::PackedModel;
use sotto_nn::weights::{WeightError, Weights};

use super::positions;

/// How a file names its tensors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Naming {
    /// `encoder.layers.0.self_attn.q_proj.weight` after a prefix.
    HuggingFace {
        /// `model.` in most files; empty if the bare network was saved; longer if the model was wrapped.
        prefix: String,
    },
    /// `encoder.blocks.0.attn.query.weight`, as in OpenAI's checkpoints and whisper.cpp's files.
    OpenAi,
}

/// The output layer's matrix, if it is not the token embedding.
pub(super) const OUTPUT: &str = "proj_out.weight";
/// The token embedding.
pub(super) const EMBEDDING: &str = "decoder.embed_tokens.weight";

// A tensor that every network has exactly once.
const LANDMARK: &str = "encoder.conv1.weight";
const USUAL_PREFIX: &str = "model.";

impl Naming {
    /// The naming of a Hugging Face file, with its prefix.
    pub(super) fn of_hugging_face(weights: &Weights) -> Self {
        let prefixes = weights.names().filter_map(|name| name.strip_suffix(LANDMARK));
        // A longer prefix belongs to a second network, such as a teacher.
        let prefix = prefixes.min_by_key(|prefix| (*prefix != USUAL_PREFIX, prefix.len())).unwrap_or(USUAL_PREFIX);
        Self::HuggingFace { prefix: prefix.to_owned() }
    }

    /// The file format with this naming.
    pub(crate) fn file_format(&self) -> &'static str {
        match self {
            Self::HuggingFace { .. } => "safetensors",
            Self::OpenAi => "ggml",
        }
    }
}

/// A weight file whose tensors are requested by their Hugging Face names without the `model.` prefix.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NamedWeights<'a> {
    pub(crate) weights: &'a Weights,
    pub(crate) naming: &'a Naming,
}

impl NamedWeights<'_> {
    /// The file's name of a tensor's element type.
    pub(crate) fn element(&self, name: &str) -> Option<&'static str> {
        self.weights.element(&self.name(name))
    }

    /// Checks that the file has the tensor with this shape, without reading it.
    pub(crate) fn check(&self, name: &str, shape: &[usize]) -> Result<(), WeightError> {
        let name = self.name(name);
        self.weights.check(&name, &self.shape(&name, shape))
    }

    /// Whether the file has an output layer that differs from the token embedding.
    pub(super) fn has_an_output_of_its_own(&self) -> Result<bool, WeightError> {
        if !self.contains(OUTPUT) || !self.contains(EMBEDDING) {
            return Ok(false);
        }
        Ok(!self.weights.are_same(&self.name(OUTPUT), &self.name(EMBEDDING))?)
    }

    /// The shape of a tensor in the file: whisper.cpp stores the biases of the convolutions as columns.
    fn shape<'s>(&self, file_name: &str, shape: &'s [usize]) -> Cow<'s, [usize]> {
        let column =
            *self.naming == Naming::OpenAi && file_name.starts_with("encoder.conv") && file_name.ends_with("bias");
        if column { Cow::Owned([shape, &[1]].concat()) } else { Cow::Borrowed(shape) }
    }

    fn name<'n>(&self, name: &'n str) -> Cow<'n, str> {
        match self.naming {
            // The output layer is not under the prefix `model.`.
            Naming::HuggingFace { prefix } if name == OUTPUT => {
                Cow::Owned(format!("{}{name}", prefix.strip_suffix(USUAL_PREFIX).unwrap_or(prefix)))
            }
            Naming::HuggingFace { prefix } => Cow::Owned(format!("{prefix}{name}")),
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

/// The tensors of a model, from any kind of file.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tensors<'a> {
    /// A file of the model's publisher.
    Named(NamedWeights<'a>),
    /// A packed model; its tensors have the names that layers request.
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

/// The encoder's position table, if a packed file omits it.
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
    use serde_json::json;

    use super::*;

    /// A file of tensors of one value each.
    fn named(names: &[&str]) -> Weights {
        let entry = |(index, name): (usize, &&str)| {
            let place = json!({ "dtype": "F32", "shape": [1], "data_offsets": [4 * index, 4 * index + 4] });
            ((*name).to_owned(), place)
        };
        let header = serde_json::Value::Object(names.iter().enumerate().map(entry).collect()).to_string();
        let image = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &vec![0; 4 * names.len()][..]].concat();
        Weights::from_safetensors_bytes(Cow::Owned(image), "names").unwrap()
    }

    #[test]
    fn what_stands_before_the_names_is_found() {
        for (names, prefix, output) in [
            (&["model.encoder.conv1.weight", "proj_out.weight"][..], "model.", "proj_out.weight"),
            (&["encoder.conv1.weight"], "", "proj_out.weight"),
            (&["_orig_mod.model.encoder.conv1.weight"], "_orig_mod.model.", "_orig_mod.proj_out.weight"),
            (&["model.encoder.conv1.weight", "t.encoder.conv1.weight"], "model.", "proj_out.weight"),
            (&["teacher.model.encoder.conv1.weight", "encoder.conv1.weight"], "", "proj_out.weight"),
            (&["something"], "model.", "proj_out.weight"),
        ] {
            let weights = named(names);
            let naming = Naming::of_hugging_face(&weights);
            assert_eq!(naming, Naming::HuggingFace { prefix: prefix.to_owned() }, "{names:?}");
            let weights = NamedWeights { weights: &weights, naming: &naming };
            assert_eq!(weights.name(OUTPUT), output, "{names:?}");
            assert_eq!(weights.name("decoder.layer_norm.bias"), format!("{prefix}decoder.layer_norm.bias"));
        }
    }

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
