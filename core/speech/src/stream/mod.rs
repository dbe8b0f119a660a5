//! Live transcription: samples in as they come, text out as soon as it is sure.
//!
//! The text so far is decoded again every second. A word becomes final when two decodings in a row agree on it
//! (LocalAgreement-2, Macháček et al. 2023), or at once when the speaker pauses (voice activity detection). Final words
//! are the forced prefix of the next decoding, so final text cannot change; audio behind them is dropped at sentence
//! ends, so memory and cost per second stay constant however long the stream runs.

mod agreement;
mod backlog;
mod event;
mod pace;
mod previous;
mod session;
mod transcriber;

pub use event::{StreamEvent, StreamText};
pub use session::{Session, SessionError, SessionInput};
pub use transcriber::{StreamOptions, StreamTranscriber};
