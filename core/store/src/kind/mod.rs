//! Kinds of models: how each is told from others, which files it consists of, and how these are checked.
//!
//! A kind is one entry of one [table]; choosing, importing and checking read that entry and know no kind by
//! name. So a new kind is a new entry.

mod check;
mod select;
mod table;

use crate::error::{StoreError, shown};
use crate::name::{ModelName, last_component};

pub(crate) use check::{MAX_CONFIG, model_type};
pub(crate) use select::refuse_unsafe_names;
pub(crate) use table::KNOWN;

/// The file of a folder that says what kind of model it is.
pub(crate) const CONFIG: &str = "config.json";

/// One kind of model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    /// What messages call it, with what it is known by.
    pub(crate) name: &'static str,
    pub(crate) sign: Sign,
    /// What a folder of this kind consists of, all of it needed; nothing where the model is one file.
    pub(crate) parts: &'static [Part],
    /// Files of a folder that are taken where they are there.
    pub(crate) optional: &'static [&'static str],
}

/// How a model of a kind is told from others, before it is fetched and, by its contents, afterwards.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sign {
    /// A folder whose [`CONFIG`] names one of these as its `model_type`.
    ModelType(&'static [&'static str]),
    /// One file.
    File {
        /// What its name ends with.
        ending: &'static str,
        /// What publishers let such names begin with: files that are worth being named in a message.
        usual: &'static str,
        /// Bytes that it has, and where.
        magic: &'static [u8],
        at: u64,
    },
}

/// One thing that a folder must have, in one form or another.
#[derive(Debug)]
pub(crate) struct Part {
    /// Its forms: the first one that is there is taken, and the first of all is named where none is.
    pub(crate) any_of: &'static [Files],
    /// Files that stand for it and run code when they are loaded: refused.
    pub(crate) pickles: &'static [&'static str],
}

/// Files that belong together.
#[derive(Debug)]
pub(crate) enum Files {
    One(&'static str),
    /// All of `needed`, and of `also` what is there.
    Several {
        needed: &'static [&'static str],
        also: &'static [&'static str],
    },
    /// An index and all shards that it speaks of: `before00001-of-00002after`.
    Shards {
        index: &'static str,
        before: &'static str,
        after: &'static str,
    },
}

/// A table of kinds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kinds(pub(crate) &'static [Kind]);

impl Kinds {
    /// The kind of a folder by its model type.
    pub(crate) fn of_type(self, model_type: &str) -> Option<&'static Kind> {
        let fits = |kind: &&Kind| matches!(kind.sign, Sign::ModelType(types) if types.contains(&model_type));
        self.0.iter().find(fits)
    }

    /// The kind of a file by its name.
    pub(crate) fn of_file(self, name: &str) -> Option<&'static Kind> {
        self.0.iter().find(|kind| matches!(kind.sign, Sign::File { ending, .. } if name.ends_with(ending)))
    }

    /// Endings of the files that are models by themselves.
    pub(crate) fn endings(self) -> impl Iterator<Item = &'static str> {
        self.0.iter().filter_map(|kind| match kind.sign {
            Sign::File { ending, .. } => Some(ending),
            Sign::ModelType(_) => None,
        })
    }

    /// The error of a model that no entry fits.
    pub(crate) fn unknown(self, repository: &str, found: String, alternatives: Vec<String>) -> StoreError {
        let known = self.0.iter().map(|kind| kind.name).collect();
        StoreError::UnknownKind { repository: shown(repository), found, known, alternatives }
    }

    /// Refuses the name of a single file that no kind has; a whole repository may be anything so far.
    pub(crate) fn check_name(self, model: &ModelName) -> Result<(), StoreError> {
        match model.file() {
            Some(file) if self.of_file(file).is_none() => Err(self.unknown_file(&model.repository(), file)),
            _ => Ok(()),
        }
    }

    fn unknown_file(self, repository: &str, file: &str) -> StoreError {
        self.unknown(repository, format!("{} ends like none of them", shown(last_component(file))), Vec::new())
    }
}

#[cfg(test)]
pub(crate) mod tests;
