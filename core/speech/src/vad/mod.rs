//! Voice activity detection: when there is speech.
//!
//! A [`Detector`] holds weights and is shared: the built-in [`SottoVad`], or [`SileroVad`] from a file. A [`VadStream`]
//! gives one speech probability per 32 ms. A [`Segmenter`] turns them into [`Endpoint`]s while audio arrives;
//! [`speech_segments`] and [`SegmentFinder`] turn them into the segments of a whole recording, by the rules of Silero's
//! `get_speech_timestamps`. What a detector takes for speech before it knows the surroundings may be withdrawn
//! ([`Detector::settles`]). One thread; no allocation per step, but for the first three seconds of a stream (256 kB).

mod detector;
mod endpointer;
mod error;
mod hindsight;
mod load;
mod options;
mod segmenter;
mod segments;
mod silero;
mod sotto;
mod stream;

pub use detector::{Detector, DetectorState, STEP};
pub use error::VadError;
pub use load::load_detector;
pub use options::VadOptions;
pub use segmenter::{Endpoint, Segmenter};
pub use segments::{SegmentFinder, segments_of, speech_segments};
pub use silero::SileroVad;
pub use sotto::SottoVad;
pub use stream::VadStream;
