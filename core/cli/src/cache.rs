//! `sotto models cache`: the models that were packed when they were pulled or loaded.

use std::io::Write;
use std::path::Path;
use std::time::SystemTime;

use clap::Subcommand;
use serde_json::json;
use sotto::cache::{CacheError, PackedCache};
use sotto::speech::{LoadError, ModelSource};
use sotto::{Bytes, CancelToken};

use crate::args::Global;
use crate::error::CliError;
use crate::hint::Told;
use crate::models::line;
use crate::progress::Bars;

/// What to do with the cache of packed models.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// List the packed models, the last used first.
    #[command(visible_alias = "ls")]
    List,
    /// Remove all packed models; they are packed again when they are loaded.
    Clear,
    /// Say how much room all packed models may take, or set it; what is beyond it goes, least recently used first.
    Limit {
        /// Bytes, with `k`, `M`, `G` or `T` in binary units (`2G`); 0 keeps none, `unlimited` keeps all.
        #[arg(value_name = "SIZE", value_parser = size)]
        size: Option<Bytes>,
    },
}

pub(crate) fn run(command: &CacheCommand, json: bool, out: &mut impl Write) -> Result<(), CliError> {
    let Some(folder) = PackedCache::default_dir() else {
        return Err(CliError::Failed("no folder for packed models: set SOTTO_CACHE to one".into()));
    };
    let cache = PackedCache::new(folder);
    match command {
        CacheCommand::List => list(&cache, json, out),
        CacheCommand::Clear => {
            let freed = cache.clear()?;
            match json {
                true => line(out, &json!({ "cleared": true, "bytes": freed.0 })),
                false => Ok(writeln!(out, "the cache is empty, {freed} freed")?),
            }
        }
        CacheCommand::Limit { size } => {
            let freed = size.map(|size| cache.set_limit(size)).transpose()?;
            let limit = cache.limit();
            match (json, freed) {
                (true, freed) => line(out, &json!({ "limit": limit.0, "freed": freed.map(|freed| freed.0) })),
                (false, None) => Ok(writeln!(out, "packed models may take {}", shown(limit))?),
                (false, Some(freed)) => Ok(writeln!(out, "packed models may take {}; {freed} freed", shown(limit))?),
            }
        }
    }
}

fn list(cache: &PackedCache, json: bool, out: &mut impl Write) -> Result<(), CliError> {
    let models = cache.models()?;
    if !json && models.is_empty() {
        let folder = cache.dir().display();
        return Ok(writeln!(out, "no packed models in {folder}; models are packed when they are pulled or loaded")?);
    }
    for model in &models {
        let source = model.source.as_ref().map(|source| source.display().to_string());
        let unused = SystemTime::now().duration_since(model.used).unwrap_or_default();
        if json {
            let path = model.path.display().to_string();
            let seconds = unused.as_secs();
            line(out, &json!({ "path": path, "bytes": model.bytes.0, "source": source, "used_seconds_ago": seconds }))?;
            continue;
        }
        let days = unused.as_secs() / (24 * 3600);
        let used = match days {
            0 => "used today".to_owned(),
            1 => "used yesterday".to_owned(),
            days => format!("used {days} days ago"),
        };
        let size = model.bytes.to_string();
        writeln!(out, "{size:>10}  {used:<18}  {}", source.as_deref().unwrap_or("unknown source"))?;
    }
    if !json {
        let total: Bytes = models.iter().map(|model| model.bytes).sum();
        writeln!(out, "{total} of {} in {}", shown(cache.limit()), cache.dir().display())?;
    }
    Ok(())
}

/// Packs a model that was just fetched. What cannot be packed is fetched all the same.
pub(crate) fn pack(cache: &PackedCache, path: &Path, global: &Global, cancel: &CancelToken) -> Result<(), CliError> {
    let bars = Bars::new(global.quiet);
    let packed = cache.pack(&ModelSource::Path(path.to_owned()), &bars, cancel);
    bars.clear();
    match packed {
        Ok(_) => Ok(()),
        Err(CacheError::Cancelled(cancelled)) => Err(cancelled.into()),
        // Other tasks have models too, such as voice activity detection.
        Err(CacheError::Load(LoadError::Cancelled(cancelled))) => Err(cancelled.into()),
        Err(CacheError::Load(_)) => Ok(()),
        Err(problem) => {
            if !global.quiet {
                eprintln!("sotto: warning: the model is not packed, so loading it takes longer: {}", Told(&problem));
            }
            Ok(())
        }
    }
}

/// A limit for people.
fn shown(limit: Bytes) -> String {
    if limit == UNLIMITED { "any number of bytes".to_owned() } else { limit.to_string() }
}

const UNLIMITED: Bytes = Bytes(u64::MAX);

/// `500M`, `2G`, `unlimited`.
fn size(text: &str) -> Result<Bytes, String> {
    if text.eq_ignore_ascii_case("unlimited") {
        return Ok(UNLIMITED);
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text[digits.len()..].to_ascii_lowercase().trim_end_matches("ib").trim_end_matches('b') {
        "" => 1_u64,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        "t" => 1 << 40,
        _ => return Err("the units are k, M, G and T".into()),
    };
    let is_plain = digits.chars().all(|c| c.is_ascii_digit() || c == '.');
    match digits.parse::<f64>() {
        Ok(count) if is_plain => Ok(Bytes((count * unit as f64) as u64)),
        _ => Err("expected a size such as 500M or 2G".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let mebibyte = 1 << 20;
        for (text, bytes) in [
            ("0", 0),
            ("1234", 1234),
            ("500M", 500 * mebibyte),
            ("500mb", 500 * mebibyte),
            ("1.5GiB", 1536 * mebibyte),
            ("2G", 2048 * mebibyte),
            ("1t", mebibyte * mebibyte),
            ("unlimited", u64::MAX),
        ] {
            assert_eq!(size(text), Ok(Bytes(bytes)), "{text}");
        }
        for text in ["", "G", "-1", "1.2.3", "2 apples", "1e3", "nan", "inf", "5X"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
