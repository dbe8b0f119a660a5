//! What a native library says of itself: ELF for Android, Mach-O for Apple.

#[cfg(test)]
pub mod example;
mod read;

pub use read::slices;

/// The section that marks a library which was linked against nothing (`cargo xtask android --stub`): right in size,
/// layout and names, and impossible to load.
pub const NOT_RUNNABLE: &str = ".sotto.not-runnable";

/// The processors that Sotto ships for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// 64-bit ARM.
    Arm64,
    /// 32-bit ARM.
    Arm,
    /// 64-bit x86.
    X86_64,
    /// Any other.
    Other,
}

/// The systems of Apple that a library can say it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// Phones and tablets.
    Ios,
    /// Their simulator.
    Simulator,
    /// Macs.
    MacOs,
    /// Any other, or none said.
    Other,
}

/// A part of the file that is mapped into memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// The alignment that it asks for.
    pub align: u64,
    /// Where it lies in the file.
    pub offset: u64,
    /// Where it goes in memory.
    pub address: u64,
}

/// A library for one processor.
#[derive(Debug, Clone)]
pub struct Library {
    /// ELF; else Mach-O.
    pub elf: bool,
    /// The processor.
    pub machine: Machine,
    /// The system, of Mach-O only.
    pub platform: Platform,
    /// Whether it can be loaded while an app runs: a shared object, a dylib.
    pub dynamic: bool,
    /// Its own name: `DT_SONAME`, `LC_ID_DYLIB`.
    pub name: Option<String>,
    /// What the loader maps.
    pub loads: Vec<Load>,
    /// What it offers, as its language names it: without the underscore of Mach-O.
    pub exports: Vec<String>,
    /// What others must offer to it.
    pub imports: Vec<String>,
    /// The libraries that it asks for.
    pub needed: Vec<String>,
    /// Whether names or lines for debuggers are still in it.
    pub unstripped: bool,
    /// Whether it was linked against nothing.
    pub not_runnable: bool,
}
