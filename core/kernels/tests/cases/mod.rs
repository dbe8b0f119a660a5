//! Random cases that are the same on every machine, and bitwise comparison.
#![allow(dead_code, reason = "every test file uses a part")]

use sotto_kernels::KernelSet;

/// A linear congruential generator (Knuth's constants): reproducible, no dependency.
pub struct Lcg(u64);

impl Lcg {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(2).wrapping_add(1))
    }

    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as u32
    }

    /// Values in ±`range`.
    pub fn floats(&mut self, count: usize, range: f32) -> Vec<f32> {
        (0..count).map(|_| (self.next() as f32 / 8_388_608.0 - 1.0) * range).collect()
    }

    /// int8 weights within ±127; both ends occur often.
    pub fn weights(&mut self, count: usize) -> Vec<i8> {
        (0..count).map(|_| ((self.next() % 280) as i32 - 140).clamp(-127, 127) as i8).collect()
    }
}

/// Names of instruction sets, separated by spaces; if this variable is set, tests run only these. `scripts/test.sh
/// aarch64` leaves out the sets that were already tested on an older CPU.
const VARIABLE: &str = "SOTTO_TEST_ISAS";

/// The sets to test: those that the variable names, or all but the scalar one, or that one if there is no other.
pub fn sets() -> Vec<KernelSet> {
    let all = KernelSet::all_available();
    let asked = std::env::var(VARIABLE).unwrap_or_default();
    if asked.is_empty() {
        return if all.len() > 1 { all[1..].to_vec() } else { all };
    }
    let find = |name| all.iter().copied().find(|set| set.isa().name() == name);
    asked.split_whitespace().map(|name| find(name).unwrap_or_else(|| panic!("{VARIABLE}: no {name} here"))).collect()
}

pub fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// The values as half-precision bit patterns.
pub fn halves(values: &[f32]) -> Vec<u16> {
    values.iter().map(|&x| half::f16::from_f32(x).to_bits()).collect()
}
