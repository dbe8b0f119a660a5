//! Where things lie in this workspace, and how chores run programs and write files.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::failure::Failure;

/// Folders of the workspace.
#[derive(Debug, Clone)]
pub struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// The workspace that this program was built from.
    pub fn here() -> Self {
        let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        root.pop();
        root.pop();
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |path| root.join(path));
        Self { root, target }
    }

    /// The folder of the workspace's `Cargo.toml`.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where cargo builds.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Where a chore leaves what it makes: nothing there is committed, all of it can be made again.
    pub fn made(&self, chore: &str) -> PathBuf {
        self.target.join("xtask").join(chore)
    }

    /// The cargo that runs us, so that the toolchain file of the workspace counts.
    pub fn cargo(&self) -> Command {
        self.program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
    }

    /// A program that runs in the root of the workspace.
    pub fn program(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        command
    }

    /// The compiler of the workspace's toolchain.
    pub fn rustc(&self) -> Command {
        self.program(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
    }

    /// A path as it is shown to people: inside the workspace from its root.
    pub fn shown<'a>(&self, path: &'a Path) -> std::path::Display<'a> {
        path.strip_prefix(&self.root).unwrap_or(path).display()
    }
}

/// A command as it would be typed.
pub fn line(command: &Command) -> String {
    // The program's name is enough; where it lies is this machine's business.
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words
        .map(|word| match word.to_string_lossy() {
            word if word.contains([' ', '\'', '"']) => format!("'{word}'"),
            // Flags are joined by it for cargo; on a screen it is nothing.
            word => word.replace('\u{1f}', " "),
        })
        .collect::<Vec<_>>()
        .join(" ")
}

/// Shows a command, runs it with this program's screen, and fails when it does.
///
/// # Errors
/// [`Failure::Start`] and [`Failure::Failed`].
pub fn run(command: &mut Command) -> Result<(), Failure> {
    let shown = line(command);
    println!("    $ {shown}");
    let status = command.status().map_err(|source| Failure::Start { command: shown.clone(), source })?;
    if status.success() { Ok(()) } else { Err(Failure::Failed { command: shown, status, output: String::new() }) }
}

/// Runs a command without showing it and returns what it printed.
///
/// # Errors
/// As [`run`]; the failure holds what the command wrote to standard error.
pub fn capture(command: &mut Command) -> Result<Vec<u8>, Failure> {
    let shown = line(command);
    let Output { status, stdout, stderr } =
        command.output().map_err(|source| Failure::Start { command: shown.clone(), source })?;
    if status.success() {
        return Ok(stdout);
    }
    let output = format!(":\n{}", String::from_utf8_lossy(&stderr).trim_end());
    Err(Failure::Failed { command: shown, status, output })
}

/// Reads a file.
///
/// # Errors
/// [`Failure::File`].
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(Failure::file(path))
}

/// Reads a text file.
///
/// # Errors
/// [`Failure::File`].
pub fn read_text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(Failure::file(path))
}

/// Writes a file and the folders above it. A file that says the same already is left alone: its time is what the builds
/// after this one look at.
///
/// # Errors
/// [`Failure::File`].
pub fn write(path: &Path, data: &[u8]) -> Result<(), Failure> {
    if std::fs::read(path).is_ok_and(|old| old == data) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(Failure::file(folder))?;
    }
    std::fs::write(path, data).map_err(Failure::file(path))
}

/// Makes a folder, empty.
///
/// # Errors
/// [`Failure::File`].
pub fn fresh_folder(path: &Path) -> Result<(), Failure> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Failure::file(path)(error)),
        _ => std::fs::create_dir_all(path).map_err(Failure::file(path)),
    }
}

/// All files below a folder, in the order of their names; symbolic links are listed and not followed.
///
/// # Errors
/// [`Failure::File`].
pub fn files_below(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Failure::file(folder))? {
        let entry = entry.map_err(Failure::file(folder))?;
        if entry.file_type().map_err(Failure::file(&entry.path()))?.is_dir() {
            files.extend(files_below(&entry.path())?);
        } else {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

/// The SHA-256 of some bytes, in hexadecimal.
pub fn sha256(data: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(data).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_says_the_same_keeps_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.txt");
        write(&path, b"one").unwrap();
        let old = std::time::SystemTime::UNIX_EPOCH;
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
        write(&path, b"one").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), old);
        write(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
    }

    #[test]
    fn a_failing_command_says_what_it_printed() {
        let error = capture(Command::new("sh").args(["-c", "echo no room >&2; exit 3"])).unwrap_err().to_string();
        assert!(error.contains("no room") && error.contains('3'), "{error}");
        let error = capture(&mut Command::new("no-such-program-here")).unwrap_err().to_string();
        assert!(error.contains("no-such-program-here"), "{error}");
    }

    #[test]
    fn the_hash_is_the_standards() {
        // FIPS 180-2, appendix B.1
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
