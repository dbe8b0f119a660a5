//! What was heard against what was said.

use std::io::{self, Write};

use serde_json::{Value, json};
use sotto::text::{ErrorCounts, contains_phrase, english, word_errors};

/// Word errors, and how many hotwords were found.
#[derive(Debug, Default, Clone)]
pub(super) struct Accuracy {
    with_hotwords: ErrorCounts,
    without_hotwords: ErrorCounts,
    said: usize,
    found: usize,
}

impl Accuracy {
    /// Counts one recording.
    pub(super) fn count(&mut self, said: &str, heard: &str, hotwords: &[String]) {
        let (said, heard) = (english(said), english(heard));
        let before = self.said;
        for word in hotwords.iter().map(|word| english(word)).filter(|word| contains_phrase(&said, word)) {
            self.said += 1;
            self.found += usize::from(contains_phrase(&heard, &word));
        }
        let errors = word_errors(&said, &heard);
        *(if self.said > before { &mut self.with_hotwords } else { &mut self.without_hotwords }) += errors;
    }

    fn errors(&self) -> ErrorCounts {
        self.with_hotwords + self.without_hotwords
    }

    /// Adds the figures to the object of `--json`.
    pub(super) fn add_to(&self, object: &mut Value) {
        object["word_error_rate"] = json!(rate(self.errors()));
        object["hotwords_said"] = json!(self.said);
        object["hotwords_found"] = json!(self.found);
        let split = (self.said > 0).then_some((self.with_hotwords, self.without_hotwords));
        object["word_error_rate_with_hotwords"] = json!(split.and_then(|(with, _)| rate(with)));
        object["word_error_rate_without_hotwords"] = json!(split.and_then(|(_, without)| rate(without)));
    }

    /// Prints the figures for people, their names as wide as `width`.
    pub(super) fn print(&self, width: usize, out: &mut impl Write) -> io::Result<()> {
        let errors = self.errors();
        let Some(all) = rate(errors) else { return Ok(()) };
        writeln!(
            out,
            "  {:width$}{:8.2} % ({} substituted, {} deleted, {} inserted of {} words)",
            "word error rate",
            all * 100.0,
            errors.substitutions,
            errors.deletions,
            errors.insertions,
            errors.reference_len()
        )?;
        if self.said == 0 {
            return Ok(());
        }
        writeln!(out, "  {:width$}{:8} of {}", "hotwords found", self.found, self.said)?;
        for (name, errors) in [("  clips with them", self.with_hotwords), ("  other clips", self.without_hotwords)] {
            if let Some(rate) = rate(errors) {
                writeln!(out, "  {name:width$}{:8.2} % word errors", rate * 100.0)?;
            }
        }
        Ok(())
    }
}

/// The error rate; `None` where nothing was said.
fn rate(errors: ErrorCounts) -> Option<f64> {
    (errors.reference_len() > 0).then(|| errors.rate())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_split_by_whether_a_hotword_was_said() {
        let mut accuracy = Accuracy::default();
        let hotwords = ["Light".to_owned(), "rice".to_owned()];
        accuracy.count("Turn the light on", "turn the night on", &hotwords);
        accuracy.count("Rice, please", "rice please", &hotwords);
        accuracy.count("Say it again", "say it", &hotwords);
        let mut object = json!({});
        accuracy.add_to(&mut object);
        assert_eq!((&object["hotwords_said"], &object["hotwords_found"]), (&json!(2), &json!(1)));
        assert_eq!(object["word_error_rate"], json!(2.0 / 9.0));
        assert_eq!(object["word_error_rate_with_hotwords"], json!(1.0 / 6.0));
        assert_eq!(object["word_error_rate_without_hotwords"], json!(1.0 / 3.0));
        let mut printed = Vec::new();
        accuracy.print(20, &mut printed).unwrap();
        let printed = String::from_utf8(printed).unwrap();
        assert!(printed.contains("1 of 2") && printed.contains("16.67 %") && printed.contains("33.33 %"), "{printed}");
    }

    #[test]
    fn without_texts_and_hotwords_there_are_no_rates() {
        let mut object = json!({});
        Accuracy::default().add_to(&mut object);
        assert!(object["word_error_rate"].is_null());
        let mut accuracy = Accuracy::default();
        accuracy.count("again", "again", &[]);
        accuracy.add_to(&mut object);
        assert_eq!(object["word_error_rate"], json!(0.0));
        assert!(object["word_error_rate_without_hotwords"].is_null());
    }
}
