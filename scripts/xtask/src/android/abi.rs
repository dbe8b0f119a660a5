//! The ABIs of Android that Sotto ships for.

use std::fmt;

use crate::library::Machine;

/// One ABI. 32-bit x86 is left out: no phone has it, and emulators run the 64-bit one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Abi {
    /// Nearly every phone.
    Arm64V8a,
    /// Old and small phones, and some new ones with 32-bit systems.
    ArmeabiV7a,
    /// Emulators and Chromebooks.
    X86_64,
}

impl Abi {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Arm64V8a, Self::ArmeabiV7a, Self::X86_64];

    /// The name of its folder in packages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Arm64V8a => "arm64-v8a",
            Self::ArmeabiV7a => "armeabi-v7a",
            Self::X86_64 => "x86_64",
        }
    }

    /// The ABI of a folder.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|abi| abi.name() == name)
    }

    /// Rust's target.
    pub fn target(self) -> &'static str {
        match self {
            Self::Arm64V8a => "aarch64-linux-android",
            Self::ArmeabiV7a => "armv7-linux-androideabi",
            Self::X86_64 => "x86_64-linux-android",
        }
    }

    /// The prefix of the NDK's compiler; for 32-bit ARM it is not Rust's target.
    pub fn compiler(self) -> &'static str {
        match self {
            Self::ArmeabiV7a => "armv7a-linux-androideabi",
            other => other.target(),
        }
    }

    /// The variable by which cargo takes a linker.
    pub fn linker_variable(self) -> String {
        format!("CARGO_TARGET_{}_LINKER", self.target().to_uppercase().replace('-', "_"))
    }

    /// Crates that are optimised for size on this ABI alone. Code for x86-64 is a fifth larger than for ARM, and what
    /// runs there is an emulator or a Chromebook: the larger crates but for the kernels give way, so that the ceiling
    /// is the same for all.
    pub fn smaller(self) -> &'static [&'static str] {
        match self {
            Self::X86_64 => &["opus-pure", "sotto-audio", "sotto-nn", "sotto-speech", "sotto-text"],
            Self::Arm64V8a | Self::ArmeabiV7a => &[],
        }
    }

    /// The processor.
    pub fn machine(self) -> Machine {
        match self {
            Self::Arm64V8a => Machine::Arm64,
            Self::ArmeabiV7a => Machine::Arm,
            Self::X86_64 => Machine::X86_64,
        }
    }
}

impl fmt::Display for Abi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_gets_the_linker_by_the_name_it_reads() {
        assert_eq!(Abi::ArmeabiV7a.linker_variable(), "CARGO_TARGET_ARMV7_LINUX_ANDROIDEABI_LINKER");
        assert_eq!(Abi::ArmeabiV7a.compiler(), "armv7a-linux-androideabi");
    }

    #[test]
    fn names_of_folders_are_names_of_abis() {
        for abi in Abi::ALL {
            assert_eq!(Abi::named(abi.name()), Some(abi));
        }
        assert_eq!(Abi::named("mips"), None);
    }
}
