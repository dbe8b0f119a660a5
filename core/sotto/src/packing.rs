//! Packing models: one file with quantized weights that is mapped and used where it lies.

use std::path::PathBuf;

use sotto_runtime::{CancelToken, Job, Step};

pub use sotto_speech::{
    ClassError, Layout, Provenance, QuantizeError, QuantizeOptions, Quantized, WeightType, WeightTypes, WriteError,
    quantize,
};

use crate::Engine;
use crate::speech::ModelSource;

/// Packing as a job. Its progress counts weights, then bytes.
pub type QuantizeJob = Job<Step<Quantized>, QuantizeError>;

impl Engine {
    /// Packs the model at `source` into the file `destination`, as [`quantize`] does.
    ///
    /// Fails as that does; there is a whole file at `destination` or none.
    #[must_use]
    pub fn quantize(
        &self,
        source: ModelSource,
        destination: impl Into<PathBuf>,
        options: QuantizeOptions,
        cancel: &CancelToken,
    ) -> QuantizeJob {
        let destination = destination.into();
        Job::start(&self.job("sotto-quantize"), cancel, move |reporter| {
            let quantized = quantize(&source, &destination, &options, reporter, reporter.cancel())?;
            Ok(Some(Step::Done(quantized)))
        })
    }
}
