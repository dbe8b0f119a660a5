//! A plain decode step beside what the memory allows.

use std::time::Duration;

use serde_json::{Value, json};
use sotto::audio::Pcm16k;
use sotto::kernels::read_bandwidth;
use sotto::speech::{self, Options, Recognizer};
use sotto::{CancelToken, NoProgress};

// The difference of two lengths leaves out what comes before the first step: the prompt and its keys and values.
const FEW_TOKENS: usize = 4;
const MANY_TOKENS: usize = 36;
// Both runs and the reading are taken at best: what the code can do, beside what the memory can.
const REPEATS: usize = 5;

/// One step of greedy decoding, one hypothesis, no second try, in a full window; and one thread's reading of as many
/// bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    /// `None` where the model's text context has no room for the longer run.
    time: Option<Duration>,
    bytes: u64,
    bytes_per_second: f64,
}

impl Step {
    /// Decodes `window` in two lengths, with end-of-text forbidden so that both are reached.
    pub(super) fn measure(
        recognizer: &Recognizer,
        window: &Pcm16k,
        cancel: &CancelToken,
    ) -> Result<Self, speech::Error> {
        let end_of_text = recognizer.model()?.tokenizer().special().eot;
        let decode = |tokens| {
            let endless = Options { max_tokens: Some(tokens), suppress_tokens: vec![end_of_text], ..Options::greedy() };
            recognizer.transcribe(window, &endless, &NoProgress, cancel).map(|transcript| transcript.timing)
        };
        let (mut few, mut many) = (decode(FEW_TOKENS)?, decode(MANY_TOKENS)?);
        for _ in 1..REPEATS {
            few.decode = few.decode.min(decode(FEW_TOKENS)?.decode);
            many.decode = many.decode.min(decode(MANY_TOKENS)?.decode);
        }
        let bytes = recognizer.model()?.bytes_per_token();
        Ok(Self {
            time: per_step((few.decode, few.tokens), (many.decode, many.tokens)),
            bytes,
            bytes_per_second: read_bandwidth(bytes as usize),
        })
    }

    /// The part of a step that reading its bytes takes: 1 is the limit of any decoder on one thread.
    fn share_of_limit(self) -> Option<f64> {
        Some(self.bytes as f64 / self.bytes_per_second / self.time?.as_secs_f64())
    }

    /// Adds the figures to the object of `--json`.
    pub(super) fn add_to(self, object: &mut Value) {
        object["step_ms"] = json!(self.time.map(|time| time.as_secs_f64() * 1e3));
        object["step_bytes"] = json!(self.bytes);
        object["read_gb_per_s"] = json!(self.bytes_per_second / 1e9);
        object["share_of_limit"] = json!(self.share_of_limit());
    }

    /// Lines for people: the name and the figure of each.
    pub(super) fn lines(self) -> Vec<(&'static str, String)> {
        let (Some(time), Some(share)) = (self.time, self.share_of_limit()) else { return Vec::new() };
        let (megabytes, speed) = (self.bytes as f64 / 1e6, self.bytes_per_second / 1e9);
        vec![
            ("decode step", format!("{:8.3} ms (greedy, without the prompt)", time.as_secs_f64() * 1e3)),
            ("", format!("{:8.0} % of it is what reading {megabytes:.1} MB takes at {speed:.1} GB/s", share * 100.0)),
        ]
    }
}

/// Time of one step from the times and tokens of two runs; `None` where they do not differ.
fn per_step(few: (Duration, usize), many: (Duration, usize)) -> Option<Duration> {
    let steps = many.1.checked_sub(few.1).filter(|&steps| steps > 0)?;
    let time = many.0.checked_sub(few.0)? / u32::try_from(steps).ok()?;
    (!time.is_zero()).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_what_more_tokens_cost_more() {
        let run = |milliseconds, tokens| (Duration::from_millis(milliseconds), tokens);
        assert_eq!(per_step(run(10, 4), run(74, 36)), Some(Duration::from_millis(2)));
        assert_eq!(per_step(run(10, 4), run(10, 4)), None);
        assert_eq!(per_step(run(10, 4), run(9, 36)), None);
    }

    #[test]
    fn the_share_is_that_of_the_reading() {
        let step = Step { time: Some(Duration::from_millis(2)), bytes: 10_000_000, bytes_per_second: 1e10 };
        assert_eq!(step.share_of_limit(), Some(0.5));
    }
}
