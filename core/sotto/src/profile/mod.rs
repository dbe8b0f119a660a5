//! Profiles: speed, heat, energy and quality of a model on a device, and whether the measurement can be trusted.
//!
//! [`run`] drives a [`Workload`] (such as [`SpeechWorkload`]) through loads and a cold, a warm and a sustained phase,
//! while the platform provides readings of heat and battery ([`Readings`]). The [`ProfileReport`] is JSON, the same for
//! phones and desktops; [`page`] draws it, [`compare`](mod@compare) compares two. `docs/PROFILING.md` explains it.
//!
//! ```no_run
//! use sotto::profile::{self, Controls, ProfileOptions, Readings, SpeechClip, SpeechWorkload};
//! use sotto::speech::Options;
//! use sotto::{CancelToken, Engine, NoProgress, starter};
//!
//! let engine = Engine::default();
//! let clips = vec![SpeechClip::builtin()?];
//! let options = Options::default();
//! let mut workload = SpeechWorkload::new(&engine, starter::speech(), "starter", clips, options);
//! let (end, cancel) = (CancelToken::new(), CancelToken::new());
//! let controls = Controls { progress: &NoProgress, end: &end, cancel: &cancel };
//! let report = profile::run(&mut workload, &ProfileOptions::default(), &Readings::new(), controls)?;
//! println!("{}", report.to_json()?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Apps start it as a job ([`Engine::profile`](crate::Engine::profile)). The [`governor`] decides how much work live
//! text may do on a device that is hot or low on battery.

pub mod compare;
mod energy;
mod error;
mod figures;
pub mod governor;
mod job;
mod memory;
pub mod page;
mod reading;
mod report;
mod runner;
mod speech;
mod statistics;
mod verdict;

pub use energy::{Energy, EnergyMethod, RailEnergy, energy};
pub use error::ProfileError;
pub use job::ProfileJob;
pub use reading::{PowerSource, Rail, Reading, Readings, Sample, ThermalState, known_at};
pub use report::{
    ClipFigures, CounterFigure, Errors, FORMAT, Loads, Machine, Measured, Memory, Outcome, Phase, PhaseFigures, Phases,
    Plan, ProfileReport, Quality, ReportError, Run, SpanFigures, Subject, Thermal, VERSION,
};
pub use runner::{AllocationCounter, Controls, ProfileOptions, Workload, run};
pub use sotto_runtime::spans;
pub use speech::{SpeechClip, SpeechWorkload};
pub use statistics::{Percentiles, slowdown};
pub use verdict::{Reason, ReasonCode, Validity, Verdict, verdict};
