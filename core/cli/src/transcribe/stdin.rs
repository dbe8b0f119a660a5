//! Standard input and named pipes that can be left: a silent one must not hold up Ctrl-C.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use sotto::CancelToken;

// What a pipe holds on Linux; a second of 16 kHz mono is half of it.
const PIECE: usize = 64 << 10;

// Pieces that wait: enough to keep the reading thread from being the bottleneck, too few to run ahead of the decoder.
const PIECES: usize = 4;

// Ctrl-C is answered within this time.
const PATIENCE: Duration = Duration::from_millis(50);

// At the end of a recording, for what the pipe holds to come in.
const LAST: Duration = Duration::from_millis(200);

/// Reads a pipe on a thread of its own, which ends with the input or with the process.
pub(crate) struct Pipe {
    pieces: Receiver<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
    read: usize,
    cancel: CancelToken,
    /// Ends the input where it is.
    end: CancelToken,
    /// Pieces handed out since then.
    late: usize,
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
            Err(error) => drop(sender.send(Err(error))),
        })
    }

    fn start(
        cancel: &CancelToken,
        end: &CancelToken,
        read: impl FnOnce(&SyncSender<io::Result<Vec<u8>>>) + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, pieces) = sync_channel(PIECES);
        std::thread::Builder::new().name("sotto-pipe".into()).spawn(move || read(&sender))?;
        Ok(Self { pieces, piece: Vec::new(), read: 0, cancel: cancel.clone(), end: end.clone(), late: 0 })
    }

    /// The next piece; `None` at the end of the input.
    fn next_piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if self.cancel.is_cancelled() {
                return Err(io::Error::other("cancelled"));
            }
            if self.end.is_cancelled() {
                // What was said before is on its way; a pipe that never runs dry brings no more than that.
                self.late += 1;
                let piece = self.pieces.recv_timeout(LAST).ok().filter(|_| self.late <= PIECES + 2);
                return piece.transpose();
            }
            match self.pieces.recv_timeout(PATIENCE) {
                Ok(piece) => return piece.map(Some),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
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
fn forward(mut input: impl Read, sender: &SyncSender<io::Result<Vec<u8>>>) {
    let mut buffer = vec![0; PIECE];
    loop {
        let piece = match input.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => Ok(buffer[..count].to_vec()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let failed = piece.is_err();
        if sender.send(piece).is_err() || failed {
            return;
        }
    }
}
