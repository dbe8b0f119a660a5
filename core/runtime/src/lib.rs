//! What every task of Sotto shares: cancellation, a memory budget, progress reports, threads and a pool of them.
//!
//! Nothing here knows a model or a platform logger. All types are cheap to clone and safe to share between threads.

#![deny(unsafe_code)]

mod cancel;
mod memory;
mod pool;
mod progress;
pub mod spans;
mod threads;

pub use cancel::{CancelToken, Cancelled};
pub use memory::{Bytes, MemoryBudget, OutOfBudget, Reservation};
pub use pool::{Chunk, HelperSetup, Pool};
pub use progress::{NoProgress, Progress, ProgressSink, Stage};
pub use threads::{Threads, big_cores_are_in_order};
