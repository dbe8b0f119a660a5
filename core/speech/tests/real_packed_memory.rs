//! A packed tiny.en loads without copying its weights. One test: it counts what the whole process allocates.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use sotto_runtime::{CancelToken, NoProgress, Threads};
use sotto_speech::{LoadOptions, ModelSource, QuantizeOptions, SpeechRecognizer, quantize};
use sotto_testkit::data_dir;

/// The system's allocator, counting the bytes that were ever asked for.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: hands everything to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn loading_copies_no_weights() {
    let Some(data) = data_dir() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.en.sotto");
    let (source, cancel) = (ModelSource::Path(data.join("whisper-tiny.en")), CancelToken::new());
    let bytes = quantize(&source, &path, &QuantizeOptions::default(), &NoProgress, &cancel).unwrap().bytes.0;
    let source = ModelSource::Path(path);
    let options = LoadOptions { threads: Threads::ONE, ..LoadOptions::default() };
    let mut fastest = f64::INFINITY;
    for _ in 0..20 {
        let (before, start) = (ALLOCATED.load(Ordering::Relaxed), Instant::now());
        let recognizer = SpeechRecognizer::load(&source, &options, &NoProgress, &cancel).unwrap();
        fastest = fastest.min(start.elapsed().as_secs_f64());
        let allocated = ALLOCATED.load(Ordering::Relaxed) - before;
        assert!(recognizer.model().packed().is_some());
        assert!(allocated < 512 << 10, "{allocated} bytes allocated for a file of {bytes}");
        println!("{allocated} bytes allocated for a file of {bytes}");
    }
    println!("loaded in {:.2} ms", 1e3 * fastest);
}
