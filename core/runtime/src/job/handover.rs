//! The place where a job's worker leaves events and its readers take them.
//!
//! One lock, two condition variables and a list of wakers. Four rules keep it simple:
//!
//! * **One transition.** `outcome` is set once, under the lock, and is final. A reader that finds the job cancelled and
//!   no event left sets it itself, so that it waits for no thread; a later result of the worker is ignored. So a
//!   cancelled job never appears to have succeeded.
//! * **No token is polled here.** The worker polls its token without the lock. Cancellation is reported through
//!   [`HandOver::cancel`], under the lock, which wakes everybody.
//! * **Everybody who waits is woken.** Of several readers one gets the event; the others go back to sleep. So a task
//!   that was dropped between its wake-up and its poll takes no event with it.
//! * **No foreign code under the lock**, except cloning a waker: wakers are called, and events dropped, after
//!   unlocking.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Arc, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use super::event::Event;
use super::{Answer, Failure};
use crate::Cancelled;
use crate::sync::{Condvar, Mutex, MutexGuard};

// Wakers kept per job; as a rule one task waits. Beyond this number the oldest waker is woken and its task polls again,
// so that wakers of dropped tasks do not pile up.
const MOST_WAKERS: usize = 32;

#[derive(Debug)]
pub(super) struct HandOver<E, F> {
    state: Mutex<State<E, F>>,
    /// Signalled when an event was pulled or the job was cancelled: a worker may have room.
    room: Condvar,
    /// Signalled when an event came, or the job was cancelled or ended.
    news: Condvar,
    queue: usize,
}

#[derive(Debug)]
struct State<E, F> {
    events: VecDeque<E>,
    cancelled: bool,
    outcome: Option<Result<(), Arc<F>>>,
    /// Whether the worker may still hold memory or other resources.
    working: bool,
    wakers: Vec<Waker>,
}

type Guard<'a, E, F> = MutexGuard<'a, State<E, F>>;

impl<E: Event, F: Failure> HandOver<E, F> {
    pub(super) fn new(queue: NonZeroUsize) -> Self {
        let state =
            State { events: VecDeque::new(), cancelled: false, outcome: None, working: true, wakers: Vec::new() };
        Self { state: Mutex::new(state), room: Condvar::new(), news: Condvar::new(), queue: queue.get() }
    }

    /// Worker: leaves an event, once there is room for it.
    pub(super) fn report(&self, event: E) -> Result<(), Cancelled> {
        let mut state = self.wait_for_room(&event)?;
        let replaced = state.replaced_by(&event);
        state.events.push_back(event);
        self.publish(state);
        drop(replaced);
        Ok(())
    }

    /// Worker: the work has ended and what it captured has been dropped.
    pub(super) fn end(&self, result: Result<Option<E>, F>) {
        let outcome = match result {
            Ok(None) => Ok(()),
            Ok(Some(last)) => return self.end_with(last),
            Err(failure) => Err(failure),
        };
        self.conclude(self.lock(), outcome);
    }

    fn end_with(&self, last: E) {
        match self.wait_for_room(&last) {
            Ok(mut state) => {
                let replaced = state.replaced_by(&last);
                state.events.push_back(last);
                self.conclude(state, Ok(()));
                drop(replaced);
            }
            Err(cancelled) => self.conclude(self.lock(), Err(cancelled.into())),
        }
    }

    fn conclude(&self, mut state: Guard<'_, E, F>, outcome: Result<(), F>) {
        state.working = false;
        // Work that was cancelled has failed as cancelled, whatever error it ended with, such as that of a pipe closed
        // under it.
        state.settle();
        if state.outcome.is_none() {
            state.outcome = Some(outcome.map_err(Arc::new));
        }
        self.publish(state);
    }

    /// Records that the job was cancelled and wakes everybody.
    pub(super) fn cancel(&self) {
        let mut state = self.lock();
        state.cancelled = true;
        self.room.notify_all();
        self.publish(state);
    }

    /// Reader: waits for the next event.
    pub(super) fn next(&self, timeout: Duration) -> Result<Answer<E>, Arc<F>> {
        let deadline = Instant::now().checked_add(timeout);
        let mut state = self.lock();
        loop {
            if let Some(found) = self.take(&mut state) {
                return Ok(found?.map_or(Answer::Ended, Answer::Event));
            }
            state = match self.wait(&self.news, state, deadline) {
                Ok(state) => state,
                Err(TimeIsOver) => return Ok(Answer::Waiting),
            };
        }
    }

    /// Reader: the next event, or registers `waker` to be woken when there is one.
    pub(super) fn poll(&self, waker: &Waker) -> Poll<Result<Option<E>, Arc<F>>> {
        let mut state = self.lock();
        if let Some(found) = self.take(&mut state) {
            return Poll::Ready(found);
        }
        if !state.wakers.iter().any(|known| known.will_wake(waker)) {
            state.wakers.push(waker.clone());
        }
        let surplus = (state.wakers.len() > MOST_WAKERS).then(|| state.wakers.remove(0));
        drop(state);
        if let Some(waker) = surplus {
            waker.wake();
        }
        Poll::Pending
    }

    /// Reader: why the job failed; does not take the events before the failure.
    pub(super) fn failure(&self) -> Option<Arc<F>> {
        let mut state = self.lock();
        state.settle();
        state.outcome.as_ref()?.as_ref().err().cloned()
    }

    pub(super) fn wait_until_idle(&self, timeout: Duration) -> bool {
        let deadline = Instant::now().checked_add(timeout);
        let mut state = self.lock();
        while state.working {
            state = match self.wait(&self.news, state, deadline) {
                Ok(state) => state,
                Err(TimeIsOver) => return false,
            };
        }
        true
    }

    fn lock(&self) -> Guard<'_, E, F> {
        // No code that can panic leaves the state half-changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is room for `event`.
    fn wait_for_room(&self, event: &E) -> Result<Guard<'_, E, F>, Cancelled> {
        let mut state = self.lock();
        loop {
            if state.cancelled {
                return Err(Cancelled);
            }
            if state.events.len() < self.queue || state.replaceable_by(event).is_some() {
                return Ok(state);
            }
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn wait<'a>(
        &self,
        condition: &Condvar,
        state: Guard<'a, E, F>,
        deadline: Option<Instant>,
    ) -> Result<Guard<'a, E, F>, TimeIsOver> {
        let Some(deadline) = deadline else {
            return Ok(condition.wait(state).unwrap_or_else(PoisonError::into_inner));
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(TimeIsOver);
        }
        Ok(condition.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0)
    }

    /// What a reader gets: an event, the end, or a failure. `None` when it has to wait.
    fn take(&self, state: &mut State<E, F>) -> Option<Result<Option<E>, Arc<F>>> {
        if let Some(event) = state.events.pop_front() {
            self.room.notify_one();
            return Some(Ok(Some(event)));
        }
        state.settle();
        state.outcome.clone().map(|outcome| outcome.map(|()| None))
    }

    /// Unlocks and wakes all readers.
    fn publish(&self, mut state: Guard<'_, E, F>) {
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        self.news.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// A wait reached its deadline.
struct TimeIsOver;

impl<E: Event, F: Failure> State<E, F> {
    /// Marks a job that was cancelled before it ended as failed, whatever its worker still does.
    fn settle(&mut self) {
        if self.cancelled && self.outcome.is_none() {
            self.outcome = Some(Err(Arc::new(Cancelled.into())));
        }
    }

    /// The index of the waiting event that `event` replaces.
    fn replaceable_by(&self, event: &E) -> Option<usize> {
        let kind = event.passing()?;
        let passing = self.events.iter().enumerate().rev().map_while(|(index, event)| Some((index, event.passing()?)));
        passing.into_iter().find(|&(_, passing)| passing == kind).map(|(index, _)| index)
    }

    /// Takes that event out.
    fn replaced_by(&mut self, event: &E) -> Option<E> {
        self.replaceable_by(event).and_then(|index| self.events.remove(index))
    }
}
