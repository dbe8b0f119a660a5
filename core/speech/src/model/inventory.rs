//! The tensors of a Whisper network: what a file must hold, known from the sizes alone.

use sotto_nn::weights::WeightError;

use super::Dimensions;
use super::names::{EMBEDDING, NamedWeights, OUTPUT};

/// Checks a file's index against the network, so that a wrong file is refused before a tensor is converted.
pub(super) fn check(weights: &NamedWeights<'_>, dimensions: &Dimensions) -> Result<(), WeightError> {
    let mut checked = Ok(());
    for_each_tensor(dimensions, |name, shape| {
        if checked.is_ok() {
            checked = weights.check(name, shape);
        }
    });
    checked
}

/// Weights of the network, biases and norms included.
pub(crate) fn weight_count(dimensions: &Dimensions) -> u64 {
    count(dimensions, |_| true)
}

/// Weights of the encoder alone.
pub(crate) fn encoder_weights(dimensions: &Dimensions) -> u64 {
    count(dimensions, |name| name.starts_with("encoder."))
}

/// Keys and values of the audio of a full window.
pub(super) fn cross_values(dimensions: &Dimensions) -> u64 {
    2 * (dimensions.decoder_layers * dimensions.audio_context * dimensions.width) as u64
}

/// Weights that each token reads.
pub(super) fn token_weights(dimensions: &Dimensions) -> u64 {
    let makes_cross_cache = |name: &str| name.contains("encoder_attn.k_proj") || name.contains("encoder_attn.v_proj");
    // One row of them.
    let is_looked_up =
        |name: &str| name == "decoder.embed_positions.weight" || name == EMBEDDING && !dimensions.tied_output;
    count(dimensions, |name| {
        (name.starts_with("decoder.") || name == OUTPUT) && !is_looked_up(name) && !makes_cross_cache(name)
    })
}

fn count(dimensions: &Dimensions, of: impl Fn(&str) -> bool) -> u64 {
    let mut weights = 0;
    for_each_tensor(dimensions, |name, shape| {
        if of(name) {
            weights += shape.iter().map(|&size| size as u64).product::<u64>();
        }
    });
    weights
}

/// Name and shape of every tensor, in the order in which they are loaded.
fn for_each_tensor(dimensions: &Dimensions, mut each: impl FnMut(&str, &[usize])) {
    let &Dimensions { mels, width, audio_context, text_context, vocabulary, .. } = dimensions;
    let mut conv = |name: &str, inputs| {
        each(&format!("encoder.{name}.weight"), &[width, inputs, 3]);
        each(&format!("encoder.{name}.bias"), &[width]);
    };
    conv("conv1", mels);
    conv("conv2", width);
    each("encoder.embed_positions.weight", &[audio_context, width]);
    for layer in 0..dimensions.encoder_layers {
        let block = format!("encoder.layers.{layer}");
        attention(&block, "self_attn", width, &mut each);
        feed_forward(&block, width, dimensions.encoder_ffn, &mut each);
    }
    norm("encoder.layer_norm", width, &mut each);
    each(EMBEDDING, &[vocabulary, width]);
    if !dimensions.tied_output {
        each(OUTPUT, &[vocabulary, width]);
    }
    each("decoder.embed_positions.weight", &[text_context, width]);
    for layer in 0..dimensions.decoder_layers {
        let block = format!("decoder.layers.{layer}");
        attention(&block, "self_attn", width, &mut each);
        attention(&block, "encoder_attn", width, &mut each);
        feed_forward(&block, width, dimensions.decoder_ffn, &mut each);
    }
    norm("decoder.layer_norm", width, &mut each);
}

fn attention(block: &str, name: &str, width: usize, each: &mut impl FnMut(&str, &[usize])) {
    norm(&format!("{block}.{name}_layer_norm"), width, each);
    for projection in ["q_proj", "k_proj", "v_proj", "out_proj"] {
        each(&format!("{block}.{name}.{projection}.weight"), &[width, width]);
        if projection != "k_proj" {
            each(&format!("{block}.{name}.{projection}.bias"), &[width]);
        }
    }
}

fn feed_forward(block: &str, width: usize, hidden: usize, each: &mut impl FnMut(&str, &[usize])) {
    norm(&format!("{block}.final_layer_norm"), width, each);
    for (name, inputs, outputs) in [("fc1", width, hidden), ("fc2", hidden, width)] {
        each(&format!("{block}.{name}.weight"), &[outputs, inputs]);
        each(&format!("{block}.{name}.bias"), &[outputs]);
    }
}

fn norm(name: &str, width: usize, each: &mut impl FnMut(&str, &[usize])) {
    each(&format!("{name}.weight"), &[width]);
    each(&format!("{name}.bias"), &[width]);
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use sotto_kernels::KernelSet;
    use sotto_nn::layers::{Backend, TensorSource};
    use sotto_runtime::Threads;

    use super::*;
    use crate::model::{Precision, exact, int8};

    /// Has every tensor, of zeros, and remembers what was asked for.
    #[derive(Default)]
    struct Asked(RefCell<Vec<(String, Vec<usize>)>>);

    impl TensorSource for Asked {
        fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightError> {
            self.0.borrow_mut().push((name.to_owned(), shape.to_vec()));
            Ok(vec![0.0; shape.iter().product()])
        }

        fn contains(&self, _: &str) -> bool {
            true
        }
    }

    fn whisper(mels: usize, width: usize, layers: usize, vocabulary: usize) -> Dimensions {
        Dimensions {
            mels,
            audio_context: 1500,
            text_context: 448,
            width,
            encoder_layers: layers,
            encoder_heads: width / 64,
            encoder_ffn: 4 * width,
            decoder_layers: layers,
            decoder_heads: width / 64,
            decoder_ffn: 4 * width,
            vocabulary,
            tied_output: true,
        }
    }

    /// What torch counts in the published models (`sum(p.numel() for p in model.parameters())`).
    #[test]
    fn published_models_have_as_many_weights_as_counted() {
        assert_eq!(weight_count(&whisper(80, 384, 4, 51_864)), 37_760_256);
        assert_eq!(weight_count(&whisper(128, 1280, 32, 51_866)), 1_543_490_560);
    }

    #[test]
    fn a_token_reads_one_vocabulary_matrix_whichever_it_is() {
        let tied = whisper(80, 384, 4, 51_864);
        let untied = Dimensions { tied_output: false, ..tied.clone() };
        assert_eq!(token_weights(&untied), token_weights(&tied));
        assert_eq!(weight_count(&untied), weight_count(&tied) + 384 * 51_864);
    }

    #[test]
    fn the_inventory_is_what_the_networks_load() {
        // No two sizes are equal.
        let dimensions = Dimensions {
            mels: 5,
            audio_context: 7,
            text_context: 16,
            width: 8,
            encoder_layers: 3,
            encoder_heads: 2,
            encoder_ffn: 24,
            decoder_layers: 2,
            decoder_heads: 4,
            decoder_ffn: 40,
            vocabulary: 33,
            tied_output: true,
        };
        let backend = Backend::with_kernels(KernelSet::best(), Threads::ONE);
        for (tied_output, precision) in
            [(true, Precision::F32), (true, Precision::Int8), (false, Precision::F32), (false, Precision::Int8)]
        {
            let dimensions = Dimensions { tied_output, ..dimensions.clone() };
            let mut inventory = Vec::new();
            for_each_tensor(&dimensions, |name, shape| inventory.push((name.to_owned(), shape.to_vec())));
            inventory.sort();
            let asked = Asked::default();
            match precision.quantized() {
                None => _ = exact::Network::load(&asked, &dimensions).unwrap(),
                Some(precision) => _ = int8::Network::load(&asked, &backend, &dimensions, precision).unwrap(),
            }
            let mut asked = asked.0.into_inner();
            asked.sort();
            assert_eq!(asked, inventory, "{precision:?}");
        }
    }
}
