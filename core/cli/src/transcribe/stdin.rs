//! Standard input and named pipes that can be left: a silent one must not hold up Ctrl-C.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use sotto::{CancelListener, CancelToken};

// What a pipe holds on Linux; a second of 16 kHz mono is half of it.
const PIECE: usize = 64 << 10;

// Pieces that wait: enough to keep the reading thread from being the bottleneck, too few to run ahead of the decoder.
const PIECES: usize = 4;

// At the end of a recording, for what the pipe holds to come in.
const LAST: Duration = Duration::from_millis(200);

/// Reads a pipe on a thread of its own, which ends with the input or with the process.
pub(crate) struct Pipe {
    pieces: Receiver<Come>,
    piece: Vec<u8>,
    read: usize,
    cancel: CancelToken,
    /// Ends the input where it is.
    end: CancelToken,
    /// Pieces handed out since then.
    late: usize,
    /// Wake it where it waits for a pipe that is silent.
    _listeners: [CancelListener; 2],
}

/// What the pipe hears of.
enum Come {
    Piece(io::Result<Vec<u8>>),
    /// The input is over.
    End,
    /// A token has fired.
    Woken,
}

/// Its reads end with an error once `cancel` fires, and as if the pipe were closed once `end` does.
impl Pipe {
    pub(crate) fn stdin(cancel: &CancelToken, end: &CancelToken) -> io::Result<Self> {
        Self::start(cancel, end, |sender| forward(io::stdin().lock(), sender))
    }

    /// A pipe with a name; opening it waits for its writer.
    pub(crate) fn named(path: PathBuf, cancel: &CancelToken, end: &CancelToken) -> io::Result<Self> {
        Self::start(cancel, end, move |sender| match File::open(path) {
            Ok(file) => forward(file, sender),
            // Nobody is left to tell where the receiver has gone.
            Err(error) => drop(sender.send(Come::Piece(Err(error)))),
        })
    }

    fn start(
        cancel: &CancelToken,
        end: &CancelToken,
        read: impl FnOnce(&SyncSender<Come>) + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, pieces) = sync_channel(PIECES);
        let waker = sender.clone();
        let life = move || {
            read(&sender);
            let _ = sender.send(Come::End);
        };
        std::thread::Builder::new().name("sotto-pipe".into()).spawn(life)?;
        // Where the queue is full nobody waits for it.
        let listeners = [cancel, end].map(|token| {
            let waker = waker.clone();
            token.on_cancel(move || drop(waker.try_send(Come::Woken)))
        });
        let (cancel, end) = (cancel.clone(), end.clone());
        Ok(Self { pieces, piece: Vec::new(), read: 0, cancel, end, late: 0, _listeners: listeners })
    }

    /// The next piece; `None` at the end of the input.
    fn next_piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if self.cancel.is_cancelled() {
                return Err(io::Error::other("cancelled"));
            }
            if self.end.is_cancelled() {
                // What was said before is on its way; a pipe that never runs dry brings no more than that.
                match self.pieces.recv_timeout(LAST) {
                    Ok(Come::Woken) => continue,
                    Ok(Come::Piece(piece)) if self.late < PIECES + 2 => {
                        self.late += 1;
                        return piece.map(Some);
                    }
                    _ => return Ok(None),
                }
            }
            match self.pieces.recv() {
                Ok(Come::Piece(piece)) => return piece.map(Some),
                Ok(Come::Woken) => {}
                Ok(Come::End) | Err(_) => return Ok(None),
            }
        }
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.piece.len() {
            match self.next_piece()? {
                Some(piece) => (self.piece, self.read) = (piece, 0),
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.piece.len() - self.read);
        buffer[..count].copy_from_slice(&self.piece[self.read..self.read + count]);
        self.read += count;
        Ok(count)
    }
}

/// Sends what is read until the input ends or nobody receives.
fn forward(mut input: impl Read, sender: &SyncSender<Come>) {
    let mut buffer = vec![0; PIECE];
    loop {
        let piece = match input.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => Ok(buffer[..count].to_vec()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let failed = piece.is_err();
        if sender.send(Come::Piece(piece)).is_err() || failed {
            return;
        }
    }
}
