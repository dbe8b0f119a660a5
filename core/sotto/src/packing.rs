//! Packing models into one file with quantized weights that can be mapped and used in place.

use std::path::PathBuf;

use sotto_runtime::{CancelToken, Job, Step};

pub use sotto_speech::{
    ClassError, Layout, Provenance, QuantizeError, QuantizeOptions, Quantized, WeightType, WeightTypes, WriteError,
    quantize,
};

use crate::Engine;
use crate::speech::ModelSource;

/// A job that packs a model. Its progress counts weights, then bytes.
pub type QuantizeJob = Job<Step<Quantized>, QuantizeError>;

impl Engine {
    /// Packs the model at `source` into the file `destination`, as [`quantize`] does.
    ///
    /// Fails like that function; an error leaves no partial file at `destination`.
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
