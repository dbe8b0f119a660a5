//! Speech that a window's text leaves out: Whisper ends its text early, most often at a pause between two speakers.
//!
//! The words of a text attend to their audio: in the alignment heads each encoder state gets about a twentieth of a
//! word's attention, and skipped speech gets almost none. A stretch that sounds like a voice and gets less than 0.15 of
//! the text's strongest attention is unheard. Cost: a pass over the window's features.

use std::ops::Range;

/// Mel frames per encoder state.
const FRAMES: usize = 2;

// Half a second: attention jumps from word to word.
const SMOOTH: usize = 25;

// Fraction of the text's strongest attention below which speech counts as skipped. Heard speech gets a quarter or more,
// skipped speech a tenth.
const LITTLE: f32 = 0.15;

// Half a second of voice; shorter sounds are breath, a cough, or the end of a word.
const SHORTEST: usize = 25;

// Two tenths of a second; pauses inside a word are shorter.
const PAUSE: usize = 10;

/// A stretch of voice that no word attends to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gap {
    /// Encoder states of the gap.
    pub(crate) states: Range<usize>,
    /// Whether the text attends to nothing after it.
    pub(crate) behind_all: bool,
}

/// The gaps of a window's text in order. `values` are the window's normalised features, `[frames, mels]`; `attention`
/// covers the encoder states with audio.
pub(crate) fn unheard(values: &[f32], mels: usize, attention: &[f32]) -> Vec<Gap> {
    let loudness = loudness(values, mels, attention.len());
    let voiced = voiced(&loudness);
    let attended = attended(attention, PAUSE);
    let skipped = |state: usize| !attended[state];
    let mut stretches: Vec<Range<usize>> = Vec::new();
    for state in (0..attended.len()).filter(|&state| voiced[state] && skipped(state)) {
        match stretches.last_mut() {
            // Only attended speech ends a stretch; a pause does not.
            Some(last) if (last.end..state).all(|between| !voiced[between] || skipped(between)) => last.end = state + 1,
            _ => stretches.push(state..state + 1),
        }
    }
    let voice = |stretch: &Range<usize>| stretch.clone().filter(|&state| voiced[state]).count();
    stretches.retain(|stretch| voice(stretch) >= SHORTEST);
    let last_heard = (0..attended.len()).rev().find(|&state| voiced[state] && attended[state]).unwrap_or(0);
    let gap = |stretch: Range<usize>| {
        let start = quietest(&loudness, stretch.start, SMOOTH);
        let behind_all = stretch.end > last_heard;
        let end = if behind_all { stretch.end } else { quietest(&loudness, stretch.end, SMOOTH / 2).max(start + 1) };
        Gap { states: start..end, behind_all }
    };
    stretches.into_iter().map(gap).collect()
}

/// Which states the words of a text attend to. Gaps shorter than `shortest` states count as attended.
pub(crate) fn attended(attention: &[f32], shortest: usize) -> Vec<bool> {
    let smooth = smoothed(attention);
    let little = LITTLE * percentile(&smooth, 95);
    let mut attended: Vec<bool> = smooth.iter().map(|&paid| paid > little).collect();
    let mut at = 0;
    while at < attended.len() {
        let run = attended[at..].iter().take_while(|&&attends| !attends).count();
        if run < shortest {
            attended[at..at + run].fill(true);
        }
        at += run.max(1);
    }
    attended
}

/// Whether the features are digital silence, in which all bands are equal. Whisper writes "you" for it.
pub(crate) fn is_silent(values: &[f32]) -> bool {
    let (least, most) =
        values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(least, most), &x| (least.min(x), most.max(x)));
    // In decibels: even the softest noise differs more between its bands.
    (most - least) * DECIBELS < 2.0
}

// Decibels per unit of normalised features, which are a quarter of the decimal logarithm of energy.
const DECIBELS: f32 = 40.0;

/// Mean over the mel bands of each state's energy, in decibels.
fn loudness(values: &[f32], mels: usize, states: usize) -> Vec<f32> {
    let state = |frames: &[f32]| frames.iter().sum::<f32>() / frames.len() as f32 * DECIBELS;
    let mut levels: Vec<f32> = values.chunks(mels * FRAMES).take(states).map(state).collect();
    levels.resize(states, f32::NEG_INFINITY);
    levels
}

/// Which states are well above the quietest ones, without clicks.
fn voiced(loudness: &[f32]) -> Vec<bool> {
    let (floor, top) = (percentile(loudness, 5), percentile(loudness, 95));
    let threshold = (floor + 6.0).max(top - 25.0);
    let mut voiced: Vec<bool> = loudness.iter().map(|&level| level > threshold).collect();
    // 60 ms: clicks.
    let mut at = 0;
    while at < voiced.len() {
        let run = voiced[at..].iter().take_while(|&&voice| voice).count();
        if run > 0 && run < 3 {
            voiced[at..at + run].fill(false);
        }
        at += run.max(1);
    }
    voiced
}

/// Mean over half a second around each value.
fn smoothed(values: &[f32]) -> Vec<f32> {
    let half = SMOOTH / 2;
    let mean = |at: usize| {
        let around = &values[at.saturating_sub(half)..(at + half + 1).min(values.len())];
        around.iter().sum::<f32>() / around.len() as f32
    };
    (0..values.len()).map(mean).collect()
}

/// The quietest position within `around` states of `at`, so that no word is cut in the middle.
fn quietest(loudness: &[f32], at: usize, around: usize) -> usize {
    let from = at.saturating_sub(around);
    let window = from..(at + PAUSE / 2 + 1).min(loudness.len());
    let mean = |state: usize| loudness[state.saturating_sub(2)..(state + 3).min(loudness.len())].iter().sum::<f32>();
    // The last of equal ones: the least silence before the speech.
    window.reduce(|best, state| if mean(state) <= mean(best) { state } else { best }).unwrap_or(at)
}

fn percentile(values: &[f32], percent: usize) -> f32 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f32::total_cmp);
    sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1))).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MELS: usize = 4;

    /// Features of `states` states that are loud in `voice`, and attention only in `heard`.
    fn window(states: usize, voice: &[(usize, usize)], heard: &[(usize, usize)]) -> (Vec<f32>, Vec<f32>) {
        let inside =
            |ranges: &[(usize, usize)], state: usize| ranges.iter().any(|range| (range.0..range.1).contains(&state));
        let level = |state: usize| if inside(voice, state) { 0.5 } else { -1.0 };
        let values = (0..states).flat_map(|state| vec![level(state); MELS * FRAMES]).collect();
        let attention = (0..states).map(|state| if inside(heard, state) { 0.05 } else { 0.001 }).collect();
        (values, attention)
    }

    #[test]
    fn speech_behind_a_pause_that_no_word_attends_to_is_a_gap_behind_all() {
        let (values, attention) = window(600, &[(50, 250), (350, 500)], &[(50, 250)]);
        let gaps = unheard(&values, MELS, &attention);
        assert_eq!(gaps.len(), 1, "{gaps:?}");
        assert!(gaps[0].behind_all && (250..=350).contains(&gaps[0].states.start), "{gaps:?}");
        assert!((490..=500).contains(&gaps[0].states.end), "{gaps:?}");
    }

    #[test]
    fn speech_between_two_that_are_heard_is_a_gap_of_its_own() {
        let (values, attention) = window(700, &[(0, 150), (200, 350), (400, 600)], &[(0, 150), (400, 600)]);
        let gaps = unheard(&values, MELS, &attention);
        assert_eq!(gaps.len(), 1, "{gaps:?}");
        assert!(!gaps[0].behind_all && gaps[0].states.start >= 150 && gaps[0].states.end <= 400, "{gaps:?}");
    }

    #[test]
    fn what_is_heard_short_or_silent_is_no_gap() {
        for (voice, heard) in [
            (vec![(0, 300)], vec![(0, 300)]),
            // A cough.
            (vec![(0, 200), (300, 315)], vec![(0, 200)]),
            // Silence behind the text.
            (vec![(0, 200)], vec![(0, 200)]),
        ] {
            let (values, attention) = window(500, &voice, &heard);
            assert_eq!(unheard(&values, MELS, &attention), [], "{voice:?}");
        }
        assert_eq!(unheard(&[], MELS, &[]), []);
    }

    #[test]
    fn digital_silence_is_told_from_the_softest_noise() {
        assert!(is_silent(&[-1.5; 320]));
        let noise: Vec<f32> = (0..320).map(|i| -1.5 + (i * 7919 % 13) as f32 * 0.01).collect();
        assert!(!is_silent(&noise));
    }
}
