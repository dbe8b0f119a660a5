//! A loaded Whisper model: network, vocabulary and the settings that came with them.

mod config;
mod control;
mod device;
mod exact;
mod heads;
mod int8;
mod inventory;
mod load;
mod names;
mod network;
mod positions;
mod quantize;
#[cfg(feature = "reference")]
pub mod reference;
mod speed;
mod weight_types;

pub use config::{Dimensions, GenerationConfig};
pub(crate) use inventory::{encoder_weights, weight_count};
pub(crate) use load::Manifest;
pub use quantize::{PACKING_VERSION, PackedInfo, QuantizeOptions, Quantized, quantize};
pub use sotto_nn::load::{
    ComputeDevice, DeviceStatus, LoadError, LoadOptions, ModelBytes, ModelSource, OtherLayout, Precision, SlowDevice,
};
pub use sotto_nn::packed::{ClassError, Provenance};
pub use weight_types::WeightTypes;

pub(crate) use network::{AnyWhisper, Session};

use std::sync::Arc;

use sotto_kernels::Isa;
use sotto_nn::load::Switch;
use sotto_nn::packed::PackedModel;
use sotto_runtime::{Bytes, CancelToken, Cancelled, MemoryBudget, Reservation, Threads};
use sotto_text::whisper::WhisperTokenizer;

use crate::error::SpeechError;
use crate::memory::SessionSize;
use crate::options::TranscribeOptions;

/// Network, vocabulary and settings of one model; immutable, shared by any number of transcriptions.
#[derive(Debug)]
pub struct Model {
    pub(crate) dimensions: Dimensions,
    pub(crate) network: Arc<dyn AnyWhisper>,
    pub(crate) tokenizer: WhisperTokenizer,
    pub(crate) alignment_heads: Vec<(usize, usize)>,
    pub(crate) suppress: Vec<u32>,
    pub(crate) suppress_first: Vec<u32>,
    /// Whether the model writes timestamps in every window by default.
    pub(crate) prefers_timestamps: bool,
    pub(crate) max_initial_timestamp: Option<usize>,
    /// The packed file that holds the weights.
    pub(crate) packed: Option<PackedModel>,
    /// The state of another processor.
    pub(crate) device: Switch,
    /// Precision of the computation.
    pub(crate) precision: Precision,
    /// Instruction set of its kernels on the CPU.
    isa: Isa,
    /// The device that was requested.
    computes_on: ComputeDevice,
    /// The budget of its memory and that of transcriptions.
    budget: MemoryBudget,
    /// Held as long as the model lives.
    memory: Reservation,
}

/// Facts about a model that are available even after it was unloaded.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) dimensions: Dimensions,
    pub(crate) device: Switch,
    alignment_heads: usize,
    pub(crate) precision: Precision,
    pub(crate) isa: Isa,
    computes_on: ComputeDevice,
}

impl Facts {
    pub(crate) fn of(model: &Model) -> Self {
        let Model { dimensions, device, alignment_heads, precision, isa, computes_on, .. } = model;
        Self {
            dimensions: dimensions.clone(),
            device: device.clone(),
            alignment_heads: alignment_heads.len(),
            precision: *precision,
            isa: *isa,
            computes_on: *computes_on,
        }
    }

    /// Memory of one transcription with these options, in addition to the model's.
    pub(crate) fn session_bytes(&self, options: &TranscribeOptions, threads: Threads) -> Bytes {
        let session = SessionSize::of(&self.dimensions, options, self.alignment_heads, threads);
        load::session_bytes(&self.dimensions, &session, self.precision, self.computes_on)
    }
}

impl Model {
    /// Sizes of the network.
    #[must_use]
    pub fn dimensions(&self) -> &Dimensions {
        &self.dimensions
    }

    /// The vocabulary.
    #[must_use]
    pub fn tokenizer(&self) -> &WhisperTokenizer {
        &self.tokenizer
    }

    /// Metadata of a packed model; `None` for other models.
    #[must_use]
    pub fn packed(&self) -> Option<PackedInfo<'_>> {
        self.packed.as_ref().map(PackedInfo::of)
    }

    /// Bytes that it has reserved from its budget, without transcriptions.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.memory.bytes()
    }

    /// Gives the mapped pages of a packed model back to the system, which reads them again when they are accessed.
    /// Returns the mapped size in bytes, 0 for a converted model.
    pub fn release_pages(&self) -> Bytes {
        self.packed.as_ref().map_or(Bytes(0), PackedModel::release_pages)
    }

    /// Reserves the memory of one transcription, until the returned value is dropped.
    pub(crate) fn reserve_session(
        &self,
        options: &TranscribeOptions,
        threads: Threads,
    ) -> Result<Reservation, SpeechError> {
        Ok(self.budget.reserve(Facts::of(self).session_bytes(options, threads))?)
    }

    /// Bytes that each decoded token reads: the decoder's weights (except the projections of the audio's keys and
    /// values), and the keys and values of a window of 30 s. At batch size 1, decoding cannot be faster than reading
    /// them.
    #[must_use]
    pub fn bytes_per_token(&self) -> u64 {
        self.network.bytes_of_token(&self.dimensions)
    }

    /// Cross-attention heads that follow the audio, as `(layer, head)`.
    #[must_use]
    pub fn alignment_heads(&self) -> &[(usize, usize)] {
        &self.alignment_heads
    }
}

/// Direct access to the network, for comparisons with other implementations. For transcription use
/// [`SpeechRecognizer`](crate::SpeechRecognizer).
impl Model {
    /// Encoder states `[frames / 2, width]` of normalised log-mel features `[frames, mels]`.
    ///
    /// # Errors
    /// [`Cancelled`] when `cancel` fires.
    ///
    /// # Panics
    /// When the features are longer than a window or not a whole number of frames.
    pub fn encode(&self, features: &[f32], threads: Threads, cancel: &CancelToken) -> Result<Vec<f32>, Cancelled> {
        Ok(self.session(threads).encode(features, cancel)?.to_vec())
    }

    /// Logits `[tokens, vocabulary]` after each of `tokens`, given encoder states.
    ///
    /// # Errors
    /// [`Cancelled`] when `cancel` fires.
    ///
    /// # Panics
    /// When there are more tokens than text positions, or a token is outside the vocabulary.
    pub fn logits(
        &self,
        states: &[f32],
        tokens: &[u32],
        threads: Threads,
        cancel: &CancelToken,
    ) -> Result<Vec<f32>, Cancelled> {
        let mut session = self.session(threads);
        session.listen(states, cancel)?;
        let hypotheses = session.hypotheses();
        hypotheses.begin(tokens.len());
        hypotheses.extend(tokens, None, cancel)?;
        let rows: Vec<usize> = (0..tokens.len()).collect();
        Ok(hypotheses.logits(&rows).to_vec())
    }

    /// A session of the network for one recording or stream.
    pub(crate) fn session(&self, threads: Threads) -> Box<dyn Session> {
        Arc::clone(&self.network).session(threads)
    }
}
