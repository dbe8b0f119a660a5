//! Reading: the directory at the end of the file is believed only as far as the file goes.

use std::collections::BTreeSet;
use std::io::Read;

use super::{CENTRAL_HEADER, DEFLATED, END, LOCAL_HEADER, STORED};

/// Larger than any package; what is compressed so well that it claims more is a bomb.
const MAX_ENTRY: u64 = 1 << 30;

/// Why an archive, or an entry of one, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ZipError {
    /// The end record is missing.
    #[error("this is no zip archive, or its end is missing")]
    NoArchive,
    /// A record points outside the file or is none.
    #[error("the archive is damaged: {0}")]
    Damaged(&'static str),
    /// A name that would leave the folder that it is unpacked to, or is none.
    #[error("the archive has an entry with the unsafe name {name:?}")]
    Name { name: String },
    /// Two entries of one name: which one counts depends on the reader.
    #[error("the archive has two entries with the name {name:?}")]
    Twice { name: String },
    /// A compression or an extension that no tool of Android or Apple writes.
    #[error("{name}: compression {method} is not supported")]
    Method { name: String, method: u16 },
    /// The bytes are not those that were packed.
    #[error("{name}: the checksum does not match; make the archive again")]
    Checksum { name: String },
    /// The compressed bytes cannot be unpacked.
    #[error("{name}: {source}")]
    Unpack { name: String, source: std::io::Error },
}

/// One file of an archive.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its path, with slashes; never absolute and never upwards.
    pub name: String,
    method: u16,
    crc: u32,
    packed: u64,
    size: u64,
    header: u64,
    mode: u32,
}

impl Entry {
    /// Whether it is a symbolic link; its data is then the path that it leads to.
    pub fn is_link(&self) -> bool {
        self.mode & 0o170_000 == 0o120_000
    }
}

/// An archive in memory.
#[derive(Debug)]
pub struct Archive {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

impl Archive {
    /// Reads the directory of an archive. Folders, which are entries that end with a slash, are left out.
    ///
    /// # Errors
    /// [`ZipError`] for anything that is not an archive of plain files.
    pub fn read(bytes: Vec<u8>) -> Result<Self, ZipError> {
        let end = find_end(&bytes).ok_or(ZipError::NoArchive)?;
        let count = u16_at(&bytes, end + 10)?;
        let mut at = u64::from(u32_at(&bytes, end + 16)?);
        let mut entries = Vec::new();
        let mut names = BTreeSet::new();
        for _ in 0..count {
            let (entry, next) = central(&bytes, at)?;
            at = next;
            if entry.name.ends_with('/') {
                continue;
            }
            let outside = entry.name.split('/').any(|part| part.is_empty() || part == ".." || part == ".");
            if outside || entry.name.contains(['\\', '\0']) {
                return Err(ZipError::Name { name: entry.name });
            }
            if !names.insert(entry.name.clone()) {
                return Err(ZipError::Twice { name: entry.name });
            }
            entries.push(entry);
        }
        Ok(Self { bytes, entries })
    }

    /// All files, in the order of the directory.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// When they are damaged, or compressed in a way that packages do not use.
    pub fn data(&self, entry: &Entry) -> Result<Vec<u8>, ZipError> {
        let start = self.data_start(entry)?;
        let packed = part(&self.bytes, start, entry.packed)?;
        let data = match entry.method {
            STORED if entry.packed == entry.size => packed.to_vec(),
            STORED => return Err(ZipError::Damaged("a stored file has two sizes")),
            DEFLATED => inflate(packed, entry)?,
            method => return Err(ZipError::Method { name: entry.name.clone(), method }),
        };
        let mut crc = flate2::Crc::new();
        crc.update(&data);
        if crc.sum() == entry.crc { Ok(data) } else { Err(ZipError::Checksum { name: entry.name.clone() }) }
    }

    /// Where the bytes of a file lie in the archive; nothing for a compressed file, which cannot be mapped.
    ///
    /// # Errors
    /// When the local record of the file is damaged.
    pub fn stored_at(&self, entry: &Entry) -> Result<Option<u64>, ZipError> {
        let start = self.data_start(entry)?;
        Ok((entry.method == STORED).then_some(start))
    }

    fn data_start(&self, entry: &Entry) -> Result<u64, ZipError> {
        let at = entry.header;
        if u32_at(&self.bytes, at)? != LOCAL_HEADER {
            return Err(ZipError::Damaged("a file's own record is missing"));
        }
        Ok(at + 30 + u64::from(u16_at(&self.bytes, at + 26)?) + u64::from(u16_at(&self.bytes, at + 28)?))
    }
}

fn inflate(packed: &[u8], entry: &Entry) -> Result<Vec<u8>, ZipError> {
    if entry.size > MAX_ENTRY {
        return Err(ZipError::Damaged("a file claims more than 1 GB"));
    }
    // Grows with what is there, not with what is claimed.
    let mut data = Vec::new();
    flate2::read::DeflateDecoder::new(packed)
        .take(entry.size + 1)
        .read_to_end(&mut data)
        .map_err(|source| ZipError::Unpack { name: entry.name.clone(), source })?;
    if data.len() as u64 == entry.size {
        Ok(data)
    } else {
        Err(ZipError::Damaged("a file has another size than it claims"))
    }
}

/// One record of the directory, and where the next one begins.
fn central(bytes: &[u8], at: u64) -> Result<(Entry, u64), ZipError> {
    if u32_at(bytes, at)? != CENTRAL_HEADER {
        return Err(ZipError::Damaged("a record of the directory is missing"));
    }
    let name_length = u64::from(u16_at(bytes, at + 28)?);
    let rest = u64::from(u16_at(bytes, at + 30)?) + u64::from(u16_at(bytes, at + 32)?);
    let name = String::from_utf8_lossy(part(bytes, at + 46, name_length)?).into_owned();
    let entry = Entry {
        name,
        method: u16_at(bytes, at + 10)?,
        crc: u32_at(bytes, at + 16)?,
        packed: u64::from(u32_at(bytes, at + 20)?),
        size: u64::from(u32_at(bytes, at + 24)?),
        header: u64::from(u32_at(bytes, at + 42)?),
        mode: u32_at(bytes, at + 38)? >> 16,
    };
    Ok((entry, at + 46 + name_length + rest))
}

/// The end record lies before a comment of at most 64 kB.
fn find_end(bytes: &[u8]) -> Option<u64> {
    let last = bytes.len().checked_sub(22)?;
    let first = last.saturating_sub(usize::from(u16::MAX));
    let at = (first..=last).rev().find(|&at| bytes[at..at + 4] == END.to_le_bytes())?;
    Some(at as u64)
}

fn part(bytes: &[u8], at: u64, length: u64) -> Result<&[u8], ZipError> {
    let range = usize::try_from(at).ok().zip(at.checked_add(length).and_then(|end| usize::try_from(end).ok()));
    range
        .and_then(|(start, end)| bytes.get(start..end))
        .ok_or(ZipError::Damaged("a record points behind the end of the file"))
}

fn u16_at(bytes: &[u8], at: u64) -> Result<u16, ZipError> {
    part(bytes, at, 2).map(|two| u16::from_le_bytes([two[0], two[1]]))
}

fn u32_at(bytes: &[u8], at: u64) -> Result<u32, ZipError> {
    part(bytes, at, 4).map(|four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
}
