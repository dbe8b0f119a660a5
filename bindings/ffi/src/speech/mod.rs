//! Speech-to-text.

mod detection;
mod live;
mod load;
mod model;
mod options;
mod transcript;
mod transcription;
mod voice;

pub(crate) use load::SpeechLoad;
