//! Checks that all expected sets are detected. The other tests run on the sets that the CPU has, so a set that is not
//! detected would go unnoticed.

use sotto_kernels::KernelSet;

/// Names of exactly the sets that the CPU has, separated by spaces; `scripts/test.sh` sets the variable for every CPU
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
