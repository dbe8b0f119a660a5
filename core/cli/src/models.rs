//! `sotto models`: fetch, import, list, check, switch and remove models.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use sotto::store::{
    Hub, ImportRequest, Installed, Manifest, Network, Origin, PullRequest, Revision, Store, StoreError, Token,
};
use sotto::{Bytes, CancelToken};

use crate::args::Global;
use crate::cache::{self, CacheCommand};
use crate::error::CliError;
use crate::hint::Told;
use crate::model;
use crate::named::store;
use crate::progress::Bars;

/// What to do with the model store.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// Fetch a model from its publisher or from a folder, or go on with a pull that was stopped.
    Pull(PullArgs),
    /// Take a model that is on this machine already into the store: a folder, or a file such as a packed model.
    Import(ImportArgs),
    /// Make another version that is here the one that the plain name means.
    Activate {
        /// Model and version, such as `openai/whisper-tiny.en@v1` or `firefox/en-de@3f2a91c`; `list` shows them.
        #[arg(value_name = "NAME@REVISION")]
        name: String,
    },
    /// Go back to the version that was active before; again, to the one before that.
    Rollback {
        /// Full name, or its last part where that is unambiguous.
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// List the models that are here.
    #[command(visible_alias = "ls")]
    List,
    /// Remove a model, or one revision of it with `NAME@REVISION`.
    #[command(visible_alias = "rm")]
    Remove {
        /// Full name, or its last part where that is unambiguous.
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Read models in full and compare them with the hashes that their publishers state.
    Verify {
        /// Names as `list` shows them; without any, every model.
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// Print the folder of a model, or that of the store.
    Path {
        /// Full name, or its last part where that is unambiguous.
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },
    /// Look after the models that were packed when they were pulled or loaded, so that they load in milliseconds.
    Cache {
        /// What to do; `list` where nothing is said.
        #[command(subcommand)]
        command: Option<CacheCommand>,
    },
}

/// Options of `sotto models pull`.
#[derive(Debug, Args)]
pub(crate) struct PullArgs {
    /// A repository such as openai/whisper-tiny.en, or a ggml file such as ggerganov/whisper.cpp/ggml-tiny.en.bin;
    /// with @REVISION for a branch, tag or commit other than main.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Fetch from a folder instead of the hub: an https address or a path, where a revision of a store was copied to,
    /// with its sotto.json.
    #[arg(long, value_name = "URL|PATH")]
    from: Option<String>,
    /// Ask the hub or the folder also when the model is here: fetch a newer commit, repair damaged files.
    #[arg(long)]
    update: bool,
    /// File with an access token for gated or private models; otherwise HF_TOKEN, which goes to the hub only.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Options of `sotto models import`.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// What the model is called from now on, such as firefox/en-de; one word gets the owner `local`. With @REVISION for
    /// what this version is called.
    #[arg(value_name = "NAME")]
    name: String,
    /// A file, or a folder whose files are the model.
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Move the files instead of copying them.
    #[arg(long = "move")]
    take: bool,
    /// Licence to be noted, such as apache-2.0.
    #[arg(long, value_name = "ID")]
    licence: Option<String>,
}

/// One revision of a model, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Record<'a> {
    name: String,
    commit: &'a str,
    revision: Option<&'a str>,
    active: bool,
    previous: bool,
    imported: Option<bool>,
    path: String,
    bytes: Option<u64>,
    licence: Option<&'a str>,
    pulled_at: Option<&'a str>,
    problems: &'a [String],
}

impl<'a> From<&'a Installed> for Record<'a> {
    fn from(installed: &'a Installed) -> Self {
        let manifest = installed.manifest.as_ref().ok();
        Self {
            name: installed.name.to_string(),
            commit: installed.commit.as_str(),
            revision: manifest.map(|manifest| manifest.revision.as_str()),
            active: installed.active,
            previous: installed.previous,
            imported: manifest.map(Manifest::is_imported),
            path: installed.path.display().to_string(),
            bytes: manifest.map(Manifest::size),
            licence: manifest.and_then(|manifest| manifest.licence.as_deref()),
            pulled_at: manifest.map(|manifest| manifest.pulled_at.as_str()),
            problems: &installed.problems,
        }
    }
}

/// Runs the command on the store of the environment. Ctrl-C keeps what a pull has fetched.
pub(crate) fn run(command: &ModelsCommand, global: &Global, cancel: &CancelToken) -> Result<(), CliError> {
    let (json, bars) = (global.json, || Bars::new(global.quiet));
    if let ModelsCommand::Cache { command } = command {
        return cache::run(command.as_ref().unwrap_or(&CacheCommand::List), json, &mut io::stdout().lock());
    }
    let store = store()?;
    let mut out = io::stdout().lock();
    match command {
        ModelsCommand::Pull(args) => pull(&store, args, global, &bars, cancel, &mut out),
        ModelsCommand::Import(args) => import(&store, args, global, &bars, cancel, &mut out),
        ModelsCommand::Activate { name } => {
            let Some((name, revision)) = name.split_once('@') else {
                return Err(CliError::Usage(format!(
                    "{name}: which version? Say {name}@REVISION; `sotto models list` shows them"
                )));
            };
            let revision: Revision = revision.parse()?;
            switched(&store.activate(name, &revision)?, json, &mut out)
        }
        ModelsCommand::Rollback { name } => switched(&store.rollback(name)?, json, &mut out),
        ModelsCommand::List => list(&store, json, &mut out),
        ModelsCommand::Remove { names } => remove(&store, names, global, cancel, &mut out),
        ModelsCommand::Verify { names } => verify(&store, names, json, &bars, cancel, &mut out),
        ModelsCommand::Path { name } => {
            let path = name.as_ref().map_or_else(|| Ok(store.dir().to_owned()), |name| store.resolve(name))?;
            if json {
                line(&mut out, &serde_json::json!({ "path": path.display().to_string() }))
            } else {
                Ok(writeln!(out, "{}", path.display())?)
            }
        }
        ModelsCommand::Cache { .. } => unreachable!("answered above: it needs no store"),
    }
}

fn pull(
    store: &Store,
    args: &PullArgs,
    global: &Global,
    bars: &dyn Fn() -> Bars,
    cancel: &CancelToken,
    out: &mut impl Write,
) -> Result<(), CliError> {
    let origin = origin(args)?;
    // All names are checked before the first byte is fetched.
    let requests: Vec<_> = args
        .names
        .iter()
        .map(|name| Ok(PullRequest::new(name, origin.clone())?.with_update(args.update)))
        .collect::<Result<_, StoreError>>()?;
    let network = Network::from_env();
    for request in &requests {
        let bars = bars();
        let pulled = store.pull(request, &network, &bars, cancel);
        bars.clear();
        let path = pulled?;
        if let Some(packed) = model::cache(global) {
            cache::pack(&packed, &path, global, cancel)?;
        }
        let Some(installed) = store.list()?.into_iter().find(|installed| installed.path == path) else { continue };
        ready(&installed, global.json, out)?;
    }
    Ok(())
}

/// Where the models come from. The token of the environment belongs to the hub: no folder gets it.
fn origin(args: &PullArgs) -> Result<Origin, CliError> {
    let origin = match &args.from {
        Some(_) if args.names.len() > 1 => {
            return Err(CliError::Usage("--from: a folder has one model; pull one NAME at a time".to_owned()));
        }
        Some(place) => Origin::folder(place)?,
        None => Hub::from_env()?.into(),
    };
    match &args.token_file {
        Some(path) => Ok(origin.with_token(Token::from_file(path)?)?),
        None => Ok(origin),
    }
}

/// Says that a model can be loaded from now on.
fn ready(installed: &Installed, json: bool, out: &mut impl Write) -> Result<(), CliError> {
    if json {
        return line(out, &Record::from(installed));
    }
    let bytes = installed.manifest.as_ref().map_or(0, Manifest::size);
    let licence = installed.manifest.as_ref().ok().and_then(|manifest| manifest.licence.as_deref());
    let imported = installed.manifest.as_ref().is_ok_and(Manifest::is_imported);
    let licence = licence.unwrap_or(if imported { "not stated" } else { "not stated; see its model card" });
    let path = installed.path.display();
    Ok(writeln!(out, "{} is ready: {}, licence {licence}, {path}", installed.name, Bytes(bytes))?)
}

fn import(
    store: &Store,
    args: &ImportArgs,
    global: &Global,
    bars: &dyn Fn() -> Bars,
    cancel: &CancelToken,
    out: &mut impl Write,
) -> Result<(), CliError> {
    let mut request = ImportRequest::new(&args.name)?;
    request.take = args.take;
    request.licence.clone_from(&args.licence);
    let bars = bars();
    let imported = store.import(&request, &args.path, &bars, cancel);
    bars.clear();
    let imported = imported?;
    if !global.quiet {
        if !imported.left_out.is_empty() {
            eprintln!("sotto: no part of the model, left where it is: {}", imported.left_out.join(", "));
        }
        for kept in &imported.kept {
            eprintln!("sotto: warning: {} could not be deleted; it is in the store all the same", kept.display());
        }
    }
    if let Some(packed) = model::cache(global) {
        cache::pack(&packed, &imported.installed.path, global, cancel)?;
    }
    ready(&imported.installed, global.json, out)
}

/// Says which version a name means from now on.
fn switched(installed: &Installed, json: bool, out: &mut impl Write) -> Result<(), CliError> {
    if json {
        return line(out, &Record::from(installed));
    }
    let revision = installed.manifest.as_ref().map_or("", |manifest| manifest.revision.as_str());
    let (name, commit, path) = (&installed.name, installed.commit.short(), installed.path.display());
    Ok(writeln!(out, "{name} is now {revision} ({commit}), {path}")?)
}

fn list(store: &Store, json: bool, out: &mut impl Write) -> Result<(), CliError> {
    let all = store.list()?;
    if json {
        return all.iter().try_for_each(|installed| line(out, &Record::from(installed)));
    }
    if all.is_empty() {
        return Ok(writeln!(
            out,
            "no models in {}; fetch one with `sotto models pull openai/whisper-tiny.en`",
            store.dir().display()
        )?);
    }
    let width = all.iter().map(|installed| installed.name.to_string().len()).max().unwrap_or(0);
    let labels = all.iter().filter_map(|installed| Some(installed.manifest.as_ref().ok()?.revision.len()));
    let label = labels.max().unwrap_or(0).min(20);
    for installed in &all {
        let mark = if installed.active { '*' } else { ' ' };
        let name = installed.name.to_string();
        let commit = installed.commit.short();
        match (&installed.manifest, installed.problems.first()) {
            (Ok(manifest), None) => {
                let size = Bytes(manifest.size()).to_string();
                let day = manifest.pulled_at.get(..10).unwrap_or(&manifest.pulled_at);
                let licence = manifest.licence.as_deref().unwrap_or("licence not stated");
                let revision = &manifest.revision;
                let before = if installed.previous { "  active before" } else { "" };
                writeln!(
                    out,
                    "{mark} {name:width$}  {commit}  {revision:label$}  {size:>10}  {day}  {licence}{before}"
                )?;
            }
            (_, problem) => {
                let problem = problem.map_or("unreadable", String::as_str);
                writeln!(out, "{mark} {name:width$}  {commit}  damaged: {problem}")?;
            }
        }
    }
    Ok(())
}

fn remove(
    store: &Store,
    names: &[String],
    global: &Global,
    cancel: &CancelToken,
    out: &mut impl Write,
) -> Result<(), CliError> {
    for name in names {
        cancel.check()?;
        // Under the names that the cache knows them by.
        let before: Vec<PathBuf> =
            store.list()?.into_iter().map(|found| found.path.canonicalize().unwrap_or(found.path)).collect();
        let mut freed = store.remove(name)?;
        if let Some(packed) = model::cache(global) {
            // What was packed of it goes too; where that cannot be removed it will go as the least recently used.
            let gone = before.iter().filter(|path| !path.exists());
            freed += gone.map(|path| packed.forget(path).map_or(0, |bytes| bytes.0)).sum::<u64>();
        }
        if global.json {
            line(out, &serde_json::json!({ "name": name, "removed": true, "bytes": freed }))?;
        } else {
            writeln!(out, "{name} is removed, {} freed", Bytes(freed))?;
        }
    }
    Ok(())
}

/// Checks every model before it reports failure, so that one damaged model does not hide another.
fn verify(
    store: &Store,
    names: &[String],
    json: bool,
    bars: &dyn Fn() -> Bars,
    cancel: &CancelToken,
    out: &mut impl Write,
) -> Result<(), CliError> {
    let names = if names.is_empty() {
        store.list()?.iter().map(|installed| format!("{}@{}", installed.name, installed.commit)).collect()
    } else {
        names.to_vec()
    };
    let mut first_failure = None;
    for name in &names {
        let bars = bars();
        let checked = store.verify(name, &bars, cancel);
        bars.clear();
        match checked {
            Ok(manifest) if json => line(
                out,
                &serde_json::json!({
                    "name": manifest.name.to_string(), "commit": manifest.commit.as_str(), "intact": true,
                    "files": manifest.files.len(), "bytes": manifest.size(),
                }),
            )?,
            Ok(manifest) => writeln!(
                out,
                "{} {} is intact: {} files, {}",
                manifest.name,
                manifest.commit.short(),
                manifest.files.len(),
                Bytes(manifest.size())
            )?,
            Err(StoreError::Cancelled(cancelled)) => return Err(cancelled.into()),
            Err(error) => {
                if json {
                    let problem = Told(&error).to_string();
                    line(out, &serde_json::json!({ "name": name, "intact": false, "problem": problem }))?;
                }
                if let Some(earlier) = first_failure.replace(error) {
                    eprintln!("sotto: {}", Told(&earlier));
                }
            }
        }
    }
    first_failure.map_or(Ok(()), |error| Err(error.into()))
}

pub(crate) fn line(out: &mut impl Write, value: &impl Serialize) -> Result<(), CliError> {
    let text = serde_json::to_string(value).map_err(io::Error::from)?;
    Ok(writeln!(out, "{text}")?)
}
