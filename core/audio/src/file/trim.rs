//! Gapless trimming: removes an encoder's delay and padding.

/// Removes the encoder's delay from the start and its padding from the end of a stream of interleaved samples.
///
/// The end is only removed if the stream ends where the header says. Files that were concatenated without correcting
/// the header continue after it and are kept whole.
#[derive(Debug, Default)]
pub(super) struct Trim {
    /// Frames still to drop at the start.
    delay: u64,
    /// Frames of audio after the delay, with the padding that may follow; `None` keeps everything.
    body: Option<Body>,
    /// Samples after the announced end, held until it is clear whether the stream ends there.
    held: Vec<f32>,
}

#[derive(Debug, Clone, Copy)]
struct Body {
    frames_left: u64,
    padding: u64,
}

impl Trim {
    pub(super) fn new(delay: u64, frames: Option<u64>, padding: u64) -> Self {
        Self { delay, body: frames.map(|frames_left| Body { frames_left, padding }), held: Vec::new() }
    }

    /// Removes delay and padding from `samples`, the next block of the stream.
    pub(super) fn apply(&mut self, samples: &mut Vec<f32>, channels: usize) {
        let frames = (samples.len() / channels) as u64;
        let dropped = self.delay.min(frames);
        self.delay -= dropped;
        samples.drain(..dropped as usize * channels);
        let Some(body) = &mut self.body else { return };
        let kept = body.frames_left.min(frames - dropped);
        body.frames_left -= kept;
        self.held.extend(samples.drain(kept as usize * channels..));
        if (self.held.len() / channels) as u64 > body.padding {
            // More than padding: the header was wrong about the end.
            samples.append(&mut self.held);
            self.body = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trimmed(mut trim: Trim, total: usize, block: usize) -> Vec<f32> {
        let samples: Vec<f32> = (0..total).map(|i| i as f32).collect();
        let mut out = Vec::new();
        for piece in samples.chunks(block) {
            let mut piece = piece.to_vec();
            trim.apply(&mut piece, 1);
            out.append(&mut piece);
        }
        out
    }

    #[test]
    fn delay_and_padding_are_cut() {
        for block in [1, 7, 100, 1000] {
            let out = trimmed(Trim::new(30, Some(60), 10), 100, block);
            assert_eq!((out.len(), out[0], out[59]), (60, 30.0, 89.0), "block {block}");
        }
    }

    #[test]
    fn a_stream_that_goes_on_after_its_announced_end_is_kept() {
        for block in [1, 7, 100, 1000] {
            let out = trimmed(Trim::new(30, Some(60), 10), 500, block);
            assert_eq!(out, (30..500).map(|i| i as f32).collect::<Vec<_>>(), "block {block}");
        }
    }

    #[test]
    fn a_stream_that_ends_early_loses_only_the_delay() {
        assert_eq!(trimmed(Trim::new(30, Some(60), 10), 50, 7).len(), 20);
        assert_eq!(trimmed(Trim::new(30, None, 0), 50, 7).len(), 20);
        assert!(trimmed(Trim::new(30, Some(60), 10), 20, 7).is_empty());
    }
}
