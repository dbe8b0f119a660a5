//! Scales and their ticks.

/// A scale from `low` to `high`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    pub(super) ticks: Vec<f64>,
}

impl Axis {
    /// From zero to a round number above all values, with four or five ticks.
    pub(super) fn from_zero(values: impl IntoIterator<Item = f64>) -> Self {
        let most = values.into_iter().filter(|value| value.is_finite()).fold(0.0, f64::max);
        let most = if most > 0.0 { most } else { 1.0 };
        let step = round_step(most / 4.0);
        Self::with_step(0.0, (most / step - 1e-9).ceil() * step, step)
    }

    /// Around the values, for lines whose absolute level matters little.
    pub(super) fn around(values: impl IntoIterator<Item = f64> + Clone) -> Self {
        let finite = || values.clone().into_iter().filter(|value| value.is_finite());
        let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
        if low > high {
            return Self::from_zero([]);
        }
        let step = round_step(((high - low) / 3.0).max(high.abs() * 0.01).max(1e-9));
        let first = (low / step).floor() * step;
        Self::with_step(first, ((high / step).ceil() * step).max(first + step), step)
    }

    /// Seconds from zero to exactly `length`.
    pub(super) fn time(length: f64) -> Self {
        const STEPS: [f64; 14] =
            [1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0];
        let length = if length.is_finite() && length > 0.0 { length } else { 1.0 };
        let round = |step: &&f64| length / **step <= 7.0;
        let step = STEPS.iter().find(round).copied().unwrap_or_else(|| round_step(length / 6.0));
        let step = if length < 2.0 { round_step(length / 5.0) } else { step };
        let mut axis = Self::with_step(0.0, length, step);
        axis.high = length;
        axis
    }

    fn with_step(low: f64, high: f64, step: f64) -> Self {
        let count = ((high - low) / step + 1e-9).floor() as usize;
        Self { low, high, ticks: (0..=count.min(20)).map(|index| low + index as f64 * step).collect() }
    }

    /// Position of a value, 0 to 1.
    pub(super) fn place(&self, value: f64) -> f64 {
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    pub(super) fn high(&self) -> f64 {
        self.high
    }
}

/// 1, 2 or 5 times a power of ten, at least `least`.
fn round_step(least: f64) -> f64 {
    let power = libm::pow(10.0, libm::log10(least).floor());
    let steps = [1.0, 2.0, 5.0, 10.0];
    steps.into_iter().map(|step| step * power).find(|step| *step >= least * (1.0 - 1e-9)).unwrap_or(power * 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_hold_all_values() {
        let axis = Axis::from_zero([0.3, 0.83]);
        assert_eq!((axis.ticks.len(), axis.high()), (3, 1.0));
        assert_eq!(Axis::from_zero([]).high(), 1.0);
        assert_eq!(Axis::from_zero([f64::NAN, 400.0]).ticks, [0.0, 100.0, 200.0, 300.0, 400.0]);
        let around = Axis::around([20.1, 22.9]);
        assert!(around.place(20.1) > 0.0 && around.place(22.9) < 1.0 && around.ticks.len() >= 3, "{around:?}");
        assert_eq!(Axis::around([5.0]).ticks.len(), 2);
    }

    #[test]
    fn time_ends_where_it_ends() {
        let axis = Axis::time(304.0);
        assert_eq!(axis.ticks, [0.0, 60.0, 120.0, 180.0, 240.0, 300.0]);
        assert!((axis.place(152.0) - 0.5).abs() < 1e-12);
        for length in [0.0, 0.4, 1.5, 3.0, 1e6, f64::NAN] {
            assert!((2..=12).contains(&Axis::time(length).ticks.len()), "{length}: {:?}", Axis::time(length));
        }
    }
}
