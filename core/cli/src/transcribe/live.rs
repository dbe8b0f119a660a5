//! Live transcription of a file or of stdin.

use std::io::{self, IsTerminal, Write};

use serde_json::json;
use sotto::stream::{StreamEvent, StreamOptions, StreamTranscriber};
use sotto::{CancelToken, SpeechRecognizer, TranscribeOptions};

use super::output::rounded;
use crate::args::{Global, TranscribeArgs};
use crate::error::CliError;

pub(super) fn run(
    args: &TranscribeArgs,
    global: &Global,
    recognizer: &SpeechRecognizer,
    options: TranscribeOptions,
    cancel: &CancelToken,
) -> Result<(), CliError> {
    let mut source = super::open(&args.files[0], &args.raw, cancel)?;
    let options = StreamOptions { transcribe: options, ..StreamOptions::default() };
    let mut transcriber = StreamTranscriber::new(recognizer, &options, sotto::audio::SAMPLE_RATE, 1, cancel)?;
    let mut printer = Printer { json: global.json, draws: !global.json && io::stdout().is_terminal(), drawn: 0 };
    let (mut block, mut events) = (Vec::new(), Vec::new());
    loop {
        cancel.check()?;
        block.clear();
        let more = source.next_block(&mut block)?;
        transcriber.push(&block, &mut events)?;
        if !more {
            transcriber.finish(&mut events)?;
        }
        for event in events.drain(..) {
            printer.print(&event)?;
        }
        if !more {
            return Ok(printer.end()?);
        }
    }
}

/// Final text is printed once; volatile text is drawn behind it on a terminal and drawn over.
struct Printer {
    json: bool,
    draws: bool,
    /// Characters of volatile text on the screen.
    drawn: usize,
}

impl Printer {
    fn print(&mut self, event: &StreamEvent) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let (kind, at, text) = match event {
            StreamEvent::Final { at, text } => ("final", at, text),
            StreamEvent::Volatile { at, text } => ("volatile", at, text),
            _ => return Ok(()),
        };
        if self.json {
            let (start, end) = (rounded(text.start), rounded(text.end));
            let object = json!({"event": kind, "at": rounded(*at), "start": start, "end": end, "text": text.text});
            writeln!(out, "{object}")?;
        } else {
            self.erase(&mut out)?;
            if kind == "final" {
                write!(out, "{}", text.text)?;
            } else if self.draws {
                write!(out, "\x1b[2m{}\x1b[0m", text.text)?;
                self.drawn = text.text.chars().count();
            }
        }
        out.flush()
    }

    fn erase(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if self.drawn > 0 {
            write!(out, "\x1b[{}D\x1b[0J", self.drawn)?;
            self.drawn = 0;
        }
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        if self.json { Ok(()) } else { writeln!(io::stdout()) }
    }
}
