//! `sotto profile`: speed, memory, energy and quality of a model on this machine, and whether the answer can be
//! trusted.

mod desk;
mod print;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use sotto::audio::decode_file;
use sotto::profile::{
    self, Controls, ProfileError, ProfileOptions, ProfileReport, Readings, SpeechClip, SpeechWorkload, compare, page,
};
use sotto::speech::Options;

use self::desk::Desk;
use crate::args::{Global, ProfileArgs};
use crate::error::CliError;
use crate::interrupt::Interrupt;
use crate::model;
use crate::named::NamedModel;
use crate::progress::Bars;

// Often enough to see a clock fall; a reading takes well under a millisecond.
const BETWEEN_READINGS: Duration = Duration::from_millis(500);

pub(crate) fn run(args: &ProfileArgs, global: &Global, interrupt: &Interrupt) -> Result<(), CliError> {
    if let [a, b] = args.compare.as_slice() {
        return compare_reports(a, b, args, global);
    }
    let report = measure(args, global, interrupt)?;
    write_page(args.html.as_deref(), || page::report(&report), global)?;
    if global.json { print::json(&report) } else { print::report(&report) }
}

fn measure(args: &ProfileArgs, global: &Global, interrupt: &Interrupt) -> Result<ProfileReport, CliError> {
    let (engine, bars) = (model::engine(global), Bars::new(global.quiet));
    let named = args.model.model.as_ref();
    model::say_which_answers(named, global);
    let source = model::speech(named)?;
    let options = Options { audio_context: args.context.audio_context.into(), ..Options::default() };
    let name = named.map_or_else(|| source.name(), NamedModel::short);
    let mut workload = SpeechWorkload::new(&engine, source, name, vec![clip(args)?], options);
    let mut desk = Desk::new(Path::new("/"));
    let profile_options = ProfileOptions {
        sustained: Duration::from_secs(args.seconds.into()),
        machine: desk.machine(),
        allocations: Some(|work| allocation_counter::measure(work).count_total),
        ..ProfileOptions::default()
    };
    let readings = Readings::new();
    let done = AtomicBool::new(false);
    // The first interrupt ends the sustained phase, and what was measured is shown.
    let controls = Controls { progress: &bars, end: interrupt.recording(), cancel: interrupt.cancel() };
    readings.push(desk.reading());
    let report = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                thread::park_timeout(BETWEEN_READINGS);
                readings.push(desk.reading());
            }
        });
        let report = profile::run(&mut workload, &profile_options, &readings, controls);
        done.store(true, Ordering::Relaxed);
        reader.thread().unpark();
        report
    });
    bars.clear();
    report.map_err(failed)
}

/// The clip to measure with: the built-in one unless another is named.
fn clip(args: &ProfileArgs) -> Result<SpeechClip, CliError> {
    let Some(file) = &args.clip else { return SpeechClip::builtin().map_err(failed) };
    let audio = decode_file(file)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if audio.samples().is_empty() {
        return Err(CliError::Failed(format!("{}: there is no audio to measure with", file.display())));
    }
    Ok(SpeechClip { name, audio, text: args.reference.clone() })
}

fn compare_reports(a: &Path, b: &Path, args: &ProfileArgs, global: &Global) -> Result<(), CliError> {
    let (a, b) = (read(a)?, read(b)?);
    write_page(args.html.as_deref(), || page::comparison(&a, &b), global)?;
    let comparison = compare::differences(&a, &b);
    if global.json { print::comparison_json(&comparison) } else { print::comparison(&a, &b, &comparison) }
}

fn read(file: &Path) -> Result<ProfileReport, CliError> {
    let failed = |problem: String| CliError::Failed(format!("{}: {problem}", file.display()));
    let json = std::fs::read_to_string(file).map_err(|error| failed(error.to_string()))?;
    ProfileReport::from_json(&json).map_err(|error| failed(error.to_string()))
}

fn write_page(file: Option<&Path>, page: impl FnOnce() -> String, global: &Global) -> Result<(), CliError> {
    let Some(file) = file else { return Ok(()) };
    std::fs::write(file, page()).map_err(|error| CliError::Failed(format!("{}: {error}", file.display())))?;
    if !global.quiet {
        eprintln!("sotto: the page is in {}", file.display());
    }
    Ok(())
}

fn failed(error: ProfileError) -> CliError {
    match error {
        ProfileError::Cancelled(cancelled) => cancelled.into(),
        ProfileError::Load(error) => error.into(),
        ProfileError::Speech(error) => error.into(),
        ProfileError::Audio(error) => error.into(),
        other => CliError::Failed(other.to_string()),
    }
}
