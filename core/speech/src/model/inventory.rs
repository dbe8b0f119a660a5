//! The tensors of a Whisper network, computed from its sizes.

use sotto_nn::layers::NormKind;
use sotto_nn::load::Inventory;

use super::Dimensions;
use super::names::{EMBEDDING, OUTPUT};

/// Number of weights of the network, biases and norms included.
pub(crate) fn weight_count(dimensions: &Dimensions) -> u64 {
    inventory(dimensions).count(|_| true)
}

/// Number of weights of the encoder.
pub(crate) fn encoder_weights(dimensions: &Dimensions) -> u64 {
    inventory(dimensions).count(|name| name.starts_with("encoder."))
}

/// Number of keys and values of the audio of a full window.
pub(super) fn cross_values(dimensions: &Dimensions) -> u64 {
    2 * (dimensions.decoder_layers * dimensions.audio_context * dimensions.width) as u64
}

/// Number of weights that each token reads.
pub(super) fn token_weights(dimensions: &Dimensions) -> u64 {
    let makes_cross_cache = |name: &str| name.contains("encoder_attn.k_proj") || name.contains("encoder_attn.v_proj");
    // One row of them.
    let is_looked_up =
        |name: &str| name == "decoder.embed_positions.weight" || name == EMBEDDING && !dimensions.tied_output;
    inventory(dimensions).count(|name| {
        (name.starts_with("decoder.") || name == OUTPUT) && !is_looked_up(name) && !makes_cross_cache(name)
    })
}

/// Name and shape of every tensor, in the order of the network.
pub(super) fn inventory(dimensions: &Dimensions) -> Inventory {
    let &Dimensions { mels, width, audio_context, text_context, vocabulary, .. } = dimensions;
    let mut all = Inventory::default();
    all.biased("encoder.conv1", &[width, mels, 3]);
    all.biased("encoder.conv2", &[width, width, 3]);
    all.tensor("encoder.embed_positions.weight", &[audio_context, width]);
    for layer in 0..dimensions.encoder_layers {
        let block = format!("encoder.layers.{layer}");
        attention(&mut all, &format!("{block}.self_attn"), width);
        feed_forward(&mut all, &block, width, dimensions.encoder_ffn);
    }
    all.norm("encoder.layer_norm", NormKind::LAYER, width);
    all.tensor(EMBEDDING, &[vocabulary, width]);
    if !dimensions.tied_output {
        all.tensor(OUTPUT, &[vocabulary, width]);
    }
    all.tensor("decoder.embed_positions.weight", &[text_context, width]);
    for layer in 0..dimensions.decoder_layers {
        let block = format!("decoder.layers.{layer}");
        attention(&mut all, &format!("{block}.self_attn"), width);
        attention(&mut all, &format!("{block}.encoder_attn"), width);
        feed_forward(&mut all, &block, width, dimensions.decoder_ffn);
    }
    all.norm("decoder.layer_norm", NormKind::LAYER, width);
    all
}

/// Keys have no bias.
fn attention(all: &mut Inventory, name: &str, width: usize) {
    all.norm(&format!("{name}_layer_norm"), NormKind::LAYER, width);
    for projection in ["q_proj", "v_proj", "out_proj"] {
        all.biased(&format!("{name}.{projection}"), &[width, width]);
    }
    all.tensor(format!("{name}.k_proj.weight"), &[width, width]);
}

fn feed_forward(all: &mut Inventory, block: &str, width: usize, hidden: usize) {
    all.norm(&format!("{block}.final_layer_norm"), NormKind::LAYER, width);
    all.biased(&format!("{block}.fc1"), &[hidden, width]);
    all.biased(&format!("{block}.fc2"), &[width, hidden]);
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use sotto_kernels::KernelSet;
    use sotto_nn::layers::{Backend, TensorSource};
    use sotto_nn::weights::WeightError;
    use sotto_runtime::Threads;

    use super::*;
    use crate::model::{Precision, exact, int8};

    /// A source with every tensor, all zeros, that records the requests.
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

    /// The counts of torch for the published models (`sum(p.numel() for p in model.parameters())`).
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
            let declared = inventory(&dimensions);
            let mut declared: Vec<_> =
                declared.tensors().map(|(name, shape)| (name.to_owned(), shape.to_vec())).collect();
            declared.sort();
            let asked = Asked::default();
            match precision.quantized() {
                None => _ = exact::Network::load(&asked, &dimensions).unwrap(),
                Some(precision) => _ = int8::Network::load(&asked, &backend, &dimensions, precision).unwrap(),
            }
            let mut asked = asked.0.into_inner();
            asked.sort();
            assert_eq!(asked, declared, "{precision:?}");
        }
    }
}
