//! A Maven project that depends on the staged packages by their coordinates. Its dependencies and its two programs are
//! those of `docs/ANDROID.md`, word for word.
//!
//! It runs on this machine's virtual machine with the library that `cargo xtask bindings` built: the classes are the
//! released ones, the library is not, as those of phones run on phones alone.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::super::manifest::{self, Manifest};
use super::super::maven::Catalogue;
use super::super::{VERSION, promote};
use super::snippet::{self, Snippet};
use super::{RECORDING, SAID};
use crate::failure::Failure;
use crate::workspace::{self, Workspace};

/// The page with the snippets, and the heading that they stand below.
const PAGE: &str = "docs/ANDROID.md";
const HEADING: &str = "## On the JVM";
/// No program of it may be longer.
const MOST_LINES: usize = 15;
/// The recording as raw samples: 16 bit, 16 kHz, one channel.
const SAMPLES: &str = "bindings/conformance/demo.pcm";
/// The names of the two programs there.
const FILE: &str = "TranscribeFile.kt";
const STREAM: &str = "Captions.kt";

/// Builds and runs the project against the packages of the dry run in `release`.
///
/// # Errors
/// [`Failure`] when Maven is missing, the page has other snippets than are expected, the project cannot be built, what
/// was resolved is not what was staged, or a program does not hear what is said.
pub fn try_maven(workspace: &Workspace, release: &Path) -> Result<(), Failure> {
    let release = &std::path::absolute(release).map_err(Failure::file(release))?;
    let repository = release.join("maven");
    if !repository.is_dir() {
        let remedy = "run `cargo xtask release --dry-run` (with `--stub --only android` where there is no NDK)";
        return Err(Failure::missing(format!("there is no folder maven in {}", release.display()), remedy));
    }
    let page = Page::read(&workspace::read_text(&workspace.root().join(PAGE))?)?;
    // Outside of the workspace: nothing of it is found by accident.
    let folder = std::env::temp_dir().join(format!("sotto-consumer-{}", std::process::id()));
    workspace::fresh_folder(&folder)?;
    promote::unchanged(release)?;
    let result = build_and_run(workspace, release, &repository, &page, &folder);
    let _ = std::fs::remove_dir_all(&folder);
    result?;
    manifest::note_tried(release, "maven")
}

fn build_and_run(
    workspace: &Workspace,
    release: &Path,
    repository: &Path,
    page: &Page,
    folder: &Path,
) -> Result<(), Failure> {
    let catalogue = Catalogue::read(workspace.root())?;
    workspace::write(&folder.join("pom.xml"), pom(&page.dependencies, repository, &catalogue)?.as_bytes())?;
    for program in &page.programs {
        let name = program.file().unwrap_or_default();
        workspace::write(&folder.join("src/main/kotlin").join(name), program.code.as_bytes())?;
    }
    let own = own_repository(folder)?;
    let mut maven = Command::new("mvn");
    maven.current_dir(folder).args(["--batch-mode", "--quiet"]).arg(format!("-Dmaven.repo.local={}", own.display()));
    maven.args(["compile", "dependency:build-classpath", "-Dmdep.outputFile=classpath.txt"]);
    println!("    $ {}", workspace::line(&maven));
    workspace::capture(&mut maven)?;
    same_bytes(release, &own)?;

    let run = |program: &str, argument: Option<PathBuf>, input: Stdio| -> Result<(), Failure> {
        let mut java = Command::new("java");
        java.arg("-cp").arg(format!("target/classes:{}", workspace::read_text(&folder.join("classpath.txt"))?.trim()));
        java.arg(format!("-Djna.library.path={}", workspace.target().join("debug").display()));
        java.arg(program.replace(".kt", "Kt")).args(argument).current_dir(folder).stdin(input);
        let said = String::from_utf8_lossy(&workspace::capture(&mut java)?).into_owned();
        // Text that may change is drawn over.
        let said: Vec<&str> = said.lines().filter_map(|line| line.rsplit('\r').next()).map(str::trim).collect();
        let said = said.join(" ");
        if said.contains(SAID) {
            println!("{program} of {PAGE} heard: {said}");
            return Ok(());
        }
        // The recording is ours, and no user's.
        Err(Failure::Broken(format!("{program} of {PAGE} should have heard {SAID:?}, and printed {said:?}")))
    };
    run(FILE, Some(workspace.root().join(RECORDING)), Stdio::null())?;
    let samples = workspace.root().join(SAMPLES);
    run(STREAM, None, std::fs::File::open(&samples).map_err(Failure::file(&samples))?.into())
}

/// What the page tells people to write.
#[derive(Debug)]
struct Page {
    dependencies: String,
    programs: Vec<Snippet>,
}

impl Page {
    fn read(text: &str) -> Result<Self, Failure> {
        let snippets = snippet::below(text, PAGE, HEADING)?;
        let missing = |what: &str| {
            Failure::missing(format!("{PAGE} has no {what} below `{HEADING}`"), "restore it: its snippets are run")
        };
        let dependencies = snippets.iter().find(|one| one.language == "xml" && one.code.starts_with("<dependencies>"));
        let dependencies = dependencies.ok_or_else(|| missing("<dependencies>"))?.code.clone();
        let programs: Vec<Snippet> = snippets.into_iter().filter(|one| one.language == "kotlin").collect();
        for name in [FILE, STREAM] {
            if !programs.iter().any(|program| program.file() == Some(name)) {
                return Err(missing(name));
            }
        }
        for program in &programs {
            let (lines, name) = (program.lines(), program.file().unwrap_or("a program without a name"));
            if lines > MOST_LINES {
                return Err(Failure::Broken(format!("{name} of {PAGE} has {lines} lines, {MOST_LINES} are allowed")));
            }
        }
        Ok(Self { dependencies, programs })
    }
}

/// The rest of the project: what any Kotlin project has.
fn pom(dependencies: &str, repository: &Path, catalogue: &Catalogue) -> Result<String, Failure> {
    Ok(format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>org.example</groupId>
  <artifactId>app</artifactId>
  <version>1</version>
  <properties>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
    <kotlin.compiler.daemon>false</kotlin.compiler.daemon>
  </properties>
  <repositories>
    <repository><id>staged</id><url>file://{repository}</url></repository>
  </repositories>
{dependencies}
  <build>
    <plugins>
      <plugin>
        <groupId>org.jetbrains.kotlin</groupId>
        <artifactId>kotlin-maven-plugin</artifactId>
        <version>{kotlin}</version>
        <configuration>
          <sourceDirs><sourceDir>src/main/kotlin</sourceDir></sourceDirs>
          <jvmTarget>11</jvmTarget>
        </configuration>
        <executions><execution><phase>compile</phase><goals><goal>compile</goal></goals></execution></executions>
      </plugin>
      <plugin>
        <groupId>org.apache.maven.plugins</groupId>
        <artifactId>maven-dependency-plugin</artifactId>
        <version>3.8.1</version>
      </plugin>
    </plugins>
  </build>
</project>
"#,
        repository = repository.display(),
        kotlin = catalogue.version("kotlin")?,
    ))
}

/// A local repository that has everything of the user's but our packages: those come from what was staged, whatever was
/// installed before. What else Maven fetches stays in the user's.
fn own_repository(folder: &Path) -> Result<PathBuf, Failure> {
    let own = folder.join("repository");
    workspace::fresh_folder(&own)?;
    let Some(home) = std::env::var_os("HOME") else { return Ok(own) };
    #[cfg(unix)]
    if let Ok(entries) = std::fs::read_dir(Path::new(&home).join(".m2/repository")) {
        for entry in entries.filter_map(Result::ok).filter(|entry| entry.path().is_dir() && entry.file_name() != "dev")
        {
            let link = own.join(entry.file_name());
            std::os::unix::fs::symlink(entry.path(), &link).map_err(Failure::file(&link))?;
        }
    }
    Ok(own)
}

/// Whether what Maven resolved of ours is what the manifest of the dry run lists.
fn same_bytes(release: &Path, own: &Path) -> Result<(), Failure> {
    let manifest = Manifest::read(release)?;
    let mut resolved = 0;
    for path in workspace::files_below(&own.join("dev/sotto"))? {
        let name = path.strip_prefix(own).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        if !name.ends_with(".jar") && !name.ends_with(".pom") {
            continue;
        }
        let listed = manifest.files.get(&format!("maven/{name}"));
        if listed != Some(&workspace::sha256(&workspace::read(&path)?)) {
            return Err(Failure::Broken(format!("{name} is not what was staged")));
        }
        resolved += usize::from(name.ends_with(".jar"));
    }
    if resolved == 0 {
        return Err(Failure::Broken(format!("the project depends on no package of sotto {VERSION}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page of this workspace has what is run, and it is as short as is said.
    #[test]
    fn our_own_page_can_be_run() {
        let root = Workspace::here().root().to_owned();
        let page = Page::read(&workspace::read_text(&root.join(PAGE)).unwrap()).unwrap();
        let version = format!("<artifactId>sotto-kotlin</artifactId>\n    <version>{VERSION}</version>");
        assert!(page.dependencies.contains(&version), "{}", page.dependencies);
        let catalogue = Catalogue::read(&root).unwrap();
        let jna = catalogue.version("jna").unwrap();
        assert!(page.dependencies.contains(&format!("<version>{jna}</version>")), "{jna}");
        let pom = pom(&page.dependencies, Path::new("/staged"), &catalogue).unwrap();
        assert!(pom.contains("<url>file:///staged</url>"), "{pom}");
    }

    #[test]
    fn a_program_that_is_missing_or_too_long_is_named() {
        let page = |programs: &str| format!("{HEADING}\n```xml\n<dependencies>\n</dependencies>\n```\n{programs}");
        let error = Page::read(&page("")).unwrap_err().to_string();
        assert!(error.contains(FILE), "{error}");
        let program = |name: &str, lines| format!("```kotlin\n// {name}\n{}```\n", "line\n".repeat(lines));
        let both = |lines| page(&[program(FILE, 1), program(STREAM, lines)].concat());
        assert!(Page::read(&both(MOST_LINES)).is_ok());
        let error = Page::read(&both(MOST_LINES + 1)).unwrap_err().to_string();
        assert!(error.contains(STREAM) && error.contains("16 lines"), "{error}");
        let error = Page::read("# Android\n").unwrap_err().to_string();
        assert!(error.contains(HEADING), "{error}");
    }

    #[test]
    fn what_was_resolved_must_be_what_was_staged() {
        let root = tempfile::tempdir().unwrap();
        let (release, own) = (root.path().join("release"), root.path().join("own"));
        let name = "dev/sotto/a/1/a-1.jar";
        let mut manifest = Manifest::new(VERSION, None);
        manifest.add(&release, &format!("maven/{name}"), b"tested").unwrap();
        manifest.write(&release).unwrap();
        workspace::write(&own.join(name), b"tested").unwrap();
        same_bytes(&release, &own).unwrap();
        workspace::write(&own.join(name), b"testeD").unwrap();
        assert!(same_bytes(&release, &own).unwrap_err().to_string().contains("not what was staged"));
        std::fs::remove_file(own.join(name)).unwrap();
        assert!(same_bytes(&release, &own).unwrap_err().to_string().contains("no package"));
    }
}
