//! Writing: the same files give the same bytes.

use std::io::Read;

use super::{CENTRAL_HEADER, DEFLATED, END, LOCAL_HEADER, STORED};

/// The first of January 1980, where the format's calendar begins: times would make each archive another one.
const DATE: u16 = 0x0021;
/// Version 2.0 of the format, made on Unix, whose modes are the upper half of the attributes.
const MADE_BY: u16 = 0x0314;

/// One file to be packed.
#[derive(Debug, Clone)]
pub struct Member {
    name: String,
    data: Vec<u8>,
    compress: bool,
    align: usize,
    mode: u32,
}

impl Member {
    /// A file, compressed where that makes it smaller.
    pub fn file(name: impl Into<String>, data: Vec<u8>) -> Self {
        Self { name: name.into(), data, compress: true, align: 1, mode: 0o100_644 }
    }

    /// A symbolic link.
    pub fn link(name: impl Into<String>, to: &str) -> Self {
        Self { mode: 0o120_777, ..Self::file(name, to.as_bytes().to_vec()).stored() }
    }

    /// Without compression.
    pub fn stored(self) -> Self {
        Self { compress: false, ..self }
    }

    /// With its bytes at a multiple of `align`, by which they can be mapped; for files that are stored.
    #[cfg(test)]
    pub fn aligned(self, align: usize) -> Self {
        Self { align, ..self }
    }

    /// With the right to run it.
    pub fn executable(self) -> Self {
        Self { mode: 0o100_755, ..self }
    }
}

/// Packs files in the order of their names. Each must be under 4 GB, and all together.
pub fn write(mut members: Vec<Member>) -> Vec<u8> {
    members.sort_by(|one, other| one.name.cmp(&other.name));
    let mut bytes = Vec::new();
    let mut directory = Vec::new();
    for member in &members {
        let header = bytes.len();
        let deflated = if member.compress { deflate(&member.data) } else { None };
        let method = if deflated.is_some() { DEFLATED } else { STORED };
        let packed = deflated.as_deref().unwrap_or(&member.data);
        let record = shared_record(member, method, packed.len());
        put32(&mut bytes, LOCAL_HEADER);
        bytes.extend(&record);
        let unpadded = header + 30 + member.name.len();
        let padding = unpadded.next_multiple_of(member.align) - unpadded;
        put16(&mut bytes, padding);
        bytes.extend(member.name.as_bytes());
        bytes.extend(std::iter::repeat_n(0, padding));
        bytes.extend(packed);

        put32(&mut directory, CENTRAL_HEADER);
        directory.extend(MADE_BY.to_le_bytes());
        directory.extend(&record);
        // No extra field, no comment, first disk, a binary file.
        directory.extend([0; 8]);
        put32(&mut directory, member.mode << 16);
        put32(&mut directory, header as u32);
        directory.extend(member.name.as_bytes());
    }
    let start = bytes.len();
    bytes.extend(&directory);
    put32(&mut bytes, END);
    bytes.extend([0; 4]);
    put16(&mut bytes, members.len());
    put16(&mut bytes, members.len());
    put32(&mut bytes, directory.len() as u32);
    put32(&mut bytes, start as u32);
    put16(&mut bytes, 0);
    bytes
}

/// What the record before a file and its record in the directory have in common, in the same order.
fn shared_record(member: &Member, method: u16, packed: usize) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(&member.data);
    let mut record = Vec::new();
    // Version 2.0 suffices to unpack; names are UTF-8.
    put16(&mut record, 20);
    put16(&mut record, 1 << 11);
    put16(&mut record, usize::from(method));
    put16(&mut record, 0);
    put16(&mut record, usize::from(DATE));
    put32(&mut record, crc.sum());
    put32(&mut record, packed as u32);
    put32(&mut record, member.data.len() as u32);
    put16(&mut record, member.name.len());
    record
}

/// The compressed bytes, where they are fewer.
fn deflate(data: &[u8]) -> Option<Vec<u8>> {
    let mut packed = Vec::new();
    // Reading from memory cannot fail.
    flate2::read::DeflateEncoder::new(data, flate2::Compression::best()).read_to_end(&mut packed).ok()?;
    (packed.len() < data.len()).then_some(packed)
}

fn put16(bytes: &mut Vec<u8>, value: usize) {
    bytes.extend((value as u16).to_le_bytes());
}

fn put32(bytes: &mut Vec<u8>, value: u32) {
    bytes.extend(value.to_le_bytes());
}
