//! A session on the starter model, for tests of what is around it.

use std::sync::{Arc, OnceLock};

use sotto_testkit::block_on;

use super::{LiveSettings, LoadEvent, SpeechModel, SpeechSession};
use crate::engine::{Engine, EngineSettings};
use crate::source::{ModelLocation, PcmFormat, SampleEncoding};

pub(crate) fn session() -> Arc<SpeechSession> {
    let format = PcmFormat { encoding: SampleEncoding::Signed16, rate: 16_000, channels: 1 };
    model().start_session(format, LiveSettings::default()).unwrap()
}

fn model() -> &'static SpeechModel {
    static MODEL: OnceLock<Arc<SpeechModel>> = OnceLock::new();
    MODEL.get_or_init(|| {
        let settings = EngineSettings { threads: 1, ..EngineSettings::default() };
        let bytes = sotto_starter::speech().to_vec();
        let source = ModelLocation::Bytes { name: "starter".into(), bytes };
        let load = Engine::new(settings).unwrap().load_speech(source).unwrap();
        loop {
            if let Some(LoadEvent::Loaded { model }) = block_on(load.next_event()).unwrap() {
                return model;
            }
        }
    })
}
