//! A listener receives every span that begins while it is attached, and no other.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sotto_runtime::spans::{Begun, Counter, Recorder, SpanListener, SpanName, attach, count, span};
use sotto_runtime::{Bytes, MemoryBudget};

/// Listeners hear the whole process, so tests run one at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, Default)]
struct Diary(Mutex<Vec<(&'static str, SpanName)>>);

impl Diary {
    fn lines(&self) -> Vec<(&'static str, SpanName)> {
        self.0.lock().unwrap().clone()
    }
}

impl SpanListener for Diary {
    fn begin(&self, span: Begun) {
        self.0.lock().unwrap().push(("begin", span.name));
    }

    fn end(&self, span: Begun, at: Instant) {
        assert!(at >= span.at);
        self.0.lock().unwrap().push(("end", span.name));
    }

    fn count(&self, _: Counter, _: u64) {}
}

#[test]
fn spans_inside_each_other_end_in_reverse() {
    let _alone = alone();
    let diary = Arc::new(Diary::default());
    let listening = attach(diary.clone());
    {
        let _outer = span(SpanName::Decode);
        let _inner = span(SpanName::Align);
    }
    drop(listening);
    let (decode, align) = (SpanName::Decode, SpanName::Align);
    assert_eq!(diary.lines(), [("begin", decode), ("begin", align), ("end", align), ("end", decode)]);
}

#[test]
fn a_span_that_began_before_a_listener_came_is_not_its_own() {
    let _alone = alone();
    let early = Arc::new(Diary::default());
    let late = Arc::new(Diary::default());
    let first = attach(early.clone());
    let span = span(SpanName::Load);
    let second = attach(late.clone());
    drop(span);
    drop((first, second));
    assert_eq!((early.lines().len(), late.lines().len()), (2, 0));
}

#[test]
fn who_is_detached_hears_nothing_more() {
    let _alone = alone();
    let diary = Arc::new(Diary::default());
    let listening = attach(diary.clone());
    let begun = span(SpanName::Mel);
    drop(listening);
    drop(begun);
    drop(span(SpanName::Mel));
    assert_eq!(diary.lines(), [("begin", SpanName::Mel)]);
}

#[test]
fn a_full_recorder_keeps_the_last_spans_and_the_sums_of_all() {
    let _alone = alone();
    let recorder = Arc::new(Recorder::new(3));
    let listening = attach(recorder.clone());
    for name in [SpanName::Load, SpanName::Mel, SpanName::Encode, SpanName::Decode, SpanName::Decode] {
        drop(span(name));
    }
    drop(listening);
    let spans = recorder.spans();
    let names: Vec<SpanName> = spans.iter().map(|span| span.name).collect();
    assert_eq!(names, [SpanName::Encode, SpanName::Decode, SpanName::Decode]);
    assert!(spans.is_sorted_by_key(|span| span.start));
    assert_eq!(recorder.lost(), 2);
    assert_eq!((recorder.total(SpanName::Load).count, recorder.total(SpanName::Decode).count), (1, 2));
}

#[test]
fn a_recorder_without_room_still_counts() {
    let _alone = alone();
    let recorder = Arc::new(Recorder::new(0));
    let listening = attach(recorder.clone());
    {
        let _span = span(SpanName::Encode);
        std::thread::sleep(Duration::from_millis(2));
    }
    drop(listening);
    let total = recorder.total(SpanName::Encode);
    assert_eq!((recorder.spans().len(), recorder.lost(), total.count), (0, 1, 1));
    assert!(total.total >= Duration::from_millis(2) && total.longest == total.total);
}

#[test]
fn what_a_budget_lends_and_gets_back_is_counted() {
    let _alone = alone();
    let recorder = Arc::new(Recorder::new(0));
    let budget = MemoryBudget::limited(Bytes(100));
    let before = budget.reserve(Bytes(10)).unwrap();
    let listening = attach(recorder.clone());
    let mut held = budget.reserve(Bytes(80)).unwrap();
    assert!(budget.reserve(Bytes(80)).is_err());
    held.shrink_to(Bytes(50));
    drop(before);
    drop(listening);
    drop(held);
    assert_eq!(recorder.count_of(Counter::ReservedBytes), 80);
    assert_eq!(recorder.count_of(Counter::ReleasedBytes), 40);
}

#[test]
fn counts_of_many_threads_add_up() {
    let _alone = alone();
    let recorder = Arc::new(Recorder::new(16));
    let listening = attach(recorder.clone());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100 {
                    let _span = span(SpanName::Encode);
                    count(Counter::LoadedBytes, 3);
                }
            });
        }
    });
    drop(listening);
    assert_eq!(recorder.count_of(Counter::LoadedBytes), 1200);
    assert_eq!((recorder.total(SpanName::Encode).count, recorder.lost()), (400, 384));
}

#[test]
fn names_are_what_stored_traces_know() {
    let spans: Vec<&str> = SpanName::ALL.iter().map(|name| name.name()).collect();
    assert_eq!(spans, ["sotto.load", "sotto.mel", "sotto.encode", "sotto.decode", "sotto.align"]);
    let counters: Vec<&str> = Counter::ALL.iter().map(|counter| counter.name()).collect();
    let expected = [
        "sotto.bytes.loaded",
        "sotto.bytes.decoder",
        "sotto.bytes.reserved",
        "sotto.bytes.released",
        "sotto.helpers.woken",
    ];
    assert_eq!(counters, expected);
}
