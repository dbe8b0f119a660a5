//! `sotto demo`: every task on the models that ship with Sotto, offline.

use std::io::Write;
use std::time::Instant;

use serde_json::json;
use sotto::speech::Options;
use sotto::{CancelToken, audio, starter};

use crate::args::Global;
use crate::error::CliError;
use crate::model;
use crate::progress::Bars;
use crate::transcribe::output::milliseconds;

pub(crate) fn run(global: &Global, cancel: &CancelToken) -> Result<(), CliError> {
    let bars = Bars::new(global.quiet);
    let start = Instant::now();
    let speech = model::load(&model::engine(global), None, &bars, cancel)?;
    let load = start.elapsed();
    let clip = audio::decode_bytes(starter::demo_clip())?;
    let transcript = speech.transcribe(&clip, &Options::default(), &bars, cancel)?;
    bars.clear();
    let mut out = std::io::stdout().lock();
    let timing = transcript.timing;
    if global.json {
        let timing = json!({"load_ms": milliseconds(load), "total_ms": milliseconds(timing.total)});
        let speech =
            json!({"task": "speech", "text": transcript.text, "duration": transcript.duration, "timing": timing});
        writeln!(out, "{speech}")?;
        return Ok(());
    }
    writeln!(out, "Speech-to-text, offline, on the starter recognizer:")?;
    writeln!(out, "  heard    {:.1} s of synthetic speech", transcript.duration)?;
    writeln!(out, "  text     {}", transcript.text.trim())?;
    let factor = transcript.duration / timing.total.as_secs_f64().max(1e-9);
    writeln!(
        out,
        "  timing   load {:.0} ms, encode {:.0} ms, decode {:.0} ms: {factor:.0} times as fast as speech",
        milliseconds(load),
        milliseconds(timing.encode),
        milliseconds(timing.decode)
    )?;
    writeln!(out, "\nThe starter recognizer knows English; your own recording:")?;
    writeln!(out, "  sotto transcribe recording.m4a")?;
    writeln!(out, "For other languages and fewer errors fetch a larger model, once:")?;
    writeln!(out, "  sotto models pull openai/whisper-base")?;
    writeln!(out, "  sotto transcribe --model openai/whisper-base recording.m4a")?;
    Ok(())
}
