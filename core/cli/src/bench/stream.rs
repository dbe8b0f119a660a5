//! Delays and stability of live transcription, against a clock that runs with the audio.

use std::io::Write;
use std::time::Instant;

use serde_json::json;
use sotto::audio::{SAMPLE_RATE, decode_file};
use sotto::speech::{LiveEvent, LiveOptions, LiveText, LiveTranscriber, Options, Recognizer, Search};
use sotto::text::{ErrorCounts, english, word_errors};
use sotto::{CancelToken, NoProgress};

use super::accuracy::Accuracy;
use super::busy::BusyThread;
use super::memory::peak_resident;
use super::percentile;
use super::speech::{Clip, clips};
use crate::args::{BenchSpeechArgs, Global};
use crate::error::CliError;
use crate::model;
use crate::progress::Bars;

// A microphone's usual block.
const BLOCK: usize = SAMPLE_RATE as usize / 10;

/// What was seen while clips were played.
#[derive(Default)]
struct Totals {
    audio: f64,
    compute: f64,
    /// Seconds from the end of a clip's first word to its first appearance.
    first_word: Vec<f64>,
    /// Seconds from the end of each word until it was final.
    finalisation: Vec<f64>,
    volatile_words: usize,
    changed_words: usize,
    against_offline: ErrorCounts,
    against_text: Accuracy,
}

pub(super) fn run(args: &BenchSpeechArgs, global: &Global, cancel: &CancelToken) -> Result<(), CliError> {
    let clips = clips(args)?;
    let bars = Bars::new(global.quiet);
    let recognizer = model::load(&model::engine(global), args.model.model.as_ref(), &bars, cancel)?;
    let hotwords = model::hotwords(args.recording.hotwords.as_deref(), args.recording.hotword_strength, &recognizer)?;
    let (words, hotwords) = hotwords.unzip();
    let words = words.unwrap_or_default();
    let transcribe = Options {
        search: Search { beam: args.recording.beam, ..Search::default() },
        hotwords,
        vad: model::vad(&args.recording.vad, true)?,
        audio_context: args.recording.context.audio_context.into(),
        ..Options::default()
    };
    let default = LiveOptions::default();
    let options = LiveOptions { transcribe, step: args.step, trim: default.trim.max(args.step), ..default };
    let busy = args.with_load.then(BusyThread::start);
    let mut totals = Totals::default();
    for (done, clip) in clips.iter().enumerate() {
        bars.measuring(done, clips.len(), &clip.file);
        play(clip, &recognizer, &options, &words, &mut totals, cancel)?;
    }
    bars.clear();
    report(&mut totals, busy.as_ref().map(BusyThread::work), global)
}

/// Plays one clip: the clock is where the audio is, or later when decoding took longer than that.
fn play(
    clip: &Clip,
    recognizer: &Recognizer,
    options: &LiveOptions,
    hotwords: &[String],
    totals: &mut Totals,
    cancel: &CancelToken,
) -> Result<(), CliError> {
    let audio = decode_file(&clip.file)?;
    let mut transcriber = LiveTranscriber::new(recognizer, options, SAMPLE_RATE, 1, cancel)?;
    let mut watch = Watch::default();
    let (mut clock, mut events) = (0.0f64, Vec::new());
    let mut blocks = audio.samples().chunks(BLOCK).peekable();
    while let Some(block) = blocks.next() {
        let start = Instant::now();
        transcriber.push(block, &mut events)?;
        if blocks.peek().is_none() {
            transcriber.finish(&mut events)?;
        }
        let spent = start.elapsed().as_secs_f64();
        totals.compute += spent;
        clock = clock.max(transcriber.heard()) + spent;
        for event in events.drain(..) {
            watch.see(&event, clock, totals);
        }
    }
    totals.audio += audio.seconds();
    let live = english(&watch.text);
    let offline = recognizer.transcribe(&audio, &options.transcribe, &NoProgress, cancel)?;
    totals.against_offline += word_errors(&english(&offline.text), &live);
    if let Some(text) = &clip.text {
        totals.against_text.count(text, &watch.text, hotwords);
    }
    Ok(())
}

/// Follows the events of one clip.
#[derive(Default)]
struct Watch {
    text: String,
    /// Volatile words that the next events have to confirm.
    shown: Vec<String>,
    /// How many of them final text has confirmed or changed since.
    settled: usize,
    first_shown: Option<f64>,
    first_final: bool,
}

impl Watch {
    fn see(&mut self, event: &LiveEvent, clock: f64, totals: &mut Totals) {
        match event {
            LiveEvent::Volatile { text, .. } => {
                self.compare(text, totals);
                let unsettled = self.shown.len().saturating_sub(self.settled + text.words.len());
                totals.changed_words += unsettled;
                self.shown = text.words.iter().map(|word| word.text.clone()).collect();
                self.settled = 0;
                totals.volatile_words += self.shown.len();
                if !text.words.is_empty() {
                    self.first_shown.get_or_insert(clock);
                }
            }
            LiveEvent::Final { text, .. } => {
                self.compare(text, totals);
                self.settled += text.words.len();
                self.text.push_str(&text.text);
                totals.finalisation.extend(text.words.iter().map(|word| (clock - word.end).max(0.0)));
                let first = text.words.first().filter(|_| !self.first_final);
                if let Some(first) = first {
                    self.first_final = true;
                    totals.first_word.push((*self.first_shown.get_or_insert(clock) - first.end).max(0.0));
                }
            }
            _ => {}
        }
    }

    /// Counts the shown words that read differently now.
    fn compare(&self, text: &LiveText, totals: &mut Totals) {
        let shown = self.shown.iter().skip(self.settled);
        totals.changed_words += shown.zip(&text.words).filter(|(old, new)| **old != new.text).count();
    }
}

fn report(totals: &mut Totals, busy: Option<u64>, global: &Global) -> Result<(), CliError> {
    let changed = totals.changed_words as f64 / totals.volatile_words.max(1) as f64;
    let factor = totals.compute / totals.audio.max(1e-9);
    let quantiles = |values: &mut Vec<f64>| (percentile(values, 50), percentile(values, 90));
    let (first_word, finalisation) = (quantiles(&mut totals.first_word), quantiles(&mut totals.finalisation));
    let mut out = std::io::stdout().lock();
    if global.json {
        let mut object = json!({
            "audio_s": totals.audio,
            "real_time_factor": factor,
            "first_word_delay_s": {"median": first_word.0, "p90": first_word.1},
            "finalisation_delay_s": {"median": finalisation.0, "p90": finalisation.1},
            "volatile_words_changed": changed,
            "word_error_rate_against_offline": totals.against_offline.rate(),
            "peak_resident_bytes": peak_resident(),
            "busy_thread_work": busy,
        });
        totals.against_text.add_to(&mut object);
        writeln!(out, "{object}")?;
        return Ok(());
    }
    let seconds = |value: Option<f64>| value.map_or_else(|| "-".into(), |value| format!("{value:.2} s"));
    let beside = if busy.is_some() { ", beside a busy thread" } else { "" };
    writeln!(out, "{:.1} s of audio, played as it would be heard{beside}", totals.audio)?;
    writeln!(out, "  first word shown after    {} (90 %: {})", seconds(first_word.0), seconds(first_word.1))?;
    writeln!(out, "  word final after          {} (90 %: {})", seconds(finalisation.0), seconds(finalisation.1))?;
    writeln!(out, "  volatile words changed    {:.1} %", changed * 100.0)?;
    writeln!(out, "  against the offline text  {:.2} % word errors", totals.against_offline.rate() * 100.0)?;
    totals.against_text.print(26, &mut out)?;
    writeln!(out, "  real-time factor          {factor:.3}")?;
    if let Some(bytes) = peak_resident() {
        writeln!(out, "  peak memory               {}", sotto::Bytes(bytes))?;
    }
    Ok(())
}
