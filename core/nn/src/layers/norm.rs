//! Which norm a layer has, and where it stands.

/// A norm and what keeps it from dividing by zero.
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
    /// Layer normalisation as PyTorch, Whisper and Marian have it.
    pub const LAYER: Self = Self::Layer { epsilon: 1e-5 };
}

/// Where the norm of a layer with a residual connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormPlace {
    /// `x + layer(norm(x))`, as in Whisper and Llama.
    Before,
    /// `norm(x + layer(x))`, as in Marian (Vaswani et al. 2017).
    After,
}
