//! Every kind of WAV file that is read: all sample formats, rates and channel counts, plain, extensible and RF64.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

use std::io::Cursor;

use sotto_audio::AudioFile;

/// Sample formats: format tag, bits, and the largest error of a sample.
const FORMATS: [(u16, u16, f32); 8] = [
    // The steps of writing and of reading differ by one in 128.
    (PCM, 8, 1.7 / 128.0),
    (PCM, 16, 1.7 / 32_768.0),
    (PCM, 24, 1e-6),
    (PCM, 32, 1e-6),
    (FLOAT, 32, 0.0),
    (FLOAT, 64, 1e-7),
    // G.711 keeps about 13 bits of loud samples.
    (ALAW, 8, 0.02),
    (MULAW, 8, 0.02),
];
const PCM: u16 = 1;
const FLOAT: u16 = 3;
const ALAW: u16 = 6;
const MULAW: u16 = 7;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Container {
    Riff,
    /// `WAVE_FORMAT_EXTENSIBLE`: the real tag is in a GUID.
    Extensible,
    /// A file with 64-bit sizes in a `ds64` chunk.
    Rf64,
}

/// A tone that starts at zero: no two neighbours are equal, nothing clips.
fn sample(frame: usize) -> f32 {
    (frame as f32 * 0.013).sin() * 0.6
}

fn encode(value: f32, tag: u16, bits: u16, out: &mut Vec<u8>) {
    let integer = |steps: f64| (f64::from(value) * steps).round() as i64;
    match (tag, bits) {
        (PCM, 8) => out.push((integer(127.0) + 128) as u8),
        (PCM, 16) => out.extend((integer(32_767.0) as i16).to_le_bytes()),
        (PCM, 24) => out.extend(&(integer(8_388_607.0) as i32).to_le_bytes()[..3]),
        (PCM, 32) => out.extend((integer(2_147_483_647.0) as i32).to_le_bytes()),
        (FLOAT, 32) => out.extend(value.to_le_bytes()),
        (FLOAT, 64) => out.extend(f64::from(value).to_le_bytes()),
        (ALAW, 8) => out.push(a_law(integer(32_767.0) as i32)),
        (MULAW, 8) => out.push(mu_law(integer(32_767.0) as i32)),
        other => panic!("{other:?}"),
    }
}

/// ITU-T G.711, by the definition: sign, exponent, four bits of mantissa, even bits inverted.
fn a_law(sample: i32) -> u8 {
    let magnitude = (if sample < 0 { -sample - 1 } else { sample }) >> 3;
    let exponent = (32 - (magnitude >> 5).leading_zeros()).min(7);
    let mantissa = if exponent < 2 { magnitude >> 1 } else { magnitude >> exponent };
    let code = (exponent << 4) as u8 | (mantissa & 15) as u8;
    (code | if sample >= 0 { 0x80 } else { 0 }) ^ 0x55
}

fn mu_law(sample: i32) -> u8 {
    let magnitude = ((sample.abs() >> 2) + 33).min(8191);
    let exponent = 31 - (magnitude >> 5).leading_zeros();
    let mantissa = (magnitude >> (exponent + 1)) & 15;
    !((exponent << 4) as u8 | mantissa as u8 | if sample < 0 { 0x80 } else { 0 })
}

fn wav(container: Container, tag: u16, bits: u16, rate: u32, channels: u16, frames: usize) -> Vec<u8> {
    let mut data = Vec::new();
    for frame in 0..frames {
        // Alternately a little louder and softer: the mean over the channels is the sample itself.
        for channel in 0..channels {
            let pair = channel - channel % 2 + 1 < channels;
            let shift = if !pair {
                0.0
            } else if channel % 2 == 0 {
                0.1
            } else {
                -0.1
            };
            encode(sample(frame) + shift, tag, bits, &mut data);
        }
    }
    let align = channels * bits / 8;
    let mut format = Vec::new();
    let stated = if container == Container::Extensible { 0xFFFE } else { tag };
    format.extend(stated.to_le_bytes());
    format.extend(channels.to_le_bytes());
    format.extend(rate.to_le_bytes());
    format.extend((rate * u32::from(align)).to_le_bytes());
    format.extend(align.to_le_bytes());
    format.extend(bits.to_le_bytes());
    if container == Container::Extensible {
        format.extend(22u16.to_le_bytes());
        format.extend(bits.to_le_bytes());
        format.extend(0u32.to_le_bytes());
        format.extend(tag.to_le_bytes());
        format.extend([0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71]);
    }
    let (long, size) = (container == Container::Rf64, data.len());
    let stated = |size: usize| if long { u32::MAX } else { size as u32 }.to_le_bytes();
    let mut file = if long { b"RF64".to_vec() } else { b"RIFF".to_vec() };
    file.extend(stated(size + 60));
    file.extend(b"WAVE");
    if long {
        file.extend(b"ds64");
        file.extend(28u32.to_le_bytes());
        file.extend((size as u64 + 96).to_le_bytes());
        file.extend((size as u64).to_le_bytes());
        file.extend((frames as u64).to_le_bytes());
        file.extend(0u32.to_le_bytes());
    }
    // An unknown chunk of odd length, as written by editors.
    file.extend(b"note\x03\0\0\0abc\0fmt ");
    file.extend((format.len() as u32).to_le_bytes());
    file.extend(format);
    file.extend(b"data");
    file.extend(stated(size));
    file.extend(data);
    file
}

fn read(file: Vec<u8>) -> (u32, u32, Vec<f32>) {
    let mut file = AudioFile::from_reader(Cursor::new(file), "test.wav").unwrap();
    let (rate, channels) = (file.info().sample_rate, file.info().channels);
    let mut samples = Vec::new();
    while file.next_block(&mut samples).unwrap() {}
    (rate, channels, samples)
}

#[track_caller]
fn assert_close(found: &[f32], expected: impl Fn(usize) -> f32, tolerance: f32, what: &str) {
    for (index, &found) in found.iter().enumerate() {
        let expected = expected(index);
        assert!((found - expected).abs() <= tolerance, "{what}: sample {index} is {found}, not {expected}");
    }
}

#[test]
fn every_sample_format_in_every_container_is_exact_to_its_step() {
    for container in [Container::Riff, Container::Extensible, Container::Rf64] {
        for (tag, bits, step) in FORMATS {
            for channels in [1, 2] {
                let what = format!("{container:?}, tag {tag}, {bits} bits, {channels} channels");
                let (rate, found_channels, samples) = read(wav(container, tag, bits, 16_000, channels, 1000));
                assert_eq!((rate, found_channels, samples.len()), (16_000, u32::from(channels), 1000), "{what}");
                assert_close(&samples, sample, step + 1e-6, &what);
            }
        }
    }
}

#[test]
fn one_to_eight_channels_are_mixed_by_their_mean() {
    for channels in 1..=8 {
        let (_, found, samples) = read(wav(Container::Riff, FLOAT, 32, 16_000, channels, 800));
        assert_eq!(found, u32::from(channels));
        assert_close(&samples, sample, 1e-6, &format!("{channels} channels"));
    }
}

#[test]
fn every_rate_comes_out_at_16_khz_in_its_length() {
    for rate in [8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000] {
        for (tag, bits, _) in FORMATS {
            let frames = rate as usize / 4;
            let (found, _, samples) = read(wav(Container::Riff, tag, bits, rate, 2, frames));
            let expected = (frames as f64 * 16_000.0 / f64::from(rate)).round() as usize;
            assert_eq!((found, samples.len()), (rate, expected), "{rate} Hz, tag {tag}, {bits} bits");
            // The same tone, heard at the other rate.
            let at = |index: usize| ((index as f32 * rate as f32 / 16_000.0) * 0.013).sin() * 0.6;
            assert_close(
                &samples[200..samples.len() - 200],
                |index| at(index + 200),
                0.03,
                &format!("{rate} Hz, tag {tag}, {bits} bits"),
            );
        }
    }
}
