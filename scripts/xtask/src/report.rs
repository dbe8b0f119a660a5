//! What the rules of a chore found, and how it is printed.

use std::fmt;

/// One broken rule: what is wrong, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong, naming the crate or file.
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
    left_out: Vec<String>,
    subject: String,
}

impl Report {
    /// An empty report on `subject`: "120 crates", or the name of a file.
    pub fn on(subject: impl Into<String>) -> Self {
        Self { subject: subject.into(), ..Self::default() }
    }

    /// Notes what could not be checked, and why; it is printed, so that nobody takes it for checked.
    pub fn leave_out(&mut self, what: impl Into<String>) {
        self.left_out.push(what.into());
    }

    /// The rules that do not hold, in the order in which they were checked.
    pub fn broken(&self) -> Vec<&'static str> {
        self.rules.iter().filter(|(_, findings)| !findings.is_empty()).map(|(rule, _)| *rule).collect()
    }

    /// Notes what a rule found; nothing found means that it holds.
    pub fn add(&mut self, rule: &'static str, findings: Vec<Finding>) {
        self.rules.push((rule, findings));
    }

    /// Prints the report and fails when a rule is broken.
    ///
    /// # Errors
    /// [`Failure::Broken`](crate::failure::Failure::Broken) with the names of the broken rules.
    pub fn into_result(self) -> Result<(), crate::failure::Failure> {
        println!("{self}");
        if self.passed() {
            return Ok(());
        }
        Err(crate::failure::Failure::Broken(format!("broken: {}", self.broken().join(", "))))
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
        for what in &self.left_out {
            writeln!(f, "  --  not checked: {what}")?;
        }
        let outcome = if self.passed() { "all rules hold" } else { "some rules are broken" };
        write!(f, "{}: {outcome}", self.subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_with_a_finding_fails_and_names_it() {
        let mut report = Report::on("two crates");
        report.add("licences", Vec::new());
        assert!(report.passed());
        report.add("layer order", vec![Finding { what: "a needs b".into(), remedy: "move it".into() }]);
        assert!(!report.passed());
        let text = report.to_string();
        assert!(text.contains("ok  licences") && text.contains("FAIL  layer order: 1"), "{text}");
        assert!(text.contains("a needs b") && text.contains("move it"), "{text}");
        assert!(text.ends_with("two crates: some rules are broken"), "{text}");
        assert_eq!(report.broken(), ["layer order"]);
    }

    #[test]
    fn what_was_not_checked_is_said() {
        let mut report = Report::on("app.apk");
        report.leave_out("the native library, which is not in it");
        assert!(report.to_string().contains("not checked: the native library"));
    }
}
