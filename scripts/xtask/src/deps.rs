//! `cargo xtask deps`: the rules that keep the dependency tree what `docs/ARCHITECTURE.md` says it is.
//!
//! Everything is read from `cargo metadata`; nothing is fetched beyond what cargo itself needs. The rules:
//!
//! * [`licences`]: every crate's licence expression is satisfied by the allow-list of `deny.toml`;
//! * [`duplicates`]: one version of each crate in what ships, but for the entries of `deny.toml` with their reasons;
//! * [`layers`]: workspace crates depend on lower ones only, and neither task crates nor what apps link reach the
//!   network;
//! * [`reasons`]: every direct dependency has its reason in `docs/ARCHITECTURE.md`;
//! * [`imports`]: inside a crate files of different folders do not import each other in a circle;
//! * [`lines`]: lines of at most 120 columns;
//! * [`tracked`]: git knows no symbolic links;
//! * [`unsafe_code`]: `#![forbid(unsafe_code)]` in every crate, with the few files listed that may contain it;
//! * [`messages`]: what apps link names no command, option or variable of a terminal in its texts.

mod duplicates;
mod graph;
mod imports;
mod layers;
mod licences;
mod lines;
mod messages;
mod policy;
mod reasons;
mod shipped_source;
mod spdx;
mod tracked;
mod unsafe_code;

use std::path::{Path, PathBuf};
use std::process::Command;

use graph::Graph;
use policy::Policy;

use crate::report::Report;

/// Why the rules could not be checked at all.
#[derive(Debug, thiserror::Error)]
pub enum DepsError {
    #[error("`{command}` could not be started: {source}")]
    Start { command: String, source: std::io::Error },
    #[error(
        "`{command}` failed; if it names the lock file, run `cargo check` there and commit the lock file:\n{stderr}"
    )]
    Metadata { command: String, stderr: String },
    #[error("`{command}` failed: {stderr}")]
    Git { command: String, stderr: String },
    #[error("`{command}` printed JSON that is not cargo metadata: {source}")]
    Json { command: String, source: serde_json::Error },
    #[error("{}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} is no Rust: {source}", path.display())]
    Lex { path: PathBuf, source: proc_macro2::LexError },
    #[error("{}: {source}", path.display())]
    Policy { path: PathBuf, source: toml::de::Error },
}

/// Checks the workspace at `root` and its fuzzing workspace against all rules.
///
/// # Errors
/// [`DepsError`] when cargo fails, most often because a lock file is out of date, or when `deny.toml` cannot be read.
/// Broken rules are not errors: they are in the report.
pub fn check_workspace(root: &Path) -> Result<Report, DepsError> {
    let policy = Policy::read(&root.join("deny.toml"))?;
    // Optional features may not bring in what the rules forbid, so the whole workspace is looked at with all of them.
    let whole = metadata(root, &["--all-features"])?;
    let fuzz = metadata(&root.join("core/fuzz"), &["--all-features"])?;
    let shipped = policy
        .targets()
        .iter()
        .map(|target| metadata(root, &["--filter-platform", target]))
        .collect::<Result<Vec<_>, _>>()?;

    let mut report = Report::on(format!("{} crates", whole.packages().len()));
    report.add("licences", licences::check(&[&whole, &fuzz], &policy));
    report.add("duplicate versions", duplicates::check(&shipped, &policy));
    report.add("layer order", layers::check_order(&whole));
    report.add("other languages in the bindings only", layers::check_bindings(&whole));
    report.add("no network in task crates", layers::check_network(&whole));
    let mut trees = Vec::new();
    for name in layers::PHONES.iter().filter(|name| whole.members().any(|package| package.name == **name)) {
        trees.push((*name, tree(root, name)?));
    }
    let trees = trees.iter().map(|(name, tree)| (*name, tree.as_str()));
    report.add("no network in what apps link", layers::check_phones(trees));
    report.add("a reason for each dependency", reasons::check(&whole, &read(&root.join("docs/ARCHITECTURE.md"))?));
    report.add("unsafe code", unsafe_code::check(&whole)?);
    report.add("imports without circles", imports::check(&whole)?);
    report.add("lines of 120 columns", lines::check(root)?);
    report.add("no links in git", tracked::check_links(root)?);
    report.add("messages that apps can show", messages::check(&whole)?);
    Ok(report)
}

fn read(path: &Path) -> Result<String, DepsError> {
    std::fs::read_to_string(path).map_err(|source| DepsError::Read { path: path.to_owned(), source })
}

/// The error of a source file that cannot be read as Rust.
fn lex(path: &Path) -> impl FnOnce(proc_macro2::LexError) -> DepsError {
    move |source| DepsError::Lex { path: path.to_owned(), source }
}

fn metadata(folder: &Path, extra: &[&str]) -> Result<Graph, DepsError> {
    let arguments = [&["metadata", "--format-version", "1", "--locked"], extra].concat();
    let (shown, output) = cargo(folder, &arguments)?;
    Graph::from_json(&output).map_err(|source| DepsError::Json { command: shown, source })
}

/// Every crate that `name` contains when it is built alone with its default features, for any target, one per line.
fn tree(root: &Path, name: &str) -> Result<String, DepsError> {
    let edges = ["--edges", "normal,build", "--target", "all", "--prefix", "none"];
    let (_, output) = cargo(root, &[&["tree", "--locked", "--package", name], &edges[..]].concat())?;
    Ok(String::from_utf8_lossy(&output).into_owned())
}

/// What a command of cargo prints, and the command for messages.
fn cargo(folder: &Path, arguments: &[&str]) -> Result<(String, Vec<u8>), DepsError> {
    // The cargo that runs us, so that the toolchain file of the workspace counts.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(arguments).current_dir(folder);
    let shown = format!("cargo {} (in {})", arguments.join(" "), folder.display());
    let output = command.output().map_err(|source| DepsError::Start { command: shown.clone(), source })?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(DepsError::Metadata { command: shown, stderr });
    }
    Ok((shown, output.stdout))
}
