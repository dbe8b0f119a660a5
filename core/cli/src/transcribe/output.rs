//! Transcripts as text, subtitles or JSON.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use sotto::audio::{AudioProblem, AudioWarning};
use sotto::speech::{Segment, Transcript, Word};
use sotto::subtitles::{Cue, Subtitles, VTT_HEADER, clock, srt_cue, vtt_cue};

use crate::args::{Format, TimestampsArg};

/// Writes one transcript, segment by segment where the form allows it.
pub(crate) struct Writer {
    form: Form,
    /// Times that were asked for by name.
    timestamps: Option<TimestampsArg>,
    with_names: bool,
    subtitles: Subtitles,
    /// Cues that were written.
    cues: usize,
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
    pub(crate) fn new(
        format: Option<Format>,
        json: bool,
        timestamps: Option<TimestampsArg>,
        with_names: bool,
        subtitles: Subtitles,
    ) -> Self {
        let form = match format {
            _ if json => Form::Json,
            None | Some(Format::Text) => Form::Text,
            Some(Format::Srt) => Form::Srt,
            Some(Format::Vtt) => Form::Vtt,
        };
        Self { form, timestamps, with_names, subtitles, cues: 0, channel: None }
    }

    /// What follows is of the channel with this name.
    pub(crate) fn channel(&mut self, name: &str) {
        self.channel = Some(name.to_owned());
    }

    pub(crate) fn begin(&mut self, file: &Path, out: &mut dyn Write) -> io::Result<()> {
        match self.form {
            Form::Vtt => write!(out, "{VTT_HEADER}"),
            Form::Text if self.with_names => writeln!(out, "{}:", file.display()),
            _ => Ok(()),
        }
    }

    pub(crate) fn segment(&mut self, segment: &Segment, out: &mut dyn Write) -> io::Result<()> {
        match self.form {
            Form::Json => Ok(()),
            Form::Text => {
                match self.timestamps {
                    None | Some(TimestampsArg::None) => writeln!(out, "{}", segment.text.trim())?,
                    Some(_) => self.timed_lines(segment, out)?,
                }
                out.flush()
            }
            Form::Srt | Form::Vtt => {
                for cue in self.subtitles.push(segment) {
                    self.cue(&cue, out)?;
                }
                out.flush()
            }
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

    fn cue(&mut self, cue: &Cue, out: &mut dyn Write) -> io::Result<()> {
        self.cues += 1;
        let text = if self.form == Form::Srt { srt_cue(self.cues, cue) } else { vtt_cue(cue) };
        out.write_all(text.as_bytes())
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
            Form::Srt | Form::Vtt => self.subtitles.finish().map_or(Ok(()), |cue| self.cue(&cue, out)),
            Form::Text => Ok(()),
        }
    }
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
        "language": segment.language,
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
    use sotto::subtitles::SubtitleOptions;

    use super::*;

    fn segment() -> Segment {
        Segment { start: 3661.5, end: 3662.0004, text: " Yes --> no".into(), ..Segment::default() }
    }

    fn written(format: Format, timestamps: Option<TimestampsArg>) -> String {
        let subtitles = Subtitles::new(SubtitleOptions::default()).unwrap();
        let mut writer = Writer::new(Some(format), false, timestamps, false, subtitles);
        let mut out = Vec::new();
        let (file, later) = (Path::new("a.wav"), Segment { start: 3670.0, end: 3671.0, ..segment() });
        writer.begin(file, &mut out).unwrap();
        writer.segment(&segment(), &mut out).unwrap();
        writer.segment(&later, &mut out).unwrap();
        writer.end(file, &Transcript::default(), Duration::ZERO, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn subtitles_are_numbered_and_timed() {
        let srt = written(Format::Srt, None);
        let second = "2\n01:01:10,000 --> 01:01:11,000\nYes → no\n\n";
        assert_eq!(srt, format!("1\n01:01:01,500 --> 01:01:02,300\nYes → no\n\n{second}"));
        let vtt = written(Format::Vtt, Some(TimestampsArg::Segment));
        assert!(vtt.starts_with("WEBVTT\n\n01:01:01.500 --> 01:01:02.300\nYes --&gt; no\n"), "{vtt}");
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
