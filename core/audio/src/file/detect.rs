//! Telling formats apart by their first bytes.

use super::{Codec, Fault, Input};

/// A supported container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Container {
    Wav,
    Flac,
    Mp3,
    Adts,
    Mp4,
    OggVorbis,
    OggFlac,
    OggOpus,
}

impl Container {
    /// The codec to expect; MP4 tells the true one later.
    pub(super) const fn codec(self) -> Codec {
        match self {
            Self::Wav => Codec::Wav,
            Self::Flac | Self::OggFlac => Codec::Flac,
            Self::Mp3 => Codec::Mp3,
            Self::Adts | Self::Mp4 => Codec::Aac,
            Self::OggVorbis => Codec::Vorbis,
            Self::OggOpus => Codec::Opus,
        }
    }
}

/// Recognises the container and leaves out tags in front of it.
pub(super) fn detect(input: &mut Input) -> Result<Container, Fault> {
    let tagged = skip_id3v2(input)?;
    let mut head = [0; 512];
    let read = input.read_at(0, &mut head)?;
    let head = &head[..read];
    input.skip(0)?;
    if let Some(container) = recognise(head) {
        return container;
    }
    // An ID3v2 tag in front of something unknown: padding, then MP3 frames; the reader searches for the first.
    if tagged && !head.is_empty() {
        return Ok(Container::Mp3);
    }
    Err(Fault::Unknown(describe(head)))
}

/// Bytes by which [`file_kind`] can judge: the longest header of them is that of WAV.
pub(crate) const HEADER_BYTES: usize = 12;

/// The kind of file whose first bytes these are, for a stream that should have none.
///
/// MPEG's sync word is not looked for: loud raw samples begin with the same bits.
pub(crate) fn file_kind(head: &[u8]) -> Option<String> {
    let kind = match recognise(head) {
        _ if head.starts_with(b"ID3") => "MP3",
        None | Some(Ok(Container::Mp3 | Container::Adts)) => return None,
        Some(Ok(Container::Wav)) => "WAV",
        Some(Ok(Container::Flac)) => "FLAC",
        Some(Ok(Container::Mp4)) => "M4A",
        Some(Err(Fault::Unsupported(what))) => return Some(what),
        // Its codec stands in the first packet, behind these bytes.
        Some(Ok(Container::OggVorbis | Container::OggFlac | Container::OggOpus) | Err(_)) => "Ogg",
    };
    Some(kind.to_owned())
}

/// ID3v2 tags may precede MP3, AAC and FLAC. They are skipped by their size, never parsed.
fn skip_id3v2(input: &mut Input) -> Result<bool, Fault> {
    let mut tagged = false;
    // Some writers put a second tag in front of the first one; more than a few are no music file.
    for _ in 0..4 {
        let mut header = [0; 10];
        if input.read_at(0, &mut header)? < header.len() || !header.starts_with(b"ID3") {
            break;
        }
        // Seven bits per byte; a footer of ten bytes when flag 0x10 is set (id3.org, ID3v2.4 §3.1).
        let size = header[6..].iter().fold(0u64, |size, &byte| size << 7 | u64::from(byte & 0x7f));
        let footer = if header[5] & 0x10 != 0 { 10 } else { 0 };
        input.skip(10 + size + footer)?;
        tagged = true;
    }
    Ok(tagged)
}

fn recognise(head: &[u8]) -> Option<Result<Container, Fault>> {
    let unsupported = |what: &str| Some(Err(Fault::Unsupported(what.to_owned())));
    match head {
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..]
        | [b'R', b'F', b'6', b'4', _, _, _, _, b'W', b'A', b'V', b'E', ..]
        | [b'B', b'W', b'6', b'4', _, _, _, _, b'W', b'A', b'V', b'E', ..] => Some(Ok(Container::Wav)),
        [b'f', b'L', b'a', b'C', ..] => Some(Ok(Container::Flac)),
        [b'O', b'g', b'g', b'S', ..] => Some(ogg(head)),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Some(Ok(Container::Mp4)),
        [b'R', b'I', b'F', b'X', ..] => unsupported("big-endian WAV (RIFX)"),
        [b'R', b'I', b'F', b'F', ..] => unsupported("a RIFF file that is not WAV"),
        [b'F', b'O', b'R', b'M', ..] => unsupported("AIFF"),
        [b'c', b'a', b'f', b'f', ..] => unsupported("Apple's CAF"),
        [0x1a, 0x45, 0xdf, 0xa3, ..] => unsupported("Matroska or WebM"),
        [0x30, 0x26, 0xb2, 0x75, ..] => unsupported("Windows Media (ASF)"),
        [b'#', b'!', b'A', b'M', b'R', ..] => unsupported("AMR"),
        [b'.', b's', b'n', b'd', ..] => unsupported("Sun audio (.au)"),
        [b'w', b'v', b'p', b'k', ..] => unsupported("WavPack"),
        [b'M', b'A', b'C', b' ', ..] => unsupported("Monkey's Audio"),
        [_, _, _, _, b'm', b'o', b'o', b'v', ..] => unsupported("a QuickTime file without a file type"),
        // MPEG sync word: ADTS has layer bits 00, layer 3 has 01 (ISO 13818-7, 11172-3).
        [0xff, second, ..] if second & 0xf6 == 0xf0 => Some(Ok(Container::Adts)),
        [0xff, second, third, ..] if second & 0xe6 == 0xe2 && second & 0x18 != 0x08 && third & 0xf0 != 0xf0 => {
            Some(Ok(Container::Mp3))
        }
        _ => None,
    }
}

/// What the first packet of an Ogg file says. Page header: 27 bytes and the segment table (RFC 3533 §6).
fn ogg(head: &[u8]) -> Result<Container, Fault> {
    let segments = usize::from(*head.get(26).unwrap_or(&0));
    match head.get(27 + segments..).unwrap_or(&[]) {
        packet if packet.starts_with(b"OpusHead") => Ok(Container::OggOpus),
        packet if packet.starts_with(b"\x01vorbis") => Ok(Container::OggVorbis),
        packet if packet.starts_with(b"\x7fFLAC") => Ok(Container::OggFlac),
        packet if packet.starts_with(b"Speex   ") => Err(Fault::Unsupported("Speex".into())),
        packet if packet.starts_with(b"fishead\0") || packet.starts_with(b"\x80theora") => {
            Err(Fault::Unsupported("Ogg video".into()))
        }
        _ => Err(Fault::Malformed("its first Ogg packet belongs to no known codec".into())),
    }
}

/// What bytes that are no audio look like, for the person who chose the file.
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
