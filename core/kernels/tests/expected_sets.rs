//! No set may be excused: the other tests run on whatever sets the CPU has, so one that is not found would not be
//! missed.

use sotto_kernels::KernelSet;

/// Names of the sets that the CPU has and no others, separated by spaces; `scripts/test.sh` states them for every CPU
/// that it knows.
const VARIABLE: &str = "SOTTO_EXPECT_ISAS";

#[test]
fn the_cpu_has_the_sets_that_it_is_expected_to_have() {
    let mut found: Vec<&str> = KernelSet::all_available().into_iter().map(|set| set.isa().name()).collect();
    assert_eq!(found.first(), Some(&"scalar"));
    let stated = std::env::var(VARIABLE).unwrap_or_default();
    let mut expected: Vec<&str> = stated.split_whitespace().collect();
    if expected.is_empty() {
        return;
    }
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected, "{VARIABLE}");
}
