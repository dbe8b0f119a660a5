//! Multiply-adds per second of the bare instructions, on registers: the upper bound of any product.

#![allow(unsafe_code)]

#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
use std::hint::black_box;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
use std::time::Instant;

use crate::isa::Isa;
#[cfg(target_arch = "x86_64")]
use crate::isa::{Avx2, Avx512Vnni};
#[cfg(target_arch = "aarch64")]
use crate::isa::{Dotprod, I8mm, Neon};

#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
const STEPS: u64 = 100_000;

/// Best int8 multiply-adds per second of `isa` on this machine, on one thread; takes some tens of milliseconds. `None`
/// for the scalar set, and for sets that the CPU lacks.
#[must_use]
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
pub fn peak(isa: Isa) -> Option<f64> {
    let (seconds, macs_per_step) = match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => (fastest(Avx2::new()?, x86::avx2), 12 * 16),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Vnni => (fastest(Avx512Vnni::new()?, x86::vnni), 24 * 64),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => (fastest(Neon::new()?, arm::neon), 8 * 16),
        #[cfg(target_arch = "aarch64")]
        Isa::Dotprod | Isa::DotprodInOrder => (fastest(Dotprod::new()?, arm::dotprod), 24 * 16),
        #[cfg(target_arch = "aarch64")]
        Isa::I8mm => (fastest(I8mm::new()?, arm::i8mm), 24 * 32),
        _ => return None,
    };
    Some((STEPS * macs_per_step) as f64 / seconds)
}

#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
fn fastest<Proof: Copy>(proof: Proof, run: fn(Proof, u64)) -> f64 {
    let seconds = (0..100).map(|_| {
        let started = Instant::now();
        run(proof, black_box(STEPS));
        started.elapsed().as_secs_f64()
    });
    seconds.fold(f64::INFINITY, f64::min)
}

/// This architecture has only the scalar set: `None`.
#[must_use]
#[cfg(not(any(target_arch = "aarch64", target_arch = "x86_64")))]
pub fn peak(_: Isa) -> Option<f64> {
    None
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::asm;

    use crate::isa::{Avx2, Avx512Vnni};

    /// Twelve exact steps of sixteen products: `vpmaddwd` and the add that it needs.
    pub(super) fn avx2(_: Avx2, steps: u64) {
        macro_rules! step {
            ($($acc:literal)*) => {
                concat!($("vpmaddwd ymm12, ymm14, ymm15\n", "vpaddd ymm", $acc, ", ymm", $acc, ", ymm12\n"),*)
            };
        }
        // SAFETY: the argument proves the feature; all registers that are written are declared.
        unsafe {
            asm!(
                "2:", step!(0 1 2 3 4 5 6 7 8 9 10 11), "dec {n}", "jnz 2b", n = inout(reg) steps => _,
                out("ymm0") _, out("ymm1") _, out("ymm2") _, out("ymm3") _, out("ymm4") _, out("ymm5") _,
                out("ymm6") _, out("ymm7") _, out("ymm8") _, out("ymm9") _, out("ymm10") _, out("ymm11") _,
                out("ymm12") _, out("ymm14") _, out("ymm15") _, options(nomem, nostack)
            );
        }
    }

    /// 24 `vpdpbusd` of 64 products.
    pub(super) fn vnni(_: Avx512Vnni, steps: u64) {
        // SAFETY: the argument proves the features.
        unsafe { vnni_loop(steps) }
    }

    #[target_feature(enable = "avx512f,avx512vnni")]
    fn vnni_loop(steps: u64) {
        macro_rules! step {
            ($($acc:literal)*) => { concat!($("vpdpbusd zmm", $acc, ", zmm30, zmm31\n"),*) };
        }
        // SAFETY: all registers that are written are declared.
        unsafe {
            asm!(
                "2:", step!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23), "dec {n}", "jnz 2b",
                n = inout(reg) steps => _,
                out("zmm0") _, out("zmm1") _, out("zmm2") _, out("zmm3") _, out("zmm4") _, out("zmm5") _,
                out("zmm6") _, out("zmm7") _, out("zmm8") _, out("zmm9") _, out("zmm10") _, out("zmm11") _,
                out("zmm12") _, out("zmm13") _, out("zmm14") _, out("zmm15") _, out("zmm16") _, out("zmm17") _,
                out("zmm18") _, out("zmm19") _, out("zmm20") _, out("zmm21") _, out("zmm22") _, out("zmm23") _,
                options(nomem, nostack)
            );
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use std::arch::asm;

    use crate::isa::{Dotprod, I8mm, Neon};

    macro_rules! run {
        ($steps:ident, $body:expr) => {
            // SAFETY: the argument proves the feature; all registers that are written are declared.
            unsafe {
                asm!(
                    "2:", $body, "subs {n}, {n}, #1", "b.ne 2b", n = inout(reg) $steps => _,
                    out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _, out("v6") _,
                    out("v7") _, out("v8") _, out("v9") _, out("v10") _, out("v11") _, out("v12") _, out("v13") _,
                    out("v14") _, out("v15") _, out("v16") _, out("v17") _, out("v18") _, out("v19") _,
                    out("v20") _, out("v21") _, out("v22") _, out("v23") _, options(nomem, nostack)
                );
            }
        };
    }

    /// Eight steps of sixteen products: `smull`, `smlal2`, `sadalp`.
    pub(super) fn neon(_: Neon, steps: u64) {
        macro_rules! step {
            ($($acc:literal $t:literal),*) => {
                concat!($("smull v", $t, ".8h, v30.8b, v31.8b\n", "smlal2 v", $t, ".8h, v30.16b, v31.16b\n",
                    "sadalp v", $acc, ".4s, v", $t, ".8h\n"),*)
            };
        }
        run!(steps, step!(0 16, 1 17, 2 18, 3 19, 4 20, 5 21, 6 22, 7 23));
    }

    /// 24 `sdot` of sixteen products.
    pub(super) fn dotprod(_: Dotprod, steps: u64) {
        // SAFETY: the argument proves the features.
        unsafe { dotprod_loop(steps) }
    }

    #[target_feature(enable = "dotprod")]
    fn dotprod_loop(steps: u64) {
        macro_rules! step {
            ($($acc:literal)*) => { concat!($("sdot v", $acc, ".4s, v30.16b, v31.16b\n"),*) };
        }
        run!(steps, step!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23));
    }

    /// 24 `smmla` of 32 products.
    pub(super) fn i8mm(_: I8mm, steps: u64) {
        // SAFETY: the argument proves the features.
        unsafe { i8mm_loop(steps) }
    }

    #[target_feature(enable = "i8mm")]
    fn i8mm_loop(steps: u64) {
        macro_rules! step {
            ($($acc:literal)*) => { concat!($("smmla v", $acc, ".4s, v30.16b, v31.16b\n"),*) };
        }
        run!(steps, step!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23));
    }
}
