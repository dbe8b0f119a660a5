//! Chores of the workspace, run as `cargo xtask CHORE`.

#![forbid(unsafe_code)]

mod deps;

use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask CHORE

  deps    check licences, duplicate versions, layer order, network access and unsafe code of all crates
          (rules: deny.toml and scripts/xtask/src/deps; reasons: docs/ARCHITECTURE.md)";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["deps"] => match deps::check_workspace(&workspace_root()) {
            Ok(report) => {
                println!("{report}");
                if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
            }
            Err(error) => {
                eprintln!("cargo xtask deps: {error}");
                ExitCode::FAILURE
            }
        },
        ["--help" | "-h" | "help"] => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// The folder of the workspace's `Cargo.toml`, two above this crate.
fn workspace_root() -> PathBuf {
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root.pop();
    root
}
