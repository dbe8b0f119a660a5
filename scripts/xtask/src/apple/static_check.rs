//! What can be had without Xcode: the static library for phones, built and looked at. It proves that everything compiles for
//! Apple's systems and offers the names that Swift calls.

use object::read::archive::ArchiveFile;
use object::{File, Object, ObjectSymbol};

use crate::failure::Failure;
use crate::report::{Finding, Report};
use crate::shipped;
use crate::workspace::{self, Workspace, run};

const TARGET: &str = "aarch64-apple-ios";
const MUST_DEFINE: &str = "_ffi_sotto_ffi_uniffi_contract_version";

/// Builds and checks it.
///
/// # Errors
/// [`Failure`] when it cannot be built or is not what it should be.
pub fn check(workspace: &Workspace) -> Result<Report, Failure> {
    run(&mut shipped::cargo(workspace, TARGET, "staticlib", &[]))?;
    let path = shipped::result(workspace, TARGET, "libsotto_ffi.a");
    let mut report = Report::on(workspace.shown(&path).to_string());
    report.add("objects for phones, with the names that Swift calls", look(&workspace::read(&path)?));
    report.leave_out("frameworks: Xcode links them");
    Ok(report)
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
