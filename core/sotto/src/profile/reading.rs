//! Readings of a platform: heat, battery, power. The app pushes them when they change, or about every second.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};

/// Thermal state of a device, in steps that both platforms have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThermalState {
    /// The processor is not throttled.
    Nominal,
    /// Warmer than usual; deferrable work should wait.
    Fair,
    /// The system throttles the processor.
    Serious,
    /// The system throttles it strongly, or is about to shut down.
    Critical,
}

impl ThermalState {
    /// From Android's `PowerManager.THERMAL_STATUS_*`: none; light and moderate; severe; critical and beyond. `None`
    /// for unknown numbers.
    #[must_use]
    pub fn from_android(status: i32) -> Option<Self> {
        match status {
            0 => Some(Self::Nominal),
            1 | 2 => Some(Self::Fair),
            3 => Some(Self::Serious),
            4..=6 => Some(Self::Critical),
            _ => None,
        }
    }

    /// From the raw value of Apple's `ProcessInfo.ThermalState`. `None` for unknown numbers.
    #[must_use]
    pub fn from_apple(raw: i64) -> Option<Self> {
        match raw {
            0 => Some(Self::Nominal),
            1 => Some(Self::Fair),
            2 => Some(Self::Serious),
            3 => Some(Self::Critical),
            _ => None,
        }
    }
}

impl fmt::Display for ThermalState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nominal => "nominal",
            Self::Fair => "fair",
            Self::Serious => "serious",
            Self::Critical => "critical",
        })
    }
}

/// Power source of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PowerSource {
    /// Only the battery.
    Battery,
    /// External power, and the battery is being charged.
    Charging,
    /// External power; the battery is full or not being charged.
    Plugged,
    /// A device without a battery.
    Mains,
}

/// A counter of the energy that a part of the device has used since an arbitrary time.
///
/// Rails of one reading must not overlap: their energies are added. Android: the `PowerMonitor`s of type
/// `POWER_MONITOR_TYPE_MEASUREMENT` of `SystemHealthManager`, in its microwatt-seconds, which are microjoules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rail {
    /// The platform's name for it.
    pub name: String,
    /// Microjoules. Never decreases, except when the counter is reset.
    pub energy_uj: u64,
}

/// The readings of a platform at one moment; `None` for unknown values.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reading {
    /// Thermal state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thermal: Option<ThermalState>,
    /// Android's `getThermalHeadroom`: 1 is where the system begins to slow down severely.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headroom: Option<f64>,
    /// Temperature of battery or surface in degrees Celsius.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature_c: Option<f64>,
    /// Power source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power: Option<PowerSource>,
    /// Charge of the battery, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub battery_level: Option<f64>,
    /// Current of the battery as reported by the platform, nominally microamperes, negative while it discharges
    /// (`BATTERY_PROPERTY_CURRENT_NOW`). Pass it unchanged: devices differ in unit and sign, which are detected here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_ua: Option<i64>,
    /// Voltage of the battery as reported by the platform, nominally millivolts (`EXTRA_VOLTAGE`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voltage_mv: Option<i64>,
    /// Whether the system is in a power-saving mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low_power: Option<bool>,
    /// Whether the app is in the background.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub background: Option<bool>,
    /// Memory of the process as counted by the platform: Apple's `phys_footprint`. Not needed on Linux and Android.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resident_bytes: Option<u64>,
    /// Clock of the fastest core in megahertz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_mhz: Option<f64>,
    /// Energy counters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rails: Vec<Rail>,
}

impl Reading {
    /// Removes values that are NaN or infinite, which JSON cannot represent.
    fn finite(mut self) -> Self {
        for value in [&mut self.headroom, &mut self.temperature_c, &mut self.battery_level, &mut self.clock_mhz] {
            *value = value.filter(|value| value.is_finite());
        }
        self
    }
}

/// A reading with its time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Seconds from the start of the profile; negative before it.
    pub at_s: f64,
    /// What was read.
    #[serde(flatten)]
    pub reading: Reading,
}

// Ten hours at one reading a second; beyond that every second reading is dropped.
const MOST: usize = 36_000;

/// Collects readings, on any thread, before and during a profile. Cheap to clone; clones share the list.
#[derive(Debug, Clone, Default)]
pub struct Readings(Arc<Mutex<Vec<(Instant, Reading)>>>);

impl Readings {
    /// No readings yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a reading with the current time. Never blocks for long.
    pub fn push(&self, reading: Reading) {
        self.push_at(Instant::now(), reading);
    }

    /// Adds a reading with a given time, such as that of an energy counter.
    pub fn push_at(&self, at: Instant, reading: Reading) {
        let mut list = self.list();
        if list.len() >= MOST {
            let mut keep = false;
            list.retain(|_| {
                keep = !keep;
                keep
            });
        }
        list.push((at, reading.finite()));
    }

    /// All readings in order of time, in seconds from `origin`.
    #[must_use]
    pub fn samples(&self, origin: Instant) -> Vec<Sample> {
        let seconds = |at: Instant| match at.checked_duration_since(origin) {
            Some(after) => after.as_secs_f64(),
            None => -origin.duration_since(at).as_secs_f64(),
        };
        let mut samples: Vec<Sample> =
            self.list().iter().map(|(at, reading)| Sample { at_s: seconds(*at), reading: reading.clone() }).collect();
        samples.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
        samples
    }

    fn list(&self) -> MutexGuard<'_, Vec<(Instant, Reading)>> {
        // The list has only whole readings: no panic leaves one half-written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The known values at `at_s`: the last reported one of each, because platforms only report changes.
#[must_use]
pub fn known_at(samples: &[Sample], at_s: f64) -> Reading {
    let mut known = Reading::default();
    for Sample { reading, .. } in samples.iter().take_while(|sample| sample.at_s <= at_s) {
        known.learn(reading);
    }
    known
}

impl Reading {
    /// Updates with the known values of `later`.
    pub(super) fn learn(&mut self, later: &Self) {
        fn take<T: Clone>(known: &mut Option<T>, later: &Option<T>) {
            if later.is_some() {
                known.clone_from(later);
            }
        }
        take(&mut self.thermal, &later.thermal);
        take(&mut self.headroom, &later.headroom);
        take(&mut self.temperature_c, &later.temperature_c);
        take(&mut self.power, &later.power);
        take(&mut self.battery_level, &later.battery_level);
        take(&mut self.current_ua, &later.current_ua);
        take(&mut self.voltage_mv, &later.voltage_mv);
        take(&mut self.low_power, &later.low_power);
        take(&mut self.background, &later.background);
        take(&mut self.resident_bytes, &later.resident_bytes);
        take(&mut self.clock_mhz, &later.clock_mhz);
        if !later.rails.is_empty() {
            self.rails.clone_from(&later.rails);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn readings_come_out_in_order_of_time_whatever_the_order_they_came_in() {
        let readings = Readings::new();
        let origin = Instant::now() + Duration::from_secs(10);
        for (offset, level) in [(2, 0.8), (-1, 0.9), (5, 0.7)] {
            let at =
                if offset < 0 { origin - Duration::from_secs(1) } else { origin + Duration::from_secs(offset as u64) };
            readings.push_at(at, Reading { battery_level: Some(level), ..Reading::default() });
        }
        let found: Vec<(f64, Option<f64>)> =
            readings.samples(origin).iter().map(|sample| (sample.at_s, sample.reading.battery_level)).collect();
        assert_eq!(found, [(-1.0, Some(0.9)), (2.0, Some(0.8)), (5.0, Some(0.7))]);
    }

    #[test]
    fn what_is_known_is_what_was_said_last() {
        let thermal = |at_s, thermal| Sample { at_s, reading: Reading { thermal, ..Reading::default() } };
        let level = Sample { at_s: 2.0, reading: Reading { battery_level: Some(0.5), ..Reading::default() } };
        let samples = [thermal(0.0, Some(ThermalState::Fair)), level, thermal(3.0, Some(ThermalState::Serious))];
        let known = known_at(&samples, 2.5);
        assert_eq!((known.thermal, known.battery_level), (Some(ThermalState::Fair), Some(0.5)));
        assert_eq!(known_at(&samples, 3.0).thermal, Some(ThermalState::Serious));
        assert_eq!(known_at(&samples, -1.0), Reading::default());
    }

    #[test]
    fn numbers_that_are_none_are_not_taken() {
        let readings = Readings::new();
        readings.push(Reading { headroom: Some(f64::NAN), battery_level: Some(0.4), ..Reading::default() });
        let samples = readings.samples(Instant::now());
        assert_eq!((samples[0].reading.headroom, samples[0].reading.battery_level), (None, Some(0.4)));
    }

    #[test]
    fn a_list_that_is_full_forgets_every_second_reading() {
        let readings = Readings::new();
        (0..=MOST).for_each(|_| readings.push(Reading::default()));
        assert_eq!(readings.samples(Instant::now()).len(), MOST / 2 + 1);
    }

    #[test]
    fn both_platforms_thermal_states_are_known_and_no_others() {
        let android: Vec<_> = (-1..=7).map(ThermalState::from_android).collect();
        use ThermalState::{Critical, Fair, Nominal, Serious};
        let expected = [None, Some(Nominal), Some(Fair), Some(Fair), Some(Serious)];
        assert_eq!(android[..5], expected);
        assert_eq!(android[5..], [Some(Critical), Some(Critical), Some(Critical), None]);
        let apple: Vec<_> = (-1..=4).map(ThermalState::from_apple).collect();
        assert_eq!(apple, [None, Some(Nominal), Some(Fair), Some(Serious), Some(Critical), None]);
    }
}
