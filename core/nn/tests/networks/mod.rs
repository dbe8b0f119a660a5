//! Two networks other than Whisper, each written in about a page with the layers and the search of the crate.

pub mod llama;
pub mod marian;

use std::collections::HashMap;

use sotto_nn::layers::TensorSource;
use sotto_nn::search::Rng;
use sotto_nn::weights::WeightError;

/// Named tensors in memory.
#[derive(Debug, Default)]
pub struct Tensors(pub HashMap<String, (Vec<usize>, Vec<f32>)>);

impl Tensors {
    pub fn insert(&mut self, name: impl Into<String>, shape: &[usize], values: Vec<f32>) {
        assert_eq!(values.len(), shape.iter().product::<usize>());
        self.0.insert(name.into(), (shape.to_vec(), values));
    }

    /// Values between `-range` and `range`, around `centre`.
    pub fn random(&mut self, rng: &mut Rng, name: impl Into<String>, shape: &[usize], centre: f32, range: f32) {
        let value = |_| centre + range * (2.0 * rng.next_f64() as f32 - 1.0);
        let values = (0..shape.iter().product::<usize>()).map(value).collect();
        self.insert(name, shape, values);
    }

    /// The tensors in the form of candle.
    pub fn candle(&self) -> HashMap<String, candle_core::Tensor> {
        let tensor = |(name, (shape, values)): (&String, &(Vec<usize>, Vec<f32>))| {
            let tensor = candle_core::Tensor::from_slice(values, &shape[..], &candle_core::Device::Cpu).unwrap();
            (name.clone(), tensor)
        };
        self.0.iter().map(tensor).collect()
    }
}

impl TensorSource for Tensors {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightError> {
        let missing = || WeightError::Missing { file: "memory".to_owned(), name: name.to_owned() };
        let (found, values) = self.0.get(name).ok_or_else(missing)?;
        assert_eq!(found, shape, "{name}");
        Ok(values.clone())
    }

    fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}
