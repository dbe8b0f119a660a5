//! Transcripts as text, subtitles or JSON.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use sotto::audio::{AudioProblem, AudioWarning};
use sotto::{Segment, Transcript, Word};

use crate::args::{Format, TimestampsArg};

/// Writes one transcript, segment by segment where the form allows it.
pub(crate) struct Writer {
    form: Form,
    /// Times that were asked for by name.
    timestamps: Option<TimestampsArg>,
    with_names: bool,
    segments: usize,
    /// Name of the channel that is written, where each is written on its own.
    channel: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Srt,
    Vtt,
    Json,
}

impl Writer {
    pub(crate) fn new(format: Option<Format>, json: bool, timestamps: Option<TimestampsArg>, with_names: bool) -> Self {
        let form = match format {
            _ if json => Form::Json,
            None | Some(Format::Text) => Form::Text,
            Some(Format::Srt) => Form::Srt,
            Some(Format::Vtt) => Form::Vtt,
        };
        Self { form, timestamps, with_names, segments: 0, channel: None }
    }

    /// What follows is of the channel with this name.
    pub(crate) fn channel(&mut self, name: &str) {
        self.channel = Some(name.to_owned());
    }

    pub(crate) fn begin(&mut self, file: &Path, out: &mut dyn Write) -> io::Result<()> {
        match self.form {
            Form::Vtt => writeln!(out, "WEBVTT\n"),
            Form::Text if self.with_names => writeln!(out, "{}:", file.display()),
            _ => Ok(()),
        }
    }

    pub(crate) fn segment(&mut self, segment: &Segment, out: &mut dyn Write) -> io::Result<()> {
        self.segments += 1;
        match self.form {
            Form::Json => Ok(()),
            Form::Text => {
                match self.timestamps {
                    None | Some(TimestampsArg::None) => writeln!(out, "{}", segment.text.trim())?,
                    Some(_) => self.timed_lines(segment, out)?,
                }
                out.flush()
            }
            Form::Srt => self.cues(segment, out, ','),
            Form::Vtt => self.cues(segment, out, '.'),
        }
    }

    /// Start, end and text of the segment, or of its words where those are wanted.
    fn pieces<'s>(&self, segment: &'s Segment) -> Vec<(f64, f64, &'s str)> {
        if self.timestamps == Some(TimestampsArg::Word) && !segment.words.is_empty() {
            segment.words.iter().map(|word| (word.start, word.end, word.text.as_str())).collect()
        } else {
            vec![(segment.start, segment.end, segment.text.as_str())]
        }
    }

    fn timed_lines(&self, segment: &Segment, out: &mut dyn Write) -> io::Result<()> {
        for (start, end, text) in self.pieces(segment) {
            writeln!(out, "[{} --> {}] {}", clock(start, '.'), clock(end, '.'), text.trim())?;
        }
        Ok(())
    }

    /// One cue per piece.
    fn cues(&mut self, segment: &Segment, out: &mut dyn Write, point: char) -> io::Result<()> {
        let cues = self.pieces(segment);
        for (index, (start, end, text)) in cues.iter().enumerate() {
            if self.form == Form::Srt {
                writeln!(out, "{}", self.segments + index)?;
            }
            writeln!(out, "{} --> {}\n{}\n", clock(*start, point), clock(*end, point), cue_text(text))?;
        }
        self.segments += cues.len() - 1;
        out.flush()
    }

    pub(crate) fn end(
        &mut self,
        file: &Path,
        transcript: &Transcript,
        load: Duration,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        match self.form {
            Form::Json => {
                let mut value = transcript_json(file, transcript, load);
                if let Some(channel) = &self.channel {
                    value["channel"] = json!(channel);
                }
                writeln!(out, "{value}")
            }
            _ => Ok(()),
        }
    }
}

/// Subtitles end a cue at an empty line, and `-->` stands between times: a text must contain neither. `--prefix` may bring
/// lines of any kind.
fn cue_text(text: &str) -> String {
    let lines = text.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n").replace("-->", "→")
}

/// `hh:mm:ss.mmm` with the decimal point of the format.
fn clock(seconds: f64, point: char) -> String {
    let milliseconds = (seconds.max(0.0) * 1000.0).round() as u64;
    let (seconds, milliseconds) = (milliseconds / 1000, milliseconds % 1000);
    format!("{:02}:{:02}:{:02}{point}{milliseconds:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn transcript_json(file: &Path, transcript: &Transcript, load: Duration) -> Value {
    let timing = transcript.timing;
    json!({
        "file": file.display().to_string(),
        "text": transcript.text,
        "language": transcript.language,
        "duration": rounded(transcript.duration),
        "segments": transcript.segments.iter().map(segment_json).collect::<Vec<_>>(),
        "timing": {
            "load_ms": milliseconds(load),
            "encode_ms": milliseconds(timing.encode),
            "decode_ms": milliseconds(timing.decode),
            "total_ms": milliseconds(timing.total),
            "tokens": timing.tokens,
        },
        "warnings": transcript.warnings.iter().map(warning_json).collect::<Vec<_>>(),
    })
}

/// What was wrong with a recording: where, how much of it is lost, and what.
pub(crate) fn warning_json(warning: &AudioWarning) -> Value {
    let kind = match warning.problem {
        AudioProblem::Damaged { .. } => "damaged",
        AudioProblem::Foreign { .. } => "foreign",
        AudioProblem::Length { .. } => "length",
        AudioProblem::NotFinite { .. } => "not_finite",
        AudioProblem::Unreadable { .. } => "unreadable",
        _ => "other",
    };
    let (at, lost) = (rounded(warning.at), rounded(warning.lost));
    json!({"at": at, "lost": lost, "kind": kind, "message": warning.to_string()})
}

fn segment_json(segment: &Segment) -> Value {
    json!({
        "start": rounded(segment.start),
        "end": rounded(segment.end),
        "text": segment.text,
        "avg_logprob": segment.avg_logprob,
        "no_speech_prob": segment.no_speech_prob,
        "compression_ratio": segment.compression_ratio,
        "temperature": segment.temperature,
        "words": segment.words.iter().map(word_json).collect::<Vec<_>>(),
    })
}

fn word_json(word: &Word) -> Value {
    json!({
        "start": rounded(word.start),
        "end": rounded(word.end),
        "text": word.text,
        "probability": word.probability,
    })
}

/// Milliseconds are as fine as audio is cut.
pub(crate) fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

pub(crate) fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e4).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment() -> Segment {
        Segment { start: 3661.5, end: 3662.0004, text: " Yes --> no".into(), ..Segment::default() }
    }

    fn written(format: Format, timestamps: Option<TimestampsArg>) -> String {
        let mut writer = Writer::new(Some(format), false, timestamps, false);
        let mut out = Vec::new();
        writer.begin(Path::new("a.wav"), &mut out).unwrap();
        writer.segment(&segment(), &mut out).unwrap();
        writer.segment(&segment(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn subtitles_are_numbered_and_timed() {
        let srt = written(Format::Srt, None);
        assert!(srt.starts_with("1\n01:01:01,500 --> 01:01:02,000\nYes → no\n\n2\n"), "{srt}");
        let vtt = written(Format::Vtt, Some(TimestampsArg::Segment));
        assert!(vtt.starts_with("WEBVTT\n\n01:01:01.500 --> 01:01:02.000\nYes → no\n"), "{vtt}");
    }

    #[test]
    fn a_cue_has_no_empty_line_whatever_its_text_has() {
        for (text, expected) in [
            (" Call\n\nnow ", "Call\nnow"),
            ("Call\r\n \t\r\nnow\n", "Call\nnow"),
            ("Call\r\rnow", "Call\nnow"),
            ("\n\n", ""),
        ] {
            assert_eq!(cue_text(text), expected, "{text:?}");
        }
        let mut writer = Writer::new(Some(Format::Srt), false, None, false);
        let mut out = Vec::new();
        writer.segment(&Segment { text: "a\n\nb".into(), ..Segment::default() }, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "1\n00:00:00,000 --> 00:00:00,000\na\nb\n\n");
    }

    #[test]
    fn text_has_times_where_they_are_asked_for() {
        assert_eq!(written(Format::Text, None), "Yes --> no\nYes --> no\n");
        assert_eq!(written(Format::Text, Some(TimestampsArg::None)), "Yes --> no\nYes --> no\n");
        let timed = written(Format::Text, Some(TimestampsArg::Segment));
        assert!(timed.starts_with("[01:01:01.500 --> 01:01:02.000] Yes --> no\n["), "{timed}");
    }

    #[test]
    fn json_holds_what_the_contract_names() {
        let transcript = Transcript { segments: vec![segment()], ..Transcript::default() };
        let value = transcript_json(Path::new("a.wav"), &transcript, Duration::from_millis(12));
        for key in ["file", "text", "language", "duration", "segments", "timing", "warnings"] {
            assert!(value.get(key).is_some(), "{key}");
        }
        assert_eq!(value["timing"]["load_ms"], 12.0);
        assert_eq!(value["segments"][0]["start"], 3661.5);
    }
}
