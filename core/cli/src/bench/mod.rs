//! `sotto bench`: what a task costs and how good it is, on this machine.

mod accuracy;
mod busy;
mod kernels;
mod memory;
mod report;
pub(crate) mod speech;
mod step;
mod stream;

use sotto::CancelToken;

use crate::args::{BenchCommand, Global};
use crate::error::CliError;

pub(crate) fn run(command: &BenchCommand, global: &Global, cancel: &CancelToken) -> Result<(), CliError> {
    match command {
        BenchCommand::Kernels(args) => kernels::run(args, global, cancel),
        BenchCommand::Speech(args) if args.stream => stream::run(args, global, cancel),
        BenchCommand::Speech(args) => speech::run(args, global, cancel),
    }
}

/// The `percent`th percentile of the values by nearest rank; `None` of none.
fn percentile(values: &mut [f64], percent: usize) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() * percent).div_ceil(100).max(1);
    values.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let mut values = [5.0, 1.0, 3.0, 2.0, 4.0];
        assert_eq!(percentile(&mut values, 50), Some(3.0));
        assert_eq!(percentile(&mut values, 90), Some(5.0));
        assert_eq!(percentile(&mut values, 1), Some(1.0));
        assert_eq!(percentile(&mut [], 50), None);
    }
}
