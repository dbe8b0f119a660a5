//! The tensors of a network, computed from its sizes.

use crate::layers::NormKind;
use crate::weights::WeightError;

/// Name and shape of every tensor of a network, in loading order. A task declares it for its network; files are checked
/// against it before any tensor is converted, and memory is estimated from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory(Vec<(String, Vec<usize>)>);

impl Inventory {
    /// Adds a tensor.
    pub fn tensor(&mut self, name: impl Into<String>, shape: &[usize]) {
        self.0.push((name.into(), shape.to_vec()));
    }

    /// Adds `{name}.weight` of a layer and, if it has one, `{name}.bias` with one value per output (the first size of
    /// the shape).
    pub fn biased(&mut self, name: &str, shape: &[usize]) {
        self.tensor(format!("{name}.weight"), shape);
        self.tensor(format!("{name}.bias"), &shape[..1]);
    }

    /// Adds the tensors of a norm of this kind.
    pub fn norm(&mut self, name: &str, kind: NormKind, width: usize) {
        self.tensor(format!("{name}.weight"), &[width]);
        if let NormKind::Layer { .. } = kind {
            self.tensor(format!("{name}.bias"), &[width]);
        }
    }

    /// The tensors.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.0.iter().map(|(name, shape)| (name.as_str(), shape.as_slice()))
    }

    /// Number of weights of the tensors whose names are selected.
    pub fn count(&self, of: impl Fn(&str) -> bool) -> u64 {
        let weights = |shape: &[usize]| shape.iter().map(|&size| size as u64).product::<u64>();
        self.tensors().filter(|(name, _)| of(name)).map(|(_, shape)| weights(shape)).sum()
    }

    /// Calls `check` for each tensor.
    ///
    /// # Errors
    /// The first error of `check`: a tensor is missing or has another shape.
    pub fn check(&self, check: impl Fn(&str, &[usize]) -> Result<(), WeightError>) -> Result<(), WeightError> {
        self.tensors().try_for_each(|(name, shape)| check(name, shape))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_declare_what_they_load() {
        let mut inventory = Inventory::default();
        inventory.biased("fc", &[3, 2]);
        inventory.norm("ln", NormKind::LAYER, 3);
        inventory.norm("rms", NormKind::RootMeanSquare { epsilon: 1e-5 }, 3);
        inventory.tensor("table", &[4, 3]);
        let found: Vec<_> = inventory.tensors().map(|(name, shape)| (name, shape.len())).collect();
        let expected =
            [("fc.weight", 2), ("fc.bias", 1), ("ln.weight", 1), ("ln.bias", 1), ("rms.weight", 1), ("table", 2)];
        assert_eq!(found, expected);
        assert_eq!(inventory.count(|_| true), 6 + 3 + 3 + 3 + 3 + 12);
        assert_eq!(inventory.count(|name| name.starts_with("fc")), 9);
        let missing = |name: &str, _: &[usize]| match name {
            "table" => Err(WeightError::Missing { file: "f".into(), name: name.into() }),
            _ => Ok(()),
        };
        assert!(matches!(inventory.check(missing), Err(WeightError::Missing { name, .. }) if name == "table"));
    }
}
