//! Speech-to-text.

mod detection;
mod live;
mod load;
mod model;
mod numbers;
mod options;
#[cfg(test)]
pub(crate) mod testing;
mod transcript;
mod transcription;
mod voice;

pub use detection::{DetectedLanguage, LanguageDetection, VoiceSearch, VoiceSearchEvent};
pub use live::SpeechSession;
pub use load::{LoadEvent, SpeechLoad};
pub use model::{SpeechModel, SpeechModelInfo};
#[cfg(not(target_vendor = "apple"))]
pub(crate) use numbers::numbered;
pub use options::{
    EncodedContext, LiveSettings, PromptReach, SearchSettings, SpeechSettings, SpeechTask, TimestampDetail,
};
pub use transcript::{LiveEvent, LiveText, Segment, Timing, Transcript, Word};
pub use transcription::{Transcription, TranscriptionEvent};
pub use voice::{VoiceActivity, VoiceSegment};
