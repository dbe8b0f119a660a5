//! Live transcription: takes samples as they come and emits text as soon as it is stable.
//!
//! The text is decoded again after every second of new speech, with the last hypothesis as a draft that one pass
//! verifies (`sotto_nn::search::Draft`). A word becomes final when its probability is high, when two consecutive
//! decodings agree on it (LocalAgreement-2, Macháček et al. 2023), or when the speaker pauses. Final words are the
//! forced prefix of the next decoding, so final text cannot change. Their audio is dropped at sentence ends, so memory
//! and cost per second stay constant however long the stream runs. A short utterance is decoded together with the ones
//! before it (`earlier.rs`). Words that attend to audio of earlier text are left out, and speech that the text leaves
//! out is decoded separately (`unheard.rs`).

mod agreement;
mod backlog;
mod earlier;
mod event;
mod input;
mod pace;
mod said;
mod session;
mod tempo;
mod transcriber;

pub use event::{StreamEvent, StreamText};
pub use session::{Session, SessionError, SessionInput};
pub use tempo::Tempo;
pub use transcriber::{StreamOptions, StreamTranscriber};
