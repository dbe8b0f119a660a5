//! From what was typed to a loaded model.

use std::path::Path;
use std::sync::Arc;

use sotto::cache::PackedCache;
use sotto::speech::{self, DeviceStatus, Hotwords, ModelSource, Recognizer, Vad};
use sotto::starter::{LARGER_SPEECH_MODEL, SPEECH_DESCRIPTION};
use sotto::vad::load_detector;
use sotto::{Bytes, CancelToken, Engine, EngineOptions, LoadOptions, MemoryBudget, Threads, starter};

use crate::args::{Global, VadArgs};
use crate::error::CliError;
use crate::hint::Told;
use crate::named::NamedModel;
use crate::progress::Bars;

pub(crate) fn engine(global: &Global) -> Engine {
    Engine::new(engine_options(global))
}

pub(crate) fn engine_options(global: &Global) -> EngineOptions {
    let limit = |megabytes| MemoryBudget::limited(Bytes(megabytes << 20));
    let load = LoadOptions {
        threads: Threads::new(global.threads),
        budget: global.memory.map_or_else(MemoryBudget::unlimited, limit),
        precision: Some(global.precision.precision()),
        device: global.device.device(),
        ..LoadOptions::default()
    };
    EngineOptions { load, cache: cache(global) }
}

/// The user's cache of packed models, unless none is wanted or there is no place for one.
pub(crate) fn cache(global: &Global) -> Option<PackedCache> {
    if global.no_cache { None } else { PackedCache::default_dir().map(PackedCache::new) }
}

/// A speech recognizer: the one that is named, else the starter's.
pub(crate) fn speech(name: Option<&NamedModel>) -> Result<ModelSource, CliError> {
    name.map_or_else(|| Ok(starter::speech()), |name| Ok(ModelSource::Path(name.path()?)))
}

/// Says on stderr that the starter model answers, where none is named, and how to get a larger one.
pub(crate) fn say_which_answers(name: Option<&NamedModel>, global: &Global) {
    if name.is_none() && !global.quiet {
        eprintln!(
            "sotto: {SPEECH_DESCRIPTION}; a larger model makes fewer errors: \
             `sotto models pull {LARGER_SPEECH_MODEL}`, then --model {LARGER_SPEECH_MODEL}"
        );
    }
}

/// Refuses what the starter model cannot do, where no model is named.
///
/// # Errors
/// [`CliError::Usage`] for another language than English, and for translating.
pub(crate) fn check_starter(name: Option<&NamedModel>, language: &str, translate: bool) -> Result<(), CliError> {
    let other = sotto::text::language(language).filter(|language| language.code != "en");
    let wanted = match (name, other) {
        (None, Some(other)) => format!("--language {}", other.code),
        (None, None) if translate => "--task translate".to_owned(),
        _ => return Ok(()),
    };
    let problem = format!(
        "{wanted}: the starter recognizer knows English only; fetch a multilingual model, once: \
         `sotto models pull {LARGER_SPEECH_MODEL}`, then --model {LARGER_SPEECH_MODEL}"
    );
    Err(CliError::Usage(problem))
}

pub(crate) fn load(
    engine: &Engine,
    name: Option<&NamedModel>,
    bars: &Bars,
    cancel: &CancelToken,
) -> Result<Recognizer, CliError> {
    load_source(engine, &speech(name)?, bars, cancel)
}

/// Loads a model and says so where the device that was asked for cannot be used, or the model could not be kept packed.
pub(crate) fn load_source(
    engine: &Engine,
    source: &ModelSource,
    bars: &Bars,
    cancel: &CancelToken,
) -> Result<Recognizer, CliError> {
    let recognizer = engine.speech(source, bars, cancel)?;
    bars.clear();
    if let Some(problem) = engine.take_cache_problem().filter(|_| !bars.are_quiet()) {
        eprintln!("sotto: warning: the model is not in the cache, so loading it takes longer: {}", Told(&problem));
    }
    if let DeviceStatus::Failed { reason } = recognizer.device_status() {
        eprintln!("sotto: the CPU computes, as the device cannot be used: {reason}");
    }
    Ok(recognizer)
}

/// The voice activity detector, where it is wanted: the built-in one unless another is named. Live text has one
/// `by_default`.
pub(crate) fn vad(args: &VadArgs, by_default: bool) -> Result<Option<Vad>, CliError> {
    if args.no_vad || !(args.vad || by_default) {
        return Ok(None);
    }
    let mut vad = match &args.vad_model {
        Some(name) => Vad::new(load_detector(&name.path()?).map_err(speech::Error::from)?),
        None => Vad::builtin(),
    };
    if let Some(threshold) = args.vad_threshold {
        vad.options.threshold = threshold;
    }
    Ok(Some(vad))
}

/// The words of a file and the trie that favours them.
pub(crate) type HotwordList = (Vec<String>, Arc<Hotwords>);

/// Words of a file, one per line; `#` begins a comment.
pub(crate) fn hotwords(
    file: Option<&Path>,
    strength: Option<f32>,
    recognizer: &Recognizer,
) -> Result<Option<HotwordList>, CliError> {
    let Some(file) = file else { return Ok(None) };
    let text = std::fs::read_to_string(file)
        .map_err(|error| CliError::Failed(format!("{}: {error}; expected text, one word per line", file.display())))?;
    let words: Vec<String> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    let strength = strength.unwrap_or(Hotwords::DEFAULT_STRENGTH);
    if !strength.is_finite() {
        return Err(CliError::Usage("--hotword-strength must be a number".into()));
    }
    let hotwords = recognizer.hotwords(&words, strength)?;
    Ok(Some((words, Arc::new(hotwords))))
}
