//! What the library works on, as sections of the platform's tracer.

use std::ffi::CStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use sotto::profile::spans::{Attached, Begun, Counter, SpanListener, SpanName, attach};

use crate::platform;

/// The tracer of a platform. Sections of one thread lie inside each other.
pub(crate) trait Tracer: Send + Sync {
    /// A section begins on this thread.
    fn begin(&self, name: &CStr);

    /// The section that began last on this thread ends.
    fn end(&self);
}

/// Shows what the library works on (`sotto.load`, `sotto.mel`, `sotto.encode`, `sotto.decode`, `sotto.align`) as
/// sections of the platform's tracer: in Perfetto on Android, on Linux in whatever reads the kernel's trace. Off until
/// it is called; costs a system call for each section, some tens for a second of audio. `false` where there is no
/// tracer, or none that this process may write to.
#[uniffi::export]
pub fn set_tracing(on: bool) -> bool {
    static TRACING: Mutex<Option<Attached>> = Mutex::new(None);
    let mut tracing = TRACING.lock().unwrap_or_else(PoisonError::into_inner);
    if !on {
        *tracing = None;
    } else if tracing.is_none() {
        *tracing = platform::tracer().map(|tracer| attach(Arc::new(Sections(tracer))));
    }
    tracing.is_some() == on
}

/// Spans as sections.
struct Sections(Box<dyn Tracer>);

impl SpanListener for Sections {
    fn begin(&self, span: Begun) {
        self.0.begin(name(span.name));
    }

    fn end(&self, _: Begun, _: Instant) {
        self.0.end();
    }

    fn count(&self, _: Counter, _: u64) {}
}

/// [`SpanName::name`] as tracers take it.
fn name(name: SpanName) -> &'static CStr {
    match name {
        SpanName::Load => c"sotto.load",
        SpanName::Mel => c"sotto.mel",
        SpanName::Encode => c"sotto.encode",
        SpanName::Decode => c"sotto.decode",
        SpanName::Align => c"sotto.align",
        // Younger than this surface.
        _ => c"sotto",
    }
}

#[cfg(test)]
mod tests {
    use std::thread::{self, ThreadId};

    use sotto::profile::spans::span;

    use super::*;

    #[derive(Default)]
    struct Recorded(Mutex<Vec<(ThreadId, Option<String>)>>);

    impl Tracer for Arc<Recorded> {
        fn begin(&self, name: &CStr) {
            let name = name.to_str().unwrap().to_owned();
            self.0.lock().unwrap().push((thread::current().id(), Some(name)));
        }

        fn end(&self) {
            self.0.lock().unwrap().push((thread::current().id(), None));
        }
    }

    #[test]
    fn names_are_those_that_traces_rely_on() {
        for each in SpanName::ALL {
            assert_eq!(name(each).to_str().unwrap(), each.name());
        }
    }

    #[test]
    fn sections_begin_and_end_on_the_thread_that_works_and_lie_inside_each_other() {
        let recorded = Arc::new(Recorded::default());
        let attached = attach(Arc::new(Sections(Box::new(Arc::clone(&recorded)))));
        let here = thread::current().id();
        {
            let _decode = span(SpanName::Decode);
            drop(span(SpanName::Align));
        }
        let there = thread::spawn(|| {
            drop(span(SpanName::Mel));
            thread::current().id()
        });
        let there = there.join().unwrap();
        drop(attached);
        drop(span(SpanName::Load));
        // Other tests work meanwhile.
        let of = |thread: ThreadId| -> Vec<Option<String>> {
            let all = recorded.0.lock().unwrap();
            all.iter().filter(|section| section.0 == thread).map(|section| section.1.clone()).collect()
        };
        let begun = |name: &str| Some(name.to_owned());
        assert_eq!(of(here), [begun("sotto.decode"), begun("sotto.align"), None, None]);
        assert_eq!(of(there), [begun("sotto.mel"), None]);
    }

    #[test]
    fn tracing_may_be_turned_on_and_off_at_any_time() {
        let there = set_tracing(true);
        assert_eq!(set_tracing(true), there);
        assert!(set_tracing(false));
        assert!(set_tracing(false));
    }
}
