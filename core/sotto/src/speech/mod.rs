//! Speech to text: recordings, live speech, voice activity.
//!
//! A [`Recognizer`] is a loaded model. Its own calls block; the [`Engine`](crate::Engine) starts jobs with it
//! ([`crate::job`]): [`load_speech`](crate::Engine::load_speech), [`transcribe`](crate::Engine::transcribe),
//! [`listen`](crate::Engine::listen), [`detect_language`](crate::Engine::detect_language) and
//! [`find_speech`](crate::Engine::find_speech). Times are seconds from the beginning of the audio.

mod adaptive;
mod language;
mod live;
mod load;
mod transcribe;
mod voice;

pub use language::LanguageJob;
pub use load::LoadJob;
pub use transcribe::{TranscriptionEvent, TranscriptionJob};
pub use voice::{VoiceEvent, VoiceJob};

pub use sotto_speech::stream::{
    Session, SessionError, SessionInput, StreamEvent as LiveEvent, StreamOptions as LiveOptions,
    StreamText as LiveText, StreamTranscriber as LiveTranscriber, Tempo,
};
pub use sotto_speech::{
    AudioContext, ComputeDevice, ConfigError, DetectedLanguage, DeviceStatus, Dimensions, Estimate, Hotwords, Language,
    LoadError, LoadOptions, Model, ModelBytes, ModelSource, Normalization, OtherLayout, PackedInfo, Precision,
    PromptCarry, Search, Segment, SlowDevice, SpeechError as Error, SpeechRecognizer as Recognizer, Task, Thresholds,
    TimestampTokens, Timestamps, Timing, TranscribeOptions as Options, Transcript, Vad, WeightError, Word,
};
