//! The state machine of a live transcription. What it says depends on the samples alone, not on how they arrive.

use std::time::Instant;

use sotto_audio::{AudioError, HOP, LogMel, Resampler, SAMPLE_RATE, normalize};
use sotto_runtime::CancelToken;

use super::agreement::Agreement;
use super::event::{StreamEvent, StreamText};
use super::previous::Previous;
use crate::align::{self, Timed};
use crate::error::SpeechError;
use crate::long_form::{HOT, seconds};
use crate::options::{AudioContext, Normalization, TimestampTokens, TranscribeOptions};
use crate::recognizer::SpeechRecognizer;
use crate::transcript::{Timing, Word};
use crate::vad::{Endpoint, Segmenter};
use crate::window::{Context, WindowDecoder};

/// Options of a live transcription.
#[derive(Debug, Clone)]
pub struct StreamOptions {
    /// How the speech is decoded. Times are always those of words; the voice activity detector decides when a speaker
    /// has finished (without one, text becomes final by agreement alone).
    ///
    /// Every utterance is told `prompt`, and with `condition_on_previous` also the final text of the utterances
    /// before it, as far as they fit. What cannot work on a stream is refused: `prefix` (final text is the prefix
    /// already), `Normalization::Recording` (the loudest point is not known yet) and `TimestampTokens::Always` (times
    /// come from the model's attention).
    pub transcribe: TranscribeOptions,
    /// Seconds of new audio after which the text is decoded again.
    pub step: f64,
    /// Seconds of speech without a pause after which audio behind final text is dropped; half of the model's window
    /// where that is shorter.
    pub trim: f64,
    /// How much of the window is encoded at every step, for volatile text and for words on which two steps agree; what
    /// becomes final at a pause follows `transcribe.audio_context`.
    ///
    /// The true length, the default, takes half to two thirds of the processor's time, at no more errors in the final text. More
    /// volatile words change: take `Window` where calm volatile text matters more than the battery. Figures:
    /// `docs/PERFORMANCE.md`.
    pub volatile_context: AudioContext,
}

impl Default for StreamOptions {
    fn default() -> Self {
        let volatile_context = AudioContext::TrueLength;
        Self { transcribe: TranscribeOptions::default(), step: 1.0, trim: 15.0, volatile_context }
    }
}

impl StreamOptions {
    /// Refuses what cannot work on a stream, before any audio is heard. `window` is the model's, in seconds.
    fn check(&self, window: f64) -> Result<(), SpeechError> {
        let problem = |option, problem: &str| Err(SpeechError::Option { option, problem: problem.into() });
        if !(0.1..=window / 2.0).contains(&self.step) {
            return problem("step", &format!("must be between 0.1 and {} seconds", window / 2.0));
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

// A word that ends this close to the last sample may be cut in the middle.
const UNSURE_TAIL: f64 = 0.3;

// An utterance that comes this close to the window's length is cut even where no sentence ends.
const ROOM: f64 = 2.0;

/// Turns a stream of samples into events. Blocks the caller while it decodes; needs no thread of its own.
pub struct StreamTranscriber<'r> {
    recognizer: &'r SpeechRecognizer,
    options: &'r StreamOptions,
    decoder: WindowDecoder<'r>,
    previous: Previous,
    /// Rate and channels of what is pushed.
    input: (u32, u16),
    resampler: Resampler,
    resampled: Vec<f32>,
    /// Of the window at hand; kept for its memory.
    mel: LogMel,
    features: Vec<f32>,
    segmenter: Option<Segmenter>,
    agreement: Agreement,
    /// Speech that is not final yet, with what was said in it so far.
    audio: Vec<f32>,
    /// Position of the first sample of `audio` in the stream.
    audio_start: usize,
    /// Samples of the stream that were heard.
    heard: usize,
    /// Position at which the text is decoded next.
    next_step: usize,
    /// Whether someone speaks; always, where no detector can tell.
    speaking: bool,
    /// Tokens of the final words that lie in `audio`.
    prefix: Vec<u32>,
    /// End of the last final word.
    final_end: f64,
    /// Whether the last event was volatile text that is not empty.
    volatile: bool,
}

impl<'r> StreamTranscriber<'r> {
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
        let decoder = recognizer.window_decoder(&options.transcribe, cancel)?;
        let segmenter =
            options.transcribe.vad.as_ref().map(|vad| Segmenter::new(&vad.model, recognizer.vad_options(&vad.options)));
        Ok(Self {
            recognizer,
            options,
            previous: Previous::new(&decoder),
            decoder,
            input: (rate, channels),
            resampler: Resampler::new(rate, u32::from(channels))?,
            resampled: Vec::new(),
            mel: LogMel::new(recognizer.model().dimensions().mels)?,
            features: Vec::new(),
            speaking: segmenter.is_none(),
            segmenter,
            agreement: Agreement::default(),
            audio: Vec::new(),
            audio_start: 0,
            heard: 0,
            next_step: (options.step * f64::from(SAMPLE_RATE)) as usize,
            prefix: Vec::new(),
            final_end: 0.0,
            volatile: false,
        })
    }

    /// Hears interleaved samples and appends what follows from them to `events`.
    ///
    /// # Errors
    /// [`SpeechError::Audio`] for samples that are not finite (none of them is heard), [`SpeechError::Cancelled`].
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

    /// Ends the stream: everything that was said becomes final.
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
        let ends = self.segmenter.as_mut().map(Segmenter::finish).unwrap_or_default();
        for endpoint in ends {
            self.endpoint(endpoint, events)?;
        }
        if self.speaking {
            self.conclude(self.heard, events)?;
        }
        Ok(())
    }

    /// Seconds of audio heard.
    #[must_use]
    pub fn heard(&self) -> f64 {
        seconds(self.heard)
    }

    /// Where the time went so far; `total` is what [`push`](Self::push) and [`finish`](Self::finish) took together.
    #[must_use]
    pub fn timing(&self) -> Timing {
        self.decoder.timing
    }

    /// Hears 16 kHz samples, in pieces that end where something may happen. `audio` never outgrows the model's window:
    /// what lies behind a window would not be decoded.
    fn hear(&mut self, mut samples: &[f32], events: &mut Vec<StreamEvent>) -> Result<(), SpeechError> {
        let window = self.recognizer.model().dimensions().window_frames() * HOP;
        while !samples.is_empty() {
            let room = window.saturating_sub(self.audio.len()).max(1);
            let piece = samples.len().min(self.next_step - self.heard).min(room);
            let (now, later) = samples.split_at(piece);
            samples = later;
            self.audio.extend_from_slice(now);
            self.heard += piece;
            let endpoints = self.segmenter.as_mut().map(|segmenter| segmenter.push(now)).unwrap_or_default();
            for endpoint in endpoints {
                self.endpoint(endpoint, events)?;
            }
            let due = self.heard == self.next_step;
            if due {
                self.next_step += (self.options.step * f64::from(SAMPLE_RATE)) as usize;
            }
            if due || self.audio.len() >= window {
                self.step(events)?;
            }
        }
        Ok(())
    }

    fn endpoint(&mut self, endpoint: Endpoint, events: &mut Vec<StreamEvent>) -> Result<(), SpeechError> {
        match endpoint {
            Endpoint::Start { sample } => {
                self.forget_before(sample);
                self.speaking = true;
            }
            Endpoint::End { sample } => {
                self.conclude(sample, events)?;
                self.speaking = false;
            }
        }
        Ok(())
    }

    /// A step of new audio has come in, or the window is full.
    fn step(&mut self, events: &mut Vec<StreamEvent>) -> Result<(), SpeechError> {
        if !self.speaking {
            // Silence is forgotten but for what a late start of speech may reach back to.
            self.forget_before(self.segmenter.as_ref().map_or(self.heard, Segmenter::earliest_start));
            return Ok(());
        }
        let words = self.decode(self.audio.len(), true)?;
        let limit = self.heard() - UNSURE_TAIL;
        let sure = words.iter().take_while(|word| word.end <= limit).count();
        let agreed = self.agreement.agreed(words.iter().map(|word| word.text.as_str())).min(sure);
        self.agreement.settle(agreed);
        let mut words = words;
        let volatile = words.split_off(agreed);
        self.emit_final(words, events);
        self.emit_volatile(volatile, events);
        self.trim(events)
    }

    /// The speaker has paused at `sample`, or the stream is over: all that was said is final.
    fn conclude(&mut self, sample: usize, events: &mut Vec<StreamEvent>) -> Result<(), SpeechError> {
        let length = sample.saturating_sub(self.audio_start).min(self.audio.len());
        let words = self.decode(length, false)?;
        self.emit_final(words, events);
        self.take_back_volatile(events);
        self.start_over(self.audio_start + length);
        Ok(())
    }

    /// Words behind the final ones in the first `length` samples of `audio`, in stream time.
    fn decode(&mut self, length: usize, one_attempt: bool) -> Result<Vec<Timed>, SpeechError> {
        let samples = &self.audio[..length];
        if samples.len() < SAMPLE_RATE as usize / 10 {
            return Ok(Vec::new());
        }
        features(samples, self.recognizer, &mut self.mel, &mut self.features);
        let context = Context {
            previous: self.previous.tokens(),
            prefix: &self.prefix,
            timestamps: false,
            may_be_empty: !self.prefix.is_empty(),
            one_attempt,
            audio_context: one_attempt.then_some(self.options.volatile_context),
        };
        let decoded = self.decoder.decode(&self.features, samples.len().div_ceil(HOP), context)?;
        let thresholds = &self.options.transcribe.thresholds;
        let loops = thresholds.compression_ratio.is_some_and(|limit| decoded.attempt.compression_ratio > limit);
        if decoded.attempt.is_silence(thresholds) || (loops && one_attempt) {
            return Ok(Vec::new());
        }
        self.previous.doubted |= decoded.attempt.temperature > HOT;
        let tokens: Vec<u32> = self.prefix.iter().chain(&decoded.attempt.tokens).copied().collect();
        let states = (samples.len() / 320).min(self.recognizer.model().dimensions().audio_context);
        let mut words = align::timed_words(&mut self.decoder, &decoded.audio, states, &tokens)?;
        let spoken = self.prefix.len();
        let mut seen = 0;
        words.retain(|word| {
            seen += word.tokens.len();
            seen > spoken
        });
        let (start, end) = (seconds(self.audio_start), seconds(self.audio_start + length));
        for word in &mut words {
            word.start = (word.start + start).clamp(self.final_end.min(end), end);
            word.end = (word.end + start).clamp(word.start, end);
        }
        Ok(words)
    }

    fn emit_final(&mut self, words: Vec<Timed>, events: &mut Vec<StreamEvent>) {
        for word in &words {
            self.prefix.extend_from_slice(&word.tokens);
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
        let length = seconds(self.audio.len());
        if length < self.options.trim.min(self.recognizer.window_seconds() / 2.0) {
            return Ok(());
        }
        let behind = self.final_end_sample();
        let sentence_ended = self.ends_a_sentence();
        if behind > self.audio_start && sentence_ended {
            self.start_over(behind);
        } else if length >= self.recognizer.window_seconds() - ROOM {
            if behind <= self.audio_start + SAMPLE_RATE as usize {
                self.settle_window(events)?;
            } else {
                self.start_over(behind);
            }
        }
        Ok(())
    }

    /// Nothing was agreed on in a whole window: takes what there is rather than lose it. A last word that may be cut in
    /// the middle is left for the next window.
    fn settle_window(&mut self, events: &mut Vec<StreamEvent>) -> Result<(), SpeechError> {
        let mut words = self.decode(self.audio.len(), false)?;
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

    fn ends_a_sentence(&self) -> bool {
        let text = self.decoder.model.tokenizer().decode(&self.prefix);
        text.trim_end().ends_with(['.', '!', '?', '。', '！', '？'])
    }

    /// Goes on as if the stream began at `sample`.
    fn start_over(&mut self, sample: usize) {
        self.forget_before(sample);
        self.previous.remember(&self.prefix);
        self.prefix.clear();
        self.agreement.clear();
    }

    fn forget_before(&mut self, sample: usize) {
        let surplus = sample.saturating_sub(self.audio_start).min(self.audio.len());
        self.audio.drain(..surplus);
        self.audio_start += surplus;
    }
}

fn public(words: Vec<Timed>) -> Vec<Word> {
    let word = |word: Timed| Word { start: word.start, end: word.end, text: word.text, probability: word.probability };
    words.into_iter().map(word).collect()
}

/// Features of a window of its own, filled up with silence.
fn features(samples: &[f32], recognizer: &SpeechRecognizer, mel: &mut LogMel, values: &mut Vec<f32>) {
    let dimensions = recognizer.model().dimensions();
    let window = dimensions.window_frames();
    mel.reset();
    mel.push(samples);
    mel.push_silence((window + 4) * HOP);
    values.clear();
    values.extend_from_slice(&mel.frames()[..window * dimensions.mels]);
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

    /// Without a detector nothing ends an utterance, and behind the window's length nothing is decoded.
    #[test]
    fn audio_that_waits_never_outgrows_the_window_however_large_the_step() {
        if quick_tests() {
            return;
        }
        let (recognizer, demo, cancel) = (starter(), demo_audio(), CancelToken::new());
        let window = recognizer.model().dimensions().window_frames() * HOP;
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
