//! The plots of a report over time.

use super::axis::Axis;
use super::time::{Lane, Mark, Panel, Segment, Series};
use crate::profile::compare::{Unit, seconds};
use crate::profile::governor::{Decided, Setting};
use crate::profile::reading::{Reading, Sample, ThermalState};
use crate::profile::report::{Phase, ProfileReport, Run};

/// A report of a page; a single report has no name.
#[derive(Clone, Copy)]
pub(super) struct Named<'a> {
    pub(super) name: Option<&'static str>,
    pub(super) class: &'static str,
    pub(super) report: &'a ProfileReport,
}

impl Named<'_> {
    /// The name of a series of this report.
    pub(super) fn label(&self, what: &str) -> String {
        self.name.map_or_else(|| what.to_owned(), |name| format!("{name}, {what}"))
    }
}

type Scale = fn(&[f64]) -> Axis;
type Show = fn(f64) -> String;
type OfReading = fn(&Reading) -> Option<f64>;

/// All plots over time, of one report or two overlaid.
pub(super) fn panels(reports: &[Named<'_>]) -> Vec<Panel> {
    let mut panels = vec![latency(reports), memory(reports), thermal(reports)];
    let zero: Scale = |values| Axis::from_zero(values.iter().copied());
    let around: Scale = |values| Axis::around(values.iter().copied());
    let curves: [(&str, Scale, Show, OfReading); 3] = [
        ("Temperature", around, |celsius| format!("{celsius:.1} °C"), |reading| reading.temperature_c),
        ("Clock of the fastest core", zero, |mhz| format!("{mhz:.0} MHz"), |reading| reading.clock_mhz),
        ("Battery", around, |level| format!("{:.0} %", level * 100.0), |reading| reading.battery_level),
    ];
    for (title, scale, show, of) in curves {
        let series = readings(reports, of);
        let values: Vec<f64> = series.iter().flat_map(|series| series.points.iter().map(|point| point.1)).collect();
        if !values.is_empty() {
            panels.push(Panel::Curves { title: title.to_owned(), show, axis: scale(&values), series, limit: None });
        }
    }
    panels.extend(power(reports));
    panels.push(governor(reports));
    panels
}

fn latency(reports: &[Named<'_>]) -> Panel {
    let mut series = Vec::new();
    for &Named { name, class, report } in reports {
        let runs = &report.measured.runs;
        let of = |wanted: &dyn Fn(&Run) -> bool| -> Vec<(f64, f64)> {
            runs.iter().filter(|run| wanted(run)).map(|run| (run.at_s, run.latency_s)).collect()
        };
        if let Some(name) = name {
            series.push(Series { label: name.to_owned(), class, mark: Mark::Dots, points: of(&|_| true) });
            continue;
        }
        for (label, class, phase) in
            [("cold", "s2", Phase::Cold), ("warm", "s3", Phase::Warm), ("sustained", "s1", Phase::Sustained)]
        {
            let points = of(&|run| run.phase == phase);
            if !points.is_empty() {
                series.push(Series { label: label.to_owned(), class, mark: Mark::Dots, points });
            }
        }
    }
    let values = series.iter().flat_map(|series| series.points.iter().map(|point| point.1));
    let axis = Axis::from_zero(values);
    Panel::Curves { title: "Latency of each run".into(), show: seconds, axis, series, limit: None }
}

fn memory(reports: &[Named<'_>]) -> Panel {
    let mut series = Vec::new();
    for &Named { name, class, report } in reports {
        let runs = report.measured.runs.iter();
        let points: Vec<(f64, f64)> =
            runs.filter_map(|run| run.resident_bytes.map(|bytes| (run.at_s + run.latency_s, bytes as f64))).collect();
        if !points.is_empty() {
            series.push(Series { label: name.unwrap_or("process").to_owned(), class, mark: Mark::Steps, points });
        }
    }
    if series.is_empty() {
        let text = "not measured: the system does not say it, and the platform handed nothing in".into();
        return Panel::Missing { title: "Memory".into(), text };
    }
    let budgets: Vec<f64> =
        reports.iter().filter_map(|n| n.report.measured.memory.budget_bytes).map(|b| b as f64).collect();
    let limit = match budgets[..] {
        [budget] if reports.len() == 1 => Some((budget, format!("budget {}", Unit::Bytes.show(budget)))),
        _ => None,
    };
    let values = series.iter().flat_map(|series| series.points.iter().map(|point| point.1));
    // In binary units, so that the ticks are round numbers.
    let mebibytes = values.chain(limit.as_ref().map(|(budget, _)| *budget)).map(|bytes| bytes / MEBIBYTE);
    let axis = Axis::from_zero(mebibytes);
    series.iter_mut().for_each(|series| series.points.iter_mut().for_each(|point| point.1 /= MEBIBYTE));
    let limit = limit.map(|(budget, text)| (budget / MEBIBYTE, text));
    Panel::Curves { title: "Memory of the process".into(), show: |mib| format!("{mib:.0} MiB"), axis, series, limit }
}

const MEBIBYTE: f64 = 1024.0 * 1024.0;

fn thermal(reports: &[Named<'_>]) -> Panel {
    let lane = |named: &Named<'_>| {
        let segments = states(&named.report.measured.samples, named.report.measured.duration_s);
        Lane { label: named.label("state"), segments }
    };
    let lanes: Vec<Lane> = reports.iter().map(lane).filter(|lane| !lane.segments.is_empty()).collect();
    let title = "Heat".to_owned();
    if lanes.is_empty() {
        let text = "not measured: nobody said how hot the device was, so whether it was slowed down is not known";
        return Panel::Missing { title, text: text.into() };
    }
    Panel::Lanes { title, lanes }
}

/// Periods of one thermal state.
fn states(samples: &[Sample], end: f64) -> Vec<Segment> {
    let mut states: Vec<(f64, ThermalState)> = Vec::new();
    for Sample { at_s, reading } in samples {
        if let Some(state) = reading.thermal
            && states.last().is_none_or(|last| last.1 != state)
        {
            states.push((at_s.max(0.0), state));
        }
    }
    let ends = states.iter().skip(1).map(|state| state.0).chain([end]);
    let segment = |(&(from, state), to): (&(f64, ThermalState), f64)| Segment {
        from,
        to,
        class: format!("heat-{state}"),
        text: state.to_string(),
    };
    states.iter().zip(ends).map(segment).filter(|segment| segment.to > segment.from).collect()
}

/// One kind of reading, for every report that has it.
fn readings(reports: &[Named<'_>], of: OfReading) -> Vec<Series> {
    let series = |named: &Named<'_>| {
        let samples = named.report.measured.samples.iter();
        let points: Vec<(f64, f64)> =
            samples.filter_map(|sample| of(&sample.reading).map(|value| (sample.at_s.max(0.0), value))).collect();
        let label = named.name.unwrap_or("device").to_owned();
        (!points.is_empty()).then_some(Series { label, class: named.class, mark: Mark::Steps, points })
    };
    reports.iter().filter_map(series).collect()
}

/// Power between two readings of the counters, all rails together.
fn power(reports: &[Named<'_>]) -> Option<Panel> {
    let series = |named: &Named<'_>| {
        let energies: Vec<(f64, u64, usize)> = named
            .report
            .measured
            .samples
            .iter()
            .filter(|sample| !sample.reading.rails.is_empty())
            .map(|sample| {
                let rails = &sample.reading.rails;
                (sample.at_s, rails.iter().fold(0u64, |sum, rail| sum.saturating_add(rail.energy_uj)), rails.len())
            })
            .collect();
        let watts = |pair: &[(f64, u64, usize)]| {
            let [(t0, e0, n0), (t1, e1, n1)] = pair else { return None };
            (t1 > t0 && e1 >= e0 && n0 == n1).then(|| (t1.max(0.0), (e1 - e0) as f64 * 1e-6 / (t1 - t0)))
        };
        let points: Vec<(f64, f64)> = energies.windows(2).filter_map(watts).collect();
        let label = named.name.unwrap_or("rails").to_owned();
        (!points.is_empty()).then_some(Series { label, class: named.class, mark: Mark::Steps, points })
    };
    let series: Vec<Series> = reports.iter().filter_map(series).collect();
    let values: Vec<f64> = series.iter().flat_map(|series| series.points.iter().map(|point| point.1)).collect();
    let show = |watts: f64| format!("{watts:.1} W");
    let title = "Power of the rails".to_owned();
    (!values.is_empty()).then(|| Panel::Curves { title, show, axis: Axis::from_zero(values), series, limit: None })
}

fn governor(reports: &[Named<'_>]) -> Panel {
    let mut lanes = Vec::new();
    for named in reports {
        let (decisions, end) = (&named.report.governor, named.report.measured.duration_s);
        if decisions.is_empty() {
            continue;
        }
        let most = named.report.measured.subject.threads.max(1);
        let threads = |setting: &Setting| (setting.threads as f64 / most as f64, plural(setting.threads, "thread"));
        // Steps from a second to four: the shorter, the more work.
        let step = |setting: &Setting| (1.1 / setting.step_s.max(1.1), format!("step {} s", setting.step_s));
        lanes.push(Lane { label: named.label("threads"), segments: settings(decisions, end, &threads) });
        lanes.push(Lane { label: named.label("step"), segments: settings(decisions, end, &step) });
        if decisions.iter().any(|decided| decided.decision.setting.tier > 0) {
            let tier = |setting: &Setting| {
                (1.0 / (1.0 + setting.tier as f64), format!("model {}", setting.tier.saturating_add(1)))
            };
            lanes.push(Lane { label: named.label("model"), segments: settings(decisions, end, &tier) });
        }
    }
    let title = "Governor: what it would choose for live text".to_owned();
    if lanes.is_empty() {
        return Panel::Missing { title, text: "nothing to decide on: no run was measured".into() };
    }
    Panel::Lanes { title, lanes }
}

/// Periods of one setting of the governor; `of` returns its load, 0 to 1, and its name.
fn settings(decisions: &[Decided], end: f64, of: &dyn Fn(&Setting) -> (f64, String)) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    for Decided { at_s, decision } in decisions {
        let (share, text) = of(&decision.setting);
        if let Some(last) = segments.last_mut() {
            if last.text == text {
                continue;
            }
            last.to = *at_s;
        }
        let class = format!("load{}", (share * 4.0).ceil().clamp(1.0, 4.0));
        segments.push(Segment { from: *at_s, to: end, class, text });
    }
    segments
}

pub(super) fn plural(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
