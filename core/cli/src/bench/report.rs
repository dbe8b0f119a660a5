//! The figures of `bench speech`, for people and as JSON.

use std::io::{self, Write};
use std::time::Duration;

use serde_json::{Value, json};
use sotto::speech::Timing;

use super::speech::Totals;
use super::step::Step;
use crate::args::Global;
use crate::error::CliError;
use crate::transcribe::output::milliseconds;

// Of the names before the figures.
const WIDTH: usize = 20;

/// All that was measured.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) load: Duration,
    /// The first window after loading, which pays for pages, caches and clocks that are not warm yet.
    pub(super) cold: Timing,
    /// At least one, all of them warm.
    pub(super) rounds: Vec<Totals>,
    pub(super) step: Step,
    /// Read before anything but transcribing takes memory.
    pub(super) peak_resident: Option<u64>,
    /// Work of the busy thread, where there was one.
    pub(super) busy: Option<u64>,
}

impl Report {
    pub(super) fn write(&self, global: &Global) -> Result<(), CliError> {
        let mut out = io::stdout().lock();
        // Speed, words and allocations are those of the first round; of the others, what became of the speed.
        let Some(first) = self.rounds.first() else { return Ok(()) };
        if global.json {
            writeln!(out, "{}", self.json(first))?;
        } else {
            self.print(first, &mut out)?;
        }
        Ok(())
    }

    fn json(&self, first: &Totals) -> Value {
        let timing = &first.timing;
        let mut object = json!({
            "clips": first.clips,
            "audio_s": first.audio,
            "load_ms": milliseconds(self.load),
            "cold_encode_ms_per_window": per_window(&self.cold),
            "cold_decode_ms_per_token": per_token(&self.cold),
            "warm_encode_ms_per_window": per_window(timing),
            "warm_decode_ms_per_token": per_token(timing),
            "rounds": self.rounds.iter().map(|round| json!({
                "encode_ms_per_window": per_window(&round.timing),
                "decode_ms_per_token": per_token(&round.timing),
                "total_ms": milliseconds(round.timing.total),
                "ratio_to_first": ratio(&round.timing, timing),
            })).collect::<Vec<_>>(),
            "total_ms": milliseconds(timing.total),
            "real_time_factor": timing.total.as_secs_f64() / first.audio.max(1e-9),
            "peak_resident_bytes": self.peak_resident,
            "allocations_per_recording": allocations(first),
            "busy_thread_work": self.busy,
        });
        self.step.add_to(&mut object);
        first.accuracy.add_to(&mut object);
        object
    }

    fn print(&self, first: &Totals, out: &mut impl Write) -> io::Result<()> {
        let beside = if self.busy.is_some() { ", beside a busy thread" } else { "" };
        writeln!(out, "{} recordings, {:.1} s of audio{beside}", first.clips, first.audio)?;
        let mut line = |name: &str, figure: &str| writeln!(out, "  {name:WIDTH$}{figure}");
        line("load", &format!("{:8.1} ms", milliseconds(self.load)))?;
        line("first window (cold)", &speed(&self.cold))?;
        line("later ones (warm)", &speed(&first.timing))?;
        for (name, figure) in self.step.lines() {
            line(name, &figure)?;
        }
        line("real-time factor", &format!("{:8.3}", first.timing.total.as_secs_f64() / first.audio.max(1e-9)))?;
        self.print_rounds(first, out)?;
        let allocations = format!("{:8} per recording, of the calling thread", allocations(first));
        writeln!(out, "  {:WIDTH$}{allocations}", "allocations")?;
        if let Some(bytes) = self.peak_resident {
            writeln!(out, "  {:WIDTH$}{}", "peak memory", sotto::Bytes(bytes))?;
        }
        first.accuracy.print(WIDTH, out)
    }

    /// What lasting work does to the speed.
    fn print_rounds(&self, first: &Totals, out: &mut impl Write) -> io::Result<()> {
        if self.rounds.len() < 2 {
            return Ok(());
        }
        writeln!(out, "  round   encode per window   decode per token   time of the first round")?;
        for (index, Totals { timing, .. }) in self.rounds.iter().enumerate() {
            let (encode, decode) = (per_window(timing), per_token(timing));
            let ratio = ratio(timing, &first.timing);
            writeln!(out, "  {:5}   {encode:14.1} ms   {decode:13.2} ms   × {ratio:.3}", index + 1)?;
        }
        Ok(())
    }
}

fn speed(timing: &Timing) -> String {
    format!("{:8.1} ms to encode, {:.2} ms per token", per_window(timing), per_token(timing))
}

fn per_window(timing: &Timing) -> f64 {
    milliseconds(timing.encode) / timing.windows.max(1) as f64
}

/// With the prompt and second tries.
fn per_token(timing: &Timing) -> f64 {
    milliseconds(timing.decode) / timing.tokens.max(1) as f64
}

/// How many times as long as the first round one took.
fn ratio(round: &Timing, first: &Timing) -> f64 {
    round.total.as_secs_f64() / first.total.as_secs_f64().max(1e-9)
}

fn allocations(totals: &Totals) -> u64 {
    totals.allocations / totals.clips.max(1) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_that_takes_longer_shows_in_its_ratio() {
        let of = |total| Timing { total: Duration::from_millis(total), ..Timing::default() };
        assert!((ratio(&of(300), &of(200)) - 1.5).abs() < 1e-9);
        assert_eq!(ratio(&of(200), &of(200)), 1.0);
    }
}
