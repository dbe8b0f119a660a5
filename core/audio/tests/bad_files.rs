//! Damaged and hostile files: a typed error that names the file, within 100 ms and 50 MB, or a correct but shorter
//! result.

// Helpers of tests unwrap as tests do.
#![allow(clippy::unwrap_used)]

use std::io::Cursor;

use proptest::prelude::*;
use sotto_audio::{AudioError, AudioFile, AudioProblem, AudioWarning};
use sotto_testkit::heap::assert_soon_at_once;

/// All samples and the result at the end; checks time and memory.
fn decode(bytes: Vec<u8>) -> (Vec<f32>, Result<Vec<AudioWarning>, AudioError>) {
    let (samples, result) = assert_soon_at_once(|| {
        let mut samples = Vec::new();
        let result = AudioFile::from_reader(Cursor::new(bytes.clone()), "bad.wav").and_then(|mut file| {
            while file.next_block(&mut samples)? {}
            Ok(file.warnings().to_vec())
        });
        (samples, result)
    });
    if let Err(error) = &result {
        assert!(error.to_string().starts_with("bad.wav: "), "{error}");
    }
    (samples, result)
}

fn error_of(bytes: Vec<u8>) -> AudioError {
    decode(bytes).1.unwrap_err()
}

struct Wav {
    tag: u16,
    channels: u16,
    rate: u32,
    bits: u16,
    claimed: Option<u32>,
    data: Vec<u8>,
}

impl Default for Wav {
    fn default() -> Self {
        Self { tag: 1, channels: 1, rate: 16_000, bits: 16, claimed: None, data: vec![0; 320] }
    }
}

impl Wav {
    fn bytes(&self) -> Vec<u8> {
        let align = u32::from(self.channels) * u32::from(self.bits) / 8;
        let size = self.claimed.unwrap_or(self.data.len() as u32);
        let mut bytes = b"RIFF".to_vec();
        bytes.extend(size.saturating_add(36).to_le_bytes());
        bytes.extend(b"WAVEfmt \x10\0\0\0");
        bytes.extend(self.tag.to_le_bytes());
        bytes.extend(self.channels.to_le_bytes());
        bytes.extend(self.rate.to_le_bytes());
        bytes.extend(self.rate.wrapping_mul(align).to_le_bytes());
        bytes.extend((align as u16).to_le_bytes());
        bytes.extend(self.bits.to_le_bytes());
        bytes.extend(b"data");
        bytes.extend(size.to_le_bytes());
        bytes.extend(&self.data);
        bytes
    }
}

#[test]
fn an_empty_file_is_called_empty() {
    assert!(matches!(error_of(Vec::new()), AudioError::Empty { .. }));
}

#[test]
fn text_is_called_text_whatever_its_name() {
    for text in ["Hello, this is a note.\n", "RIFF-raff", "# Überschrift\n\nText", "{\"json\": true}", "a"] {
        let error = error_of(text.as_bytes().to_vec());
        assert!(error.to_string().contains("not audio") || matches!(error, AudioError::Unsupported { .. }), "{error}");
    }
}

#[test]
fn a_missing_file_and_a_folder_are_io_errors_with_their_path() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().join("none.wav"), folder.path().to_owned()] {
        let error = AudioFile::open(&path).unwrap_err();
        assert!(matches!(error, AudioError::Io { .. }), "{error}");
        assert!(error.to_string().contains(&path.display().to_string()));
    }
}

#[test]
fn impossible_rates_are_named() {
    for rate in [0, 1, 999, 384_001, 10_000_000, u32::MAX] {
        let error = error_of(Wav { rate, ..Wav::default() }.bytes());
        assert!(matches!(error, AudioError::SampleRate { rate: r, .. } if r == rate), "{error}");
    }
}

#[test]
fn impossible_channel_counts_are_named() {
    for channels in [0, 33, 65_535] {
        let error = error_of(Wav { channels, ..Wav::default() }.bytes());
        assert!(matches!(error, AudioError::Channels { channels: c, .. } if c == u32::from(channels)), "{error}");
    }
}

#[test]
fn a_length_beyond_the_file_gives_what_is_there_and_a_warning() {
    // What sox, GStreamer and arecord write to pipes, nearly all ones, and a header that is off by some bytes.
    for claimed in [0x7fff_f000, 0x7fff_0000, 0x8000_0000, 0x7fff_ffff, u32::MAX - 1, 1026, 1048] {
        let (samples, result) = decode(Wav { claimed: Some(claimed), data: vec![1; 1024], ..Wav::default() }.bytes());
        assert_eq!(samples.len(), 512);
        let warnings = result.unwrap();
        assert!(
            matches!(
                warnings[..],
                [AudioWarning { at: 0.032, problem: AudioProblem::Length { present: 0.032, .. }, .. }]
            ),
            "{warnings:?}"
        );
    }
}

#[test]
fn chunks_without_their_pad_byte_or_with_a_wrong_size_hide_nothing() {
    let wav = Wav { data: vec![1; 1024], ..Wav::default() }.bytes();
    for chunk in [
        &b"note\x03\0\0\0abc"[..],
        b"note\x03\0\0\0abc\0",
        b"LIST\x0b\0\0\0INFOIART\x01\0\0",
        b"note\x05\0\0\0abc\0",
        b"note\x01\0\0\0abcdef",
    ] {
        let mut bytes = wav[..36].to_vec();
        bytes.extend(chunk);
        bytes.extend(&wav[36..]);
        let (samples, result) = decode(bytes);
        assert!(samples.len() == 512 && result.unwrap().is_empty(), "{chunk:?}: {} samples", samples.len());
    }
}

#[test]
fn an_open_length_of_a_pipe_is_no_claim() {
    for claimed in [u32::MAX, 0] {
        let (samples, result) = decode(Wav { claimed: Some(claimed), ..Wav::default() }.bytes());
        assert!(result.is_ok());
        assert_eq!(samples.len(), 160);
    }
}

#[test]
fn a_cut_off_wav_is_read_as_far_as_it_goes_wherever_it_is_cut() {
    let whole = Wav { data: vec![7; 3200], ..Wav::default() }.bytes();
    for end in 1..whole.len() {
        let (samples, result) = decode(whole[..end].to_vec());
        assert_eq!(samples.len(), end.saturating_sub(44) / 2);
        match result {
            Ok(warnings) => assert!(
                matches!(warnings[..], [AudioWarning { problem: AudioProblem::Length { .. }, .. }])
                    || end + 1 == whole.len(),
                "{end}: {warnings:?}"
            ),
            Err(error) => assert!(end < 46, "{end}: {error}"),
        }
    }
    assert!(decode(whole).1.unwrap().is_empty());
}

#[test]
fn a_wav_without_samples_holds_no_audio() {
    let error = error_of(Wav { data: Vec::new(), ..Wav::default() }.bytes());
    assert!(matches!(error, AudioError::NoAudio { .. }), "{error}");
}

#[test]
fn silence_stands_for_floats_that_are_no_numbers_and_a_warning_names_the_time() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30] {
        let mut samples = vec![0.5f32; 48_000];
        samples[32_000] = bad;
        let float = |samples: &[f32]| {
            let data = samples.iter().flat_map(|x| x.to_le_bytes()).collect();
            Wav { tag: 3, channels: 2, rate: 16_000, bits: 32, data, ..Wav::default() }.bytes()
        };
        let (found, result) = decode(float(&samples));
        let warnings = result.unwrap();
        assert!(
            matches!(warnings[..], [AudioWarning { at: 1.0, problem: AudioProblem::NotFinite { samples: 1 }, .. }]),
            "{warnings:?}"
        );
        assert_eq!((found.len(), found[15_999], found[16_000], found[16_001]), (24_000, 0.5, 0.25, 0.5));
        // A file without usable samples is refused.
        let error = error_of(float(&[bad; 2000]));
        assert!(matches!(error, AudioError::NotFinite { index: 0, .. }), "{error}");
    }
}

#[test]
fn unusual_wav_formats_are_refused_by_name() {
    for (tag, bits) in [(1, 12), (1, 64), (3, 16), (2, 4), (0x31, 16), (0xfffe, 16), (0, 0)] {
        let error = error_of(Wav { tag, bits, ..Wav::default() }.bytes());
        assert!(matches!(error, AudioError::Unsupported { .. }), "tag {tag}, {bits} bits: {error}");
    }
}

#[test]
fn chunks_with_huge_sizes_allocate_nothing() {
    let mut bytes = b"RIFF\xff\xff\xff\x7fWAVE".to_vec();
    bytes.extend(b"LIST\xff\xff\xff\x7fINFOINAM\xff\xff\xff\x7f");
    bytes.resize(1024, b'x');
    assert!(matches!(error_of(bytes), AudioError::Malformed { .. }));
    // A file of empty chunks.
    let mut bytes = b"RIFF\0\0\0\0WAVE".to_vec();
    bytes.extend(b"junk\0\0\0\0".repeat(100_000));
    assert!(matches!(error_of(bytes), AudioError::Malformed { .. }));
}

#[test]
fn headers_alone_are_errors_in_every_format() {
    let heads: [&[u8]; 9] = [
        b"fLaC",
        b"fLaC\0\0\0\x22\x10\0\x10\0\0\0\0\0\0\0\x0a\xc4\x42\xf0\x7f\xff\xff\xff",
        b"OggS\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x13OpusHead",
        b"OggS\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x1e\x01vorbis",
        b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42",
        b"\xff\xfb\x90\x00",
        b"\xff\xf1\x50\x80",
        b"ID3\x04\0\0\x7f\x7f\x7f\x7f",
        b"RIFF\x24\0\0\0WAVE",
    ];
    for head in heads {
        for length in [head.len(), 1024, 4096] {
            let mut bytes = head.to_vec();
            bytes.resize(length, 0);
            let (samples, result) = decode(bytes);
            assert!(result.is_err() && samples.is_empty(), "{head:?} and zeros decode to {} samples", samples.len());
        }
    }
}

#[test]
fn mp4_boxes_with_huge_sizes_and_counts_are_refused() {
    for claimed in [&b"\x7f\xff\xff\xffmoov"[..], b"\0\0\0\x01moov\x7f\xff\xff\xff\xff\xff\xff\xff", b"\0\0\0\0moov"] {
        let mut bytes = b"\0\0\0\x18ftypM4A \0\0\0\0M4A mp42".to_vec();
        bytes.extend(claimed);
        bytes.extend(b"\x7f\xff\xff\xfftrak\x7f\xff\xff\xffmdia\x7f\xff\xff\xffstsz\0\0\0\0\0\0\0\0\xff\xff\xff\xff");
        bytes.resize(1024, 0xff);
        error_of(bytes);
    }
}

/// Small valid files of each format that can be made without an encoder, and an Opus file (opus-pure has an encoder).
fn seeds() -> Vec<Vec<u8>> {
    let mut noise = 1u32;
    let mut byte = move || {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (noise >> 24) as u8
    };
    let wav = Wav { data: (0..640).map(|_| byte()).collect(), ..Wav::default() }.bytes();
    vec![
        wav,
        opus(),
        include_bytes!("seeds/tone.flac").to_vec(),
        include_bytes!("seeds/tone.mp3").to_vec(),
        include_bytes!("seeds/tone.m4a").to_vec(),
        include_bytes!("seeds/tone.ogg").to_vec(),
    ]
}

fn opus() -> Vec<u8> {
    let mut encoder = opus_pure::OpusEncoder::new(48_000, 1, opus_pure::Application::Audio).unwrap();
    let head = opus_pure::OpusHead::for_encoder(&encoder, 48_000);
    let mut writer = opus_pure::OggOpusWriter::new(Vec::new(), head).unwrap();
    let mut packet = vec![0; opus_pure::MAX_PACKET_BYTES];
    let tone: Vec<f32> = (0..9600).map(|i| (i as f32 * 0.1).sin() * 0.3).collect();
    for block in tone.chunks_exact(960) {
        let size = encoder.encode(block, 960, &mut packet).unwrap();
        writer.write_packet(&packet[..size]).unwrap();
    }
    writer.finish().unwrap()
}

#[test]
fn seeds_are_whole_files() {
    for (seed, expected) in seeds().into_iter().zip([320, 3096, 1600, 1600, 1600, 1600]) {
        let (samples, result) = decode(seed);
        assert!(result.is_ok(), "{result:?}");
        assert!(samples.len().abs_diff(expected) <= 30, "{} samples, {expected} expected", samples.len());
    }
}

#[test]
fn a_cut_off_file_of_any_format_is_an_error_or_shorter() {
    for seed in seeds() {
        let whole = decode(seed.clone()).0.len();
        for end in (1..seed.len()).step_by(37) {
            let (samples, _) = decode(seed[..end].to_vec());
            assert!(samples.len() <= whole, "{} samples of {whole}", samples.len());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(target_arch = "x86_64") { 256 } else { 24 }))]

    #[test]
    fn changed_bytes_never_panic_or_cost_much(
        seed in 0usize..6,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        end in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = seeds().swap_remove(seed);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if cut {
            bytes.truncate(end.index(bytes.len()));
        }
        let (samples, _) = decode(bytes);
        prop_assert!(samples.iter().all(|x| x.is_finite()));
    }

    #[test]
    fn arbitrary_bytes_never_panic(magic in 0usize..7, bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let magics: [&[u8]; 7] = [
            b"",
            b"RIFF\0\0\0\0WAVEfmt ",
            b"fLaC",
            b"OggS\0\x02",
            b"\0\0\0\x18ftypM4A ",
            b"\xff\xfb",
            b"ID3\x04\0\0",
        ];
        let mut file = magics[magic].to_vec();
        file.extend(bytes);
        let _ = decode(file);
    }
}
