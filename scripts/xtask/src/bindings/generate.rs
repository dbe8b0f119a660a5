//! Building the library and the generators, and running them.

use std::path::{Path, PathBuf};

use super::{C_MODULE, KOTLIN, Language, STARTER, STARTER_RESOURCE, SWIFT, absolute, library_name};
use crate::failure::Failure;
use crate::workspace::{self, Workspace, run};

/// What the generators wrote.
#[derive(Debug)]
pub struct Generated {
    /// The Kotlin file, below the folders of its package.
    pub kotlin_path: PathBuf,
    /// Its text.
    pub kotlin: String,
    /// The Swift file.
    pub swift: String,
    /// The C header that the Swift file calls.
    pub header: String,
}

/// The module of the C header on systems where SwiftPM links a library by its name: Linux, and hosts with
/// `SOTTO_HOST_LIB`. One item a line: some compilers read no more.
const LINUX_MODULE: &str =
    "module sottoFFI [system] {\n    header \"sottoFFI.h\"\n    link \"sotto_ffi\"\n    export *\n}\n";

/// Generates the bindings of a library: the one given, or the host's of this workspace, which is built.
///
/// # Errors
/// [`Failure`] when something cannot be built, or the generators write something unexpected.
pub fn generate(workspace: &Workspace, library: Option<&Path>) -> Result<Generated, Failure> {
    for folder in ["bindings/ffi", "bindings/bindgen"] {
        if !workspace.root().join(folder).join("Cargo.toml").exists() {
            return Err(Failure::missing(format!("{folder} is missing"), "run this in a whole checkout"));
        }
    }
    let library = match library {
        Some(path) => absolute(workspace, path),
        None => {
            run(workspace.cargo().args(["build", "--locked", "--package", "sotto-ffi"]))?;
            workspace.target().join("debug").join(library_name())
        }
    };
    // Never in one call with the library: cargo would build UniFFI once for both, with the command line of the
    // generators inside the library, which is then four times as large.
    run(workspace.cargo().args(["build", "--locked", "--package", "sotto-bindgen"]))?;

    let out = workspace.made("bindings");
    workspace::fresh_folder(&out)?;
    let tool = |name: &str| workspace.program(workspace.target().join("debug").join(name));
    run(tool("uniffi-bindgen")
        .args(["generate", "--language", "kotlin", "--no-format", "--out-dir"])
        .arg(out.join("kotlin"))
        .arg(&library))?;
    for what in ["--swift-sources", "--headers"] {
        run(tool("uniffi-bindgen-swift").arg(what).arg(&library).arg(out.join("swift")))?;
    }
    let kotlin_path = single(&out.join("kotlin"), "kt")?;
    let swift_path = single(&out.join("swift"), "swift")?;
    let header_path = single(&out.join("swift"), "h")?;
    Ok(Generated {
        kotlin: workspace::read_text(&kotlin_path)?,
        kotlin_path: kotlin_path.strip_prefix(out.join("kotlin")).unwrap_or(&kotlin_path).to_owned(),
        swift: workspace::read_text(&swift_path)?,
        header: workspace::read_text(&header_path)?,
    })
}

impl Generated {
    /// Writes everything where the builds of the two languages look for it, and the starter model beside it. Files that
    /// say the same already keep their times, and older ones with other names go.
    ///
    /// # Errors
    /// [`Failure::File`].
    pub fn install(&self, workspace: &Workspace) -> Result<(), Failure> {
        self.write(workspace.root())?;
        // A package of SwiftPM has its resources below its own folder; a link there would not reach those who load it.
        let starter = workspace.root().join(STARTER);
        if starter.exists() && workspace.root().join(STARTER_RESOURCE).parent().is_some_and(Path::is_dir) {
            workspace::write(&workspace.root().join(STARTER_RESOURCE), &workspace::read(&starter)?)?;
        }
        for folder in [KOTLIN, SWIFT, C_MODULE] {
            println!("{folder}: written");
        }
        Ok(())
    }

    fn write(&self, root: &Path) -> Result<(), Failure> {
        self.write_one(Language::Kotlin, &root.join(KOTLIN))?;
        for (folder, name, text) in self.swift_files() {
            workspace::write(&root.join(folder).join(name), text.as_bytes())?;
        }
        Ok(())
    }

    /// Writes the files of one language into a folder.
    ///
    /// # Errors
    /// [`Failure::File`].
    pub fn write_one(&self, language: Language, out: &Path) -> Result<(), Failure> {
        if language == Language::Swift {
            let mut files = self.swift_files().into_iter();
            return files.try_for_each(|(_, name, text)| workspace::write(&out.join(name), text.as_bytes()));
        }
        let own = out.join(&self.kotlin_path);
        workspace::write(&own, self.kotlin.as_bytes())?;
        // Kotlin compiles whatever lies there, an older package too.
        for path in workspace::files_below(out)?.iter().filter(|path| **path != own) {
            if path.extension().is_some_and(|extension| extension == "kt") {
                std::fs::remove_file(path).map_err(Failure::file(path))?;
            }
        }
        Ok(())
    }

    /// Folder, name and text of each.
    fn swift_files(&self) -> [(&'static str, &'static str, &str); 3] {
        [
            (SWIFT, "SottoBindings.swift", self.swift.as_str()),
            (C_MODULE, "sottoFFI.h", self.header.as_str()),
            (C_MODULE, "module.modulemap", LINUX_MODULE),
        ]
    }
}

/// The one file with an extension below a folder.
fn single(folder: &Path, extension: &str) -> Result<PathBuf, Failure> {
    let mut files = workspace::files_below(folder)?;
    files.retain(|path| path.extension().is_some_and(|found| found == extension));
    match files.len() {
        1 => Ok(files.remove(0)),
        count => Err(Failure::form("what the generators wrote", format!("{count} .{extension} files instead of one"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_run_left_under_another_name_goes() {
        let root = tempfile::tempdir().unwrap();
        let old = root.path().join(KOTLIN).join("old/name/sotto.kt");
        workspace::write(&old, b"package old.name").unwrap();
        let generated = Generated {
            kotlin_path: "dev/sotto/ffi/sotto.kt".into(),
            kotlin: "package dev.sotto.ffi".into(),
            swift: "import Foundation".into(),
            header: "#pragma once".into(),
        };
        generated.write(root.path()).unwrap();
        assert!(!old.exists());
        let written = workspace::read_text(&root.path().join(KOTLIN).join("dev/sotto/ffi/sotto.kt")).unwrap();
        assert_eq!(written, "package dev.sotto.ffi");
        let own = root.path().join("own");
        generated.write_one(Language::Kotlin, &own).unwrap();
        assert_eq!(workspace::files_below(&own).unwrap(), [own.join("dev/sotto/ffi/sotto.kt")]);
        let module = workspace::read_text(&root.path().join(C_MODULE).join("module.modulemap")).unwrap();
        assert!(module.contains("link \"sotto_ffi\""), "{module}");
    }

    #[test]
    fn two_files_where_one_was_expected_are_an_error() {
        let folder = tempfile::tempdir().unwrap();
        workspace::write(&folder.path().join("a.kt"), b"").unwrap();
        assert!(single(folder.path(), "kt").is_ok());
        workspace::write(&folder.path().join("b/b.kt"), b"").unwrap();
        assert!(single(folder.path(), "kt").is_err());
    }
}
