//! Sizes of a one-dimensional convolution, and the memory order of its weights.

/// Sizes of a one-dimensional convolution.
#[derive(Debug, Clone, Copy)]
pub struct ConvShape {
    /// Channels per input frame.
    pub inputs: usize,
    /// Channels per output frame.
    pub outputs: usize,
    /// Frames per window (kernel size); odd.
    pub kernel: usize,
    /// Distance between windows in frames.
    pub stride: usize,
}

impl ConvShape {
    /// Number of output frames for `frames` input frames.
    pub(crate) fn output_frames(&self, frames: usize) -> usize {
        (frames + 2 * (self.kernel / 2)).checked_sub(self.kernel).map_or(0, |last| last / self.stride + 1)
    }

    /// Reorders weights from `[outputs, inputs, kernel]`, as stored, to `[outputs, kernel, inputs]`, the memory order
    /// of a window of frames.
    pub(crate) fn in_order_of_frames(&self, stored: &[f32]) -> Vec<f32> {
        let (inputs, kernel) = (self.inputs, self.kernel);
        let mut weight = vec![0.0; stored.len()];
        for (stored, weight) in stored.chunks_exact(inputs * kernel).zip(weight.chunks_exact_mut(inputs * kernel)) {
            for input in 0..inputs {
                for tap in 0..kernel {
                    weight[tap * inputs + input] = stored[input * kernel + tap];
                }
            }
        }
        weight
    }
}
