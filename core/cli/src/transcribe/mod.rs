//! `sotto transcribe`.

mod channels;
mod live;
pub(crate) mod output;
mod screen;
mod stdin;

use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use sotto::CancelToken;
use sotto::audio::{AudioFile, AudioWarning, Channel, RawFormat, RawPcm, SampleFormat, SampleSource};
use sotto::speech::{Language, Options, Recognizer, Search, Task, Timestamps};
use sotto::subtitles::{SubtitleOptions, Subtitles};

use crate::args::{ChannelArg, Format, Global, RawArgs, SampleFormatArg, TaskArg, TimestampsArg, TranscribeArgs};
use crate::error::CliError;
use crate::interrupt::Interrupt;
use crate::model;
use crate::progress::Bars;

pub(crate) fn run(args: &TranscribeArgs, global: &Global, interrupt: &Interrupt) -> Result<(), CliError> {
    check(args, global.json)?;
    let cancel = interrupt.cancel();
    let name = args.model.model.as_ref();
    model::check_starter(name, &args.language, matches!(args.task, TaskArg::Translate))?;
    model::say_which_answers(name, global);
    let bars = Bars::new(global.quiet);
    let start = Instant::now();
    let engine = model::engine(global);
    let recognizer = model::load(&engine, name, &bars, cancel)?;
    let load = start.elapsed();
    let options = options(args, &recognizer)?;
    if args.stream {
        return live::run(args, global, &engine, &recognizer, options, interrupt);
    }
    let (mut failed, mut damaged) = (0, 0);
    let one = if args.channel == ChannelArg::Each { channels::transcribe } else { transcribe };
    for file in &args.files {
        let done = one(file, args, global, &recognizer, &options, load, &bars, cancel);
        bars.clear();
        match done {
            Ok(warnings) => damaged += usize::from(warnings > 0),
            // One bad file does not take the others with it.
            Err(error @ (CliError::Audio(_) | CliError::Speech(_))) if args.files.len() > 1 => {
                eprintln!("sotto: {error}");
                failed += 1;
            }
            Err(error) => return Err(error),
        }
    }
    match failed {
        0 => strict(args, damaged),
        _ => Err(CliError::Failed(format!("{failed} of {} files could not be transcribed", args.files.len()))),
    }
}

/// What `--strict` says to so many damaged recordings.
fn strict(args: &TranscribeArgs, damaged: usize) -> Result<(), CliError> {
    if args.strict && damaged > 0 {
        return Err(CliError::Failed(format!("{damaged} of {} recordings are damaged (--strict)", args.files.len())));
    }
    Ok(())
}

/// Says what is wrong with a recording that was read all the same.
fn warn(file: &Path, warnings: &[AudioWarning], global: &Global) {
    if !global.quiet {
        for warning in warnings {
            eprintln!("sotto: warning: {}: {warning}", file.display());
        }
    }
}

/// What the command line contradicts itself in, before a model is loaded.
fn check(args: &TranscribeArgs, json: bool) -> Result<(), CliError> {
    let stdin = args.files.iter().filter(|file| is_stdin(file)).count();
    if stdin > 0 && args.files.len() > 1 {
        return Err(CliError::Usage("`-` (stdin) cannot be mixed with files".into()));
    }
    let raw = &args.raw;
    if stdin == 0 && (raw.rate.is_some() || raw.channels.is_some() || raw.sample_format.is_some()) {
        return Err(CliError::Usage(
            "--rate, --channels and --sample-format are for raw samples from stdin (`-`); files state theirs".into(),
        ));
    }
    if args.stream && args.files.len() > 1 {
        return Err(CliError::Usage("--stream takes one file, or `-` for stdin".into()));
    }
    if args.channel == ChannelArg::Each && (args.stream || stdin > 0) {
        let problem = "--channel each reads a recording once per channel, so it must be a file: take left or right";
        return Err(CliError::Usage(problem.into()));
    }
    let subtitles = args.format.is_some_and(|format| format != Format::Text);
    if subtitles && args.files.len() > 1 {
        let problem = "subtitles of several recordings cannot stand in one output: name one file at a time";
        return Err(CliError::Usage(problem.into()));
    }
    if args.stream && subtitles {
        return Err(CliError::Usage("--stream prints text or --json; subtitles need the whole recording".into()));
    }
    if args.stream && args.timestamps.is_some() {
        return Err(CliError::Usage("--timestamps is for recordings; live text comes with its times in --json".into()));
    }
    if json && args.format.is_some() {
        return Err(CliError::Usage("--json and --format exclude each other: JSON has text and times".into()));
    }
    if subtitles && args.timestamps == Some(TimestampsArg::None) {
        return Err(CliError::Usage("subtitles need times: leave --timestamps none out".into()));
    }
    if !subtitles && (args.max_line_length.is_some() || args.max_cue_seconds.is_some()) {
        let problem = "--max-line-length and --max-cue-seconds are for subtitles: add --format srt or vtt";
        return Err(CliError::Usage(problem.into()));
    }
    subtitle_options(args).check()?;
    Ok(())
}

fn subtitle_options(args: &TranscribeArgs) -> SubtitleOptions {
    let default = SubtitleOptions::default();
    let max_cue_seconds = args.max_cue_seconds.unwrap_or(default.max_cue_seconds);
    SubtitleOptions {
        max_line_length: args.max_line_length.unwrap_or(default.max_line_length),
        max_cue_seconds,
        min_cue_seconds: default.min_cue_seconds,
        per_word: args.timestamps == Some(TimestampsArg::Word),
    }
}

pub(crate) fn is_stdin(file: &Path) -> bool {
    file.as_os_str() == "-"
}

#[expect(clippy::too_many_arguments, reason = "what one file of one command needs")]
fn transcribe(
    file: &Path,
    args: &TranscribeArgs,
    global: &Global,
    recognizer: &Recognizer,
    options: &Options,
    load: Duration,
    bars: &Bars,
    cancel: &CancelToken,
) -> Result<usize, CliError> {
    let mut source = open(file, args, cancel, &CancelToken::new())?;
    let mut stdout = io::stdout().lock();
    let subtitles = Subtitles::new(subtitle_options(args))?;
    let mut written = output::Writer::new(args.format, global.json, args.timestamps, args.files.len() > 1, subtitles);
    written.begin(file, &mut stdout)?;
    let mut failed = None;
    let mut on_segment = |segment: &sotto::speech::Segment| {
        bars.clear();
        if let Err(error) = written.segment(segment, &mut stdout) {
            failed.get_or_insert(error);
        }
    };
    let transcript = recognizer.transcribe_source(source.as_mut(), options, &mut on_segment, bars, cancel)?;
    bars.clear();
    // A pipe ends when it is left, too.
    cancel.check()?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    written.end(file, &transcript, load, &mut stdout)?;
    stdout.flush()?;
    warn(file, &transcript.warnings, global);
    Ok(transcript.warnings.len())
}

/// A decoded file, or raw samples from stdin, which end when `end` fires.
fn open(
    file: &Path,
    args: &TranscribeArgs,
    cancel: &CancelToken,
    end: &CancelToken,
) -> Result<Box<dyn SampleSource + Send>, CliError> {
    let channel = match args.channel {
        ChannelArg::Left => Channel::LEFT,
        ChannelArg::Right => Channel::RIGHT,
        ChannelArg::Mix | ChannelArg::Each => Channel::Mix,
    };
    if is_stdin(file) {
        let mut raw = RawPcm::new(stdin::Pipe::stdin(cancel, end)?, raw_format(&args.raw), "stdin")?;
        raw.select(channel)?;
        return Ok(Box::new(raw));
    }
    let mut audio = match std::fs::metadata(file) {
        // What is neither a file nor a folder is a pipe or a device.
        Ok(metadata) if !metadata.is_file() && !metadata.is_dir() => {
            AudioFile::from_stream(stdin::Pipe::named(file.to_owned(), cancel, end)?, file.display().to_string())?
        }
        _ => AudioFile::open(file)?,
    };
    audio.select(channel)?;
    Ok(Box::new(audio))
}

pub(crate) fn raw_format(raw: &RawArgs) -> RawFormat {
    let sample = match raw.sample_format.unwrap_or(SampleFormatArg::S16le) {
        SampleFormatArg::U8 => SampleFormat::U8,
        SampleFormatArg::S16le => SampleFormat::S16Le,
        SampleFormatArg::S24le => SampleFormat::S24Le,
        SampleFormatArg::S32le => SampleFormat::S32Le,
        SampleFormatArg::F32le => SampleFormat::F32Le,
        SampleFormatArg::F64le => SampleFormat::F64Le,
        SampleFormatArg::Alaw => SampleFormat::ALaw,
        SampleFormatArg::Mulaw => SampleFormat::MuLaw,
    };
    RawFormat { sample, rate: raw.rate.unwrap_or(16_000), channels: u32::from(raw.channels.unwrap_or(1)) }
}

fn options(args: &TranscribeArgs, recognizer: &Recognizer) -> Result<Options, CliError> {
    let mut search = Search { beam: args.recording.beam, length_penalty: args.length_penalty, ..Search::default() };
    if let Some(temperature) = args.temperature {
        search.temperatures = vec![temperature];
    }
    let hotwords = model::hotwords(args.recording.hotwords.as_deref(), args.recording.hotword_strength, recognizer)?;
    Ok(Options {
        language: match args.language.as_str() {
            name if name.eq_ignore_ascii_case("auto") => Language::Auto,
            name if name.eq_ignore_ascii_case("each") => Language::Each,
            name => Language::Fixed(name.to_owned()),
        },
        task: match args.task {
            TaskArg::Transcribe => Task::Transcribe,
            TaskArg::Translate => Task::Translate,
        },
        timestamps: timestamps(match args.timestamps {
            Some(wanted) => wanted,
            // Cues are cut by the times of words.
            None if args.format.is_some_and(|format| format != Format::Text) => TimestampsArg::Word,
            None => TimestampsArg::Segment,
        }),
        audio_context: args.recording.context.audio_context.into(),
        search,
        prompt: args.prompt.clone(),
        prompt_carry: args.prompt_carry.into(),
        prefix: args.prefix.clone(),
        condition_on_previous: args.condition,
        hotwords: hotwords.map(|(_, hotwords)| hotwords),
        vad: model::vad(&args.recording.vad, args.stream)?,
        max_tokens: args.max_tokens,
        ..Options::default()
    })
}

pub(crate) fn timestamps(wanted: TimestampsArg) -> Timestamps {
    match wanted {
        TimestampsArg::None => Timestamps::None,
        TimestampsArg::Segment => Timestamps::Segment,
        TimestampsArg::Word => Timestamps::Word,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use sotto::speech::AudioContext;
    use sotto::{Engine, NoProgress, starter};

    use super::*;
    use crate::args::{Arguments, Command};

    fn args(options: &[&str]) -> TranscribeArgs {
        match Arguments::try_parse_from([&["sotto", "transcribe", "x.wav"], options].concat()).unwrap().command {
            Command::Transcribe(args) => args,
            other => panic!("{other:?}"),
        }
    }

    fn starter() -> Recognizer {
        Engine::default().speech(&starter::speech(), &NoProgress, &CancelToken::new()).unwrap()
    }

    #[test]
    fn every_option_reaches_the_recognizer_as_it_was_typed() {
        let recognizer = starter();
        let of = |options: &[&str]| self::options(&args(options), &recognizer).unwrap();
        assert_eq!(of(&["--beam", "3"]).search.beam, 3);
        assert_eq!(of(&["--beam", "2", "--length-penalty", "0.5"]).search.length_penalty, Some(0.5));
        assert_eq!(of(&["--temperature", "0.4"]).search.temperatures, [0.4]);
        assert!(of(&["--condition"]).condition_on_previous);
        assert_eq!(of(&["--language", "German"]).language, Language::Fixed("German".into()));
        assert_eq!(of(&["--language", "en-US"]).language, Language::Fixed("en-US".into()));
        assert_eq!(of(&["--language", "auto"]).language, Language::Auto);
        assert_eq!(of(&["--language", "Each"]).language, Language::Each);
        assert_eq!(of(&["--task", "translate"]).task, Task::Translate);
        assert_eq!(of(&["--prompt", "Dear diary"]).prompt.as_deref(), Some("Dear diary"));
        assert_eq!(of(&["--prefix", "stop"]).prefix.as_deref(), Some("stop"));
        assert_eq!(of(&["--max-tokens", "7"]).max_tokens, Some(7));
        assert_eq!(of(&["--timestamps", "word"]).timestamps, Timestamps::Word);
        assert_eq!(of(&["--audio-context", "window"]).audio_context, AudioContext::Window);
        assert_eq!(of(&["--audio-context", "true-length"]).audio_context, AudioContext::TrueLength);
    }

    #[test]
    fn without_options_everything_is_as_the_library_has_it() {
        let (found, expected) = (self::options(&args(&[]), &starter()).unwrap(), Options::default());
        assert_eq!((found.search.beam, found.search.length_penalty), (1, None));
        assert_eq!(found.search.temperatures, expected.search.temperatures);
        assert_eq!((found.language, found.task), (Language::Auto, Task::Transcribe));
        // What a text without times is cut by, too.
        assert_eq!(found.timestamps, Timestamps::Segment);
        assert_eq!(found.audio_context, AudioContext::Auto);
        assert!(!found.condition_on_previous && found.hotwords.is_none() && found.vad.is_none());
        assert_eq!((found.prompt, found.prefix, found.max_tokens), (None, None, None));
    }

    #[test]
    fn hotwords_come_from_the_lines_of_a_file_with_the_strength_that_is_asked_for() {
        let (recognizer, folder) = (starter(), tempfile::tempdir().unwrap());
        let file = folder.path().join("words.txt");
        std::fs::write(&file, "# names\n light \n\nrice\n").unwrap();
        let file = file.to_str().unwrap();
        let of = |options: &[&str]| self::options(&args(options), &recognizer).unwrap().hotwords.unwrap();
        let expected = |strength| {
            let words = ["light".to_owned(), "rice".to_owned()];
            sotto::speech::Hotwords::new(&words, strength, recognizer.model().unwrap().tokenizer())
        };
        assert_eq!(*of(&["--hotwords", file]), expected(sotto::speech::Hotwords::DEFAULT_STRENGTH));
        assert_eq!(*of(&["--hotwords", file, "--hotword-strength", "3.5"]), expected(3.5));
    }
}
