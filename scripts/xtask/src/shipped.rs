//! How the library is built that ships: profile `dist`, the same flags on every machine, no folder of it in the result.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;
use crate::workspace::{self, Workspace};

/// The crate that ships.
pub const PACKAGE: &str = "sotto-ffi";

/// A call of cargo that builds the shipped library in one form for one target.
///
/// `cargo rustc`, because its crate types are three and a build for one of them is a third of the work. Flags that all
/// crates get go by cargo's own variable, so that neither the configuration nor the caller's variables add to them;
/// `link` goes to the crate that is linked alone, so that another linker compiles nothing again. The crates in
/// `smaller` are optimised for size, beyond those of the profile.
pub fn cargo(workspace: &Workspace, target: &str, form: &str, smaller: &[&str], link: &[String]) -> Command {
    let mut command = workspace.cargo();
    command.args(["rustc", "--locked", "--package", PACKAGE, "--lib", "--profile", "dist"]);
    command.args(["--crate-type", form, "--target", target]);
    for name in smaller {
        command.arg("--config").arg(format!("profile.dist.package.{name}.opt-level='s'"));
    }
    command.env("CARGO_ENCODED_RUSTFLAGS", remaps(workspace.root()).join("\u{1f}")).env_remove("RUSTFLAGS");
    command.arg("--").args(link);
    command
}

/// Where that call leaves its result.
pub fn result(workspace: &Workspace, target: &str, file: &str) -> PathBuf {
    workspace.target().join(target).join("dist").join(file)
}

/// Flags by which the compiler writes other names for this machine's folders. Where several fit the last one counts.
fn remaps(root: &Path) -> Vec<String> {
    let folder = |name: &str| std::env::var(name).ok().filter(|path| path.len() > 1);
    let home = folder("HOME").or_else(|| folder("USERPROFILE"));
    let cargo = folder("CARGO_HOME").or_else(|| home.as_ref().map(|home| format!("{home}/.cargo")));
    let named = [(home, "~"), (cargo, "cargo"), (Some(root.display().to_string()), "sotto")];
    let named = named.into_iter().filter_map(|(folder, name)| Some((folder?, name)));
    named.map(|(folder, name)| format!("--remap-path-prefix={folder}={name}")).collect()
}

/// Tools that lie beside the compiler: the linker, and what strips libraries.
pub struct Tools {
    folder: PathBuf,
    libraries: PathBuf,
}

impl Tools {
    /// The tools of the workspace's toolchain.
    ///
    /// # Errors
    /// [`Failure`] when the compiler cannot be asked, or comes without them.
    pub fn find(workspace: &Workspace) -> Result<Self, Failure> {
        let ask = |arguments: &[&str]| -> Result<String, Failure> {
            let output = workspace::capture(workspace.rustc().args(arguments))?;
            Ok(String::from_utf8_lossy(&output).trim().to_owned())
        };
        let sysroot = PathBuf::from(ask(&["--print", "sysroot"])?);
        let version = ask(&["-vV"])?;
        let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
        let folder = sysroot.join("lib/rustlib").join(host).join("bin");
        if !folder.join("rust-lld").exists() && !folder.join("rust-lld.exe").exists() {
            let remedy = "install the toolchain by rustup: its own has them";
            return Err(Failure::missing(format!("there is no rust-lld in {}", folder.display()), remedy));
        }
        Ok(Self { folder, libraries: sysroot.join("lib") })
    }

    /// A tool, ready to be given arguments.
    pub fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(self.folder.join(name));
        // They share the compiler's LLVM, which they do not find by themselves on every system.
        command.env("LD_LIBRARY_PATH", &self.libraries);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrower_folder_is_mapped_last() {
        let flags = remaps(Path::new("/home/me/sotto"));
        assert_eq!(flags.last().map(String::as_str), Some("--remap-path-prefix=/home/me/sotto=sotto"));
        let place = |name: &str| flags.iter().position(|flag| flag.ends_with(name));
        if let (Some(home), Some(cargo)) = (place("=~"), place("=cargo")) {
            assert!(home < cargo, "{flags:?}");
        }
    }

    #[test]
    fn one_form_is_built_with_flags_that_nobody_adds_to() {
        let command =
            cargo(&Workspace::here(), "aarch64-linux-android", "cdylib", &["sotto-text"], &["-Clink-arg=-z".into()]);
        let line = workspace::line(&command);
        assert!(line.contains("--crate-type cdylib") && line.contains("--profile dist"), "{line}");
        assert!(
            line.ends_with("-- -Clink-arg=-z") && line.contains("profile.dist.package.sotto-text.opt-level="),
            "{line}"
        );
        let flags = command.get_envs().find(|(name, _)| *name == "CARGO_ENCODED_RUSTFLAGS").unwrap().1.unwrap();
        assert!(flags.to_string_lossy().contains("--remap-path-prefix=") && !flags.to_string_lossy().contains("link"));
    }
}
