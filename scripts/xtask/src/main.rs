//! Chores of the workspace, run as `cargo xtask CHORE`.

#![forbid(unsafe_code)]

mod android;
mod apple;
mod artifact;
mod bindings;
mod deps;
mod failure;
mod inventory;
mod library;
mod options;
mod parity;
mod release;
mod report;
mod shipped;
mod workspace;
mod zip;

use std::process::ExitCode;

use failure::Failure;
use options::Options;
use workspace::Workspace;

const USAGE: &str = "\
Usage: cargo xtask CHORE [OPTION…]

  deps        check licences, duplicate versions, layer order, network access, unsafe code, imports in circles and the
              length of lines of all crates, and that no text of what apps link names a command (rules: deny.toml and
              scripts/xtask/src/deps; reasons: docs/ARCHITECTURE.md)
  bindings    generate Kotlin and Swift from the host library, and compare what apps see of them with bindings/api
                --check          fail when that has changed
                --accept         write the change to bindings/api
                --library FILE   a library that is built already
              kotlin|swift --out FOLDER
                               generate one language into a folder of your own
  parity      check that every feature has the names that its table says, and write docs/PARITY.md
                --check          fail when that is out of date, instead of writing it
  android     build the shared libraries of the AAR (into target/xtask/android) and check them
                --abi ABI        only for arm64-v8a, armeabi-v7a or x86_64; may stand there several times
                --out FOLDER     where to put a folder for each ABI; needs an NDK or --stub
                --stub           link against nothing: for checks of size and names, cannot run; without an NDK always
  xcframework build the frameworks for Apple's systems (into target/xtask/apple); needs Xcode
                --check          build and check what needs no Xcode
  sbom        list the crates that ship, as CycloneDX
  licences    the licence texts of the crates that ship
                --out FILE       of both: where to write; else on the screen
  verify-artifact FILE
              take an .aar, .apk, .xcframework, .xcframework.zip or .so apart and check it
                --allow-stub     a library that was linked against nothing passes
                --without-native an .apk without native libraries passes
  release     --dry-run        make and check all packages of a version (into target/xtask/release), with a manifest
                --stub           as of `android`
                --only PART      a look at `android` or `swift` alone, which is never promoted
              --try-maven FOLDER
              --try-swift FOLDER
                               build a project that depends on the packages of a dry run by their coordinates, as the
                               documentation says, and let it transcribe
              --promote FOLDER --to FOLDER
                               hand out the files of a dry run, when they are the very bytes that were tested";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((chore, options)) = arguments.split_first() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let result = match chore.as_str() {
        "deps" => deps(options),
        "bindings" => bindings(options),
        "parity" => parity(options),
        "android" => android(options),
        "xcframework" => xcframework(options),
        "sbom" => notice(options, |notices| notices.sbom),
        "licences" => notice(options, |notices| notices.licences),
        "release" => release(options),
        "verify-artifact" => verify_artifact(options),
        "--help" | "-h" | "help" => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => Err(Failure::Usage(format!("there is no chore `{chore}`"))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo xtask {chore}: {error}");
            ExitCode::from(if matches!(error, Failure::Usage(_)) { 2 } else { 1 })
        }
    }
}

fn deps(options: &[String]) -> Result<(), Failure> {
    Options::of(options).end()?;
    let report = deps::check_workspace(Workspace::here().root()).map_err(|error| Failure::Broken(error.to_string()))?;
    report.into_result()
}

fn bindings(options: &[String]) -> Result<(), Failure> {
    let mut options = Options::of(options);
    let surface = match (options.flag("--check"), options.flag("--accept")) {
        (false, false) => bindings::Surface::Tell,
        (true, false) => bindings::Surface::Check,
        (false, true) => bindings::Surface::Accept,
        (true, true) => return Err(Failure::Usage("`--check` and `--accept` exclude each other".into())),
    };
    let library: Option<std::path::PathBuf> = options.value("--library")?.map(Into::into);
    if let Some(out) = options.value("--out")? {
        let language = match options.word("the language, `kotlin` or `swift`,")?.as_str() {
            "kotlin" => bindings::Language::Kotlin,
            "swift" => bindings::Language::Swift,
            other => return Err(Failure::Usage(format!("`{other}` is neither `kotlin` nor `swift`"))),
        };
        options.end()?;
        return bindings::make_one(&Workspace::here(), language, library.as_deref(), out.as_ref());
    }
    options.end()?;
    bindings::make(&Workspace::here(), &bindings::Options { surface, library })
}

fn parity(options: &[String]) -> Result<(), Failure> {
    let mut options = Options::of(options);
    let check = options.flag("--check");
    options.end()?;
    parity::run(&Workspace::here(), check)
}

fn android(options: &[String]) -> Result<(), Failure> {
    let mut options = Options::of(options);
    let names = options.values("--abi")?;
    let named = names.iter().map(|name| {
        android::Abi::named(name).ok_or_else(|| Failure::Usage(format!("`{name}` is no ABI that Sotto ships for")))
    });
    let abis = if names.is_empty() { android::Abi::ALL.to_vec() } else { named.collect::<Result<Vec<_>, _>>()? };
    let stub = options.flag("--stub");
    let out = options.value("--out")?.map(|out| std::path::absolute(&out).unwrap_or_else(|_| out.into()));
    options.end()?;
    let workspace = Workspace::here();
    for built in android::build(&workspace, &android::Options { abis, stub, out })? {
        let checks = artifact::Options { allow_stub: !built.runnable, ..verification(&workspace) };
        artifact::verify(&built.library, &checks)?.into_result()?;
    }
    Ok(())
}

fn xcframework(options: &[String]) -> Result<(), Failure> {
    let mut options = Options::of(options);
    let check = options.flag("--check");
    options.end()?;
    let workspace = Workspace::here();
    if check {
        return apple::check_static(&workspace)?.into_result();
    }
    if !apple::has_xcode() {
        // Said before anything is built for it.
        return apple::build(&workspace, "", &inventory::notices(&workspace)?).map(|_| ());
    }
    let generated = bindings::generate(&workspace, None)?;
    let folder = apple::build(&workspace, &generated.header, &inventory::notices(&workspace)?)?;
    artifact::verify(&folder, &verification(&workspace))?.into_result()
}

fn notice(options: &[String], choose: fn(inventory::Notices) -> String) -> Result<(), Failure> {
    let mut options = Options::of(options);
    let out = options.value("--out")?;
    options.end()?;
    let text = choose(inventory::notices(&Workspace::here())?);
    match out {
        Some(path) => workspace::write(path.as_ref(), text.as_bytes()),
        None => {
            print!("{text}");
            Ok(())
        }
    }
}

fn verify_artifact(options: &[String]) -> Result<(), Failure> {
    let mut options = Options::of(options);
    let checks = artifact::Options {
        allow_stub: options.flag("--allow-stub"),
        without_native: options.flag("--without-native"),
        ..verification(&Workspace::here())
    };
    let file = options.word("the FILE to verify")?;
    options.end()?;
    artifact::verify(file.as_ref(), &checks)?.into_result()
}

fn release(options: &[String]) -> Result<(), Failure> {
    let mut options = Options::of(options);
    let (dry_run, stub) = (options.flag("--dry-run"), options.flag("--stub"));
    let only = match options.value("--only")?.as_deref() {
        None => None,
        Some("android") => Some(release::Part::Android),
        Some("swift") => Some(release::Part::Swift),
        Some(other) => return Err(Failure::Usage(format!("`{other}` is neither `android` nor `swift`"))),
    };
    type Try = fn(&Workspace, &std::path::Path) -> Result<(), Failure>;
    for (name, run) in [("--try-maven", release::try_maven as Try), ("--try-swift", release::try_swift)] {
        if let Some(folder) = options.value(name)? {
            options.end()?;
            return run(&Workspace::here(), folder.as_ref());
        }
    }
    let (from, to) = (options.value("--promote")?, options.value("--to")?);
    options.end()?;
    match (dry_run, from, to) {
        (true, None, None) => release::dry_run(&Workspace::here(), &release::Options { stub, only }).map(|_| ()),
        (false, Some(from), Some(to)) if !stub && only.is_none() => release::promote(from.as_ref(), to.as_ref()),
        _ => Err(Failure::Usage("say `--dry-run`, or `--promote FOLDER --to FOLDER`".into())),
    }
}

/// What is asked of packages that this machine built.
fn verification(workspace: &Workspace) -> artifact::Options {
    artifact::Options { folders: artifact::folders_of_this_machine(workspace.root()), ..artifact::Options::default() }
}
