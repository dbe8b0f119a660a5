//! `sotto quantize`: packs a model into one file that is mapped and used where it lies.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use sotto::audio::decode_file;
use sotto::packing::{Provenance, QuantizeOptions, Quantized, quantize};
use sotto::speech::{ModelSource, Options, Precision};
use sotto::store::{self, Manifest};
use sotto::text::{ErrorCounts, english, word_errors};
use sotto::{CancelToken, Engine, NoProgress, Progress, ProgressSink, Stage};

use crate::args::{Global, QuantizeArgs};
use crate::bench::speech::listed;
use crate::error::CliError;
use crate::model;
use crate::progress::Bars;

pub(crate) fn run(args: &QuantizeArgs, global: &Global, cancel: &CancelToken) -> Result<(), CliError> {
    // Before minutes of work, and again when the file is moved into its place.
    if !args.force && args.destination.exists() {
        let problem = format!("{}: exists already; --force replaces it", args.destination.display());
        return Err(CliError::Failed(problem));
    }
    let path = args.source.path()?;
    let source = ModelSource::Path(path.clone());
    let bars = Bars::new(global.quiet);
    let mut measured = args.quality.as_deref().map(figures).transpose()?.unwrap_or_default();
    if let Some(list) = &args.measure {
        measured.insert("word_error_rate".into(), word_error_rates(&source, list, args, global, &bars, cancel)?);
    }
    let options = QuantizeOptions {
        weights: args.weight_types(),
        layout: args.layout.layout(),
        keep_int8: args.keep_int8.clone(),
        compact: args.compact,
        replace: args.force,
        provenance: provenance(&path, args.licence.clone(), &bars, cancel)?,
        measured: Some(Value::from(measured).to_string()),
    };
    let quantized = quantize(&source, &args.destination, &options, &bars, cancel)?;
    bars.clear();
    report(args, global, &quantized)
}

fn report(args: &QuantizeArgs, global: &Global, quantized: &Quantized) -> Result<(), CliError> {
    let Quantized { bytes, weights, layout, errors, worst } = quantized;
    let mut out = std::io::stdout().lock();
    if global.json {
        let errors: Map<String, Value> =
            errors.iter().map(|class| (class.name.clone(), class.relative.into())).collect();
        let worst = worst.as_ref().map(|worst| json!({"matrix": worst.name, "relative_error": worst.relative}));
        let file = args.destination.display().to_string();
        let object = json!({
            "file": file,
            "bytes": bytes.0,
            "weights": weights.to_string(),
            "layout": layout.name(),
            "relative_error": errors,
            "worst": worst,
        });
        writeln!(out, "{object}")?;
        return Ok(());
    }
    let file = args.destination.display();
    writeln!(out, "{file}: {bytes}, {weights} weights for {layout} kernels")?;
    for class in errors {
        writeln!(out, "  {:5.2} % off the source  {}", 100.0 * class.relative, class.name)?;
    }
    if let Some(worst) = worst {
        writeln!(out, "  {:5.2} % at most         {}", 100.0 * worst.relative, worst.name)?;
    }
    if errors.is_empty() {
        writeln!(out, "  the weights are those of the packed source")?;
    }
    Ok(())
}

/// A JSON object of figures.
fn figures(file: &Path) -> Result<Map<String, Value>, CliError> {
    let failed = |problem: String| CliError::Failed(format!("{}: {problem}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| failed(error.to_string()))?;
    match serde_json::from_str(&text) {
        Ok(Value::Object(figures)) => Ok(figures),
        Ok(_) => Err(failed("not a JSON object".into())),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// Word error rates of greedy decoding on a list, in f32 and packed: what packing costs.
fn word_error_rates(
    source: &ModelSource,
    list: &Path,
    args: &QuantizeArgs,
    global: &Global,
    bars: &Bars,
    cancel: &CancelToken,
) -> Result<Value, CliError> {
    let clips = listed(&[list.to_owned()])?;
    // Beside the destination, where there is room for it.
    let folder = args.destination.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = tempfile::tempdir_in(folder.unwrap_or(Path::new("."))).map_err(|error| {
        CliError::Failed(format!("{}: cannot be written: {}", args.destination.display(), error.kind()))
    })?;
    let (packed, weights) = (folder.path().join("measured.sotto"), args.weight_types());
    // In the layout of this machine's kernels, whose bits all others give as well.
    let options = QuantizeOptions { weights, ..QuantizeOptions::default() };
    quantize(source, &packed, &options, bars, cancel)?;
    let rate = |source: &ModelSource, precision| -> Result<ErrorCounts, CliError> {
        let mut options = model::engine_options(global);
        options.load.precision = Some(precision);
        let recognizer = model::load_source(&Engine::new(options), source, bars, cancel)?;
        let mut errors = ErrorCounts::default();
        for (index, clip) in clips.iter().enumerate() {
            bars.measuring(index, clips.len(), &clip.file);
            let Some(text) = &clip.text else { continue };
            let audio = decode_file(&clip.file)?;
            let heard = recognizer.transcribe(&audio, &Options::greedy(), &NoProgress, cancel)?.text;
            errors += word_errors(&english(text), &english(&heard));
        }
        bars.clear();
        Ok(errors)
    };
    let exact = rate(source, Precision::F32)?;
    let packed = rate(&ModelSource::Path(packed), Precision::Int8)?;
    let rounded = |errors: &ErrorCounts| (errors.rate() * 1e4).round() / 1e4;
    let list = list.file_name().unwrap_or_default().display().to_string();
    Ok(json!({
        "f32": rounded(&exact),
        weights.to_string(): rounded(&packed),
        "words": exact.reference_len(),
        "clips": clips.len(),
        "list": list,
    }))
}

/// What is known of where the model comes from: the hash of its weights, what the store noted, its licence.
fn provenance(path: &Path, licence: Option<String>, bars: &Bars, cancel: &CancelToken) -> Result<Provenance, CliError> {
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new(".")) };
    let hashes = hashes(path, bars, cancel)?;
    let manifest = std::fs::read(folder.join("sotto.json")).ok().and_then(|json| Manifest::parse(&json).ok());
    // It may lie beside other files, or the weights may have been replaced: it is about those whose hashes it lists.
    let manifest = manifest.filter(|manifest| {
        let lists = |hash: &String| manifest.files.iter().any(|file| file.sha256.eq_ignore_ascii_case(hash));
        hashes.iter().all(|(hash, _)| lists(hash))
    });
    // The name of an imported model is its user's, and no publisher knows its commit.
    let pulled = manifest.as_ref().filter(|manifest| !manifest.is_imported());
    let repository = pulled.map(|manifest| manifest.name.to_string());
    let revision = pulled.map(|manifest| manifest.commit.as_str().to_owned());
    let stated = manifest.as_ref().and_then(|manifest| manifest.licence.clone());
    // Beside a file lies anything; what lies in a folder is the model's own.
    let licence_text = if path.is_dir() { licence_file(path) } else { None };
    Ok(Provenance { sha256: Some(combined(&hashes)), repository, revision, licence: licence.or(stated), licence_text })
}

// The longest licence text in use, the GPL's, has 35 kB.
const MAX_LICENCE: u64 = 64 << 10;

fn licence_file(folder: &Path) -> Option<String> {
    let names = ["LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE"];
    let path = names.iter().map(|name| folder.join(name)).find(|path| path.is_file())?;
    (path.metadata().ok()?.len() <= MAX_LICENCE).then(|| std::fs::read_to_string(path).ok())?
}

/// SHA-256 and name of each file of weights, sorted by name.
fn hashes(path: &Path, bars: &Bars, cancel: &CancelToken) -> Result<Vec<(String, String)>, CliError> {
    let single = path.join("model.safetensors");
    let files: Vec<PathBuf> = match path.is_dir() {
        false => vec![path.to_owned()],
        true if single.is_file() => vec![single],
        true => {
            let is_shard = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "safetensors");
            let mut shards: Vec<PathBuf> =
                std::fs::read_dir(path)?.filter_map(|entry| Some(entry.ok()?.path())).filter(is_shard).collect();
            shards.sort();
            shards
        }
    };
    let mut hashes = Vec::new();
    for file in &files {
        let total = file.metadata().ok().map(|metadata| metadata.len());
        let name = file.file_name().unwrap_or_default().display().to_string();
        let report = |done| {
            bars.report(&Progress { stage: Stage::Verify, done, total, subject: (&*name).into() });
        };
        hashes.push((store::sha256(file, cancel, report)?, name.clone()));
    }
    bars.clear();
    Ok(hashes)
}

/// SHA-256 of the weights: of the one file, or of the shards' hashes and names as `sha256sum` prints them.
fn combined(hashes: &[(String, String)]) -> String {
    match hashes {
        [(only, _)] => only.clone(),
        shards => {
            let lines: String = shards.iter().map(|(hash, name)| format!("{hash}  {name}\n")).collect();
            store::sha256_of(lines.as_bytes())
        }
    }
}
