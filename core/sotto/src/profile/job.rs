//! A profile as a job, as apps run it.

use std::sync::Arc;

use sotto_runtime::{CancelToken, Job, Step};

use super::error::ProfileError;
use super::reading::Readings;
use super::report::ProfileReport;
use super::runner::{Controls, ProfileOptions, Workload, run};
use crate::Engine;

/// A running profile. Its progress counts milliseconds of the sustained phase.
pub type ProfileJob = Job<Step<Arc<ProfileReport>>, ProfileError>;

impl Engine {
    /// Profiles a workload, as [`run`] does, on a thread of its own. `make` creates the workload on that thread,
    /// because decoding clips would block an app's thread; it is not measured. `end` ends the sustained phase early and
    /// still gives a report; cancelling or dropping the job gives none. Push `readings` meanwhile through a clone.
    #[must_use]
    pub fn profile<W: Workload>(
        &self,
        make: impl FnOnce() -> Result<W, ProfileError> + Send + 'static,
        options: ProfileOptions,
        readings: Readings,
        end: &CancelToken,
        cancel: &CancelToken,
    ) -> ProfileJob {
        let end = end.clone();
        Job::start(&self.job("sotto-profile"), cancel, move |reporter| {
            let controls = Controls { progress: reporter, end: &end, cancel: reporter.cancel() };
            let report = run(&mut make()?, &options, &readings, controls)?;
            Ok(Some(Step::Done(Arc::new(report))))
        })
    }
}
