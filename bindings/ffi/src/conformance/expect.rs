//! What came out, and what was promised.

use serde_json::Value;
use sotto_testkit::conformance::{self, is_one_of};

use crate::error::SpeechFailure;
use crate::speech::Transcript;
use crate::text::normalize_english;

#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) error: Option<SpeechFailure>,
    pub(super) transcript: Option<Transcript>,
    pub(super) events: Vec<&'static str>,
    pub(super) finals: String,
    pub(super) language: Option<String>,
    pub(super) voice: Option<usize>,
    pub(super) file: Option<String>,
    /// Of a race.
    pub(super) end: Option<String>,
}

/// The case of an error as the table names it.
pub(super) fn name(failure: &SpeechFailure) -> &'static str {
    match failure {
        SpeechFailure::Cancelled => "Cancelled",
        SpeechFailure::InvalidModel { .. } => "InvalidModel",
        SpeechFailure::OutOfBudget { .. } => "OutOfBudget",
        SpeechFailure::UnsupportedDevice { .. } => "UnsupportedDevice",
        SpeechFailure::InvalidAudio { .. } => "InvalidAudio",
        SpeechFailure::InvalidOption { .. } => "InvalidOption",
        SpeechFailure::Unloaded { .. } => "Unloaded",
        SpeechFailure::Behind { .. } => "Behind",
        SpeechFailure::Ended { .. } => "Ended",
        SpeechFailure::Internal { .. } => "Internal",
    }
}

impl Outcome {
    /// Notes an event; several of a kind in a row count once.
    pub(super) fn event(&mut self, kind: &'static str) {
        if self.events.last() != Some(&kind) {
            self.events.push(kind);
        }
    }

    pub(super) fn check(&self, expect: &Value) -> Result<(), String> {
        if expect["error"].is_null()
            && expect["ends"].is_null()
            && let Some(error) = &self.error
        {
            return Err(format!("failed: {error}"));
        }
        expect.as_object().expect("what is expected").iter().try_for_each(|(key, wanted)| {
            if self.holds(key, wanted) { Ok(()) } else { Err(format!("{key} is not {wanted}: {self:?}")) }
        })
    }

    fn holds(&self, key: &str, wanted: &Value) -> bool {
        let transcript = self.transcript.as_ref();
        let text = transcript.map_or("", |transcript| &transcript.text);
        let string = wanted.as_str().unwrap_or_default();
        match key {
            "words" => normalize_english(text.to_owned()) == string,
            "text_has" => text.contains(string),
            "text_is" => transcript.is_some() && text == string,
            "segments" => transcript.is_some_and(|transcript| wanted == transcript.segments.len()),
            "words_timed" => transcript.is_some_and(words_are_timed),
            "warnings" => transcript.is_some_and(|transcript| wanted == !transcript.warnings.is_empty()),
            "language" => {
                let language = self.language.as_ref().or(transcript.map(|transcript| &transcript.language));
                language.is_some_and(|language| language == string)
            }
            "events" => self.events_are(wanted),
            "final_words_have" if string.is_empty() => self.finals.trim().is_empty(),
            "final_words_have" => normalize_english(self.finals.clone()).contains(string),
            "error" => self.error.as_ref().is_some_and(|error| is_one_of(name(error), wanted)),
            "error_has" => self.error.as_ref().is_some_and(|error| error.to_string().contains(string)),
            "ends" => self.end.as_ref().is_some_and(|end| is_one_of(end, wanted)),
            "voice" => self.voice.is_some_and(|voice| wanted == voice),
            "voice_at_least" => self.voice.is_some_and(|voice| voice as u64 >= wanted.as_u64().unwrap_or(u64::MAX)),
            "file_has" => self.file.as_ref().is_some_and(|file| file.contains(string)),
            "file_starts" => self.file.as_ref().is_some_and(|file| file.starts_with(string)),
            other => panic!("nothing is known of `{other}`"),
        }
    }

    /// Progress is only known to come before the rest: how often it is pulled is a matter of time.
    fn events_are(&self, wanted: &Value) -> bool {
        let wanted: Vec<&str> = wanted.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let lasting = |events: &[&'static str]| -> Vec<&'static str> {
            let mut kinds: Vec<_> = events.iter().copied().filter(|kind| *kind != "progress").collect();
            kinds.dedup();
            kinds
        };
        let expected: Vec<&str> = wanted.iter().copied().filter(|kind| *kind != "progress").collect();
        lasting(&self.events) == expected
    }
}

fn words_are_timed(transcript: &Transcript) -> bool {
    let words = transcript.segments.iter().flat_map(|segment| &segment.words);
    conformance::words_are_timed(&words.map(|word| (word.start, word.end)).collect::<Vec<_>>())
}
