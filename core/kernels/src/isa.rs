//! Instruction sets, and proof values: whoever holds one knows that the CPU has the set.
//!
//! Every unsafe kernel takes such a value. Only run-time detection makes it, so code that holds one may execute the
//! instructions. Nothing is compiled with `target-cpu`; one binary serves all CPUs of an architecture.

#![allow(unsafe_code)]

use std::fmt;
use std::str::FromStr;

/// An instruction set with its own kernels. All give the same bits; they differ only in speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Isa {
    /// Portable Rust, one value at a time: the specification of all others, and the fallback.
    Scalar,
    /// Advanced SIMD of ARMv8.0: every 64-bit ARM core.
    Neon,
    /// Neon with the int8 dot product `sdot` (ARMv8.2, most phones since 2018).
    Dotprod,
    /// The instructions of [`Dotprod`](Self::Dotprod), scheduled for in-order cores (Cortex-A55 and similar: all cores
    /// of the cheapest phones).
    DotprodInOrder,
    /// Neon with the int8 matrix product `smmla` (ARMv8.6, flagship phones since 2022).
    I8mm,
    /// AVX2 with FMA and half-precision conversion (x86-64 since 2013).
    Avx2,
    /// AVX-512 with the int8 dot product `vpdpbusd`.
    Avx512Vnni,
}

impl Isa {
    /// All sets, slower before faster on each architecture. The in-order variant comes before its sibling, because it
    /// is faster only on in-order cores.
    pub const ALL: [Self; 7] =
        [Self::Scalar, Self::Neon, Self::DotprodInOrder, Self::Dotprod, Self::I8mm, Self::Avx2, Self::Avx512Vnni];

    /// The name that `SOTTO_ISA` takes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Neon => "neon",
            Self::Dotprod => "dotprod",
            Self::DotprodInOrder => "dotprod-in-order",
            Self::I8mm => "i8mm",
            Self::Avx2 => "avx2",
            Self::Avx512Vnni => "avx512vnni",
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name is not that of an instruction set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no such instruction set; one of {} is wanted", Isa::ALL.map(Isa::name).join(", "))]
pub struct UnknownIsa;

impl FromStr for Isa {
    type Err = UnknownIsa;

    fn from_str(name: &str) -> Result<Self, UnknownIsa> {
        let name = name.trim();
        Self::ALL.into_iter().find(|isa| isa.name().eq_ignore_ascii_case(name)).ok_or(UnknownIsa)
    }
}

/// Portable Rust: needs no proof, but has the same interface as the others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scalar(());

impl Scalar {
    pub(crate) fn new() -> Option<Self> {
        Some(Self(()))
    }

    /// # Safety
    /// None needed; `unsafe` so that the kernel tables treat all sets alike.
    pub(crate) unsafe fn assume() -> Self {
        Self(())
    }
}

/// Declares a proof type. `new` detects all its features; `assume` is for code that can only be reached through such a
/// proof.
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
macro_rules! proof {
    ($(#[$doc:meta])* $name:ident, $detect:ident: $($feature:tt)+) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub(crate) struct $name(());

        impl $name {
            /// The proof, if the running CPU has all the features.
            pub(crate) fn new() -> Option<Self> {
                ($(std::arch::$detect!($feature))&&+).then_some(Self(()))
            }

            /// The proof without detection.
            ///
            /// # Safety
            /// In this process, `new` of this type, or of another proof type with all these features, has returned a
            /// value.
            #[inline(always)]
            pub(crate) unsafe fn assume() -> Self {
                Self(())
            }
        }
    };
}

#[cfg(target_arch = "aarch64")]
mod proofs {
    proof!(
        /// The CPU has Advanced SIMD.
        Neon, is_aarch64_feature_detected: "neon"
    );
    proof!(
        /// The CPU has Advanced SIMD and `sdot`.
        Dotprod, is_aarch64_feature_detected: "neon" "dotprod"
    );
    proof!(
        /// The CPU has Advanced SIMD and `sdot`.
        DotprodInOrder, is_aarch64_feature_detected: "neon" "dotprod"
    );
    proof!(
        /// The CPU has Advanced SIMD, `sdot` and `smmla`.
        I8mm, is_aarch64_feature_detected: "neon" "dotprod" "i8mm"
    );
}

#[cfg(target_arch = "x86_64")]
mod proofs {
    proof!(
        /// The CPU has AVX2, FMA and F16C, and the system saves their registers.
        Avx2, is_x86_feature_detected: "avx2" "fma" "f16c"
    );
    proof!(
        /// The CPU has the AVX-512 foundation, byte/word, vector-length and VNNI instructions, and the system saves
        /// their registers.
        Avx512Vnni, is_x86_feature_detected: "avx2" "fma" "f16c" "avx512f" "avx512bw" "avx512vl" "avx512vnni"
    );
}

#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
pub(crate) use proofs::*;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for isa in Isa::ALL {
            assert_eq!(isa.name().to_uppercase().parse(), Ok(isa));
        }
        assert_eq!("sse9".parse::<Isa>(), Err(UnknownIsa));
    }
}
