//! Recognising formats by their first bytes.

use super::frames::{self, Kind};
use super::{Codec, Fault, Input};

/// A supported container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Container {
    Wav,
    /// WAV with the most significant bytes first.
    Rifx,
    W64,
    Aiff,
    Au,
    Caf,
    Flac,
    Mpeg,
    Adts,
    Mp4,
    Matroska,
    Ogg,
}

impl Container {
    /// The expected codec; containers for several codecs give the real one later.
    pub(super) const fn codec(self) -> Codec {
        match self {
            Self::Wav | Self::Rifx | Self::W64 => Codec::Wav,
            Self::Aiff | Self::Au | Self::Caf => Codec::Pcm,
            Self::Flac => Codec::Flac,
            Self::Mpeg => Codec::Mp3,
            Self::Adts | Self::Mp4 => Codec::Aac,
            Self::Matroska | Self::Ogg => Codec::Opus,
        }
    }

    /// Its name if the codec is not known.
    const fn name(self) -> &'static str {
        match self {
            Self::Wav | Self::Rifx => "WAV",
            Self::W64 => "W64",
            Self::Aiff => "AIFF",
            Self::Au => "AU",
            Self::Caf => "CAF",
            Self::Flac => "FLAC",
            Self::Mpeg => "MP3",
            Self::Adts => "AAC",
            Self::Mp4 => "M4A",
            Self::Matroska => "Matroska",
            Self::Ogg => "Ogg",
        }
    }
}

// How far to search for the first frame of a stream after other bytes; a short distance first, so that a live pipe
// starts soon.
const SEARCHED_BYTES: [usize; 3] = [8 * 1024, 64 * 1024, 256 * 1024];

/// Recognises the container. Skips tags before it, and any bytes before a stream of frames. Also returns the number of
/// skipped bytes that are not tags.
pub(super) fn detect(input: &mut Input) -> Result<(Container, u64), Fault> {
    skip_id3v2(input)?;
    let mut head = [0; 512];
    let read = input.read_at(0, &mut head)?;
    let head = &head[..read];
    input.skip(0)?;
    if let Some(container) = recognise(head) {
        return Ok((container?, 0));
    }
    for searched in SEARCHED_BYTES {
        let mut start = vec![0; searched];
        let read = input.read_at(0, &mut start)?;
        if let Some((skipped, kind)) = frames::find(&start[..read]) {
            input.skip(skipped as u64)?;
            return Ok((if kind == Kind::Mpeg { Container::Mpeg } else { Container::Adts }, skipped as u64));
        }
        if read < searched {
            break;
        }
    }
    Err(Fault::Unknown(describe(head)))
}

/// Number of bytes that [`file_kind`] needs: the header of WAV is the longest.
pub(crate) const HEADER_BYTES: usize = 12;

/// The kind of file that begins with these bytes, for a stream that should not be a file.
///
/// MPEG's sync word is not checked: loud raw samples may begin with the same bits.
pub(crate) fn file_kind(head: &[u8]) -> Option<String> {
    match recognise(head) {
        _ if head.starts_with(b"ID3") => Some("MP3".to_owned()),
        None => None,
        Some(Ok(container)) => Some(container.name().to_owned()),
        Some(Err(Fault::Unsupported { what, .. })) => Some(what),
        Some(Err(_)) => None,
    }
}

/// ID3v2 tags may precede MP3, AAC and FLAC. They are skipped by their size, never parsed.
fn skip_id3v2(input: &mut Input) -> Result<(), Fault> {
    // Some writers put a second tag before the first; a file with more than a few is not a music file.
    for _ in 0..4 {
        let mut header = [0; 10];
        if input.read_at(0, &mut header)? < header.len() || !header.starts_with(b"ID3") {
            break;
        }
        // Seven bits per byte; a footer of ten bytes when flag 0x10 is set (id3.org, ID3v2.4 §3.1).
        let size = header[6..].iter().fold(0u64, |size, &byte| size << 7 | u64::from(byte & 0x7f));
        let footer = if header[5] & 0x10 != 0 { 10 } else { 0 };
        input.skip(10 + size + footer)?;
    }
    Ok(())
}

/// Recognises a file by its header. Streams of frames have none: see [`frames::find`].
fn recognise(head: &[u8]) -> Option<Result<Container, Fault>> {
    let unsupported = |what: &str| Some(Err(Fault::unsupported(what)));
    Some(Ok(match head {
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..]
        | [b'R', b'F', b'6', b'4', _, _, _, _, b'W', b'A', b'V', b'E', ..]
        | [b'B', b'W', b'6', b'4', _, _, _, _, b'W', b'A', b'V', b'E', ..] => Container::Wav,
        [b'R', b'I', b'F', b'X', _, _, _, _, b'W', b'A', b'V', b'E', ..] => Container::Rifx,
        [b'r', b'i', b'f', b'f', 0x2e, 0x91, 0xcf, 0x11, ..] => Container::W64,
        [b'F', b'O', b'R', b'M', _, _, _, _, b'A', b'I', b'F', b'F' | b'C', ..] => Container::Aiff,
        [b'.', b's', b'n', b'd', ..] => Container::Au,
        [b'c', b'a', b'f', b'f', ..] => Container::Caf,
        [b'f', b'L', b'a', b'C', ..] => Container::Flac,
        [b'O', b'g', b'g', b'S', ..] => Container::Ogg,
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Container::Mp4,
        [0x1a, 0x45, 0xdf, 0xa3, ..] => Container::Matroska,
        [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', b' ', ..] => return unsupported("AVI"),
        [b'R', b'I', b'F', b'F', ..] => return unsupported("a RIFF file that is not WAV"),
        [0x30, 0x26, 0xb2, 0x75, ..] => return unsupported("Windows Media (ASF, WMA)"),
        [b'#', b'!', b'A', b'M', b'R', b'-', b'W', b'B', ..] => return unsupported("AMR-WB"),
        [b'#', b'!', b'A', b'M', b'R', ..] => return unsupported("AMR-NB"),
        [b'w', b'v', b'p', b'k', ..] => return unsupported("WavPack"),
        [b'M', b'A', b'C', b' ', ..] => return unsupported("Monkey's Audio"),
        [b'F', b'L', b'V', 1, ..] => return unsupported("Flash video"),
        [0, 0, 1, 0xba | 0xb3, ..] => return unsupported("MPEG video (PS)"),
        [0x47, ..] if head.get(188) == Some(&0x47) && head.get(376) == Some(&0x47) => {
            return unsupported("an MPEG transport stream");
        }
        [_, _, _, _, b'm', b'o', b'o', b'v', ..] | [_, _, _, _, b'm', b'd', b'a', b't', ..] => {
            return unsupported("a QuickTime file without a file type");
        }
        _ => return None,
    }))
}

/// A description of content that is not audio, for the user.
fn describe(head: &[u8]) -> &'static str {
    let text = |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | 0x20..=0x7e | 0x80..);
    match head {
        [b'P', b'K', 3, 4, ..] => "this is a ZIP archive, not audio",
        [b'%', b'P', b'D', b'F', ..] => "this is a PDF, not audio",
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "this is text, not audio",
        _ if head.iter().all(|&byte| byte == 0) => "the file holds only zeros",
        _ if std::str::from_utf8(&head[..head.len().saturating_sub(3)]).is_ok() && head.iter().all(text) => {
            "this is text, not audio"
        }
        _ => "this is no known audio format",
    }
}
