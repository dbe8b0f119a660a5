//! Samples at any rate, cut anywhere, give the same 16 kHz samples, bit for bit, and as many as their duration needs.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sotto_audio::{MAX_RATE, MIN_RATE, Resampler};

fuzz_target!(|input: (u32, u8, Vec<i16>, Vec<u16>)| {
    let (rate, channels, samples, cuts) = input;
    let rate = MIN_RATE + rate % (MAX_RATE - MIN_RATE + 1);
    let channels = u32::from(channels % 32) + 1;
    let samples: Vec<f32> = samples.iter().map(|&x| f32::from(x) / 32_768.0).collect();
    let Ok(mut whole) = Resampler::new(rate, channels) else {
        panic!("{rate} Hz and {channels} channels are in range")
    };
    let mut cut = whole.clone();
    let (mut expected, mut out) = (Vec::new(), Vec::new());
    whole.push(&samples, &mut expected);
    whole.finish(&mut expected);
    let mut rest = samples.as_slice();
    for size in cuts {
        let (piece, after) = rest.split_at(usize::from(size).min(rest.len()));
        cut.push(piece, &mut out);
        rest = after;
    }
    cut.push(rest, &mut out);
    cut.finish(&mut out);
    assert_eq!(out, expected);
    let frames = samples.len() as u64 / u64::from(channels);
    let exact = frames as f64 * 16_000.0 / f64::from(rate);
    assert!((out.len() as f64 - exact).abs() <= 0.5 + 1e-9, "{} samples for {exact}", out.len());
});
