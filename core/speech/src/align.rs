//! Word timestamps: the decoder's cross-attention says when each token was heard (openai/whisper `timing.py`).
//!
//! One more decoder pass over the finished text records the attention of the alignment heads; it is standardised,
//! smoothed by a median filter and followed by dynamic time warping. Times are multiples of 20 ms.

use std::ops::Range;

use sotto_kernels::softmax;
use sotto_runtime::Cancelled;
use sotto_text::whisper::WhisperTokenizer;

use crate::model::{CrossCache, Recording};
use crate::transcript::{Segment, Word};
use crate::unheard::attended;
use crate::window::WindowDecoder;

/// Seconds per encoder state.
pub(crate) const STATE_SECONDS: f64 = 0.02;

// Width of the median filter over time, as the reference's `medfilt_width`.
const FILTER: usize = 7;

// Seconds by which attention may jump back without saying again what was said; a word alone may be anywhere.
const AGAIN: f64 = 1.0;

// Seconds within which nobody says one word twice.
const SAME: f64 = 0.1;

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
    /// Where its tokens listen most.
    pub(crate) heard: f64,
    pub(crate) probability: f32,
}

/// What a text hears of its audio.
#[derive(Debug, Default)]
pub(crate) struct Listening {
    /// Its words in order.
    pub(crate) words: Vec<Timed>,
    /// Attention that its words pay to each encoder state, summed over them; marks of punctuation look elsewhere.
    pub(crate) attention: Vec<f32>,
}

impl Listening {
    /// Without the first `tokens` tokens. Of a word that they begin the rest stays: mostly a mark of punctuation, which goes with
    /// the word behind it.
    pub(crate) fn behind(mut self, tokens: usize, tokenizer: &WhisperTokenizer) -> Self {
        let mut left = tokens;
        let mut words: Vec<Timed> = Vec::with_capacity(self.words.len());
        let mut begun: Option<Timed> = None;
        for mut word in self.words {
            if word.tokens.len() <= left {
                left -= word.tokens.len();
                continue;
            }
            if left > 0 {
                word.tokens.drain(..std::mem::take(&mut left));
                word.text = tokenizer.decode(&word.tokens);
                (word.start, word.heard) = (word.end, word.end);
                begun = Some(word);
                continue;
            }
            if let Some(rest) = begun.take() {
                word.text.insert_str(0, &rest.text);
                word.tokens.splice(0..0, rest.tokens);
            }
            words.push(word);
        }
        words.extend(begun);
        self.words = words;
        self
    }

    /// Without what the text says again: from the first words on that listen to what was said before `from` seconds or to what
    /// earlier words listened to, or that are the words that listened there. A word or two alone may listen anywhere.
    pub(crate) fn said_once(mut self, from: f64) -> Self {
        let words = &self.words;
        let letters = |word: &Timed| word.text.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        let mut latest = from;
        // How many words up to this one listen back, and how many are said again.
        let (mut back, mut same, mut cut) = (0, 0, words.len());
        for (index, word) in words.iter().enumerate() {
            let again =
                |earlier: &Timed| (earlier.heard - word.heard).abs() < SAME && letters(earlier) == letters(word);
            let repeated = words[..index].iter().any(again);
            back = if repeated || word.heard < latest - AGAIN { back + 1 } else { 0 };
            same = if repeated { same + 1 } else { 0 };
            if back == 3 || same == 2 {
                cut = index + 1 - back.max(same);
                break;
            }
            latest = latest.max(word.heard);
        }
        self.words.truncate(cut);
        self
    }
}

/// Words of `tokens` with their times, punctuation joined to them, and where they listen.
///
/// `states` is the number of encoder states that hold audio.
pub(crate) fn listen(
    window: &mut WindowDecoder<'_>,
    audio: &CrossCache,
    states: usize,
    tokens: &[u32],
) -> Result<Listening, Cancelled> {
    let eot = window.model.tokenizer.special().eot;
    let text: Vec<u32> = tokens.iter().copied().filter(|&token| token < eot).collect();
    Ok(settled(align(window, audio, states, &text)?))
}

/// As [`listen`], of attention that was recorded while the text was decoded: no further pass. `recorded` begins with the row
/// of the last token in front of the text.
pub(crate) fn listen_to_recorded(
    window: &WindowDecoder<'_>,
    recorded: Recorded,
    states: usize,
    text: &[u32],
    probabilities: &[f32],
) -> Listening {
    // A last token that nothing followed has no row: it and what follows are left to the end.
    let (text, beyond) = text.split_at(text.len().min(recorded.rows.saturating_sub(1)));
    if text.is_empty() || states == 0 {
        return Listening::default();
    }
    settled(warp(window, recorded, states, (text, beyond), probabilities))
}

/// Attention of the alignment heads, `[rows, states]` each.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) weights: Vec<Vec<f32>>,
    pub(crate) rows: usize,
    /// The row that predicts the first token of the text.
    pub(crate) first: usize,
}

impl Recorded {
    /// The rows of a recording from `from` on, of which `first` predicts the first token of the text.
    pub(crate) fn behind(recording: Recording<'_>, from: usize, first: usize) -> Self {
        let Recording { rows, mut weights, .. } = recording;
        for head in &mut weights {
            let states = head.len() / rows.max(1);
            head.drain(..from * states);
        }
        Self { weights, rows: rows.saturating_sub(from), first: first - from }
    }
}

/// Words that are no longer than words are, with their punctuation.
fn settled(Listening { mut words, attention }: Listening) -> Listening {
    let limit = median_duration(&words).min(0.7) * 2.0;
    shorten_at_sentence_ends(&mut words, limit);
    merge_punctuation(&mut words);
    shorten_after_silence(&mut words, limit);
    words.retain(|word| !word.tokens.is_empty());
    Listening { words, attention }
}

/// Fills in the words of the segments of one window.
///
/// `states` is the number of encoder states that hold audio, `offset` the window's start in seconds, `last_end` the
/// end of the speech before it. Segment bounds are moved to their first and last word, as the reference does. Returns
/// the attention of [`Listening`].
pub(crate) fn add_words(
    window: &mut WindowDecoder<'_>,
    audio: &CrossCache,
    states: usize,
    segments: &mut [Segment],
    offset: f64,
    last_end: f64,
) -> Result<Vec<f32>, Cancelled> {
    let eot = window.model.tokenizer.special().eot;
    let per_segment: Vec<Vec<u32>> =
        segments.iter().map(|segment| segment.tokens.iter().copied().filter(|&token| token < eot).collect()).collect();
    let text: Vec<u32> = per_segment.concat();
    let Listening { mut words, attention } = align(window, audio, states, &text)?;
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
    Ok(attention)
}

/// Words of `text` (text tokens only) with the times at which the alignment heads heard them.
fn align(
    window: &mut WindowDecoder<'_>,
    audio: &CrossCache,
    states: usize,
    text: &[u32],
) -> Result<Listening, Cancelled> {
    let tokenizer = &window.model.tokenizer;
    let special = tokenizer.special();
    let start = window.sot_sequence(false);
    let room = window.model.dimensions.text_context.saturating_sub(start.len() + 1);
    let (text, beyond) = text.split_at(text.len().min(room));
    if text.is_empty() || states == 0 {
        return Ok(Listening::default());
    }
    let tokens: Vec<u32> = start.iter().chain(text).copied().chain([special.eot]).collect();
    let (weights, probabilities) = attend(window, audio, &tokens, start.len(), text)?;
    let recorded = Recorded { weights, rows: tokens.len(), first: start.len() - 1 };
    Ok(warp(window, recorded, states, (text, beyond), &probabilities))
}

/// Follows the attention in time. Of the text, `beyond` has none: it stands at the end.
fn warp(
    window: &WindowDecoder<'_>,
    recorded: Recorded,
    states: usize,
    (text, beyond): (&[u32], &[u32]),
    probabilities: &[f32],
) -> Listening {
    let Recorded { weights, rows, first } = recorded;
    let tokenizer = &window.model.tokenizer;
    let attention = attention_of_words(window, &weights, rows, states, first, text);
    let loudest = loudest_states(&weights, rows, states, first..first + text.len());
    let mut matrix = attention_matrix(weights, rows, states);
    // What no word attends to is not the text's: there the standardised attention is noise that would pull words along.
    let attended = attended(&attention);
    for row in matrix.chunks_exact_mut(states) {
        row.iter_mut().zip(&attended).filter(|(_, attended)| !**attended).for_each(|(value, _)| *value = 0.0);
    }
    // From the last start token, which predicts the first word, to the last text token, which predicts the end.
    let starts = token_starts(&matrix[first * states..(first + text.len() + 1) * states], states);
    let with_end: Vec<u32> = text.iter().copied().chain([tokenizer.special().eot]).collect();
    let (words, word_tokens) = tokenizer.split_to_word_tokens(&with_end, Some(window.language()));
    let mut first = 0;
    let mut timed = Vec::with_capacity(words.len());
    // The last "word" is the end of the text.
    let spoken = word_tokens.len().saturating_sub(1);
    for (text, tokens) in words.into_iter().zip(word_tokens).take(spoken) {
        let next = first + tokens.len();
        let probability = probabilities[first..next].iter().sum::<f32>() / tokens.len().max(1) as f32;
        let heard = heard_at(&loudest[first..next]);
        timed.push(Timed { text, tokens, start: starts[first], end: starts[next], heard, probability });
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
            heard: end,
            probability: 0.0,
        });
    }
    Listening { words: timed, attention }
}

/// For each of `tokens`: the state that it attends to most, and how much, mean over the heads.
fn loudest_states(weights: &[Vec<f32>], rows: usize, states: usize, tokens: Range<usize>) -> Vec<(usize, f32)> {
    let loudest = |token: usize| {
        let mut sums = vec![0.0f32; states];
        for head in weights {
            let full = head.len() / rows;
            sums.iter_mut().zip(&head[token * full..]).for_each(|(sum, weight)| *sum += weight);
        }
        let best = (0..states).max_by(|&a, &b| sums[a].total_cmp(&sums[b])).unwrap_or(0);
        (best, sums[best] / weights.len().max(1) as f32)
    };
    tokens.map(loudest).collect()
}

/// Seconds at which the surest token of a word listens.
fn heard_at(tokens: &[(usize, f32)]) -> f64 {
    let surest = tokens.iter().max_by(|a, b| a.1.total_cmp(&b.1));
    surest.map_or(0.0, |&(state, _)| state as f64 * STATE_SECONDS)
}

/// Attention to each state, mean over the heads, summed over the tokens of `text` that have letters or digits. `first` is the
/// row of `weights` that predicts the first of them.
fn attention_of_words(
    window: &WindowDecoder<'_>,
    weights: &[Vec<f32>],
    rows: usize,
    states: usize,
    first: usize,
    text: &[u32],
) -> Vec<f32> {
    let spoken = |token: u32| {
        let bytes = window.model.tokenizer.token_bytes(token);
        bytes.iter().any(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii())
    };
    let mut attention = vec![0.0; states];
    for head in weights {
        let full = head.len() / rows;
        let rows = head.chunks_exact(full).skip(first);
        for (row, _) in rows.zip(text).filter(|(_, token)| spoken(**token)) {
            for (sum, weight) in attention.iter_mut().zip(row) {
                *sum += weight / weights.len() as f32;
            }
        }
    }
    attention
}

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
    for (index, &token) in text.iter().enumerate() {
        cancel.check()?;
        let logits = inference.logits(&[first - 1 + index]);
        softmax(&mut logits[..eot]);
        probabilities.push(logits[token as usize]);
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
    let mut filtered = vec![0.0; row.len()];
    let at_the_edge =
        |centre: usize| middle(&std::array::from_fn(|tap| mirrored(centre as isize + tap as isize - half as isize)));
    for centre in (0..half).chain(row.len() - half..row.len()) {
        filtered[centre] = at_the_edge(centre);
    }
    let inside = half..row.len().saturating_sub(half).max(half);
    for (out, values) in filtered[inside].iter_mut().zip(row.array_windows::<FILTER>()) {
        *out = middle(values);
    }
    filtered
}

/// The median of seven by thirteen exchanges without a branch (Devillard 1998), which compilers turn into vector code.
fn middle(values: &[f32; FILTER]) -> f32 {
    const EXCHANGES: [(usize, usize); 13] =
        [(0, 5), (0, 3), (1, 6), (2, 4), (0, 1), (3, 5), (2, 6), (2, 3), (3, 6), (4, 5), (1, 4), (1, 3), (3, 4)];
    let mut values = *values;
    for (low, high) in EXCHANGES {
        (values[low], values[high]) = (values[low].min(values[high]), values[low].max(values[high]));
    }
    values[FILTER / 2]
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
        Timed { text: text.into(), tokens: vec![1], start, end, heard: start, probability: 1.0 }
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

    /// Exchanges that sort every row of zeros and ones to its median find the median of all rows (Knuth, vol. 3, §5.3.4).
    #[test]
    fn the_exchanges_find_every_median() {
        for bits in 0..1u32 << FILTER {
            let values: [f32; FILTER] = std::array::from_fn(|at| (bits >> at & 1) as f32);
            assert_eq!(middle(&values), f32::from(bits.count_ones() > 3), "{values:?}");
        }
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
