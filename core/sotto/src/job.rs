//! Jobs: the one form of a long call that an app drives. The [`Engine`](crate::Engine) starts them; they run on threads
//! of their own; their events are pulled by a thread or an async task. A call, or dropping the job, cancels it without
//! waiting for its thread (`docs/adr/0018-jobs.md`).
//!
//! In an async function, with any executor (a thread uses `next_event` instead):
//!
//! ```
//! use std::sync::Arc;
//! use sotto::audio::Recording;
//! use sotto::speech::{Error, Options, Recognizer, TranscriptionEvent};
//! use sotto::{CancelToken, Engine};
//!
//! async fn text_of(engine: &Engine, recognizer: &Recognizer, path: &str) -> Result<String, Arc<Error>> {
//!     // Dropped with the future, which cancels it.
//!     let job = engine.transcribe(recognizer, Recording::file(path), Options::default(), &CancelToken::new());
//!     let mut text = String::new();
//!     while let Some(event) = job.event().await? {
//!         match event {
//!             TranscriptionEvent::Progress(progress) => println!("{} ms heard", progress.done),
//!             TranscriptionEvent::Finished(transcript) => text = transcript.text,
//!             _ => {}
//!         }
//!     }
//!     Ok(text)
//! }
//! ```

pub use sotto_runtime::{Answer, Event, Failure, Job, JobOptions, Passing, Reporter, Step, WorkerError};
