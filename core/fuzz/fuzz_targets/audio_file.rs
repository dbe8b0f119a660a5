//! Any bytes as an audio file and as a pipe: samples or a typed error, every sample finite, blocks of bounded size, a
//! bounded number of warnings.
#![no_main]

use std::io::Cursor;
use std::sync::Once;

use libfuzzer_sys::fuzz_target;
use sotto_audio::AudioFile;

static HOOK: Once = Once::new();

fuzz_target!(|bytes: &[u8]| {
    // Panics of third-party decoders become errors in `AudioFile`; libFuzzer's hook would abort before that. A panic
    // in our own source stays a finding, caught or not.
    HOOK.call_once(|| {
        let abort = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let ours = |file: &str| file.contains("audio/src") || file.contains("fuzz_targets");
            if panic.location().is_none_or(|location| ours(location.file())) {
                abort(panic);
            }
        }));
    });
    for opened in [
        AudioFile::from_reader(Cursor::new(bytes.to_vec()), "fuzz"),
        AudioFile::from_stream(Cursor::new(bytes.to_vec()), "fuzz"),
    ] {
        if let Ok(file) = opened {
            read(file);
        }
    }
});

fn read(mut file: AudioFile) {
    let mut block = Vec::new();
    // Long enough for every decoder to reach its steady state.
    for _ in 0..64 {
        block.clear();
        match file.next_block(&mut block) {
            Ok(true) => {}
            Ok(false) | Err(_) => return,
        }
        assert!(block.iter().all(|x| x.is_finite()), "a sample is not finite");
        // One packet at 1 kHz may hold 65,535 frames.
        assert!(block.len() < 2_000_000, "a block of {} samples", block.len());
        assert!(file.warnings().len() <= 100, "{} warnings", file.warnings().len());
    }
}
