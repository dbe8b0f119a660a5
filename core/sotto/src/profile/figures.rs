//! Figures as pure functions of the measurements.

use super::energy::{Energy, energy};
use super::governor::{self, Capabilities, Decided, Input, Policy, Spent};
use super::reading::{Reading, known_at};
use super::report::{
    Errors, FORMAT, Measured, Phase, PhaseFigures, Phases, ProfileReport, Quality, Run, Thermal, VERSION,
};
use super::statistics::{Percentiles, slowdown};
use super::verdict::{measured_time, verdict};

pub(super) fn report(measured: Measured) -> ProfileReport {
    let thermal = thermal(&measured);
    ProfileReport {
        format: FORMAT.to_owned(),
        version: VERSION,
        sotto: env!("CARGO_PKG_VERSION").to_owned(),
        verdict: verdict(&measured, &thermal),
        phases: phases(&measured.runs),
        quality: quality(&measured.runs),
        energy: energy_of_work(&measured),
        governor: governed(&measured),
        thermal,
        measured,
    }
}

fn phases(runs: &[Run]) -> Phases {
    let of = |phase| phase_figures(&runs.iter().filter(|run| run.phase == phase).collect::<Vec<_>>());
    Phases { cold: of(Phase::Cold), warm: of(Phase::Warm), sustained: of(Phase::Sustained) }
}

fn phase_figures(runs: &[&Run]) -> Option<PhaseFigures> {
    let sum = |of: fn(&Run) -> f64| runs.iter().map(|run| of(run)).sum::<f64>();
    let ratio = |all: f64, number: f64| (number > 0.0).then(|| all / number);
    let (audio_s, busy_s) = (sum(|run| run.outcome.audio_s), sum(|run| run.latency_s));
    let windows = sum(|run| run.outcome.windows as f64);
    let tokens = sum(|run| run.outcome.tokens as f64);
    let counted: Option<Vec<f64>> = runs.iter().map(|run| run.allocations.map(|count| count as f64)).collect();
    let factors: Vec<f64> = runs.iter().filter_map(|run| run.real_time_factor()).collect();
    Some(PhaseFigures {
        runs: runs.len(),
        audio_s,
        busy_s,
        real_time_factor: ratio(busy_s, audio_s).unwrap_or(0.0),
        latency_s: Percentiles::of(runs.iter().map(|run| run.latency_s))?,
        encode_ms_per_window: ratio(sum(|run| run.outcome.encode_s) * 1e3, windows),
        decode_ms_per_token: ratio(sum(|run| run.outcome.decode_s) * 1e3, tokens),
        allocations_per_run: counted.map(|counts| counts.iter().sum::<f64>() / runs.len() as f64),
        wakeups_per_run: sum(|run| run.wakeups as f64) / runs.len() as f64,
        slowdown: slowdown(&factors),
        real_time_factors: Percentiles::of(factors),
    })
}

/// Errors of the first run of every clip; all other runs should give the same.
fn quality(runs: &[Run]) -> Option<Quality> {
    let mut seen = Vec::new();
    let mut all = Errors::default();
    for run in runs {
        let Some(errors) = run.outcome.errors.filter(|_| !seen.contains(&run.clip)) else { continue };
        seen.push(run.clip);
        all.words = all.words.saturating_add(errors.words);
        all.substituted = all.substituted.saturating_add(errors.substituted);
        all.deleted = all.deleted.saturating_add(errors.deleted);
        all.inserted = all.inserted.saturating_add(errors.inserted);
    }
    (all.words > 0).then(|| Quality {
        errors: all,
        word_error_rate: all.wrong() as f64 / all.words as f64,
        runs_that_differ: runs.iter().filter(|run| run.outcome.differs).count(),
    })
}

fn thermal(measured: &Measured) -> Thermal {
    let (from, to) = measured_time(measured);
    let start = known_at(&measured.samples, from);
    let during = || measured.samples.iter().filter(|sample| sample.at_s > from && sample.at_s <= to);
    let worse = |state| start.thermal.is_none_or(|start| state > start);
    let warmest = during().filter_map(|sample| sample.reading.temperature_c).chain(start.temperature_c);
    Thermal {
        at_start: start.thermal,
        worst: during().filter_map(|sample| sample.reading.thermal).chain(start.thermal).max(),
        worse_at_s: during().find(|sample| sample.reading.thermal.is_some_and(worse)).map(|sample| sample.at_s),
        highest_c: warmest.reduce(f64::max),
        battery_at_start: start.battery_level,
        battery_at_end: known_at(&measured.samples, to).battery_level,
    }
}

/// Energy of the sustained runs, or of the warm runs if there are none.
fn energy_of_work(measured: &Measured) -> Energy {
    let of = |phase| measured.runs.iter().filter(|run| run.phase == phase).collect::<Vec<_>>();
    let runs = Some(of(Phase::Sustained)).filter(|runs| !runs.is_empty()).unwrap_or_else(|| of(Phase::Warm));
    let from = runs.first().map_or(0.0, |run| run.at_s);
    let to = runs.last().map_or(from, |run| run.at_s + run.latency_s);
    energy(&measured.samples, from..to, runs.iter().map(|run| run.outcome.audio_s).sum())
}

/// The decisions of a governor for the readings and the speed of each run after the cold one, as if its windows were
/// steps of live text with one model.
fn governed(measured: &Measured) -> Vec<Decided> {
    let threads = measured.subject.threads.max(1);
    let capabilities = Capabilities { threads, ..Capabilities::default() };
    let setting = capabilities.most_generous(&Policy::default());
    let mut known = Reading::default();
    let mut samples = measured.samples.iter().peekable();
    let inputs = measured.runs.iter().filter(|run| run.phase != Phase::Cold).map(|run| {
        let at_s = run.at_s + run.latency_s;
        while let Some(sample) = samples.next_if(|sample| sample.at_s <= at_s) {
            known.learn(&sample.reading);
        }
        let seconds = run.latency_s / run.outcome.windows.max(1) as f64;
        Input {
            at_s,
            thermal: known.thermal,
            headroom: known.headroom,
            battery_level: known.battery_level,
            power: known.power,
            low_power: known.low_power.unwrap_or(false),
            deadline_s: governor::DEADLINE,
            spent: Some(Spent { seconds, setting }),
        }
    });
    governor::changes(&capabilities, &Policy::default(), inputs)
}
