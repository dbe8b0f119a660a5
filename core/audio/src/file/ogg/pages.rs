//! The pages of an Ogg file (RFC 3533 §6), with resynchronisation after damage.

use super::super::{Fault, Input};

/// Maximum size of a packet: headers with pictures are the largest.
pub(super) const MAX_PACKET_BYTES: usize = 8 << 20;

const HEADER: usize = 27;
// A header, 255 segment lengths and the largest segments.
const MAX_PAGE_BYTES: usize = HEADER + 255 + 255 * 255;
const READ_BYTES: usize = 32 * 1024;
// Checking a page costs a checksum of up to 65 kB; this bounds the time for a file full of false page starts.
const MAX_FALSE_PAGES: u32 = 1024;

/// One page, its checksum verified.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) serial: u32,
    pub(super) sequence: u32,
    /// Frames up to the end of the last packet that ends on this page; `None` if none ends.
    pub(super) position: Option<u64>,
    /// Whether it continues a packet of the previous page.
    pub(super) continued: bool,
    /// Whether a stream begins with it.
    pub(super) first: bool,
    /// Whether a stream ends with it.
    pub(super) last: bool,
    segments: Vec<u8>,
    body: Vec<u8>,
}

impl Page {
    /// The packets or parts of packets, and whether each ends on this page.
    pub(super) fn packets(&self) -> impl Iterator<Item = (&[u8], bool)> {
        let mut segments = self.segments.as_slice();
        let mut body = self.body.as_slice();
        std::iter::from_fn(move || {
            if segments.is_empty() {
                return None;
            }
            // A segment shorter than 255 bytes ends a packet.
            let end = segments.iter().position(|&length| length < 255);
            let (own, rest) = segments.split_at(end.map_or(segments.len(), |end| end + 1));
            segments = rest;
            let (packet, rest) = body.split_at_checked(own.iter().map(|&length| usize::from(length)).sum())?;
            body = rest;
            Some((packet, end.is_some()))
        })
    }
}

/// Reads pages in order.
pub(super) struct Pages {
    input: Input,
    /// Unused bytes begin at `at`.
    buffer: Vec<u8>,
    at: usize,
    ended: bool,
    /// Bytes skipped since the last query.
    skipped: u64,
    /// False page starts since the last page.
    false_pages: u32,
    cut_off: bool,
}

impl Pages {
    pub(super) fn new(input: Input) -> Self {
        Self { input, buffer: Vec::new(), at: 0, ended: false, skipped: 0, false_pages: 0, cut_off: false }
    }

    /// The next whole page. Other bytes before it are skipped and counted.
    pub(super) fn next(&mut self) -> Result<Option<Page>, Fault> {
        loop {
            let available = self.available(HEADER)?;
            if available < HEADER {
                self.skipped += available as u64;
                return Ok(None);
            }
            if self.rest().starts_with(b"OggS\0") {
                let segments = usize::from(self.rest()[26]);
                let available = self.available(HEADER + segments)?;
                let body: usize = self.rest()[HEADER..].iter().take(segments).map(|&length| usize::from(length)).sum();
                let length = HEADER + segments + body;
                if available.max(self.available(length)?) < length {
                    // The end of the input; or the length is damaged, if other pages follow.
                    self.cut_off = !self.rest()[4..].windows(4).any(|bytes| bytes == b"OggS");
                    if self.cut_off {
                        return Ok(None);
                    }
                } else if let Some(page) = parse(&self.rest()[..length], segments) {
                    self.at += length;
                    self.false_pages = 0;
                    return Ok(Some(page));
                }
                self.false_pages += 1;
                if self.false_pages > MAX_FALSE_PAGES {
                    return Err(Fault::Malformed("its Ogg pages are all damaged".into()));
                }
            }
            self.search()?;
        }
    }

    /// Whether the input ended inside a page.
    pub(super) fn cut_off(&self) -> bool {
        self.cut_off
    }

    /// Bytes that were skipped since the last call.
    pub(super) fn take_skipped(&mut self) -> u64 {
        std::mem::take(&mut self.skipped)
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    /// Advances to the next possible start of a page.
    fn search(&mut self) -> Result<(), Fault> {
        self.available(MAX_PAGE_BYTES)?;
        let rest = &self.rest()[1..];
        // The last bytes may be the beginning of a page's signature.
        let step = 1 + rest.windows(4).position(|bytes| bytes == b"OggS").unwrap_or(rest.len().saturating_sub(3));
        let step = if self.ended && step + 3 >= self.rest().len() { self.rest().len() } else { step };
        self.at += step;
        self.skipped += step as u64;
        Ok(())
    }

    /// Makes `count` bytes available, or fewer at the end.
    fn available(&mut self, count: usize) -> Result<usize, Fault> {
        while self.buffer.len() - self.at < count && !self.ended {
            self.buffer.drain(..self.at);
            self.at = 0;
            let before = self.buffer.len();
            self.buffer.resize(before + READ_BYTES, 0);
            let read = self.input.fill_some(&mut self.buffer[before..])?;
            self.buffer.truncate(before + read);
            self.ended = read == 0;
        }
        Ok(self.buffer.len() - self.at)
    }
}

fn parse(bytes: &[u8], segments: usize) -> Option<Page> {
    let [_, _, _, _, _, flags, p0, p1, p2, p3, p4, p5, p6, p7, s0, s1, s2, s3, n0, n1, n2, n3, c0, c1, c2, c3, ..] =
        *bytes
    else {
        return None;
    };
    if checksum(bytes) != u32::from_le_bytes([c0, c1, c2, c3]) {
        return None;
    }
    let position = u64::from_le_bytes([p0, p1, p2, p3, p4, p5, p6, p7]);
    let (table, body) = bytes[HEADER..].split_at(segments);
    Some(Page {
        serial: u32::from_le_bytes([s0, s1, s2, s3]),
        sequence: u32::from_le_bytes([n0, n1, n2, n3]),
        position: Some(position).filter(|&position| position != u64::MAX),
        continued: flags & 1 != 0,
        first: flags & 2 != 0,
        last: flags & 4 != 0,
        segments: table.to_vec(),
        body: body.to_vec(),
    })
}

/// CRC-32 with the Ethernet polynomial, not reflected, without inversions; the checksum field itself counts as zeros.
pub(super) fn checksum(page: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let mut value = (byte as u32) << 24;
            let mut bit = 0;
            while bit < 8 {
                value = value << 1 ^ if value >> 31 == 1 { 0x04c1_1db7 } else { 0 };
                bit += 1;
            }
            table[byte] = value;
            byte += 1;
        }
        table
    };
    page.iter().enumerate().fold(0, |crc, (at, &byte)| {
        let byte = if (22..26).contains(&at) { 0 } else { byte };
        crc << 8 ^ TABLE[usize::from((crc >> 24) as u8 ^ byte)]
    })
}
