//! Jobs: the one kind of long call that an app drives. Started by the [`Engine`](crate::Engine), run on a thread of their
//! own, their events pulled by a thread or an async task, cancelled by a call or by being dropped; nobody waits for their
//! thread (`docs/adr/0018-jobs.md`).
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
//! while let Answer::Event(event) = job.next_event(Duration::MAX)? {
//!     match event {
//!         TranscriptionEvent::Segment(segment) => println!("{:.1} s {}", segment.start, segment.text),
//!         TranscriptionEvent::Finished(transcript) => println!("{} s in all", transcript.duration),
//!         _ => {}
//!     }
//! }
//! # Ok::<(), std::sync::Arc<sotto::speech::Error>>(())
//! ```

pub use sotto_runtime::{Answer, Event, Failure, Job, JobOptions, Passing, Reporter, Step, WorkerError};
