//! Why voice activity detection cannot be used.

use sotto_nn::weights::WeightError;

/// Why the weights of a voice activity detector cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VadError {
    /// The file is missing, damaged, or belongs to another model.
    #[error(transparent)]
    Weights(#[from] WeightError),
    /// The file has the right format, but impossible values.
    #[error("{file}: {problem}; the file is damaged, take it again from where it came")]
    Damaged {
        /// Path or name of the file.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// The file is an unsupported variant of the detector.
    #[error("{file}: {problem}; use silero_vad_16k.safetensors or ggml-silero-v5.1.2 or later (16 kHz)")]
    Unsupported {
        /// Path or name of the file.
        file: String,
        /// What differs.
        problem: String,
    },
}
