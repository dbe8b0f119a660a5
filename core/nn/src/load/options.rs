//! How a model is loaded, whatever its task: threads, memory, kernels, devices.

use std::sync::Arc;

use sotto_kernels::{Isa, KernelSet};
use sotto_runtime::{HelperSetup, MemoryBudget, Pool, Threads};

use super::{ComputeDevice, LoadError, Precision};
use crate::layers::Backend;
use crate::packed::PackedModel;
use crate::weights::WeightError;

/// How a model is loaded.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Threads that the model computes with.
    pub threads: Threads,
    /// What a helper thread of a pool calls when it starts: for its priority. The caller's thread calls nothing.
    pub helper_setup: HelperSetup,
    /// Threads that several models share: one pool for all of an application, as [`threads`](Self::threads) of which
    /// they are. `None` makes the model a pool of its own.
    pub pool: Option<Arc<Pool>>,
    /// The account that the model's memory is taken from.
    pub budget: MemoryBudget,
    /// How the model computes; `None` is int8, whatever the source. The reference, [`Precision::F32`], is asked for by
    /// name.
    pub precision: Option<Precision>,
    /// Instruction set of the int8 kernels; `None` takes the best one of this CPU, or what `SOTTO_ISA` names. All give
    /// the same bits: choosing is for comparing them.
    pub isa: Option<Isa>,
    /// What happens to a packed model whose weights lie in an order that the kernels do not read.
    pub other_layout: OtherLayout,
    /// What happens to a model that is too slow for a device without vector kernels.
    pub slow_device: SlowDevice,
    /// What computes. Where a device cannot be used the model loads all the same and computes on the CPU; ask
    /// the model what became of it.
    pub device: ComputeDevice,
}

/// What happens to a packed model that was packed for another kind of CPU. Where this CPU has slower kernels for its
/// layout (those for `sdot` on a CPU with `smmla`), they are used; this is for where it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OtherLayout {
    /// The weights are copied into the order of the best kernels, exactly. Takes their size in memory, which the
    /// estimate counts, and some time.
    #[default]
    Repack,
    /// [`WeightError::KernelLayout`]: an app that ships files per CPU wants to hear of a mistake.
    Refuse,
}

/// What happens to a model that would take longer to do its work than a user waits, a recording than it is long, on a
/// device for which there are no vector kernels: 32-bit ARM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SlowDevice {
    /// An error, with the figure.
    #[default]
    Refuse,
    /// It is loaded all the same, for who has time: recordings that are transcribed over night.
    Allow,
}

impl LoadOptions {
    /// The kernels that were asked for, or the best.
    ///
    /// # Errors
    /// [`LoadError::UnsupportedIsa`].
    pub fn kernels(&self) -> Result<KernelSet, LoadError> {
        match self.isa {
            None => Ok(KernelSet::best()),
            Some(isa) => KernelSet::new(isa).ok_or(LoadError::UnsupportedIsa { isa }),
        }
    }

    /// The kernels that were asked for, else those that read the file in place, else the best.
    ///
    /// # Errors
    /// [`LoadError::UnsupportedIsa`], and [`WeightError::KernelLayout`] where the file may not be repacked.
    pub fn kernels_for(&self, model: &PackedModel) -> Result<KernelSet, LoadError> {
        let found = model.layout();
        let kernels = match self.isa {
            None => KernelSet::reading(found).unwrap_or_else(KernelSet::best),
            Some(_) => self.kernels()?,
        };
        if kernels.layout() != found && self.other_layout == OtherLayout::Refuse {
            let (file, expected) = (model.name().to_owned(), kernels.layout());
            return Err(LoadError::Weights(WeightError::KernelLayout { file, found, expected }));
        }
        Ok(kernels)
    }

    /// Where layers compute: these kernels, on the shared pool or on one of the model's own.
    #[must_use]
    pub fn backend(&self, kernels: KernelSet) -> Backend {
        let own = || Arc::new(Pool::with_setup(self.threads, self.helper_setup.clone()));
        Backend::with_pool(kernels, self.pool.clone().unwrap_or_else(own))
    }
}
