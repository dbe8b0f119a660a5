//! Live transcription of a file or of stdin.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sotto::audio::{AudioError, AudioWarning, SampleSource};
use sotto::job::Answer;
use sotto::speech::{LiveEvent, LiveOptions, LiveText, Options, Recognizer, Session, SessionInput};
use sotto::{CancelToken, Engine};

use super::output::{rounded, warning_json};
use super::screen::Screen;
use crate::args::{Global, TranscribeArgs};
use crate::error::CliError;
use crate::interrupt::Interrupt;

/// Reads on one thread, decodes on the session's, prints on this one. The first Ctrl-C ends the recording: text that
/// waits for more becomes final. The second one stops.
pub(super) fn run(
    args: &TranscribeArgs,
    global: &Global,
    engine: &Engine,
    recognizer: &Recognizer,
    options: Options,
    interrupt: &Interrupt,
) -> Result<(), CliError> {
    let (cancel, end) = (interrupt.cancel(), interrupt.recording());
    let file = &args.files[0];
    let source = super::open(file, args, cancel, end)?;
    let options = LiveOptions { transcribe: options, ..LiveOptions::default() };
    let session = Arc::new(engine.listen(recognizer, options, SessionInput::default(), cancel)?);
    let mut printer = if global.json { Printer::Json } else { Printer::Text(Screen::new(columns())) };
    // Stdin ends by itself, after what it has read.
    let end = if super::is_stdin(file) { CancelToken::new() } else { end.clone() };
    let reader = {
        let session = Arc::clone(&session);
        std::thread::Builder::new().name("sotto-reader".into()).spawn(move || read(source, &session, &end))?
    };
    loop {
        match session.next_event(Duration::MAX)? {
            Answer::Event(event) => printer.print(&event)?,
            Answer::Waiting => {}
            Answer::Ended => break,
        }
    }
    // It has ended: the session ends after it. Where printing or decoding failed nobody waits for it, as it may wait
    // for a microphone.
    let warnings = reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    printer.end()?;
    if global.json {
        for warning in &warnings {
            send(&(json!({"event": "warning", "warning": warning_json(warning)}).to_string() + "\n"))?;
        }
    }
    super::warn(file, &warnings, global);
    super::strict(args, usize::from(!warnings.is_empty()))
}

/// Feeds the session as fast as it decodes, until the source or the recording ends. What was heard before an error
/// becomes text all the same.
fn read(
    mut source: Box<dyn SampleSource + Send>,
    session: &Session,
    end: &CancelToken,
) -> Result<Vec<AudioWarning>, AudioError> {
    let mut block = Vec::new();
    let mut feed = || -> Result<(), AudioError> {
        while !end.is_cancelled() {
            block.clear();
            let more = source.next_block(&mut block)?;
            // A session that failed says so where its events are pulled.
            if session.feed(&block).is_err() || !more {
                break;
            }
        }
        Ok(())
    };
    let fed = feed();
    session.finish();
    fed.map(|()| source.warnings().to_vec())
}

/// Width of the terminal; `None` where the output is none.
fn columns() -> Option<usize> {
    let terminal = console::Term::stdout();
    terminal.size_checked().filter(|_| terminal.is_term()).map(|(_, columns)| usize::from(columns))
}

/// Final text is printed once; volatile text is drawn behind it on a terminal and drawn over.
enum Printer {
    Json,
    Text(Screen),
}

impl Printer {
    fn print(&mut self, event: &LiveEvent) -> io::Result<()> {
        send(&match (self, event) {
            (Self::Json, LiveEvent::Final { at, text }) => json_line("final", *at, text),
            (Self::Json, LiveEvent::Volatile { at, text }) => json_line("volatile", *at, text),
            (Self::Text(screen), LiveEvent::Final { text, .. }) => screen.final_text(&text.text, text.start, text.end),
            (Self::Text(screen), LiveEvent::Volatile { text, .. }) => screen.volatile_text(&text.text),
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

fn json_line(kind: &str, at: f64, text: &LiveText) -> String {
    let (start, end) = (rounded(text.start), rounded(text.end));
    json!({"event": kind, "at": rounded(at), "start": start, "end": end, "text": text.text}).to_string() + "\n"
}

fn send(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
