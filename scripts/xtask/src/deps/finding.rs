//! What the rules found, and how it is printed.

use std::fmt;

/// One broken rule: what is wrong, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong, naming the crate.
    pub what: String,
    /// What to change, and where.
    pub remedy: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n      {}", self.what, self.remedy)
    }
}

/// Results of all rules, in the order in which they were checked.
#[derive(Debug, Default)]
pub struct Report {
    rules: Vec<(&'static str, Vec<Finding>)>,
    /// How many crates were looked at, third-party ones included.
    pub crates: usize,
}

impl Report {
    /// Notes what a rule found; nothing found means that it holds.
    pub fn add(&mut self, rule: &'static str, findings: Vec<Finding>) {
        self.rules.push((rule, findings));
    }

    /// Whether all rules hold.
    pub fn passed(&self) -> bool {
        self.rules.iter().all(|(_, findings)| findings.is_empty())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (rule, findings) in &self.rules {
            match findings.len() {
                0 => writeln!(f, "  ok  {rule}")?,
                count => writeln!(f, "FAIL  {rule}: {count}")?,
            }
            for finding in findings {
                writeln!(f, "    - {finding}")?;
            }
        }
        let outcome = if self.passed() { "all rules hold" } else { "some rules are broken" };
        write!(f, "{} crates: {outcome}", self.crates)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_with_a_finding_fails_and_names_it() {
        let mut report = Report::default();
        report.add("licences", Vec::new());
        assert!(report.passed());
        report.add("layer order", vec![Finding { what: "a needs b".into(), remedy: "move it".into() }]);
        assert!(!report.passed());
        let text = report.to_string();
        assert!(text.contains("ok  licences") && text.contains("FAIL  layer order: 1"), "{text}");
        assert!(text.contains("a needs b") && text.contains("move it"), "{text}");
    }
}
