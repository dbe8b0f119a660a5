//! A Swift package that depends on the staged repository by its address.
//!
//! It sees what apps see: a manifest in the root of a repository, a tag,
//! what is committed there and nothing else. On Linux the package stands on the host's library, which `cargo xtask
//! bindings` built.

use std::path::Path;
use std::process::Command;

use super::super::{VERSION, manifest, promote};
use super::{RECORDING, SAID};
use crate::failure::Failure;
use crate::workspace::{self, Workspace, run};

/// Runs Swift in a root of its own, on systems that have none.
const CHROOT: &str = "scripts/swift-chroot.sh";

const PROGRAM: &str = "\
import Foundation
import Sotto
import SottoStarter

let recognizer = try await SpeechRecognizer.load(StarterModel.speech(), engine: SottoEngine())
print(try await recognizer.transcribe(.file(URL(fileURLWithPath: CommandLine.arguments[1]))).text)
";

/// Builds and runs the project against the package of the dry run in `release`.
///
/// # Errors
/// [`Failure`] when there is no Swift, the project cannot be built, or it does not hear what is said.
pub fn try_swift(workspace: &Workspace, release: &Path) -> Result<(), Failure> {
    let distribution = &release.join("swift");
    if !distribution.join("Package.swift").exists() {
        let remedy = "run `cargo xtask release --dry-run --only swift`";
        return Err(Failure::missing(format!("there is no Package.swift in {}", distribution.display()), remedy));
    }
    let folder = workspace.made("consumer");
    workspace::fresh_folder(&folder)?;
    promote::unchanged(release)?;
    let repository = folder.join("sotto-swift");
    publish(distribution, &repository)?;
    let app = folder.join("app");
    workspace::write(&app.join("Package.swift"), app_manifest(&repository).as_bytes())?;
    workspace::write(&app.join("Sources/App/main.swift"), PROGRAM.as_bytes())?;

    let libraries = workspace.target().join("debug").display().to_string();
    let mut command = swift(workspace, &app)?;
    command.args(["run", "-Xlinker", &format!("-L{libraries}"), "-Xlinker", "-rpath", "-Xlinker", &libraries, "App"]);
    command.arg(workspace.root().join(RECORDING));
    println!("    $ {}", workspace::line(&command));
    let said = String::from_utf8_lossy(&workspace::capture(&mut command)?).into_owned();
    let heard = said.lines().last().unwrap_or_default();
    if heard.contains(SAID) {
        println!("a package that depends on {} heard: {heard}", repository.display());
        return manifest::note_tried(release, "swift");
    }
    // The recording is ours, and no user's.
    Err(Failure::Broken(format!("the consumer should have heard {SAID:?}, and printed {heard:?}")))
}

/// A repository of what would be published, with the tag of the version.
fn publish(distribution: &Path, repository: &Path) -> Result<(), Failure> {
    for path in workspace::files_below(distribution)? {
        let name = path.strip_prefix(distribution).unwrap_or(&path);
        workspace::write(&repository.join(name), &workspace::read(&path)?)?;
    }
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=xtask", "-c", "user.email=xtask@example.org", "-c", "commit.gpgsign=false"]);
        workspace::capture(command.args(arguments).current_dir(repository)).map(|_| ())
    };
    git(&["init", "--quiet", "--initial-branch", "main"])?;
    git(&["add", "--all", "--force"])?;
    git(&["commit", "--quiet", "--message", VERSION])?;
    git(&["tag", VERSION])
}

fn app_manifest(repository: &Path) -> String {
    let products =
        ["Sotto", "SottoStarter"].map(|name| format!(".product(name: \"{name}\", package: \"sotto-swift\")"));
    format!(
        "// swift-tools-version: 6.0\nimport PackageDescription\n\nlet package = Package(\n    name: \"App\",\n    \
         platforms: [.macOS(.v13)],\n    \
         dependencies: [.package(url: \"file://{}\", exact: \"{VERSION}\")],\n    \
         targets: [.executableTarget(name: \"App\", dependencies: [{}])])\n",
        repository.display(),
        products.join(", "),
    )
}

/// Swift, in a folder: the system's, or the one that a script of ours keeps in a root of its own.
fn swift(workspace: &Workspace, folder: &Path) -> Result<Command, Failure> {
    if workspace::capture(Command::new("swift").arg("--version")).is_ok() {
        let mut command = Command::new("swift");
        // Elsewhere than on Linux the package would look for frameworks, which are not published yet.
        command.current_dir(folder).env("SOTTO_HOST_LIB", "1");
        return Ok(command);
    }
    let script = workspace.root().join(CHROOT);
    if !script.exists() {
        return Err(Failure::missing("there is no Swift", "install it from https://swift.org/install"));
    }
    run(workspace.program(&script).arg("setup"))?;
    let mut command = workspace.program(&script);
    command.args(["run", "-C"]).arg(folder).arg("-b").arg(workspace.root()).arg("-b").arg(workspace.made("consumer"));
    command.arg("-b").arg(workspace.target()).args(["--", "swift"]);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_has_a_tag_and_ignores_no_file() {
        let root = tempfile::tempdir().unwrap();
        let distribution = root.path().join("swift");
        workspace::write(&distribution.join("Package.swift"), b"// 6.0").unwrap();
        workspace::write(&distribution.join(".gitignore"), b"*.swift").unwrap();
        workspace::write(&distribution.join("Sources/SottoBindings/SottoBindings.swift"), b"// made").unwrap();
        let repository = root.path().join("sotto-swift");
        publish(&distribution, &repository).unwrap();
        let listed = workspace::capture(
            Command::new("git").args(["ls-tree", "-r", "--name-only", VERSION]).current_dir(&repository),
        );
        let listed = String::from_utf8(listed.unwrap()).unwrap();
        assert!(listed.contains("Sources/SottoBindings/SottoBindings.swift"), "{listed}");
        assert!(app_manifest(&repository).contains(&format!("exact: \"{VERSION}\"")));
    }

    #[test]
    fn a_folder_that_is_no_package_is_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let error = try_swift(&Workspace::here(), folder.path()).unwrap_err().to_string();
        assert!(error.contains("--only swift"), "{error}");
    }
}
