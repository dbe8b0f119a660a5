//! Chores of the workspace, run as `cargo xtask CHORE`.

#![forbid(unsafe_code)]

mod android;
mod apple;
mod artifact;
mod bindings;
mod deps;
mod failure;
mod inventory;
mod library;
mod options;
mod report;
mod shipped;
mod workspace;
mod zip;

use std::process::ExitCode;

use failure::Failure;
use options::Options;
use workspace::Workspace;

const USAGE: &str = "\
Usage: cargo xtask CHORE [OPTION…]

  deps        check licences, duplicate versions, layer order, network access and unsafe code of all crates
              (rules: deny.toml and scripts/xtask/src/deps; reasons: docs/ARCHITECTURE.md)
  bindings    generate Kotlin and Swift from the host library, and compare what apps see of them with bindings/api
                --check          fail when that has changed
                --accept         write the change to bindings/api
                --library FILE   a library that is built already";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((chore, options)) = arguments.split_first() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let result = match chore.as_str() {
        "deps" => deps(options),
        "bindings" => bindings(options),
        "--help" | "-h" | "help" => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => Err(Failure::Usage(format!("there is no chore `{chore}`"))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo xtask {chore}: {error}");
            ExitCode::from(if matches!(error, Failure::Usage(_)) { 2 } else { 1 })
        }
    }
}

fn deps(options: &[String]) -> Result<(), Failure> {
    Options::of(options).end()?;
    let report = deps::check_workspace(Workspace::here().root()).map_err(|error| Failure::Broken(error.to_string()))?;
    report.into_result()
}

fn bindings(options: &[String]) -> Result<(), Failure> {
    let mut options = Options::of(options);
    let surface = match (options.flag("--check"), options.flag("--accept")) {
        (false, false) => bindings::Surface::Tell,
        (true, false) => bindings::Surface::Check,
        (false, true) => bindings::Surface::Accept,
        (true, true) => return Err(Failure::Usage("`--check` and `--accept` exclude each other".into())),
    };
    let library = options.value("--library")?.map(Into::into);
    options.end()?;
    bindings::make(&Workspace::here(), &bindings::Options { surface, library })
}
