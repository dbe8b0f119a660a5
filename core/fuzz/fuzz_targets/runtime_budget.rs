//! Random reservations and releases against an independent account: the budget never lends more than its limit,
//! a refusal changes nothing, and everything comes back.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sotto_runtime::{Bytes, MemoryBudget, OutOfBudget, Reservation};

// Each step is nine bytes: what to do, and a size.
const STEP: usize = 9;

fuzz_target!(|data: &[u8]| {
    let Some((limit, steps)) = data.split_first_chunk::<8>() else { return };
    let limit = u64::from_le_bytes(*limit);
    let budget = MemoryBudget::limited(Bytes(limit));
    let mut held: Vec<Reservation> = Vec::new();
    // Wider than the budget's own counter, so that an overflow in it cannot repeat itself here.
    let mut expected: u128 = 0;

    for step in steps.chunks_exact(STEP) {
        let size = step[1..].iter().rev().fold(0u64, |value, &byte| value << 8 | u64::from(byte));
        if step[0] & 1 == 0 {
            match budget.reserve(Bytes(size)) {
                Ok(reservation) => {
                    expected += u128::from(size);
                    assert!(expected <= u128::from(limit), "more lent than the limit");
                    held.push(reservation);
                }
                Err(OutOfBudget { needed, available }) => {
                    assert_eq!(needed, Bytes(size));
                    assert_eq!(u128::from(available.0), u128::from(limit) - expected);
                    assert!(size > available.0, "refused although it fits");
                }
            }
        } else if !held.is_empty() {
            let released = held.swap_remove(size as usize % held.len());
            expected -= u128::from(released.bytes().0);
        }
        assert_eq!(u128::from(budget.used().0), expected);
    }

    drop(held);
    assert_eq!(budget.available(), Bytes(limit));
});
