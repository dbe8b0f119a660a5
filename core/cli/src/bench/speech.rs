//! Speed, memory and accuracy of transcribing recordings.

use std::path::{Path, PathBuf};
use std::time::Instant;

use sotto::audio::{Pcm16k, SAMPLE_RATE, decode_file};
use sotto::speech::{Options, Recognizer, Search, Timing};
use sotto::{CancelToken, NoProgress};

use super::accuracy::Accuracy;
use super::busy::BusyThread;
use super::memory::peak_resident;
use super::report::Report;
use super::step::Step;
use crate::args::{BenchSpeechArgs, Global};
use crate::error::CliError;
use crate::model;
use crate::progress::Bars;

/// A recording and, where it is known, what was said.
pub(crate) struct Clip {
    pub(crate) file: PathBuf,
    pub(crate) text: Option<String>,
}

/// The recordings of a measurement.
pub(super) fn clips(args: &BenchSpeechArgs) -> Result<Vec<Clip>, CliError> {
    let mut clips = listed(&args.files)?;
    clips.truncate(args.limit.unwrap_or(usize::MAX));
    Ok(clips)
}

/// The files of the command line; a `.tsv` list stands for the clips it names (English ones where it says so).
pub(crate) fn listed(files: &[PathBuf]) -> Result<Vec<Clip>, CliError> {
    let mut clips = Vec::new();
    for file in files {
        if file.extension().is_some_and(|extension| extension == "tsv") {
            clips.extend(read_list(file)?);
        } else {
            clips.push(Clip { file: file.clone(), text: None });
        }
    }
    Ok(clips)
}

fn read_list(list: &Path) -> Result<Vec<Clip>, CliError> {
    let failed = |problem: String| CliError::Failed(format!("{}: {problem}", list.display()));
    let text = std::fs::read_to_string(list).map_err(|error| failed(error.to_string()))?;
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
    let column = |name: &str| header.iter().position(|&column| column == name);
    let (Some(file), Some(text), language) = (column("file"), column("text"), column("lang")) else {
        return Err(failed("needs a header line with the columns `file` and `text`".into()));
    };
    let folder = list.parent().unwrap_or(Path::new("."));
    let rows = lines.map(|line| line.split('\t').collect::<Vec<_>>());
    let english = rows.filter(|row| language.and_then(|column| row.get(column)).is_none_or(|&code| code == "en"));
    english
        .map(|row| match (row.get(file), row.get(text)) {
            (Some(file), Some(text)) => Ok(Clip { file: folder.join(file), text: Some((*text).to_owned()) }),
            _ => Err(failed("has a row with too few columns".into())),
        })
        .collect()
}

/// What was measured in one round over all recordings.
#[derive(Debug, Default, Clone)]
pub(super) struct Totals {
    pub(super) clips: usize,
    pub(super) audio: f64,
    pub(super) timing: Timing,
    pub(super) accuracy: Accuracy,
    /// Of the calling thread, while it transcribed.
    pub(super) allocations: u64,
}

pub(super) fn run(args: &BenchSpeechArgs, global: &Global, cancel: &CancelToken) -> Result<(), CliError> {
    let clips = clips(args)?;
    let bars = Bars::new(global.quiet);
    let start = Instant::now();
    let recognizer = model::load(&model::engine(global), args.model.model.as_ref(), &bars, cancel)?;
    let load = start.elapsed();
    let hotwords = model::hotwords(args.recording.hotwords.as_deref(), args.recording.hotword_strength, &recognizer)?;
    let (words, hotwords) = hotwords.unzip();
    let options = Options {
        timestamps: crate::transcribe::timestamps(args.timestamps),
        search: Search { beam: args.recording.beam, ..Search::default() },
        vad: model::vad(&args.recording.vad, false)?,
        hotwords,
        audio_context: args.recording.context.audio_context.into(),
        ..Options::default()
    };
    let words = words.unwrap_or_default();
    let Some(first) = clips.first() else { return Err(CliError::Failed("no recordings to measure".into())) };
    let window = first_window(&decode_file(&first.file)?, &recognizer)?;
    let busy = args.with_load.then(BusyThread::start);
    let cold = recognizer.transcribe(&window, &options, &NoProgress, cancel)?.timing;
    let all = clips.len() * args.rounds as usize;
    let mut rounds = Vec::new();
    for round in 0..args.rounds as usize {
        let mut of_round = Totals::default();
        for (done, clip) in clips.iter().enumerate() {
            bars.measuring(round * clips.len() + done, all, &clip.file);
            measure(clip, &recognizer, &options, &words, &mut of_round, cancel)?;
        }
        rounds.push(of_round);
    }
    let peak_resident = peak_resident();
    let step = Step::measure(&recognizer, &window, cancel)?;
    bars.clear();
    Report { load, cold, rounds, step, peak_resident, busy: busy.as_ref().map(BusyThread::work) }.write(global)
}

/// As much of a recording as the model hears at a time.
fn first_window(audio: &Pcm16k, recognizer: &Recognizer) -> Result<Pcm16k, CliError> {
    let most = (recognizer.window_seconds() * f64::from(SAMPLE_RATE)) as usize;
    let samples = audio.samples();
    Ok(Pcm16k::new(samples[..most.min(samples.len())].to_vec())?)
}

fn measure(
    clip: &Clip,
    recognizer: &Recognizer,
    options: &Options,
    hotwords: &[String],
    totals: &mut Totals,
    cancel: &CancelToken,
) -> Result<(), CliError> {
    let audio = decode_file(&clip.file)?;
    let mut transcript = None;
    let counted = allocation_counter::measure(|| {
        transcript = Some(recognizer.transcribe(&audio, options, &NoProgress, cancel));
    });
    let transcript = transcript.expect("`measure` runs what it is given")?;
    totals.allocations += counted.count_total;
    totals.clips += 1;
    totals.audio += transcript.duration;
    totals.timing += transcript.timing;
    if let Some(text) = &clip.text {
        totals.accuracy.count(text, &transcript.text, hotwords);
    }
    Ok(())
}
