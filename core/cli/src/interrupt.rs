//! Ctrl-C, and the signals that ask a program to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sotto::CancelToken;

/// What Ctrl-C does. Usually the first one cancels and the second one ends the program at once. While a live recording
/// runs there is one more before them, which ends the recording: what was heard until then becomes final text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// Stops the work.
    cancel: CancelToken,
    /// Ends the recording.
    end: CancelToken,
    /// Whether there is a recording that can be ended.
    recording: AtomicBool,
}

/// What an interrupt asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Demand {
    EndRecording,
    Cancel,
    Exit,
}

impl Interrupt {
    /// Listens for Ctrl-C and the signals that ask for an end from here on.
    pub(crate) fn listen() -> Result<Self, ctrlc::Error> {
        let interrupt = Self::default();
        let heard = interrupt.clone();
        ctrlc::set_handler(move || {
            if heard.come() == Demand::Exit {
                std::process::exit(130);
            }
        })?;
        Ok(interrupt)
    }

    /// Fires when the work must stop.
    pub(crate) fn cancel(&self) -> &CancelToken {
        &self.0.cancel
    }

    /// From here on the first interrupt ends the recording: the token fires, and nothing is cancelled.
    pub(crate) fn recording(&self) -> &CancelToken {
        self.0.recording.store(true, Ordering::SeqCst);
        &self.0.end
    }

    /// One interrupt has come.
    fn come(&self) -> Demand {
        let State { cancel, end, recording } = &*self.0;
        if recording.load(Ordering::SeqCst) && !end.is_cancelled() && !cancel.is_cancelled() {
            end.cancel();
            return Demand::EndRecording;
        }
        if cancel.is_cancelled() {
            return Demand::Exit;
        }
        cancel.cancel();
        Demand::Cancel
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_interrupt_cancels_and_the_second_exits() {
        let interrupt = Interrupt::default();
        assert_eq!(
            [interrupt.come(), interrupt.come(), interrupt.come()],
            [Demand::Cancel, Demand::Exit, Demand::Exit]
        );
        assert!(interrupt.cancel().is_cancelled());
    }

    #[test]
    fn a_recording_is_ended_before_anything_is_cancelled() {
        let interrupt = Interrupt::default();
        let end = interrupt.recording().clone();
        assert_eq!(interrupt.come(), Demand::EndRecording);
        assert!(end.is_cancelled() && !interrupt.cancel().is_cancelled());
        assert_eq!([interrupt.come(), interrupt.come()], [Demand::Cancel, Demand::Exit]);
    }

    #[test]
    fn what_was_cancelled_before_it_was_recording_stays_cancelled() {
        let interrupt = Interrupt::default();
        assert_eq!(interrupt.come(), Demand::Cancel);
        interrupt.recording();
        assert_eq!(interrupt.come(), Demand::Exit);
    }
}
