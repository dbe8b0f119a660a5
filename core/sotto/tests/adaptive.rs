//! Live sessions that follow heat and battery.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

use std::time::Duration;

use sotto::job::Answer;
use sotto::profile::governor::Why;
use sotto::profile::{PowerSource, Reading, ThermalState};
use sotto::speech::{LiveEvent, LiveOptions, Recognizer, SessionInput};
use sotto::{CancelToken, Engine, LoadOptions, NoProgress, Threads, audio, starter};
use sotto_testkit::quick_tests;

fn engine() -> (Engine, Recognizer) {
    let engine = Engine::new(LoadOptions { threads: Threads::new(2), ..LoadOptions::default() });
    let recognizer = engine.speech(&starter::speech(), &NoProgress, &CancelToken::new()).unwrap();
    (engine, recognizer)
}

fn heat(thermal: ThermalState) -> Reading {
    Reading { thermal: Some(thermal), power: Some(PowerSource::Battery), ..Reading::default() }
}

#[test]
fn decisions_live_as_long_as_the_sessions_that_follow_them() {
    let (engine, recognizer) = engine();
    let listen = || {
        let (options, input) = (LiveOptions::default(), SessionInput::default());
        engine.listen_adaptively(&recognizer, options, input, &CancelToken::new()).unwrap()
    };
    engine.push_reading(heat(ThermalState::Critical));
    assert_eq!(engine.adapted(), None);
    let (first, second) = (listen(), listen());
    let decision = engine.adapted().unwrap();
    assert_eq!(decision.why, Why::Start);
    assert!(decision.setting.step_s > 1.1, "{decision:?}");
    first.cancel();
    assert!(first.wait_until_idle(Duration::from_secs(60)));
    drop(first);
    assert_eq!(engine.adapted(), Some(decision));
    second.cancel();
    assert!(second.wait_until_idle(Duration::from_secs(60)));
    assert_eq!(engine.adapted(), None);
    // A cool device later.
    engine.push_reading(heat(ThermalState::Nominal));
    let third = listen();
    assert_eq!(engine.adapted().unwrap().setting.step_s, 1.1);
    drop(third);
}

#[test]
fn a_hot_device_hears_the_same_in_longer_steps() {
    if quick_tests() {
        return;
    }
    let (engine, recognizer) = engine();
    let clip = audio::decode_bytes(starter::demo_clip()).unwrap();
    let heard = |thermal| {
        engine.push_reading(heat(thermal));
        let (options, input) = (LiveOptions::default(), SessionInput::default());
        let session = engine.listen_adaptively(&recognizer, options, input, &CancelToken::new()).unwrap();
        session.push(clip.samples()).unwrap();
        session.finish();
        let (mut steps, mut text) = (0, String::new());
        while let Answer::Event(event) = session.next_event(Duration::MAX).unwrap() {
            match event {
                LiveEvent::Final { text: part, .. } => text += &part.text,
                _ => steps += 1,
            }
        }
        assert!(session.wait_until_idle(Duration::from_secs(60)));
        (steps, text)
    };
    let (cool, hot) = (heard(ThermalState::Nominal), heard(ThermalState::Critical));
    assert!(hot.0 < cool.0, "{cool:?} {hot:?}");
    for text in [cool.1, hot.1] {
        assert!(text.contains("airport"), "{text}");
    }
}
