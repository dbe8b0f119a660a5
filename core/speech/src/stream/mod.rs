//! Live transcription: samples in as they come, text out as soon as it is sure.
//!
//! The text so far is decoded again after every second of new voice, with the last hypothesis as a draft that one pass
//! verifies (`decode/draft.rs`). A word becomes final when it is clear, when two decodings in a row agree on it
//! (LocalAgreement-2, Macháček et al. 2023), or when the speaker pauses. Final words are the forced prefix of the next
//! decoding, so final text cannot change; audio behind them is dropped at sentence ends, so memory and cost per second
//! stay constant however long the stream runs. A short utterance is heard behind the ones before it (`earlier.rs`).
//! Words that listen to what was said already are left out, speech that the
//! text leaves out is decoded by itself (`unheard.rs`).

mod agreement;
mod backlog;
mod earlier;
mod event;
mod input;
mod pace;
mod session;
mod tempo;
mod transcriber;

pub use event::{StreamEvent, StreamText};
pub use session::{Session, SessionError, SessionInput};
pub use tempo::Tempo;
pub use transcriber::{StreamOptions, StreamTranscriber};
