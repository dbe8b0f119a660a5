//! Every supported container and codec: `beeps/*` hold three seconds with beeps of 0.1 s at 0.5, 1.5 and 2.5 s
//! (scripts/goldens/audio_seeds.py), read as a file and as a pipe. Unsupported formats are named in the error.

// Helpers of tests unwrap as tests do.
#![allow(clippy::unwrap_used)]

use std::io::{Cursor, Read};
use std::path::Path;

use sotto_audio::{AudioError, AudioFile, Channel, Codec};

fn seed(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/seeds/beeps").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A pipe that returns its bytes in small pieces.
struct Pipe(Cursor<Vec<u8>>);

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let end = buffer.len().min(1000);
        self.0.read(&mut buffer[..end])
    }
}

fn samples_of(file: &mut AudioFile) -> Vec<f32> {
    let mut samples = Vec::new();
    while file.next_block(&mut samples).unwrap() {}
    samples
}

/// Seconds at which beeps begin.
fn beeps(samples: &[f32]) -> Vec<f64> {
    let loud: Vec<bool> = samples.chunks(80).map(|block| block.iter().any(|x| x.abs() > 0.1)).collect();
    let begins = |&at: &usize| loud[at] && !loud[at.saturating_sub(10)..at].iter().any(|&loud| loud);
    (0..loud.len()).filter(begins).map(|at| at as f64 * 0.005).collect()
}

#[track_caller]
fn assert_beeps(samples: &[f32], expected: &[f64], tolerance: f64, what: &str) {
    let found = beeps(samples);
    let close = found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= tolerance);
    assert!(close, "{what}: beeps at {found:?}, not {expected:?}");
}

const FORMATS: [(&str, Codec); 34] = [
    ("pcm16.wav", Codec::Wav),
    ("alaw.wav", Codec::Wav),
    ("mulaw.wav", Codec::Wav),
    ("ima.wav", Codec::Adpcm),
    ("ms.wav", Codec::Adpcm),
    ("rf64.wav", Codec::Wav),
    ("pcm16.w64", Codec::Wav),
    ("pcm16.aiff", Codec::Pcm),
    ("sowt.aifc", Codec::Pcm),
    ("ima.aifc", Codec::Adpcm),
    ("mulaw.au", Codec::Pcm),
    ("pcm16.caf", Codec::Pcm),
    ("pcm16.mov", Codec::Pcm),
    ("pcm16.mka", Codec::Pcm),
    ("alac.m4a", Codec::Alac),
    ("alac.caf", Codec::Alac),
    ("aac.m4a", Codec::Aac),
    ("aac.aac", Codec::Aac),
    ("aac.mkv", Codec::Aac),
    ("fragmented.mp4", Codec::Aac),
    ("opus.webm", Codec::Opus),
    ("opus.mp4", Codec::Opus),
    ("opus.caf", Codec::Opus),
    ("opus.opus", Codec::Opus),
    ("vorbis.webm", Codec::Vorbis),
    ("vorbis.ogg", Codec::Vorbis),
    ("flac.flac", Codec::Flac),
    ("flac.oga", Codec::Flac),
    ("flac.mka", Codec::Flac),
    ("mp3.mp3", Codec::Mp3),
    ("tagged.mp3", Codec::Mp3),
    ("mp3.wav", Codec::Mp3),
    ("mp2.mp2", Codec::Mp2),
    ("he-aac.m4a", Codec::Aac),
];

#[test]
fn every_format_has_its_length_and_its_times_from_a_file_and_from_a_pipe() {
    let mut failures = Vec::new();
    for (name, codec) in FORMATS {
        let mut file = match AudioFile::from_reader(Cursor::new(seed(name)), name) {
            Ok(file) => file,
            Err(error) => {
                failures.push(error.to_string());
                continue;
            }
        };
        let samples = samples_of(&mut file);
        let seconds = samples.len() as f64 / 16_000.0;
        // Streams of frames have whole frames, and keep the encoder's delay.
        let bare = ["aac.aac", "mp3.mp3", "mp2.mp2", "aac.mkv", "mp3.wav", "fragmented.mp4"].contains(&name);
        // ffmpeg pads the last ADPCM block and counts the padding.
        let filled = ["ima.wav", "ms.wav"].contains(&name);
        let (length, time) = if bare { (0.3, 0.14) } else { (if filled { 1.1 } else { 0.05 }, 0.02) };
        let found = beeps(&samples);
        let close = found.len() == 3 && found.iter().zip([0.5, 1.5, 2.5]).all(|(a, b)| (a - b).abs() <= time);
        if !close || (seconds - 3.0).abs() > length || file.info().codec != codec || !file.warnings().is_empty() {
            failures.push(format!("{name}: {seconds} s, {found:?}, {:?}, {:?}", file.info(), file.warnings()));
        }
        if let Some(announced) = file.info().duration
            && (announced.as_secs_f64() - seconds).abs() > 0.15
        {
            failures.push(format!("{name}: {announced:?} announced, {seconds} s there"));
        }
        match AudioFile::from_stream(Pipe(Cursor::new(seed(name))), name) {
            Ok(mut pipe) => {
                let piped = samples_of(&mut pipe);
                if piped != samples || !pipe.warnings().is_empty() {
                    failures.push(format!(
                        "{name}: another result from a pipe: {} samples, {:?}",
                        piped.len(),
                        pipe.warnings()
                    ));
                }
            }
            Err(error) => failures.push(format!("from a pipe: {error}")),
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[cfg(unix)]
#[test]
fn a_named_pipe_is_read_like_a_file() {
    for name in ["pcm16.wav", "flac.flac", "opus.opus", "aac.m4a", "tagged.mp3"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        if !made.is_ok_and(|status| status.success()) {
            eprintln!("skipped: this system has no mkfifo");
            return;
        }
        let writer = {
            let path = path.clone();
            let bytes = seed(name);
            std::thread::spawn(move || std::fs::write(path, bytes).unwrap())
        };
        let mut file = AudioFile::open(&path).unwrap();
        assert_beeps(&samples_of(&mut file), &[0.5, 1.5, 2.5], 0.02, name);
        writer.join().unwrap();
    }
}

/// `bytes` with `from` replaced by `to`, which is as long, everywhere.
fn patched(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let places: Vec<usize> = (0..=bytes.len() - from.len()).filter(|&at| bytes[at..].starts_with(from)).collect();
    assert!(!places.is_empty(), "{from:02x?} is not there");
    for at in places {
        bytes[at..at + from.len()].copy_from_slice(to);
    }
    bytes
}

#[test]
fn he_aac_is_read_by_its_core_however_it_is_signalled() {
    // Low complexity, 8 kHz, mono, then type 5 behind the sync word 0x2b7 and the bit that it is not used.
    let plain = [0x15, 0x88, 0x56, 0xe5, 0x00];
    for (name, config) in [
        // The bit, and 16 kHz.
        ("compatible", [0x15, 0x88, 0x56, 0xe5, 0xc0]),
        // Type 5, 8 kHz, mono, 16 kHz, type 2; the last byte is not read.
        ("hierarchical", [0x2d, 0x8c, 0x08, 0x00, 0x00]),
        ("hierarchical with parametric stereo", [0xed, 0x8c, 0x08, 0x00, 0x00]),
    ] {
        let bytes = patched(seed("aac.m4a"), &plain, &config);
        let mut file = AudioFile::from_reader(Cursor::new(bytes), name).unwrap();
        assert_eq!(file.info().sample_rate, 8000, "{name}");
        let samples = samples_of(&mut file);
        // The edit list was not made for the delay of the extension, 60 ms here.
        assert_beeps(&samples, &[0.56, 1.56, 2.56], 0.02, name);
        assert!((samples.len() as f64 / 16_000.0 - 3.0).abs() < 0.07, "{name}");
    }
}

#[test]
fn what_is_not_read_is_named_with_what_converts_it() {
    let phone = patched(seed("alac.m4a"), b"alac", b"samr");
    let wide = patched(seed("alac.m4a"), b"alac", b"sawb");
    let protected = patched(seed("alac.m4a"), b"alac", b"drms");
    let unfinished = patched(seed("aac.m4a"), b"moov", b"free");
    let config = [0x15, 0x88, 0x56, 0xe5, 0x00];
    let low_delay = patched(seed("aac.m4a"), &config, &[0xbd, 0x88, 0, 0, 0]);
    let extended = patched(seed("aac.m4a"), &config, &[0xf9, 0x4b, 0x20, 0, 0]);
    let gsm = patched(seed("ima.wav"), b"fmt \x14\0\0\0\x11\0", b"fmt \x14\0\0\0\x31\0");
    let converter = "ffmpeg -i FILE";
    for (bytes, name, remedy) in [
        (b"#!AMR\n\x3c".to_vec(), "AMR-NB", converter),
        (b"#!AMR-WB\n\x04".to_vec(), "AMR-WB", converter),
        (phone, "AMR-NB", converter),
        (wide, "AMR-WB", converter),
        (protected, "DRM", "player"),
        (low_delay, "AAC-LD", converter),
        (extended, "xHE-AAC", converter),
        (gsm, "GSM", converter),
        (unfinished, "its index is missing", "record it again"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11".to_vec(), "WMA", converter),
        (b"RIFF\0\0\0\0AVI LIST".to_vec(), "AVI", converter),
        (b"wvpk\0\0\0\0".to_vec(), "WavPack", converter),
    ] {
        let error = AudioFile::from_reader(Cursor::new(bytes), "talk").unwrap_err();
        let text = error.to_string();
        assert!(text.contains(name) && text.contains(remedy) && text.starts_with("talk: "), "{name}: {text}");
    }
}

#[test]
fn a_channel_is_chosen_before_reading() {
    // Two channels at 16 kHz: 0.25 and -0.25 in 16 bits, which cancel.
    let mut bytes = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x02\0".to_vec();
    bytes.extend(16_000u32.to_le_bytes());
    bytes.extend(64_000u32.to_le_bytes());
    bytes.extend(b"\x04\0\x10\0data");
    bytes.extend((4u32 * 16_000).to_le_bytes());
    (0..16_000).for_each(|_| bytes.extend([0x00, 0x20, 0x00, 0xe0]));
    for (channel, expected) in [(Channel::Mix, 0.25), (Channel::LEFT, 0.25), (Channel::RIGHT, -0.25)] {
        let mut file = AudioFile::from_reader(Cursor::new(bytes.clone()), "call").unwrap();
        file.select(channel).unwrap();
        let samples = samples_of(&mut file);
        assert!(samples.len() == 16_000 && samples.iter().all(|&x| x == expected), "{channel:?}");
    }
    let mut file = AudioFile::from_reader(Cursor::new(bytes), "call").unwrap();
    let error = file.select(Channel::Only(2)).unwrap_err();
    assert!(matches!(error, AudioError::NoChannel { wanted: 2, channels: 2, .. }), "{error}");
}
