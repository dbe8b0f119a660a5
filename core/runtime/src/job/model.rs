//! Models of the hand-over that loom runs through every interleaving. How to run them: the top of `mod.rs`.
//!
//! A lost wake-up is a deadlock here, which loom reports: waits have no time limit (loom's condition variables never
//! time out), and tasks park until they are woken.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use loom::model::Builder;

use super::handover::HandOver;
use super::*;
use crate::sync::{AtomicBool, thread};

/// The same bound on preemptions as in the pool's models.
fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound.get_or_insert(3);
    builder.check(model);
}

#[derive(Debug, PartialEq)]
enum Said {
    Lasting(u8),
    Volatile(u8),
}

use Said::{Lasting, Volatile};

impl Event for Said {
    fn passing(&self) -> Option<Passing> {
        matches!(self, Volatile(_)).then_some(Passing::Volatile)
    }
}

#[derive(Debug, PartialEq)]
enum Failed {
    Cancelled,
    Worker,
}

impl From<Cancelled> for Failed {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}

impl From<WorkerError> for Failed {
    fn from(_: WorkerError) -> Self {
        Self::Worker
    }
}

type Place = Arc<HandOver<Said, Failed>>;

fn place(queue: usize) -> Place {
    Arc::new(HandOver::new(NonZeroUsize::new(queue).unwrap()))
}

fn spawn(place: &Place, life: impl FnOnce(&HandOver<Said, Failed>) + 'static) -> thread::JoinHandle<()> {
    let place = Arc::clone(place);
    thread::spawn(move || life(&place))
}

/// All events that a thread pulls, and the end of the job.
fn pull(place: &HandOver<Said, Failed>) -> (Vec<Said>, Result<(), Arc<Failed>>) {
    let mut events = Vec::new();
    loop {
        match place.next(Duration::MAX) {
            Ok(Answer::Event(event)) => events.push(event),
            Ok(Answer::Ended) => return (events, Ok(())),
            Ok(Answer::Waiting) => unreachable!("the time has no end"),
            Err(failure) => return (events, Err(failure)),
        }
    }
}

/// Parks the thread of a task until it is woken.
struct Parked {
    thread: thread::Thread,
    woken: AtomicBool,
}

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, SeqCst);
        self.thread.unpark();
    }
}

/// All events that a task pulls, and the end of the job.
fn poll(place: &HandOver<Said, Failed>) -> (Vec<Said>, Result<(), Arc<Failed>>) {
    let mut events = Vec::new();
    loop {
        let parked = Arc::new(Parked { thread: thread::current(), woken: AtomicBool::new(false) });
        match place.poll(&Waker::from(Arc::clone(&parked))) {
            Poll::Ready(Ok(Some(event))) => events.push(event),
            Poll::Ready(Ok(None)) => return (events, Ok(())),
            Poll::Ready(Err(failure)) => return (events, Err(failure)),
            Poll::Pending => {
                while !parked.woken.load(SeqCst) {
                    thread::park();
                }
            }
        }
    }
}

#[test]
fn a_full_queue_hands_over_everything() {
    check(|| {
        let place = place(1);
        let worker = spawn(&place, |place| {
            assert_eq!(place.report(Lasting(1)), Ok(()));
            place.end(Ok(Some(Lasting(2))));
        });
        assert_eq!(pull(&place), (vec![Lasting(1), Lasting(2)], Ok(())));
        worker.join().unwrap();
    });
}

#[test]
fn a_task_is_woken_by_every_change() {
    check(|| {
        let place = place(1);
        let worker = spawn(&place, |place| {
            assert_eq!(place.report(Lasting(1)), Ok(()));
            place.end(Err(Failed::Worker));
        });
        assert_eq!(poll(&place), (vec![Lasting(1)], Err(Arc::new(Failed::Worker))));
        worker.join().unwrap();
    });
}

#[test]
fn two_readers_share_the_events_and_both_see_the_end() {
    check(|| {
        let place = place(2);
        let worker = spawn(&place, |place| place.end(Ok(Some(Lasting(1)))));
        let other = spawn(&place, |place| assert!(poll(place).1.is_ok()));
        assert!(pull(&place).1.is_ok());
        other.join().unwrap();
        worker.join().unwrap();
    });
}

#[test]
fn two_threads_share_the_events_and_none_sleeps_on() {
    check(|| {
        let place = place(2);
        let worker = spawn(&place, |place| place.end(Ok(Some(Lasting(1)))));
        let other = spawn(&place, |place| assert!(pull(place).1.is_ok()));
        assert!(pull(&place).1.is_ok());
        other.join().unwrap();
        worker.join().unwrap();
    });
}

#[test]
fn two_tasks_share_the_events_and_none_sleeps_on() {
    check(|| {
        let place = place(2);
        let worker = spawn(&place, |place| place.end(Ok(Some(Lasting(1)))));
        let other = spawn(&place, |place| assert!(poll(place).1.is_ok()));
        assert!(poll(&place).1.is_ok());
        other.join().unwrap();
        worker.join().unwrap();
    });
}

#[test]
fn a_task_that_is_given_up_takes_no_event_with_it() {
    check(|| {
        let place = place(1);
        let worker = spawn(&place, |place| place.end(Ok(Some(Lasting(1)))));
        let parked = Arc::new(Parked { thread: thread::current(), woken: AtomicBool::new(false) });
        if let Poll::Pending = place.poll(&Waker::from(parked)) {
            assert_eq!(poll(&place), (vec![Lasting(1)], Ok(())));
        }
        worker.join().unwrap();
    });
}

#[test]
fn cancelling_reaches_a_worker_without_room_and_a_reader() {
    check(|| {
        let place = place(1);
        let worker = spawn(&place, |place| {
            let cancelled = place.report(Lasting(1)).and_then(|()| place.report(Lasting(2)));
            place.end(cancelled.map(|()| None).map_err(Failed::from));
        });
        let canceller = spawn(&place, HandOver::cancel);
        // Nobody pulls until the worker has ended: only the cancellation lets it end.
        worker.join().unwrap();
        canceller.join().unwrap();
        let (events, end) = pull(&place);
        assert!(events.len() <= 1);
        assert_eq!(end, Err(Arc::new(Failed::Cancelled)));
    });
}

#[test]
fn a_cancelled_job_ends_in_one_way_for_all_readers() {
    check(|| {
        let place = place(2);
        let worker = spawn(&place, |place| place.end(Ok(Some(Lasting(1)))));
        let canceller = spawn(&place, HandOver::cancel);
        let (events, end) = pull(&place);
        match end {
            // The cancellation came too late: the result had been reported.
            Ok(()) => assert_eq!(events, [Lasting(1)]),
            Err(_) => assert_eq!(events, []),
        }
        worker.join().unwrap();
        canceller.join().unwrap();
        assert_eq!(pull(&place), (vec![], end));
        assert!(place.wait_until_idle(Duration::MAX));
    });
}

#[test]
fn a_passing_event_is_replaced_or_pulled_but_the_last_one_comes() {
    check(|| {
        let place = place(1);
        let worker = spawn(&place, |place| {
            assert_eq!(place.report(Volatile(1)), Ok(()));
            place.end(Ok(Some(Volatile(2))));
        });
        let (events, end) = pull(&place);
        assert!(end.is_ok() && events.last() == Some(&Volatile(2)), "{events:?}");
        worker.join().unwrap();
    });
}

#[test]
fn whoever_asks_to_be_told_is_told() {
    check(|| {
        let parent = CancelToken::new();
        let place = place(1);
        let canceller = {
            let parent = parent.clone();
            thread::spawn(move || parent.cancel())
        };
        let told = Arc::clone(&place);
        let listener = parent.child().on_cancel(move || told.cancel());
        assert_eq!(pull(&place), (vec![], Err(Arc::new(Failed::Cancelled))));
        drop(listener);
        canceller.join().unwrap();
    });
}

#[test]
fn a_whole_job_can_be_dropped_at_any_moment() {
    check(|| {
        let job: Job<Said, Failed> = Job::start(&JobOptions::default(), &CancelToken::new(), |reporter| {
            reporter.report(Lasting(1))?;
            Ok(Some(Lasting(2)))
        });
        drop(job);
    });
}
