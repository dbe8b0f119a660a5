//! Every channel of a recording on its own: calls with one speaker per channel.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use sotto::CancelToken;
use sotto::audio::{AudioFile, Channel};
use sotto::speech::{Options, Recognizer, Segment, Transcript};
use sotto::subtitles::Subtitles;

use super::{output, warn};
use crate::args::{Global, TranscribeArgs};
use crate::error::CliError;
use crate::progress::Bars;

/// Transcribes each channel, then writes the lines of all in the order of their times. JSON has an object per channel.
#[expect(clippy::too_many_arguments, reason = "what one file of one command needs")]
pub(super) fn transcribe(
    file: &Path,
    args: &TranscribeArgs,
    global: &Global,
    recognizer: &Recognizer,
    options: &Options,
    load: Duration,
    bars: &Bars,
    cancel: &CancelToken,
) -> Result<usize, CliError> {
    if std::fs::metadata(file).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir()) {
        let problem =
            format!("{}: a pipe cannot be read once per channel: take --channel left or right", file.display());
        return Err(CliError::Usage(problem));
    }
    let channels = AudioFile::open(file)?.info().channels;
    let subtitles = Subtitles::new(super::subtitle_options(args))?;
    let mut written = output::Writer::new(args.format, global.json, args.timestamps, args.files.len() > 1, subtitles);
    let mut stdout = io::stdout().lock();
    written.begin(file, &mut stdout)?;
    let mut lines: Vec<Segment> = Vec::new();
    let mut last = Transcript::default();
    for index in 0..channels {
        let mut audio = AudioFile::open(file)?;
        audio.select(Channel::Only(index))?;
        let name = channel_name(index, channels);
        let transcript = recognizer.transcribe_source(&mut audio, options, &mut |_| {}, bars, cancel)?;
        bars.clear();
        lines.extend(transcript.segments.iter().map(|segment| labelled(segment, &name)));
        if global.json {
            written.channel(&name);
            written.end(file, &transcript, load, &mut stdout)?;
        }
        // Damage is that of all channels.
        last = transcript;
    }
    lines.sort_by(|a, b| a.start.total_cmp(&b.start));
    for line in &lines {
        written.segment(line, &mut stdout)?;
    }
    if !global.json {
        written.end(file, &last, load, &mut stdout)?;
    }
    stdout.flush()?;
    warn(file, &last.warnings, global);
    Ok(last.warnings.len())
}

fn channel_name(index: u32, channels: u32) -> String {
    match (index, channels) {
        (_, 1) => "mono".into(),
        (0, 2) => "left".into(),
        (1, 2) => "right".into(),
        (index, _) => format!("channel {}", index + 1),
    }
}

/// The segment, its text and words behind the channel's name.
fn labelled(segment: &Segment, name: &str) -> Segment {
    let label = |text: &mut String| *text = format!(" {name}: {}", text.trim());
    let mut segment = segment.clone();
    label(&mut segment.text);
    segment.words.iter_mut().for_each(|word| label(&mut word.text));
    segment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_called_as_people_call_them() {
        assert_eq!([0, 1].map(|index| channel_name(index, 2)), ["left", "right"]);
        assert_eq!([0, 5].map(|index| channel_name(index, 6)), ["channel 1", "channel 6"]);
        assert_eq!(channel_name(0, 1), "mono");
        let segment = Segment { text: " Yes, light.".into(), ..Segment::default() };
        assert_eq!(labelled(&segment, "left").text, " left: Yes, light.");
    }
}
