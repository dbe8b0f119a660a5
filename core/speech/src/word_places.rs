//! From attention to word times: dynamic time warping over sound, then moves each boundary to a rise of the sound.
//!
//! The attention of the alignment heads shows roughly when each token was spoken (openai/whisper `timing.py`: dynamic
//! time warping). Three corrections turn it into word times, measured against known word times in
//! `tests/real_word_times.rs`:
//!
//! * Pauses are removed before the warping ([`Voice`]), so no word begins or ends in one.
//! * Alignment heads attend to a word too early or too late, by about the same time for each model: its lag.
//! * Each boundary moves to a nearby position where the sound rises most, weighed against the distance.
//!
//! Every word has a positive duration, however many there are. Times are multiples of 10 ms.

use crate::voice_bounds::Voice;

/// Seconds per encoder state.
pub(crate) const STATE_SECONDS: f64 = 0.02;
const FRAME_SECONDS: f64 = STATE_SECONDS / 2.0;

// How far a boundary may move to a rise of the sound, in frames, and the distance that costs as much as half a standard
// deviation of the rise.
const REACH: usize = 10;
const SPREAD: f32 = 5.0;
// No syllable is shorter than 30 ms.
const SHORTEST: usize = 3;
// A pause this long is not inside a word. Sound after it belongs to the next word, if it is not longer than a word: the
// token of a comma attends to the beginning of the next word.
const PAUSE: usize = 25;
const NEIGHBOUR: usize = 80;

/// Attention over the audio, and the words of its rows.
pub(crate) struct Heard<'a> {
    /// `[rows, states]`: one row per text token and one for the end of the text, brighter where the token is heard.
    pub(crate) matrix: &'a [f32],
    pub(crate) states: usize,
    /// Tokens of each word; their sum is the number of text tokens.
    pub(crate) words: &'a [usize],
    /// Delay of the heads in frames of 10 ms.
    pub(crate) lag: isize,
}

/// States of a window with sound; all states if there are too few for `rows` tokens.
pub(crate) fn sounding_states(voice: &Voice, states: usize, rows: usize) -> Vec<usize> {
    let sounding: Vec<usize> =
        (0..states).filter(|&state| voice.sounds(2 * state) || voice.sounds(2 * state + 1)).collect();
    if sounding.len() < rows + rows / 2 { (0..states).collect() } else { sounding }
}

/// Start and end of every word in seconds of the window. `kept` is the state of each column of the matrix.
pub(crate) fn place(heard: &Heard<'_>, kept: &[usize], voice: &Voice) -> Vec<(f64, f64)> {
    let rows = heard.matrix.len() / heard.states.max(1);
    if heard.words.is_empty() || kept.is_empty() || rows == 0 {
        return vec![(0.0, 0.0); heard.words.len()];
    }
    let mut first_rows = Vec::with_capacity(heard.words.len() + 1);
    first_rows.push(0);
    heard.words.iter().for_each(|count| first_rows.push(first_rows[first_rows.len() - 1] + count));
    let mut begins = vec![false; rows];
    first_rows.iter().skip(1).filter(|&&row| row < rows).for_each(|&row| begins[row] = true);
    let starts = token_starts(heard.matrix, heard.states, &begins);
    // Frames of 10 ms instead of states, without pauses.
    let frames: Vec<usize> = kept.iter().flat_map(|state| [2 * state, 2 * state + 1]).collect();
    let at = |row: usize| starts.get(row).map_or(frames.len() as isize, |&state| 2 * state as isize - heard.lag);
    let mut bounds: Vec<usize> =
        first_rows.iter().map(|&row| at(row).clamp(0, frames.len() as isize) as usize).collect();
    bounds[0] = 0;
    let rise: Vec<f32> = frames.iter().map(|&frame| voice.rise(frame)).collect();
    swell(&mut bounds, &rise);
    let spread = spread(&bounds, frames.len());
    let mut words = pieces(heard, &frames, &first_rows, &spread);
    finish_last(&mut words, voice);
    words
}

/// First column of every row by monotonic dynamic time warping. A row that `begins` a word has its own column, if there
/// are enough columns.
fn token_starts(matrix: &[f32], states: usize, begins: &[bool]) -> Vec<usize> {
    let tokens = begins.len();
    let own = begins.iter().filter(|&&begins| begins).count() < states;
    let width = states + 1;
    let mut cost = vec![f32::INFINITY; (tokens + 1) * width];
    // 0: both advance, 1: the token advances, 2: the state advances.
    let mut trace = vec![2u8; (tokens + 1) * width];
    cost[0] = 0.0;
    for token in 1..=tokens {
        trace[token * width] = 1;
        let shares = !(own && begins[token - 1]);
        for state in 1..=states {
            let at = token * width + state;
            let up = if shares { cost[at - width] } else { f32::INFINITY };
            let (both, left) = (cost[at - width - 1], cost[at - 1]);
            let (best, step) = if both < up && both < left {
                (both, 0)
            } else if up < both && up < left {
                (up, 1)
            } else {
                (left, 2)
            };
            cost[at] = best - matrix[(token - 1) * states + state - 1];
            trace[at] = step;
        }
    }
    let mut starts = vec![0; tokens];
    let (mut token, mut state) = (tokens, states);
    while token > 0 || state > 0 {
        if token > 0 {
            // Walking backwards: the last write is the first state of the token.
            starts[token - 1] = state.saturating_sub(1);
        }
        match trace[token * width + state] {
            _ if state == 0 => token -= 1,
            0 => (token, state) = (token - 1, state - 1),
            1 => token -= 1,
            _ => state -= 1,
        }
    }
    starts
}

/// Moves the boundaries after the first to nearby maxima of `rise`, in order and apart from each other.
fn swell(bounds: &mut [usize], rise: &[f32]) {
    let last = rise.len().saturating_sub(1);
    // For each boundary its candidates, their best scores so far, and the candidate before that led there.
    let mut candidates: Vec<(usize, Vec<f32>, Vec<usize>)> = vec![(bounds[0], vec![0.0], vec![0])];
    for &bound in &bounds[1..] {
        let first = bound.saturating_sub(REACH).min(last);
        let places = first..=(bound + REACH).min(last);
        let (before, scores, _) = &candidates[candidates.len() - 1];
        let (mut best, mut best_index, mut reached) = (f32::NEG_INFINITY, 0, 0);
        let (mut next, mut from) = (Vec::with_capacity(2 * REACH + 1), Vec::with_capacity(2 * REACH + 1));
        for place in places {
            while reached < scores.len() && before + reached + SHORTEST <= place {
                if scores[reached] > best {
                    (best, best_index) = (scores[reached], reached);
                }
                reached += 1;
            }
            let away = (place as f32 - bound as f32) / SPREAD;
            next.push(best + rise[place] - away * away / 2.0);
            from.push(best_index);
        }
        candidates.push((first, next, from));
    }
    let Some((_, scores, _)) = candidates.last() else { return };
    let Some(mut index) = (0..scores.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b])) else { return };
    // Too many words for the sound: only their order can be kept.
    if scores[index] == f32::NEG_INFINITY {
        return;
    }
    for (bound, (first, _, from)) in bounds.iter_mut().zip(&candidates).rev() {
        *bound = first + index;
        index = from[index];
    }
}

/// Boundaries in strictly increasing order within `frames`; evenly spaced if there are more boundaries than frames.
fn spread(bounds: &[usize], frames: usize) -> Vec<f64> {
    let words = bounds.len() - 1;
    let least = (frames as f64 / words as f64).min(SHORTEST as f64);
    let mut spread: Vec<f64> = bounds.iter().map(|&bound| bound as f64).collect();
    for index in 1..spread.len() {
        spread[index] = spread[index].max(spread[index - 1] + least);
    }
    let mut limit = frames as f64;
    for bound in spread.iter_mut().rev() {
        *bound = bound.min(limit).max(0.0);
        limit = *bound - least;
    }
    spread
}

/// Words between the boundaries, each in one piece of sound: if a pause divides a word, it keeps the piece that it
/// attends to most.
fn pieces(heard: &Heard<'_>, frames: &[usize], first_rows: &[usize], bounds: &[f64]) -> Vec<(f64, f64)> {
    let rows = heard.matrix.len() / heard.states;
    let mut words: Vec<(f64, f64)> = Vec::with_capacity(heard.words.len());
    // Sound before a pause at the beginning of the next word, or after one at the end of the last.
    let mut moved_start = None;
    for (index, pair) in bounds.windows(2).enumerate() {
        let (first, end) = (pair[0].floor() as usize, (pair[1].ceil() as usize).min(frames.len()));
        let first = first.min(end.saturating_sub(1));
        let cuts = (first + 1..end).filter(|&at| frames[at] - frames[at - 1] > PAUSE);
        let cuts: Vec<usize> = [first].into_iter().chain(cuts).chain([end]).collect();
        let attention = |piece: &[usize]| -> f32 {
            let rows = first_rows[index]..first_rows[index + 1].min(rows);
            let states = piece[0] / 2..piece[1].div_ceil(2).min(heard.states);
            rows.map(|row| heard.matrix[row * heard.states..][states.clone()].iter().map(|x| x.max(0.0)).sum::<f32>())
                .sum()
        };
        let best = (0..cuts.len() - 1)
            .max_by(|&a, &b| attention(&cuts[a..a + 2]).total_cmp(&attention(&cuts[b..b + 2])))
            .unwrap_or_default();
        let (from, to) = (cuts[best], cuts[best + 1]);
        if best > 0
            && cuts[1] - cuts[0] <= NEIGHBOUR
            && let Some((_, end)) = words.last_mut()
            && (*end - frames[first] as f64 * FRAME_SECONDS).abs() < FRAME_SECONDS * 1.5
        {
            *end = (frames[cuts[1] - 1] + 1) as f64 * FRAME_SECONDS;
        }
        // Fractions of frames if there are more words than frames.
        let time = |bound: f64, frame: usize| {
            let inside = bound > frame as f64 && bound < (frame + 1) as f64;
            (frames[frame] as f64 + if inside { bound - frame as f64 } else { 0.0 }) * FRAME_SECONDS
        };
        let mut start = if best == 0 { time(pair[0], from) } else { frames[from] as f64 * FRAME_SECONDS };
        let end = if best == cuts.len() - 2 && pair[1] < (to as f64) {
            time(pair[1], to - 1)
        } else {
            (frames[to.max(1) - 1] + 1) as f64 * FRAME_SECONDS
        };
        if best == 0 {
            start = moved_start.unwrap_or(start);
        }
        moved_start = None;
        if best + 2 < cuts.len() && cuts[cuts.len() - 1] - cuts[cuts.len() - 2] <= NEIGHBOUR {
            moved_start = Some(frames[cuts[cuts.len() - 2]] as f64 * FRAME_SECONDS);
        }
        let start = words.last().map_or(start, |&(_, last)| start.max(last));
        words.push((start, end.max(start)));
    }
    words
}

/// Extends the last word to the end of its sound, if that is near.
fn finish_last(words: &mut [(f64, f64)], voice: &Voice) {
    let Some(&(first, _)) = words.first() else { return };
    if let Some((start, end)) = words.last_mut() {
        let found = voice.bounds(first..*end, first..f64::INFINITY).end;
        *end = if found > *start { found } else { *end };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each of `words` (tokens, first and last state) attends to its own states.
    fn matrix(words: &[(usize, usize, usize)], states: usize) -> (Vec<f32>, Vec<usize>) {
        let mut matrix = Vec::new();
        for &(tokens, from, to) in words {
            for token in 0..tokens {
                let width = (to - from).div_ceil(tokens);
                let own = from + token * width..(from + (token + 1) * width).min(to);
                matrix.extend((0..states).map(|state| if own.contains(&state) { 1.0 } else { -0.2 }));
            }
        }
        // The end of the text attends to nothing in particular.
        matrix.extend(vec![0.0; states]);
        (matrix, words.iter().map(|word| word.0).collect())
    }

    /// Sound in `spans` of frames.
    fn voice(frames: usize, spans: &[(usize, usize)]) -> Voice {
        let level =
            |frame: usize| if spans.iter().any(|span| (span.0..span.1).contains(&frame)) { 1.5f32 } else { -0.5 };
        let features: Vec<f32> = (0..frames).flat_map(|frame| vec![level(frame); 80]).collect();
        Voice::new(&features, 80, frames)
    }

    fn placed(words: &[(usize, usize, usize)], states: usize, voice: &Voice, lag: isize) -> Vec<(f64, f64)> {
        let (full, counts) = matrix(words, states);
        let kept = sounding_states(voice, states, full.len() / states);
        let columns: Vec<f32> =
            full.chunks_exact(states).flat_map(|row| kept.iter().map(|&state| row[state])).collect();
        place(&Heard { matrix: &columns, states: kept.len(), words: &counts, lag }, &kept, voice)
    }

    #[track_caller]
    fn assert_near(found: &[(f64, f64)], expected: &[(f64, f64)]) {
        let near = |a: f64, b: f64| (a - b).abs() <= 0.051;
        let same =
            found.iter().zip(expected).all(|(found, expected)| near(found.0, expected.0) && near(found.1, expected.1));
        assert!(same && found.len() == expected.len(), "{found:?} instead of {expected:?}");
    }

    #[test]
    fn words_lie_where_they_are_attended_to() {
        let voice = voice(200, &[(0, 200)]);
        let found = placed(&[(1, 0, 30), (2, 30, 60), (1, 60, 100)], 100, &voice, 0);
        assert_near(&found, &[(0.0, 0.6), (0.6, 1.2), (1.2, 2.0)]);
    }

    #[test]
    fn pauses_belong_to_no_word() {
        let voice = voice(400, &[(40, 80), (80, 120), (220, 300)]);
        let found = placed(&[(1, 20, 40), (1, 40, 100), (1, 110, 150)], 200, &voice, 0);
        assert_near(&found, &[(0.4, 0.8), (0.8, 1.2), (2.2, 3.0)]);
    }

    #[test]
    fn the_lag_of_the_heads_is_taken_off() {
        let voice = voice(200, &[(0, 200)]);
        let found = placed(&[(1, 5, 35), (1, 35, 65), (1, 65, 100)], 100, &voice, 10);
        assert_near(&found, &[(0.0, 0.6), (0.6, 1.2), (1.2, 2.0)]);
    }

    #[test]
    fn a_noise_before_the_first_word_is_not_part_of_it() {
        let voice = voice(600, &[(20, 60), (400, 480), (480, 550)]);
        let found = placed(&[(1, 200, 240), (1, 240, 275)], 300, &voice, 0);
        assert_near(&found, &[(4.0, 4.8), (4.8, 5.5)]);
    }

    #[test]
    fn every_word_has_a_length_however_many_there_are() {
        for (frames, words) in [(200, 3), (200, 40), (60, 40), (20, 40), (4, 40), (2, 1), (300, 1)] {
            for spans in [vec![(0, frames)], vec![(0, frames / 3), (frames / 2, frames)]] {
                let voice = voice(frames, &spans);
                // All of them attend to the same place.
                let same: Vec<_> = (0..words).map(|_| (1, frames / 4, frames / 4 + 1)).collect();
                for lag in [-7, 0, 9] {
                    let found = placed(&same, frames / 2, &voice, lag);
                    assert_eq!(found.len(), words);
                    assert!(found.iter().all(|word| word.1 > word.0), "{frames} {words} {spans:?}: {found:?}");
                    assert!(found.windows(2).all(|pair| pair[0].1 <= pair[1].0 + 1e-9), "{found:?}");
                    assert!(found.iter().all(|word| word.1 <= frames as f64 / 100.0 + 1e-9), "{found:?}");
                }
            }
        }
    }

    #[test]
    fn time_warping_follows_the_bright_diagonal() {
        // Three tokens over nine states: each bright for three.
        let matrix: Vec<f32> =
            (0..3).flat_map(|token| (0..9).map(move |state| if state / 3 == token { 1.0 } else { -1.0 })).collect();
        assert_eq!(token_starts(&matrix, 9, &[false, true, true]), [0, 3, 6]);
    }

    #[test]
    fn time_warping_is_monotonic_on_noise_and_gives_words_a_state_of_their_own() {
        let matrix: Vec<f32> = (0..40 * 25).map(|i| ((i * 7919 % 101) as f32) / 50.0 - 1.0).collect();
        let starts = token_starts(&matrix, 25, &[false; 40]);
        assert!(
            starts.windows(2).all(|pair| pair[0] <= pair[1]) && starts.iter().all(|&start| start < 25),
            "{starts:?}"
        );
        let begins: Vec<bool> = (0..40).map(|row| row > 0 && row % 2 == 0).collect();
        let starts = token_starts(&matrix, 25, &begins);
        let words: Vec<usize> = starts.iter().step_by(2).copied().collect();
        assert!(words.windows(2).all(|pair| pair[0] < pair[1]), "{words:?}");
    }
}
