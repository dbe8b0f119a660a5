//! Packing models: one file with quantized weights that is mapped and used where it lies.

use std::sync::Arc;

use sotto::job::Step;
use sotto::packing::{QuantizeError, QuantizeJob, QuantizeOptions, WeightType};
use sotto::{CancelToken, Progress};

use crate::engine::Engine;
use crate::error::SpeechFailure;
use crate::source::ModelLocation;

/// Bits of packed weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum PackedWeights {
    /// 8 bits: no more errors than the original.
    Int8,
    /// 4 bits in the decoder: a third smaller, a little less exact.
    Int4,
}

/// How a model is packed.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct PackSettings {
    /// Bits of the weights; 8 by default.
    #[uniffi(default = None)]
    pub weights: Option<PackedWeights>,
    /// Small rather than mapped as a whole: a little slower to load.
    #[uniffi(default = false)]
    pub compact: bool,
    /// Replaces a file at the destination.
    #[uniffi(default = false)]
    pub replace: bool,
}

/// One report of packing.
#[derive(Debug, Clone, PartialEq, uniffi::Enum)]
pub enum PackEvent {
    /// How far it is; the unit changes from weights to bytes on the way.
    Progress {
        /// Done of it.
        done: u64,
        /// All of it, where that is known.
        total: Option<u64>,
    },
    /// The file is there, the last event.
    Finished {
        /// Its size.
        bytes: u64,
        /// Bits of its weights, in words.
        weights: String,
    },
}

/// A model that is being packed. Letting go of it cancels; there is a whole file at the destination or none.
#[derive(uniffi::Object)]
pub struct ModelPacking {
    job: QuantizeJob,
}

#[uniffi::export]
impl Engine {
    /// Starts packing a model into the file `destination`.
    ///
    /// # Errors
    /// [`SpeechFailure::InvalidModel`] for a descriptor that cannot be used.
    pub fn pack(
        &self,
        location: ModelLocation,
        destination: String,
        settings: PackSettings,
    ) -> Result<Arc<ModelPacking>, SpeechFailure> {
        let weights = match settings.weights {
            Some(PackedWeights::Int4) => WeightType::Int4,
            Some(PackedWeights::Int8) | None => WeightType::Int8,
        };
        let options = QuantizeOptions {
            weights: weights.into(),
            compact: settings.compact,
            replace: settings.replace,
            ..QuantizeOptions::default()
        };
        let job = self.engine().quantize(location.source()?, destination, options, &CancelToken::new());
        Ok(Arc::new(ModelPacking { job }))
    }
}

#[uniffi::export]
impl ModelPacking {
    /// The next event; `null` after the last one. Waits without blocking a thread; giving the wait up loses nothing.
    ///
    /// # Errors
    /// Why the model could not be packed.
    pub async fn next_event(&self) -> Result<Option<PackEvent>, SpeechFailure> {
        while let Some(step) = self.job.event().await.map_err(|failure| failure_of(&failure))? {
            match step {
                Step::Progress(Progress { done, total, .. }) => return Ok(Some(PackEvent::Progress { done, total })),
                Step::Done(packed) => {
                    let (bytes, weights) = (packed.bytes.0, packed.weights.to_string());
                    return Ok(Some(PackEvent::Finished { bytes, weights }));
                }
                // Kinds that are younger than this surface.
                _ => {}
            }
        }
        Ok(None)
    }

    /// Stops. Returns at once.
    pub fn cancel(&self) {
        self.job.cancel();
    }
}

fn failure_of(error: &QuantizeError) -> SpeechFailure {
    match error {
        QuantizeError::Load(error) => SpeechFailure::of_load(error),
        QuantizeError::PackedWeights { .. } => SpeechFailure::option("weights", &error.to_string()),
        _ => SpeechFailure::internal(error),
    }
}
