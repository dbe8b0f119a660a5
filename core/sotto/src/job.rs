//! Jobs: the one kind of long call that an app drives. Started by the [`Engine`](crate::Engine), run on a thread of
//! their own, their events pulled by a thread or an async task, cancelled by a call or by being dropped; nobody waits
//! for their thread (`docs/adr/0018-jobs.md`).
//!
//! In an async function of an app (any executor will do; `next_event` is the same for a thread):
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
