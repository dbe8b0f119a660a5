//! What the convolutions made of the last window: a live stream encodes most of its frames again and again.

use std::ops::Range;

/// Frames of a window, and the states that both convolutions made of them.
///
/// A state depends on five frames and on nothing else. Where these are as in the last window, so is the state, bit for
/// bit: in a live stream, most of them.
#[derive(Debug, Default)]
pub(super) struct Convolved {
    /// `[frames, mels]`.
    features: Vec<f32>,
    /// `[states, width]`, with their positions.
    states: Vec<f32>,
}

impl Convolved {
    /// The states among `rows` that depend on frames that have changed: from the first to the last one.
    pub(super) fn changed(&self, features: &[f32], mels: usize, rows: &Range<usize>) -> Range<usize> {
        // State `i` depends on the frames from `2 i - 2` to `2 i + 2`; behind the last one there is none, not silence.
        let frames = (2 * rows.start).saturating_sub(2)..2 * rows.end + 1;
        let differs = |&index: &usize| {
            let frame = index * mels..(index + 1) * mels;
            self.features.get(frame.clone()) != features.get(frame)
        };
        match (frames.clone().find(differs), frames.rev().find(differs)) {
            (Some(first), Some(last)) => (first.saturating_sub(1) / 2).max(rows.start)..(last / 2 + 2).min(rows.end),
            _ => rows.start..rows.start,
        }
    }

    /// Writes the states of `rows`, which have not changed.
    pub(super) fn write(&self, rows: Range<usize>, width: usize, out: &mut [f32]) {
        // An empty range may lie behind what is kept.
        if !rows.is_empty() {
            out.copy_from_slice(&self.states[rows.start * width..rows.end * width]);
        }
    }

    /// Keeps the states of `features`.
    pub(super) fn keep(&mut self, features: &[f32], states: &[f32]) {
        self.features.clear();
        self.features.extend_from_slice(features);
        self.states.clear();
        self.states.extend_from_slice(states);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MELS: usize = 2;

    /// The sum of five frames, as far as there are so many.
    fn convolve(features: &[f32]) -> Vec<f32> {
        let frames: Vec<f32> = features.chunks_exact(MELS).map(|frame| frame.iter().sum()).collect();
        let state = |i: usize| frames[(2 * i).saturating_sub(2)..frames.len().min(2 * i + 3)].iter().sum();
        (0..frames.len().div_ceil(2)).map(state).collect()
    }

    proptest! {
        #[test]
        fn every_state_is_what_it_would_be_without_the_last_window(
            windows in proptest::collection::vec(proptest::collection::vec(0_u8..2, 0..24), 1..6),
            block in 1_usize..5,
        ) {
            let mut convolved = Convolved::default();
            for window in &windows {
                let features: Vec<f32> = window.iter().flat_map(|&value| [f32::from(value), 1.0]).collect();
                let expected = convolve(&features);
                let mut states = vec![f32::NAN; expected.len()];
                for (start, states) in (0..).step_by(block).zip(states.chunks_mut(block)) {
                    let rows = start..start + states.len();
                    let new = convolved.changed(&features, MELS, &rows);
                    prop_assert!(rows.start <= new.start && new.start <= new.end && new.end <= rows.end);
                    let (before, rest) = states.split_at_mut(new.start - start);
                    let (out, behind) = rest.split_at_mut(new.len());
                    convolved.write(start..new.start, 1, before);
                    convolved.write(new.end..rows.end, 1, behind);
                    out.copy_from_slice(&expected[new]);
                }
                prop_assert_eq!(&states, &expected);
                convolved.keep(&features, &states);
            }
        }
    }

    #[test]
    fn a_frame_changes_the_states_next_to_it_and_no_others() {
        let window =
            |changed: usize| (0..40).map(|i| if i / MELS == changed { 1.0 } else { 0.0 }).collect::<Vec<f32>>();
        let mut convolved = Convolved::default();
        let old = window(usize::MAX);
        assert_eq!(convolved.changed(&old, MELS, &(0..10)), 0..10, "nothing is known yet");
        convolved.keep(&old, &convolve(&old));
        assert_eq!(convolved.changed(&old, MELS, &(0..10)), 0..0);
        for (frame, states) in [(0, 0..2), (1, 0..2), (2, 0..3), (9, 4..6), (10, 4..7), (19, 9..10)] {
            assert_eq!(convolved.changed(&window(frame), MELS, &(0..10)), states, "frame {frame}");
        }
        // A longer window: the last states had nothing behind them.
        assert_eq!(convolved.changed(&[old.as_slice(), &[0.0; 8]].concat(), MELS, &(0..12)), 9..12);
    }
}
