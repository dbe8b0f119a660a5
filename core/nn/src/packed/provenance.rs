//! Metadata of a packed model: its origin, its licence and its quantization error.

use std::fmt::Display;

use serde_json::{Map, Value, json};

use super::{Contents, PackedModel, TensorError};

/// Metadata key: types of the weights.
const WEIGHTS: &str = "sotto.weights";
/// Metadata key: what is known of the source, a JSON object.
pub const SOURCE: &str = "sotto.source";
/// Metadata key: the licence, in the publisher's short form.
pub const LICENCE: &str = "sotto.licence";
/// Metadata key: the text of the licence.
const LICENCE_TEXT: &str = "sotto.licence_text";
/// Metadata key: quantization error and measured figures, a JSON object.
pub const QUALITY: &str = "sotto.quality";
/// Metadata key: the program that wrote the file.
const WRITER: &str = "sotto.writer";

/// Where a model comes from, as far as it is known. It is copied into the packed file verbatim.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provenance {
    /// SHA-256 of the weight file, in hexadecimal digits.
    pub sha256: Option<String>,
    /// Name of the repository that it was fetched from.
    pub repository: Option<String>,
    /// Commit of the repository.
    pub revision: Option<String>,
    /// Licence, in the publisher's short form.
    pub licence: Option<String>,
    /// Text of the licence.
    pub licence_text: Option<String>,
}

/// Quantization error of a group of weights.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassError {
    /// Kind of layer, or name of the matrix.
    pub name: String,
    /// Root mean square of the differences, divided by that of the weights: 0.005 is half a percent.
    pub relative: f64,
}

/// Quantization error: how far the weights are from the source's.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Quality {
    /// By kind of layer.
    pub classes: Vec<ClassError>,
    /// The matrix with the largest relative error.
    pub worst: Option<ClassError>,
}

impl Quality {
    /// Sums the errors of all matrices by kind of layer. `classes` pairs patterns of matrix names, in which `*` stands
    /// for a number, with the names of the kinds.
    #[must_use]
    pub fn of(errors: &[TensorError], classes: &[(&str, &str)]) -> Self {
        Self { classes: by_class(errors, classes), worst: worst(errors) }
    }
}

/// The metadata of a model that is being packed.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    entries: Vec<(&'static str, String)>,
    notes: Map<String, Value>,
    quality: Quality,
}

impl Description {
    /// The metadata of a published model; `format` is the format of most of its weights.
    #[must_use]
    pub fn new(format: &str, provenance: &Provenance, quality: Quality) -> Self {
        let Provenance { sha256, repository, revision, licence, licence_text } = provenance;
        let mut origin = Map::new();
        origin.insert("format".into(), format.into());
        for (key, value) in [("sha256", sha256), ("repository", repository), ("revision", revision)] {
            if let Some(value) = value {
                origin.insert(key.into(), value.clone().into());
            }
        }
        let mut entries = vec![(SOURCE, Value::from(origin).to_string())];
        for (key, value) in [(LICENCE, licence), (LICENCE_TEXT, licence_text)] {
            entries.extend(value.clone().map(|value| (key, value)));
        }
        let mut notes = Map::new();
        let errors: Map<String, Value> =
            quality.classes.iter().map(|class| (class.name.clone(), rounded(class.relative).into())).collect();
        notes.insert("relative_error".into(), errors.into());
        if let Some(worst) = &quality.worst {
            let relative = rounded(worst.relative);
            notes.insert("worst".into(), json!({ "matrix": worst.name, "relative_error": relative }));
        }
        Self { entries, notes, quality }
    }

    /// The metadata of a model that is already packed.
    #[must_use]
    pub fn kept(model: &PackedModel) -> Self {
        let entry = |key| model.metadata(key).map(|value| (key, value.to_owned()));
        let notes = model.metadata(QUALITY).and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
        let entries = [SOURCE, LICENCE, LICENCE_TEXT].into_iter().filter_map(entry).collect();
        Self { entries, notes, quality: Quality::default() }
    }

    /// Adds measured figures, if there are any.
    pub fn measured(&mut self, figures: Map<String, Value>) {
        if !figures.is_empty() {
            self.notes.insert("measured".into(), figures.into());
        }
    }

    /// The quantization error; empty for a model that was already packed.
    #[must_use]
    pub fn quality(&self) -> &Quality {
        &self.quality
    }

    /// Writes everything, and the types of the weights, to the metadata.
    pub fn write(self, weights: impl Display, contents: &mut Contents) {
        contents.set_metadata(WEIGHTS, weights.to_string());
        contents.set_metadata(WRITER, concat!("sotto ", env!("CARGO_PKG_VERSION")).to_owned());
        for (key, value) in self.entries {
            contents.set_metadata(key, value);
        }
        contents.set_metadata(QUALITY, Value::from(self.notes).to_string());
    }
}

/// Parses measured figures from the text of a JSON object; empty without text.
///
/// # Errors
/// When the text is not a JSON object.
pub fn figures(json: Option<&str>) -> Result<Map<String, Value>, serde_json::Error> {
    json.map_or_else(|| Ok(Map::new()), serde_json::from_str)
}

/// Rounds to six digits, which are enough, and the same on every machine.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

/// The error of each kind of layer, over all its matrices.
fn by_class(errors: &[TensorError], classes: &[(&str, &str)]) -> Vec<ClassError> {
    let is_of = |name: &str, pattern: &str| match pattern.split_once('*') {
        None => name.starts_with(pattern),
        Some((stem, part)) => {
            let rest = name.strip_prefix(stem).map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
            rest.is_some_and(|rest| rest.starts_with(part))
        }
    };
    let class = |(pattern, name): &(&str, &str)| {
        let mut members = errors.iter().filter(|error| is_of(&error.name, pattern)).peekable();
        members.peek()?;
        let mut sum = TensorError { name: (*name).to_owned(), squared_error: 0.0, squared_weights: 0.0 };
        for error in members {
            sum.squared_error += error.squared_error;
            sum.squared_weights += error.squared_weights;
        }
        Some(ClassError { relative: sum.relative(), name: sum.name })
    };
    classes.iter().filter_map(class).collect()
}

fn worst(errors: &[TensorError]) -> Option<ClassError> {
    let worst = errors.iter().max_by(|a, b| a.relative().total_cmp(&b.relative()))?;
    Some(ClassError { name: worst.name.clone(), relative: worst.relative() })
}
