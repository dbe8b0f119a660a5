//! A profile in the terminal.

use std::io::Write;

use sotto::profile::compare::{Comparison, figures};
use sotto::profile::{EnergyMethod, ProfileReport, Validity, Verdict};

use crate::error::CliError;

// Of the names before the figures.
const WIDTH: usize = 30;

pub(super) fn json(report: &ProfileReport) -> Result<(), CliError> {
    let json = report.to_json().map_err(|error| CliError::Failed(error.to_string()))?;
    writeln!(std::io::stdout().lock(), "{json}")?;
    Ok(())
}

pub(super) fn report(report: &ProfileReport) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", subject(report))?;
    for figure in figures(report) {
        let value = figure.value.map_or_else(|| "not measured".to_owned(), |value| figure.unit.show(value));
        writeln!(out, "  {:WIDTH$}{value}", figure.label)?;
    }
    if report.energy.method == EnergyMethod::NotMeasured {
        writeln!(out, "  energy was not measured: {}", report.energy.notes.join("; "))?;
    } else {
        report.energy.notes.iter().try_for_each(|note| writeln!(out, "  energy: {note}"))?;
    }
    verdict(&mut out, "", &report.verdict)
}

fn subject(report: &ProfileReport) -> String {
    let (subject, machine) = (&report.measured.subject, &report.measured.machine);
    format!(
        "{}, {}, {}, {} threads, on {}",
        subject.model, subject.precision, subject.kernels, subject.threads, machine.name
    )
}

fn verdict(out: &mut impl Write, of: &str, verdict: &Verdict) -> Result<(), CliError> {
    writeln!(out, "{of}{}", validity(verdict.validity))?;
    for reason in &verdict.reasons {
        writeln!(out, "  {}: {}", validity(reason.validity), reason.text)?;
    }
    Ok(())
}

fn validity(validity: Validity) -> &'static str {
    match validity {
        Validity::Valid => "valid",
        Validity::Semivalid => "semivalid",
        Validity::Invalid => "invalid",
    }
}

pub(super) fn comparison_json(comparison: &Comparison) -> Result<(), CliError> {
    let json = serde_json::to_string(comparison).map_err(|error| CliError::Failed(error.to_string()))?;
    writeln!(std::io::stdout().lock(), "{json}")?;
    Ok(())
}

pub(super) fn comparison(a: &ProfileReport, b: &ProfileReport, comparison: &Comparison) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "A  {}", subject(a))?;
    writeln!(out, "B  {}", subject(b))?;
    for warning in &comparison.warnings {
        writeln!(out, "careful: {warning}")?;
    }
    writeln!(out, "  {:WIDTH$}{:>14}{:>14}   B against A", "", "A", "B")?;
    for difference in &comparison.differences {
        let show =
            |value: Option<f64>| value.map_or_else(|| "not measured".to_owned(), |value| difference.unit.show(value));
        let change = match (difference.a.zip(difference.b), difference.change) {
            (None, _) => String::new(),
            (_, Some(change)) if difference.notable => {
                format!("{:+.1} % {}", change * 100.0, if change < 0.0 { "better" } else { "worse" })
            }
            (Some((a, b)), None) if b > a => "worse".into(),
            _ => "alike".into(),
        };
        writeln!(out, "  {:WIDTH$}{:>14}{:>14}   {change}", difference.label, show(difference.a), show(difference.b))?;
    }
    verdict(&mut out, "A is ", &a.verdict)?;
    verdict(&mut out, "B is ", &b.verdict)
}
