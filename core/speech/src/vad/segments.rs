//! Finds the segments of a whole recording.

use std::ops::Range;
use std::sync::Arc;

use sotto_runtime::{CancelToken, Cancelled};

use super::detector::Detector;
use super::endpointer::{Decision, Endpointer};
use super::hindsight::Hindsight;
use super::options::VadOptions;
use super::stream::VadStream;

const SAMPLES_PER_MS: usize = 16;

/// Samples between two polls of the cancellation token: one second.
const BLOCK: usize = 16_000;

/// The segments of speech in 16 kHz mono `samples`, padded, in order, without overlap: as Silero's
/// `get_speech_timestamps` returns them for the same options, without those at the beginning that the detector takes
/// back ([`Detector::settles`]).
///
/// # Errors
/// [`Cancelled`] when `cancel` fires; it is polled once per second of audio.
pub fn speech_segments<D: Detector + ?Sized>(
    vad: &Arc<D>,
    samples: &[f32],
    options: &VadOptions,
    cancel: &CancelToken,
) -> Result<Vec<Range<usize>>, Cancelled> {
    let mut finder = SegmentFinder::new(vad, options);
    let mut segments = Vec::new();
    for block in samples.chunks(BLOCK) {
        cancel.check()?;
        segments.extend(finder.push(block));
    }
    segments.extend(finder.finish());
    Ok(segments)
}

/// Finds the segments of a recording while it is read: the same as [`speech_segments`], for pieces of any size, each as
/// soon as the next one is known. Memory does not grow with the recording.
#[derive(Debug)]
pub struct SegmentFinder {
    stream: VadStream,
    endpointer: Endpointer,
    hindsight: Hindsight,
    padding: Padding,
    heard: usize,
}

impl SegmentFinder {
    /// A finder at the beginning of a recording.
    #[must_use]
    pub fn new<D: Detector + ?Sized>(vad: &Arc<D>, options: &VadOptions) -> Self {
        let (endpointer, padding) = (Endpointer::new(options), Padding::new(options));
        let hindsight = Hindsight::new(vad.settles(), options.threshold);
        Self { stream: VadStream::new(vad), endpointer, hindsight, padding, heard: 0 }
    }

    /// Processes 16 kHz mono samples and returns the segments that they decide, in order.
    pub fn push(&mut self, samples: &[f32]) -> Vec<Range<usize>> {
        let mut segments = Vec::new();
        let Self { stream, endpointer, hindsight, padding, heard } = self;
        *heard += samples.len();
        stream.push_steps(samples, |probability, step, state| {
            hindsight.hear(step, probability);
            endpointer.step(probability, |decision| {
                if let Some(speech) = decision.ended().filter(|speech| hindsight.is_speech(speech, state)) {
                    segments.extend(padding.take(speech));
                }
            });
        });
        segments
    }

    /// The segments that the end of the recording decides.
    #[must_use]
    pub fn finish(self) -> Vec<Range<usize>> {
        let mut segments = Vec::new();
        let Self { mut stream, mut endpointer, mut hindsight, mut padding, heard } = self;
        let mut ended = Vec::new();
        if let Some((probability, step)) = stream.last_step() {
            hindsight.hear(step, probability);
            endpointer.step(probability, |decision| ended.extend(decision.ended()));
        }
        endpointer.finish(heard, |decision| ended.extend(decision.ended()));
        for speech in ended.into_iter().filter(|speech| hindsight.is_speech(speech, stream.state())) {
            segments.extend(padding.take(speech));
        }
        segments.extend(padding.finish(heard));
        segments
    }
}

/// The segments of a recording of `length` samples, given one probability per [`STEP`](super::STEP) samples. None is
/// judged again ([`Detector::settles`]), which takes the samples: see [`speech_segments`].
#[must_use]
pub fn segments_of(probabilities: &[f32], length: usize, options: &VadOptions) -> Vec<Range<usize>> {
    let mut segments = Vec::new();
    let mut padding = Padding::new(options);
    let mut collect = |decision: Decision| segments.extend(decision.ended().and_then(|speech| padding.take(speech)));
    let mut endpointer = Endpointer::new(options);
    for &probability in probabilities {
        endpointer.step(probability, &mut collect);
    }
    endpointer.finish(length, &mut collect);
    segments.extend(padding.finish(length));
    segments
}

/// Extends each segment by `pad` samples, or by half of the pause if two would meet.
#[derive(Debug)]
struct Padding {
    pad: usize,
    /// The last segment; its end depends on the pause after it.
    last: Option<Range<usize>>,
}

impl Padding {
    fn new(options: &VadOptions) -> Self {
        Self { pad: options.speech_pad_ms as usize * SAMPLES_PER_MS, last: None }
    }

    /// Adds a segment that has ended and returns the one before it, whose end is then final.
    fn take(&mut self, Range { start, end }: Range<usize>) -> Option<Range<usize>> {
        let Some(last) = self.last.take() else {
            self.last = Some(start.saturating_sub(self.pad)..end);
            return None;
        };
        let pause = start.saturating_sub(last.end);
        let widen = if pause < 2 * self.pad { pause / 2 } else { self.pad };
        self.last = Some(start - widen..end);
        Some(last.start..last.end + widen)
    }

    /// The last segment of a recording of `length` samples.
    fn finish(self, length: usize) -> Option<Range<usize>> {
        self.last.map(|last| last.start..length.min(last.end + self.pad))
    }
}
