//! What whisper.cpp hears: `--model FILE --clips FOLDER --texts FOLDER [--beam N]`. A `.txt` for each `.f32`.
//!
//! One thread, English, and otherwise the defaults of its command line: timestamps, five hypotheses (`--beam 1` is its
//! greedy decoding), second tries at higher temperatures. These draw five samples after greedy decoding; after beams
//! the bindings leave it at one.

use sotto_peers::{Arguments, Failure, each_clip};
use whisper_rs::{FullParams, SamplingStrategy, WhisperContext, WhisperContextParameters};

const TRIES: i32 = 5;

fn main() -> Result<(), Failure> {
    whisper_rs::install_logging_hooks();
    let arguments = Arguments::of_process();
    let context = WhisperContext::new_with_params(arguments.get("model")?, WhisperContextParameters::default())?;
    let mut state = context.create_state()?;
    let strategy = match arguments.find("beam").unwrap_or("5") {
        "1" => SamplingStrategy::Greedy { best_of: TRIES },
        beam => SamplingStrategy::BeamSearch { beam_size: beam.parse()?, patience: -1.0 },
    };
    each_clip(&arguments, |samples| {
        let mut options = FullParams::new(strategy.clone());
        options.set_n_threads(1);
        options.set_language(Some("en"));
        options.set_no_context(true);
        options.set_print_progress(false);
        options.set_print_realtime(false);
        options.set_print_special(false);
        options.set_print_timestamps(false);
        state.full(options, &samples)?;
        let pieces: Result<Vec<_>, _> = state.as_iter().map(|segment| segment.to_str().map(str::to_owned)).collect();
        Ok(pieces?.concat())
    })
}
