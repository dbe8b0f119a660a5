//! What every task of Sotto shares: cancellation, a memory budget, progress reports, jobs, threads and a thread pool,
//! and values that can be unloaded while handles to them exist.
//!
//! Nothing here knows a model or a platform's logger. All types are cheap to clone and safe to share between threads.

#![deny(unsafe_code)]

mod cancel;
mod job;
mod memory;
mod pool;
mod progress;
mod shared;
pub mod spans;
mod sync;
mod threads;

pub use cancel::{CancelListener, CancelToken, Cancelled};
pub use job::{Answer, Event, Failure, Job, JobOptions, Passing, Reporter, Step, WorkerError};
pub use memory::{Bytes, MemoryBudget, OutOfBudget, Reservation};
pub use pool::{Chunk, HelperSetup, Pool};
pub use progress::{NoProgress, Progress, ProgressSink, Stage};
pub use shared::{Lease, Shared, Unloaded, WeakShared};
pub use threads::{Threads, big_cores_are_in_order};
