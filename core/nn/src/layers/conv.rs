//! Sizes of a convolution over time, and the order in which its weights lie.

/// Sizes of a one-dimensional convolution.
#[derive(Debug, Clone, Copy)]
pub struct ConvShape {
    /// Channels per input frame.
    pub inputs: usize,
    /// Channels per output frame.
    pub outputs: usize,
    /// Frames per window; odd.
    pub kernel: usize,
    /// Frames between two windows.
    pub stride: usize,
}

impl ConvShape {
    /// Frames that come out for `frames` going in.
    pub(crate) fn output_frames(&self, frames: usize) -> usize {
        (frames + 2 * (self.kernel / 2)).checked_sub(self.kernel).map_or(0, |last| last / self.stride + 1)
    }

    /// `[outputs, inputs, kernel]` as stored → `[outputs, kernel, inputs]`: the order in which a window of frames lies
    /// in memory.
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
