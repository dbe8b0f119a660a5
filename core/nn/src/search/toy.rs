//! A network whose output is easy to compute: the most likely next token is the sum of all fed tokens and of the
//! source, modulo the size of the vocabulary.

use sotto_runtime::{Cancelled, Threads};

use super::{Memory, Network, Pass};

#[derive(Debug)]
pub(super) struct Toy {
    pub(super) columns: usize,
}

#[derive(Debug, Default)]
pub(super) struct Tokens(Vec<u32>);

impl Memory for Tokens {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn clear(&mut self) {
        self.0.clear();
    }

    fn copy_from(&mut self, other: &Self) {
        self.0.clone_from(&other.0);
    }

    fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }
}

impl Toy {
    /// The most likely token of each row.
    pub(super) fn best(logits: &[f32]) -> Vec<usize> {
        logits.chunks_exact(8).map(super::argmax).collect()
    }
}

impl Network for Toy {
    type Memory = Tokens;
    type Source = u32;
    type Scratch = (Vec<u32>, Vec<f32>);

    const CUTS: bool = true;

    fn scratch(&self) -> Self::Scratch {
        Default::default()
    }

    fn memory(&self, _positions: usize) -> Tokens {
        Tokens::default()
    }

    fn feed(&self, pass: Pass<'_, '_, Self>, (sums, _): &mut Self::Scratch) -> Result<(), Cancelled> {
        pass.cancel.check()?;
        sums.clear();
        for row in pass.rows {
            let Tokens(tokens) = &mut pass.memories[row.hypothesis];
            tokens.push(row.token);
            sums.push(tokens.iter().sum::<u32>() + pass.sources.get(row.source).copied().unwrap_or(0));
        }
        Ok(())
    }

    fn logits<'s>(&self, picked: &[usize], (sums, logits): &'s mut Self::Scratch, _: Threads) -> &'s mut [f32] {
        logits.clear();
        for &row in picked {
            let best = sums[row] as usize % self.columns;
            // Tokens further away are less likely.
            logits.extend((0..self.columns).map(|column| -(column.abs_diff(best) as f32)));
        }
        logits
    }
}
