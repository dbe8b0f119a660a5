//! The bytes of a file: anywhere in it, or forward only from a pipe.

use std::io::{self, Cursor, ErrorKind, Read, Seek, SeekFrom};
use std::sync::Mutex;

use super::Fault;

trait ReadSeek: Read + Seek + Send + Sync {}

impl<T: Read + Seek + Send + Sync> ReadSeek for T {}

// What is kept of a pipe's start, so that headers can be looked at twice: tags with pictures are the largest.
const KEPT_BYTES: usize = 4 << 20;

/// The bytes of a file from `start` on (a tag in front of the audio is not part of it).
pub(super) struct Input {
    reader: Reader,
    start: u64,
    /// Bytes from `start` to the end; `None` for a pipe, which does not know.
    len: Option<u64>,
}

enum Reader {
    Seekable(Box<dyn ReadSeek>),
    Forward(Forward),
}

impl Input {
    pub(super) fn seekable(mut reader: impl Read + Seek + Send + Sync + 'static) -> io::Result<Self> {
        let len = reader.seek(SeekFrom::End(0))?;
        reader.seek(SeekFrom::Start(0))?;
        Ok(Self { reader: Reader::Seekable(Box::new(reader)), start: 0, len: Some(len) })
    }

    pub(super) fn forward(reader: impl Read + Send + 'static) -> Self {
        Self { reader: Reader::Forward(Forward::new(Box::new(reader))), start: 0, len: None }
    }

    pub(super) fn is_seekable(&self) -> bool {
        matches!(self.reader, Reader::Seekable(_))
    }

    /// Bytes from the start to the end, where that is known.
    pub(super) fn len(&self) -> Option<u64> {
        self.len
    }

    /// The whole input in memory, for formats whose index may stand at their end; files stay where they are.
    pub(super) fn indexed(self, limit: u64) -> Result<Self, Fault> {
        let Reader::Forward(mut reader) = self.reader else { return Ok(self) };
        reader.seek_to(self.start)?;
        let mut bytes = Vec::new();
        (&mut reader).take(limit + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            let problem = format!("an MP4 or CAF file of more than {} MB from a pipe", limit >> 20);
            return Err(Fault::Unsupported { what: problem, remedy: "write it to a file first, its index may follow" });
        }
        Ok(Self::seekable(Cursor::new(bytes))?)
    }

    /// Leaves out the first `bytes` bytes, all of them if there are fewer.
    pub(super) fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let bytes = self.len.map_or(bytes, |len| bytes.min(len));
        self.start += bytes;
        self.len = self.len.map(|len| len - bytes);
        match self.seek(SeekFrom::Start(0)) {
            // Nothing is left: what reads next finds the end.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(()),
            result => result.map(drop),
        }
    }

    /// Fills as much of `buffer` as there is from `position` on.
    pub(super) fn read_at(&mut self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match self.seek(SeekFrom::Start(position)) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
            result => result.map(drop)?,
        }
        self.fill(buffer)
    }

    /// Reads what is there, as one read does; 0 at the end.
    pub(super) fn fill_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// Fills as much of `buffer` as there is.
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.fill_some(&mut buffer[filled..])? {
                0 => break,
                read => filled += read,
            }
        }
        Ok(filled)
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.reader {
            Reader::Seekable(reader) => reader.read(buffer),
            Reader::Forward(reader) => reader.read(buffer),
        }
    }
}

impl Seek for Input {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let absolute = match to {
            SeekFrom::Start(position) => SeekFrom::Start(self.start.saturating_add(position)),
            other => other,
        };
        let reached = match &mut self.reader {
            Reader::Seekable(reader) => reader.seek(absolute)?,
            Reader::Forward(reader) => {
                let position = match absolute {
                    SeekFrom::Start(position) => Some(position),
                    SeekFrom::Current(offset) => reader.position.checked_add_signed(offset),
                    SeekFrom::End(_) => None,
                };
                reader.seek_to(position.ok_or_else(not_seekable)?)?
            }
        };
        // A position before the start would be one in the tag that was left out: the formats never go there.
        Ok(reached.saturating_sub(self.start))
    }
}

/// A pipe: goes forward by reading, and back within its first bytes while it has not left them.
struct Forward {
    /// Only ever reached by `&mut`: the lock makes any reader `Sync`.
    inner: Mutex<Box<dyn Read + Send>>,
    /// The first bytes, until reading has gone beyond what may be kept.
    kept: Vec<u8>,
    keeping: bool,
    position: u64,
}

impl Forward {
    fn new(inner: Box<dyn Read + Send>) -> Self {
        Self { inner: Mutex::new(inner), kept: Vec::new(), keeping: true, position: 0 }
    }

    fn seek_to(&mut self, position: u64) -> io::Result<u64> {
        if self.keeping && position <= self.kept.len() as u64 {
            self.position = position;
            return Ok(position);
        }
        let missing = position.checked_sub(self.position).ok_or_else(not_seekable)?;
        if io::copy(&mut self.take(missing), &mut io::sink())? < missing {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(position)
    }
}

impl Read for Forward {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.keeping && self.position < self.kept.len() as u64 {
            let rest = &self.kept[self.position as usize..];
            let read = rest.len().min(buffer.len());
            buffer[..read].copy_from_slice(&rest[..read]);
            self.position += read as u64;
            return Ok(read);
        }
        let inner = self.inner.get_mut().map_err(|_| io::Error::other("its reader panicked"))?;
        let read = inner.read(buffer)?;
        self.position += read as u64;
        if self.keeping {
            if self.kept.len() + read <= KEPT_BYTES {
                self.kept.extend_from_slice(&buffer[..read]);
            } else {
                (self.kept, self.keeping) = (Vec::new(), false);
            }
        }
        Ok(read)
    }
}

fn not_seekable() -> io::Error {
    io::Error::new(ErrorKind::Unsupported, "a pipe cannot be read from an earlier place again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_goes_back_within_its_start_and_forward_anywhere() {
        let bytes: Vec<u8> = (0..KEPT_BYTES as u32 + 1000).map(|i| (i % 251) as u8).collect();
        let expected = bytes.clone();
        let mut input = Input::forward(Cursor::new(bytes));
        let mut four = [0; 4];
        for position in [0, 100, 3, 70_000, 10] {
            assert_eq!(input.read_at(position, &mut four).unwrap(), 4);
            assert_eq!(four, expected[position as usize..][..4], "{position}");
        }
        input.skip(10).unwrap();
        assert_eq!(input.read_at(0, &mut four).unwrap(), 4);
        assert_eq!(four, expected[10..14]);
        assert_eq!(input.read_at(KEPT_BYTES as u64 + 984, &mut four).unwrap(), 4);
        assert_eq!(four, expected[KEPT_BYTES + 994..][..4]);
        // Behind the end there is nothing, and the start is gone by now.
        assert_eq!(input.read_at(KEPT_BYTES as u64 + 5000, &mut four).unwrap(), 0);
        assert_eq!(input.read_at(0, &mut four).unwrap_err().kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn formats_with_an_index_are_read_into_memory_up_to_a_limit() {
        let mut input = Input::forward(Cursor::new(vec![7; 1000]));
        input.skip(100).unwrap();
        let input = input.indexed(900).ok().unwrap();
        assert_eq!((input.is_seekable(), input.len()), (true, Some(900)));
        let fault = Input::forward(Cursor::new(vec![7; 1000])).indexed(999).err().unwrap();
        assert!(matches!(fault, Fault::Unsupported { .. }));
    }
}
