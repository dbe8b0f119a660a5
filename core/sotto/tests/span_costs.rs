//! Spans allocate nothing, with or without a listener.

use std::sync::Arc;

use sotto::profile::spans::{Counter, Recorder, SpanName, attach, count, span};
use sotto_testkit::heap::measured;

#[test]
fn a_span_allocates_nothing_with_a_listener_or_without() {
    let work = || {
        for _ in 0..1000 {
            let _outer = span(SpanName::Decode);
            let _inner = span(SpanName::Align);
            count(Counter::LoadedBytes, 1);
        }
    };
    let ((), alone) = measured(work);
    assert_eq!((alone.count_total, alone.bytes_total), (0, 0));
    let recorder = Arc::new(Recorder::new(100));
    let listening = attach(recorder.clone());
    let ((), heard) = measured(work);
    drop(listening);
    assert_eq!((heard.count_total, heard.bytes_total), (0, 0));
    assert_eq!((recorder.spans().len(), recorder.lost(), recorder.count_of(Counter::LoadedBytes)), (100, 1900, 1000));
}
