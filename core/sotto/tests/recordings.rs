//! Recordings that are opened without a path.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

use std::io::Write;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use sotto::FileRange;
use sotto::audio::{self, AudioError, AudioFile};
use sotto_testkit::commands;

fn samples(mut file: AudioFile) -> Vec<f32> {
    let mut samples = Vec::new();
    while file.next_block(&mut samples).unwrap() {}
    samples
}

#[test]
fn owned_bytes_parts_of_files_and_pipes_give_the_same_samples() {
    let clip = commands::clip();
    let expected = audio::decode_bytes(clip).unwrap().samples().to_vec();
    assert!(!expected.is_empty());
    let shared: Arc<[u8]> = clip.into();
    assert_eq!(samples(audio::open_bytes(clip.to_vec(), "owned").unwrap()), expected);
    assert_eq!(samples(audio::open_bytes(Arc::clone(&shared), "shared").unwrap()), expected);
    assert_eq!(Arc::strong_count(&shared), 1);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&[b"other bytes, ".as_slice(), clip, b" and others"].concat()).unwrap();
    let (descriptor, length) = (file.as_raw_fd(), Some(clip.len() as u64));
    let range = FileRange::of_descriptor(descriptor, 13, length, "asset").unwrap();
    // Two at once on one descriptor do not disturb each other.
    let (mut one, other) =
        (audio::open_range(&range).unwrap(), audio::open_descriptor(descriptor, 13, length, "asset"));
    let mut first = Vec::new();
    one.next_block(&mut first).unwrap();
    assert_eq!(samples(other.unwrap()), expected);
    first.extend(samples(one));
    assert_eq!(first, expected);
    let (reader, mut writer) = std::io::pipe().unwrap();
    let sender = std::thread::spawn(move || writer.write_all(clip).unwrap());
    let piped = audio::open_descriptor(reader.as_raw_fd(), 0, None, "document").unwrap();
    drop(reader);
    assert_eq!(samples(piped), expected);
    sender.join().unwrap();
}

#[test]
fn what_cannot_be_read_is_said_with_its_name_once() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(commands::clip()).unwrap();
    let folder = std::fs::File::open(std::env::temp_dir()).unwrap();
    let (pipe, _writer) = std::io::pipe().unwrap();
    for (descriptor, offset, length) in [
        (file.as_raw_fd(), 0, Some(1 << 40)),
        (file.as_raw_fd(), u64::MAX, None),
        (folder.as_raw_fd(), 0, None),
        (pipe.as_raw_fd(), 10, None),
        (-1, 0, None),
    ] {
        let refused = audio::open_descriptor(descriptor, offset, length, "asset").unwrap_err();
        assert!(matches!(refused, AudioError::Io { .. }), "{refused:?}");
        assert_eq!(refused.to_string().matches("asset").count(), 1, "{refused}");
    }
    let empty = audio::open_descriptor(file.as_raw_fd(), 5, Some(0), "asset").unwrap_err();
    assert!(matches!(empty, AudioError::Empty { .. }), "{empty}");
}
