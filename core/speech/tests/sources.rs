//! Where a model may come from beside a path: bytes that the application owns, and files that are open already.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::path::Path;
use std::sync::{Arc, LazyLock};

use sotto_audio::{AudioFile, Pcm16k};
use sotto_runtime::{CancelToken, NoProgress, Threads};
use sotto_speech::{
    FileRange, FileRangeError, LoadError, LoadOptions, MemoryFile, ModelSource, QuantizeOptions, SpeechError,
    SpeechRecognizer, TranscribeOptions, WeightError, quantize,
};
use sotto_testkit::commands;
use tempfile::NamedTempFile;

/// The recognizer of commands, packed.
static PACKED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    commands::write(folder.path()).unwrap();
    let packed = folder.path().join("packed.sotto");
    let options = QuantizeOptions::default();
    quantize(&folder.path().into(), &packed, &options, &NoProgress, &CancelToken::new()).unwrap();
    fs::read(packed).unwrap()
});

static CLIP: LazyLock<Pcm16k> = LazyLock::new(|| {
    let mut file = AudioFile::from_reader(std::io::Cursor::new(commands::clip()), "clip").unwrap();
    let mut samples = Vec::new();
    while file.next_block(&mut samples).unwrap() {}
    Pcm16k::new(samples).unwrap()
});

/// What a model hears, with the probabilities, so that another bit anywhere shows.
static HEARD: LazyLock<String> =
    LazyLock::new(|| heard(&load(&MemoryFile::new("packed", PACKED.clone()).into()).unwrap()).unwrap());

fn load(source: &ModelSource) -> Result<SpeechRecognizer, LoadError> {
    let options = LoadOptions { threads: Threads::ONE, ..LoadOptions::default() };
    SpeechRecognizer::load(source, &options, &NoProgress, &CancelToken::new())
}

fn heard(recognizer: &SpeechRecognizer) -> Result<String, SpeechError> {
    let options = TranscribeOptions::default();
    let transcript = recognizer.transcribe(&CLIP, &options, &NoProgress, &CancelToken::new())?;
    Ok(format!("{transcript:?}").split("timing").next().unwrap().to_owned())
}

/// The packed model behind `before` other bytes and in front of some more.
fn package(before: usize) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(&vec![0xA5; before]).unwrap();
    file.write_all(&PACKED).unwrap();
    file.write_all(&[0xA5; 777]).unwrap();
    file
}

fn length() -> u64 {
    PACKED.len() as u64
}

/// The model in a package, as an application hands it over, whose descriptor is closed right after.
fn asset(package: &Path, before: u64) -> FileRange {
    let file = File::open(package).unwrap();
    FileRange::of_descriptor(file.as_raw_fd(), before, Some(length()), "asset").unwrap()
}

fn is_copied(recognizer: &SpeechRecognizer) -> bool {
    recognizer.model().unwrap().packed().unwrap().copied
}

#[test]
fn a_model_inside_a_package_is_mapped_wherever_it_begins_and_copied_only_at_odd_places() {
    for before in [0, 4, 64, 1020, 4096, 4100, 12_345, 65_538] {
        let package = package(before);
        let recognizer = load(&asset(package.path(), before as u64).into()).unwrap();
        assert_eq!(heard(&recognizer).unwrap(), *HEARD, "behind {before} bytes");
        assert_eq!(is_copied(&recognizer), before % 4 != 0, "behind {before} bytes");
    }
}

#[test]
fn the_descriptor_of_the_application_stays_its_own() {
    let package = package(100);
    let mut file = package.reopen().unwrap();
    file.seek(SeekFrom::Start(7)).unwrap();
    let range = FileRange::of_descriptor(file.as_raw_fd(), 100, Some(length()), "asset").unwrap();
    let recognizer = load(&range.clone().into()).unwrap();
    let mut reader = range.reader();
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut reader, &mut bytes).unwrap();
    assert_eq!(bytes, *PACKED);
    assert_eq!(file.stream_position().unwrap(), 7);
    drop((range, reader));
    assert!(file.metadata().is_ok(), "it is not closed");
    assert_eq!(heard(&recognizer).unwrap(), *HEARD);
}

#[test]
fn a_range_that_does_not_lie_in_the_file_is_refused() {
    let package = package(100);
    let all = package.as_file().metadata().unwrap().len();
    for (offset, length) in [
        (all, Some(1)),
        (all + 1, None),
        (0, Some(all + 1)),
        (u64::MAX, Some(1)),
        (1, Some(u64::MAX)),
        (200, Some(all)),
    ] {
        let file = package.reopen().unwrap();
        match FileRange::new(file, offset, length, "asset").unwrap_err() {
            FileRangeError::OutOfRange { name, available, .. } => assert_eq!((&*name, available), ("asset", all)),
            other => panic!("{other}"),
        }
    }
    // In the file, but not where the model is.
    for (offset, length) in [(99, length()), (164, length()), (100, length() - 1), (100, 1000), (100, 8), (100, 0)] {
        let range = FileRange::new(package.reopen().unwrap(), offset, Some(length), "asset").unwrap();
        let refused = load(&range.into()).map(drop).unwrap_err();
        assert!(matches!(refused, LoadError::Weights(_)), "{refused:?}");
        assert!(refused.to_string().starts_with("asset: "), "{refused}");
    }
}

#[test]
fn what_is_no_regular_file_is_refused_with_what_it_is() {
    let (pipe, _writer) = std::io::pipe().unwrap();
    let refused = |descriptor| FileRange::of_descriptor(descriptor, 0, None, "asset").unwrap_err();
    let folder = File::open(std::env::temp_dir()).unwrap();
    let device = File::open("/dev/null").unwrap();
    for (descriptor, what) in
        [(pipe.as_raw_fd(), "a pipe"), (folder.as_raw_fd(), "a folder"), (device.as_raw_fd(), "a device")]
    {
        let refused = refused(descriptor);
        assert!(matches!(refused, FileRangeError::NotAFile { .. }) && refused.to_string().contains(what), "{refused}");
    }
    for descriptor in [-1, i32::MIN, i32::MAX, 1_000_000] {
        let refused = refused(descriptor);
        assert!(matches!(refused, FileRangeError::Descriptor { .. }), "{refused}");
    }
    // None of ours was closed.
    assert!(folder.metadata().is_ok() && device.into_raw_fd() > 0);
}

#[test]
fn a_model_whose_file_is_deleted_goes_on() {
    let package = package(8);
    let (by_range, by_path) = (load(&asset(package.path(), 8).into()).unwrap(), write_and_load());
    package.close().unwrap();
    assert_eq!(heard(&by_range).unwrap(), *HEARD);
    let (recognizer, file) = by_path;
    file.close().unwrap();
    assert_eq!(heard(&recognizer).unwrap(), *HEARD);
}

fn write_and_load() -> (SpeechRecognizer, NamedTempFile) {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(&PACKED).unwrap();
    (load(&file.path().into()).unwrap(), file)
}

#[test]
fn a_file_that_was_cut_is_noticed_before_its_pages_are_touched() {
    let file = package(8);
    let range = asset(file.path(), 8);
    let recognizer = load(&range.clone().into()).unwrap();
    let (by_path, path) = write_and_load();
    for cut in [file.as_file(), path.as_file()] {
        cut.set_len(5000).unwrap();
    }
    for recognizer in [&recognizer, &by_path] {
        let refused = heard(recognizer).unwrap_err();
        let SpeechError::Load(LoadError::Weights(WeightError::Changed { .. })) = refused else { panic!("{refused}") };
    }
    // Cut between handing it over and loading.
    let refused = load(&range.into()).map(drop).unwrap_err();
    assert!(matches!(refused, LoadError::Weights(WeightError::Io { .. })), "{refused:?}");
    // A copy does not depend on the file any more.
    let file = package(7);
    let recognizer = load(&asset(file.path(), 7).into()).unwrap();
    file.as_file().set_len(0).unwrap();
    assert!(is_copied(&recognizer));
}

#[test]
fn bytes_that_the_application_owns_are_used_where_they_lie() {
    let aligned: Arc<[u8]> = PACKED.clone().into();
    let shared = load(&MemoryFile::new("mine", Arc::clone(&aligned)).into()).unwrap();
    assert_eq!(heard(&shared).unwrap(), *HEARD);
    assert_eq!(is_copied(&shared), aligned.as_ptr().align_offset(4) != 0);
    assert!(is_copied(&shared) || Arc::strong_count(&aligned) > 1, "they stay as long as the model");
    drop(shared);
    assert_eq!(Arc::strong_count(&aligned), 1);
    for (name, bytes) in
        [("empty", Vec::new()), ("text", b"no model at all, but text".to_vec()), ("cut", PACKED[..5000].to_vec())]
    {
        let refused = load(&MemoryFile::new(name, bytes).into()).map(drop).unwrap_err();
        assert!(refused.to_string().starts_with(name), "{refused}");
    }
}

#[test]
fn sources_are_equal_where_they_are_the_same_bytes() {
    let file = package(0);
    let range = |offset| ModelSource::from(FileRange::new(file.reopen().unwrap(), offset, None, "asset").unwrap());
    assert_eq!(range(0), range(0));
    assert_ne!(range(0), range(4));
    let bytes: Arc<[u8]> = PACKED.clone().into();
    assert_eq!(MemoryFile::new("a", Arc::clone(&bytes)), MemoryFile::new("b", bytes));
    assert_ne!(MemoryFile::new("a", PACKED.clone()), MemoryFile::new("a", PACKED.clone()));
}
