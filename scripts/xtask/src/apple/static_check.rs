//! What can be had without Xcode: the static library for phones, built and looked at. It proves that everything
//! compiles for Apple's systems and offers the names that Swift calls.

use std::path::Path;
use std::process::Command;

use object::read::archive::ArchiveFile;
use object::{File, Object, ObjectSymbol};

use crate::failure::Failure;
use crate::report::{Finding, Report};
use crate::shipped;
use crate::workspace::{self, Workspace, run};

const TARGET: &str = "aarch64-apple-ios";
const MUST_DEFINE: &str = "_ffi_sotto_ffi_uniffi_contract_version";

/// Builds and checks it, in the profile of development: what is asked is whether it compiles and what it offers.
///
/// # Errors
/// [`Failure`] when it cannot be built.
pub fn check(workspace: &Workspace) -> Result<Report, Failure> {
    let mut command = workspace.cargo();
    command.args(["rustc", "--locked", "--package", shipped::PACKAGE, "--lib", "--crate-type", "staticlib"]);
    command.args(["--target", TARGET]);
    if super::has_xcode() {
        run(&mut command)?;
    } else {
        run(without_xcode(workspace, &mut command)?)?;
    }
    let path = workspace.target().join(TARGET).join("debug/libsotto_ffi.a");
    let mut report = Report::on(workspace.shown(&path).to_string());
    report.add("objects for phones, with the names that Swift calls", look(&workspace::read(&path)?));
    report.leave_out("frameworks: Xcode links them");
    Ok(report)
}

/// One crate (oslog) brings a file of C, which calls a macro of Apple's headers. Without those an object with nothing
/// in it stands for it: the result is for looking at, not for linking.
fn without_xcode<'a>(workspace: &Workspace, command: &'a mut Command) -> Result<&'a mut Command, Failure> {
    let folder = workspace.made("apple").join("stand-in");
    workspace::fresh_folder(&folder)?;
    let (source, object, compiler) = (folder.join("nothing.rs"), folder.join("nothing.o"), folder.join("cc"));
    workspace::write(&source, b"#![no_std]\n")?;
    let mut compile = workspace.rustc();
    compile.args(["--crate-type", "lib", "--emit", "obj", "--target", TARGET, "-o"]).arg(&object).arg(&source);
    workspace::capture(&mut compile).map_err(|error| {
        Failure::missing(
            format!("nothing can be compiled for {TARGET}: {error}"),
            format!("run `rustup target add {TARGET}`"),
        )
    })?;
    let script = stand_in(&object);
    workspace::write(&compiler, script.as_bytes())?;
    executable(&compiler)?;
    let variable = |name: &str| format!("{name}_{}", TARGET.replace('-', "_"));
    command.env(variable("CC"), &compiler).env(variable("AR"), "ar");
    Ok(command.env("SDKROOT", &folder).env("IPHONEOS_DEPLOYMENT_TARGET", "16.0"))
}

/// Says that it is clang when it is asked, and makes every object a copy of one.
fn stand_in(object: &Path) -> String {
    format!(
        "#!/bin/sh\n# Stands for Apple's compiler of C.\n[ \"$1\" != -E ] || echo clang\n[ \"$1\" != '-?' ] || exit 1\n\
         while [ $# -gt 0 ]; do [ \"$1\" = -o ] && out=\"$2\"; shift; done\n\
         [ -z \"$out\" ] || cp '{}' \"$out\"\n",
        object.display()
    )
}

#[cfg(unix)]
fn executable(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).map_err(Failure::file(path))
}

#[cfg(not(unix))]
fn executable(_: &Path) -> Result<(), Failure> {
    Ok(())
}

fn look(bytes: &[u8]) -> Vec<Finding> {
    let broken = |what: String| vec![Finding { what, remedy: "build it again".into() }];
    let archive = match ArchiveFile::parse(bytes) {
        Ok(archive) => archive,
        Err(error) => return broken(format!("no static library: {error}")),
    };
    let mut defines = false;
    let mut objects = 0;
    for member in archive.members() {
        let data = member.and_then(|member| member.data(bytes));
        // The compiler keeps its own notes in the archive beside the objects.
        let Ok(file) = data.and_then(File::parse) else { continue };
        objects += 1;
        if !matches!(file, File::MachO64(_)) || file.architecture() != object::Architecture::Aarch64 {
            return broken("an object is for another system or processor".into());
        }
        defines |= file.symbols().any(|symbol| symbol.is_definition() && symbol.name() == Ok(MUST_DEFINE));
    }
    if objects == 0 {
        return broken("there is no object in it".into());
    }
    if defines { Vec::new() } else { broken(format!("{MUST_DEFINE} is not defined")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::example::{Dylib, SharedObject};

    fn archive(object: &[u8]) -> Vec<u8> {
        let mut bytes = b"!<arch>\n".to_vec();
        bytes.extend(format!("{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", "a.o/", 0, 0, 0, 644, object.len()).as_bytes());
        bytes.extend(object);
        if bytes.len() % 2 == 1 {
            bytes.push(b'\n');
        }
        bytes
    }

    #[cfg(unix)]
    #[test]
    fn the_stand_in_says_what_build_scripts_ask_and_leaves_an_object() {
        let folder = tempfile::tempdir().unwrap();
        let (object, compiler, out) =
            (folder.path().join("nothing.o"), folder.path().join("cc"), folder.path().join("wrapper.o"));
        workspace::write(&object, b"object").unwrap();
        workspace::write(&compiler, stand_in(&object).as_bytes()).unwrap();
        executable(&compiler).unwrap();
        let call = |arguments: &[&str]| workspace::capture(Command::new("sh").arg(&compiler).args(arguments));
        assert_eq!(call(&["-E", "detect.c"]).unwrap(), b"clang\n");
        assert!(call(&["-?"]).is_err(), "only Microsoft's compiler knows that option");
        call(&["-O2", "-o", &out.display().to_string(), "-c", "wrapper.c"]).unwrap();
        assert_eq!(std::fs::read(&out).unwrap(), b"object");
    }

    #[test]
    fn objects_for_phones_with_uniffis_names_pass() {
        let object = Dylib { dynamic: false, ..Dylib::sound() }.write();
        assert_eq!(look(&archive(&object)), []);
    }

    #[test]
    fn other_systems_missing_names_and_no_objects_are_found() {
        assert!(look(&archive(&SharedObject::sound().write()))[0].what.contains("another system"));
        let nameless = Dylib { exports: vec!["_other"], dynamic: false, ..Dylib::sound() }.write();
        assert!(look(&archive(&nameless))[0].what.contains("not defined"));
        assert!(look(&archive(b"notes"))[0].what.contains("no object"));
        assert!(look(b"no archive")[0].what.contains("no static library"));
    }
}
