//! The recognizer: a loaded model and its operations.

use std::sync::Arc;
use std::time::Instant;

use sotto_audio::Pcm16k;
use sotto_kernels::Isa;
use sotto_runtime::spans::{SpanName, span};
use sotto_runtime::{Bytes, CancelToken, Lease, ProgressSink, Shared, Threads, Unloaded, WeakShared};

use crate::error::SpeechError;
use crate::features::FeatureWindows;
use crate::hotwords::Hotwords;
use crate::long_form::{LongForm, SegmentSink};
use crate::memory::Estimate;
use crate::model::{DeviceStatus, Facts, LoadError, LoadOptions, Model, ModelSource, Precision};
use crate::options::{Language, TranscribeOptions, Vad};
use crate::pauses::Pauses;
use crate::source::{SampleSource, Samples};
use crate::transcript::{Segment, Transcript};
use crate::vad::{Segmenter, VadOptions};
use crate::vad_windows;
use crate::window::WindowDecoder;

/// Turns speech into text. Cheap to clone; clones share the model. `Send + Sync`.
///
/// The model is freed with its last handle, or by [`unload`](Self::unload) while handles exist.
///
/// ```no_run
/// use sotto_audio::decode_file;
/// use sotto_runtime::{CancelToken, NoProgress};
/// use sotto_speech::{LoadOptions, ModelSource, SpeechRecognizer, TranscribeOptions};
///
/// let source = ModelSource::Path("models/tiny.en".into());
/// let cancel = CancelToken::new();
/// let speech = SpeechRecognizer::load(&source, &LoadOptions::default(), &NoProgress, &cancel)?;
/// let audio = decode_file(std::path::Path::new("note.m4a"))?;
/// let transcript = speech.transcribe(&audio, &TranscribeOptions::default(), &NoProgress, &cancel)?;
/// println!("{}", transcript.text);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct SpeechRecognizer {
    model: Shared<Model>,
    /// Set in a handle that keeps the model in use.
    in_use: Option<Lease<Model>>,
    /// Facts about the model that are available even after it was unloaded.
    facts: Arc<Facts>,
    threads: Threads,
}

/// A weak reference to a [`SpeechRecognizer`].
#[derive(Debug, Clone)]
pub struct WeakSpeechRecognizer {
    model: WeakShared<Model>,
    facts: Arc<Facts>,
    threads: Threads,
}

impl WeakSpeechRecognizer {
    /// A new handle; `None` when no handle is left, or the model was unloaded.
    #[must_use]
    pub fn upgrade(&self) -> Option<SpeechRecognizer> {
        let Self { model, facts, threads } = self;
        Some(SpeechRecognizer { model: model.upgrade()?, in_use: None, facts: Arc::clone(facts), threads: *threads })
    }
}

/// The detected language of a recording.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DetectedLanguage {
    /// Two- or three-letter code.
    pub code: &'static str,
    /// Its probability among all languages of the model.
    pub probability: f32,
}

impl SpeechRecognizer {
    /// Estimates the memory of the model loaded with these options, and of one transcription with default options.
    /// Reads no weights, except to compare the token embedding with a separate output layer. Each transcription
    /// reserves [`transcription_bytes`](Self::transcription_bytes) from the budget while it runs.
    ///
    /// # Errors
    /// [`LoadError`] when there is no model at the source, its header is damaged, or it cannot be loaded with these
    /// options.
    pub fn estimate(source: &ModelSource, options: &LoadOptions) -> Result<Estimate, LoadError> {
        Self::estimate_for(source, options, &TranscribeOptions::default())
    }

    /// As [`estimate`](Self::estimate), with a transcription with these options: wide beams need more.
    ///
    /// # Errors
    /// As [`estimate`](Self::estimate).
    pub fn estimate_for(
        source: &ModelSource,
        options: &LoadOptions,
        transcription: &TranscribeOptions,
    ) -> Result<Estimate, LoadError> {
        crate::model::Manifest::open(source)?.estimate(options, transcription)
    }

    /// Loads a model. Blocks while the weights are read and converted; a packed model is mapped, which takes
    /// milliseconds, and its file must not be written to while the model lives (replace it by renaming).
    ///
    /// # Errors
    /// [`LoadError::OutOfBudget`] before any weight is read when the estimate exceeds the budget,
    /// [`LoadError::Cancelled`] when `cancel` fires, other variants for problems of the model.
    pub fn load(
        source: &ModelSource,
        options: &LoadOptions,
        progress: &dyn ProgressSink,
        cancel: &CancelToken,
    ) -> Result<Self, LoadError> {
        let _span = span(SpanName::Load);
        let model = crate::model::Manifest::open(source)?.load(options, progress, cancel)?;
        let facts = Arc::new(Facts::of(&model));
        Ok(Self { model: Shared::new(model), in_use: None, facts, threads: options.threads })
    }

    /// Memory of one transcription or live session with these options, in addition to the model's; grows with the
    /// number of hypotheses. It is reserved from the model's budget while the transcription runs.
    #[must_use]
    pub fn transcription_bytes(&self, options: &TranscribeOptions) -> Bytes {
        self.facts.session_bytes(options, self.threads)
    }

    /// The model. It stays in memory as long as the returned lease, even if it is unloaded meanwhile.
    ///
    /// # Errors
    /// [`SpeechError::Unloaded`].
    pub fn model(&self) -> Result<Lease<Model>, SpeechError> {
        Ok(self.lease()?)
    }

    /// A handle that keeps the model in use until it is dropped, like a running transcription, so that the model cannot
    /// be freed before the work begins.
    ///
    /// # Errors
    /// [`SpeechError::Unloaded`].
    pub fn in_use(&self) -> Result<Self, SpeechError> {
        Ok(Self { in_use: Some(self.lease()?), ..self.clone() })
    }

    fn lease(&self) -> Result<Lease<Model>, Unloaded> {
        self.in_use.clone().map_or_else(|| self.model.lease(), Ok)
    }

    /// Unloads the model for all its handles, whose calls then fail with [`SpeechError::Unloaded`]. Running
    /// transcriptions and live sessions are not affected; the memory is freed when the last of them has ended. Returns
    /// `false` if it was unloaded before. Never waits.
    pub fn unload(&self) -> bool {
        self.model.unload()
    }

    /// As [`unload`](Self::unload), but only if nothing runs on the model.
    pub fn unload_if_idle(&self) -> bool {
        self.model.unload_if_idle()
    }

    /// The shared model, which counts handles and leases.
    #[must_use]
    pub fn shared(&self) -> &Shared<Model> {
        &self.model
    }

    /// A weak reference, which does not keep the model.
    #[must_use]
    pub fn downgrade(&self) -> WeakSpeechRecognizer {
        let Self { model, facts, threads, .. } = self;
        WeakSpeechRecognizer { model: model.downgrade(), facts: Arc::clone(facts), threads: *threads }
    }

    /// Hotwords for this model's vocabulary; `strength` is added to log-probabilities: see [`Hotwords::new`].
    ///
    /// # Errors
    /// [`SpeechError::Unloaded`].
    pub fn hotwords<S: AsRef<str>>(
        &self,
        words: impl IntoIterator<Item = S>,
        strength: f32,
    ) -> Result<Hotwords, SpeechError> {
        Ok(Hotwords::new(words, strength, self.lease()?.tokenizer()))
    }

    /// The state of the requested device: whether it computes, and if not, why.
    #[must_use]
    pub fn device_status(&self) -> DeviceStatus {
        self.facts.device.status()
    }

    /// The precision of the model's computations.
    #[must_use]
    pub fn precision(&self) -> Precision {
        self.facts.precision
    }

    /// Instruction set of the kernels on the CPU: the requested one, the one that a packed model's layout is for, or
    /// the best of this CPU.
    #[must_use]
    pub fn isa(&self) -> Isa {
        self.facts.isa
    }

    /// Sets whether the app is in the foreground; initially it is. In the background, where GPUs must not be used, the
    /// CPU computes: a running transcription continues there from its next step, without losing text. Coming back lets
    /// a failed device be tried again. Has no effect without a device. May be called from any thread.
    pub fn set_foreground(&self, foreground: bool) {
        self.facts.device.set_foreground(foreground);
    }

    /// Length of the model's window in seconds.
    #[must_use]
    pub fn window_seconds(&self) -> f64 {
        self.facts.dimensions.window_frames() as f64 / 100.0
    }

    /// Detector options with segments limited so that, with padding, they fit the model's window.
    pub(crate) fn vad_options(&self, wanted: &VadOptions) -> VadOptions {
        let padding = 2.0 * wanted.speech_pad_ms as f32 / 1000.0;
        let room = (self.window_seconds() as f32 - padding - 0.1).max(1.0);
        VadOptions { max_speech_s: wanted.max_speech_s.min(room), ..wanted.clone() }
    }

    /// Checks these options for use with this model.
    pub(crate) fn check(&self, options: &TranscribeOptions) -> Result<(), SpeechError> {
        self.check_on(&*self.lease()?, options)
    }

    fn check_on(&self, model: &Model, options: &TranscribeOptions) -> Result<(), SpeechError> {
        if let Some(vad) = &options.vad {
            vad.options.check()?;
            // The options with the longest segment limited by `vad_options`.
            self.vad_options(&vad.options).check()?;
        }
        WindowDecoder::check(model, options).map(|_| ())
    }

    pub(crate) fn window_decoder<'r>(
        &'r self,
        options: &'r TranscribeOptions,
        cancel: &'r CancelToken,
    ) -> Result<WindowDecoder<'r>, SpeechError> {
        let model = self.lease()?;
        if let Some(file) = &model.packed {
            file.check_unchanged().map_err(LoadError::from)?;
        }
        self.check_on(&model, options)?;
        WindowDecoder::new(model, options, self.threads, cancel)
    }

    /// Transcribes one recording in memory.
    ///
    /// Blocks the calling thread; polls `cancel` at least once per decoded token and encoder layer.
    ///
    /// # Errors
    /// [`SpeechError::Cancelled`] when `cancel` fires, [`SpeechError::Unloaded`] when the model was unloaded before,
    /// [`SpeechError::Option`] when the options contradict the model, [`SpeechError::OutOfBudget`] when less than
    /// [`transcription_bytes`](Self::transcription_bytes) is left of the budget.
    pub fn transcribe(
        &self,
        audio: &Pcm16k,
        options: &TranscribeOptions,
        progress: &dyn ProgressSink,
        cancel: &CancelToken,
    ) -> Result<Transcript, SpeechError> {
        self.transcribe_source(&mut Samples::from(audio), options, &mut |_| {}, progress, cancel)
    }

    /// Transcribes a recording while it is read, in memory that does not grow with its length.
    ///
    /// `on_segment` gets every segment as soon as it is final, on the calling thread.
    ///
    /// # Errors
    /// As [`transcribe`](Self::transcribe), and [`SpeechError::Audio`] when the source fails. A damaged file is no
    /// error: its text comes with [`Transcript::warnings`].
    pub fn transcribe_source(
        &self,
        source: &mut dyn SampleSource,
        options: &TranscribeOptions,
        on_segment: &mut dyn FnMut(&Segment),
        progress: &dyn ProgressSink,
        cancel: &CancelToken,
    ) -> Result<Transcript, SpeechError> {
        let start = Instant::now();
        let mut decoder = self.window_decoder(options, cancel)?;
        let mut segments = Vec::new();
        let mut sink = |segment: Segment| {
            on_segment(&segment);
            segments.push(segment);
        };
        let sink: &mut SegmentSink<'_> = &mut sink;
        let duration = match &options.vad {
            Some(Vad { model, options: thresholds }) => {
                let mut segmenter = Segmenter::new(model, self.vad_options(thresholds));
                vad_windows::run(&mut decoder, source, &mut segmenter, sink, progress)?
            }
            None if options.language == Language::Each => {
                vad_windows::run(&mut decoder, source, &mut Pauses::default(), sink, progress)?
            }
            None => LongForm::new(&mut decoder).run(source, 0.0, sink, progress)?,
        };
        let language = most_spoken(&segments).unwrap_or(decoder.language()).to_owned();
        let mut timing = decoder.timing;
        timing.total = start.elapsed();
        let text = segments.iter().map(|segment: &Segment| segment.text.as_str()).collect::<String>().trim().to_owned();
        Ok(Transcript { text, language, duration, segments, timing, warnings: source.warnings().to_vec() })
    }

    /// Detects the language of the first window of a recording. English-only models return English, and only read
    /// enough to know that there is audio.
    ///
    /// # Errors
    /// As [`transcribe_source`](Self::transcribe_source), and [`SpeechError::EmptyAudio`] when there is none.
    pub fn detect_language(
        &self,
        source: &mut dyn SampleSource,
        cancel: &CancelToken,
    ) -> Result<DetectedLanguage, SpeechError> {
        let options = TranscribeOptions::greedy();
        let mut decoder = self.window_decoder(&options, cancel)?;
        if !decoder.model.tokenizer.is_multilingual() {
            return english(source, cancel);
        }
        let dimensions = &self.facts.dimensions;
        let mut windows = FeatureWindows::new(source, dimensions.mels, dimensions.window_frames(), cancel)?;
        let Some(window) = windows.at(0)? else {
            return Err(SpeechError::EmptyAudio);
        };
        decoder.encode(&window.values)?;
        let (code, probability) = decoder.detect()?;
        Ok(DetectedLanguage { code, probability })
    }
}

/// The language that is spoken for most of the time.
fn most_spoken(segments: &[Segment]) -> Option<&str> {
    let mut seconds: Vec<(&str, f64)> = Vec::new();
    for segment in segments {
        match seconds.iter_mut().find(|(language, _)| *language == segment.language) {
            Some((_, seconds)) => *seconds += segment.end - segment.start,
            None => seconds.push((&segment.language, segment.end - segment.start)),
        }
    }
    let most = seconds.into_iter().reduce(|most, other| if other.1 > most.1 { other } else { most })?;
    Some(most.0)
}

/// The result of an English-only model, if there is any audio.
fn english(source: &mut dyn SampleSource, cancel: &CancelToken) -> Result<DetectedLanguage, SpeechError> {
    let mut block = Vec::new();
    while block.is_empty() {
        cancel.check()?;
        if !source.next_block(&mut block)? {
            return Err(SpeechError::EmptyAudio);
        }
    }
    Ok(DetectedLanguage { code: "en", probability: 1.0 })
}
