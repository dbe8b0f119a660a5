//! The state machine of a live transcription. Its text depends only on the samples, not on how they arrive.

use std::sync::Arc;
use std::time::Instant;

use sotto_audio::{AudioError, HOP, LogMel, Resampler, SAMPLE_RATE, normalize};
use sotto_runtime::CancelToken;
use sotto_runtime::spans::{SpanName, span};

use super::agreement::Agreement;
use super::earlier::Earlier;
use super::event::{StreamEvent, StreamText};
use super::pace::Pace;
use super::said::{Cut, CutAfter, Said};
use super::tempo::Tempo;
use crate::align::{Listening, Timed};
use crate::error::SpeechError;
use crate::long_form::{HOT, seconds};
use crate::model::Dimensions;
use crate::options::{AudioContext, Normalization, TimestampTokens, TranscribeOptions, Vad};
use crate::previous::Previous;
use crate::recognizer::SpeechRecognizer;
use crate::transcript::{Timing, Word};
use crate::unheard::{Gap, unheard};
use crate::vad::{Endpoint, Segmenter, VadOptions};
use crate::window::{Context, WindowDecoder};

/// Options of a live transcription.
#[derive(Debug, Clone)]
pub struct StreamOptions {
    /// How the speech is decoded. There are always word times. The voice activity detector, by default the built-in
    /// one, decides when a speaker has finished (without one, a pause of 0.6 s does).
    ///
    /// The context of every utterance is `prompt`, and with `condition_on_previous` also the final text of earlier
    /// utterances, as far as it fits. Options that cannot work on a stream are refused: `prefix` (final text is the
    /// prefix already), `Normalization::Recording` (the peak is not known yet) and `TimestampTokens::Always` (times
    /// come from the model's attention).
    pub transcribe: TranscribeOptions,
    /// Seconds of new voice after which the text is decoded again; at most half of the model's window. A pause triggers
    /// the next step at once, silence none. Steps become rarer as their audio gets longer.
    pub step: f64,
    /// Seconds of speech without a pause after which audio up to the last final sentence end is dropped; without one,
    /// after 1.5 times as much up to a clause end, after twice as much up to a word end. At least a step, at most half
    /// of the model's window.
    pub trim: f64,
    /// How much of the window is encoded at every step; `transcribe.audio_context` has no effect on a stream. Doubtful
    /// text is decoded again at the end of its utterance, from the whole window.
    ///
    /// The true length, the default, takes half to two thirds of the processor time, without more errors in the final
    /// text. More volatile words change; use `Window` if steady volatile text matters more than the battery. Figures:
    /// `docs/PERFORMANCE.md`.
    pub volatile_context: AudioContext,
    /// Decides the length of a step during the session; the text then depends on more than the samples. `None` uses
    /// `step`.
    pub tempo: Option<Arc<dyn Tempo>>,
}

impl Default for StreamOptions {
    fn default() -> Self {
        let volatile_context = AudioContext::TrueLength;
        let transcribe = TranscribeOptions { vad: Some(Vad::builtin()), ..TranscribeOptions::default() };
        Self { transcribe, step: 1.3, trim: 6.0, volatile_context, tempo: None }
    }
}

impl StreamOptions {
    /// Refuses options that cannot work on a stream, before any audio is processed. `window` is the model's, in
    /// seconds.
    fn check(&self, window: f64) -> Result<(), SpeechError> {
        let problem = |option, problem: &str| Err(SpeechError::Option { option, problem: problem.into() });
        if !(0.1..=window).contains(&self.step) {
            return problem("step", &format!("must be between 0.1 and {window} seconds"));
        }
        if !(self.trim.is_finite() && self.trim >= self.step) {
            return problem("trim", "must be at least the step");
        }
        let TranscribeOptions { prefix, normalization, timestamp_tokens, .. } = &self.transcribe;
        if prefix.as_deref().is_some_and(|prefix| !prefix.trim().is_empty()) {
            return problem("prefix", "a live text has no set beginning; give what came before it as the prompt");
        }
        if *normalization == Normalization::Recording {
            return problem("normalization", "the loudest point of a stream is not known yet; use the window");
        }
        if *timestamp_tokens == TimestampTokens::Always {
            return problem("timestamp_tokens", "live text takes its times from the attention; leave it alone");
        }
        Ok(())
    }
}

// 50 ms: the clock of all decisions.
const BEAT: usize = SAMPLE_RATE as usize / 20;

// Maximum seconds of audio that are kept while the detector has not decided whether it is speech.
const LATE: usize = 10;

// Seconds of silence after which new voice is decoded at once; pauses inside words are shorter.
const PAUSE: f64 = 0.3;

// Seconds of silence that end an utterance without a detector.
const END: f64 = 0.6;

// Seconds of silence that are kept before speech.
const LEAD: f64 = 0.4;

// Seconds of voice that may be a word.
const WORD: f64 = 0.1;

// Up to this many seconds of audio a step has the length of the options; every further thirty seconds lengthen it by
// the same amount.
const SHORT: f64 = 5.0;
const STRETCH: f64 = 30.0;

// Decimal logarithm of the smallest energy of features.
const SILENCE: f32 = -10.0;

// A word that ends this close to the last sample may be cut in the middle.
const UNSURE_TAIL: f64 = 0.3;

// A word of this probability that ends this many seconds before the last sample is final without a second step.
const CLEAR: f32 = 0.85;
const CLEAR_TAIL: f64 = 0.35;

// Seconds for which "street car" waits if it was nearly "streetcar": what is said next often decides it.
const UNDECIDED: f64 = 2.5;

// An utterance without final words and with a lower mean log-probability is decoded again from a whole window at its
// end: a guess, though not yet a failure. Costs a tenth of the processor time and avoids a third of the additional
// errors.
const DOUBT: f32 = -0.35;

// An utterance that comes this close to the window's length, in seconds, is cut even if no sentence ends.
const ROOM: f64 = 2.0;

// Maximum seconds of audio for an utterance together with earlier ones: three steps of the true length.
const TOGETHER: f64 = 14.5;

// Utterances from this length in seconds on need no earlier ones as context.
const ALONE: f64 = 4.5;

/// How an utterance is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// While it continues: it will be decoded again soon; the first step decodes it alone.
    Step,
    /// At a pause: this may be the last time.
    Pause,
    /// Alone, with the whole window and all temperatures.
    Careful,
}

/// The result of decoding the audio after the final words.
#[derive(Debug, Default)]
struct Hypothesis {
    words: Vec<Timed>,
    /// Whether it covers all voice so far.
    decoded: bool,
    /// Whether it should be decoded again, more carefully, before it is final.
    failed: bool,
    /// Start of speech that it leaves out at its end.
    unheard: Option<usize>,
}

impl Hypothesis {
    fn take(&mut self) -> Vec<Timed> {
        std::mem::take(&mut self.words)
    }

    fn take_tokens(&mut self) -> Vec<u32> {
        self.take().into_iter().flat_map(|word| word.tokens).collect()
    }
}

/// Turns a stream of samples into events. Blocks the caller while it decodes; needs no thread of its own.
pub struct StreamTranscriber<'r> {
    recognizer: &'r SpeechRecognizer,
    options: &'r StreamOptions,
    decoder: WindowDecoder<'r>,
    previous: Previous,
    /// Rate and channels of pushed samples.
    input: (u32, u16),
    resampler: Resampler,
    resampled: Vec<f32>,
    /// For the current window; kept to reuse its memory.
    mel: LogMel,
    features: Vec<f32>,
    segmenter: Option<Segmenter>,
    agreement: Agreement,
    pace: Pace,
    /// Samples of an incomplete beat.
    beat: Vec<f32>,
    /// Audio of the current utterance from the last cut on.
    audio: Vec<f32>,
    /// Position of the first sample of `audio` in the stream.
    audio_start: usize,
    /// Number of samples processed.
    heard: usize,
    /// The last hypothesis for the audio after the final words.
    hypothesis: Hypothesis,
    /// Number of samples processed at the last decoding.
    decoded_at: usize,
    /// Whether someone speaks; always `true` without a detector.
    speaking: bool,
    /// The final words in `audio`.
    said: Said,
    /// Earlier utterances, before `audio`.
    earlier: Earlier,
    /// Tokens that the current text must begin with; kept to reuse its memory.
    prefix: Vec<u32>,
    /// End of the last final word.
    final_end: f64,
    /// Whether the last event was volatile text that is not empty.
    volatile: bool,
}

impl<'r> StreamTranscriber<'r> {
    /// The checks of [`new`](Self::new) except the memory budget.
    pub(super) fn check(
        recognizer: &SpeechRecognizer,
        options: &StreamOptions,
        rate: u32,
        channels: u16,
    ) -> Result<(), SpeechError> {
        options.check(recognizer.window_seconds())?;
        recognizer.check(&options.transcribe)?;
        Ok(Resampler::check(rate, channels.into())?)
    }

    /// A transcription of `channels` interleaved channels at `rate` samples per second.
    ///
    /// # Errors
    /// When the options contradict the model or the rate cannot be resampled.
    pub fn new(
        recognizer: &'r SpeechRecognizer,
        options: &'r StreamOptions,
        rate: u32,
        channels: u16,
        cancel: &'r CancelToken,
    ) -> Result<Self, SpeechError> {
        options.check(recognizer.window_seconds())?;
        let mut decoder = recognizer.window_decoder(&options.transcribe, cancel)?;
        decoder.expect_repetition();
        let segmenter = options.transcribe.vad.as_ref().map(|vad| Segmenter::new(&vad.model, endless(&vad.options)));
        Ok(Self {
            recognizer,
            options,
            previous: Previous::new(&decoder),
            input: (rate, channels),
            resampler: Resampler::new(rate, u32::from(channels))?,
            resampled: Vec::new(),
            mel: LogMel::new(decoder.model.dimensions().mels)?,
            decoder,
            features: Vec::new(),
            speaking: segmenter.is_none(),
            segmenter,
            agreement: Agreement::default(),
            pace: Pace::new(),
            beat: Vec::with_capacity(BEAT),
            audio: Vec::new(),
            audio_start: 0,
            heard: 0,
            hypothesis: Hypothesis::default(),
            decoded_at: 0,
            said: Said::default(),
            earlier: Earlier::default(),
            prefix: Vec::new(),
            final_end: 0.0,
            volatile: false,
        })
    }

    /// Processes interleaved samples and appends the resulting events to `events`.
    ///
    /// # Errors
    /// [`SpeechError::Audio`] for samples that are not finite (none is then processed), [`SpeechError::Cancelled`].
    pub fn push(&mut self, samples: &[f32], events: &mut Vec<StreamEvent>) -> Result<(), SpeechError> {
        if let Some(at) = samples.iter().position(|sample| !sample.is_finite()) {
            let (rate, channels) = self.input;
            let seconds = self.heard() + at as f64 / f64::from(rate) / f64::from(channels);
            let index = (seconds * f64::from(rate)) as u64;
            return Err(AudioError::NotFinite { source_name: "live audio".into(), index, seconds }.into());
        }
        let start = Instant::now();
        let mut resampled = std::mem::take(&mut self.resampled);
        resampled.clear();
        self.resampler.push(samples, &mut resampled);
        let result = self.hear(&resampled, events);
        self.resampled = resampled;
        self.decoder.timing.total += start.elapsed();
        result
    }

    /// Ends the stream: the rest of the text becomes final.
    ///
    /// # Errors
    /// [`SpeechError::Cancelled`].
    pub fn finish(&mut self, events: &mut Vec<StreamEvent>) -> Result<(), SpeechError> {
        let start = Instant::now();
        let result = self.end(events);
        self.decoder.timing.total += start.elapsed();
        result
    }

    fn end(&mut self, events: &mut Vec<StreamEvent>) -> Result<(), SpeechError> {
        let mut rest = Vec::new();
        self.resampler.finish(&mut rest);
        self.hear(&rest, events)?;
        let last = std::mem::take(&mut self.beat);
        self.hear_beat(&last, events)?;
        let ends = self.segmenter.as_mut().map(Segmenter::finish).unwrap_or_default();
        for endpoint in ends {
            self.endpoint(endpoint, events)?;
        }
        if self.speaking {
            self.conclude(self.heard, events)?;
        }
        Ok(())
    }

    /// Seconds of audio processed.
    #[must_use]
    pub fn heard(&self) -> f64 {
        seconds(self.heard)
    }

    /// Timings so far; `total` is the time in [`push`](Self::push) and [`finish`](Self::finish).
    #[must_use]
    pub fn timing(&self) -> Timing {
        self.decoder.timing
    }

    /// Processes 16 kHz samples beat by beat, so that the decoding steps do not depend on the size of pushes.
    fn hear(&mut self, mut samples: &[f32], events: &mut Vec<StreamEvent>) -> Result<(), SpeechError> {
        while !samples.is_empty() {
            let (now, later) = samples.split_at(samples.len().min(BEAT - self.beat.len()));
            self.beat.extend_from_slice(now);
            samples = later;
            if self.beat.len() == BEAT {
                let beat = std::mem::take(&mut self.beat);
                let result = self.hear_beat(&beat, events);
                self.beat = beat;
                self.beat.clear();
                result?;
            }
        }
        Ok(())
    }

    /// `audio` never exceeds the model's window: audio after a window would not be decoded.
    fn hear_beat(&mut self, beat: &[f32], events: &mut Vec<StreamEvent>) -> Result<(), SpeechError> {
        self.audio.extend_from_slice(beat);
        self.heard += beat.len();
        self.pace.push(beat);
        let endpoints = self.segmenter.as_mut().map(|segmenter| segmenter.push(beat)).unwrap_or_default();
        for endpoint in endpoints {
            self.endpoint(endpoint, events)?;
        }
        if !self.speaking {
            // Silence is dropped, except what a late start of speech may still include.
            let earliest = self.segmenter.as_ref().map_or(self.heard, Segmenter::earliest_start);
            self.forget_before(earliest.max(self.heard.saturating_sub(LATE * SAMPLE_RATE as usize)));
            return Ok(());
        }
        let window = self.decoder.model.dimensions().window_frames() * HOP;
        let (new, silence) = (self.pace.new_voice(), self.pace.silence());
        let paused = silence >= PAUSE && new >= WORD;
        // Speech that is not louder than its surroundings: the detector notices it, and steps follow the clock.
        let unseen = self.segmenter.is_some() && self.waiting() >= 3.0 * self.step_seconds();
        if new >= self.step_seconds() || paused || unseen || self.audio.len() + BEAT > window {
            self.step(if paused { Pass::Pause } else { Pass::Step }, events)
        } else if silence >= END && new < WORD {
            self.pause(silence, events)
        } else {
            Ok(())
        }
    }

    /// Seconds of audio since the last decoding.
    fn waiting(&self) -> f64 {
        seconds(self.heard - self.decoded_at)
    }

    /// Seconds of new voice for the next step: the longer the audio, the more a step costs.
    fn step_seconds(&self) -> f64 {
        let length = seconds(self.audio.len());
        let step = self.options.tempo.as_ref().map_or(self.options.step, |tempo| tempo.step().max(0.1));
        step.min(self.recognizer.window_seconds() / 2.0) * (1.0 + (length - SHORT).max(0.0) / STRETCH)
    }

    fn endpoint(&mut self, endpoint: Endpoint, events: &mut Vec<StreamEvent>) -> Result<(), SpeechError> {
        match endpoint {
            Endpoint::Start { sample } => {
                self.forget_before(sample);
                self.speaking = true;
                self.hypothesis.decoded = false;
            }
            Endpoint::End { sample } => {
                self.conclude(sample, events)?;
                self.speaking = false;
            }
            Endpoint::Withdrawn { sample } => {
                self.hypothesis = Hypothesis::default();
                self.agreement.clear();
                self.decoder.forget_language();
                self.pace.mark();
                self.take_back_volatile(events);
                self.forget_before(sample);
                self.speaking = false;
            }
        }
        Ok(())
    }

    /// Enough new audio has come in, the speaker has paused, or the window is full.
    fn step(&mut self, pass: Pass, events: &mut Vec<StreamEvent>) -> Result<(), SpeechError> {
        let unheard = self.hypothesis.unheard;
        let start = Instant::now();
        self.decode(self.audio.len(), pass)?;
        if let Some(tempo) = &self.options.tempo {
            tempo.spent(start.elapsed());
        }
        // What the detector may still take back does not become final.
        let may_withdraw = self.segmenter.as_ref().is_some_and(Segmenter::may_withdraw);
        // The model has left out the same speech twice: it will not be decoded from here.
        if let (Some(before), Some(now)) = (unheard, self.hypothesis.unheard)
            && before.abs_diff(now) < SAMPLE_RATE as usize / 2
            && !may_withdraw
        {
            let words = self.hypothesis.take();
            self.emit_final(words, events);
            self.take_back_volatile(events);
            self.start_over(now);
            self.hypothesis.decoded = false;
            return Ok(());
        }
        let words = &self.hypothesis.words;
        let twice = self.agreement.agreed(words.iter().map(|word| word.text.as_str()));
        let agreed = if may_withdraw { 0 } else { settled(words, self.heard(), twice) };
        self.agreement.settle(agreed);
        let volatile = self.hypothesis.words.split_off(agreed);
        let words = std::mem::replace(&mut self.hypothesis.words, volatile.clone());
        self.emit_final(words, events);
        self.emit_volatile(volatile, events);
        self.trim(events)
    }

    /// There is a pause, and all speech is decoded.
    fn pause(&mut self, silence: f64, events: &mut Vec<StreamEvent>) -> Result<(), SpeechError> {
        let middle = self.heard - (silence / 2.0 * f64::from(SAMPLE_RATE)) as usize;
        if self.segmenter.is_some() {
            return Ok(());
        }
        if !(self.said.is_empty() && self.hypothesis.words.is_empty()) {
            self.conclude(middle, events)?;
        } else {
            self.forget_before(self.heard - (LEAD * f64::from(SAMPLE_RATE)) as usize);
        }
        Ok(())
    }

    fn trim_seconds(&self) -> f64 {
        self.options.trim.min(self.recognizer.window_seconds() / 2.0)
    }

    /// The speaker has paused at `sample`, or the stream has ended: all text becomes final.
    fn conclude(&mut self, sample: usize, events: &mut Vec<StreamEvent>) -> Result<(), SpeechError> {
        loop {
            let length = sample.saturating_sub(self.audio_start).min(self.audio.len());
            let unseen = self.segmenter.is_some() && self.waiting() >= 1.0;
            if self.pace.new_voice() >= WORD || unseen || !self.hypothesis.decoded {
                self.decode(length, Pass::Pause)?;
            }
            if self.hypothesis.failed {
                self.decode(length, Pass::Careful)?;
            }
            let (words, unheard) = (self.hypothesis.take(), self.hypothesis.unheard.take());
            self.emit_final(words, events);
            match unheard.filter(|&at| at > self.audio_start + BEAT && at < sample) {
                // The rest begins where the model's attention ended.
                Some(at) => {
                    self.start_over(at);
                    self.hypothesis.decoded = false;
                }
                None => {
                    self.take_back_volatile(events);
                    self.start_over(self.audio_start + length);
                    return Ok(());
                }
            }
        }
    }

    /// Decodes the first `length` samples of `audio`; the hypothesis is the text after the final words, with times of
    /// the stream.
    fn decode(&mut self, length: usize, pass: Pass) -> Result<(), SpeechError> {
        let draft = self.hypothesis.take_tokens();
        self.pace.mark();
        self.decoded_at = self.heard;
        self.hypothesis = Hypothesis { decoded: true, ..Hypothesis::default() };
        let samples = &self.audio[..length];
        if samples.len() < SAMPLE_RATE as usize / 10 {
            return Ok(());
        }
        let first = draft.is_empty() && self.said.is_empty();
        let together = seconds(length) < ALONE
            && match pass {
                Pass::Step => !first,
                Pass::Pause => true,
                Pass::Careful => false,
            };
        let dimensions = self.decoder.model.dimensions();
        let (window, most) = (dimensions.window_frames() * HOP, (TOGETHER * f64::from(SAMPLE_RATE)) as usize);
        self.earlier.keep(most.min(window).saturating_sub(self.audio.len()));
        let (earlier, told) = if together { (self.earlier.audio(), self.earlier.tokens()) } else { Default::default() };
        features(&[earlier, samples], dimensions, &mut self.mel, &mut self.features);
        self.prefix.clear();
        self.prefix.extend_from_slice(told);
        self.prefix.extend_from_slice(self.said.tokens());
        let one_attempt = pass != Pass::Careful;
        let context = Context {
            previous: self.previous.tokens(),
            prefix: &self.prefix,
            timestamps: false,
            // An utterance without text so far must get some.
            may_be_empty: !self.said.is_empty(),
            one_attempt,
            audio_context: Some(if one_attempt { self.options.volatile_context } else { AudioContext::Window }),
        };
        let before = seconds(earlier.len());
        let frames = (earlier.len() + samples.len()).div_ceil(HOP).min(dimensions.window_frames());
        let (attempt, listening) = self.decoder.decode_draft(&self.features, frames, context, &draft)?;
        let final_end = if self.said.is_empty() { 0.0 } else { self.final_end - seconds(self.audio_start) };
        let echoes = before > 0.0 && self.said.is_empty() && listening.echoes(before);
        let listening = listening.said_once(before + final_end);
        if echoes || (before > 0.0 && self.said.is_empty() && listening.words.is_empty()) {
            // It repeats the earlier utterances: decode it alone.
            self.earlier.clear();
            return self.decode(length, pass);
        }
        let Listening { mut words, attention, .. } = listening;
        let thresholds = &self.options.transcribe.thresholds;
        let doubtful = self.said.is_empty() && attempt.avg_logprob < DOUBT;
        self.hypothesis.failed = one_attempt && (doubtful || attempt.has_failed(thresholds));
        let loops = thresholds.compression_ratio.is_some_and(|limit| attempt.compression_ratio > limit);
        if attempt.is_silence(thresholds) || (loops && one_attempt) {
            return Ok(());
        }
        self.previous.doubted |= attempt.temperature > HOT;
        let (start, end) = (seconds(self.audio_start), seconds(self.audio_start + length));
        for word in &mut words {
            word.start = (word.start - before + start).clamp(self.final_end.min(end), end);
            word.end = (word.end - before + start).clamp(word.start, end);
        }
        let sees_gaps = !self.decoder.model.prefers_timestamps;
        let mels = self.decoder.model.dimensions().mels;
        let gap = unheard(&self.features, mels, &attention).pop().filter(|gap| gap.behind_all && sees_gaps);
        let place = |gap: Gap| (gap.states.start * 2 * HOP).saturating_sub((before * f64::from(SAMPLE_RATE)) as usize);
        self.hypothesis.unheard = gap.map(|gap| self.audio_start + place(gap));
        self.hypothesis.words = words;
        Ok(())
    }

    fn emit_final(&mut self, words: Vec<Timed>, events: &mut Vec<StreamEvent>) {
        for word in &words {
            self.said.push(word.clone());
            self.final_end = self.final_end.max(word.end);
        }
        if let Some(text) = StreamText::from_words(public(words)) {
            events.push(StreamEvent::Final { at: self.heard(), text });
        }
    }

    fn emit_volatile(&mut self, words: Vec<Timed>, events: &mut Vec<StreamEvent>) {
        match StreamText::from_words(public(words)) {
            Some(text) => {
                self.volatile = true;
                events.push(StreamEvent::Volatile { at: self.heard(), text });
            }
            None => self.take_back_volatile(events),
        }
    }

    fn take_back_volatile(&mut self, events: &mut Vec<StreamEvent>) {
        if std::mem::take(&mut self.volatile) {
            events.push(StreamEvent::Volatile { at: self.heard(), text: StreamText::default() });
        }
    }

    /// Keeps the audio short while someone speaks without a pause.
    fn trim(&mut self, events: &mut Vec<StreamEvent>) -> Result<(), SpeechError> {
        let window = self.recognizer.window_seconds();
        let (start, length, trim) = (seconds(self.audio_start), seconds(self.audio.len()), self.trim_seconds());
        let after = match length / trim {
            ..1.0 => return Ok(()),
            1.0..1.5 => CutAfter::Sentence,
            1.5..2.0 => CutAfter::Clause,
            _ => CutAfter::Word,
        };
        let next = self.hypothesis.words.first().map(|word| word.start);
        if let Some(cut) = self.said.cut(after, next, start + 1.0) {
            self.go_on(&cut);
        } else if length >= window - ROOM {
            self.settle_window(events)?;
        }
        Ok(())
    }

    /// No word became stable in a whole window: takes the hypothesis rather than losing it. A last word that may be cut
    /// in the middle is left for the next window.
    fn settle_window(&mut self, events: &mut Vec<StreamEvent>) -> Result<(), SpeechError> {
        self.decode(self.audio.len(), Pass::Careful)?;
        let mut words = self.hypothesis.take();
        let limit = self.heard() - UNSURE_TAIL;
        let whole = words.iter().take_while(|word| word.end <= limit).count();
        let last = words.split_off(whole);
        self.emit_final(words, events);
        let behind = self.final_end_sample();
        if !last.is_empty() && behind > self.audio_start + SAMPLE_RATE as usize {
            self.take_back_volatile(events);
            self.start_over(behind);
        } else {
            self.emit_final(last, events);
            self.take_back_volatile(events);
            self.start_over(self.heard);
        }
        Ok(())
    }

    fn final_end_sample(&self) -> usize {
        (self.final_end * f64::from(SAMPLE_RATE)) as usize
    }

    /// Continues after an utterance that ends at `sample`.
    fn start_over(&mut self, sample: usize) {
        let length = sample.saturating_sub(self.audio_start).min(self.audio.len());
        self.earlier.push(&self.audio[..length], self.said.tokens());
        self.forget_before(sample);
        self.previous.remember(self.said.tokens());
        self.said.clear();
        self.agreement.clear();
        self.hypothesis.unheard = None;
    }

    /// Continues inside an utterance, without the audio and the words before `cut`.
    fn go_on(&mut self, cut: &Cut) {
        self.earlier.clear();
        self.forget_before((cut.time * f64::from(SAMPLE_RATE)) as usize);
        self.previous.remember(&self.said.drop_first(cut.words));
        self.hypothesis.unheard = None;
    }

    fn forget_before(&mut self, sample: usize) {
        let surplus = sample.saturating_sub(self.audio_start).min(self.audio.len());
        self.audio.drain(..surplus);
        self.audio_start += surplus;
    }
}

/// Options without a maximum segment length: the detector would split at a pause that the text has long passed.
fn endless(options: &VadOptions) -> VadOptions {
    VadOptions { max_speech_s: f32::INFINITY, ..options.clone() }
}

/// Number of words at the start of a hypothesis that are final after `heard` seconds, if the last hypothesis had
/// `twice` of them, too: they are not cut in the middle, their spelling is decided, and what only this hypothesis has
/// is clear.
fn settled(words: &[Timed], heard: f64, twice: usize) -> usize {
    let waits = |word: &Timed| if word.undecided { UNDECIDED } else { UNSURE_TAIL };
    let sure = words.iter().take_while(|word| word.end <= heard - waits(word)).count();
    let clear = |word: &Timed| word.end <= heard - CLEAR_TAIL && word.probability >= CLEAR;
    let twice = twice.min(sure);
    twice + words[twice..sure].iter().take_while(|word| clear(word)).count()
}

fn public(words: Vec<Timed>) -> Vec<Word> {
    let word = |word: Timed| Word { start: word.start, end: word.end, text: word.text, probability: word.probability };
    words.into_iter().map(word).collect()
}

/// Features of a separate window, padded with silence.
fn features(parts: &[&[f32]], dimensions: &Dimensions, mel: &mut LogMel, values: &mut Vec<f32>) {
    let window = dimensions.window_frames();
    let _span = span(SpanName::Mel);
    mel.reset();
    parts.iter().for_each(|samples| mel.push(samples));
    // Frames after the last sample are silence and are not computed.
    mel.push_silence(4 * HOP);
    values.clear();
    let samples: usize = parts.iter().map(|part| part.len()).sum();
    let heard = window.min(samples / HOP + 3) * dimensions.mels;
    values.extend_from_slice(&mel.frames()[..heard]);
    values.resize(window * dimensions.mels, SILENCE);
    let peak = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    normalize(values, peak);
}

impl std::fmt::Debug for StreamTranscriber<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamTranscriber").field("heard", &self.heard()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

    use sotto_testkit::quick_tests;

    use super::*;
    use crate::starter::{demo_audio, starter};

    #[test]
    fn an_undecided_spelling_waits_and_so_do_the_words_after_it() {
        let word = |text: &str, end: f64, undecided| Timed {
            text: text.into(),
            tokens: vec![1],
            start: end - 0.3,
            end,
            heard: end,
            probability: 0.9,
            undecided,
        };
        let words = [word(" street", 1.0, false), word(" car", 1.4, true), word(" lines", 1.9, false)];
        // However clear they are, and whether the last hypothesis had them.
        for twice in [0, 3] {
            assert_eq!([1.2, 1.4, 3.0, 3.8, 3.95].map(|heard| settled(&words, heard, twice)), [0, 1, 1, 1, 3]);
        }
        let decided = words.map(|word| Timed { undecided: false, ..word });
        assert_eq!([1.2, 1.4, 3.0].map(|heard| settled(&decided, heard, 0)), [0, 1, 3]);
        // Not clear, and said by this hypothesis alone.
        let unclear = decided.map(|word| Timed { probability: 0.5, ..word });
        assert_eq!([0, 1, 3].map(|twice| settled(&unclear, 3.0, twice)), [0, 1, 3]);
    }

    /// Without a detector nothing ends an utterance, and behind the window's length nothing is decoded.
    #[test]
    fn audio_that_waits_never_outgrows_the_window_however_large_the_step() {
        if quick_tests() {
            return;
        }
        let (recognizer, demo, cancel) = (starter(), demo_audio(), CancelToken::new());
        let window = recognizer.model().unwrap().dimensions().window_frames() * HOP;
        let longest = recognizer.window_seconds() / 2.0;
        for step in [1.0, 0.74 * longest, longest] {
            let options = StreamOptions { step, trim: 15.0, ..StreamOptions::default() };
            let mut transcriber = StreamTranscriber::new(recognizer, &options, SAMPLE_RATE, 1, &cancel).unwrap();
            let mut events = Vec::new();
            for block in demo.samples().repeat(5).chunks(SAMPLE_RATE as usize / 10) {
                transcriber.push(block, &mut events).unwrap();
                let StreamTranscriber { audio, audio_start, heard, .. } = &transcriber;
                assert!(audio.len() <= window, "step {step}: {} samples at {heard}", audio.len());
                assert_eq!(audio_start + audio.len(), *heard);
            }
            transcriber.finish(&mut events).unwrap();
            assert!(events.iter().any(|event| matches!(event, StreamEvent::Final { .. })));
        }
    }
}
