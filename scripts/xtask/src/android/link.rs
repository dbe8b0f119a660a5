//! The linker: the NDK's, or rust-lld against empty libraries.

use std::fmt;
use std::path::{Path, PathBuf};

use super::{Abi, LIBRARY};
use crate::failure::Failure;
use crate::shipped::Tools;
use crate::workspace::{self, Workspace};

/// The oldest Android that the package runs on (8.0), whose system library is linked against.
pub const API: u32 = 26;

/// Phones with pages of 16 KB refuse to map anything laid out for less. The NDK's linker does this by itself from NDK
/// 28 on.
const PAGE: &str = "max-page-size=16384";

/// What the Rust library asks the linker for on Android.
const SYSTEM: &[&str] = &["android", "c", "dl", "log", "m", "unwind"];

/// What links.
#[derive(Debug)]
pub enum Linker {
    /// The NDK's compiler, in this folder.
    Ndk(PathBuf),
    /// rust-lld, with empty libraries in this folder.
    Stub(PathBuf),
}

impl Linker {
    /// The NDK's linker where there is an NDK and `stub` does not ask for the other one.
    ///
    /// # Errors
    /// [`Failure`] when neither can be had.
    pub fn find(workspace: &Workspace, stub: bool) -> Result<Self, Failure> {
        if !stub {
            if let Some(folder) = ndk(&|name| std::env::var_os(name).map(PathBuf::from)) {
                return Ok(Self::Ndk(folder));
            }
            println!("No NDK (ANDROID_NDK_HOME, ANDROID_NDK_ROOT or ANDROID_HOME/ndk).");
        }
        let folder = workspace.made("android").join("empty");
        workspace::fresh_folder(&folder)?;
        Ok(Self::Stub(folder))
    }

    /// Whether what it links cannot run.
    pub fn is_stub(&self) -> bool {
        matches!(self, Self::Stub(_))
    }

    /// What cargo calls.
    pub fn program(&self, abi: Abi) -> PathBuf {
        match self {
            Self::Ndk(folder) => folder.join(format!("{}{API}-clang", abi.compiler())),
            Self::Stub(_) => "rust-lld".into(),
        }
    }

    /// Flags for the compiler.
    ///
    /// # Errors
    /// [`Failure`] when the empty libraries cannot be made.
    pub fn flags(&self, workspace: &Workspace, tools: &Tools, abi: Abi) -> Result<Vec<String>, Failure> {
        if let Self::Stub(folder) = self {
            empty_libraries(workspace, tools, &folder.join(abi.name()), abi)?;
        }
        Ok(self.arguments(abi).into_iter().map(|argument| format!("-Clink-arg={argument}")).collect())
    }

    fn arguments(&self, abi: Abi) -> Vec<String> {
        match self {
            Self::Ndk(_) => vec![format!("-Wl,-z,{PAGE}"), format!("-Wl,-soname,{LIBRARY}")],
            Self::Stub(folder) => vec![
                format!("-z{PAGE}"),
                format!("-soname={LIBRARY}"),
                format!("-L{}", folder.join(abi.name()).display()),
                "--unresolved-symbols=ignore-all".into(),
            ],
        }
    }
}

impl fmt::Display for Linker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ndk(folder) => write!(f, "Linking with the NDK in {}.", folder.display()),
            Self::Stub(_) => f.write_str(
                "Linking against empty libraries: the result is right in size, layout and names, and CANNOT RUN.\n\
                 For libraries that run, install an NDK and set ANDROID_NDK_HOME.",
            ),
        }
    }
}

/// The folder of the NDK's compilers, by the variables that its tools use.
fn ndk(variable: &dyn Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let named = ["ANDROID_NDK_HOME", "ANDROID_NDK_ROOT", "NDK_HOME"].into_iter().filter_map(variable);
    let beside = ["ANDROID_HOME", "ANDROID_SDK_ROOT"]
        .into_iter()
        .filter_map(variable)
        .filter_map(|sdk| newest(&sdk.join("ndk")));
    named.chain(beside).find_map(|ndk| {
        // One folder, for the machine that the NDK was installed on.
        let hosts = std::fs::read_dir(ndk.join("toolchains/llvm/prebuilt")).ok()?;
        hosts.filter_map(Result::ok).map(|host| host.path().join("bin")).find(|folder| folder.is_dir())
    })
}

/// The folder with the highest version as its name.
fn newest(folder: &Path) -> Option<PathBuf> {
    let version = |path: &PathBuf| -> Vec<u64> {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        name.split('.').map(|part| part.parse().unwrap_or(0)).collect()
    };
    std::fs::read_dir(folder).ok()?.filter_map(Result::ok).map(|entry| entry.path()).max_by_key(version)
}

/// Shared libraries with nothing in them, for the linker to find.
fn empty_libraries(workspace: &Workspace, tools: &Tools, folder: &Path, abi: Abi) -> Result<(), Failure> {
    workspace::fresh_folder(folder)?;
    let source = folder.join("nothing.rs");
    workspace::write(&source, b"#![no_std]\n")?;
    let object = folder.join("nothing.o");
    let mut compile = workspace.rustc();
    compile.args(["--crate-type", "lib", "--emit", "obj", "--target", abi.target(), "-o"]).arg(&object).arg(&source);
    workspace::capture(&mut compile).map_err(|error| {
        Failure::missing(
            format!("nothing can be compiled for {abi}: {error}"),
            format!("run `rustup target add {}`", abi.target()),
        )
    })?;
    for name in SYSTEM {
        let file = folder.join(format!("lib{name}.so"));
        let soname = format!("lib{name}.so");
        let mut link = tools.tool("rust-lld");
        link.args(["-flavor", "gnu", "-shared", "-soname", &soname, "-o"]).arg(&file).arg(&object);
        workspace::capture(&mut link)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ndk_is_found_where_its_tools_look_and_the_newest_is_taken() {
        let sdk = tempfile::tempdir().unwrap();
        for version in ["9.0.1", "28.0.2", "27.9.9"] {
            std::fs::create_dir_all(
                sdk.path().join(format!("ndk/{version}/toolchains/llvm/prebuilt/linux-x86_64/bin")),
            )
            .unwrap();
        }
        let home = |name: &str| (name == "ANDROID_HOME").then(|| sdk.path().to_owned());
        let found = ndk(&home).unwrap();
        assert!(found.ends_with("28.0.2/toolchains/llvm/prebuilt/linux-x86_64/bin"), "{}", found.display());
        assert_eq!(ndk(&|_| None), None);
        assert_eq!(ndk(&|_| Some(sdk.path().join("gone"))), None, "a variable that leads nowhere is no NDK");
    }

    #[test]
    fn both_linkers_are_asked_for_pages_of_16_kb_and_the_right_name() {
        let ndk = Linker::Ndk("/ndk/bin".into());
        assert_eq!(ndk.program(Abi::ArmeabiV7a), Path::new("/ndk/bin/armv7a-linux-androideabi26-clang"));
        for linker in [ndk, Linker::Stub("/empty".into())] {
            let flags = linker.arguments(Abi::Arm64V8a).join(" ");
            assert!(flags.contains("max-page-size=16384") && flags.contains(LIBRARY), "{flags}");
        }
    }
}
