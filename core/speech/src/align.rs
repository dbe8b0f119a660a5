//! Word times from the decoder's cross-attention (openai/whisper `timing.py`).
//!
//! One more decoder pass over the finished text records the attention of the alignment heads; it is standardised and
//! smoothed by a median filter. [`word_places`](crate::word_places) turns it into times.

use std::ops::Range;

use sotto_kernels::softmax;
use sotto_nn::search::Recording;
use sotto_runtime::Cancelled;
use sotto_runtime::spans::{SpanName, span};
use sotto_text::Tokenizer;
use sotto_text::whisper::WhisperTokenizer;

use crate::memory::PROJECTED_ROWS;
use crate::model::Model;
use crate::transcript::{Segment, Word};
use crate::unheard::attended;
use crate::voice_bounds::Voice;
use crate::window::WindowDecoder;
pub(crate) use crate::word_places::STATE_SECONDS;
use crate::word_places::{Heard, place, sounding_states};

// Width of the median filter over time, as the reference's `medfilt_width`.
const FILTER: usize = 7;

// Medians that are computed at a time.
const LANES: usize = 16;

// Seconds by which attention may jump back without counting as a repetition; that of a single word may be anywhere.
const AGAIN: f64 = 1.0;

// Two equal words closer than this, in seconds, are one word.
const SAME: f64 = 0.1;

// Seconds by which the first words of an utterance attend to earlier audio if they repeat an earlier utterance.
const ECHO: f64 = 0.3;

// Seconds by which a last word may be longer than it seems.
const UNSURE_END: f64 = 0.5;

// Fraction of a token's probability from which on another spelling was nearly chosen.
const RIVAL: f32 = 0.5;

// Words shorter than this, in seconds, were not spoken.
const SQUEEZED: f64 = 0.05;

// A phrase of at least so many words, said twice in a row with less than so many seconds per word, was said once.
const PHRASE: usize = 3;
const HASTY: f64 = 0.2;

// Encoder states (a second) from which on an unattended stretch counts as left out. Weakly attended words are shorter.
const LEFT_OUT: usize = 50;

/// Words with a longer silence between them, in seconds, belong to two segments.
pub(crate) const LONGEST_PAUSE: f64 = 2.0;

/// A word with its tokens, and its times in seconds from the start of the window.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Timed {
    pub(crate) text: String,
    pub(crate) tokens: Vec<u32>,
    pub(crate) start: f64,
    pub(crate) end: f64,
    /// Time in seconds that its tokens attend to most.
    pub(crate) heard: f64,
    pub(crate) probability: f32,
    /// Whether it was nearly joined to the word before it: "street car", "streetcar".
    pub(crate) undecided: bool,
}

/// How a text aligns with its audio.
#[derive(Debug, Default)]
pub(crate) struct Listening {
    /// Its words in order.
    pub(crate) words: Vec<Timed>,
    /// Words of the forced prefix before them.
    pub(crate) given: Vec<Timed>,
    /// Attention to each encoder state, summed over the words, without punctuation marks, whose attention is elsewhere.
    pub(crate) attention: Vec<f32>,
}

impl Listening {
    /// Marks words that were nearly joined to the words before them. `rivals`, one per token of the text, are the
    /// probabilities of the joined spelling as fractions of the tokens'.
    pub(crate) fn doubt_spelling(&mut self, rivals: &[f32]) {
        let (mut first, mut letter_before) = (0, false);
        for word in &mut self.words {
            word.undecided = letter_before && rivals.get(first).is_some_and(|&rival| rival >= RIVAL);
            first += word.tokens.len();
            letter_before = word.text.ends_with(char::is_alphabetic);
        }
    }

    /// Removes the first `tokens` tokens. If they end inside a word, its rest stays: mostly a punctuation mark, which
    /// is joined to the next word.
    pub(crate) fn behind(mut self, tokens: usize, tokenizer: &WhisperTokenizer) -> Self {
        let mut left = tokens;
        let mut words: Vec<Timed> = Vec::with_capacity(self.words.len());
        let mut begun: Option<Timed> = None;
        for mut word in self.words {
            if word.tokens.len() <= left {
                left -= word.tokens.len();
                self.given.push(word);
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

    /// Removes repetitions: cuts the text at the first words that attend to audio before `from` seconds, or to audio of
    /// earlier words, or that equal the words there. One or two words alone may attend anywhere. If no word is left
    /// after the given ones, nothing attends to the audio behind `from`: a repetition hides what is said there, and a
    /// text that has ended attends anywhere.
    pub(crate) fn said_once(mut self, from: f64) -> Self {
        let first = self.given.len();
        let all: Vec<&Timed> = self.given.iter().chain(&self.words).collect();
        let letters: Vec<String> = all.iter().map(|word| letters(word)).collect();
        let mut latest = from;
        // Number of consecutive words up to this one that attend back, and that repeat earlier words.
        let (mut back, mut same, mut cut) = (0, 0, all.len());
        // The first repeated words may attend anywhere: the place before which `cut` and what it repeats differ.
        let whole = |mut cut: usize, mut earlier: usize| {
            while cut > first && earlier > 0 && earlier < cut && letters[cut - 1] == letters[earlier - 1] {
                (cut, earlier) = (cut - 1, earlier - 1);
            }
            cut
        };
        for (index, word) in all.iter().enumerate().skip(first) {
            let again =
                |earlier: usize| (all[earlier].heard - word.heard).abs() < SAME && letters[earlier] == letters[index];
            let repeated = (0..index).rev().find(|&earlier| again(earlier));
            if squeezed(&all, index)
                && let Some(earlier) =
                    (0..index).rev().find(|&at| letters[at..].starts_with(&letters[index..index + 3]))
            {
                cut = whole(index, earlier);
                break;
            }
            if hasty(&all, &letters, index) {
                cut = index;
                break;
            }
            back = if repeated.is_some() || word.heard < latest - AGAIN { back + 1 } else { 0 };
            same = if repeated.is_some() { same + 1 } else { 0 };
            if back == 3 || same == 2 {
                let repeats = back.max(same);
                cut = whole(index + 1 - repeats, repeated.map_or(0, |at| at.saturating_sub(repeats - 1)));
                break;
            }
            // One word alone may attend too late, too.
            if index > first {
                latest = latest.max(word.heard.min(all[index - 1].heard));
            }
        }
        if cut == first && first > 0 {
            let behind = (((from + UNSURE_END) / STATE_SECONDS) as usize).min(self.attention.len());
            self.attention[behind..].fill(0.0);
        }
        self.words.truncate(cut - first);
        self
    }
}

impl Listening {
    /// Whether the text begins with the words of the prefix, or attends to audio before `from` seconds.
    pub(crate) fn echoes(&self, from: f64) -> bool {
        let head = &self.words[..self.words.len().min(3)];
        let (first, given): (Vec<_>, Vec<_>) =
            (head.iter().map(letters).collect(), self.given.iter().map(letters).collect());
        let mut places: Vec<f64> = head.iter().map(|word| word.heard).collect();
        places.sort_by(f64::total_cmp);
        let back = places.get(places.len() / 2).is_some_and(|&heard| heard < from - ECHO);
        let again = first.len() >= 2 && given.windows(first.len()).any(|words| words == first);
        back || again || (2..=first.len()).any(|count| given.ends_with(&first[..count]))
    }
}

/// A word without punctuation, in lower case.
fn letters(word: &Timed) -> String {
    word.text.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase()
}

/// Whether three words from `index` on have almost no duration.
fn squeezed(words: &[&Timed], index: usize) -> bool {
    words.get(index..index + 3).is_some_and(|three| three[2].end - three[0].start < 3.0 * SQUEEZED)
}

/// Whether the words from `index` on repeat the words right before them, faster than anybody speaks: both together, or
/// the second time alone.
fn hasty(words: &[&Timed], letters: &[String], index: usize) -> bool {
    (2..=index.min(words.len() - index)).any(|count| {
        let first = index - count;
        let last = index + count - 1;
        let seconds = |from: usize| words[last].end - words[from].start;
        let both = count >= PHRASE && seconds(first) < HASTY * (2 * count) as f64;
        let second = seconds(index) < HASTY / 2.0 * count as f64;
        letters[first..index] == letters[index..=last] && (both || second)
    })
}

/// Words of `tokens` with their times (punctuation is joined to them) and their attention to the last encoded window;
/// `voice` is the voice activity of that window. Costs a decoder pass.
pub(crate) fn listen(window: &mut WindowDecoder<'_>, voice: &Voice, tokens: &[u32]) -> Result<Listening, Cancelled> {
    let _span = span(SpanName::Align);
    let (words, attention) = align(window, voice, &[tokens])?;
    Ok(Listening { words: words.concat(), given: Vec::new(), attention })
}

/// As [`listen`], but from attention that was recorded while the text was decoded, without another pass.
pub(crate) fn listen_to_recorded(
    window: &WindowDecoder<'_>,
    recorded: Recorded,
    voice: &Voice,
    tokens: &[u32],
    probabilities: &[f32],
) -> Listening {
    let _span = span(SpanName::Align);
    let pieces = words_of(window.model.tokenizer(), &[tokens]);
    let (words, attention) = warp(&window.model, recorded, voice, pieces, probabilities);
    Listening { words: words.concat(), given: Vec::new(), attention }
}

/// Recorded attention of the alignment heads, `[rows, states]` per head.
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

/// Adds the words to the segments of one window, and splits segments at long pauses.
///
/// `voice` is the voice activity of the window, `offset` its start in seconds, `last_end` the end of the speech before
/// it. Segments then begin and end with their first and last word. Returns the attention of [`Listening`].
pub(crate) fn add_words(
    window: &mut WindowDecoder<'_>,
    voice: &Voice,
    segments: &mut Vec<Segment>,
    offset: f64,
    last_end: f64,
) -> Result<Vec<f32>, Cancelled> {
    let _span = span(SpanName::Align);
    let eot = window.model.tokenizer.special().eot;
    let tokens: Vec<&[u32]> = segments.iter().map(|segment| segment.tokens.as_slice()).collect();
    let (words, attention) = align(window, voice, &tokens)?;
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
    Ok(attention)
}

/// The segment with its words, split at long pauses. Timestamp tokens stay at the outer ends.
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

/// A word of one of several pieces of text: which piece, the word, its tokens.
type Piece = (usize, String, Vec<u32>);

/// The words of each of `pieces`, tokens of consecutive texts.
fn words_of(tokenizer: &WhisperTokenizer, pieces: &[&[u32]]) -> Vec<Vec<Piece>> {
    let eot = tokenizer.special().eot;
    let words = |(piece, tokens): (usize, &&[u32])| {
        let text: Vec<u32> = tokens.iter().copied().filter(|&token| token < eot).collect();
        let (texts, tokens) = tokenizer.split_to_word_tokens(&text);
        texts.into_iter().zip(tokens).map(|(text, tokens)| (piece, text, tokens)).collect()
    };
    pieces.iter().enumerate().map(words).collect()
}

/// Words of each of `pieces` (tokens of consecutive texts) with times from the alignment heads, and their attention to
/// each state.
fn align(
    window: &mut WindowDecoder<'_>,
    voice: &Voice,
    pieces: &[&[u32]],
) -> Result<(Vec<Vec<Timed>>, Vec<f32>), Cancelled> {
    let tokenizer = &window.model.tokenizer;
    let words = words_of(tokenizer, pieces);
    let text: Vec<u32> = words.iter().flatten().flat_map(|(_, _, tokens)| tokens.iter().copied()).collect();
    if text.is_empty() || voice.frames() < 2 {
        return Ok((vec![Vec::new(); pieces.len()], Vec::new()));
    }
    let start = window.sot_sequence(false);
    // A text that fills the decoder's context completely cannot be fed again as a whole.
    let room = window.model.dimensions.text_context.saturating_sub(start.len() + 1);
    let heard = &text[..text.len().min(room)];
    let tokens: Vec<u32> = start.iter().chain(heard).copied().chain([tokenizer.special().eot]).collect();
    let (weights, probabilities) = attend(window, &tokens, start.len(), heard)?;
    let recorded = Recorded { weights, rows: tokens.len(), first: start.len() - 1 };
    Ok(warp(&window.model, recorded, voice, words, &probabilities))
}

/// Aligns tokens and time by dynamic time warping. Tokens without a row of attention are placed at the end.
fn warp(
    model: &Model,
    recorded: Recorded,
    voice: &Voice,
    pieces: Vec<Vec<Piece>>,
    probabilities: &[f32],
) -> (Vec<Vec<Timed>>, Vec<f32>) {
    let mut timed: Vec<Vec<Timed>> = vec![Vec::new(); pieces.len()];
    let words: Vec<Piece> = pieces.into_iter().flatten().collect();
    let text: Vec<u32> = words.iter().flat_map(|(_, _, tokens)| tokens.iter().copied()).collect();
    let Recorded { weights, rows, first } = recorded;
    let states = weights.iter().map(|head| head.len() / rows.max(1)).fold(voice.frames() / 2, usize::min);
    // From the last start token, which predicts the first word, to the last text token, which predicts the end.
    let behind = (first + text.len() + 1).min(rows);
    if text.is_empty() || states == 0 || behind <= first + 1 {
        return (timed, Vec::new());
    }
    let heard = &text[..behind - first - 1];
    let spoken = |token: u32| {
        let bytes = model.tokenizer().token_bytes(token);
        bytes.iter().any(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii())
    };
    let rows_of = |wanted: &dyn Fn(u32) -> bool| -> Vec<usize> {
        (first..).zip(heard).filter(|(_, token)| wanted(**token)).map(|(row, _)| row).collect()
    };
    let attention = attention_of(&weights, rows, states, &rows_of(&spoken));
    let loudest = loudest_states(&weights, rows, states, first..first + heard.len());
    let mut kept = sounding_states(voice, states, behind - first);
    // Audio that no word attends to does not belong to the text: standardised attention there is noise that would
    // distort the times. A comma may attend to the sound of the next word, so punctuation counts here.
    let attended = attended(&attention_of(&weights, rows, states, &rows_of(&|_| true)), LEFT_OUT);
    let own: Vec<usize> = kept.iter().copied().filter(|&state| attended[state]).collect();
    if own.len() >= 2 * (behind - first) {
        kept = own;
    }
    let matrix = attention_matrix(&weights, rows, states, &kept);
    let counts: Vec<usize> = words.iter().map(|(_, _, tokens)| tokens.len()).collect();
    let places = place(
        &Heard {
            matrix: &matrix[first * kept.len()..behind * kept.len()],
            states: kept.len(),
            words: &counts,
            lag: lag(model),
        },
        &kept,
        voice,
    );
    let mut token = 0;
    for ((piece, text, tokens), (start, end)) in words.into_iter().zip(places) {
        let next = token + tokens.len();
        let known = &probabilities[token.min(probabilities.len())..next.min(probabilities.len())];
        let probability = known.iter().sum::<f32>() / known.len().max(1) as f32;
        let heard = heard_at(&loudest[token.min(loudest.len())..next.min(loudest.len())]).unwrap_or(start);
        timed[piece].push(Timed { text, tokens, start, end, heard, probability, undecided: false });
        token = next;
    }
    if !voice.has_pauses() {
        hidden_pauses(timed.iter_mut().flatten().collect());
    }
    (timed, attention)
}

/// For each of `tokens`: the state that it attends to most, and how strongly (mean over the heads).
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

/// Time in seconds that the token with the strongest attention attends to.
fn heard_at(tokens: &[(usize, f32)]) -> Option<f64> {
    let surest = tokens.iter().max_by(|a, b| a.1.total_cmp(&b.1));
    surest.map(|&(state, _)| state as f64 * STATE_SECONDS)
}

/// Attention to each state, mean over the heads, summed over the `chosen` rows.
fn attention_of(weights: &[Vec<f32>], rows: usize, states: usize, chosen: &[usize]) -> Vec<f32> {
    let mut attention = vec![0.0; states];
    for head in weights {
        let full = head.len() / rows;
        for row in chosen {
            for (sum, weight) in attention.iter_mut().zip(&head[row * full..]) {
                *sum += weight / weights.len() as f32;
            }
        }
    }
    attention
}

/// If noise hides the pauses, the words around them absorb them. So at the beginning and around sentence ends a word is
/// limited to a multiple of the usual length (the reference's rule).
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

/// Delay of the alignment heads' attention in frames of 10 ms. Measured with `tests/real_word_times.rs` on tiny.en
/// (late) and base (early); 0 for other models.
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
    tokens: &[u32],
    first: usize,
    text: &[u32],
) -> Result<(Vec<Vec<f32>>, Vec<f32>), Cancelled> {
    let (model, cancel) = (window.model.clone(), window.cancel);
    let mut recording = Recording::new(&model.alignment_heads);
    let hypotheses = window.hypotheses();
    hypotheses.begin(tokens.len());
    hypotheses.extend(tokens, Some(&mut recording), cancel)?;
    let eot = model.tokenizer.special().eot as usize;
    let mut probabilities = Vec::with_capacity(text.len());
    let rows: Vec<usize> = (first - 1..first - 1 + text.len()).collect();
    for (rows, tokens) in rows.chunks(PROJECTED_ROWS).zip(text.chunks(PROJECTED_ROWS)) {
        cancel.check()?;
        let logits = hypotheses.logits(rows);
        let vocabulary = logits.len() / rows.len();
        for (logits, &token) in logits.chunks_exact_mut(vocabulary).zip(tokens) {
            softmax(&mut logits[..eot]);
            probabilities.push(logits[token as usize]);
        }
    }
    Ok((recording.weights, probabilities))
}

/// Mean over the heads of their standardised, smoothed attention to the states `kept`, `[tokens, kept]`.
fn attention_matrix(heads: &[Vec<f32>], tokens: usize, states: usize, kept: &[usize]) -> Vec<f32> {
    let (count, width) = (heads.len() as f32, kept.len());
    let mut matrix = vec![0.0; tokens * width];
    for head in heads {
        let full = head.len() / tokens;
        // Attention to the padding after the audio is left out; the rest is normalised to sum 1 again.
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

/// Zero mean, unit variance over the tokens at each state. Row by row, which compilers vectorise.
fn standardise_columns(values: &mut [f32], tokens: usize, states: usize) {
    let (count, mut means, mut deviations) = (tokens as f64, vec![0.0f64; states], vec![0.0f64; states]);
    for row in values.chunks_exact(states) {
        means.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
    }
    means.iter_mut().for_each(|mean| *mean /= count);
    for row in values.chunks_exact(states) {
        for ((sum, mean), &value) in deviations.iter_mut().zip(&means).zip(row) {
            *sum += (f64::from(value) - mean) * (f64::from(value) - mean);
        }
    }
    deviations.iter_mut().for_each(|deviation| *deviation = (*deviation / count).sqrt());
    for row in values.chunks_exact_mut(states) {
        for ((value, mean), &deviation) in row.iter_mut().zip(&means).zip(&deviations) {
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
    let at_the_edge = |centre: usize| {
        let taps = |tap: usize| [mirrored(centre as isize + tap as isize - half as isize)];
        let [median] = middle(std::array::from_fn(taps));
        median
    };
    for centre in (0..half).chain(row.len() - half..row.len()) {
        filtered[centre] = at_the_edge(centre);
    }
    let inside = half..row.len().saturating_sub(half).max(half);
    let (blocks, rest) = filtered[inside].as_chunks_mut::<LANES>();
    let beyond = blocks.len() * LANES;
    for (out, start) in blocks.iter_mut().zip((0..).step_by(LANES)) {
        *out = middle(std::array::from_fn(|tap| std::array::from_fn(|lane| row[start + tap + lane])));
    }
    for (out, start) in rest.iter_mut().zip(beyond..) {
        [*out] = middle(std::array::from_fn(|tap| [row[start + tap]]));
    }
    filtered
}

/// The medians of `N` times seven values by thirteen branch-free compare-exchanges (Devillard 1998), which compilers
/// vectorise.
fn middle<const N: usize>(mut taps: [[f32; N]; FILTER]) -> [f32; N] {
    const EXCHANGES: [(usize, usize); 13] =
        [(0, 5), (0, 3), (1, 6), (2, 4), (0, 1), (3, 5), (2, 6), (2, 3), (3, 6), (4, 5), (1, 4), (1, 3), (3, 4)];
    for (low, high) in EXCHANGES {
        let (before, from) = taps.split_at_mut(high);
        for (a, b) in before[low].iter_mut().zip(&mut from[0]) {
            // Not `f32::min`, which would look for NaN.
            (*a, *b) = if *b < *a { (*b, *a) } else { (*a, *b) };
        }
    }
    taps[FILTER / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timed(text: &str, start: f64, end: f64) -> Timed {
        Timed { text: text.into(), tokens: vec![1], start, end, heard: start, probability: 1.0, undecided: false }
    }

    #[test]
    fn a_word_that_was_nearly_joined_is_undecided() {
        let words = [" street", " car", " lines,", " and"].map(|text| timed(text, 0.0, 1.0)).to_vec();
        let mut listening = Listening { words, ..Listening::default() };
        listening.words[0].tokens = vec![1, 2];
        // The second token of a word cannot begin it, and nothing is joined to a comma or to nothing.
        listening.doubt_spelling(&[0.9, 0.9, 0.6, 0.4, 0.9]);
        assert_eq!(listening.words.iter().map(|word| word.undecided).collect::<Vec<_>>(), [false, true, false, false]);
        // Tokens that have not been decoded here are decided.
        listening.doubt_spelling(&[]);
        assert!(listening.words.iter().all(|word| !word.undecided));
    }

    /// Words a third of a second long, or squeezed to nothing from `squeezed` seconds on, that listen where they begin.
    fn listening(given: &[(&str, f64)], words: &[(&str, f64)], squeezed: f64) -> Listening {
        let timed = |&(text, at): &(&str, f64)| timed(text, at, at + if at >= squeezed { 0.03 } else { 0.33 });
        let (given, words) = (given.iter().map(timed).collect(), words.iter().map(timed).collect());
        Listening { words, given, attention: Vec::new() }
    }

    #[test]
    fn what_is_said_again_is_left_out() {
        let knife = [(" This", 1.0), (" knife", 1.4), (" is", 1.8), (" sharp.", 2.2)];
        let endless = f64::INFINITY;
        for (name, given, words, squeezed, kept) in [
            ("nothing is said again", &knife[..], &[(" It", 3.0), (" is", 3.3), (" sharp", 3.6)][..], endless, 3),
            ("a word alone may listen anywhere", &knife, &[(" is", 1.8), (" it", 3.3)], endless, 2),
            ("the given words", &knife, &[(" knife", 1.4), (" is", 1.8)], endless, 0),
            (
                "with one that listens elsewhere",
                &knife,
                &[(" So", 3.0), (" This", 0.1), (" knife", 1.4), (" is", 1.8)],
                endless,
                1,
            ),
            ("the same words later", &knife, &[(" This", 3.0), (" knife", 3.4), (" is", 3.8)], endless, 3),
            ("the same words in no time", &knife, &[(" This", 3.0), (" knife", 3.03), (" is", 3.06)], 2.9, 0),
            ("other words in no time", &knife, &[(" That", 3.0), (" knife", 3.03), (" is", 3.06)], 2.9, 3),
            (
                "a phrase twice, faster than anybody speaks",
                &[],
                &[(" Ten", 3.0), (" of", 3.1), (" clubs.", 3.3), (" Ten", 3.5), (" of", 3.6), (" clubs.", 3.8)],
                endless,
                3,
            ),
            (
                "a phrase twice",
                &[],
                &[(" Ten", 3.0), (" of", 3.3), (" clubs.", 3.6), (" Ten", 4.2), (" of", 4.5), (" clubs.", 4.8)],
                endless,
                6,
            ),
            (
                "three words that listen back",
                &[],
                &[(" We", 4.0), (" are", 4.3), (" a", 2.0), (" b", 2.1), (" c", 2.2)],
                endless,
                2,
            ),
            ("one word that listens ahead", &[], &[(" I", 4.0), (" a", 2.0), (" b", 2.1), (" c", 2.2)], endless, 4),
        ] {
            assert_eq!(listening(given, words, squeezed).said_once(0.0).words.len(), kept, "{name}");
        }
    }

    #[test]
    fn an_utterance_that_begins_with_the_one_before_is_an_echo() {
        let given = [(" How", 0.2), (" are", 0.5), (" you?", 0.8)];
        for (words, echo) in [
            (&[(" how", 3.1), (" are", 3.3)][..], true),
            (&[(" Are", 3.1), (" we", 3.3)], false),
            (&[(" Are", 3.1), (" you", 3.3), (" in?", 3.6)], true),
            (&[(" How", 3.1), (" are", 3.3), (" they?", 3.6)], false),
            (&[(" Well", 0.2), (" then", 0.5), (" go", 3.4)], true),
            (&[(" Well", 0.2), (" then", 3.2), (" go", 3.4)], false),
            (&[(" How", 3.2)], false),
            (&[], false),
        ] {
            assert_eq!(listening(&given, words, f64::INFINITY).echoes(3.0), echo, "{words:?}");
        }
    }

    #[test]
    fn median_removes_a_spike_and_mirrors_the_ends() {
        let mut row = [1.0; 12];
        row[5] = 9.0;
        assert_eq!(median_filter(&row), [1.0; 12]);
        assert_eq!(median_filter(&[1.0, 2.0]), [1.0, 2.0]);
    }

    #[test]
    fn medians_are_those_of_sorted_neighbours() {
        for length in [4, 6, 7, 22, 23, 40, 61] {
            let row: Vec<f32> = (0..length).map(|at| ((at * 37 + at * at) % 29) as f32).collect();
            let expected: Vec<f32> = (0..length)
                .map(|centre: isize| {
                    let place = |at: isize| if at >= length { 2 * (length - 1) - at } else { at.abs() };
                    let mut near: Vec<f32> = (centre - 3..=centre + 3).map(|at| row[place(at) as usize]).collect();
                    near.sort_by(f32::total_cmp);
                    near[3]
                })
                .collect();
            assert_eq!(median_filter(&row), expected, "{length}");
        }
    }

    /// Exchanges that sort every row of zeros and ones to its median find the median of all rows (Knuth, vol. 3,
    /// §5.3.4).
    #[test]
    fn the_exchanges_find_every_median() {
        for bits in 0..1u32 << FILTER {
            let values: [f32; FILTER] = std::array::from_fn(|at| (bits >> at & 1) as f32);
            assert_eq!(middle(values.map(|value| [value])), [f32::from(bits.count_ones() > 3)], "{values:?}");
        }
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
