//! The `sotto` command line: every task of Sotto on a desk.
//!
//! Results go to stdout (with `--json` one object per line), progress and messages to stderr. Exit codes: 0 done,
//! 1 failed, 2 wrong usage, 130 cancelled.

#![forbid(unsafe_code)]

mod args;
mod bench;
mod cache;
mod demo;
mod error;
mod hint;
mod inspect;
mod interrupt;
mod model;
mod models;
mod named;
mod profile;
mod progress;
mod quantize;
mod transcribe;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use sotto::kernels::KernelSet;

use args::{Arguments, Command};
use error::CliError;
use interrupt::Interrupt;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let interrupt = match Interrupt::listen() {
        Ok(interrupt) => interrupt,
        Err(error) => {
            eprintln!("sotto: Ctrl-C cannot be caught ({error}); it will end the program at once");
            Interrupt::default()
        }
    };
    match run(&arguments, &interrupt) {
        Ok(()) => ExitCode::SUCCESS,
        // Whatever was interrupted by it may say so in its own words.
        Err(error) if interrupt.cancel().is_cancelled() || matches!(error, CliError::Cancelled(_)) => {
            eprintln!("sotto: cancelled");
            ExitCode::from(130)
        }
        // Whoever read our output has gone, as `sotto … | head` does: nothing is left to say.
        Err(CliError::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sotto: {error}");
            ExitCode::from(if matches!(error, CliError::Usage(_)) { 2 } else { 1 })
        }
    }
}

fn run(arguments: &Arguments, interrupt: &Interrupt) -> Result<(), CliError> {
    let (global, cancel) = (&arguments.global, interrupt.cancel());
    if !global.quiet && !matches!(arguments.command, Command::Models(_) | Command::Completions { .. }) {
        warn_of_another_kernel_set();
    }
    match &arguments.command {
        Command::Demo => demo::run(global, cancel),
        Command::Transcribe(options) => transcribe::run(options, global, interrupt),
        Command::Models(command) => Ok(models::run(command, global, cancel)?),
        Command::Quantize(options) => quantize::run(options, global, cancel),
        Command::Inspect(options) => inspect::run(options, global, cancel),
        Command::Bench(command) => bench::run(command, global, cancel),
        Command::Profile(options) => profile::run(options, global, interrupt),
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut Arguments::command(), "sotto", &mut std::io::stdout());
            Ok(())
        }
    }
}

/// Says once that what `SOTTO_ISA` asks for is not what computes: all sets give the same text, but not in the same
/// time.
fn warn_of_another_kernel_set() {
    if let Some(notice) = KernelSet::notice() {
        eprintln!("sotto: warning: {notice}");
    }
}
