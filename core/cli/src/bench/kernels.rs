//! Speed of the kernels alone, beside what the processor and the memory allow.

use std::io::{self, Write};

use serde_json::json;
use sotto::CancelToken;
use sotto::kernels::{Case, Figure, KernelSet, peak, read_bandwidth};

use super::busy::BusyThread;
use crate::args::{BenchKernelsArgs, Global};
use crate::error::CliError;
use crate::progress::Bars;

/// What a token of a small model reads lies in a big cache of a server, and nowhere but in memory on a phone.
const READ_MEGABYTES: [usize; 2] = [32, 256];

pub(super) fn run(args: &BenchKernelsArgs, global: &Global, cancel: &CancelToken) -> Result<(), CliError> {
    let bars = Bars::new(global.quiet);
    let sets = if args.all_sets { KernelSet::all_available() } else { vec![KernelSet::best()] };
    let cases = Case::all();
    let busy = args.with_load.then(BusyThread::start);
    for megabytes in READ_MEGABYTES {
        cancel.check()?;
        print_reading(megabytes, read_bandwidth(megabytes * 1_000_000), global)?;
    }
    for (index, set) in sets.iter().enumerate() {
        let limit = peak(set.isa());
        print_peak(*set, limit, global)?;
        for (done, case) in cases.iter().enumerate() {
            cancel.check()?;
            bars.counting(index * cases.len() + done, sets.len() * cases.len(), &case.to_string());
            let figure = case.measure(*set, args.repeats as usize);
            bars.clear();
            print(*set, case, &figure, limit.filter(|_| case.is_bound_by_int8_peak()), global)?;
        }
    }
    Ok(busy.map_or(Ok(()), |busy| print_load(&busy, global))?)
}

fn print_load(busy: &BusyThread, global: &Global) -> io::Result<()> {
    let (mut out, work) = (io::stdout().lock(), busy.work());
    if global.json {
        return writeln!(out, "{}", json!({"busy_thread_work": work}));
    }
    writeln!(out, "\nbeside a busy thread, which did {:.0} million steps", work as f64 / 1e6)
}

fn print_reading(megabytes: usize, bytes_per_second: f64, global: &Global) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if global.json {
        return writeln!(out, "{}", json!({"reading_mb": megabytes, "bytes_per_second": bytes_per_second.round()}));
    }
    writeln!(out, "reading {megabytes} MB over and over: {:.1} GB/s", bytes_per_second / 1e9)
}

fn print_peak(set: KernelSet, peak: Option<f64>, global: &Global) -> io::Result<()> {
    let (mut out, isa) = (io::stdout().lock(), set.isa());
    if global.json {
        return writeln!(out, "{}", json!({"isa": isa.to_string(), "peak_macs_per_second": peak.map(f64::round)}));
    }
    match peak {
        Some(peak) => writeln!(out, "\n{isa}, multiply-add peak {:.0} GMAC/s", peak / 1e9)?,
        None => writeln!(out, "\n{isa}")?,
    }
    writeln!(out, "  {:48} {:>10} {:>10} {:>8} {:>6} {:>6}", "", "best", "median", "GMAC/s", "GB/s", "peak")
}

fn print(set: KernelSet, case: &Case, figure: &Figure, limit: Option<f64>, global: &Global) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let (macs, bytes) = (figure.macs_per_second(), figure.bytes_per_second());
    let share = limit.map(|limit| macs / limit);
    if global.json {
        let object = json!({
            "isa": set.isa().to_string(),
            "operation": case.to_string(),
            "best_ns": figure.best.as_nanos() as u64,
            "median_ns": figure.median.as_nanos() as u64,
            "macs": figure.macs,
            "bytes": figure.bytes,
            "share_of_peak": share,
        });
        return writeln!(out, "{object}");
    }
    let [best, median] = [figure.best, figure.median].map(|time| time.as_secs_f64() * 1e6);
    let share = share.map_or(String::new(), |share| format!("{:.0} %", share * 100.0));
    let name = case.to_string();
    writeln!(out, "  {name:48} {best:7.1} µs {median:7.1} µs {:8.1} {:6.1} {share:>6}", macs / 1e9, bytes / 1e9)
}
