//! The figures of a report as a list, and the comparison of two lists.

use serde::Serialize;

use super::report::{PhaseFigures, ProfileReport};
use super::statistics::Percentiles;
use super::verdict::Validity;

/// Unit of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// A ratio of two quantities.
    Ratio,
    /// A fraction of 1.
    Share,
    /// Bytes.
    Bytes,
    /// Joules.
    Joules,
    /// Watts.
    Watts,
    /// A count.
    Count,
}

impl Unit {
    /// Formats a value for people: `412 ms`, `× 1.24`, `3.1 %`, `151.2 MiB`.
    #[must_use]
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Seconds => seconds(value),
            Self::Ratio => format!("× {value:.3}"),
            Self::Share => format!("{:.2} %", value * 100.0),
            Self::Bytes => sotto_runtime::Bytes(value.max(0.0) as u64).to_string(),
            Self::Joules => format!("{value:.2} J"),
            Self::Watts => format!("{value:.2} W"),
            Self::Count if value == value.trunc() => format!("{value:.0}"),
            Self::Count => format!("{value:.1}"),
        }
    }
}

/// Formats a time with suitable precision.
#[must_use]
pub fn seconds(value: f64) -> String {
    match value.abs() {
        0.0 => "0 s".to_owned(),
        size if size < 0.01 => format!("{:.2} ms", value * 1e3),
        size if size < 0.1 => format!("{:.1} ms", value * 1e3),
        size if size < 1.0 => format!("{:.0} ms", value * 1e3),
        size if size < 100.0 => format!("{value:.2} s"),
        size if size < 600.0 => format!("{value:.0} s"),
        _ => format!("{:.1} min", value / 60.0),
    }
}

/// A figure of a report. For all figures, less is better.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figure {
    /// Stable name, for programs.
    pub name: &'static str,
    /// For people.
    pub label: &'static str,
    /// What it is counted in.
    pub unit: Unit,
    /// `None` where it was not measured.
    pub value: Option<f64>,
}

/// The figures of a report, always the same ones in the same order.
#[must_use]
pub fn figures(report: &ProfileReport) -> Vec<Figure> {
    let phases = &report.phases;
    let measured = &report.measured;
    let sustained = phases.sustained.as_ref();
    let warm = phases.warm.as_ref();
    let latency = |phase: Option<&PhaseFigures>, of: fn(&Percentiles) -> f64| phase.map(|phase| of(&phase.latency_s));
    let later = Percentiles::of(measured.loads.later_s.iter().copied()).map(|later| later.p50);
    let first = phases.cold.as_ref().map(|_| measured.loads.first_s);
    let bytes = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64);
    let figure = |name, label, unit, value| Figure { name, label, unit, value };
    use Unit::{Bytes, Count, Joules, Ratio, Seconds, Share, Watts};
    vec![
        figure("first_load_s", "first load", Seconds, first),
        figure("later_load_s", "later loads, median", Seconds, later),
        figure("cold_latency_s", "first run, cold", Seconds, latency(phases.cold.as_ref(), |p| p.p50)),
        figure("warm_latency_p50_s", "warm runs, median", Seconds, latency(warm, |p| p.p50)),
        figure("warm_real_time_factor", "warm real-time factor", Ratio, warm.map(|phase| phase.real_time_factor)),
        figure("sustained_latency_p50_s", "sustained runs, median", Seconds, latency(sustained, |p| p.p50)),
        figure("sustained_latency_p90_s", "sustained runs, 90 %", Seconds, latency(sustained, |p| p.p90)),
        figure("sustained_latency_p99_s", "sustained runs, 99 %", Seconds, latency(sustained, |p| p.p99)),
        figure(
            "sustained_real_time_factor",
            "sustained real-time factor",
            Ratio,
            sustained.map(|phase| phase.real_time_factor),
        ),
        figure("slowdown", "last third against first", Ratio, sustained.and_then(|phase| phase.slowdown)),
        figure(
            "encode_s_per_window",
            "encoder for a window",
            Seconds,
            warm.and_then(|phase| phase.encode_ms_per_window).map(|ms| ms / 1e3),
        ),
        figure(
            "decode_s_per_token",
            "decoder for a token",
            Seconds,
            warm.and_then(|phase| phase.decode_ms_per_token).map(|ms| ms / 1e3),
        ),
        figure("peak_bytes", "peak memory of the process", Bytes, bytes(measured.memory.peak_bytes)),
        figure("reserved_bytes", "budget of the model", Bytes, bytes(measured.memory.reserved_bytes)),
        figure("allocations_per_run", "allocations for a run", Count, warm.and_then(|phase| phase.allocations_per_run)),
        figure("wakeups_per_run", "helpers woken for a run", Count, warm.map(|phase| phase.wakeups_per_run)),
        figure("word_error_rate", "word error rate", Share, report.quality.as_ref().map(|q| q.word_error_rate)),
        figure(
            "joules_per_audio_minute",
            "energy for a minute of audio",
            Joules,
            report.energy.joules_per_audio_minute,
        ),
        figure("watts", "power", Watts, report.energy.watts),
    ]
}

/// A figure in two reports.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// Stable name, for programs.
    pub name: &'static str,
    /// For people.
    pub label: &'static str,
    /// What it is counted in.
    pub unit: Unit,
    /// Value in the first report.
    pub a: Option<f64>,
    /// Value in the second report.
    pub b: Option<f64>,
    /// Relative change from the first to the second: negative if the second is better.
    pub change: Option<f64>,
    /// Whether the change exceeds the noise between two equal runs: a twentieth.
    pub notable: bool,
}

/// The comparison of two reports.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Reasons to compare them with care, or not at all.
    pub warnings: Vec<String>,
    /// Every figure of either report.
    pub differences: Vec<Difference>,
}

// Medians of two equal runs on an idle desktop differ by a few percent.
const NOISE: f64 = 0.05;

/// Compares the second report with the first.
#[must_use]
pub fn differences(a: &ProfileReport, b: &ProfileReport) -> Comparison {
    let differ = |(a, b): (Figure, Figure)| {
        let Figure { name, label, unit, value } = a;
        let change = value.zip(b.value).filter(|(before, _)| *before > 0.0).map(|(before, after)| after / before - 1.0);
        let notable = match value.zip(b.value) {
            Some((before, after)) => change.map_or(before != after, |change| change.abs() > NOISE),
            None => false,
        };
        Difference { name, label, unit, a: value, b: b.value, change, notable }
    };
    let pairs = figures(a).into_iter().zip(figures(b));
    let differences = pairs.map(differ).filter(|difference| difference.a.is_some() || difference.b.is_some());
    Comparison { warnings: warnings(a, b), differences: differences.collect() }
}

fn warnings(a: &ProfileReport, b: &ProfileReport) -> Vec<String> {
    let mut warnings = Vec::new();
    for (name, report) in [("A", a), ("B", b)] {
        if report.verdict.validity == Validity::Invalid {
            warnings.push(format!("{name} is invalid: its figures say nothing of its device"));
        }
    }
    let (of_a, of_b) = (&a.measured, &b.measured);
    let differ = [
        ("tasks", of_a.subject.task != of_b.subject.task),
        ("machines", (&of_a.machine, &of_a.subject.kernels) != (&of_b.machine, &of_b.subject.kernels)),
        ("models", of_a.subject.model != of_b.subject.model),
        ("precisions", of_a.subject.precision != of_b.subject.precision),
        ("numbers of threads", of_a.subject.threads != of_b.subject.threads),
        ("clips", of_a.plan.clips != of_b.plan.clips),
        ("lengths of the sustained phase", of_a.plan.sustained_s != of_b.plan.sustained_s),
        ("ways of measuring energy", a.energy.method != b.energy.method),
        ("versions of the library", a.sotto != b.sotto),
    ];
    let differing: Vec<&str> = differ.into_iter().filter_map(|(what, differs)| differs.then_some(what)).collect();
    if !differing.is_empty() {
        warnings.push(format!("they differ in more than their figures: other {}", differing.join(", ")));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_as_many_digits_as_matter() {
        let shown: Vec<String> = [0.0012, 0.034, 0.412, 12.0, 250.0, 1800.0].into_iter().map(seconds).collect();
        assert_eq!(shown, ["1.20 ms", "34.0 ms", "412 ms", "12.00 s", "250 s", "30.0 min"]);
        assert_eq!(Unit::Share.show(0.0613), "6.13 %");
        assert_eq!(Unit::Bytes.show(158_543_642.0), "151.2 MiB");
        assert_eq!((Unit::Count.show(3.0), Unit::Count.show(3.25)), ("3".to_owned(), "3.2".to_owned()));
    }
}
