//! What the thread pool costs: handing out a job, waking helpers, and sharing the processor with another program.
//!
//! `cargo run --release -p sotto-runtime --example pool_overhead`
//!
//! Prints medians in Markdown tables. "Busy" means that another thread occupies one core all the time. A job that is
//! split among threads must then not become much slower than the same work on one thread.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use sotto_runtime::{Chunk, Pool, Threads};

// The number of chunks per measured job: what `Chunk::Automatic` makes for two threads.
const CHUNKS: usize = 8;

fn main() {
    println!("{} cores\n", std::thread::available_parallelism().map_or(1, usize::from));
    println!("## One empty job of {CHUNKS} chunks, ns\n\n| threads | median | 99 % |\n|---|---|---|");
    for threads in [1, 2] {
        let pool = Pool::new(Threads::new(threads));
        let times = sample(20_000, || pool.run(CHUNKS, Chunk::of(1), |items| _ = black_box(items)));
        println!("| {threads} | {} | {} |", quantile(&times, 0.5), quantile(&times, 0.99));
    }

    println!("\n## The same after 1 ms of rest (the helper sleeps), ns\n\n| threads | median | 99 % |\n|---|---|---|");
    for threads in [1, 2] {
        let pool = Pool::new(Threads::new(threads));
        let mut times: Vec<u64> = (0..300)
            .map(|_| {
                std::thread::sleep(Duration::from_millis(1));
                time(|| pool.run(CHUNKS, Chunk::of(1), |items| _ = black_box(items)))
            })
            .collect();
        times.sort_unstable();
        println!("| {threads} | {} | {} |", quantile(&times, 0.5), quantile(&times, 0.99));
    }

    println!("\n## 1000 jobs one after the other, ms for all (median of 15)\n");
    println!(
        "| work per job, one thread | 1 thread | 2 threads | 1 thread, busy | 2 threads, busy | 2 busy / 1 alone |"
    );
    println!("|---|---|---|---|---|---|");
    for micros in [10, 50, 200] {
        let turns = turns_in(Duration::from_micros(micros));
        let [one, two] = [1, 2].map(|threads| jobs(threads, turns));
        let [one_busy, two_busy] = beside_a_busy_thread(|| [1, 2].map(|threads| jobs(threads, turns)));
        let ratio = two_busy / one;
        println!("| {micros} µs | {one:.1} | {two:.1} | {one_busy:.1} | {two_busy:.1} | {ratio:.2} |");
    }
}

/// Median time of 1000 jobs of `turns` turns of arithmetic each, in milliseconds.
fn jobs(threads: usize, turns: u64) -> f64 {
    let pool = Pool::new(Threads::new(threads));
    let times = sample(15, || {
        for _ in 0..1000 {
            pool.run(CHUNKS, Chunk::of(1), |_| work(turns / CHUNKS as u64));
        }
    });
    quantile(&times, 0.5) as f64 / 1e6
}

/// Arithmetic that stays in registers, so that the threads share nothing but the pool.
fn work(turns: u64) {
    let mut value = black_box(1_u64);
    for _ in 0..turns {
        value = value.wrapping_mul(6_364_136_223_846_793_005).rotate_left(17);
    }
    black_box(value);
}

/// How many turns of [`work`] take `duration`: the fastest of several measurements, since other programs run too.
fn turns_in(duration: Duration) -> u64 {
    const TURNS: u64 = 100_000;
    let fastest = sample(50, || work(TURNS))[0].max(1);
    (duration.as_nanos() as u64 * TURNS / fastest).max(CHUNKS as u64)
}

fn beside_a_busy_thread<R>(measure: impl FnOnce() -> R) -> R {
    let stop = AtomicBool::new(false);
    let spun = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Relaxed) {
                work(1000);
                spun.fetch_add(1, Relaxed);
            }
        });
        // Wait until the busy thread has its core.
        while spun.load(Relaxed) < 1000 {
            std::thread::yield_now();
        }
        let result = measure();
        stop.store(true, Relaxed);
        result
    })
}

fn time(run: impl FnOnce()) -> u64 {
    let started = Instant::now();
    run();
    started.elapsed().as_nanos() as u64
}

/// Times of `count` calls in nanoseconds, sorted, after a few warm-up calls.
fn sample(count: usize, mut run: impl FnMut()) -> Vec<u64> {
    (0..count / 10 + 1).for_each(|_| run());
    let mut times: Vec<u64> = (0..count).map(|_| time(&mut run)).collect();
    times.sort_unstable();
    times
}

fn quantile(sorted: &[u64], share: f64) -> u64 {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}
