//! Recordings that are damaged after their start: everything before and after the damage is returned at its own time,
//! and a warning says where and how much is lost.

// Helpers of tests unwrap as tests do.
#![allow(clippy::unwrap_used)]

use std::io::Cursor;
use std::path::Path;

use sotto_audio::{AudioFile, AudioProblem, AudioWarning};

fn seed(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/seeds/beeps").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

struct Decoded {
    seconds: f64,
    beeps: Vec<f64>,
    warnings: Vec<AudioWarning>,
}

fn decode(bytes: Vec<u8>, name: &str) -> Decoded {
    let mut file = AudioFile::from_reader(Cursor::new(bytes), name).unwrap();
    let mut samples = Vec::new();
    while file.next_block(&mut samples).unwrap() {}
    let loud: Vec<bool> = samples.chunks(80).map(|block| block.iter().any(|x| x.abs() > 0.1)).collect();
    let begins = |&at: &usize| loud[at] && !loud[at.saturating_sub(20)..at].iter().any(|&loud| loud);
    let beeps = (0..loud.len()).filter(begins).map(|at| at as f64 * 0.005).collect();
    Decoded { seconds: samples.len() as f64 / 16_000.0, beeps, warnings: file.warnings().to_vec() }
}

impl Decoded {
    fn has_beep(&self, at: f64) -> bool {
        self.beeps.iter().any(|beep| (beep - at).abs() < 0.15)
    }
}

/// Formats whose lost time is known from frame numbers, page positions, packet tables or packet times, or nearly so
/// from the bytes of a constant bit rate.
const TIMED: [&str; 7] = ["flac.flac", "flac.oga", "vorbis.ogg", "opus.opus", "aac.m4a", "mp2.mp2", "mp3.mp3"];

#[test]
fn what_stands_before_and_behind_a_damage_keeps_its_time() {
    let mut failures = Vec::new();
    for name in TIMED {
        let whole = seed(name);
        let length = decode(whole.clone(), name).seconds;
        // A part of the file after its headers (Vorbis has the largest) is changed or zeroed.
        let (from, to) = if name.starts_with("vorbis") { (89, 90) } else { (50, 55) };
        let (from, to) = (whole.len() * from / 100, whole.len() * to / 100);
        for (kind, change) in [("flipped", 0xffu8), ("zeros", 0)] {
            let mut bytes = whole.clone();
            bytes[from..to].iter_mut().for_each(|byte| *byte = if change == 0 { 0 } else { *byte ^ change });
            let found = decode(bytes, name);
            if (found.seconds - length).abs() > 0.16 || !found.has_beep(0.5) || !found.has_beep(2.5) {
                failures.push(format!("{name}, {kind}: {} s of {length}, beeps at {:?}", found.seconds, found.beeps));
            }
            // Lossy codecs without checksums may decode anything.
            if found.warnings.is_empty() && ["flac.flac", "flac.oga", "vorbis.ogg", "opus.opus"].contains(&name) {
                failures.push(format!("{name}, {kind}: no warning"));
            }
            for warning in &found.warnings {
                if !(0.0..=3.2).contains(&warning.at) || !(0.0..2.0).contains(&warning.lost) {
                    failures.push(format!("{name}, {kind}: {warning}"));
                }
            }
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn a_hole_in_a_stream_with_positions_is_filled() {
    for name in ["vorbis.ogg", "opus.opus", "flac.oga"] {
        let whole = seed(name);
        let pages: Vec<usize> = (0..whole.len()).filter(|&at| whole[at..].starts_with(b"OggS")).collect();
        // One page of audio in the middle is missing.
        let at = pages.len() - 4;
        let bytes = [&whole[..pages[at]], &whole[pages[at + 1]..]].concat();
        let (before, after) = (decode(whole, name), decode(bytes, name));
        assert!((before.seconds - after.seconds).abs() < 0.01, "{name}: {} and {}", before.seconds, after.seconds);
        assert!(after.has_beep(0.5) && after.has_beep(2.5), "{name}: {:?}", after.beeps);
        let [warning] = &after.warnings[..] else { panic!("{name}: {:?}", after.warnings) };
        assert!(warning.lost > 0.2 && warning.lost < 0.8, "{name}: {warning}");
    }
}

#[test]
fn a_file_that_ends_early_gives_what_is_there() {
    for (name, told) in [
        ("pcm16.wav", true),
        ("pcm16.aiff", true),
        ("pcm16.caf", true),
        ("ima.wav", true),
        ("flac.flac", true),
        ("tagged.mp3", true),
        // These end inside a page, a packet or a frame.
        ("opus.opus", true),
        ("vorbis.ogg", true),
        ("opus.webm", true),
        // Streams may end anywhere.
        ("mp3.mp3", false),
        ("aac.aac", false),
    ] {
        let whole = seed(name);
        // A short Vorbis file consists mostly of headers.
        let tenths = if name.starts_with("vorbis") { 9 } else { 7 };
        let found = decode(whole[..whole.len() * tenths / 10].to_vec(), name);
        assert!(found.has_beep(0.5), "{name}: {:?}", found.beeps);
        assert!(found.seconds > 1.0 && found.seconds < 2.9, "{name}: {} s", found.seconds);
        assert_eq!(!found.warnings.is_empty(), told, "{name}: {:?}", found.warnings);
    }
}

#[test]
fn streams_of_frames_begin_behind_anything() {
    for name in ["mp3.mp3", "mp2.mp2", "aac.aac"] {
        let whole = seed(name);
        let reference = decode(whole.clone(), name);
        let noise: Vec<u8> = (0..5000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for (kind, start, lost) in [
            ("zeros", vec![0; 777], 0.0),
            ("noise", noise, 0.0),
            ("text", b"HTTP/1.0 200 OK\r\nicy-name: radio\r\n\r\n".to_vec(), 0.0),
            // The rest of a frame whose start is missing.
            ("a cut frame", Vec::new(), 0.3),
        ] {
            let from = if start.is_empty() { 20 } else { 0 };
            let bytes = [&start[..], &whole[from..]].concat();
            let found = decode(bytes, name);
            assert!(
                (reference.seconds - found.seconds - lost / 2.0).abs() <= 0.16,
                "{name}, {kind}: {} s",
                found.seconds
            );
            assert_eq!(found.beeps.len(), 3, "{name}, {kind}: {:?}", found.beeps);
            let [AudioWarning { at: 0.0, problem: AudioProblem::Foreign { bytes }, .. }] = found.warnings[..] else {
                panic!("{name}, {kind}: {:?}", found.warnings)
            };
            assert!(start.is_empty() || bytes as usize == start.len(), "{name}, {kind}: {bytes} bytes");
        }
    }
}

#[test]
fn tags_between_and_behind_frames_are_no_damage() {
    let frames = seed("mp3.mp3");
    let mut tag = b"TAG".to_vec();
    tag.resize(128, b' ');
    let id3 = b"ID3\x04\0\0\0\0\0\x10TIT2\0\0\0\x06\0\0\0beeps".to_vec();
    for (name, bytes) in [
        ("behind", [&frames[..], &tag].concat()),
        ("joined", [&frames[..], &tag, &id3, &frames].concat()),
        ("in front", [&id3[..], &frames].concat()),
    ] {
        let found = decode(bytes, name);
        assert!(found.warnings.is_empty(), "{name}: {:?}", found.warnings);
        assert_eq!(found.beeps.len() % 3, 0, "{name}: {:?}", found.beeps);
    }
}
