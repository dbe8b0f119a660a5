//! Edit lists: which part of an MP4 track is presented.
//!
//! AAC encoders put 1024 or 2112 samples before the audio. They record that in an edit list (ISO 14496-12 §8.6.6) or,
//! older Apple encoders, in an `iTunSMPB` tag. Only the simple edit lists of audio are supported: one presented
//! segment, possibly after an empty one. Symphonia reads both and applies neither.

use super::{Fault, Input};

/// The edits of a file's tracks.
#[derive(Debug, Default)]
pub(super) struct Presented {
    pub(super) edits: Vec<Edit>,
    /// For the audio track of a file without edit lists.
    pub(super) gapless: Option<Gapless>,
}

/// Apple's gapless tag: frames at the rate of the track.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Gapless {
    pub(super) delay: u64,
    pub(super) padding: u64,
    pub(super) frames: u64,
}

/// The presented part of a track.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Edit {
    pub(super) track: u32,
    pub(super) start_seconds: f64,
    /// `None`: to the end of the track.
    pub(super) seconds: Option<f64>,
}

// An audio file does not have more boxes than this on one level.
const MAX_BOXES: usize = 4096;
const MAX_TRACKS: usize = 64;

/// The edits of all tracks; none for files without edit lists, or with invalid boxes, which symphonia reports.
pub(super) fn read(input: &mut Input) -> Result<Presented, Fault> {
    let Some(movie) = child(input, whole(input), *b"moov")? else { return Ok(Presented::default()) };
    let mut presented = Presented { edits: Vec::new(), gapless: gapless_tag(input, movie)? };
    let Some(header) = child(input, movie, *b"mvhd")? else { return Ok(presented) };
    let Some(movie_scale) = timescale(input, header)? else { return Ok(presented) };
    let mut rest = movie;
    for _ in 0..MAX_TRACKS {
        let Some(track) = child(input, rest, *b"trak")? else { break };
        rest.start = track.end;
        presented.edits.extend(track_edit(input, track, movie_scale)?);
    }
    Ok(presented)
}

/// Codec names of a file's audio tracks, from the sample descriptions (§8.5.2).
pub(super) fn audio_codecs(input: &mut Input) -> Result<Vec<[u8; 4]>, Fault> {
    let mut names = Vec::new();
    let Some(mut rest) = child(input, whole(input), *b"moov")? else { return Ok(names) };
    for _ in 0..MAX_TRACKS {
        let Some(track) = child(input, rest, *b"trak")? else { break };
        rest.start = track.end;
        let Some(media) = child(input, track, *b"mdia")? else { continue };
        let Some(handler) = child(input, media, *b"hdlr")? else { continue };
        if read_u32(input, handler, 8)?.to_be_bytes() != *b"soun" {
            continue;
        }
        let mut range = media;
        let mut found = true;
        for kind in [*b"minf", *b"stbl", *b"stsd"] {
            match child(input, range, kind)? {
                Some(inner) => range = inner,
                None => found = false,
            }
        }
        if found {
            // Version, flags and a count; then each description's size and name.
            names.push(read_u32(input, range, 12)?.to_be_bytes());
        }
    }
    Ok(names)
}

/// The free-form tag `iTunSMPB` of the movie's metadata.
fn gapless_tag(input: &mut Input, movie: Range) -> Result<Option<Gapless>, Fault> {
    let Some(user_data) = child(input, movie, *b"udta")? else { return Ok(None) };
    let Some(mut metadata) = child(input, user_data, *b"meta")? else { return Ok(None) };
    // Version and flags precede the inner boxes.
    metadata.start += 4;
    let Some(mut tags) = child(input, metadata, *b"ilst")? else { return Ok(None) };
    for _ in 0..MAX_BOXES {
        let Some(tag) = child(input, tags, *b"----")? else { break };
        tags.start = tag.end;
        let mut name = [0; 12];
        let mut value = [0; 128];
        read_child(input, tag, *b"name", &mut name)?;
        if name.ends_with(b"iTunSMPB") {
            let length = read_child(input, tag, *b"data", &mut value)?;
            // Eight bytes of type and locale, then hexadecimal text.
            return Ok(value.get(8..length).and_then(parse_gapless));
        }
    }
    Ok(None)
}

/// `00000000 00000840 000001C0 0000000000076E00 …`: unused, delay, padding, frames.
fn parse_gapless(value: &[u8]) -> Option<Gapless> {
    let text = std::str::from_utf8(value).ok()?;
    let mut numbers = text.split_ascii_whitespace().skip(1).map(|number| u64::from_str_radix(number, 16).ok());
    let (delay, padding, frames) = (numbers.next()??, numbers.next()??, numbers.next()??);
    // An encoder's delay is not longer than a few packets.
    (delay <= 1 << 14 && padding <= 1 << 14 && frames > 0).then_some(Gapless { delay, padding, frames })
}

/// Reads the start of a child box's content; returns the number of bytes, 0 if there is no such box.
fn read_child(input: &mut Input, parent: Range, kind: [u8; 4], buffer: &mut [u8]) -> Result<usize, Fault> {
    let Some(range) = child(input, parent, kind)? else { return Ok(0) };
    let length = buffer.len().min((range.end - range.start) as usize);
    Ok(input.read_at(range.start, &mut buffer[..length])?)
}

fn track_edit(input: &mut Input, track: Range, movie_scale: f64) -> Result<Option<Edit>, Fault> {
    let Some(header) = child(input, track, *b"tkhd")? else { return Ok(None) };
    let Some(media) = child(input, track, *b"mdia")? else { return Ok(None) };
    let Some(media_header) = child(input, media, *b"mdhd")? else { return Ok(None) };
    let Some(media_scale) = timescale(input, media_header)? else { return Ok(None) };
    let Some(container) = child(input, track, *b"edts")? else { return Ok(None) };
    let Some(list) = child(input, container, *b"elst")? else { return Ok(None) };
    // Version 1 has 64-bit times before the track number.
    let number_at = if version(input, header)? == 1 { 20 } else { 12 };
    let track = read_u32(input, header, number_at)?;
    let segments = read_segments(input, list)?;
    let mut presented = segments.iter().filter(|segment| segment.media_time >= 0);
    Ok(match (presented.next(), presented.next()) {
        (Some(segment), None) => Some(Edit {
            track,
            start_seconds: segment.media_time as f64 / media_scale,
            seconds: (segment.duration > 0).then(|| segment.duration as f64 / movie_scale),
        }),
        _ => None,
    })
}

struct Segment {
    duration: u64,
    /// −1 for an empty segment.
    media_time: i64,
}

fn read_segments(input: &mut Input, list: Range) -> Result<Vec<Segment>, Fault> {
    let long = version(input, list)? == 1;
    // More than two are not supported anyway.
    let count = read_u32(input, list, 4)?.min(3);
    let size = if long { 20 } else { 12 };
    (0..u64::from(count))
        .map(|i| {
            let at = 8 + i * size;
            Ok(if long {
                let duration = u64::from(read_u32(input, list, at)?) << 32 | u64::from(read_u32(input, list, at + 4)?);
                let time = u64::from(read_u32(input, list, at + 8)?) << 32 | u64::from(read_u32(input, list, at + 12)?);
                Segment { duration, media_time: time.cast_signed() }
            } else {
                let media_time = i64::from(read_u32(input, list, at + 4)?.cast_signed());
                Segment { duration: u64::from(read_u32(input, list, at)?), media_time }
            })
        })
        .collect()
}

/// Ticks per second of a movie or media header; `None` for zero.
fn timescale(input: &mut Input, header: Range) -> Result<Option<f64>, Fault> {
    let at = if version(input, header)? == 1 { 20 } else { 12 };
    let ticks = read_u32(input, header, at)?;
    Ok((ticks > 0).then_some(f64::from(ticks)))
}

fn version(input: &mut Input, full_box: Range) -> Result<u32, Fault> {
    Ok(read_u32(input, full_box, 0)? >> 24)
}

/// The content of a box, as positions in the file.
#[derive(Debug, Clone, Copy)]
struct Range {
    start: u64,
    end: u64,
}

/// Only used for a file with an index, whose length is known.
fn whole(input: &Input) -> Range {
    Range { start: 0, end: input.len().unwrap_or(0) }
}

/// A big-endian number at `offset` of `range`; 0 beyond its end.
fn read_u32(input: &mut Input, range: Range, offset: u64) -> Result<u32, Fault> {
    let position = range.start + offset;
    let mut bytes = [0; 4];
    if position + 4 <= range.end {
        input.read_at(position, &mut bytes)?;
    }
    Ok(u32::from_be_bytes(bytes))
}

/// The content of the first box of a `kind` within `parent`.
fn child(input: &mut Input, parent: Range, kind: [u8; 4]) -> Result<Option<Range>, Fault> {
    let mut start = parent.start;
    for _ in 0..MAX_BOXES {
        if start + 8 > parent.end {
            break;
        }
        let mut header = [0; 16];
        let read = input.read_at(start, &mut header)?;
        let [a, b, c, d, name @ .., _, _, _, _, _, _, _, _] = header;
        let (size, header_size) = match u32::from_be_bytes([a, b, c, d]) {
            // To the end of the file.
            0 => (parent.end - start, 8),
            1 if read == 16 => {
                let [_, _, _, _, _, _, _, _, long @ ..] = header;
                (u64::from_be_bytes(long), 16)
            }
            size => (u64::from(size), 8),
        };
        if read < 8 || size < header_size || size > parent.end - start {
            break;
        }
        if name == kind {
            return Ok(Some(Range { start: start + header_size, end: start + size }));
        }
        start += size;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gapless_tag_is_hexadecimal() {
        let tag = b" 00000000 00000840 000001C0 0000000000076E00 00000000 00000000";
        assert_eq!(parse_gapless(tag), Some(Gapless { delay: 2112, padding: 448, frames: 486_912 }));
        for bad in [&b""[..], b" 0 840", b" 0 840 1C0 xyz", b" 0 FFFFFFFF 0 1", b" 0 840 1C0 0", b"\xff\xff"] {
            assert_eq!(parse_gapless(bad), None);
        }
    }
}
