//! Loading options of all tasks: threads, memory, kernels, devices.

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
    /// Called by every helper thread of a pool when it starts, for example to set its priority. Not called on the
    /// caller's thread.
    pub helper_setup: HelperSetup,
    /// A pool that the model shares with others: one for all of an application. [`threads`](Self::threads) should then
    /// be the pool's number of threads. `None` gives the model a pool of its own.
    pub pool: Option<Arc<Pool>>,
    /// The budget that the model's memory is reserved from.
    pub budget: MemoryBudget,
    /// How the model computes; `None` is int8, for every kind of source. The reference, [`Precision::F32`], must be
    /// asked for.
    pub precision: Option<Precision>,
    /// Instruction set of the int8 kernels; `None` takes the best one of this CPU, or the one named by `SOTTO_ISA`. All
    /// give the same bits; choosing one is for comparisons.
    pub isa: Option<Isa>,
    /// What to do with a packed model whose layout the kernels do not read.
    pub other_layout: OtherLayout,
    /// What to do with a model that is too slow for a device without vector kernels.
    pub slow_device: SlowDevice,
    /// The device to compute on. If it cannot be used, the model still loads and computes on the CPU; the model reports
    /// the state of its device.
    pub device: ComputeDevice,
}

/// What to do with a packed model for another kind of CPU. If this CPU has slower kernels for the file's layout (those
/// for `sdot` on a CPU with `smmla`), they are used instead; this option applies if it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OtherLayout {
    /// Copies the weights into the layout of the best kernels, exactly. Takes memory for the copy, which the estimate
    /// includes, and some time.
    #[default]
    Repack,
    /// Fails with [`WeightError::KernelLayout`]: for apps that ship one file per CPU and want to notice a mistake.
    Refuse,
}

/// What to do with a model that would be too slow (a recording would take longer than its length) on a device without
/// vector kernels: 32-bit ARM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SlowDevice {
    /// Fails, with the estimated time in the error.
    #[default]
    Refuse,
    /// Loads it all the same: for apps with time, such as one that transcribes recordings overnight.
    Allow,
}

impl LoadOptions {
    /// The requested kernels, or the best of this CPU.
    ///
    /// # Errors
    /// [`LoadError::UnsupportedIsa`].
    pub fn kernels(&self) -> Result<KernelSet, LoadError> {
        match self.isa {
            None => Ok(KernelSet::best()),
            Some(isa) => KernelSet::new(isa).ok_or(LoadError::UnsupportedIsa { isa }),
        }
    }

    /// The requested kernels, else those that read the file in place, else the best of this CPU.
    ///
    /// # Errors
    /// [`LoadError::UnsupportedIsa`], and [`WeightError::KernelLayout`] when the file would have to be repacked but may
    /// not.
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

    /// The backend of the layers: these kernels, on the shared pool or on a pool of the model's own.
    #[must_use]
    pub fn backend(&self, kernels: KernelSet) -> Backend {
        let own = || Arc::new(Pool::with_setup(self.threads, self.helper_setup.clone()));
        Backend::with_pool(kernels, self.pool.clone().unwrap_or_else(own))
    }
}
