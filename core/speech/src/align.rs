//! Word times: the decoder's cross-attention says when each token was heard (openai/whisper `timing.py`).
//!
//! One more decoder pass over the finished text records the attention of the alignment heads; it is standardised and
//! smoothed by a median filter. [`word_places`](crate::word_places) makes times of it.

use sotto_kernels::softmax;
use sotto_runtime::Cancelled;

use crate::model::{CrossCache, Model, Recording};
use crate::transcript::{Segment, Word};
use crate::voice_bounds::Voice;
use crate::window::WindowDecoder;
pub(crate) use crate::word_places::STATE_SECONDS;
use crate::word_places::{Heard, place, sounding_states};

// Width of the median filter over time, as the reference's `medfilt_width`.
const FILTER: usize = 7;

/// Seconds of silence between words from which on they belong to two segments.
pub(crate) const LONGEST_PAUSE: f64 = 2.0;

/// A word with its tokens and its times from the start of the window.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Timed {
    pub(crate) text: String,
    pub(crate) tokens: Vec<u32>,
    pub(crate) start: f64,
    pub(crate) end: f64,
    pub(crate) probability: f32,
}

/// Words of `tokens` with their times, punctuation joined to them. `voice` is that of the window.
pub(crate) fn timed_words(
    window: &mut WindowDecoder<'_>,
    audio: &CrossCache,
    voice: &Voice,
    tokens: &[u32],
) -> Result<Vec<Timed>, Cancelled> {
    Ok(align(window, audio, voice, &[tokens])?.concat())
}

/// Fills in the words of the segments of one window, and cuts segments at long pauses inside them.
///
/// `voice` is that of the window, `offset` its start in seconds, `last_end` the end of the speech before it. Segments
/// begin and end with their first and last word.
pub(crate) fn add_words(
    window: &mut WindowDecoder<'_>,
    audio: &CrossCache,
    voice: &Voice,
    segments: &mut Vec<Segment>,
    offset: f64,
    last_end: f64,
) -> Result<(), Cancelled> {
    let eot = window.model.tokenizer.special().eot;
    let tokens: Vec<&[u32]> = segments.iter().map(|segment| segment.tokens.as_slice()).collect();
    let words = align(window, audio, voice, &tokens)?;
    let mut last_end = last_end;
    let whole = std::mem::take(segments);
    for (segment, mut words) in whole.into_iter().zip(words) {
        for word in &mut words {
            let time = |seconds: f64| ((offset + seconds) * 1000.0).round() / 1000.0;
            word.start = time(word.start).max(last_end);
            word.end = time(word.end).max(word.start);
            last_end = word.end;
        }
        segments.extend(at_long_pauses(segment, words, eot));
    }
    Ok(())
}

/// The segment with its words, in several where the speaker pauses for long. Timestamp tokens stay at the outer ends.
fn at_long_pauses(mut segment: Segment, words: Vec<Timed>, eot: u32) -> Vec<Segment> {
    let mut parts: Vec<Vec<Timed>> = Vec::new();
    for word in words {
        match parts.last_mut() {
            Some(part) if part.last().is_none_or(|last| word.start - last.end < LONGEST_PAUSE) => part.push(word),
            _ => parts.push(vec![word]),
        }
    }
    let public = |words: Vec<Timed>| -> Vec<Word> {
        let word = |w: Timed| Word { start: w.start, end: w.end, text: w.text, probability: w.probability };
        words.into_iter().map(word).collect()
    };
    let bounds = |part: &[Timed]| part.first().zip(part.last()).map(|(first, last)| (first.start, last.end));
    if parts.len() < 2 {
        let words = parts.pop().unwrap_or_default();
        (segment.start, segment.end) = bounds(&words).unwrap_or((segment.start, segment.end));
        segment.words = public(words);
        return vec![segment];
    }
    let text = |index: &usize| segment.tokens[*index] < eot;
    let first_text = (0..segment.tokens.len()).find(text).unwrap_or_default();
    let behind_text = (0..segment.tokens.len()).rfind(text).map_or(0, |last| last + 1);
    let count = parts.len();
    let cut = |(index, words): (usize, Vec<Timed>)| {
        let own: Vec<u32> = words.iter().flat_map(|word| word.tokens.iter().copied()).collect();
        let before = if index == 0 { &segment.tokens[..first_text] } else { &[] };
        let behind = if index + 1 == count { &segment.tokens[behind_text..] } else { &[] };
        let (start, end) = bounds(&words).unwrap_or((segment.start, segment.end));
        Segment {
            start,
            end,
            text: words.iter().map(|word| word.text.as_str()).collect(),
            tokens: [before, &own, behind].concat(),
            words: public(words),
            ..segment.clone()
        }
    };
    parts.into_iter().enumerate().map(cut).collect()
}

/// Words of each of `pieces` (tokens of consecutive texts) with the times at which the alignment heads heard them.
fn align(
    window: &mut WindowDecoder<'_>,
    audio: &CrossCache,
    voice: &Voice,
    pieces: &[&[u32]],
) -> Result<Vec<Vec<Timed>>, Cancelled> {
    let tokenizer = &window.model.tokenizer;
    let special = tokenizer.special();
    let words: Vec<(usize, String, Vec<u32>)> = pieces
        .iter()
        .enumerate()
        .flat_map(|(piece, tokens)| {
            let text: Vec<u32> = tokens.iter().copied().filter(|&token| token < special.eot).collect();
            let (texts, tokens) = tokenizer.split_to_word_tokens(&text);
            texts.into_iter().zip(tokens).map(move |(text, tokens)| (piece, text, tokens))
        })
        .collect();
    let mut timed: Vec<Vec<Timed>> = vec![Vec::new(); pieces.len()];
    let text: Vec<u32> = words.iter().flat_map(|(_, _, tokens)| tokens.iter().copied()).collect();
    let states = voice.frames() / 2;
    if text.is_empty() || states == 0 {
        return Ok(timed);
    }
    let start = window.sot_sequence(false);
    // A text that fills the decoder's context to the last token cannot be heard again as a whole.
    let room = window.model.dimensions.text_context.saturating_sub(start.len() + 1);
    let heard = &text[..text.len().min(room)];
    let tokens: Vec<u32> = start.iter().chain(heard).copied().chain([special.eot]).collect();
    let (weights, probabilities) = attend(window, audio, &tokens, start.len(), heard)?;
    let states = weights.iter().map(|head| head.len() / tokens.len()).fold(states, usize::min);
    // From the last start token, which predicts the first word, to the last text token, which predicts the end.
    let rows = start.len() - 1..tokens.len() - 1;
    let kept = sounding_states(voice, states, rows.len());
    let matrix = attention_matrix(&weights, tokens.len(), states, &kept);
    let counts: Vec<usize> = words.iter().map(|(_, _, tokens)| tokens.len()).collect();
    let places = place(
        &Heard {
            matrix: &matrix[rows.start * kept.len()..rows.end * kept.len()],
            states: kept.len(),
            words: &counts,
            lag: lag(window.model),
        },
        &kept,
        voice,
    );
    let mut first = 0;
    for ((piece, text, tokens), (start, end)) in words.into_iter().zip(places) {
        let next = first + tokens.len();
        let known = &probabilities[first.min(probabilities.len())..next.min(probabilities.len())];
        let probability = known.iter().sum::<f32>() / known.len().max(1) as f32;
        timed[piece].push(Timed { text, tokens, start, end, probability });
        first = next;
    }
    if !voice.has_pauses() {
        hidden_pauses(timed.iter_mut().flatten().collect());
    }
    Ok(timed)
}

/// Where noise hides the pauses, words around them hold them: next to the end of a sentence and at the beginning a word
/// is not much longer than the others are (the reference's rule).
fn hidden_pauses(mut words: Vec<&mut Timed>) {
    let mut durations: Vec<f64> = words.iter().map(|word| word.end - word.start).collect();
    durations.sort_by(f64::total_cmp);
    let limit = durations.get(durations.len() / 2).copied().unwrap_or_default().min(0.7) * 2.0;
    let ends = |word: &Timed| word.text.trim_end_matches(['"', '”', ')']).ends_with(['.', '!', '?', '。', '！', '？']);
    for index in 0..words.len() {
        let after = index == 0 || ends(words[index - 1]);
        let word = &mut words[index];
        if word.end - word.start > limit {
            if ends(word) {
                word.end = word.start + limit;
            } else if after {
                word.start = word.end - limit;
            }
        }
    }
}

/// Frames of 10 ms by which the alignment heads look behind the sound that they mean. Measured with
/// `tests/real_word_times.rs` on tiny.en (late) and base (early); other models are taken as they are.
fn lag(model: &Model) -> isize {
    let dimensions = &model.dimensions;
    match (dimensions.decoder_layers, dimensions.width, model.tokenizer.is_multilingual()) {
        (4, 384, false) => 9,
        (6, 512, true) => -7,
        _ => 0,
    }
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

/// Mean over the heads of their standardised, smoothed attention to the states `kept`, `[tokens, kept]`.
fn attention_matrix(heads: &[Vec<f32>], tokens: usize, states: usize, kept: &[usize]) -> Vec<f32> {
    let (count, width) = (heads.len() as f32, kept.len());
    let mut matrix = vec![0.0; tokens * width];
    for head in heads {
        let full = head.len() / tokens;
        // Attention to the padding behind the audio is left out, the rest sums to one again.
        let mut values: Vec<f32> = head
            .chunks_exact(full)
            .flat_map(|row| {
                let total: f32 = row[..states].iter().sum::<f32>().max(f32::MIN_POSITIVE);
                kept.iter().map(move |&state| row[state] / total)
            })
            .collect();
        standardise_columns(&mut values, tokens, width);
        for (row, out) in values.chunks_exact(width).zip(matrix.chunks_exact_mut(width)) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn timed(text: &str, start: f64, end: f64) -> Timed {
        Timed { text: text.into(), tokens: vec![1], start, end, probability: 1.0 }
    }

    #[test]
    fn median_removes_a_spike_and_mirrors_the_ends() {
        let mut row = [1.0; 12];
        row[5] = 9.0;
        assert_eq!(median_filter(&row), [1.0; 12]);
        assert_eq!(median_filter(&[1.0, 2.0]), [1.0, 2.0]);
    }

    #[test]
    fn a_segment_is_cut_where_the_speaker_pauses_for_long() {
        let segment = Segment { tokens: vec![900, 1, 1, 1, 905], text: " a b c".into(), ..Segment::default() };
        let words = vec![timed(" a", 1.0, 1.4), timed(" b", 1.5, 2.0), timed(" c", 10.0, 10.5)];
        let parts = at_long_pauses(segment, words, 900);
        let seen: Vec<_> =
            parts.iter().map(|part| (part.start, part.end, part.text.as_str(), part.tokens.len())).collect();
        assert_eq!(seen, [(1.0, 2.0, " a b", 3), (10.0, 10.5, " c", 2)]);
        assert_eq!(parts.iter().map(|part| part.words.len()).collect::<Vec<_>>(), [2, 1]);
        let whole = at_long_pauses(Segment { start: 3.0, end: 4.0, ..Segment::default() }, Vec::new(), 900);
        assert_eq!((whole[0].start, whole[0].end, whole.len()), (3.0, 4.0, 1));
    }

    #[test]
    fn hidden_pauses_do_not_make_words_long() {
        let mut words =
            [timed(" So", 0.0, 5.4), timed(" it", 5.4, 5.7), timed(" is.", 5.7, 8.0), timed(" Yes", 8.0, 8.3)];
        hidden_pauses(words.iter_mut().collect());
        let times: Vec<_> = words.iter().map(|word| (word.start, word.end)).collect();
        assert_eq!(times[1], (5.4, 5.7));
        assert!(times[0].0 >= 4.0 && times[2].1 <= 7.2, "{times:?}");
    }
}
