//! A loaded model and what can be asked of it.

use std::sync::Arc;

use sotto::speech::{DeviceStatus, Options, Recognizer};
use sotto::{CancelToken, Engine};

use super::detection::LanguageDetection;
use super::live::SpeechSession;
use super::options::{LiveSettings, SpeechSettings};
use super::transcription::Transcription;
use crate::error::SpeechFailure;
use crate::source::{AudioChannel, AudioInput, PcmFormat};

/// What is known of a loaded model.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct SpeechModelInfo {
    /// Whether it knows other languages than English.
    pub multilingual: bool,
    /// Seconds of audio that it hears at once.
    pub window_seconds: f64,
    /// Layers of encoder and decoder.
    pub layers: Vec<u32>,
    /// Width of the network.
    pub width: u32,
    /// Tokens of the vocabulary.
    pub vocabulary: u32,
    /// Bytes that one transcription with default options takes on top of the model's own.
    pub transcription_bytes: u64,
    /// Licence of a packed model, where its file names one.
    pub licence: Option<String>,
    /// Why the device that was asked for does not compute; `null` where it does, or none was asked for.
    pub device_problem: Option<String>,
}

/// A loaded speech-to-text model. May be used from any thread, by any number of transcriptions at once. Letting go of
/// it gives its memory back once they have ended.
#[derive(uniffi::Object)]
pub struct SpeechModel {
    recognizer: Recognizer,
    engine: Engine,
}

impl SpeechModel {
    pub(crate) fn new(recognizer: Recognizer, engine: Engine) -> Self {
        Self { recognizer, engine }
    }
}

#[uniffi::export]
impl SpeechModel {
    /// Starts transcribing a recording. What cannot be read is said by the events. Reads the file of a detector that is
    /// named.
    ///
    /// # Errors
    /// [`SpeechFailure::InvalidOption`].
    pub fn transcribe(
        &self,
        input: AudioInput,
        channel: Option<AudioChannel>,
        settings: SpeechSettings,
    ) -> Result<Arc<Transcription>, SpeechFailure> {
        let options = settings.options(&self.recognizer)?;
        let recording = input.recording(channel)?;
        let job = self.engine.transcribe(&self.recognizer, recording, options, &CancelToken::new());
        Ok(Arc::new(Transcription::new(job)))
    }

    /// Starts a live session for samples of `format`.
    ///
    /// # Errors
    /// [`SpeechFailure::InvalidOption`] and [`SpeechFailure::InvalidAudio`] for what cannot work, at once.
    pub fn start_session(
        &self,
        format: PcmFormat,
        settings: LiveSettings,
    ) -> Result<Arc<SpeechSession>, SpeechFailure> {
        let adaptive = settings.adaptive;
        let (options, input, cancel) = (settings.options(&self.recognizer)?, format.input(), CancelToken::new());
        let session = if adaptive {
            self.engine.listen_adaptively(&self.recognizer, options, input, &cancel)
        } else {
            self.engine.listen(&self.recognizer, options, input, &cancel)
        };
        let session = session.map_err(|error| SpeechFailure::of(&error))?;
        Ok(Arc::new(SpeechSession::new(session)))
    }

    /// Starts detecting the language of a recording.
    ///
    /// # Errors
    /// [`SpeechFailure::InvalidAudio`] for a descriptor that cannot be used.
    pub fn detect_language(
        &self,
        input: AudioInput,
        channel: Option<AudioChannel>,
    ) -> Result<Arc<LanguageDetection>, SpeechFailure> {
        let recording = input.recording(channel)?;
        let job = self.engine.detect_language(&self.recognizer, recording, &CancelToken::new());
        Ok(Arc::new(LanguageDetection::new(job)))
    }

    /// What is known of the model.
    ///
    /// # Errors
    /// [`SpeechFailure::Unloaded`].
    pub fn info(&self) -> Result<SpeechModelInfo, SpeechFailure> {
        let model = self.recognizer.model().map_err(|error| SpeechFailure::of(&error))?;
        Ok(info(&self.recognizer, &model))
    }

    /// Tells whether the app is in the foreground; a graphics processor computes only then.
    pub fn set_foreground(&self, foreground: bool) {
        self.recognizer.set_foreground(foreground);
    }

    /// Gives the model's memory back even where others hold the object; transcriptions under way end first. Returns at
    /// once.
    pub fn unload(&self) {
        self.recognizer.unload();
    }
}

fn info(recognizer: &Recognizer, model: &sotto::speech::Model) -> SpeechModelInfo {
    let dimensions = model.dimensions();
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    SpeechModelInfo {
        multilingual: model.tokenizer().is_multilingual(),
        window_seconds: recognizer.window_seconds(),
        layers: vec![count(dimensions.encoder_layers), count(dimensions.decoder_layers)],
        width: count(dimensions.width),
        vocabulary: count(dimensions.vocabulary),
        transcription_bytes: recognizer.transcription_bytes(&Options::default()).0,
        licence: model.packed().and_then(|packed| packed.licence.map(str::to_owned)),
        device_problem: match recognizer.device_status() {
            DeviceStatus::Failed { reason } => Some(reason.to_string()),
            _ => None,
        },
    }
}
