//! `sotto transcribe`.

mod live;
pub(crate) mod output;
mod screen;
mod stdin;

use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use sotto::audio::{AudioFile, RawFormat, RawPcm, SampleFormat};
use sotto::{CancelToken, Language, SampleSource, Search, SpeechRecognizer, Task, Timestamps, TranscribeOptions};

use crate::args::{Format, Global, RawArgs, SampleFormatArg, TaskArg, TimestampsArg, TranscribeArgs};
use crate::error::CliError;
use crate::model;
use crate::progress::Bars;

pub(crate) fn run(args: &TranscribeArgs, global: &Global, cancel: &CancelToken) -> Result<(), CliError> {
    check(args, global.json)?;
    let name = args.model.model.as_deref();
    model::check_starter(name, &args.language, matches!(args.task, TaskArg::Translate))?;
    model::say_which_answers(name, global);
    let bars = Bars::new(global.quiet);
    let start = Instant::now();
    let recognizer = model::load(&model::engine(global), name, &bars, cancel)?;
    let load = start.elapsed();
    let options = options(args, &recognizer)?;
    if args.stream {
        return live::run(args, global, &recognizer, options, cancel);
    }
    let mut failed = 0;
    for file in &args.files {
        let done = transcribe(file, args, global, &recognizer, &options, load, &bars, cancel);
        bars.clear();
        match done {
            Ok(()) => {}
            // One bad file does not take the others with it.
            Err(error @ (CliError::Audio(_) | CliError::Speech(_))) if args.files.len() > 1 => {
                eprintln!("sotto: {error}");
                failed += 1;
            }
            Err(error) => return Err(error),
        }
    }
    match failed {
        0 => Ok(()),
        _ => Err(CliError::Failed(format!("{failed} of {} files could not be transcribed", args.files.len()))),
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
    Ok(())
}

pub(crate) fn is_stdin(file: &Path) -> bool {
    file.as_os_str() == "-"
}

#[expect(clippy::too_many_arguments, reason = "what one file of one command needs")]
fn transcribe(
    file: &Path,
    args: &TranscribeArgs,
    global: &Global,
    recognizer: &SpeechRecognizer,
    options: &TranscribeOptions,
    load: Duration,
    bars: &Bars,
    cancel: &CancelToken,
) -> Result<(), CliError> {
    let mut source = open(file, &args.raw, cancel)?;
    let mut stdout = io::stdout().lock();
    let mut written = output::Writer::new(args.format, global.json, args.timestamps, args.files.len() > 1);
    written.begin(file, &mut stdout)?;
    let mut failed = None;
    let mut on_segment = |segment: &sotto::Segment| {
        bars.clear();
        if let Err(error) = written.segment(segment, &mut stdout) {
            failed.get_or_insert(error);
        }
    };
    let transcript = recognizer.transcribe_source(source.as_mut(), options, &mut on_segment, bars, cancel)?;
    bars.clear();
    if let Some(error) = failed {
        return Err(error.into());
    }
    written.end(file, &transcript, load, &mut stdout)?;
    stdout.flush()?;
    Ok(())
}

/// A decoded file, or raw samples from stdin.
pub(crate) fn open(file: &Path, raw: &RawArgs, cancel: &CancelToken) -> Result<Box<dyn SampleSource>, CliError> {
    if !is_stdin(file) {
        return Ok(Box::new(AudioFile::open(file)?));
    }
    Ok(Box::new(RawPcm::new(stdin::Stdin::start(cancel)?, raw_format(raw), "stdin")?))
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

fn options(args: &TranscribeArgs, recognizer: &SpeechRecognizer) -> Result<TranscribeOptions, CliError> {
    let mut search = Search { beam: args.beam, length_penalty: args.length_penalty, ..Search::default() };
    if let Some(temperature) = args.temperature {
        search.temperatures = vec![temperature];
    }
    let hotwords = model::hotwords(args.hotwords.as_deref(), args.hotword_strength, recognizer)?;
    Ok(TranscribeOptions {
        language: match args.language.as_str() {
            "auto" => Language::Auto,
            name => Language::Fixed(name.to_owned()),
        },
        task: match args.task {
            TaskArg::Transcribe => Task::Transcribe,
            TaskArg::Translate => Task::Translate,
        },
        timestamps: timestamps(args.timestamps.unwrap_or(TimestampsArg::Segment)),
        audio_context: args.model.audio_context.into(),
        search,
        prompt: args.prompt.clone(),
        prefix: args.prefix.clone(),
        condition_on_previous: args.condition,
        hotwords: hotwords.map(|(_, hotwords)| hotwords),
        vad: model::vad(&args.vad)?,
        max_tokens: args.max_tokens,
        ..TranscribeOptions::default()
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
    use sotto::{AudioContext, Engine, NoProgress, starter};

    use super::*;
    use crate::args::{Arguments, Command};

    fn args(options: &[&str]) -> TranscribeArgs {
        match Arguments::try_parse_from([&["sotto", "transcribe", "x.wav"], options].concat()).unwrap().command {
            Command::Transcribe(args) => args,
            other => panic!("{other:?}"),
        }
    }

    fn starter() -> SpeechRecognizer {
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
        assert_eq!(of(&["--language", "auto"]).language, Language::Auto);
        assert_eq!(of(&["--task", "translate"]).task, Task::Translate);
        assert_eq!(of(&["--prompt", "Dear diary"]).prompt.as_deref(), Some("Dear diary"));
        assert_eq!(of(&["--prefix", "stop"]).prefix.as_deref(), Some("stop"));
        assert_eq!(of(&["--max-tokens", "7"]).max_tokens, Some(7));
        assert_eq!(of(&["--timestamps", "word"]).timestamps, Timestamps::Word);
        assert_eq!(of(&["--audio-context", "true-length"]).audio_context, AudioContext::TrueLength);
    }

    #[test]
    fn without_options_everything_is_as_the_library_has_it() {
        let (found, expected) = (self::options(&args(&[]), &starter()).unwrap(), TranscribeOptions::default());
        assert_eq!((found.search.beam, found.search.length_penalty), (1, None));
        assert_eq!(found.search.temperatures, expected.search.temperatures);
        assert_eq!((found.language, found.task), (Language::Auto, Task::Transcribe));
        // What a text without times is cut by, too.
        assert_eq!(found.timestamps, Timestamps::Segment);
        assert!(!found.condition_on_previous && found.hotwords.is_none() && found.vad.is_none());
        assert_eq!((found.prompt, found.prefix, found.max_tokens), (None, None, None));
    }

    #[test]
    fn hotwords_come_from_the_lines_of_a_file_with_the_strength_that_is_asked_for() {
        let (recognizer, folder) = (starter(), tempfile::tempdir().unwrap());
        let file = folder.path().join("words.txt");
        std::fs::write(&file, "# names\n light \n\nrice\n").unwrap();
        let file = file.to_str().unwrap();
        let of = |options: &[&str]| {
            let options = self::options(&args(options), &recognizer).unwrap();
            format!("{:?}", options.hotwords.unwrap())
        };
        let expected = |strength| {
            let words = ["light".to_owned(), "rice".to_owned()];
            sotto::Hotwords::new(&words, strength, recognizer.model().tokenizer())
        };
        // Tries print their branches in no order: the strength and the size say whether they are the same.
        let same = |found: String, strength: f32| {
            let expected = format!("{:?}", expected(strength));
            assert_eq!(found.len(), expected.len(), "{found} {expected}");
            assert!(found.contains(&format!("strength: {strength:?}")), "{found}");
        };
        same(of(&["--hotwords", file]), sotto::Hotwords::DEFAULT_STRENGTH);
        same(of(&["--hotwords", file, "--hotword-strength", "3.5"]), 3.5);
    }
}
