//! Live audio costs no more memory the longer it runs. Runs on the starter recognizer.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

use std::io::Write;
use std::process::{Child, Command, Stdio};

use sotto::audio::{SAMPLE_RATE, decode_bytes};

const MINUTE: usize = 60 * SAMPLE_RATE as usize;

/// Ten minutes, which take a minute or two; the whole hour with `SOTTO_LONG=1`.
fn samples_to_hear() -> usize {
    if std::env::var_os("SOTTO_LONG").is_some() { 60 * MINUTE } else { 10 * MINUTE }
}

/// Resident memory in kB, `None` once the process is gone.
fn resident(child: &Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix(" kB")?.trim().parse().ok()
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
    let early = resident(&child).unwrap();
    hear(samples_to_hear());
    let late = resident(&child).unwrap();
    drop(stdin);
    assert!(child.wait().unwrap().success());
    println!("resident after two minutes {early} kB, at the end {late} kB");
    assert!(late < early + 2048, "{early} kB after two minutes, {late} kB at the end");
}
