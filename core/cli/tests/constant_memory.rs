//! Audio costs no more memory the longer it is, live or from a file. Runs on the starter recognizer.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sotto::audio::{SAMPLE_RATE, decode_bytes};

const MINUTE: usize = 60 * SAMPLE_RATE as usize;

/// Four minutes, which take half a minute; the whole hour with `SOTTO_LONG=1`.
fn samples_to_hear() -> usize {
    if std::env::var_os("SOTTO_LONG").is_some() { 60 * MINUTE } else { 4 * MINUTE }
}

/// Resident memory in kB, now (`VmRSS:`) or at most so far (`VmHWM:`); `None` once the process is gone.
fn resident(child: &Child, field: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    status.lines().find_map(|line| line.strip_prefix(field))?.trim().strip_suffix(" kB")?.trim().parse().ok()
}

#[test]
fn memory_is_constant_after_the_first_minutes() {
    let clip = decode_bytes(sotto_starter::demo_clip()).unwrap();
    let bytes: Vec<u8> = clip.samples().iter().flat_map(|sample| ((sample * 32767.0) as i16).to_le_bytes()).collect();
    let mut child = Command::new(env!("CARGO_BIN_EXE_sotto"))
        .args(["transcribe", "--stream", "--json", "--threads", "1", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Blocks while the program decodes: what was written was heard, but for a pipe's buffer.
    let mut hear = |samples: usize| {
        for _ in 0..samples / clip.samples().len() {
            stdin.write_all(&bytes).unwrap();
        }
    };
    hear(2 * MINUTE);
    let early = resident(&child, "VmRSS:").unwrap();
    hear(samples_to_hear());
    let late = resident(&child, "VmRSS:").unwrap();
    drop(stdin);
    assert!(child.wait().unwrap().success());
    println!("resident after two minutes {early} kB, at the end {late} kB");
    assert!(late < early + 2048, "{early} kB after two minutes, {late} kB at the end");
}

/// A WAV file of 16-bit mono samples at 16 kHz: the demo clip, repeated.
fn write_wav(path: &Path, samples: usize) {
    let clip = decode_bytes(sotto_starter::demo_clip()).unwrap();
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
fn peak_of_transcribing(path: &Path) -> u64 {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sotto"))
        .args(["transcribe", "--threads", "1"])
        .arg(path)
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
    let (short, long) = (peak_of_transcribing(&short), peak_of_transcribing(&long));
    println!("peak {short} kB for one minute, {long} kB for eight");
    // Eight minutes are 31 MB of samples.
    assert!(long < short + 3072, "{short} kB for one minute, {long} kB for eight");
}
