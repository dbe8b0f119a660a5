//! Decoding of one window: features in, tokens with quality measures out.

use std::time::Instant;

use sotto_nn::search::{self, Draft, Hypotheses, LengthNorm, Recording, SearchSettings, argmax, repeats};
use sotto_runtime::spans::{self, Counter, SpanName, span};
use sotto_runtime::{CancelToken, Cancelled, Lease, Reservation, Threads};
use sotto_text::Tokenizer;
use sotto_text::whisper::language;

use crate::align::{Listening, Recorded, listen, listen_to_recorded};
use crate::decode::{
    Attempt, DecodingMemory, Prompt, PromptParts, Rules, TimestampRules, Window, WindowScorer, decode_with_fallback,
    judge, probability,
};
use crate::error::SpeechError;
use crate::model::{Model, Precision, Session};
use crate::options::{AudioContext, Language, Task, TranscribeOptions};
use crate::spoken::SpokenLanguage;
use crate::transcript::Timing;
use crate::voice_bounds::Voice;

/// Decodes windows of one recording or stream with one set of options.
#[derive(Debug)]
pub(crate) struct WindowDecoder<'m> {
    pub(crate) model: Lease<Model>,
    pub(crate) options: &'m TranscribeOptions,
    pub(crate) cancel: &'m CancelToken,
    /// The network with the last encoded window.
    session: Box<dyn Session>,
    memory: DecodingMemory,
    language: SpokenLanguage,
    /// What `AudioContext::Auto` is.
    usual_context: AudioContext,
    pub(crate) timing: Timing,
    /// The memory reserved from the budget.
    _reserved: Reservation,
}

/// The start of a search.
struct Prepared<'m> {
    prompt: Prompt,
    scorer: WindowScorer<'m>,
    settings: SearchSettings,
}

/// The context of a window's text.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Context<'a> {
    /// Tokens of the text before this window.
    pub(crate) previous: &'a [u32],
    /// Tokens that the window's text must begin with.
    pub(crate) prefix: &'a [u32],
    /// Whether the model writes timestamps.
    pub(crate) timestamps: bool,
    /// Whether the text may be empty after the prefix: in a stream the prefix may be complete.
    pub(crate) may_be_empty: bool,
    /// Whether only the first temperature is tried, for text that will be decoded again anyway.
    pub(crate) one_attempt: bool,
    /// How much of the window is encoded; `None`: as the options say.
    pub(crate) audio_context: Option<AudioContext>,
}

impl<'m> WindowDecoder<'m> {
    /// Checks the options against the model, and reserves the memory of a transcription.
    pub(crate) fn new(
        model: Lease<Model>,
        options: &'m TranscribeOptions,
        threads: Threads,
        cancel: &'m CancelToken,
    ) -> Result<Self, SpeechError> {
        let language = Self::check(&model, options)?;
        let _reserved = model.reserve_session(options, threads)?;
        let (session, memory) = (model.session(threads), DecodingMemory::new());
        let (language, timing) = (SpokenLanguage::new(language, &options.language), Timing::default());
        let usual_context = usual_context(model.precision, options.as_written);
        Ok(Self { model, options, cancel, session, memory, language, usual_context, timing, _reserved })
    }

    /// Windows will mostly repeat the audio of the last one.
    pub(crate) fn expect_repetition(&mut self) {
        self.session.expect_repetition();
    }

    /// Checks the options against the model; returns the language, if it is fixed.
    pub(crate) fn check(model: &Model, options: &TranscribeOptions) -> Result<Option<&'static str>, SpeechError> {
        options.check()?;
        options.hotwords.iter().try_for_each(|hotwords| hotwords.check(&model.tokenizer))?;
        fixed_language(model, options)
    }

    /// Tokens of the caller's text, with the leading space that the model would write; empty without text.
    pub(crate) fn tokens_of(&self, text: Option<&str>) -> Vec<u32> {
        let text = text.unwrap_or_default().trim();
        if text.is_empty() { Vec::new() } else { self.model.tokenizer.encode(&format!(" {text}")) }
    }

    /// What was decoded so far was no speech: the language is listened for as at the beginning.
    pub(crate) fn forget_language(&mut self) {
        self.language.start_over();
    }

    /// Code of the language, once the first window was decoded.
    pub(crate) fn language(&self) -> &'static str {
        self.language.code().unwrap_or("en")
    }

    /// Whether the vocabulary has timestamps at all.
    pub(crate) fn can_write_timestamps(&self) -> bool {
        self.model.tokenizer.special().timestamp_begin.is_some()
    }

    /// Encodes `[frames, mels]` features; texts attend to them until the next call.
    pub(crate) fn encode(&mut self, features: &[f32]) -> Result<(), Cancelled> {
        let start = Instant::now();
        let _span = span(SpanName::Encode);
        self.session.hear(features, self.cancel)?;
        self.timing.encode += start.elapsed();
        self.timing.windows += 1;
        Ok(())
    }

    /// The texts that attend to the last encoded window.
    pub(crate) fn hypotheses(&mut self) -> &mut dyn Hypotheses {
        self.session.hypotheses()
    }

    /// Encodes and decodes a window of `[frames, mels]` features, of which the first `frames` have audio.
    pub(crate) fn decode(
        &mut self,
        features: &[f32],
        frames: usize,
        context: Context<'_>,
    ) -> Result<Attempt, Cancelled> {
        let mels = self.model.dimensions.mels;
        let needed = self.needed_frames(features, frames, context);
        if needed * mels == features.len() {
            return self.decode_all(features, context);
        }
        let first = self.decode_all(&features[..needed * mels], Context { one_attempt: true, ..context })?;
        if context.one_attempt || !self.is_doubtful(&first) {
            return Ok(first);
        }
        if self.language.is_in_doubt() {
            self.language.forget();
        }
        self.decode_all(features, context)
    }

    /// Whether a text decoded from the true length should be decoded again from the whole window.
    fn is_doubtful(&self, attempt: &Attempt) -> bool {
        let thresholds = &self.options.thresholds;
        let guess = thresholds.logprob.is_some_and(|limit| attempt.avg_logprob < limit.max(DOUBT));
        let unclear = attempt.has_failed(thresholds) || repeats(&attempt.tokens) || attempt.tokens.is_empty();
        guess || unclear || self.language.is_in_doubt()
    }

    /// Number of frames to encode, if `frames` have audio.
    fn needed_frames(&self, features: &[f32], frames: usize, context: Context<'_>) -> usize {
        let all = features.len() / self.model.dimensions.mels;
        let wanted = match context.audio_context.unwrap_or(self.options.audio_context) {
            AudioContext::Auto => self.usual_context,
            wanted => wanted,
        };
        if wanted == AudioContext::TrueLength { true_length(frames, context.one_attempt).min(all) } else { all }
    }

    fn decode_all(&mut self, features: &[f32], context: Context<'_>) -> Result<Attempt, Cancelled> {
        self.encode(features)?;
        let start = Instant::now();
        let _span = span(SpanName::Decode);
        let Prepared { prompt, scorer, settings } = self.prepare(context)?;
        let model = self.model.clone();
        let no_speech = model.tokenizer.special().no_speech;
        let (cancel, TranscribeOptions { search, thresholds, .. }) = (self.cancel, self.options);
        let Self { session, memory, .. } = self;
        let (hypotheses, before) = (session.hypotheses(), memory.search.sampled());
        let no_speech_prob = memory.prepare(hypotheses, &prompt, settings.max_tokens, no_speech, cancel)?;
        let DecodingMemory { search: searched, compressor, first } = memory;
        let attempts = if context.one_attempt { 1 } else { search.temperatures.len() };
        let window = Window {
            first,
            no_speech_prob,
            settings: search,
            temperatures: &search.temperatures[..attempts],
            thresholds,
            tokenizer: &model.tokenizer,
        };
        let mut search = search::Search { hypotheses, memory: searched, scorer: &scorer, settings, cancel };
        let attempt = decode_with_fallback(&mut search, &window, compressor)?;
        self.count(&attempt, before, start);
        Ok(attempt)
    }

    /// Decodes greedily and once, with `draft` as the likely text, and aligns the text with the audio: a step of a live
    /// stream. `frames` of the features have audio. Returns the words after the prefix; the attention includes those of
    /// the prefix.
    ///
    /// Beam search and sampling cannot use a draft and are decoded as usual.
    pub(crate) fn decode_draft(
        &mut self,
        features: &[f32],
        frames: usize,
        context: Context<'_>,
        draft: &[u32],
    ) -> Result<(Attempt, Listening), Cancelled> {
        let voice = Voice::new(features, self.model.dimensions.mels, frames);
        let settings = &self.options.search;
        let greedy = settings.beam == 1 && settings.temperatures.first().is_some_and(|&t| t == 0.0);
        if !greedy || !context.one_attempt {
            let attempt = self.decode(features, frames, context)?;
            let tokens: Vec<u32> = context.prefix.iter().chain(&attempt.tokens).copied().collect();
            let listening = listen(self, &voice, &tokens)?;
            return Ok((attempt, listening.behind(context.prefix.len(), &self.model.tokenizer)));
        }
        let mels = self.model.dimensions.mels;
        self.encode(&features[..self.needed_frames(features, frames, context) * mels])?;
        let start = Instant::now();
        let decode = span(SpanName::Decode);
        let Prepared { prompt, scorer, settings } = self.prepare(context)?;
        let (model, cancel) = (self.model.clone(), self.cancel);
        let scorer = WindowScorer { spelling: Some(&model.tokenizer), ..scorer };
        let mut recording = Recording::new(&model.alignment_heads);
        let Self { session, memory, .. } = self;
        let (hypotheses, before) = (session.hypotheses(), memory.search.sampled());
        let mut search = search::Search { hypotheses, memory: &mut memory.search, scorer: &scorer, settings, cancel };
        let draft = Draft::feed(&mut search, &prompt.tokens, draft, &mut recording)?;
        let candidate = draft.follow(&mut search, &mut recording)?;
        // The prefix is not returned.
        let prefix = prompt.prefix(context.prefix);
        let probabilities: Vec<f32> = prefix.iter().map(|_| 1.0).chain(candidate.probabilities()).collect();
        let rivals: Vec<f32> = prefix.iter().map(|_| 0.0).chain(candidate.rivals()).collect();
        let mut attempt = judge(candidate, 0.0, 0.0, &model.tokenizer, &mut self.memory.compressor);
        // Audio of words that are known already is not silent.
        if context.prefix.is_empty() && attempt.may_be_silence(&self.options.thresholds) {
            attempt.no_speech_prob = self.no_speech(&prompt)?;
        }
        self.count(&attempt, before, start);
        drop(decode);
        let text: Vec<u32> = prefix.iter().chain(&attempt.tokens).copied().collect();
        let first = prompt.tokens.len() - prefix.len() - 1;
        let recorded = Recorded::behind(recording, prompt.sot, first);
        let mut listening = listen_to_recorded(self, recorded, &voice, &text, &probabilities);
        listening.doubt_spelling(&rivals);
        Ok((attempt, listening.behind(prefix.len(), &self.model.tokenizer)))
    }

    /// The part of the context's prefix that the decoder has room for.
    pub(crate) fn fitting_prefix<'p>(&self, context: Context<'p>) -> &'p [u32] {
        self.prompt(context).prefix(context.prefix)
    }

    fn prompt(&self, context: Context<'_>) -> Prompt {
        let sot_sequence = self.sot_sequence(context.timestamps);
        let parts = PromptParts { sot_sequence: &sot_sequence, previous: context.previous, prefix: context.prefix };
        Prompt::new(parts, self.model.tokenizer.special(), self.model.dimensions.text_context, self.max_tokens())
    }

    /// Prepares the start of decoding.
    fn prepare(&mut self, context: Context<'_>) -> Result<Prepared<'m>, Cancelled> {
        // A prefix determines the language.
        if !self.language.is_sure() && (context.prefix.is_empty() || self.language.code().is_none()) {
            let (code, probability) = self.detect()?;
            self.language.hear(code, probability);
        }
        let max_tokens = self.max_tokens();
        let prompt = self.prompt(context);
        // The last token is not fed back, so one more fits than there are positions left (as in the reference).
        let room = self.model.dimensions.text_context - prompt.tokens.len() + 1;
        let options: &'m TranscribeOptions = self.options;
        let scorer = WindowScorer {
            rules: self.rules(context),
            hotwords: options.hotwords.as_deref(),
            end: self.model.tokenizer.special().eot,
            spelling: None,
        };
        let settings = SearchSettings {
            beam: options.search.beam,
            patience: options.search.patience,
            length: options.search.length_penalty.map_or(LengthNorm::Mean, LengthNorm::Gnmt),
            max_tokens: max_tokens.min(room),
            stop_loops: options.thresholds.compression_ratio.is_some(),
        };
        Ok(Prepared { prompt, scorer, settings })
    }

    /// Counts an attempt; `before` tokens had been sampled when it began.
    fn count(&mut self, attempt: &Attempt, before: usize, start: Instant) {
        let sampled = self.memory.search.sampled() - before;
        if attempt.is_silence(&self.options.thresholds) {
            self.language.was_silent();
        } else {
            self.language.was_spoken(self.options.as_written);
        }
        self.timing.tokens += sampled;
        spans::count(Counter::DecoderBytes, self.model.bytes_per_token().saturating_mul(sampled as u64));
        self.timing.decode += start.elapsed();
    }

    /// The probability that the last encoded window is silent; the texts start over.
    fn no_speech(&mut self, prompt: &Prompt) -> Result<f32, Cancelled> {
        let hypotheses = self.session.hypotheses();
        hypotheses.begin(prompt.sot + 1);
        hypotheses.extend(&prompt.tokens[..=prompt.sot], None, self.cancel)?;
        Ok(probability(hypotheses.logits(&[prompt.sot]), self.model.tokenizer.special().no_speech))
    }

    /// The language of the last encoded window, and its probability among all languages.
    pub(crate) fn detect(&mut self) -> Result<(&'static str, f32), Cancelled> {
        let model = self.model.clone();
        let tokenizer = &model.tokenizer;
        if !tokenizer.is_multilingual() {
            return Ok(("en", 1.0));
        }
        let hypotheses = self.session.hypotheses();
        hypotheses.begin(1);
        hypotheses.extend(&[tokenizer.special().sot], None, self.cancel)?;
        let logits = hypotheses.logits(&[0]);
        let languages = tokenizer.languages();
        let mut scores: Vec<f32> = languages
            .iter()
            .map(|&(_, token)| logits.get(token as usize).copied().unwrap_or(f32::NEG_INFINITY))
            .collect();
        sotto_kernels::softmax(&mut scores);
        if self.options.language == Language::Each
            && let Some(last) = languages.iter().position(|&(code, _)| Some(code) == self.language.code())
        {
            scores[last] *= AS_BEFORE;
        }
        let best = argmax(&scores);
        Ok((languages[best].0, scores[best]))
    }

    /// Start of transcript with language, task and, if wanted, `<|notimestamps|>`.
    pub(crate) fn sot_sequence(&self, timestamps: bool) -> Vec<u32> {
        let tokenizer = &self.model.tokenizer;
        let special = tokenizer.special();
        let mut tokens = vec![special.sot];
        if tokenizer.is_multilingual() {
            tokens.extend(tokenizer.language_token(self.language()));
            tokens.extend(match self.options.task {
                Task::Transcribe => special.transcribe,
                Task::Translate => special.translate,
            });
        }
        if !timestamps {
            tokens.extend(special.no_timestamps);
        }
        tokens
    }

    /// Maximum number of tokens of a window.
    fn max_tokens(&self) -> usize {
        self.options.max_tokens.unwrap_or(self.model.dimensions.text_context / 2)
    }

    fn rules(&self, context: Context<'_>) -> Rules {
        let (model, options) = (&self.model, self.options);
        let mut suppress = options.suppress_tokens.clone();
        if options.allow_non_speech {
            let non_speech = model.tokenizer.non_speech_tokens();
            suppress.extend(model.suppress.iter().filter(|token| !non_speech.contains(token)));
        } else {
            suppress.extend_from_slice(&model.suppress);
        }
        let timestamps = context
            .timestamps
            .then(|| TimestampRules::new(model.tokenizer.special(), model.max_initial_timestamp))
            .flatten();
        Rules {
            suppress,
            suppress_first: if context.may_be_empty { Vec::new() } else { model.suppress_first.clone() },
            timestamps,
            vocabulary: model.tokenizer.vocab_size().min(model.dimensions.vocabulary),
        }
    }
}

// Prior odds that a speaker continues in the language of the previous stretch.
const AS_BEFORE: f32 = 4.0;

// A text from the true length whose mean log-probability is lower is decoded again from the whole window. That is every
// fourth or fifth text of short clips, and the words that the true length costs. Figures: docs/PERFORMANCE.md.
const DOUBT: f32 = -0.3;

// 256 encoder states. Shorter steps give more inserted words.
const STEP_FRAMES: usize = 512;

// Silence after the audio: four seconds. With less, clean clips have more errors. Audio that is decoded again anyway,
// as in a stream, needs little.
const MARGIN_FRAMES: usize = 400;
const LEAST_MARGIN_FRAMES: usize = 40;

/// What `AudioContext::Auto` is: the whole window for those who want the text of the references.
fn usual_context(precision: Precision, as_written: bool) -> AudioContext {
    if as_written || precision == Precision::F32 { AudioContext::Window } else { AudioContext::TrueLength }
}

/// Mel frames that are encoded for `frames` of audio.
fn true_length(frames: usize, heard_again: bool) -> usize {
    let margin = if heard_again { LEAST_MARGIN_FRAMES } else { MARGIN_FRAMES };
    (frames + margin).next_multiple_of(STEP_FRAMES)
}

/// The language fixed by the options, checked against the model's languages.
fn fixed_language(model: &Model, options: &TranscribeOptions) -> Result<Option<&'static str>, SpeechError> {
    let tokenizer = &model.tokenizer;
    let problem = |option, problem| Err(SpeechError::Option { option, problem });
    if options.task == Task::Translate && !tokenizer.is_multilingual() {
        return problem("task", "this model knows English only; translating needs a multilingual model".into());
    }
    let Language::Fixed(wanted) = &options.language else {
        return Ok((!tokenizer.is_multilingual()).then_some("en"));
    };
    let Some(language) = language(wanted) else {
        return problem(
            "language",
            "not a language that Whisper knows; give a code (`de`, `pt-BR`) or an English name".into(),
        );
    };
    if !tokenizer.is_multilingual() && language.code != "en" {
        return problem("language", format!("this model knows English only, not {}", language.name));
    }
    if tokenizer.is_multilingual() && tokenizer.language_token(language.code).is_none() {
        return problem("language", format!("this model does not know {}", language.name));
    }
    Ok(Some(language.code))
}
