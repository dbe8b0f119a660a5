//! Judges speech at the beginning of a stream again, when the detector knows what the surroundings sound like.

use std::ops::Range;

use super::detector::{DetectorState, STEP};
use super::endpointer::Decision;

/// Steps that are kept: three seconds. What ends later is not judged again.
const KEPT: usize = 94;

/// The first steps of a stream, as long as a segment there may turn out to be none.
#[derive(Debug)]
pub(super) struct Hindsight {
    /// Segments that begin before this sample are judged again; 0 once none can be.
    settles: usize,
    threshold: f32,
    steps: Vec<[f32; STEP]>,
    voiced: Vec<bool>,
}

impl Hindsight {
    pub(super) fn new(settles: usize, threshold: f32) -> Self {
        Self { settles, threshold, steps: Vec::new(), voiced: Vec::new() }
    }

    /// Keeps a step and its probability.
    pub(super) fn hear(&mut self, step: &[f32; STEP], probability: f32) {
        if self.settles == 0 {
            return;
        }
        let quiet = self.steps.len() * STEP >= self.settles && !self.voiced.contains(&true);
        if self.steps.len() == KEPT || quiet {
            *self = Self::new(0, self.threshold);
            return;
        }
        self.steps.push(*step);
        self.voiced.push(probability >= self.threshold);
    }

    /// Whether a segment that began at this sample may be judged again.
    pub(super) fn may_judge(&self, start: usize) -> bool {
        start < self.settles
    }

    /// Whether what a decision ends is speech.
    pub(super) fn judges(&mut self, decision: Decision, state: &dyn DetectorState) -> bool {
        decision.ended().is_none_or(|segment| self.is_speech(&segment, state))
    }

    /// Whether the first segment is speech. It is not, where the sound goes on behind it, no softer than half its
    /// power, and for a detector in `state`, which has heard all that, fewer than half of the steps that were speech
    /// still are.
    pub(super) fn is_speech(&mut self, segment: &Range<usize>, state: &dyn DetectorState) -> bool {
        let (begin, end) = (segment.start / STEP, segment.end.div_ceil(STEP));
        if !self.may_judge(segment.start) || end > self.steps.len() {
            return true;
        }
        let Self { steps, voiced, .. } = std::mem::replace(self, Self::new(0, self.threshold));
        if 2.0 * power(&steps[end..]) < power(&steps[begin..end]) {
            return true;
        }
        let mut state = state.duplicate();
        let again: Vec<bool> = steps[..end].iter().map(|step| state.step(step) >= self.threshold).collect();
        let count = |voiced: &[bool]| voiced[begin..end].iter().filter(|voiced| **voiced).count();
        2 * count(&again) >= count(&voiced)
    }
}

/// Mean square of the samples.
fn power(steps: &[[f32; STEP]]) -> f64 {
    let sum: f64 = steps.iter().flatten().map(|sample| f64::from(sample * sample)).sum();
    sum / (steps.len() * STEP).max(1) as f64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sotto_runtime::CancelToken;

    use crate::vad::{Detector, DetectorState, Endpoint, STEP, Segmenter, VadOptions, speech_segments};

    /// Takes every sound for speech, until it has heard so many steps of sound.
    #[derive(Debug, Clone)]
    struct Hasty {
        until: usize,
        heard: usize,
    }

    impl Detector for Hasty {
        fn begin(self: Arc<Self>) -> Box<dyn DetectorState> {
            Box::new(Self { heard: 0, ..*self })
        }

        fn settles(&self) -> usize {
            16_000
        }
    }

    impl DetectorState for Hasty {
        fn step(&mut self, step: &[f32; STEP]) -> f32 {
            let sound = step[0] != 0.0;
            self.heard += usize::from(sound);
            if sound && self.heard <= self.until { 0.9 } else { 0.1 }
        }

        fn reset(&mut self) {
            self.heard = 0;
        }

        fn duplicate(&self) -> Box<dyn DetectorState> {
            Box::new(self.clone())
        }
    }

    /// So many steps of silence, of sound and of silence.
    fn stream(before: usize, sound: usize, behind: usize) -> Vec<f32> {
        let part = |steps: usize, level| std::iter::repeat_n(level, steps * STEP);
        part(before, 0.0).chain(part(sound, 0.1)).chain(part(behind, 0.0)).collect()
    }

    fn endpoints(vad: &Arc<Hasty>, samples: &[f32], piece: usize) -> Vec<Endpoint> {
        let mut segmenter = Segmenter::new(vad, VadOptions::default());
        let mut endpoints: Vec<_> = samples.chunks(piece).flat_map(|piece| segmenter.push(piece)).collect();
        endpoints.extend(segmenter.finish());
        endpoints
    }

    #[test]
    fn a_sound_that_goes_on_is_withdrawn_and_one_that_stops_is_kept() {
        for (until, samples, kept) in [
            (20, stream(0, 60, 0), false),
            (20, stream(5, 60, 40), false),
            // A word, and silence.
            (20, stream(0, 20, 40), true),
            // The end of the recording tells nothing.
            (20, stream(0, 20, 0), true),
            // Behind the first second the surroundings are known.
            (20, stream(40, 60, 0), true),
            // Three seconds are no short sound.
            (100, stream(0, 160, 0), true),
        ] {
            let vad = Arc::new(Hasty { until, heard: 0 });
            let found = speech_segments(&vad, &samples, &VadOptions::default(), &CancelToken::new());
            assert_eq!(found.is_ok_and(|segments| !segments.is_empty()), kept, "{} samples", samples.len());
            for piece in [samples.len(), 1600, 333] {
                let endpoints = endpoints(&vad, &samples, piece);
                assert!(matches!(endpoints[0], Endpoint::Start { .. }), "{endpoints:?}");
                assert_eq!(matches!(endpoints[1], Endpoint::End { .. }), kept, "{endpoints:?}");
            }
        }
    }
}
