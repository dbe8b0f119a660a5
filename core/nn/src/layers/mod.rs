//! Layers of the networks; they compute only through `sotto-kernels`.
//!
//! Each layer owns its weights in the layout that its kernel reads, checks their shapes when it is built, and writes
//! its result into the caller's memory. A layer that exists has consistent shapes, so its passes cannot fail.

mod backend;
mod conv;
pub mod exact;
mod matrix;
mod memory;
mod norm;
mod position;
pub mod quantized;
mod request;
mod rows;
mod seen;
mod source;
mod stash;
mod watched;

pub use backend::Backend;
pub use conv::ConvShape;
pub use matrix::{QuantizedMatrix, WeightType};
pub use memory::{BlockMemory, HalfMemory, KvCache, KvMemory, LayerCache};
pub use norm::{NormKind, NormPlace};
pub use position::{Rotary, RotaryPairs, sinusoids};
pub use request::{Biased, FloatWeights, MatrixRequest, Part, QuantizedWeights, StoredRows};
pub use rows::pick;
pub use seen::{Positions, SeenRows};
pub use source::TensorSource;
pub use stash::Stash;
pub use watched::Watched;

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use sotto_runtime::Threads;

    use super::exact::{Conv1d, Linear};
    use super::*;
    use crate::weights::WeightError;

    struct Tensors(HashMap<&'static str, Vec<f32>>);

    impl TensorSource for Tensors {
        fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightError> {
            let values = self.0[name].clone();
            assert_eq!(values.len(), shape.iter().product::<usize>());
            Ok(values)
        }

        fn contains(&self, name: &str) -> bool {
            self.0.contains_key(name)
        }
    }

    #[test]
    fn linear_multiplies_adds_the_bias_and_can_add_to_a_residual() {
        let source = Tensors(HashMap::from([("l.weight", vec![1.0, 2.0, 3.0, 4.0]), ("l.bias", vec![10.0, 20.0])]));
        let linear = Linear::load(&source, "l", 2, 2).unwrap();
        let mut out = [f32::NAN; 4];
        linear.forward(&[1.0, 1.0, 0.0, 2.0], &mut out, Threads::ONE);
        assert_eq!(out, [13.0, 27.0, 14.0, 28.0]);
        linear.forward_add(&[1.0, 1.0, 0.0, 2.0], &mut out, Threads::ONE);
        assert_eq!(out, [26.0, 54.0, 28.0, 56.0]);
    }

    #[test]
    fn convolution_matches_its_definition() {
        let (inputs, outputs, kernel, frames) = (2, 3, 3, 5);
        let weight: Vec<f32> = (0..inputs * outputs * kernel).map(|i| (i as f32).sin()).collect();
        let x: Vec<f32> = (0..frames * inputs).map(|i| (i as f32 * 0.7).cos()).collect();
        let source = Tensors(HashMap::from([("c.weight", weight.clone()), ("c.bias", vec![0.5, 0.0, -0.5])]));
        for stride in [1, 2] {
            let conv = Conv1d::load(&source, "c", ConvShape { inputs, outputs, kernel, stride }).unwrap();
            let rows = conv.output_frames(frames);
            assert_eq!(rows, frames.div_ceil(stride));
            let mut out = vec![0.0; rows * outputs];
            conv.forward(&x, &mut Vec::new(), &mut out, Threads::ONE);
            for (row, out) in out.chunks(outputs).enumerate() {
                for (output, value) in out.iter().enumerate() {
                    let mut expected = [0.5, 0.0, -0.5][output];
                    for tap in 0..kernel {
                        let frame = (row * stride + tap) as isize - 1;
                        for input in 0..inputs {
                            if (0..frames as isize).contains(&frame) {
                                expected += weight[(output * inputs + input) * kernel + tap]
                                    * x[frame as usize * inputs + input];
                            }
                        }
                    }
                    assert!((value - expected).abs() < 1e-5);
                }
            }
        }
    }

    #[test]
    fn a_cache_copy_holds_the_same_positions_and_can_be_cut() {
        let mut cache = KvCache::new(4, 2);
        cache.push(&[1.0, 2.0], &[3.0, 4.0]);
        cache.push(&[5.0, 6.0], &[7.0, 8.0]);
        let mut copy = KvCache::new(4, 2);
        copy.copy_from(&cache);
        copy.truncate(1);
        assert_eq!((cache.rows(), copy.rows()), (2, 1));
        assert_eq!(copy.values(1), [3.0, 4.0]);
    }
}
