//! Samples cut anywhere give the same log-mel frames, bit for bit, all finite.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sotto_audio::LogMel;

fuzz_target!(|input: (bool, Vec<i16>, Vec<u16>)| {
    let (wide, samples, cuts) = input;
    let samples: Vec<f32> = samples.iter().map(|&x| f32::from(x) / 32_768.0).collect();
    let n_mels = if wide { 128 } else { 80 };
    let (Ok(mut whole), Ok(mut cut)) = (LogMel::new(n_mels), LogMel::new(n_mels)) else {
        panic!("{n_mels} bins exist")
    };
    whole.push(&samples);
    whole.finish();
    let mut rest = samples.as_slice();
    for size in cuts {
        let (piece, after) = rest.split_at(usize::from(size).min(rest.len()));
        cut.push(piece);
        rest = after;
    }
    cut.push(rest);
    cut.finish();
    assert_eq!(cut.frames(), whole.frames());
    assert_eq!(cut.frame_count() as usize, samples.len() / 160);
    assert!(cut.frames().iter().all(|x| x.is_finite() && *x >= -10.0));
});
