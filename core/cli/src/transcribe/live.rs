//! Live transcription of a file or of stdin.

use std::io::{self, Write};

use serde_json::json;
use sotto::stream::{StreamEvent, StreamOptions, StreamText, StreamTranscriber};
use sotto::{SpeechRecognizer, TranscribeOptions};

use super::output::{rounded, warning_json};
use super::screen::Screen;
use crate::args::{Global, TranscribeArgs};
use crate::error::CliError;
use crate::interrupt::Interrupt;

/// The first Ctrl-C ends the recording: text that waits for more becomes final. The second one stops.
pub(super) fn run(
    args: &TranscribeArgs,
    global: &Global,
    recognizer: &SpeechRecognizer,
    options: TranscribeOptions,
    interrupt: &Interrupt,
) -> Result<(), CliError> {
    let (cancel, end) = (interrupt.cancel(), interrupt.recording());
    let mut source = super::open(&args.files[0], args, cancel, end)?;
    let options = StreamOptions { transcribe: options, ..StreamOptions::default() };
    let mut transcriber = StreamTranscriber::new(recognizer, &options, sotto::audio::SAMPLE_RATE, 1, cancel)?;
    let terminal = console::Term::stdout();
    let columns = terminal.size_checked().filter(|_| terminal.is_term()).map(|(_, columns)| usize::from(columns));
    let mut printer = if global.json { Printer::Json } else { Printer::Text(Screen::new(columns)) };
    let (mut block, mut events) = (Vec::new(), Vec::new());
    loop {
        cancel.check()?;
        block.clear();
        // Stdin ends by itself, after what it has read.
        let ended = end.is_cancelled() && !super::is_stdin(&args.files[0]);
        let more = !ended && source.next_block(&mut block)?;
        transcriber.push(&block, &mut events)?;
        if !more {
            transcriber.finish(&mut events)?;
        }
        for event in events.drain(..) {
            printer.print(&event)?;
        }
        if !more {
            printer.end()?;
            let warnings = source.warnings();
            if global.json {
                for warning in warnings {
                    send(&(json!({"event": "warning", "warning": warning_json(warning)}).to_string() + "\n"))?;
                }
            }
            super::warn(&args.files[0], warnings, global);
            return super::strict(args, usize::from(!warnings.is_empty()));
        }
    }
}

/// Final text is printed once; volatile text is drawn behind it on a terminal and drawn over.
enum Printer {
    Json,
    Text(Screen),
}

impl Printer {
    fn print(&mut self, event: &StreamEvent) -> io::Result<()> {
        send(&match (self, event) {
            (Self::Json, StreamEvent::Final { at, text }) => json_line("final", *at, text),
            (Self::Json, StreamEvent::Volatile { at, text }) => json_line("volatile", *at, text),
            (Self::Text(screen), StreamEvent::Final { text, .. }) => {
                screen.final_text(&text.text, text.start, text.end)
            }
            (Self::Text(screen), StreamEvent::Volatile { text, .. }) => screen.volatile_text(&text.text),
            _ => return Ok(()),
        })
    }

    fn end(&mut self) -> io::Result<()> {
        match self {
            Self::Json => Ok(()),
            Self::Text(screen) => send(&screen.end()),
        }
    }
}

fn json_line(kind: &str, at: f64, text: &StreamText) -> String {
    let (start, end) = (rounded(text.start), rounded(text.end));
    json!({"event": kind, "at": rounded(at), "start": start, "end": end, "text": text.text}).to_string() + "\n"
}

fn send(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
