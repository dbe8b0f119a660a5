//! Sotto: speech-to-text on the device. Nothing a user says leaves it.
//!
//! An [`Engine`] owns everything that the tasks of an application share: a thread pool, a memory budget, the loaded
//! models. Long calls are jobs that it starts ([`job`]): they run on threads of their own, and their events are pulled:
//!
//! ```
//! use std::time::Duration;
//! use sotto::audio::Recording;
//! use sotto::job::Answer;
//! use sotto::speech::{Options, TranscriptionEvent};
//! use sotto::{CancelToken, Engine, NoProgress, starter};
//!
//! let (engine, cancel) = (Engine::default(), CancelToken::new());
//! let recognizer = engine.load_speech(starter::speech(), &cancel).wait(&NoProgress)?;
//! let clip = Recording::bytes("clip", starter::demo_clip());
//! let job = engine.transcribe(&recognizer, clip, Options::default(), &cancel);
//! let mut text = String::new();
//! while let Answer::Event(event) = job.next_event(Duration::MAX)? {
//!     match event {
//!         TranscriptionEvent::Segment(segment) => println!("{:.1} s {}", segment.start, segment.text),
//!         TranscriptionEvent::Finished(transcript) => text = transcript.text,
//!         _ => {}
//!     }
//! }
//! assert!(!text.is_empty());
//! # Ok::<(), std::sync::Arc<sotto::speech::Error>>(())
//! ```
//!
//! The same with blocking calls, for desktop programs:
//!
//! ```
//! use sotto::speech::Options;
//! use sotto::{CancelToken, Engine, NoProgress, audio, starter};
//!
//! let (engine, cancel) = (Engine::default(), CancelToken::new());
//! let speech = engine.speech(&starter::speech(), &NoProgress, &cancel)?;
//! let clip = audio::decode_bytes(starter::demo_clip())?;
//! let transcript = speech.transcribe(&clip, &Options::default(), &NoProgress, &cancel)?;
//! assert!(!transcript.text.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A module per subject, with short names: [`speech`], [`vad`], [`subtitles`], [`audio`], [`text`], [`packing`],
//! [`store`], [`cache`], [`profile`]. Everything is `Send + Sync`. Its threads are those of jobs, and helpers that
//! share the work of networks ([`LoadOptions::helper_setup`]; f32 networks use `gemm`'s threads).

#![forbid(unsafe_code)]

pub mod audio;
pub mod cache;
mod engine;
pub mod job;
pub mod packing;
pub mod profile;
pub mod speech;
pub mod starter;
pub mod store;

/// Text: Whisper's English normaliser, error rates, sentence ends, tokens.
pub mod text {
    pub use sotto_text::metrics::{ErrorCounts, character_errors, contains_phrase, word_errors};
    pub use sotto_text::normalize::{BasicOptions, basic, english};
    pub use sotto_text::sentences::{sentence_ends, sentences};
    pub use sotto_text::whisper::{WhisperTokenizer, language};
    pub use sotto_text::{TextError, Tokenizer};
}

/// Instruction sets. With the cargo feature `measure` also the speed of the kernels on this machine, compared with the
/// limits of its processor and memory.
pub mod kernels {
    #[cfg(feature = "measure")]
    pub use sotto_kernels::measure::{Case, Figure, peak, read_bandwidth};
    pub use sotto_kernels::{Isa, IsaNotice, KernelSet};
}

/// Subtitles, as SubRip or WebVTT.
pub use sotto_speech::subtitles;
/// Voice activity detection.
pub use sotto_speech::vad;

pub use engine::{Engine, EngineOptions, LoadedModel, ModelId, ModelTask, TrimLevel, Trimmed};
pub use sotto_runtime::{
    Bytes, CancelListener, CancelToken, Cancelled, HelperSetup, Lease, MemoryBudget, NoProgress, OutOfBudget, Progress,
    ProgressSink, Stage, Threads, Unloaded,
};
pub use sotto_speech::{FileRange, FileRangeError, FileRangeReader, LoadError, LoadOptions, MemoryBytes, MemoryFile};

/// Checks at compile time that these types can be shared between threads.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Engine>();
    shared::<CancelToken>();
    shared::<speech::Recognizer>();
    shared::<speech::Session>();
    shared::<speech::LoadJob>();
    shared::<speech::TranscriptionJob>();
    shared::<speech::LanguageJob>();
    shared::<speech::VoiceJob>();
    shared::<packing::QuantizeJob>();
    shared::<speech::Error>();
    const fn sent<T: Send>() {}
    sent::<audio::Recording>();
    sent::<speech::LiveEvent>();
    sent::<speech::TranscriptionEvent>();
};
