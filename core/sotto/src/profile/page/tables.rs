//! The tables of the plots.

use super::html::table;
use super::panels::Named;
use crate::profile::compare::{Unit, seconds};
use crate::profile::governor::Why;
use crate::profile::report::Phase;

// Maximum number of rows; the JSON has all of them.
const MOST_ROWS: usize = 200;

/// Runs, readings and decisions.
pub(super) fn over_time(out: &mut String, reports: &[Named<'_>]) {
    for named in reports {
        runs(out, named);
        readings(out, named);
        decisions(out, named);
    }
}

/// A caption that says how many rows are shown, and the step between them.
fn thinned(caption: &str, rows: usize) -> (String, usize) {
    let step = rows.div_ceil(MOST_ROWS).max(1);
    let caption =
        if step > 1 { format!("{caption} (one in {step} of {rows}; the JSON has all)") } else { caption.to_owned() };
    (caption, step)
}

fn runs(out: &mut String, named: &Named<'_>) {
    let runs = &named.report.measured.runs;
    let (caption, step) = thinned(&named.label("runs, as a table"), runs.len());
    let rows: Vec<Vec<String>> = runs
        .iter()
        .enumerate()
        .step_by(step)
        .map(|(index, run)| {
            let phase = match run.phase {
                Phase::Cold => "cold",
                Phase::Warm => "warm",
                Phase::Sustained => "sustained",
            };
            let factor = run.real_time_factor().map_or_else(dash, |factor| format!("{factor:.3}"));
            let memory = run.resident_bytes.map_or_else(dash, |bytes| Unit::Bytes.show(bytes as f64));
            vec![
                (index + 1).to_string(),
                phase.to_owned(),
                run.clip.saturating_add(1).to_string(),
                format!("{:.2} s", run.at_s),
                seconds(run.latency_s),
                factor,
                seconds(run.outcome.encode_s),
                seconds(run.outcome.decode_s),
                run.outcome.tokens.to_string(),
                memory,
                run.allocations.map_or_else(dash, |count| count.to_string()),
                run.wakeups.to_string(),
            ]
        })
        .collect();
    let head = [
        "Run",
        "Phase",
        "Clip",
        "Start",
        "Latency",
        "Real-time factor",
        "Encoder",
        "Decoder",
        "Tokens",
        "Memory",
        "Allocations",
        "Helpers woken",
    ];
    table(out, &caption, &head, &rows, false);
}

fn dash() -> String {
    "–".to_owned()
}

fn readings(out: &mut String, named: &Named<'_>) {
    let samples = &named.report.measured.samples;
    if samples.is_empty() {
        return;
    }
    let (caption, step) = thinned(&named.label("readings of the platform, as a table"), samples.len());
    let rows: Vec<Vec<String>> = samples
        .iter()
        .step_by(step)
        .map(|sample| {
            let reading = &sample.reading;
            let rails: u64 = reading.rails.iter().fold(0u64, |sum, rail| sum.saturating_add(rail.energy_uj));
            vec![
                format!("{:.2} s", sample.at_s),
                reading.thermal.map_or_else(dash, |state| state.to_string()),
                reading.temperature_c.map_or_else(dash, |c| format!("{c:.1} °C")),
                reading.clock_mhz.map_or_else(dash, |mhz| format!("{mhz:.0} MHz")),
                reading.battery_level.map_or_else(dash, |level| format!("{:.0} %", level * 100.0)),
                reading.power.map_or_else(dash, |power| format!("{power:?}").to_lowercase()),
                reading.current_ua.map_or_else(dash, |current| current.to_string()),
                reading.voltage_mv.map_or_else(dash, |voltage| voltage.to_string()),
                if reading.rails.is_empty() { dash() } else { format!("{:.2} J", rails as f64 * 1e-6) },
            ]
        })
        .collect();
    let head =
        ["At", "State", "Temperature", "Clock", "Battery", "Power", "Current as given", "Voltage as given", "Rails"];
    table(out, &caption, &head, &rows, false);
}

fn decisions(out: &mut String, named: &Named<'_>) {
    let decisions = &named.report.governor;
    let (caption, step) = thinned(&named.label("decisions of the governor, as a table"), decisions.len());
    let rows: Vec<Vec<String>> = decisions
        .iter()
        .step_by(step)
        .map(|decided| {
            let decision = &decided.decision;
            let why = match decision.why {
                Why::Start => "start",
                Why::Stay => "no change",
                Why::Deadline => "deadline",
                Why::Heat => "heat",
                Why::Battery => "battery",
                Why::Relaxed => "relaxed",
            };
            vec![
                format!("{:.2} s", decided.at_s),
                why.to_owned(),
                decision.setting.threads.to_string(),
                format!("{} s", decision.setting.step_s),
                decision.setting.tier.saturating_add(1).to_string(),
                if decision.meets_deadline { "yes" } else { "no" }.to_owned(),
            ]
        })
        .collect();
    table(out, &caption, &["At", "Why", "Threads", "Step", "Model", "In time"], &rows, false);
}

/// Totals of the spans and counters.
pub(super) fn spans_and_counters(out: &mut String, reports: &[Named<'_>]) {
    for named in reports {
        let measured = &named.report.measured;
        let spans = measured.spans.iter().filter(|span| span.count > 0).map(|span| {
            let mean = span.total_s / span.count as f64;
            vec![
                span.name.clone(),
                span.count.to_string(),
                seconds(span.total_s),
                seconds(mean),
                seconds(span.longest_s),
            ]
        });
        let head = ["Span", "Number", "Together", "Mean", "Longest"];
        table(out, &named.label("spans, as a table"), &head, &spans.collect::<Vec<_>>(), false);
        let counters = measured.counters.iter().map(|counter| {
            let value = counter.value as f64;
            let unit = if counter.name.starts_with("sotto.bytes") { Unit::Bytes } else { Unit::Count };
            vec![counter.name.clone(), unit.show(value)]
        });
        let caption = named.label("counters, as a table");
        table(out, &caption, &["Counter", "Value"], &counters.collect::<Vec<_>>(), false);
    }
}
