//! The words behind a chore.

use crate::failure::Failure;

/// Words that no one has asked for yet.
#[derive(Debug)]
pub struct Options(Vec<String>);

impl Options {
    /// The words behind a chore.
    pub fn of(words: &[String]) -> Self {
        Self(words.to_vec())
    }

    /// Whether a switch is there.
    pub fn flag(&mut self, name: &str) -> bool {
        let found = self.0.iter().position(|word| word == name);
        found.map(|at| self.0.remove(at)).is_some()
    }

    /// What stands behind a name, once.
    ///
    /// # Errors
    /// [`Failure::Usage`] when nothing does.
    pub fn value(&mut self, name: &str) -> Result<Option<String>, Failure> {
        let Some(at) = self.0.iter().position(|word| word == name) else { return Ok(None) };
        self.0.remove(at);
        if at < self.0.len() && !self.0[at].starts_with("--") {
            return Ok(Some(self.0.remove(at)));
        }
        Err(Failure::Usage(format!("`{name}` needs a value")))
    }

    /// What stands behind each occurrence of a name.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    pub fn values(&mut self, name: &str) -> Result<Vec<String>, Failure> {
        let mut values = Vec::new();
        while let Some(value) = self.value(name)? {
            values.push(value);
        }
        Ok(values)
    }

    /// The next word that is no option.
    ///
    /// # Errors
    /// [`Failure::Usage`] naming `what` when there is none.
    pub fn word(&mut self, what: &str) -> Result<String, Failure> {
        match self.0.iter().position(|word| !word.starts_with("--")) {
            Some(at) => Ok(self.0.remove(at)),
            None => Err(Failure::Usage(format!("{what} is missing"))),
        }
    }

    /// Nothing may be left.
    ///
    /// # Errors
    /// [`Failure::Usage`] naming the first word that nobody asked for.
    pub fn end(self) -> Result<(), Failure> {
        match self.0.first() {
            Some(word) => Err(Failure::Usage(format!("`{word}` is not understood"))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Options {
        Options(line.split_whitespace().map(str::to_owned).collect())
    }

    #[test]
    fn options_stand_in_any_order() {
        let mut options = options("--abi x86_64 file.aar --stub --abi arm64-v8a");
        assert!(options.flag("--stub") && !options.flag("--stub"));
        assert_eq!(options.values("--abi").unwrap(), ["x86_64", "arm64-v8a"]);
        assert_eq!(options.word("FILE").unwrap(), "file.aar");
        options.end().unwrap();
    }

    #[test]
    fn what_is_missing_or_too_much_is_named() {
        assert!(options("--out").value("--out").unwrap_err().to_string().contains("--out"));
        assert!(options("--out --stub").value("--out").is_err());
        assert!(options("--stub").word("FILE").unwrap_err().to_string().contains("FILE"));
        assert!(options("--wrong").end().unwrap_err().to_string().contains("--wrong"));
    }
}
