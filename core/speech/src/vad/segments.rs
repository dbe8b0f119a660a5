//! Segments of a whole recording.

use std::ops::Range;
use std::sync::Arc;

use sotto_runtime::{CancelToken, Cancelled};

use super::detector::{Detector, STEP};
use super::endpointer::{Decision, Endpointer};
use super::options::VadOptions;
use super::stream::VadStream;

const SAMPLES_PER_MS: usize = 16;

/// Samples between two looks at the cancellation token: one second.
const BLOCK: usize = 16_000;

/// The stretches of speech in 16 kHz mono `samples`, padded, in order, without overlap: what Silero's
/// `get_speech_timestamps` returns for the same options.
///
/// # Errors
/// [`Cancelled`] when `cancel` fires; it is looked at once per second of audio.
pub fn speech_segments<D: Detector + ?Sized>(
    vad: &Arc<D>,
    samples: &[f32],
    options: &VadOptions,
    cancel: &CancelToken,
) -> Result<Vec<Range<usize>>, Cancelled> {
    let mut stream = VadStream::new(vad);
    let mut probabilities = Vec::with_capacity(samples.len().div_ceil(STEP));
    for block in samples.chunks(BLOCK) {
        cancel.check()?;
        stream.push(block, |probability| probabilities.push(probability));
    }
    probabilities.extend(stream.finish());
    Ok(segments_of(&probabilities, samples.len(), options))
}

/// The segments that `probabilities`, one per [`STEP`] samples, make of a recording of `length` samples.
#[must_use]
pub fn segments_of(probabilities: &[f32], length: usize, options: &VadOptions) -> Vec<Range<usize>> {
    let mut segments = Vec::new();
    let mut collect = |decision| {
        if let Decision::Ended { start, end } = decision {
            segments.push(start..end);
        }
    };
    let mut endpointer = Endpointer::new(options);
    for &probability in probabilities {
        endpointer.step(probability, &mut collect);
    }
    endpointer.finish(length, &mut collect);
    pad(&mut segments, length, options.speech_pad_ms as usize * SAMPLES_PER_MS);
    segments
}

/// Widens each segment by `pad` samples, or by half of the pause where two would meet.
fn pad(segments: &mut [Range<usize>], length: usize, pad: usize) {
    if let Some(first) = segments.first_mut() {
        first.start = first.start.saturating_sub(pad);
    }
    for index in 1..segments.len() {
        let pause = segments[index].start.saturating_sub(segments[index - 1].end);
        let widen = if pause < 2 * pad { pause / 2 } else { pad };
        segments[index - 1].end = length.min(segments[index - 1].end + widen);
        segments[index].start -= widen;
    }
    if let Some(last) = segments.last_mut() {
        last.end = length.min(last.end + pad);
    }
}
