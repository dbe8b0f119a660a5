//! Profiling a model on this device, and the governor of live text.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sotto::job::Step;
use sotto::profile::governor::{Capabilities, Decision, Governor, Input, Policy, Setting, Spent, Tier};
use sotto::profile::{
    self, Machine, ProfileError, ProfileJob, ProfileOptions, ProfileReport, Rail, Reading, Readings, SpeechClip,
    SpeechWorkload, Validity,
};
use sotto::speech::Options;
use sotto::{CancelToken, Progress};

use crate::engine::Engine;
use crate::error::SpeechFailure;
use crate::source::{AudioInput, ModelLocation};

/// How warm a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum ThermalState {
    /// Nothing slows it.
    Nominal,
    /// A little warm.
    Fair,
    /// The system slows down.
    Serious,
    /// The app must do less.
    Critical,
}

/// Where a device's power comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum PowerSource {
    /// The battery alone.
    Battery,
    /// A charger, and the battery is charged.
    Charging,
    /// A charger, and the battery is full or held.
    Plugged,
    /// A device without a battery.
    Mains,
}

/// A cumulative counter of energy.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct EnergyRail {
    /// What it feeds.
    pub name: String,
    /// Microjoules since some moment.
    pub microjoules: u64,
}

/// What the platform knows of its device at a moment. What is `null` is not known.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct DeviceReading {
    /// How warm it is.
    #[uniffi(default = None)]
    pub thermal: Option<ThermalState>,
    /// Android's thermal headroom: 1 is where the system begins to slow down severely.
    #[uniffi(default = None)]
    pub headroom: Option<f64>,
    /// Temperature of the battery in degrees Celsius.
    #[uniffi(default = None)]
    pub temperature: Option<f64>,
    /// Where its power comes from.
    #[uniffi(default = None)]
    pub power: Option<PowerSource>,
    /// Charge of the battery, 0 to 1.
    #[uniffi(default = None)]
    pub battery_level: Option<f64>,
    /// Current of the battery in microamperes, as the platform gives it: unit and sign are checked by the library.
    #[uniffi(default = None)]
    pub current_microamperes: Option<i64>,
    /// Voltage of the battery in millivolts.
    #[uniffi(default = None)]
    pub voltage_millivolts: Option<i64>,
    /// Whether the system saves power.
    #[uniffi(default = None)]
    pub low_power: Option<bool>,
    /// Whether the app is in the background.
    #[uniffi(default = None)]
    pub background: Option<bool>,
    /// Bytes that the process holds, where the library cannot see that itself.
    #[uniffi(default = None)]
    pub resident_bytes: Option<u64>,
    /// Clock of the fastest core in megahertz.
    #[uniffi(default = None)]
    pub clock_mhz: Option<f64>,
    /// Counters of energy that do not overlap.
    #[uniffi(default = [])]
    pub rails: Vec<EnergyRail>,
}

/// A recording to profile with.
#[derive(Debug, Clone, uniffi::Record)]
pub struct ProfileClip {
    /// Name for the report.
    pub name: String,
    /// The recording; decoded before anything is measured.
    pub audio: AudioInput,
    /// What is said in it, where that is known: the report then has word errors.
    #[uniffi(default = None)]
    pub text: Option<String>,
}

/// How a model is profiled.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct ProfileSettings {
    /// Name of the model for the report.
    pub model: String,
    /// Name of the device.
    pub device: String,
    /// Operating system and its version.
    pub system: String,
    /// Whether it is an emulator or a simulator.
    #[uniffi(default = false)]
    pub emulated: bool,
    /// Loads after the first.
    #[uniffi(default = 3)]
    pub later_loads: u32,
    /// Warm runs of each clip; three are the least for a valid profile.
    #[uniffi(default = 5)]
    pub warm_runs: u32,
    /// Seconds of the sustained phase; 300 are the least for a valid profile.
    #[uniffi(default = 300.0)]
    pub sustained_seconds: f64,
}

/// Whether a profile can be compared with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum ProfileValidity {
    /// Yes.
    Valid,
    /// With care.
    Semivalid,
    /// No.
    Invalid,
}

/// One report of profiling.
#[derive(Debug, Clone, PartialEq, uniffi::Enum)]
pub enum ProfileEvent {
    /// How far it is.
    Progress {
        /// Milliseconds done.
        done: u64,
        /// Milliseconds planned, where that is known.
        total: Option<u64>,
    },
    /// The report, the last event.
    Finished {
        /// The report as JSON; `docs/PROFILING.md` explains it.
        json: String,
        /// Whether it can be compared with others.
        validity: ProfileValidity,
        /// Why not, in words.
        reasons: Vec<String>,
    },
}

/// A model that is being profiled. Letting go of it cancels.
#[derive(uniffi::Object)]
pub struct SpeechProfile {
    job: ProfileJob,
    readings: Readings,
    end: CancelToken,
}

#[uniffi::export]
impl Engine {
    /// Starts profiling a model with recordings of the app: several minutes, in which nothing else should run. Hand in
    /// readings of the device meanwhile.
    ///
    /// # Errors
    /// [`SpeechFailure::InvalidModel`] and [`SpeechFailure::InvalidAudio`] for descriptors that cannot be used.
    pub fn profile_speech(
        &self,
        location: ModelLocation,
        clips: Vec<ProfileClip>,
        settings: ProfileSettings,
    ) -> Result<Arc<SpeechProfile>, SpeechFailure> {
        let source = location.source()?;
        let clips = clips
            .into_iter()
            .map(|clip| Ok((clip.name, clip.audio.recording(None)?, clip.text)))
            .collect::<Result<Vec<_>, SpeechFailure>>()?;
        let (readings, end, options) = (Readings::new(), CancelToken::new(), settings.options());
        let engine = self.engine().clone();
        let make = move || {
            let decoded = clips
                .into_iter()
                .map(|(name, recording, text)| Ok(SpeechClip { name, audio: recording.decode()?, text }))
                .collect::<Result<Vec<_>, ProfileError>>()?;
            Ok(SpeechWorkload::new(&engine, source, settings.model, decoded, Options::default()))
        };
        let job = self.engine().profile(make, options, readings.clone(), &end, &CancelToken::new());
        Ok(Arc::new(SpeechProfile { job, readings, end }))
    }
}

#[uniffi::export]
impl SpeechProfile {
    /// Hands in what the platform knows of its device now. Once a second is enough.
    pub fn push_reading(&self, reading: DeviceReading) {
        self.readings.push(reading.into());
    }

    /// Ends the sustained phase: the report is made of what was measured until then.
    pub fn end_early(&self) {
        self.end.cancel();
    }

    /// The next event; `null` after the last one. Waits without blocking a thread; giving the wait up loses nothing.
    ///
    /// # Errors
    /// Why the model could not be profiled.
    pub async fn next_event(&self) -> Result<Option<ProfileEvent>, SpeechFailure> {
        while let Some(step) = self.job.event().await.map_err(|failure| failure_of(&failure))? {
            match step {
                Step::Progress(Progress { done, total, .. }) => {
                    return Ok(Some(ProfileEvent::Progress { done, total }));
                }
                Step::Done(report) => return Ok(Some(finished(&report)?)),
                // Kinds that are younger than this surface.
                _ => {}
            }
        }
        Ok(None)
    }

    /// Stops without a report. Returns at once.
    pub fn cancel(&self) {
        self.job.cancel();
    }
}

fn finished(report: &ProfileReport) -> Result<ProfileEvent, SpeechFailure> {
    let json = report.to_json().map_err(|error| SpeechFailure::internal(&error))?;
    let validity = match report.verdict.validity {
        Validity::Valid => ProfileValidity::Valid,
        Validity::Semivalid => ProfileValidity::Semivalid,
        Validity::Invalid => ProfileValidity::Invalid,
    };
    let reasons = report.verdict.reasons.iter().map(|reason| reason.text.clone()).collect();
    Ok(ProfileEvent::Finished { json, validity, reasons })
}

fn failure_of(error: &ProfileError) -> SpeechFailure {
    match error {
        ProfileError::Cancelled(_) => SpeechFailure::Cancelled,
        ProfileError::Load(error) => SpeechFailure::of_load(error),
        ProfileError::Speech(error) => SpeechFailure::of(error),
        ProfileError::Audio(_) | ProfileError::NoClips => SpeechFailure::audio(error),
        _ => SpeechFailure::internal(error),
    }
}

impl ProfileSettings {
    fn options(&self) -> ProfileOptions {
        let this = Machine::this();
        let seconds =
            if self.sustained_seconds.is_finite() { self.sustained_seconds.clamp(0.0, 86_400.0) } else { 0.0 };
        ProfileOptions {
            later_loads: self.later_loads as usize,
            warm_runs: self.warm_runs as usize,
            sustained: Duration::from_secs_f64(seconds),
            machine: Machine {
                name: self.device.clone(),
                system: self.system.clone(),
                emulated: self.emulated,
                ..this
            },
            allocations: None,
        }
    }
}

impl From<ThermalState> for profile::ThermalState {
    fn from(state: ThermalState) -> Self {
        match state {
            ThermalState::Nominal => Self::Nominal,
            ThermalState::Fair => Self::Fair,
            ThermalState::Serious => Self::Serious,
            ThermalState::Critical => Self::Critical,
        }
    }
}

impl From<PowerSource> for profile::PowerSource {
    fn from(source: PowerSource) -> Self {
        match source {
            PowerSource::Battery => Self::Battery,
            PowerSource::Charging => Self::Charging,
            PowerSource::Plugged => Self::Plugged,
            PowerSource::Mains => Self::Mains,
        }
    }
}

impl From<DeviceReading> for Reading {
    fn from(reading: DeviceReading) -> Self {
        let rail = |EnergyRail { name, microjoules }| Rail { name, energy_uj: microjoules };
        Self {
            thermal: reading.thermal.map(Into::into),
            headroom: reading.headroom,
            temperature_c: reading.temperature,
            power: reading.power.map(Into::into),
            battery_level: reading.battery_level,
            current_ua: reading.current_microamperes,
            voltage_mv: reading.voltage_millivolts,
            low_power: reading.low_power,
            background: reading.background,
            resident_bytes: reading.resident_bytes,
            clock_mhz: reading.clock_mhz,
            rails: reading.rails.into_iter().map(rail).collect(),
        }
    }
}

/// A model that the governor may choose.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct ModelTier {
    /// Its name in the app.
    pub name: String,
    /// Time that it takes, relative to the best one's.
    pub cost: f64,
    /// Its word error rate, where it is known.
    #[uniffi(default = None)]
    pub word_error_rate: Option<f64>,
}

/// What the governor chooses from and may not go below.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct GovernorSettings {
    /// Most threads, usually the big cores; 0 for those of this device.
    #[uniffi(default = 0)]
    pub threads: u32,
    /// Models, the best first; empty for one.
    #[uniffi(default = [])]
    pub tiers: Vec<ModelTier>,
    /// The last tier that may be chosen, counted from 0; `null`: all may.
    #[uniffi(default = None)]
    pub worst_tier: Option<u32>,
    /// Tiers with more word errors than this may not be chosen either.
    #[uniffi(default = None)]
    pub worst_word_error_rate: Option<f64>,
}

/// What a step of live text took.
#[derive(Debug, Clone, Copy, PartialEq, uniffi::Record)]
pub struct SpentTime {
    /// Seconds of computing.
    pub seconds: f64,
    /// The setting that it was computed with.
    pub setting: GovernedSetting,
}

/// What is known at one moment.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct GovernorInput {
    /// Seconds from any origin; never falls.
    pub at_seconds: f64,
    /// How warm the device is, its battery and its power.
    pub reading: DeviceReading,
    /// Seconds that a step may take until its text is there.
    #[uniffi(default = 1.0)]
    pub deadline_seconds: f64,
    /// What the last step took, if there was one since the last input.
    #[uniffi(default = None)]
    pub spent: Option<SpentTime>,
}

/// What to compute with.
#[derive(Debug, Clone, Copy, PartialEq, uniffi::Record)]
pub struct GovernedSetting {
    /// Threads.
    pub threads: u32,
    /// Index of the model among the tiers.
    pub tier: u32,
    /// Seconds of new voice after which live text is decoded again.
    pub step_seconds: f64,
}

/// A decision of the governor.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct GovernorDecision {
    /// What to compute with from now on.
    pub setting: GovernedSetting,
    /// Why, in a word: `start`, `stay`, `deadline`, `heat`, `battery`, `relaxed`.
    pub why: String,
    /// Whether the deadline is expected to be met.
    pub meets_deadline: bool,
}

/// Chooses how hard live text may work. No clock inside: the same inputs give the same decisions.
#[derive(uniffi::Object)]
pub struct LiveGovernor {
    capabilities: Capabilities,
    policy: Policy,
    state: Mutex<Governor>,
}

#[uniffi::export]
impl LiveGovernor {
    /// A governor that knows nothing yet.
    #[uniffi::constructor]
    #[must_use]
    pub fn new(settings: GovernorSettings) -> Arc<Self> {
        let tier = |ModelTier { name, cost, word_error_rate }| Tier { name, cost, word_error_rate };
        let one = Capabilities::default().tiers;
        let named: Vec<Tier> = settings.tiers.into_iter().map(tier).collect();
        let capabilities = Capabilities {
            threads: sotto::Threads::new(settings.threads as usize).count(),
            tiers: if named.is_empty() { one } else { named },
        };
        let policy = Policy {
            worst_tier: settings.worst_tier.map(|tier| tier as usize),
            worst_word_error_rate: settings.worst_word_error_rate,
            ..Policy::default()
        };
        Arc::new(Self { capabilities, policy, state: Mutex::default() })
    }

    /// What to compute with from now on. Microseconds.
    pub fn decide(&self, input: GovernorInput) -> GovernorDecision {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (next, decision) = state.decide(&self.capabilities, &self.policy, &input.into());
        *state = next;
        decision.into()
    }
}

impl From<GovernorInput> for Input {
    fn from(input: GovernorInput) -> Self {
        let reading = input.reading;
        Self {
            at_s: input.at_seconds,
            thermal: reading.thermal.map(Into::into),
            headroom: reading.headroom,
            battery_level: reading.battery_level,
            power: reading.power.map(Into::into),
            low_power: reading.low_power.unwrap_or(false),
            deadline_s: input.deadline_seconds,
            spent: input.spent.map(|SpentTime { seconds, setting }| Spent { seconds, setting: setting.into() }),
        }
    }
}

impl From<GovernedSetting> for Setting {
    fn from(setting: GovernedSetting) -> Self {
        let GovernedSetting { threads, tier, step_seconds } = setting;
        Self { threads: threads as usize, tier: tier as usize, step_s: step_seconds }
    }
}

impl From<Setting> for GovernedSetting {
    fn from(setting: Setting) -> Self {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Self { threads: count(setting.threads), tier: count(setting.tier), step_seconds: setting.step_s }
    }
}

#[uniffi::export]
impl Engine {
    /// What the platform knows of its device now: heat, battery, power. Adaptive sessions follow it from here on. When
    /// something changes is enough. Microseconds.
    pub fn push_reading(&self, reading: DeviceReading) {
        self.engine().push_reading(reading.into());
    }

    /// What adaptive sessions compute with at the moment; `null` while there are none.
    #[must_use]
    pub fn adapted(&self) -> Option<GovernorDecision> {
        self.engine().adapted().map(Into::into)
    }
}

impl From<Decision> for GovernorDecision {
    fn from(decision: Decision) -> Self {
        let Decision { setting, why, meets_deadline } = decision;
        Self { setting: setting.into(), why: why.name().to_owned(), meets_deadline }
    }
}

/// A report as one page of HTML that needs nothing beside it: plots, figures, the verdict.
///
/// # Errors
/// [`SpeechFailure::InvalidOption`] for what is not a report.
#[uniffi::export]
pub fn profile_page(report: String) -> Result<String, SpeechFailure> {
    Ok(profile::page::report(&read(&report)?))
}

/// Two reports side by side, with their differences, as one page of HTML.
///
/// # Errors
/// [`SpeechFailure::InvalidOption`] for what is not a report.
#[uniffi::export]
pub fn profile_comparison(first: String, second: String) -> Result<String, SpeechFailure> {
    Ok(profile::page::comparison(&read(&first)?, &read(&second)?))
}

fn read(report: &str) -> Result<ProfileReport, SpeechFailure> {
    ProfileReport::from_json(report).map_err(|error| SpeechFailure::option("report", &error.to_string()))
}
