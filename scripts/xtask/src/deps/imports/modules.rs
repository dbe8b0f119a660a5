//! The modules of a crate and what each imports, as paths of modules below `src`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::super::{DepsError, lex, read};
use super::source::Source;

/// The modules of a crate, by their paths: `a/b` is `src/a/b.rs` or `src/a/b/mod.rs`, the empty path the root.
#[derive(Debug, Default)]
pub struct Modules(BTreeMap<Vec<String>, Source>);

// A chain of re-exports is never that long, but one of macros might lead in a circle.
const LONGEST_CHAIN: usize = 8;

impl Modules {
    /// Reads all files below `source`.
    ///
    /// # Errors
    /// When one cannot be read, or is no Rust.
    pub fn read(source: &Path) -> Result<Self, DepsError> {
        let mut files = Vec::new();
        collect(source, source, &mut files)?;
        Self::of(files.iter().map(|(path, text)| (path.as_str(), text.as_str())))
    }

    /// Modules from paths of files and their texts.
    ///
    /// # Errors
    /// When one is no Rust.
    pub fn of<'f>(files: impl Iterator<Item = (&'f str, &'f str)>) -> Result<Self, DepsError> {
        let read = |(path, text): (&str, &str)| Ok((module(path), Source::read(text).map_err(lex(Path::new(path)))?));
        let mut modules: BTreeMap<_, _> = files.map(read).collect::<Result<_, DepsError>>()?;
        let for_tests: Vec<Vec<String>> = modules
            .iter()
            .flat_map(|(module, source)| source.test_modules.iter().map(|name| child(module, name)))
            .collect();
        modules.retain(|module, _| !for_tests.iter().any(|test| module.starts_with(test)));
        Ok(Self(modules))
    }

    /// Which modules each imports from, itself not counted.
    pub fn imports(&self) -> BTreeMap<String, BTreeSet<String>> {
        let edges = |(module, source): (&Vec<String>, &Source)| {
            let targets = source.imports.iter().filter(|import| {
                // A module that shows what stands below it has nothing from there.
                let below = self.resolve(module, &import.path, 0).is_some_and(|target| target.starts_with(module));
                !(below && import.shown_as.is_some())
            });
            let targets = targets.filter_map(|import| self.resolve(module, &import.path, 0));
            let targets = targets.filter(|target| target != module).map(|target| target.join("/"));
            (module.join("/"), targets.collect())
        };
        self.0.iter().map(edges).collect()
    }

    /// The folder of a module: its own where there are modules below it, else that of its parent.
    pub fn folder<'m>(&self, module: &'m str) -> &'m str {
        let has_children = self.0.keys().any(|other| other.join("/").starts_with(&format!("{module}/")));
        if has_children || module.is_empty() {
            module
        } else {
            module.rsplit_once('/').map_or("", |(parent, _)| parent)
        }
    }

    /// The module that defines what `path` names in `module`; `None` for another crate's.
    fn resolve(&self, module: &[String], path: &[String], depth: usize) -> Option<Vec<String>> {
        let (first, mut rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Vec::new(),
            "super" => {
                let parents = path.iter().take_while(|part| *part == "super").count();
                rest = &path[parents..];
                module[..module.len().checked_sub(parents)?].to_vec()
            }
            "self" => module.to_vec(),
            name if self.0.contains_key(&child(module, name)) => {
                rest = path;
                module.to_vec()
            }
            _ => return None,
        };
        while let Some((name, behind)) = rest.split_first() {
            let below = child(&at, name);
            if self.0.contains_key(&below) {
                (at, rest) = (below, behind);
                continue;
            }
            let shown = self.0.get(&at)?.imports.iter().find(|import| import.shown_as.as_ref() == Some(name));
            return match shown {
                Some(import) if depth < LONGEST_CHAIN => self.resolve(&at, &import.path, depth + 1),
                _ => Some(at),
            };
        }
        Some(at)
    }
}

fn child(module: &[String], name: &str) -> Vec<String> {
    module.iter().cloned().chain([name.to_owned()]).collect()
}

/// `a/b.rs` and `a/b/mod.rs` are the module `a/b`.
fn module(path: &str) -> Vec<String> {
    let stem = path.strip_suffix(".rs").unwrap_or(path);
    let mut parts: Vec<String> = stem.split('/').map(str::to_owned).collect();
    let names_folder = |name: &String| matches!(name.as_str(), "mod" | "lib" | "main");
    if parts.last().is_some_and(names_folder) {
        parts.pop();
    }
    parts
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<(String, String)>) -> Result<(), DepsError> {
    let failed = |source| DepsError::Read { path: folder.to_owned(), source };
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            collect(root, &path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let parts = path.strip_prefix(root).unwrap_or(&path).components();
            let parts: Vec<String> = parts.map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
            files.push((parts.join("/"), read(&path)?));
        }
    }
    Ok(())
}
