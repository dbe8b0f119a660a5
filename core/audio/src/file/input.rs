//! The bytes of a file with random access, or of a pipe, forward only.

use std::io::{self, Cursor, ErrorKind, Read, Seek, SeekFrom};
use std::sync::Mutex;

use super::Fault;

trait ReadSeek: Read + Seek + Send + Sync {}

impl<T: Read + Seek + Send + Sync> ReadSeek for T {}

// How much of a pipe's start is kept, so that headers can be read twice: tags with pictures are the largest.
const KEPT_BYTES: usize = 4 << 20;

/// The bytes of a file from `start` on (a tag in front of the audio is not part of it).
pub(super) struct Input {
    reader: Reader,
    start: u64,
    /// Length from `start` to the end; `None` for a pipe.
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

    /// Length from the start to the end in bytes, if it is known.
    pub(super) fn len(&self) -> Option<u64> {
        self.len
    }

    /// Makes the input seekable, for formats whose index may be at the end: a pipe is read into memory, a file stays as
    /// it is.
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

    /// Removes the first `bytes` bytes from the input; all of them if there are fewer.
    pub(super) fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let bytes = self.len.map_or(bytes, |len| bytes.min(len));
        self.start += bytes;
        self.len = self.len.map(|len| len - bytes);
        match self.seek(SeekFrom::Start(0)) {
            // Nothing is left: the next read returns the end.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(()),
            result => result.map(drop),
        }
    }

    /// Fills `buffer` from `position` on; returns the number of bytes, fewer at the end.
    pub(super) fn read_at(&mut self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match self.seek(SeekFrom::Start(position)) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
            result => result.map(drop)?,
        }
        self.fill(buffer)
    }

    /// Reads the available bytes with one call; 0 at the end.
    pub(super) fn fill_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// Fills `buffer`; returns the number of bytes, fewer at the end.
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
        // A position before the start would be inside the removed tag; no format seeks there.
        Ok(reached.saturating_sub(self.start))
    }
}

/// A pipe: seeks forward by reading, and back only within its first bytes, as long as it has not read beyond them.
struct Forward {
    /// Only accessed by `&mut`; the mutex makes any reader `Sync`.
    inner: Mutex<Box<dyn Read + Send>>,
    /// The first bytes, until reading goes beyond the limit.
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
        // Beyond the end there is nothing, and the start is no longer kept.
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
