//! Voice activity detection with Silero VAD (github.com/snakers4/silero-vad, 16 kHz networks of versions 5 and 6).
//!
//! [`SileroVad`] holds the weights and is shared; a [`VadStream`] gives one speech probability per 32 ms; a [`Segmenter`]
//! turns them into [`Endpoint`]s while audio arrives, and [`speech_segments`] into the segments of a whole recording,
//! exactly as Silero's own `get_speech_timestamps`. One thread, no allocation per step.

mod endpointer;
mod error;
mod network;
mod options;
mod panels;
mod segmenter;
mod segments;
mod stream;
mod weights;

pub use error::VadError;
pub use options::VadOptions;
pub use segmenter::{Endpoint, Segmenter};
pub use segments::{segments_of, speech_segments};
pub use stream::{STEP, VadStream};
pub use weights::SileroVad;
