#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Barrier, Weak};
use std::task::{Wake, Waker};

use super::*;
use crate::Stage;

#[derive(Debug, Clone, PartialEq)]
enum Said {
    Lasting(u32),
    Volatile(u32),
    Progress(u64),
}

use Said::{Lasting, Volatile};

impl Event for Said {
    fn passing(&self) -> Option<Passing> {
        match self {
            Lasting(_) => None,
            Volatile(_) => Some(Passing::Volatile),
            Self::Progress(_) => Some(Passing::Progress),
        }
    }
}

impl From<Progress<'static>> for Said {
    fn from(progress: Progress<'static>) -> Self {
        Self::Progress(progress.done)
    }
}

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    #[error(transparent)]
    Worker(#[from] WorkerError),
    #[error("broken")]
    Broken,
}

type TestJob = Job<Said, Failed>;

fn start(work: impl FnOnce(&Reporter<Said, Failed>) -> Result<Option<Said>, Failed> + Send + 'static) -> TestJob {
    Job::start(&JobOptions::default(), &CancelToken::new(), work)
}

fn of_queue(
    queue: usize,
    work: impl FnOnce(&Reporter<Said, Failed>) -> Result<Option<Said>, Failed> + Send + 'static,
) -> TestJob {
    let options = JobOptions { queue: queue.try_into().unwrap(), ..JobOptions::default() };
    Job::start(&options, &CancelToken::new(), work)
}

/// All events of a job, and how it ends.
fn drain(job: &TestJob) -> (Vec<Said>, Result<(), Arc<Failed>>) {
    let mut events = Vec::new();
    loop {
        match job.next_event(Duration::MAX) {
            Ok(Answer::Event(event)) => events.push(event),
            Ok(Answer::Ended) => return (events, Ok(())),
            Ok(Answer::Waiting) => panic!("waited less than for ever"),
            Err(failure) => return (events, Err(failure)),
        }
    }
}

/// Work that waits until the gate is opened or the job is cancelled.
struct Gate(Receiver<()>);

impl Gate {
    fn wait(&self, reporter: &Reporter<Said, Failed>) -> Result<(), Failed> {
        while self.0.recv_timeout(Duration::from_millis(1)).is_err() {
            reporter.cancel().check()?;
        }
        Ok(())
    }
}

fn gate() -> (Sender<()>, Gate) {
    let (go, wait) = channel();
    (go, Gate(wait))
}

struct CountingWaker(AtomicUsize);

impl Wake for CountingWaker {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn counting() -> (Arc<CountingWaker>, Waker) {
    let count = Arc::new(CountingWaker(AtomicUsize::new(0)));
    (Arc::clone(&count), count.into())
}

struct ThreadWaker(std::thread::Thread);

impl Wake for ThreadWaker {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Arc::new(ThreadWaker(std::thread::current())).into();
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[test]
fn events_come_in_order_then_the_result_then_the_end_for_ever() {
    let job = start(|reporter| {
        for number in 0..1000 {
            reporter.report(Lasting(number))?;
        }
        Ok(Some(Lasting(1000)))
    });
    let (events, end) = drain(&job);
    assert!(end.is_ok());
    assert_eq!(events, (0..=1000).map(Lasting).collect::<Vec<_>>());
    assert_eq!(job.next_event(Duration::ZERO).unwrap(), Answer::Ended);
    assert_eq!(job.next_event(Duration::MAX).unwrap(), Answer::Ended);
    assert_eq!(block_on(job.event()).unwrap(), None);
}

#[test]
fn waiting_has_an_end_and_says_so() {
    let (go, gate) = gate();
    let job = start(move |reporter| gate.wait(reporter).map(|()| None));
    assert_eq!(job.next_event(Duration::ZERO).unwrap(), Answer::Waiting);
    assert_eq!(job.next_event(Duration::from_millis(5)).unwrap(), Answer::Waiting);
    assert!(!job.wait_until_idle(Duration::from_millis(1)));
    go.send(()).unwrap();
    assert_eq!(job.next_event(Duration::MAX).unwrap(), Answer::Ended);
    assert!(job.wait_until_idle(Duration::ZERO));
}

#[test]
fn a_failure_comes_after_the_events_before_it_and_again() {
    let job = start(|reporter| {
        reporter.report(Lasting(1))?;
        Err(Failed::Broken)
    });
    let (events, end) = drain(&job);
    assert_eq!(events, [Lasting(1)]);
    assert!(matches!(*end.unwrap_err(), Failed::Broken));
    for _ in 0..2 {
        assert!(matches!(*job.next_event(Duration::MAX).unwrap_err(), Failed::Broken));
        assert!(matches!(*block_on(job.event()).unwrap_err(), Failed::Broken));
    }
}

#[test]
fn a_panic_is_a_failure_that_says_so() {
    let job = start(|reporter| {
        reporter.report(Lasting(1))?;
        panic!("as a bug would");
    });
    let (events, end) = drain(&job);
    assert_eq!(events, [Lasting(1)]);
    assert!(matches!(*end.unwrap_err(), Failed::Worker(WorkerError::Panicked)));
    // A panic of the set-up as well.
    let options = JobOptions { setup: HelperSetup::new(|| panic!("as an app's would")), ..JobOptions::default() };
    let job = TestJob::start(&options, &CancelToken::new(), |_| Ok(None));
    assert!(matches!(*drain(&job).1.unwrap_err(), Failed::Worker(WorkerError::Panicked)));
}

#[test]
fn the_setup_runs_on_the_thread_of_the_job() {
    let (sender, receiver) = channel();
    let name = move || drop(sender.send(std::thread::current().name().map(str::to_owned)));
    let options = JobOptions { name: "sotto-of-test", setup: HelperSetup::new(name), ..JobOptions::default() };
    let job = TestJob::start(&options, &CancelToken::new(), |_| Ok(None));
    assert!(drain(&job).1.is_ok());
    assert_eq!(receiver.recv().unwrap().as_deref(), Some("sotto-of-test"));
}

#[test]
fn cancelling_is_answered_at_once_whatever_the_thread_does() {
    let parent = CancelToken::new();
    // Work that polls no token, such as a file system that does not answer.
    let (go, wait) = channel::<()>();
    let work = move |reporter: &Reporter<Said, Failed>| {
        reporter.report(Lasting(1))?;
        let _ = wait.recv();
        Ok(Some(Lasting(2)))
    };
    let job = TestJob::start(&JobOptions::default(), &parent, work);
    assert_eq!(job.next_event(Duration::MAX).unwrap(), Answer::Event(Lasting(1)));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| job.next_event(Duration::MAX));
        let polling = scope.spawn(|| block_on(job.event()));
        parent.cancel();
        assert!(matches!(*waiting.join().unwrap().unwrap_err(), Failed::Cancelled(_)));
        assert!(matches!(*polling.join().unwrap().unwrap_err(), Failed::Cancelled(_)));
    });
    assert!(!job.wait_until_idle(Duration::from_millis(1)));
    go.send(()).unwrap();
    assert!(job.wait_until_idle(Duration::MAX));
    // A result that the work returns after that is ignored.
    assert!(matches!(*job.next_event(Duration::MAX).unwrap_err(), Failed::Cancelled(_)));
}

#[test]
fn events_from_before_it_was_cancelled_can_be_pulled() {
    let (go, gate) = gate();
    let job = start(move |reporter| {
        reporter.report(Lasting(1))?;
        reporter.report(Volatile(2))?;
        gate.wait(reporter).map(|()| None)
    });
    let first = job.next_event(Duration::MAX).unwrap();
    assert_eq!(first, Answer::Event(Lasting(1)));
    assert_eq!(job.next_event(Duration::MAX).unwrap(), Answer::Event(Volatile(2)));
    job.cancel();
    job.cancel();
    assert!(matches!(*drain(&job).1.unwrap_err(), Failed::Cancelled(_)));
    drop(go);
}

#[test]
fn cancelling_a_job_that_has_ended_changes_nothing() {
    let job = start(|_| Ok(Some(Lasting(1))));
    assert!(job.wait_until_idle(Duration::MAX));
    job.cancel();
    let (events, end) = drain(&job);
    assert_eq!(events, [Lasting(1)]);
    assert!(end.is_ok());
}

#[test]
fn what_fails_because_it_was_cancelled_was_cancelled() {
    let job = start(|reporter| {
        reporter.report(Lasting(1))?;
        while reporter.cancel().check().is_ok() {
            std::thread::yield_now();
        }
        // As a pipe would that was closed under its reader.
        Err(Failed::Broken)
    });
    assert_eq!(job.next_event(Duration::MAX).unwrap(), Answer::Event(Lasting(1)));
    job.cancel();
    assert!(job.wait_until_idle(Duration::MAX));
    assert!(matches!(*job.next_event(Duration::MAX).unwrap_err(), Failed::Cancelled(_)));
}

#[test]
fn work_waits_while_the_queue_is_full_until_something_is_pulled() {
    let reported = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&reported);
    let job = of_queue(2, move |reporter| {
        for number in 0..5 {
            reporter.report(Lasting(number))?;
            counted.fetch_add(1, SeqCst);
        }
        Ok(Some(Lasting(5)))
    });
    while reported.load(SeqCst) < 2 {
        std::thread::yield_now();
    }
    std::thread::sleep(Duration::from_millis(10));
    assert_eq!(reported.load(SeqCst), 2);
    let (events, end) = drain(&job);
    assert_eq!(events, (0..=5).map(Lasting).collect::<Vec<_>>());
    assert!(end.is_ok());
}

#[test]
fn a_full_queue_does_not_hold_up_a_job_that_is_cancelled_or_dropped() {
    for dropped in [false, true] {
        let (sender, receiver) = channel();
        let job = of_queue(1, move |reporter| {
            let mut result = Ok(());
            while result.is_ok() {
                result = reporter.report(Lasting(1));
            }
            sender.send(()).unwrap();
            Ok(Some(Lasting(2)))
        });
        if dropped {
            drop(job);
        } else {
            job.cancel();
            let (events, end) = drain(&job);
            assert!(events.len() <= 1 && matches!(*end.unwrap_err(), Failed::Cancelled(_)));
        }
        receiver.recv().unwrap();
    }
}

#[test]
fn passing_events_are_replaced_by_later_ones_of_their_kind_and_lasting_ones_kept() {
    use Said::Progress;
    let (go, gate) = gate();
    let job = of_queue(8, move |reporter| {
        for event in [Volatile(1), Volatile(2), Lasting(3), Volatile(3), Progress(1), Volatile(4), Progress(2)] {
            reporter.report(event)?;
        }
        for event in [Lasting(5), Lasting(6), Progress(3), Progress(4)] {
            reporter.report(event)?;
        }
        gate.wait(reporter).map(|()| Some(Lasting(7)))
    });
    go.send(()).unwrap();
    assert!(job.wait_until_idle(Duration::MAX));
    let expected = [Volatile(2), Lasting(3), Volatile(4), Progress(2), Lasting(5), Lasting(6), Progress(4), Lasting(7)];
    assert_eq!(drain(&job).0, expected);
}

#[test]
fn a_passing_event_that_replaces_one_needs_no_room() {
    let job = of_queue(1, |reporter| {
        for number in 0..100 {
            reporter.report(Volatile(number))?;
        }
        Ok(Some(Volatile(100)))
    });
    assert!(job.wait_until_idle(Duration::MAX));
    assert_eq!(drain(&job).0, [Volatile(100)]);
}

#[test]
fn progress_of_the_work_is_an_event() {
    let job = start(|reporter| {
        let sink: &dyn ProgressSink = reporter;
        for done in 0..10 {
            sink.report(&Progress { stage: Stage::Load, done, total: None, subject: "model".into() });
        }
        Ok(None)
    });
    assert!(job.wait_until_idle(Duration::MAX));
    assert_eq!(drain(&job).0, [Said::Progress(9)]);
}

#[test]
fn a_job_of_one_result_can_be_waited_for() {
    let progress = |done| Progress { stage: Stage::Load, done, total: Some(2), subject: "model".into() };
    let work = move |reporter: &Reporter<Step<u32>, Failed>| {
        ProgressSink::report(reporter, &progress(2));
        Ok(Some(Step::Done(7)))
    };
    let job = Job::start(&JobOptions::default(), &CancelToken::new(), work);
    let seen = std::sync::Mutex::new(Vec::new());
    assert_eq!(job.wait(&|progress: &Progress<'_>| seen.lock().unwrap().push(progress.done)).unwrap(), 7);
    assert_eq!(seen.into_inner().unwrap(), [2]);
    let fails = |_: &Reporter<Step<u32>, Failed>| Err(Failed::Broken);
    let job = Job::start(&JobOptions::default(), &CancelToken::new(), fails);
    assert!(matches!(*job.wait(&crate::NoProgress).unwrap_err(), Failed::Broken));
}

#[test]
fn a_failure_can_be_asked_for_before_the_events_are_pulled() {
    let (go, gate) = gate();
    let job = start(move |reporter| {
        reporter.report(Lasting(1))?;
        gate.wait(reporter)?;
        Err(Failed::Broken)
    });
    assert!(job.failure().is_none());
    go.send(()).unwrap();
    assert!(job.wait_until_idle(Duration::MAX));
    assert!(matches!(*job.failure().unwrap(), Failed::Broken));
    assert_eq!(drain(&job).0, [Lasting(1)]);
    let job = start(|_| Ok(None));
    assert!(drain(&job).1.is_ok());
    assert!(job.failure().is_none());
}

#[test]
fn what_the_work_held_is_gone_before_its_result_can_be_pulled() {
    let held = Arc::new(());
    let watched: Weak<()> = Arc::downgrade(&held);
    let job = start(move |_| {
        let _held = &held;
        Ok(Some(Lasting(1)))
    });
    assert_eq!(job.next_event(Duration::MAX).unwrap(), Answer::Event(Lasting(1)));
    assert!(watched.upgrade().is_none());
}

#[test]
fn dropping_waits_for_nobody() {
    // The work ends only after the drop has returned: if the drop waited for it, this would hang.
    let (go, wait) = channel::<()>();
    let (ended, end) = channel();
    let job = start(move |_| {
        let _ = wait.recv();
        ended.send(()).unwrap();
        Ok(None)
    });
    drop(job);
    go.send(()).unwrap();
    end.recv().unwrap();
}

#[test]
fn a_job_that_is_gone_leaves_nothing_at_its_parent_token() {
    let parent = CancelToken::new();
    let held = Arc::new(());
    for _ in 0..3 {
        let held = Arc::clone(&held);
        let job = TestJob::start(&JobOptions::default(), &parent, move |_| {
            let _held = held;
            Ok(None)
        });
        assert!(job.wait_until_idle(Duration::MAX));
    }
    assert_eq!(Arc::strong_count(&held), 1);
    assert!(format!("{parent:?}").contains("listeners: Mutex { data: []"), "{parent:?}");
}

#[test]
fn a_poll_is_woken_once_by_each_change_and_does_not_pile_up() {
    let (go, gate) = gate();
    let job = start(move |reporter| gate.wait(reporter).map(|()| Some(Lasting(1))));
    let ((count, waker), (other_count, other)) = (counting(), counting());
    for _ in 0..10 {
        assert!(job.poll_event(&mut Context::from_waker(&waker)).is_pending());
    }
    assert!(job.poll_event(&mut Context::from_waker(&other)).is_pending());
    go.send(()).unwrap();
    assert!(job.wait_until_idle(Duration::MAX));
    while other_count.0.load(SeqCst) == 0 {
        std::thread::yield_now();
    }
    assert_eq!(count.0.load(SeqCst), 1);
    assert!(matches!(job.poll_event(&mut Context::from_waker(&waker)), Poll::Ready(Ok(Some(Lasting(1))))));
    assert!(matches!(job.poll_event(&mut Context::from_waker(&other)), Poll::Ready(Ok(None))));
    assert_eq!(Arc::strong_count(&count), 2, "a waker was kept");
}

#[test]
fn wakers_of_tasks_that_were_dropped_do_not_pile_up() {
    let (go, gate) = gate();
    let job = start(move |reporter| gate.wait(reporter).map(|()| None));
    let wakers: Vec<_> = (0..1000).map(|_| counting()).collect();
    for (_, waker) in &wakers {
        assert!(job.poll_event(&mut Context::from_waker(waker)).is_pending());
    }
    let kept = wakers.iter().filter(|(count, _)| Arc::strong_count(count) > 2).count();
    assert!(kept <= 32, "{kept}");
    // Wakers that are no longer kept were woken, so that no living task sleeps for ever.
    assert!(wakers.iter().all(|(count, _)| Arc::strong_count(count) > 2 || count.0.load(SeqCst) == 1));
    drop(go);
    job.cancel();
}

#[test]
fn several_threads_and_tasks_share_the_events_and_all_see_the_end() {
    let job = of_queue(3, |reporter| {
        for number in 0..300 {
            reporter.report(Lasting(number))?;
        }
        Ok(None)
    });
    let begun = Barrier::new(6);
    let pull = |waiting: bool| {
        begun.wait();
        let mut mine = Vec::new();
        loop {
            let event = if waiting {
                match job.next_event(Duration::MAX).unwrap() {
                    Answer::Event(event) => Some(event),
                    _ => None,
                }
            } else {
                block_on(job.event()).unwrap()
            };
            match event {
                Some(Lasting(number)) => mine.push(number),
                _ => return mine,
            }
        }
    };
    let pulled: Vec<Vec<u32>> = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..6).map(|index| scope.spawn(move || pull(index % 2 == 0))).collect();
        readers.into_iter().map(|reader| reader.join().unwrap()).collect()
    });
    assert!(pulled.iter().all(|mine| mine.is_sorted()));
    let mut all = pulled.concat();
    all.sort_unstable();
    assert_eq!(all, (0..300).collect::<Vec<_>>());
}

#[test]
fn a_task_that_is_dropped_takes_no_event_with_it() {
    let (go, gate) = gate();
    let job = start(move |reporter| gate.wait(reporter).map(|()| Some(Lasting(1))));
    let (_, waker) = counting();
    {
        let mut given_up = pin!(job.event());
        assert!(given_up.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        go.send(()).unwrap();
        assert!(job.wait_until_idle(Duration::MAX));
    }
    assert_eq!(block_on(job.event()).unwrap(), Some(Lasting(1)));
}

#[test]
fn cancelling_at_any_moment_ends_every_job_in_one_of_its_ways() {
    for round in 0..300 {
        let job = of_queue(2, |reporter| {
            for number in 0..20 {
                reporter.report(Lasting(number))?;
                reporter.cancel().check()?;
            }
            Ok(Some(Lasting(20)))
        });
        let (events, end) = std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..round * 10 {
                    std::hint::spin_loop();
                }
                job.cancel();
            });
            drain(&job)
        });
        assert_eq!(events, (0..events.len() as u32).map(Lasting).collect::<Vec<_>>());
        match end {
            Ok(()) => assert_eq!(events.len(), 21),
            Err(failure) => assert!(matches!(*failure, Failed::Cancelled(_)) && events.len() <= 20),
        }
    }
}

#[test]
fn jobs_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<TestJob>();
    shared::<Reporter<Said, Failed>>();
    shared::<CancelListener>();
}
