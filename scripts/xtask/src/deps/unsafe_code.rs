//! Unsafe code lives in listed files; everything else forbids it.
//!
//! A crate without an entry below must say `#![forbid(unsafe_code)]` in each library and program root. A crate with one
//! says `#![deny(unsafe_code)]` there and `#![allow(unsafe_code)]` at the top of the listed files alone, so that the
//! compiler, not a reader, finds unsafe code anywhere else.

use std::path::{Path, PathBuf};

use super::graph::{Graph, Package};
use super::{DepsError, read};
use crate::report::Finding;

/// Files that may contain unsafe code, by crate, relative to its `src`. The reason stands in each file.
const MAY_BE_UNSAFE: &[(&str, &[&str])] = &[
    ("sotto-runtime", &["pool/board.rs"]),
    ("sotto-kernels", KERNELS),
    ("sotto-nn", &["weights/mmap.rs"]),
    ("sotto-ffi", &["platform/android.rs", "platform/direct.rs"]),
];

/// Instructions of one set each, behind a proof that the CPU has them; the tables and safe entries that hold the
/// proofs; views of plain memory.
const KERNELS: &[&str] = &[
    "aligned.rs",
    "attend/entry.rs",
    "block.rs",
    "dispatch.rs",
    "float/tile.rs",
    "int8/avx2.rs",
    "int8/avx512.rs",
    "int8/dotprod.rs",
    "int8/dotprod_in_order.rs",
    "int8/i8mm.rs",
    "int8/kernel.rs",
    "int8/neon.rs",
    "int8/product.rs",
    "int8/scalar.rs",
    "isa.rs",
    "matmul.rs",
    "measure/peak.rs",
    "simd/avx2.rs",
    "simd/avx512.rs",
    "simd/neon.rs",
    "spectrogram/entry.rs",
    "table.rs",
];

const FORBID: &str = "#![forbid(unsafe_code)]";
const DENY: &str = "#![deny(unsafe_code)]";
/// Attributes by which a file or an item is let off.
const ALLOW: &[&str] = &["allow(unsafe_code", "expect(unsafe_code"];

/// Checks the root files and the exceptions of all workspace crates.
///
/// # Errors
/// When a source file cannot be read.
pub fn check(graph: &Graph) -> Result<Vec<Finding>, DepsError> {
    let mut findings = Vec::new();
    for package in graph.members() {
        let exceptions = MAY_BE_UNSAFE.iter().find(|(name, _)| *name == package.name).map(|(_, files)| *files);
        for root in roots(package) {
            findings.extend(check_root(root, &read(root)?, exceptions.is_some()));
        }
        if let Some(files) = exceptions {
            let source = package.manifest_path.with_file_name("src");
            for file in rust_files(&source)? {
                findings.extend(check_exception(&source, &file, &read(&file)?, files));
            }
        }
    }
    Ok(findings)
}

fn roots(package: &Package) -> impl Iterator<Item = &Path> {
    const KINDS: [&str; 6] = ["lib", "bin", "cdylib", "staticlib", "rlib", "proc-macro"];
    let builds = package.targets.iter().filter(|target| target.kind.iter().any(|kind| KINDS.contains(&kind.as_str())));
    builds.map(|target| target.src_path.as_path())
}

fn check_root(path: &Path, text: &str, has_exceptions: bool) -> Option<Finding> {
    let wanted = if has_exceptions { [FORBID, DENY].as_slice() } else { &[FORBID] };
    // A whole line, so that a comment about the attribute does not count.
    let found = text.lines().any(|line| wanted.contains(&line.trim()));
    (!found).then(|| Finding {
        what: format!("{} lacks {}", path.display(), wanted.join(" or ")),
        remedy: "add the attribute; unsafe code belongs to the files listed in scripts/xtask/src/deps/unsafe_code.rs"
            .into(),
    })
}

fn check_exception(source: &Path, path: &Path, text: &str, files: &[&str]) -> Option<Finding> {
    let listed = files.iter().any(|file| source.join(file) == path);
    let allows =
        text.lines().map(str::trim).any(|line| line.starts_with('#') && ALLOW.iter().any(|allow| line.contains(allow)));
    (allows && !listed).then(|| Finding {
        what: format!("{} allows unsafe code", path.display()),
        remedy: "move it to a listed file, or list this one in scripts/xtask/src/deps/unsafe_code.rs with an ADR"
            .into(),
    })
}

fn rust_files(folder: &Path) -> Result<Vec<PathBuf>, DepsError> {
    let failed = |source| DepsError::Read { path: folder.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_without_the_attribute_is_found() {
        let root = Path::new("/w/src/lib.rs");
        assert_eq!(check_root(root, "//! Docs.\n\n#![forbid(unsafe_code)]\n", false), None);
        assert!(check_root(root, "//! Docs.\n", false).is_some());
        assert!(check_root(root, "// Soon: #![forbid(unsafe_code)]\n", false).is_some());
    }

    #[test]
    fn denying_suffices_only_where_files_are_listed() {
        let root = Path::new("/w/src/lib.rs");
        assert_eq!(check_root(root, "#![deny(unsafe_code)]\n", true), None);
        assert!(check_root(root, "#![deny(unsafe_code)]\n", false).is_some());
    }

    #[test]
    fn only_listed_files_may_allow_unsafe_code() {
        let source = Path::new("/w/src");
        let text = "#![allow(unsafe_code)]\n";
        assert_eq!(check_exception(source, &source.join("mmap.rs"), text, &["mmap.rs"]), None);
        assert!(check_exception(source, &source.join("layers/mmap.rs"), text, &["mmap.rs"]).is_some());
        let expects = "    #[expect(unsafe_code, reason = \"fast\")]\n";
        assert!(check_exception(source, &source.join("linear.rs"), expects, &["mmap.rs"]).is_some());
        assert!(
            check_exception(source, &source.join("linear.rs"), "    #[allow(unsafe_code)]", &["mmap.rs"]).is_some()
        );
    }
}
