//! What the table names: models, recordings, settings.

use std::cell::OnceCell;
use std::fs;
use std::sync::Arc;

use serde_json::Value;
use sotto_testkit::conformance::{Files, IN_FRONT};

use crate::source::{AudioInput, ModelLocation, PcmFormat, SampleEncoding};
use crate::speech::{
    EncodedContext, LiveSettings, SearchSettings, SpeechModel, SpeechSettings, SpeechTask, TimestampDetail,
    VoiceActivity,
};
use crate::text::SubtitleSettings;

/// What the table names as files, and the starter model, loaded once.
pub(super) struct Place {
    files: Files,
    pub(super) starter: OnceCell<Arc<SpeechModel>>,
}

impl Place {
    pub(super) fn new() -> Self {
        let files = Files::new(sotto_starter::speech(), sotto_starter::demo_clip());
        Self { files, starter: OnceCell::new() }
    }

    pub(super) fn model(&self, name: &str) -> ModelLocation {
        ModelLocation::Path { path: self.files.model(name).display().to_string() }
    }

    pub(super) fn input(&self, case: &Value) -> AudioInput {
        let name = case["input"].as_str().unwrap();
        match case["as"].as_str().unwrap_or("path") {
            "path" => AudioInput::Path { path: self.files.recording(name).display().to_string() },
            "bytes" => AudioInput::Bytes { name: name.into(), bytes: fs::read(self.files.recording(name)).unwrap() },
            "descriptor" => self.descriptor(name),
            "samples" => {
                let format = PcmFormat { encoding: SampleEncoding::Signed16, rate: 16_000, channels: 1 };
                AudioInput::Samples { pcm: self.pcm(case, format), format }
            }
            other => panic!("an input as {other}"),
        }
    }

    #[cfg(unix)]
    fn descriptor(&self, name: &str) -> AudioInput {
        use std::os::fd::IntoRawFd;
        let length = fs::metadata(self.files.recording(name)).unwrap().len();
        // Never closed: the process ends soon, and who takes a descriptor duplicates it.
        let descriptor = fs::File::open(self.files.inside(name)).unwrap().into_raw_fd();
        AudioInput::Descriptor { name: name.into(), descriptor, offset: IN_FRONT, length: Some(length) }
    }

    /// Samples in a format: at another rate each one is repeated, which is enough for speech to be understood.
    pub(super) fn pcm(&self, case: &Value, format: PcmFormat) -> Vec<u8> {
        let samples = match case["input"].as_str().unwrap() {
            "demo" => sotto::audio::decode_bytes(sotto_starter::demo_clip()).unwrap().samples().to_vec(),
            "silence" => vec![0.0; 32_000],
            "empty" => Vec::new(),
            other => panic!("samples called {other}"),
        };
        let copies = (format.rate / 16_000).max(1) as usize * usize::from(format.channels);
        let mut pcm = Vec::new();
        for sample in samples {
            for _ in 0..copies {
                match format.encoding {
                    SampleEncoding::Signed16 => pcm.extend(((sample * 32_767.0) as i16).to_le_bytes()),
                    SampleEncoding::Float32 => pcm.extend(sample.to_le_bytes()),
                }
            }
        }
        pcm
    }
}

pub(super) fn voice_activity(settings: &Value) -> VoiceActivity {
    let threshold = settings["threshold"].as_f64().map(|threshold| threshold as f32);
    VoiceActivity { threshold, ..VoiceActivity::default() }
}

pub(super) fn speech_settings(settings: &Value) -> SpeechSettings {
    let search = &settings["search"];
    SpeechSettings {
        language: settings["language"].as_str().unwrap_or("auto").to_owned(),
        task: (settings["task"] == "translate").then_some(SpeechTask::Translate),
        timestamps: (settings["timestamps"] == "word").then_some(TimestampDetail::Word),
        search: search
            .is_object()
            .then(|| SearchSettings { beam: search["beam"].as_u64().unwrap_or(1) as u32, ..SearchSettings::default() }),
        prefix: settings["prefix"].as_str().map(str::to_owned),
        voice_activity: settings["voice_activity"].is_object().then(|| voice_activity(&settings["voice_activity"])),
        context: (settings["context"] == "true_length").then_some(EncodedContext::TrueLength),
        ..SpeechSettings::default()
    }
}

pub(super) fn live_settings(settings: &Value) -> LiveSettings {
    let speech = settings["speech"].is_object().then(|| speech_settings(&settings["speech"]));
    LiveSettings { speech, ..LiveSettings::default() }
}

pub(super) fn subtitle_settings() -> SubtitleSettings {
    SubtitleSettings { max_line_length: 42, max_cue_seconds: 7.0, min_cue_seconds: 0.8, per_word: false }
}
