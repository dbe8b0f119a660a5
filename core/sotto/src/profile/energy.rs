//! Energy of a period of time: from counters of power rails if the platform has them, else from current and voltage of
//! the battery, else not at all. Nothing is guessed.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::reading::{PowerSource, Sample};

/// The source of an energy value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnergyMethod {
    /// Counters of power rails.
    Rails,
    /// Current times voltage of the battery: the whole device, its screen included.
    CurrentVoltage,
    /// The platform did not provide enough; `notes` say what was missing.
    NotMeasured,
}

/// Energy of one rail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RailEnergy {
    /// The platform's name for it.
    pub name: String,
    /// Joules.
    pub joules: f64,
}

/// The energy of a period of work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Energy {
    /// How it was measured.
    pub method: EnergyMethod,
    /// Start of the stretch, in seconds from the start of the profile.
    pub from_s: f64,
    /// End of the stretch.
    pub to_s: f64,
    /// Energy of the stretch.
    pub joules: Option<f64>,
    /// Mean power.
    pub watts: Option<f64>,
    /// Joules per minute of processed audio.
    pub joules_per_audio_minute: Option<f64>,
    /// Energy of each rail, if rails were measured.
    pub rails: Vec<RailEnergy>,
    /// What was assumed, omitted or missing.
    pub notes: Vec<String>,
}

// Readings must cover this fraction of a period, so that the rest can be assumed to be alike.
const LEAST_COVER: f64 = 0.8;

/// The energy of the period `stretch`, in which `audio_s` seconds of audio were processed.
#[must_use]
pub fn energy(samples: &[Sample], stretch: Range<f64>, audio_s: f64) -> Energy {
    let mut notes = Vec::new();
    let length = stretch.end - stretch.start;
    let mut energy = Energy {
        method: EnergyMethod::NotMeasured,
        from_s: stretch.start,
        to_s: stretch.end,
        joules: None,
        watts: None,
        joules_per_audio_minute: None,
        rails: Vec::new(),
        notes: Vec::new(),
    };
    let found = rails(samples, &stretch, &mut notes).map(|rails| {
        let watts = rails.iter().map(|rail| rail.joules).sum::<f64>() / length;
        (EnergyMethod::Rails, watts, rails)
    });
    let found =
        found.or_else(|| battery(samples, &stretch, &mut notes).map(|w| (EnergyMethod::CurrentVoltage, w, Vec::new())));
    if let Some((method, watts, rails)) = found {
        let joules = watts * length;
        let per_minute = (audio_s > 0.0).then(|| joules / audio_s * 60.0);
        energy = Energy {
            method,
            joules: Some(joules),
            watts: Some(watts),
            joules_per_audio_minute: per_minute,
            rails,
            ..energy
        };
    }
    Energy { notes, ..energy }
}

/// Energy of every rail over the period; parts without readings are assumed to be like the rest.
fn rails(samples: &[Sample], stretch: &Range<f64>, notes: &mut Vec<String>) -> Option<Vec<RailEnergy>> {
    let mut names: Vec<&str> = Vec::new();
    for rail in samples.iter().flat_map(|sample| &sample.reading.rails) {
        if !names.contains(&rail.name.as_str()) {
            names.push(&rail.name);
        }
    }
    if names.is_empty() {
        notes.push("no energy counters were handed in".into());
        return None;
    }
    let mut energies = Vec::new();
    for name in names {
        let points: Vec<(f64, f64)> = samples
            .iter()
            .flat_map(|sample| sample.reading.rails.iter().map(move |rail| (sample.at_s, rail)))
            .filter(|(_, rail)| rail.name == name)
            .map(|(at, rail)| (at, rail.energy_uj as f64 * 1e-6))
            .collect();
        match rail_watts(&points, stretch) {
            Ok(watts) => {
                energies.push(RailEnergy { name: name.to_owned(), joules: watts * (stretch.end - stretch.start) });
            }
            Err(problem) => notes.push(format!("rail {name}: {problem}")),
        }
    }
    (!energies.is_empty()).then_some(energies)
}

/// Mean power of a counter `(seconds, joules)` over the part of the stretch that it covers.
fn rail_watts(points: &[(f64, f64)], stretch: &Range<f64>) -> Result<f64, &'static str> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return Err("no readings") };
    let (from, to) = (stretch.start.max(first.0), stretch.end.min(last.0));
    if !covers(from, to, stretch) {
        return Err("readings cover too little of the time");
    }
    let fell = points.windows(2).any(|pair| pair[1].1 < pair[0].1 && pair[1].0 > from && pair[0].0 < to);
    if fell {
        return Err("the counter started anew meanwhile");
    }
    match (at(points, from), at(points, to)) {
        (Some(before), Some(after)) => Ok((after - before) / (to - from)),
        _ => Err("no readings"),
    }
}

fn covers(from: f64, to: f64, stretch: &Range<f64>) -> bool {
    to > from && to - from >= LEAST_COVER * (stretch.end - stretch.start)
}

/// The value at `time` between its neighbours.
fn at(points: &[(f64, f64)], time: f64) -> Option<f64> {
    let behind = points.partition_point(|point| point.0 < time);
    match (behind.checked_sub(1).and_then(|index| points.get(index)), points.get(behind)) {
        (Some(&(t0, v0)), Some(&(t1, v1))) => Some(v0 + (v1 - v0) * (time - t0) / (t1 - t0).max(1e-9)),
        (None, Some(&(_, value))) | (Some(&(_, value)), None) => Some(value),
        (None, None) => None,
    }
}

// Range of the current of a computing device in amperes, from a watch to a tablet with two cells.
const PLAUSIBLE_AMPERES: Range<f64> = 0.02..15.0;
// Range of the voltage of one or two battery cells in volts.
const PLAUSIBLE_VOLTS: Range<f64> = 2.5..10.0;
// Minimum number of readings.
const LEAST_READINGS: usize = 3;

/// Mean power out of the battery over the stretch.
fn battery(samples: &[Sample], stretch: &Range<f64>, notes: &mut Vec<String>) -> Option<f64> {
    match battery_watts(samples, stretch) {
        Ok((watts, mut assumed)) => {
            notes.append(&mut assumed);
            Some(watts)
        }
        Err(problem) => {
            notes.push(problem);
            None
        }
    }
}

fn battery_watts(samples: &[Sample], stretch: &Range<f64>) -> Result<(f64, Vec<String>), String> {
    let inside = |sample: &&Sample| sample.at_s <= stretch.end;
    let (mut volts, mut power, mut points) = (None, None, Vec::new());
    for Sample { at_s, reading } in samples.iter().take_while(inside) {
        power = reading.power.or(power);
        volts = reading.voltage_mv.or(volts);
        if *at_s < stretch.start {
            continue;
        }
        if power.is_some_and(|power| power != PowerSource::Battery) {
            return Err("the device was fed from outside: the battery's current is not what the device uses".into());
        }
        // Devices that cannot measure report the smallest number, or only zeros.
        let current = reading.current_ua.filter(|&current| current != i64::MIN && current != i64::from(i32::MIN));
        if let (Some(current), Some(volts)) = (current, volts) {
            points.push((*at_s, current, volts));
        }
    }
    if points.len() < LEAST_READINGS {
        return Err("no current and voltage of the battery were handed in".into());
    }
    if power.is_none() {
        return Err("whether the battery was charged is not known: its current may go either way".into());
    }
    let (amperes, mut assumed) = amperes(&points)?;
    let volts = self::volts(&points, &mut assumed)?;
    let watts: Vec<(f64, f64)> =
        points.iter().zip(amperes).zip(volts).map(|((point, amperes), volts)| (point.0, amperes * volts)).collect();
    let (from, to) = (watts[0].0, watts[watts.len() - 1].0);
    if !covers(from, to, stretch) {
        return Err("readings of the battery cover too little of the time".into());
    }
    let joules: f64 = watts.windows(2).map(|pair| (pair[1].0 - pair[0].0) * (pair[0].1 + pair[1].1) / 2.0).sum();
    assumed.push("all of the device, its screen included".into());
    Ok((joules / (to - from), assumed))
}

/// A reading of the battery: seconds, current, voltage.
type Point = (f64, i64, i64);

/// Amperes out of the battery; detects the device's sign and unit.
fn amperes(points: &[Point]) -> Result<(Vec<f64>, Vec<String>), String> {
    let mut assumed = Vec::new();
    let mut sizes: Vec<u64> = points.iter().map(|point| point.1.unsigned_abs()).collect();
    sizes.sort_unstable();
    let median = sizes[sizes.len() / 2] as f64;
    let unit = if PLAUSIBLE_AMPERES.contains(&(median * 1e-6)) {
        1e-6
    } else if PLAUSIBLE_AMPERES.contains(&(median * 1e-3)) {
        assumed.push("the device gives its current in milliamperes".into());
        1e-3
    } else {
        return Err(format!("a current of {median} is plausible neither in microamperes nor in milliamperes"));
    };
    let (positive, negative) =
        (points.iter().filter(|point| point.1 > 0).count(), points.iter().filter(|point| point.1 < 0).count());
    // On battery a device only discharges: one reading in twenty with the other sign is noise, more are inconsistent.
    if positive.min(negative) * 20 > points.len() {
        return Err("the current changes its sign though the battery only discharges".into());
    }
    let sign = if positive > negative {
        assumed.push("the device gives a current that discharges as a positive one".into());
        1.0
    } else {
        -1.0
    };
    Ok((points.iter().map(|point| point.1 as f64 * unit * sign).collect(), assumed))
}

fn volts(points: &[Point], assumed: &mut Vec<String>) -> Result<Vec<f64>, String> {
    let median = points[points.len() / 2].2 as f64;
    let unit = if PLAUSIBLE_VOLTS.contains(&(median * 1e-3)) {
        1e-3
    } else if PLAUSIBLE_VOLTS.contains(&(median * 1e-6)) {
        assumed.push("the device gives its voltage in microvolts".into());
        1e-6
    } else {
        return Err(format!("a voltage of {median} is plausible neither in millivolts nor in microvolts"));
    };
    Ok(points.iter().map(|point| point.2 as f64 * unit).collect())
}

#[cfg(test)]
mod tests {
    use super::super::reading::{Rail, Reading};
    use super::*;

    fn on_battery(currents: &[i64], millivolts: i64) -> Vec<Sample> {
        let reading = |&current: &i64| Reading {
            current_ua: Some(current),
            voltage_mv: Some(millivolts),
            power: Some(PowerSource::Battery),
            ..Reading::default()
        };
        let sample = |(at, current)| Sample { at_s: at as f64, reading: reading(current) };
        currents.iter().enumerate().map(sample).collect()
    }

    fn watts(samples: &[Sample]) -> Option<f64> {
        energy(samples, 0.0..10.0, 60.0).watts
    }

    fn close(found: Option<f64>, expected: f64) -> bool {
        found.is_some_and(|found| (found - expected).abs() < 1e-9 * expected.abs().max(1.0))
    }

    #[test]
    fn current_and_voltage_make_joules_whatever_unit_and_sign_the_device_uses() {
        let documented = on_battery(&[-500_000; 11], 4000);
        let found = energy(&documented, 0.0..10.0, 120.0);
        assert_eq!(found.method, EnergyMethod::CurrentVoltage);
        assert!(close(found.watts, 2.0) && close(found.joules, 20.0) && close(found.joules_per_audio_minute, 10.0));
        for (currents, voltage) in [([500_000; 11], 4000), ([-500; 11], 4000), ([500; 11], 4_000_000)] {
            let samples = on_battery(&currents, voltage);
            assert!(close(watts(&samples), 2.0), "{currents:?}, {voltage}");
            assert!(!energy(&samples, 0.0..10.0, 1.0).notes.is_empty());
        }
    }

    #[test]
    fn what_is_not_plausible_is_not_measured_and_the_note_says_why() {
        let cases: [(Vec<Sample>, &str); 6] = [
            (on_battery(&[0; 11], 4000), "a current of 0 "),
            (on_battery(&[-17_000; 11], 4000), "a current of 17000 "),
            (on_battery(&[-500_000; 11], 4), "a voltage of 4 "),
            (on_battery(&[-5, 5, -5, 5, -5, 5, 5, 5, 5, 5, 5].map(|tenths| tenths * 100_000), 4000), "sign"),
            (on_battery(&[i64::from(i32::MIN); 11], 4000), "no current and voltage"),
            (on_battery(&[-500_000; 4], 4000), "too little"),
        ];
        for (samples, expected) in cases {
            let found = energy(&samples, 0.0..10.0, 60.0);
            assert_eq!((found.method, found.joules), (EnergyMethod::NotMeasured, None), "{expected}");
            assert!(found.notes.iter().any(|note| note.contains(expected)), "{expected}: {:?}", found.notes);
        }
    }

    #[test]
    fn a_charging_device_has_no_energy_and_neither_has_one_that_does_not_say() {
        for power in [Some(PowerSource::Charging), Some(PowerSource::Plugged), None] {
            let mut samples = on_battery(&[-500_000; 11], 4000);
            samples.iter_mut().for_each(|sample| sample.reading.power = power);
            assert_eq!(watts(&samples), None, "{power:?}");
        }
        // It was unplugged before the stretch began.
        let mut samples = on_battery(&[-500_000; 11], 4000);
        let reading = Reading { power: Some(PowerSource::Charging), ..Reading::default() };
        samples.insert(0, Sample { at_s: -5.0, reading });
        assert!(close(watts(&samples), 2.0));
    }

    fn counters(values: &[(f64, &str, u64)]) -> Vec<Sample> {
        let rail = |name: &str, energy_uj| Rail { name: name.to_owned(), energy_uj };
        let reading = |name, energy| Reading { rails: vec![rail(name, energy)], ..Reading::default() };
        values.iter().map(|&(at_s, name, energy)| Sample { at_s, reading: reading(name, energy) }).collect()
    }

    #[test]
    fn rails_are_added_and_cut_to_the_stretch() {
        let samples = counters(&[
            (-2.0, "cpu", 1_000_000),
            (-2.0, "memory", 0),
            (2.0, "cpu", 9_000_000),
            (12.0, "cpu", 29_000_000),
            (12.0, "memory", 14_000_000),
        ]);
        let found = energy(&samples, 0.0..10.0, 30.0);
        // The processor 4 J until 2 s, then 16 J; the memory 1 W.
        assert_eq!(found.method, EnergyMethod::Rails);
        assert!(close(found.joules, 30.0) && close(found.watts, 3.0), "{found:?}");
        assert!(close(found.joules_per_audio_minute, 60.0));
        let names: Vec<&str> = found.rails.iter().map(|rail| rail.name.as_str()).collect();
        assert_eq!(names, ["cpu", "memory"]);
    }

    #[test]
    fn a_counter_that_starts_anew_is_left_out() {
        let mut values = vec![(0.0, "cpu", 5_000_000), (5.0, "cpu", 100), (10.0, "cpu", 2_000_000)];
        assert_eq!(energy(&counters(&values), 0.0..10.0, 1.0).method, EnergyMethod::NotMeasured);
        values.extend([(0.0, "memory", 0), (10.0, "memory", 5_000_000)]);
        let found = energy(&counters(&values), 0.0..10.0, 1.0);
        assert!(close(found.joules, 5.0) && found.notes.iter().any(|note| note.contains("cpu")), "{found:?}");
    }

    #[test]
    fn rails_come_before_the_battery_and_nothing_gives_nothing() {
        let mut samples = on_battery(&[-500_000; 11], 4000);
        samples.extend(counters(&[(0.0, "cpu", 0), (10.0, "cpu", 10_000_000)]));
        samples.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
        let found = energy(&samples, 0.0..10.0, 0.0);
        assert_eq!((found.method, found.joules_per_audio_minute), (EnergyMethod::Rails, None));
        assert_eq!(energy(&[], 0.0..10.0, 60.0).method, EnergyMethod::NotMeasured);
    }
}
