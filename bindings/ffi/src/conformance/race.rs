//! Races: steps in order, whatever the threads of the engine are doing meanwhile.

use std::sync::Arc;

use serde_json::{Value, json};
use sotto_testkit::block_on as wait;

use super::expect::{Outcome, name};
use super::inputs::{self, Place};
use super::{engine, load};
use crate::engine::{Engine, TrimLevel};
use crate::error::SpeechFailure;
use crate::source::{PcmFormat, SampleEncoding};
use crate::speech::{SpeechLoad, SpeechModel, SpeechSession, Transcription};

const PCM: PcmFormat = PcmFormat { encoding: SampleEncoding::Signed16, rate: 16_000, channels: 1 };

enum Job {
    Load(Arc<SpeechLoad>),
    Transcription(Arc<Transcription>),
    Session(Arc<SpeechSession>),
}

impl Job {
    /// Whether there was another event.
    fn next(&self) -> Result<bool, SpeechFailure> {
        Ok(match self {
            Self::Load(job) => wait(job.next_event())?.is_some(),
            Self::Transcription(job) => wait(job.next_event())?.is_some(),
            Self::Session(job) => wait(job.next_event())?.is_some(),
        })
    }

    fn cancel(&self) {
        match self {
            Self::Load(job) => job.cancel(),
            Self::Transcription(job) => job.cancel(),
            Self::Session(job) => job.cancel(),
        }
    }
}

struct Race<'a> {
    place: &'a Place,
    engine: Arc<Engine>,
    model: Option<Arc<SpeechModel>>,
    job: Option<Job>,
}

pub(super) fn run(case: &Value, place: &Place) -> Outcome {
    let engine = engine(case);
    let model = case["model"].is_string().then(|| load(&engine, case, place).unwrap());
    let mut race = Race { place, engine, model, job: None };
    let steps = case["steps"].as_array().unwrap();
    let end = steps.iter().try_for_each(|step| race.step(step.as_str().unwrap()));
    let end = end.map_or_else(|failure| name(&failure), |()| "done");
    Outcome { end: Some(end.to_owned()), ..Outcome::default() }
}

impl Race<'_> {
    fn step(&mut self, step: &str) -> Result<(), SpeechFailure> {
        match step {
            "load" => self.job = Some(Job::Load(self.engine.load_speech(self.place.model("starter"))?)),
            "transcribe" => {
                let input = self.place.input(&json!({"input": "demo"}));
                let settings = inputs::speech_settings(&Value::Null);
                self.job = Some(Job::Transcription(self.model().transcribe(input, None, settings)?));
            }
            "stream" => {
                let session = self.model().start_session(PCM, inputs::live_settings(&Value::Null))?;
                self.job = Some(Job::Session(session));
            }
            "push" => self.session().push_pcm(&self.place.pcm(&json!({"input": "demo"}), PCM))?,
            "finish" => self.session().finish(),
            "next" => drop(self.job().next()?),
            "drain" => while self.job().next()? {},
            "cancel" => self.job().cancel(),
            "drop" => self.job = None,
            "unload" => self.model().unload(),
            "trim" => drop(self.engine.trim(TrimLevel::Idle)),
            other => panic!("a step called {other}"),
        }
        Ok(())
    }

    fn model(&self) -> &SpeechModel {
        self.model.as_ref().expect("a race with a model")
    }

    fn job(&self) -> &Job {
        self.job.as_ref().expect("a job was started")
    }

    fn session(&self) -> &SpeechSession {
        match self.job() {
            Job::Session(session) => session,
            _ => panic!("a live session was started"),
        }
    }
}
