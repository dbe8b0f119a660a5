//! Scratch memory that layers reuse from pass to pass.

use sotto_kernels::Activations;

use crate::layers::Backend;

/// Scratch memory of one thread for the rows of a block. A network may also use it before and after its blocks.
#[derive(Debug)]
pub struct BlockBuffers {
    /// The quantized input of a layer.
    pub quantized: Activations,
    /// The hidden layer of a feed-forward layer.
    pub hidden: Vec<f32>,
    pub(super) gate: Vec<f32>,
    pub(super) projected: Vec<f32>,
    pub(super) attended: Vec<f32>,
}

impl BlockBuffers {
    /// Empty buffers; they grow when they are used.
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
