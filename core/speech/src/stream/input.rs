//! A session's input queue, between the threads that push samples and the thread that decodes them.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use sotto_audio::RawBytes;
use sotto_runtime::{CancelListener, CancelToken, Cancelled};

use super::backlog::Backlog;
use super::session::{SessionError, SessionInput};

// Seconds of audio up to which [`Input::wait_for_room`] does not block: enough that decoding never waits, and little
// enough that a session that is ended early ends soon.
const AHEAD: f64 = 2.0;

#[derive(Debug)]
pub(super) struct Input {
    state: Mutex<State>,
    /// Signalled when samples came, the input was finished, or it was closed.
    came: Condvar,
    /// Signalled when samples were taken, or the input was closed.
    left: Condvar,
}

#[derive(Debug)]
struct State {
    backlog: Backlog,
    bytes: RawBytes,
    /// Buffer for the samples of one push.
    decoded: Vec<f32>,
    /// Whether the input was finished: no more samples will come.
    finished: bool,
    /// Whether the session was cancelled or has ended: samples are dropped.
    closed: bool,
}

/// The reader's end of an input; closes the input on drop.
pub(super) struct Reading(Arc<Input>);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Reading {
    pub(super) fn of(input: &Arc<Input>) -> Self {
        Self(Arc::clone(input))
    }

    /// Also closes the input when `cancel` fires.
    pub(super) fn until(&self, cancel: &CancelToken) -> CancelListener {
        let input = Arc::clone(&self.0);
        cancel.on_cancel(move || input.close())
    }

    /// Waits for samples and takes at most a second of them, so that events are emitted while a backlog is processed.
    /// Returns `true` if they are the last ones.
    pub(super) fn take(&self, samples: &mut Vec<f32>) -> Result<bool, Cancelled> {
        samples.clear();
        let Input { came, left, .. } = &*self.0;
        let mut state = self.0.lock();
        loop {
            if state.closed {
                return Err(Cancelled);
            }
            if !state.backlog.is_empty() || state.finished {
                state.backlog.take(samples);
                left.notify_all();
                return Ok(state.finished && state.backlog.is_empty());
            }
            state = came.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Input {
    pub(super) fn new(format: SessionInput) -> Arc<Self> {
        let state = State {
            backlog: Backlog::new(format),
            bytes: RawBytes::new(format.format),
            decoded: Vec::new(),
            finished: false,
            closed: false,
        };
        Arc::new(Self { state: Mutex::new(state), came: Condvar::new(), left: Condvar::new() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic leaves the state half-changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pushes all samples, or none of them.
    pub(super) fn push(&self, samples: &[f32]) -> Result<(), SessionError> {
        let mut state = self.lock();
        if !state.is_open()? {
            return Ok(());
        }
        if state.bytes.is_inside_sample() {
            return Err(SessionError::InsideSample);
        }
        state.backlog.push(samples)?;
        self.came.notify_one();
        Ok(())
    }

    /// Pushes all samples given as bytes, or none of them.
    pub(super) fn push_bytes(&self, bytes: &[u8]) -> Result<(), SessionError> {
        let mut state = self.lock();
        if !state.is_open()? {
            return Ok(());
        }
        let State { backlog, bytes: raw, decoded, .. } = &mut *state;
        backlog.check(raw.samples_with(bytes.len()))?;
        decoded.clear();
        raw.push(bytes, decoded, "live audio").map_err(|error| SessionError::Audio(Arc::new(error)))?;
        backlog.push(decoded)?;
        self.came.notify_one();
        Ok(())
    }

    /// Finishes the input: no more samples will come.
    pub(super) fn finish(&self) {
        self.lock().finished = true;
        self.came.notify_one();
    }

    /// Waits until at most [`AHEAD`] seconds wait to be decoded.
    pub(super) fn wait_for_room(&self) {
        let mut state = self.lock();
        while !state.closed && !state.finished && state.backlog.seconds() > AHEAD {
            state = self.left.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.backlog.clear();
        drop(state);
        self.came.notify_all();
        self.left.notify_all();
    }
}

impl State {
    /// Whether samples are still accepted.
    fn is_open(&self) -> Result<bool, SessionError> {
        if self.finished { Err(SessionError::Finished) } else { Ok(!self.closed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input() -> (Arc<Input>, Reading) {
        let input = Input::new(SessionInput::default());
        let reading = Reading::of(&input);
        (input, reading)
    }

    fn taken(reading: &Reading) -> (Vec<f32>, bool) {
        let mut samples = Vec::new();
        let last = reading.take(&mut samples).unwrap();
        (samples, last)
    }

    #[test]
    fn bytes_become_samples_however_they_are_cut() {
        let bytes: Vec<u8> = [0_i16, 16_384, -32_768, 8192].iter().flat_map(|sample| sample.to_le_bytes()).collect();
        for size in 1..=8 {
            let (input, reading) = input();
            for piece in bytes.chunks(size) {
                input.push_bytes(piece).unwrap();
            }
            input.finish();
            assert_eq!(taken(&reading), (vec![0.0, 0.5, -1.0, 0.25], true), "pieces of {size}");
        }
    }

    #[test]
    fn samples_do_not_come_between_the_bytes_of_one() {
        let (input, reading) = input();
        input.push_bytes(&[0, 0, 0]).unwrap();
        assert!(matches!(input.push(&[0.5]), Err(SessionError::InsideSample)));
        input.push_bytes(&[0x40]).unwrap();
        input.push(&[0.25]).unwrap();
        assert_eq!(taken(&reading).0, [0.0, 0.5, 0.25]);
        // An incomplete sample at the end is dropped.
        input.push_bytes(&[1]).unwrap();
        input.finish();
        assert_eq!(taken(&reading), (vec![], true));
    }

    #[test]
    fn a_file_that_is_pushed_with_its_header_is_refused() {
        let refused = input().0.push_bytes(b"RIFF\x24\x08\0\0WAVEfmt ");
        assert!(
            matches!(&refused, Err(SessionError::Audio(error)) if error.to_string().contains("WAV")),
            "{refused:?}"
        );
    }

    #[test]
    fn bytes_that_are_refused_leave_nothing_behind() {
        let ((input, reading), minute) = (input(), vec![0_u8; 60 * 32_000]);
        input.push_bytes(&[7]).unwrap();
        for _ in 0..5 {
            input.push_bytes(&minute[1..]).unwrap();
            input.push_bytes(&minute[..1]).unwrap();
        }
        let refused = input.push_bytes(&[0, 0]);
        assert!(matches!(refused, Err(SessionError::Behind { .. })), "{refused:?}");
        let mut all = Vec::new();
        for _ in 0..300 {
            all.extend(taken(&reading).0);
        }
        input.push_bytes(&[0x40]).unwrap();
        all.extend(taken(&reading).0);
        assert_eq!((all.len(), all[0], *all.last().unwrap()), (300 * 16_000 + 1, 7.0 / 32_768.0, 0.5));
    }

    #[test]
    fn whoever_waits_is_woken_by_samples_by_the_end_and_by_cancelling() {
        let (input, reading) = input();
        input.push(&vec![0.0; 5 * 16_000]).unwrap();
        std::thread::scope(|scope| {
            // Ends when three of the five seconds were taken.
            let feeder = scope.spawn(|| input.wait_for_room());
            for _ in 0..3 {
                assert_eq!(taken(&reading).0.len(), 16_000);
            }
            feeder.join().unwrap();
            for _ in 0..2 {
                taken(&reading);
            }
            let reader = scope.spawn(|| taken(&reading));
            input.push(&[1.0]).unwrap();
            assert_eq!(reader.join().unwrap(), (vec![1.0], false));
            let reader = scope.spawn(|| taken(&reading));
            input.finish();
            assert_eq!(reader.join().unwrap(), (vec![], true));
        });
        let ((input, reading), cancel) = (self::input(), CancelToken::new());
        input.push(&vec![0.0; 5 * 16_000]).unwrap();
        let _listener = reading.until(&cancel.child());
        std::thread::scope(|scope| {
            let feeder = scope.spawn(|| input.wait_for_room());
            cancel.cancel();
            feeder.join().unwrap();
        });
        assert!(reading.take(&mut Vec::new()).is_err());
        input.push(&[1.0]).unwrap();
        assert!(input.lock().backlog.is_empty(), "what nobody wants was kept");
    }

    #[test]
    fn nobody_waits_for_a_reader_that_is_gone_before_it_has_begun() {
        let (input, reading) = input();
        input.push(&vec![0.0; 5 * 16_000]).unwrap();
        drop(reading);
        input.wait_for_room();
        assert!(input.lock().closed);
    }
}
