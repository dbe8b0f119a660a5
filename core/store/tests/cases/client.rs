//! Settings for a client of the hub on this machine.

use std::time::Duration;

use sotto_runtime::{CancelToken, Progress};
use sotto_store::{Hub, Patience};
use sotto_testkit::hub::FakeHub;

/// Short pauses, so that no test waits long.
pub fn patience() -> Patience {
    Patience {
        attempts: 3,
        pause: Duration::from_millis(2),
        longest_pause: Duration::from_secs(2),
        silence: Duration::from_millis(400),
        lock: Duration::from_secs(20),
    }
}

pub fn settings(hub: &FakeHub) -> Hub {
    Hub::new(hub.address()).unwrap().with_patience(patience())
}

/// A token, and a progress sink that cancels it once more than so many bytes of the weights have come.
pub fn cancelled_beyond(bytes: u64) -> (CancelToken, impl Fn(&Progress<'_>) + Send + Sync) {
    let cancel = CancelToken::new();
    let stop = cancel.clone();
    let sink = move |progress: &Progress<'_>| {
        if progress.subject == "model.safetensors" && progress.done > bytes {
            stop.cancel();
        }
    };
    (cancel, sink)
}
