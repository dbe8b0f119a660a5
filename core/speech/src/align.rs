//! Word timestamps: the decoder's cross-attention says when each token was heard (openai/whisper `timing.py`).
//!
//! One more decoder pass over the finished text records the attention of the alignment heads; it is standardised,
//! smoothed by a median filter and followed by dynamic time warping. Times are multiples of 20 ms.

use sotto_kernels::softmax;
use sotto_runtime::Cancelled;

use crate::model::{CrossCache, Recording};
use crate::transcript::{Segment, Word};
use crate::window::WindowDecoder;

/// Seconds per encoder state.
pub(crate) const STATE_SECONDS: f64 = 0.02;

// Width of the median filter over time, as the reference's `medfilt_width`.
const FILTER: usize = 7;

const PREPENDED: &str = "\"'“¿([{-";
const APPENDED: &str = "\"'.。,，!！?？:：”)]}、";
const SENTENCE_ENDS: &str = ".。!！?？";

/// A word with its tokens and its times from the start of the window.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Timed {
    pub(crate) text: String,
    pub(crate) tokens: Vec<u32>,
    pub(crate) start: f64,
    pub(crate) end: f64,
    pub(crate) probability: f32,
}

/// Words of `tokens` with their times, punctuation joined to them.
///
/// `states` is the number of encoder states that hold audio.
pub(crate) fn timed_words(
    window: &mut WindowDecoder<'_>,
    audio: &CrossCache,
    states: usize,
    tokens: &[u32],
) -> Result<Vec<Timed>, Cancelled> {
    let eot = window.model.tokenizer.special().eot;
    let text: Vec<u32> = tokens.iter().copied().filter(|&token| token < eot).collect();
    let mut words = align(window, audio, states, &text)?;
    let limit = median_duration(&words).min(0.7) * 2.0;
    shorten_at_sentence_ends(&mut words, limit);
    merge_punctuation(&mut words);
    shorten_after_silence(&mut words, limit);
    words.retain(|word| !word.tokens.is_empty());
    Ok(words)
}

/// Fills in the words of the segments of one window.
///
/// `states` is the number of encoder states that hold audio, `offset` the window's start in seconds, `last_end` the
/// end of the speech before it. Segment bounds are moved to their first and last word, as the reference does.
pub(crate) fn add_words(
    window: &mut WindowDecoder<'_>,
    audio: &CrossCache,
    states: usize,
    segments: &mut [Segment],
    offset: f64,
    last_end: f64,
) -> Result<(), Cancelled> {
    let eot = window.model.tokenizer.special().eot;
    let per_segment: Vec<Vec<u32>> =
        segments.iter().map(|segment| segment.tokens.iter().copied().filter(|&token| token < eot).collect()).collect();
    let text: Vec<u32> = per_segment.concat();
    let mut words = align(window, audio, states, &text)?;
    let median = median_duration(&words).min(0.7);
    shorten_at_sentence_ends(&mut words, median * 2.0);
    merge_punctuation(&mut words);
    let mut words = words.into_iter();
    let mut last_end = last_end;
    for (segment, tokens) in segments.iter_mut().zip(&per_segment) {
        let mut taken = 0;
        while taken < tokens.len() {
            let Some(word) = words.next() else { break };
            taken += word.tokens.len();
            if !word.text.is_empty() {
                let time = |seconds: f64| ((offset + seconds) * 100.0).round() / 100.0;
                let (start, end) = (time(word.start), time(word.end));
                segment.words.push(Word { start, end, text: word.text, probability: word.probability });
            }
        }
        settle_bounds(segment, median, last_end);
        in_order(segment, last_end);
        last_end = if segment.words.is_empty() { last_end } else { segment.end };
    }
    Ok(())
}

/// Words of `text` (text tokens only) with the times at which the alignment heads heard them.
fn align(
    window: &mut WindowDecoder<'_>,
    audio: &CrossCache,
    states: usize,
    text: &[u32],
) -> Result<Vec<Timed>, Cancelled> {
    let tokenizer = &window.model.tokenizer;
    let special = tokenizer.special();
    let start = window.sot_sequence(false);
    let room = window.model.dimensions.text_context.saturating_sub(start.len() + 1);
    let (text, beyond) = text.split_at(text.len().min(room));
    if text.is_empty() || states == 0 {
        return Ok(Vec::new());
    }
    let tokens: Vec<u32> = start.iter().chain(text).copied().chain([special.eot]).collect();
    let (weights, probabilities) = attend(window, audio, &tokens, start.len(), text)?;
    let matrix = attention_matrix(weights, tokens.len(), states);
    // From the last start token, which predicts the first word, to the last text token.
    let rows = &matrix[(start.len() - 1) * states..(tokens.len() - 1) * states];
    let starts = token_starts(rows, states);
    let with_end: Vec<u32> = text.iter().copied().chain([special.eot]).collect();
    let (words, word_tokens) = tokenizer.split_to_word_tokens(&with_end, Some(window.language()));
    let mut first = 0;
    let mut timed = Vec::with_capacity(words.len());
    // The last "word" is the end of the text.
    let spoken = word_tokens.len().saturating_sub(1);
    for (text, tokens) in words.into_iter().zip(word_tokens).take(spoken) {
        let next = first + tokens.len();
        let probability = probabilities[first..next].iter().sum::<f32>() / tokens.len().max(1) as f32;
        timed.push(Timed { text, tokens, start: starts[first], end: starts[next], probability });
        first = next;
    }
    // A text that fills the decoder's context to the last token cannot be heard again as a whole: its end has no times.
    if !beyond.is_empty() {
        let end = starts[first];
        timed.push(Timed {
            text: tokenizer.decode(beyond),
            tokens: beyond.to_vec(),
            start: end,
            end,
            probability: 0.0,
        });
    }
    Ok(timed)
}

/// Tokens whose logits are computed at a time: each block reads the vocabulary's matrix once, and holds 3 MB of logits with
/// 50,000 tokens. The memory of a transcription counts them.
pub(crate) const PROJECTED_ROWS: usize = 16;

/// Attention of the alignment heads for every token, and the probability of every text token.
fn attend(
    window: &mut WindowDecoder<'_>,
    audio: &CrossCache,
    tokens: &[u32],
    first: usize,
    text: &[u32],
) -> Result<(Vec<Vec<f32>>, Vec<f32>), Cancelled> {
    let (model, cancel) = (window.model, window.cancel);
    let mut recording = Recording::new(&model.alignment_heads);
    let mut inference = window.inference(audio.clone());
    inference.record(tokens, &mut recording)?;
    let eot = model.tokenizer.special().eot as usize;
    let mut probabilities = Vec::with_capacity(text.len());
    let rows: Vec<usize> = (first - 1..first - 1 + text.len()).collect();
    for (rows, tokens) in rows.chunks(PROJECTED_ROWS).zip(text.chunks(PROJECTED_ROWS)) {
        cancel.check()?;
        let logits = inference.logits(rows);
        let vocabulary = logits.len() / rows.len();
        for (logits, &token) in logits.chunks_exact_mut(vocabulary).zip(tokens) {
            softmax(&mut logits[..eot]);
            probabilities.push(logits[token as usize]);
        }
    }
    Ok((recording.weights, probabilities))
}

/// Mean over the heads of their standardised, smoothed attention, `[tokens, states]`.
fn attention_matrix(heads: Vec<Vec<f32>>, tokens: usize, states: usize) -> Vec<f32> {
    let count = heads.len() as f32;
    let mut matrix = vec![0.0; tokens * states];
    for head in heads {
        let full = head.len() / tokens;
        // Attention to the padding behind the audio is left out, the rest sums to one again.
        let mut kept: Vec<f32> = head
            .chunks_exact(full)
            .flat_map(|row| {
                let total: f32 = row[..states].iter().sum::<f32>().max(f32::MIN_POSITIVE);
                row[..states].iter().map(move |weight| weight / total)
            })
            .collect();
        standardise_columns(&mut kept, tokens, states);
        for (row, out) in kept.chunks_exact(states).zip(matrix.chunks_exact_mut(states)) {
            for (out, value) in out.iter_mut().zip(median_filter(row)) {
                *out += value / count;
            }
        }
    }
    matrix
}

/// Zero mean, unit variance over the tokens at each state.
fn standardise_columns(values: &mut [f32], tokens: usize, states: usize) {
    for state in 0..states {
        let column = (0..tokens).map(|token| f64::from(values[token * states + state]));
        let mean = column.clone().sum::<f64>() / tokens as f64;
        let deviation = (column.map(|x| (x - mean) * (x - mean)).sum::<f64>() / tokens as f64).sqrt();
        for token in 0..tokens {
            let value = &mut values[token * states + state];
            *value = if deviation > 0.0 { ((f64::from(*value) - mean) / deviation) as f32 } else { 0.0 };
        }
    }
}

/// Median over seven states, mirrored at the ends; rows shorter than the mirror pass unchanged.
fn median_filter(row: &[f32]) -> Vec<f32> {
    let half = FILTER / 2;
    if row.len() <= half {
        return row.to_vec();
    }
    let last = row.len() as isize - 1;
    let mirrored = |index: isize| {
        let index = if index < 0 { -index } else { index };
        row[(if index > last { 2 * last - index } else { index }) as usize]
    };
    (0..=last)
        .map(|centre| {
            let mut values: [f32; FILTER] = std::array::from_fn(|tap| mirrored(centre + tap as isize - half as isize));
            values.sort_by(f32::total_cmp);
            values[half]
        })
        .collect()
}

/// Start of every token in seconds by dynamic time warping over `[tokens, states]`, monotonic.
fn token_starts(matrix: &[f32], states: usize) -> Vec<f64> {
    let tokens = matrix.len() / states;
    let width = states + 1;
    let mut cost = vec![f32::INFINITY; (tokens + 1) * width];
    // 0: both advance, 1: the token advances, 2: the state advances.
    let mut trace = vec![2u8; (tokens + 1) * width];
    trace[..width].fill(2);
    cost[0] = 0.0;
    for token in 1..=tokens {
        trace[token * width] = 1;
        for state in 1..=states {
            let at = token * width + state;
            let (both, up, left) = (cost[at - width - 1], cost[at - width], cost[at - 1]);
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
    let mut starts = vec![0.0; tokens];
    let (mut token, mut state) = (tokens, states);
    while token > 0 || state > 0 {
        if token > 0 {
            // Walking backwards: the last write is the first state of the token.
            starts[token - 1] = state.saturating_sub(1) as f64 * STATE_SECONDS;
        }
        match trace[token * width + state] {
            0 => (token, state) = (token - 1, state - 1),
            1 => token -= 1,
            _ => state -= 1,
        }
    }
    starts
}

fn median_duration(words: &[Timed]) -> f64 {
    let mut durations: Vec<f64> = words.iter().map(|word| word.end - word.start).filter(|&d| d != 0.0).collect();
    durations.sort_by(f64::total_cmp);
    let middle = durations.len() / 2;
    match durations.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => durations[middle],
        _ => (durations[middle - 1] + durations[middle]) / 2.0,
    }
}

/// A pause after a sentence is not part of a word: words next to a full stop are at most `limit` long.
fn shorten_at_sentence_ends(words: &mut [Timed], limit: f64) {
    let is_end = |text: &str| !text.is_empty() && SENTENCE_ENDS.contains(text);
    if limit <= 0.0 {
        return;
    }
    for index in 1..words.len() {
        if words[index].end - words[index].start > limit {
            if is_end(&words[index].text) {
                words[index].end = words[index].start + limit;
            } else if is_end(&words[index - 1].text) {
                words[index].start = words[index].end - limit;
            }
        }
    }
}

/// Time warping gives the first word all the silence before it; the rule is that of [`settle_bounds`].
fn shorten_after_silence(words: &mut [Timed], limit: f64) {
    if let Some(first) = words.iter_mut().find(|word| !word.tokens.is_empty())
        && first.end > limit * 2.0
        && first.end - first.start > limit
    {
        first.start = first.end - limit;
    }
}

/// Joins opening punctuation to the word behind it and closing punctuation to the word before it.
fn merge_punctuation(words: &mut [Timed]) {
    let mut following = words.len().saturating_sub(1);
    for previous in (0..following).rev() {
        let text = &words[previous].text;
        if text.starts_with(' ') && PREPENDED.contains(text.trim()) {
            let (left, right) = words.split_at_mut(following);
            right[0].text.insert_str(0, &left[previous].text);
            let moved = std::mem::take(&mut left[previous].tokens);
            right[0].tokens.splice(0..0, moved);
            left[previous].text.clear();
        } else {
            following = previous;
        }
    }
    let mut previous = 0;
    for following in 1..words.len() {
        let (left, right) = words.split_at_mut(following);
        let (before, word) = (&mut left[previous], &mut right[0]);
        // A word emptied above counts as joined: what follows it belongs to the word before.
        if !before.text.ends_with(' ') && APPENDED.contains(word.text.as_str()) {
            before.text.push_str(&word.text);
            before.tokens.append(&mut word.tokens);
            word.text.clear();
        } else {
            previous = following;
        }
    }
}

/// Fits the segment's bounds and its outer words to each other.
///
/// A word after a long pause is not allowed to fill it; where segment and word disagree by more than half a second
/// the segment's own timestamp is believed.
fn settle_bounds(segment: &mut Segment, median: f64, last_end: f64) {
    let limit = median * 2.0;
    let words = &mut segment.words;
    let (Some(first), Some(last)) = (words.first().cloned(), words.last().cloned()) else { return };
    let second = words.get(1).cloned();
    let too_long =
        first.end - first.start > limit || second.as_ref().is_some_and(|s| s.end - first.start > limit * 2.0);
    if first.end - last_end > median * 4.0 && too_long {
        if let Some(second) = second.filter(|second| second.end - second.start > limit) {
            let boundary = (second.end / 2.0).max(second.end - limit);
            (words[0].end, words[1].start) = (boundary, boundary);
        }
        words[0].start = (words[0].end - limit).max(0.0);
    }
    let first = &mut words[0];
    if segment.start < first.end && segment.start - 0.5 > first.start {
        first.start = (first.end - median).min(segment.start).max(0.0);
    } else {
        segment.start = first.start;
    }
    let count = words.len();
    let final_word = &mut words[count - 1];
    if segment.end > final_word.start && segment.end + 0.5 < last.end {
        final_word.end = (final_word.start + median).max(segment.end);
    } else {
        segment.end = final_word.end;
    }
}

/// The rules above move single bounds; afterwards no word may begin before `from` or before the end of the last one, and
/// all lie inside the segment.
fn in_order(segment: &mut Segment, from: f64) {
    let mut last = from;
    for word in &mut segment.words {
        word.start = word.start.max(last);
        word.end = word.end.max(word.start);
        last = word.end;
    }
    if let (Some(first), Some(last)) = (segment.words.first(), segment.words.last()) {
        segment.start = segment.start.min(first.start);
        segment.end = segment.end.max(last.end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str, start: f64, end: f64) -> Timed {
        Timed { text: text.into(), tokens: vec![1], start, end, probability: 1.0 }
    }

    #[test]
    fn time_warping_follows_the_bright_diagonal() {
        // Three tokens over nine states: each bright for three.
        let matrix: Vec<f32> =
            (0..3).flat_map(|token| (0..9).map(move |state| if state / 3 == token { 1.0 } else { -1.0 })).collect();
        assert_eq!(token_starts(&matrix, 9), [0.0, 0.06, 0.12]);
    }

    #[test]
    fn time_warping_is_monotonic_on_noise() {
        let matrix: Vec<f32> = (0..40 * 25).map(|i| ((i * 7919 % 101) as f32) / 50.0 - 1.0).collect();
        let starts = token_starts(&matrix, 25);
        assert!(starts.windows(2).all(|pair| pair[0] <= pair[1]), "{starts:?}");
        assert!(starts.iter().all(|&start| (0.0..=0.5).contains(&start)));
    }

    #[test]
    fn median_removes_a_spike_and_mirrors_the_ends() {
        let mut row = [1.0; 12];
        row[5] = 9.0;
        assert_eq!(median_filter(&row), [1.0; 12]);
        assert_eq!(median_filter(&[1.0, 2.0]), [1.0, 2.0]);
    }

    #[test]
    fn punctuation_joins_its_word() {
        let mut words = [word(" Yes", 0.0, 0.2), word(",", 0.2, 0.3), word(" \"", 0.3, 0.4), word("no", 0.4, 0.6)];
        merge_punctuation(&mut words);
        let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
        assert_eq!(texts, [" Yes,", "", "", " \"no"]);
        assert_eq!(words.iter().map(|word| word.tokens.len()).collect::<Vec<_>>(), [2, 0, 0, 2]);
    }

    #[test]
    fn silence_before_the_first_word_is_not_part_of_it() {
        let mut words = [word(" So", 0.0, 5.4), word(" long", 5.4, 5.8)];
        shorten_after_silence(&mut words, 0.6);
        assert!((words[0].start - 4.8).abs() < 1e-9 && words[0].end == 5.4, "{words:?}");
    }

    #[test]
    fn words_never_run_backwards() {
        let word = |start, end| Word { start, end, text: " so".into(), probability: 1.0 };
        let words = vec![word(0.8, 1.4), word(1.2, 1.3), word(1.3, 2.2)];
        let mut segment = Segment { start: 1.0, end: 2.0, words, ..Segment::default() };
        in_order(&mut segment, 1.0);
        let times: Vec<_> = segment.words.iter().map(|word| (word.start, word.end)).collect();
        assert_eq!(times, [(1.0, 1.4), (1.4, 1.4), (1.4, 2.2)]);
        assert_eq!((segment.start, segment.end), (1.0, 2.2));
    }

    #[test]
    fn a_pause_before_a_segment_is_not_part_of_its_first_word() {
        let mut segment = Segment {
            start: 5.0,
            end: 6.0,
            words: vec![
                Word { start: 1.0, end: 5.4, text: " So".into(), probability: 1.0 },
                Word { start: 5.4, end: 6.0, text: " long".into(), probability: 1.0 },
            ],
            ..Segment::default()
        };
        settle_bounds(&mut segment, 0.3, 1.0);
        assert!(segment.words[0].start >= 4.8 - 1e-9 && segment.words[0].end == 5.4, "{segment:?}");
    }
}
