//! What Linux says of a desk: heat, clock, battery, and the energy counters of its processor (RAPL), where they can be
//! read. Other systems say nothing here, and the report says so.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use sotto::profile::{Machine, PowerSource, Rail, Reading, ThermalState};

/// Reads the files of a system.
pub(super) struct Desk {
    root: PathBuf,
    /// Last value of each energy counter, and what it has come to since without its turns.
    counters: HashMap<String, (u64, u64)>,
    /// Times that the processor was slowed down for its heat, at the last reading.
    throttled: Option<u64>,
}

impl Desk {
    /// `root` is `/`, but in tests.
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), counters: HashMap::new(), throttled: None }
    }

    pub(super) fn machine(&self) -> Machine {
        let text = |path: &str| std::fs::read_to_string(self.root.join(path)).unwrap_or_default();
        let field = |text: &str, name: &str, separator: char| {
            let line = text.lines().find(|line| line.trim_start().starts_with(name))?.split_once(separator)?.1;
            Some(line.trim().trim_matches('"').to_owned())
        };
        let this = Machine::this();
        let (cpu, release) = (text("proc/cpuinfo"), text("etc/os-release"));
        Machine {
            name: field(&cpu, "model name", ':').unwrap_or_default(),
            system: field(&release, "PRETTY_NAME", '=').unwrap_or_else(|| this.system.clone()),
            ..this
        }
    }

    /// All that is known now.
    pub(super) fn reading(&mut self) -> Reading {
        let mut reading = Reading {
            thermal: self.thermal(),
            temperature_c: self.temperature(),
            clock_mhz: self.clock(),
            rails: self.rails(),
            ..Reading::default()
        };
        self.battery(&mut reading);
        reading
    }

    /// Slowed down since the last reading, or not; the first one can only be about what the counter says next.
    fn thermal(&mut self) -> Option<ThermalState> {
        let file = "sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count";
        let now = number(&self.root.join(file))?;
        let before = self.throttled.replace(now).unwrap_or(now);
        Some(if now > before { ThermalState::Serious } else { ThermalState::Nominal })
    }

    /// Of the warmest zone that is about the processor, or of the warmest at all.
    fn temperature(&self) -> Option<f64> {
        let zones = self.folders("sys/class/thermal", "thermal_zone");
        let of = |zone: &PathBuf| Some((text(&zone.join("type"))?, number::<f64>(&zone.join("temp"))? / 1000.0));
        let zones: Vec<(String, f64)> = zones.iter().filter_map(of).collect();
        let is_cpu = |name: &str| ["cpu", "pkg", "soc"].iter().any(|part| name.to_lowercase().contains(part));
        let warmest = |zones: &mut dyn Iterator<Item = f64>| zones.reduce(f64::max);
        warmest(&mut zones.iter().filter(|(name, _)| is_cpu(name)).map(|zone| zone.1))
            .or_else(|| warmest(&mut zones.iter().map(|zone| zone.1)))
    }

    /// Of the fastest core.
    fn clock(&self) -> Option<f64> {
        let cores = self.folders("sys/devices/system/cpu", "cpu");
        let of =
            |core: &PathBuf| number::<f64>(&core.join("cpufreq/scaling_cur_freq")).map(|kilohertz| kilohertz / 1e3);
        cores.iter().filter_map(of).reduce(f64::max).or_else(|| {
            let cpus = text(&self.root.join("proc/cpuinfo"))?;
            let lines = cpus.lines().filter(|line| line.starts_with("cpu MHz"));
            lines.filter_map(|line| line.split_once(':')?.1.trim().parse().ok()).reduce(f64::max)
        })
    }

    /// A desk without a battery is fed from outside.
    fn battery(&self, reading: &mut Reading) {
        let supplies = self.folders("sys/class/power_supply", "");
        let is = |folder: &&PathBuf, wanted: &str| text(&folder.join("type")).is_some_and(|kind| kind == wanted);
        // Mice and headphones have batteries too.
        let of_system = |folder: &&PathBuf| text(&folder.join("scope")).is_none_or(|scope| scope != "Device");
        let Some(battery) = supplies.iter().filter(|folder| is(folder, "Battery")).find(of_system) else {
            reading.power = Some(PowerSource::Mains);
            return;
        };
        reading.battery_level = number::<f64>(&battery.join("capacity")).map(|percent| percent / 100.0);
        reading.current_ua = number(&battery.join("current_now"));
        reading.voltage_mv = number::<i64>(&battery.join("voltage_now")).map(|microvolts| microvolts / 1000);
        reading.power = match text(&battery.join("status")).as_deref() {
            Some("Charging") => Some(PowerSource::Charging),
            Some("Discharging") => Some(PowerSource::Battery),
            Some("Full" | "Not charging") => Some(PowerSource::Plugged),
            _ => None,
        };
    }

    /// Energy of the processor packages and of their memory, which do not contain each other. Only root may read them
    /// on most systems.
    fn rails(&mut self) -> Vec<Rail> {
        let packages = self.folders("sys/class/powercap", "intel-rapl:");
        let mut rails = Vec::new();
        for zone in packages {
            let Some(name) = text(&zone.join("name")) else { continue };
            if !(name.starts_with("package-") || name == "dram") {
                continue;
            }
            let Some(energy) = number(&zone.join("energy_uj")) else { continue };
            let turn = number(&zone.join("max_energy_range_uj")).unwrap_or(u64::MAX);
            let key = zone.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let (last, sum) = self.counters.entry(key.clone()).or_insert((energy, 0));
            // Counters begin anew at their range, several times an hour.
            *sum += if energy >= *last { energy - *last } else { energy + (turn - *last) };
            *last = energy;
            let number = key.strip_prefix("intel-rapl:").unwrap_or_default();
            rails.push(Rail { name: format!("{name} ({number})"), energy_uj: *sum });
        }
        rails
    }

    fn folders(&self, of: &str, prefix: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.root.join(of)).into_iter().flatten().flatten();
        let mut folders: Vec<PathBuf> = entries
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
            .map(|entry| entry.path())
            .collect();
        folders.sort();
        folders
    }
}

fn text(file: &Path) -> Option<String> {
    Some(std::fs::read_to_string(file).ok()?.trim().to_owned())
}

fn number<T: std::str::FromStr>(file: &Path) -> Option<T> {
    text(file)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A system of files.
    fn system(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (file, content) in files {
            write(root.path(), file, content);
        }
        root
    }

    fn write(root: &Path, file: &str, content: &str) {
        let file = root.join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, format!("{content}\n")).unwrap();
    }

    #[test]
    fn a_system_that_says_nothing_is_a_desk_without_a_battery() {
        let root = system(&[]);
        let reading = Desk::new(root.path()).reading();
        assert_eq!(reading, Reading { power: Some(PowerSource::Mains), ..Reading::default() });
    }

    #[test]
    fn energy_counters_add_up_over_their_turns_and_those_inside_others_do_not_count() {
        let root = system(&[
            ("sys/class/powercap/intel-rapl:0/name", "package-0"),
            ("sys/class/powercap/intel-rapl:0/max_energy_range_uj", "1000"),
            ("sys/class/powercap/intel-rapl:0/energy_uj", "900"),
            ("sys/class/powercap/intel-rapl:0:0/name", "core"),
            ("sys/class/powercap/intel-rapl:0:0/energy_uj", "5"),
            ("sys/class/powercap/intel-rapl:0:1/name", "dram"),
            ("sys/class/powercap/intel-rapl:0:1/energy_uj", "7"),
        ]);
        let mut desk = Desk::new(root.path());
        let of = |reading: Reading| -> Vec<(String, u64)> {
            reading.rails.into_iter().map(|rail| (rail.name, rail.energy_uj)).collect()
        };
        let named = |package, memory| vec![("package-0 (0)".to_owned(), package), ("dram (0:1)".to_owned(), memory)];
        assert_eq!(of(desk.reading()), named(0, 0));
        write(root.path(), "sys/class/powercap/intel-rapl:0/energy_uj", "50");
        write(root.path(), "sys/class/powercap/intel-rapl:0:1/energy_uj", "10");
        assert_eq!(of(desk.reading()), named(150, 3));
    }

    #[test]
    fn a_laptop_says_how_it_is_fed_and_how_warm_it_is() {
        let root = system(&[
            ("sys/class/power_supply/AC/type", "Mains"),
            ("sys/class/power_supply/mouse/type", "Battery"),
            ("sys/class/power_supply/mouse/scope", "Device"),
            ("sys/class/power_supply/BAT0/type", "Battery"),
            ("sys/class/power_supply/BAT0/status", "Discharging"),
            ("sys/class/power_supply/BAT0/capacity", "83"),
            ("sys/class/power_supply/BAT0/current_now", "-1200000"),
            ("sys/class/power_supply/BAT0/voltage_now", "7600000"),
            ("sys/class/thermal/thermal_zone0/type", "acpitz"),
            ("sys/class/thermal/thermal_zone0/temp", "90000"),
            ("sys/class/thermal/thermal_zone1/type", "x86_pkg_temp"),
            ("sys/class/thermal/thermal_zone1/temp", "61500"),
            ("sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "1800000"),
            ("sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq", "3100000"),
            ("sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count", "12"),
            ("proc/cpuinfo", "processor : 0\nmodel name\t: A Processor\ncpu MHz\t: 1.0"),
            ("etc/os-release", "NAME=x\nPRETTY_NAME=\"A System 1\""),
        ]);
        let mut desk = Desk::new(root.path());
        let reading = desk.reading();
        assert_eq!(reading.power, Some(PowerSource::Battery));
        assert_eq!(
            (reading.battery_level, reading.current_ua, reading.voltage_mv),
            (Some(0.83), Some(-1_200_000), Some(7600))
        );
        assert_eq!((reading.temperature_c, reading.clock_mhz), (Some(61.5), Some(3100.0)));
        assert_eq!(reading.thermal, Some(ThermalState::Nominal));
        write(root.path(), "sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count", "13");
        assert_eq!(desk.reading().thermal, Some(ThermalState::Serious));
        assert_eq!(desk.reading().thermal, Some(ThermalState::Nominal));
        let machine = desk.machine();
        assert_eq!((machine.name.as_str(), machine.system.as_str()), ("A Processor", "A System 1"));
    }
}
