//! Memory that layers reuse from pass to pass.

use sotto_kernels::Activations;

use crate::layers::Backend;

/// Memory of one thread for rows on their way through a block. What a network does in front of its blocks or behind
/// them may use it as well.
#[derive(Debug)]
pub struct BlockBuffers {
    /// What a layer reads.
    pub quantized: Activations,
    /// A hidden layer.
    pub hidden: Vec<f32>,
    pub(super) gate: Vec<f32>,
    pub(super) projected: Vec<f32>,
    pub(super) attended: Vec<f32>,
}

impl BlockBuffers {
    /// Empty ones; they grow with what they are used for.
    #[must_use]
    pub fn new(backend: &Backend) -> Self {
        Self {
            quantized: backend.kernels().activations(0, 0),
            hidden: Vec::new(),
            gate: Vec::new(),
            projected: Vec::new(),
            attended: Vec::new(),
        }
    }
}
