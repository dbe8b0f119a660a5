//! Audio costs no more memory the longer it is, live or from a file. Runs on the test kit's small recognizer.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sotto::audio::{SAMPLE_RATE, decode_bytes};
use sotto_testkit::{commands, long_tests};

const MINUTE: usize = 60 * SAMPLE_RATE as usize;

/// Bytes of a fifth of a second.
const MOMENT: usize = 2 * SAMPLE_RATE as usize / 5;

/// The minutes at which memory is read: three, which take half a minute; the whole hour with `SOTTO_LONG=1`.
fn minutes() -> &'static [usize] {
    if long_tests() { &[1, 2, 10, 30, 60] } else { &[1, 2, 3] }
}

/// Resident memory in kB, now (`VmRSS:`) or at most so far (`VmHWM:`); `None` once the process is gone.
fn resident(child: &Child, field: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    status.lines().find_map(|line| line.strip_prefix(field))?.trim().strip_suffix(" kB")?.trim().parse().ok()
}

/// The small recognizer as a model folder.
fn model() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    commands::write(folder.path()).unwrap();
    folder
}

/// Highest resident memory of a live transcription up to each of [`minutes`] since the one before, in kB.
fn listening(options: &[&str]) -> Vec<u64> {
    let (model, clip) = (model(), decode_bytes(commands::clip()).unwrap());
    let bytes: Vec<u8> = clip.samples().iter().flat_map(|sample| ((sample * 32767.0) as i16).to_le_bytes()).collect();
    let mut child = Command::new(env!("CARGO_BIN_EXE_sotto"))
        .args(["transcribe", "--stream", "--json", "--threads", "1", "--model"])
        .arg(model.path())
        .args(options)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let (mut heard, mut found) = (0, Vec::new());
    for minute in minutes() {
        // The most of all moments: a window that is being decoded holds a few megabytes more.
        let mut most = 0;
        // Blocks while the program decodes: what was written was heard, but for a pipe's buffer.
        while heard < minute * MINUTE {
            for piece in bytes.chunks(MOMENT) {
                stdin.write_all(piece).unwrap();
                most = resident(&child, "VmRSS:").unwrap().max(most);
            }
            heard += clip.samples().len();
        }
        found.push(most);
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
    println!("resident kB after minutes {:?}: {found:?}", minutes());
    found
}

fn assert_constant(resident: &[u64]) {
    let (first, most) = (resident[0], *resident.iter().max().unwrap());
    assert!(most < first + 2048, "grew from {first} kB after a minute: {resident:?}");
}

#[test]
fn memory_is_constant_after_the_first_minute() {
    assert_constant(&listening(&[]));
}

#[test]
fn memory_is_constant_with_voice_activity_detection_too() {
    let Some(data) = sotto_testkit::data_dir() else { return };
    let weights = data.join("vad/silero_vad_16k.safetensors");
    assert_constant(&listening(&["--vad", "--vad-model", weights.to_str().unwrap()]));
}

/// A WAV file of 16-bit mono samples at 16 kHz: the demo clip, repeated.
fn write_wav(path: &Path, samples: usize) {
    let clip = decode_bytes(commands::clip()).unwrap();
    let looped = clip.samples().iter().cycle().take(samples).map(|sample| (sample * 32767.0) as i16);
    let data: Vec<u8> = looped.flat_map(i16::to_le_bytes).collect();
    let mut file = Vec::with_capacity(44 + data.len());
    file.extend(b"RIFF");
    file.extend((36 + data.len() as u32).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16u32.to_le_bytes());
    // PCM, one channel, the rate, bytes per second, bytes per frame, bits per sample.
    file.extend([1u16, 1].map(u16::to_le_bytes).concat());
    file.extend([SAMPLE_RATE, 2 * SAMPLE_RATE].map(u32::to_le_bytes).concat());
    file.extend([2u16, 16].map(u16::to_le_bytes).concat());
    file.extend(b"data");
    file.extend((data.len() as u32).to_le_bytes());
    file.extend(data);
    std::fs::write(path, file).unwrap();
}

/// Highest resident memory of `sotto transcribe` on a file, in kB.
fn peak_of_transcribing(model: &Path, path: &Path) -> u64 {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sotto"))
        .args(["transcribe", "--threads", "1", "--model"])
        .args([model, path])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        peak = resident(&child, "VmHWM:").unwrap_or(0).max(peak);
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(child.wait().unwrap().success());
    peak
}

#[test]
fn memory_does_not_grow_with_the_length_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let (short, long) = (folder.path().join("short.wav"), folder.path().join("long.wav"));
    write_wav(&short, MINUTE);
    write_wav(&long, 8 * MINUTE);
    let model = model();
    let peak = |path| peak_of_transcribing(model.path(), path);
    let (short, long) = (peak(&short), peak(&long));
    println!("peak {short} kB for one minute, {long} kB for eight");
    // Eight minutes are 31 MB of samples.
    assert!(long < short + 3072, "{short} kB for one minute, {long} kB for eight");
}
