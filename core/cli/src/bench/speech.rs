//! Speed, memory and accuracy of transcribing recordings.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;
use sotto::audio::decode_file;
use sotto::kernels::read_bandwidth;
use sotto::{CancelToken, NoProgress, Search, SpeechRecognizer, Timing, TranscribeOptions};

use super::accuracy::Accuracy;
use super::busy::BusyThread;
use super::memory::peak_resident;
use crate::args::{BenchSpeechArgs, Global};
use crate::error::CliError;
use crate::model;
use crate::progress::Bars;
use crate::transcribe::output::milliseconds;

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

#[derive(Default, Clone)]
struct Totals {
    clips: usize,
    audio: f64,
    timing: Timing,
    accuracy: Accuracy,
    /// Of the calling thread, while it transcribed.
    allocations: u64,
}

pub(super) fn run(args: &BenchSpeechArgs, global: &Global, cancel: &CancelToken) -> Result<(), CliError> {
    let clips = clips(args)?;
    let bars = Bars::new(global.quiet);
    let start = Instant::now();
    let recognizer = model::load(&model::engine(global), args.model.model.as_deref(), &bars, cancel)?;
    let load = start.elapsed();
    let hotwords = model::hotwords(args.hotwords.as_deref(), args.hotword_strength, &recognizer)?;
    let (words, hotwords) = hotwords.unzip();
    let options = TranscribeOptions {
        timestamps: crate::transcribe::timestamps(args.timestamps),
        search: Search { beam: args.beam, ..Search::default() },
        vad: model::vad(&args.vad)?,
        hotwords,
        audio_context: args.model.audio_context.into(),
        ..TranscribeOptions::default()
    };
    let words = words.unwrap_or_default();
    let _load = args.with_load.then(BusyThread::start);
    let (mut totals, mut rounds, mut cold) = (Totals::default(), Vec::new(), None);
    let all = clips.len() * args.rounds as usize;
    for round in 0..args.rounds {
        let mut of_round = Totals::default();
        for (done, clip) in clips.iter().enumerate() {
            bars.measuring(round as usize * clips.len() + done, all, &clip.file);
            measure(clip, &recognizer, &options, &words, &mut of_round, cancel)?;
            // The first recording pays for pages, caches and clocks that are not warm yet.
            cold.get_or_insert(of_round.timing);
        }
        if round == 0 {
            totals = of_round.clone();
        }
        rounds.push(of_round.timing);
    }
    bars.clear();
    let bytes_per_token = recognizer.model().bytes_per_token();
    let cost = Cost { load, cold: cold.unwrap_or_default(), peak_resident: peak_resident(), bytes_per_token };
    report(&totals, &cost, &rounds, global)
}

/// What does not add up over recordings.
struct Cost {
    load: Duration,
    /// The first recording.
    cold: Timing,
    /// Read before anything else takes memory.
    peak_resident: Option<u64>,
    bytes_per_token: u64,
}

fn measure(
    clip: &Clip,
    recognizer: &SpeechRecognizer,
    options: &TranscribeOptions,
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

/// Figures of the first round; of the others, what became of its speed.
fn report(totals: &Totals, cost: &Cost, rounds: &[Timing], global: &Global) -> Result<(), CliError> {
    let Totals { clips, audio, timing, accuracy, allocations } = totals;
    let Cost { load, cold, peak_resident, bytes_per_token } = *cost;
    let bandwidth = read_bandwidth(bytes_per_token as usize);
    let per_token = timing.decode.as_secs_f64() / timing.tokens.max(1) as f64;
    let share_of_reading = bytes_per_token as f64 / bandwidth / per_token.max(1e-9);
    let allocations = allocations / (*clips).max(1) as u64;
    let per = |duration: Duration, count: usize| milliseconds(duration) / count.max(1) as f64;
    let factor = timing.total.as_secs_f64() / audio.max(1e-9);
    let mut out = std::io::stdout().lock();
    if global.json {
        let mut object = json!({
            "clips": clips,
            "audio_s": audio,
            "load_ms": milliseconds(load),
            "encode_ms_per_window": per(timing.encode, timing.windows),
            "cold_encode_ms_per_window": per(cold.encode, cold.windows),
            "cold_decode_ms_per_token": per(cold.decode, cold.tokens),
            "rounds": rounds.iter().map(|timing| json!({
                "encode_ms_per_window": per(timing.encode, timing.windows),
                "decode_ms_per_token": per(timing.decode, timing.tokens),
                "total_ms": milliseconds(timing.total),
            })).collect::<Vec<_>>(),
            "decode_ms_per_token": per(timing.decode, timing.tokens),
            "total_ms": milliseconds(timing.total),
            "real_time_factor": factor,
            "peak_resident_bytes": peak_resident,
            "bytes_per_token": bytes_per_token,
            "read_bytes_per_second": bandwidth.round(),
            "share_of_reading": share_of_reading,
            "allocations_per_recording": allocations,
        });
        accuracy.add_to(&mut object);
        writeln!(out, "{object}")?;
        return Ok(());
    }
    writeln!(out, "{clips} recordings, {audio:.1} s of audio")?;
    writeln!(out, "  load              {:8.1} ms", milliseconds(load))?;
    writeln!(out, "  encode per window {:8.1} ms", per(timing.encode, timing.windows))?;
    writeln!(out, "  decode per token  {:8.2} ms", per(timing.decode, timing.tokens))?;
    writeln!(
        out,
        "                    {:8.0} % of it is what reading {:.1} MB takes at {:.1} GB/s",
        share_of_reading * 100.0,
        bytes_per_token as f64 / 1e6,
        bandwidth / 1e9
    )?;
    writeln!(
        out,
        "  first recording   {:8.1} ms per window, {:.2} ms per token (cold)",
        per(cold.encode, cold.windows),
        per(cold.decode, cold.tokens)
    )?;
    writeln!(out, "  real-time factor  {factor:8.3}")?;
    if rounds.len() > 1 {
        writeln!(out, "  round   encode per window   decode per token   slower than the first")?;
        for (index, round) in rounds.iter().enumerate() {
            let slower = round.total.as_secs_f64() / timing.total.as_secs_f64().max(1e-9) - 1.0;
            let (encode, decode) = (per(round.encode, round.windows), per(round.decode, round.tokens));
            writeln!(out, "  {:5}   {encode:14.1} ms   {decode:13.2} ms   {:+12.1} %", index + 1, slower * 100.0)?;
        }
    }
    writeln!(out, "  allocations       {allocations:8} per recording")?;
    if let Some(bytes) = peak_resident {
        writeln!(out, "  peak memory       {}", sotto::Bytes(bytes))?;
    }
    Ok(accuracy.print(20, &mut out)?)
}
