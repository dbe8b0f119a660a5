//! The kind of a layer's norm, and its place before or after the layer.

/// A kind of norm, with the epsilon that prevents a division by zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NormKind {
    /// To zero mean and unit variance, with scale and shift (Ba et al. 2016).
    Layer {
        /// Added to the variance.
        epsilon: f32,
    },
    /// To unit root mean square, with scale (Zhang and Sennrich 2019).
    RootMeanSquare {
        /// Added to the mean of squares.
        epsilon: f32,
    },
}

impl NormKind {
    /// Layer normalisation as in PyTorch, Whisper and Marian.
    pub const LAYER: Self = Self::Layer { epsilon: 1e-5 };
}

/// The place of the norm of a layer with a residual connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormPlace {
    /// `x + layer(norm(x))`, as in Whisper and Llama.
    Before,
    /// `norm(x + layer(x))`, as in Marian (Vaswani et al. 2017).
    After,
}
