//! `cargo xtask android`: the shared libraries of an AAR, one for each ABI.
//!
//! With an NDK they are linked as apps need them. Without one they are linked against empty libraries (`--stub`): what
//! comes out cannot run, and says so in a section of its own, but has the size, the layout and the names of the real
//! thing, so that all checks of a package run on any machine.
//!
//! The NDK's linker is called directly. cargo-ndk does the same and wants to be installed; see `docs/adr/0026`.

mod aar;
mod abi;
mod link;
mod parts;

use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::library;
use crate::shipped::{self, Tools};
use crate::workspace::{self, Workspace, run};

pub use aar::{Aar, compile, jars, starter, starter_resources, write as write_aar};
pub use abi::Abi;
use link::Linker;

/// The name of the library: what `System.loadLibrary` and the generated code ask for.
pub const LIBRARY: &str = "libsotto_ffi.so";

/// Options of the chore.
#[derive(Debug, Clone)]
pub struct Options {
    /// The ABIs to build for.
    pub abis: Vec<Abi>,
    /// Link against nothing even where an NDK is.
    pub stub: bool,
    /// Where to put what ships, in a folder per ABI, as Gradle takes it; else `target/xtask/android`.
    pub out: Option<PathBuf>,
}

/// A library that was built.
#[derive(Debug, Clone)]
pub struct Built {
    /// What it is for.
    pub abi: Abi,
    /// What ships, stripped.
    pub library: PathBuf,
    /// Whether it can run.
    pub runnable: bool,
}

/// Builds the libraries into `target/xtask/android`, and beside them, under `symbols`, the same ones with their names,
/// which turn addresses of a crash into functions.
///
/// # Errors
/// [`Failure`] when something is missing or cannot be built.
pub fn build(workspace: &Workspace, options: &Options) -> Result<Vec<Built>, Failure> {
    let tools = Tools::find(workspace)?;
    let linker = Linker::find(workspace, options.stub)?;
    // Where libraries go into a package at once, one that cannot run must be asked for by name.
    if linker.is_stub() && !options.stub && options.out.is_some() {
        let remedy = "install one and set ANDROID_NDK_HOME, or ask for libraries that cannot run with `--stub`";
        return Err(Failure::missing("there is no NDK", remedy));
    }
    println!("{linker}");
    let out = options.out.as_ref().map_or_else(|| workspace.made("android"), |out| workspace.root().join(out));
    options.abis.iter().map(|abi| build_one(workspace, &tools, &linker, *abi, &out)).collect()
}

fn build_one(workspace: &Workspace, tools: &Tools, linker: &Linker, abi: Abi, out: &Path) -> Result<Built, Failure> {
    let flags = linker.flags(workspace, tools, abi)?;
    let mut command = shipped::cargo(workspace, abi.target(), "cdylib", abi.smaller(), &flags);
    command.env(abi.linker_variable(), linker.program(abi));
    run(&mut command)?;
    let built = shipped::result(workspace, abi.target(), LIBRARY);
    let symbols = workspace.made("android").join("symbols").join(abi.name()).join(LIBRARY);
    workspace::write(&symbols, &workspace::read(&built)?)?;

    let library = out.join(abi.name()).join(LIBRARY);
    if let Some(folder) = library.parent() {
        std::fs::create_dir_all(folder).map_err(Failure::file(folder))?;
    }
    run(tools.tool("rust-objcopy").arg("--strip-all").arg(&symbols).arg(&library))?;
    if linker.is_stub() {
        mark(workspace, tools, &library)?;
    }
    println!(
        "{}",
        parts::summary(
            &workspace.shown(&library).to_string(),
            &workspace::read(&library)?,
            &workspace::read(&symbols)?
        )
    );
    Ok(Built { abi, library, runnable: !linker.is_stub() })
}

/// Adds the section that says that a library cannot run.
fn mark(workspace: &Workspace, tools: &Tools, library: &Path) -> Result<(), Failure> {
    let note = workspace.made("android").join("not-runnable.txt");
    workspace::write(
        &note,
        b"Linked against nothing by `cargo xtask android --stub`: for checks of size and names only.\n",
    )?;
    let section = format!("{}={}", library::NOT_RUNNABLE, note.display());
    run(tools.tool("rust-objcopy").args(["--add-section", &section]).arg(library))
}
