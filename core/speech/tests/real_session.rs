//! Live transcription with the starter recognizer: needs no data folder, but a processor that is not emulated.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

#[path = "support/starter.rs"]
mod support;

use std::time::{Duration, Instant};

use sotto_audio::{SAMPLE_RATE, SampleFormat};
use sotto_runtime::{Answer, CancelToken};
use sotto_speech::SpeechError;
use sotto_speech::stream::{Session, SessionError, SessionInput, StreamEvent, StreamOptions, StreamTranscriber};

use support::{demo_audio, starter};

const PATIENCE: Duration = Duration::from_secs(60);

/// All events of a session until it ends.
fn drain(session: &Session) -> Result<Vec<StreamEvent>, SessionError> {
    let mut events = Vec::new();
    loop {
        match session.next_event(PATIENCE)? {
            Answer::Event(event) => events.push(event),
            Answer::Ended => return Ok(events),
            Answer::Waiting => panic!("nothing was said for a minute"),
        }
    }
}

fn final_text(events: &[StreamEvent]) -> String {
    let text = |event: &StreamEvent| match event {
        StreamEvent::Final { text, .. } => Some(text.text.clone()),
        _ => None,
    };
    events.iter().filter_map(text).collect()
}

/// What a transcriber makes of the demo clip, cut into pieces of the given sizes in turn.
fn transcribe(cuts: &[usize]) -> Vec<StreamEvent> {
    let (recognizer, audio) = (starter(), demo_audio());
    let (options, cancel) = (StreamOptions::default(), CancelToken::new());
    let mut transcriber = StreamTranscriber::new(recognizer, &options, SAMPLE_RATE, 1, &cancel).unwrap();
    let mut events = Vec::new();
    let mut left = audio.samples();
    for &cut in cuts.iter().cycle() {
        if left.is_empty() {
            break;
        }
        let (now, later) = left.split_at(cut.min(left.len()));
        transcriber.push(now, &mut events).unwrap();
        left = later;
    }
    transcriber.finish(&mut events).unwrap();
    events
}

#[test]
fn final_text_does_not_depend_on_how_the_input_is_cut() {
    let whole = final_text(&transcribe(&[usize::MAX]));
    assert!(whole.split_whitespace().count() >= 3, "{whole}");
    for cuts in [&[1][..], &[160], &[1, 7, 16_000, 3, 48_000], &[15_999], &[160_000]] {
        assert_eq!(final_text(&transcribe(cuts)), whole, "{cuts:?}");
    }
}

#[test]
fn finals_follow_each_other_and_nothing_volatile_is_left() {
    let events = transcribe(&[1600]);
    let mut last_end = 0.0;
    let mut open = false;
    for event in &events {
        match event {
            StreamEvent::Final { at, text } => {
                assert!(text.start >= last_end - 1e-9 && text.end >= text.start && text.end <= *at + 1e-9, "{event:?}");
                last_end = text.end;
            }
            StreamEvent::Volatile { text, .. } => open = !text.words.is_empty(),
            _ => {}
        }
    }
    assert!(!open, "volatile text was neither confirmed nor taken back");
}

#[test]
fn a_session_says_what_the_transcriber_says() {
    let session =
        Session::start(starter(), StreamOptions::default(), SessionInput::default(), &CancelToken::new()).unwrap();
    for block in demo_audio().samples().chunks(1600) {
        session.push(block).unwrap();
    }
    session.finish();
    assert!(matches!(session.push(&[0.0]), Err(SessionError::Finished)));
    assert_eq!(final_text(&drain(&session).unwrap()), final_text(&transcribe(&[1600])));
}

/// The demo clip at `rate`, each sample in `channels` channels; between two samples by a straight line.
fn demo_at(rate: u32, channels: usize) -> Vec<f32> {
    let audio = demo_audio();
    let samples = audio.samples();
    let length = samples.len() as u64 * u64::from(rate) / u64::from(SAMPLE_RATE);
    let at = |index: u64| {
        let position = index as f64 * f64::from(SAMPLE_RATE) / f64::from(rate);
        let (whole, part) = (position as usize, position.fract() as f32);
        let next = samples.get(whole + 1).copied().unwrap_or(0.0);
        samples[whole] + part * (next - samples[whole])
    };
    (0..length).flat_map(|index| std::iter::repeat_n(at(index), channels)).collect()
}

#[test]
fn the_usual_rates_and_channels_are_heard_alike() {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let expected = words(&final_text(&transcribe(&[1600])));
    for (rate, channels) in [(8000, 1), (22_050, 1), (44_100, 2), (48_000, 1), (48_000, 6), (96_000, 2)] {
        let input = SessionInput { rate, channels, ..SessionInput::default() };
        let session = Session::start(starter(), StreamOptions::default(), input, &CancelToken::new()).unwrap();
        // Buffers of 10 ms, as a phone's microphone delivers them.
        for block in demo_at(rate, channels.into()).chunks(rate as usize / 100 * usize::from(channels)) {
            session.push(block).unwrap();
        }
        session.finish();
        let found = words(&final_text(&drain(&session).unwrap()));
        assert_eq!(found, expected, "{rate} Hz, {channels} channels");
    }
}

/// Waits until the session has said something: its thread is at work then.
fn at_work() -> Session {
    let session =
        Session::start(starter(), StreamOptions::default(), SessionInput::default(), &CancelToken::new()).unwrap();
    session.push(demo_audio().samples()).unwrap();
    assert!(matches!(session.next_event(PATIENCE).unwrap(), Answer::Event(_)));
    session
}

#[test]
fn a_session_that_is_decoding_can_be_cancelled_finished_and_dropped() {
    let cancelled = at_work();
    cancelled.push(demo_audio().samples()).unwrap();
    cancelled.cancel();
    assert!(
        matches!(drain(&cancelled), Err(SessionError::Failed(reason)) if matches!(*reason, SpeechError::Cancelled(_)))
    );
    let finished = at_work();
    finished.finish();
    assert!(!final_text(&drain(&finished).unwrap()).is_empty());
    drop(at_work());
}

/// Without a clock: the token fires at one look after the other, in the middle of whatever the thread does then.
#[test]
fn a_session_ends_at_whatever_look_its_token_fires() {
    let listen = |look| {
        let cancel = CancelToken::firing_at_look(look);
        let session = Session::start(starter(), StreamOptions::default(), SessionInput::default(), &cancel).unwrap();
        let pushed = session.push(demo_audio().samples());
        session.finish();
        (pushed.and_then(|()| drain(&session)), cancel.looks())
    };
    let (whole, looks) = listen(usize::MAX);
    let text = final_text(&whole.unwrap());
    for look in (1..looks * 3 / 4).step_by(looks / 6) {
        let error = listen(look).0.unwrap_err();
        assert!(matches!(error, SessionError::Failed(reason) if matches!(*reason, SpeechError::Cancelled(_))));
    }
    assert!(!text.is_empty());
}

/// Independent of time: the token fires during the last decoding, which follows the last samples.
#[test]
fn what_was_said_before_a_failure_can_be_pulled() {
    let options = || StreamOptions { step: 0.5, ..StreamOptions::default() };
    // Of a recording so long: the looks at its token before and after its end, and when something was said last before.
    let listen = |audio: &[f32]| {
        let (options, cancel) = (options(), CancelToken::firing_at_look(usize::MAX));
        let mut transcriber = StreamTranscriber::new(starter(), &options, SAMPLE_RATE, 1, &cancel).unwrap();
        let mut events = Vec::new();
        transcriber.push(audio, &mut events).unwrap();
        let heard = cancel.looks();
        transcriber.finish(&mut Vec::new()).unwrap();
        (heard, cancel.looks(), events.last().map(at))
    };
    // A session takes a second at a time: something must be said in its last part of one, and something more behind it
    // that is decoded at the end.
    let demo = demo_audio();
    let lengths = (20..70).map(|tenths| f64::from(tenths) / 10.0 + 0.05);
    let parts = lengths.map(|length| &demo.samples()[..(length * f64::from(SAMPLE_RATE)) as usize]);
    let found = parts.into_iter().find_map(|audio| {
        let (heard, ended, last) = listen(audio);
        let last = last.filter(|last| last.floor() == (audio.len() / SAMPLE_RATE as usize) as f64)?;
        (ended > heard + 1).then_some((audio, last, (heard + ended) / 2))
    });
    let (audio, last, look) = found.expect("speech goes on somewhere");
    let cancel = CancelToken::firing_at_look(look);
    let session = Session::start(starter(), options(), SessionInput::default(), &cancel).unwrap();
    session.push(audio).unwrap();
    session.finish();
    let mut events = Vec::new();
    let error = loop {
        match session.next_event(PATIENCE) {
            Ok(Answer::Event(event)) => events.push(event),
            Ok(other) => panic!("the session fails before it ends: {other:?}"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SessionError::Failed(reason) if matches!(*reason, SpeechError::Cancelled(_))));
    assert_eq!(events.last().map(at), Some(last));
}

/// The second at which an event was known.
fn at(event: &StreamEvent) -> f64 {
    match event {
        StreamEvent::Final { at, .. } | StreamEvent::Volatile { at, .. } => *at,
        _ => 0.0,
    }
}

#[test]
fn an_empty_session_ends_without_events() {
    let session =
        Session::start(starter(), StreamOptions::default(), SessionInput::default(), &CancelToken::new()).unwrap();
    session.finish();
    session.finish();
    assert_eq!(drain(&session).unwrap(), []);
}

#[test]
fn cancelling_ends_a_session_at_any_moment() {
    for pushed in [0, 1600, 48_000, 80_000] {
        for parent in [false, true] {
            let cancel = CancelToken::new();
            let session =
                Session::start(starter(), StreamOptions::default(), SessionInput::default(), &cancel).unwrap();
            let audio = demo_audio();
            session.push(&audio.samples()[..pushed.min(audio.samples().len())]).unwrap();
            if parent {
                cancel.cancel()
            } else {
                session.cancel()
            }
            let error = drain(&session).unwrap_err();
            let SessionError::Failed(reason) = error else { panic!("{error}") };
            assert!(matches!(*reason, SpeechError::Cancelled(_)));
            assert!(matches!(session.push(&[0.0]), Err(SessionError::Failed(_))));
        }
    }
}

#[test]
fn a_session_whose_parent_is_cancelled_gives_back_its_thread() {
    for pushed in [0, 80_000] {
        let cancel = CancelToken::new();
        let session =
            Session::start(starter(), StreamOptions::default(), SessionInput::default(), &cancel.child()).unwrap();
        session.push(&vec![0.1; pushed]).unwrap();
        cancel.cancel();
        assert!(session.wait_until_idle(PATIENCE));
    }
}

#[test]
fn bytes_say_what_their_samples_say() {
    let demo = demo_audio();
    let ints: Vec<u8> = demo.samples().iter().flat_map(|sample| ((sample * 32_768.0) as i16).to_le_bytes()).collect();
    let floats: Vec<u8> = demo.samples().iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let expected = final_text(&transcribe(&[1600]));
    for (format, bytes, piece) in
        [(SampleFormat::S16Le, &ints, 641), (SampleFormat::F32Le, &floats, 1279), (SampleFormat::S16Le, &ints, 3200)]
    {
        let input = SessionInput { format, ..SessionInput::default() };
        let session = Session::start(starter(), StreamOptions::default(), input, &CancelToken::new()).unwrap();
        for piece in bytes.chunks(piece) {
            session.push_bytes(piece).unwrap();
        }
        session.finish();
        assert_eq!(final_text(&drain(&session).unwrap()), expected, "{format:?} in pieces of {piece} bytes");
    }
}

#[test]
fn a_recording_is_fed_as_fast_as_it_is_decoded() {
    let session =
        Session::start(starter(), StreamOptions::default(), SessionInput::default(), &CancelToken::new()).unwrap();
    // More audio than the queue holds.
    let (demo, silence) = (demo_audio(), vec![0.0; SAMPLE_RATE as usize]);
    let events = std::thread::scope(|scope| {
        scope.spawn(|| {
            demo.samples().chunks(1600).for_each(|block| session.feed(block).unwrap());
            (0..310).for_each(|_| session.feed(&silence).unwrap());
            session.finish();
        });
        drain(&session).unwrap()
    });
    assert!(!final_text(&events).is_empty());
}

#[test]
fn dropping_a_busy_session_returns_soon() {
    let session =
        Session::start(starter(), StreamOptions::default(), SessionInput::default(), &CancelToken::new()).unwrap();
    for _ in 0..20 {
        session.push(demo_audio().samples()).unwrap();
    }
    let start = Instant::now();
    drop(session);
    // Far less than the hundred seconds of audio that waited would take, however busy the machine is.
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn waiting_has_an_end() {
    let session =
        Session::start(starter(), StreamOptions::default(), SessionInput::default(), &CancelToken::new()).unwrap();
    assert_eq!(session.next_event(Duration::from_millis(20)).unwrap(), Answer::Waiting);
}

#[test]
fn samples_that_are_not_numbers_fail_the_session_and_name_the_second() {
    let session =
        Session::start(starter(), StreamOptions::default(), SessionInput::default(), &CancelToken::new()).unwrap();
    session.push(&[0.0; 8000]).unwrap();
    session.push(&[f32::NAN]).unwrap();
    let error = drain(&session).unwrap_err();
    assert!(error.to_string().contains("0.500 s"), "{error}");
}

#[test]
fn too_much_waiting_audio_is_refused_not_stored() {
    let session =
        Session::start(starter(), StreamOptions::default(), SessionInput::default(), &CancelToken::new()).unwrap();
    let minute = vec![0.0; 60 * SAMPLE_RATE as usize];
    let refused = (0..12).find_map(|_| session.push(&minute).err());
    assert!(matches!(refused, Some(SessionError::Behind { .. })), "{refused:?}");
    let refused = session.push(&vec![0.0; 301 * SAMPLE_RATE as usize]);
    assert!(matches!(refused, Err(SessionError::TooLong { .. })), "{refused:?}");
}

#[test]
fn impossible_options_are_refused_before_a_thread_starts() {
    for (step, trim) in [(0.0, 15.0), (f64::NAN, 15.0), (1.0, 0.5), (1.0, f64::INFINITY)] {
        let options = StreamOptions { step, trim, ..StreamOptions::default() };
        let result = Session::start(starter(), options, SessionInput::default(), &CancelToken::new());
        assert!(matches!(result, Err(SpeechError::Option { .. })));
    }
    let input = SessionInput { rate: 0, ..SessionInput::default() };
    assert!(Session::start(starter(), StreamOptions::default(), input, &CancelToken::new()).is_err());
}
