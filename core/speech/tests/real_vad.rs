//! Silero VAD at our defaults on real noise and real speech.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::sync::Arc;

use sotto_audio::decode_file;
use sotto_runtime::CancelToken;
use sotto_speech::vad::{SileroVad, VadOptions, speech_segments};
use sotto_testkit::data_dir;

#[test]
fn no_noise_is_speech_and_no_spoken_clip_is_lost_by_default() {
    let Some(data) = data_dir() else { return };
    let options = VadOptions::default();
    let segments =
        |vad: &Arc<SileroVad>, samples: &[f32]| speech_segments(vad, samples, &options, &CancelToken::new()).unwrap();
    let minute = 60 * 16_000;
    for weights in ["ggml-silero-v6.2.0.bin", "silero_vad_16k.safetensors"] {
        let vad = Arc::new(SileroVad::load(&data.join("vad").join(weights)).unwrap());
        assert!(segments(&vad, &vec![0.0; minute]).is_empty(), "digital silence");
        for noise in ["doing_the_dishes", "exercise_bike", "noise1", "noise2", "noise3", "noise4", "noise5"] {
            let samples = decode_file(data.join(format!("speech/noise/{noise}.flac"))).unwrap().into_samples();
            let looped: Vec<f32> = samples.into_iter().cycle().take(minute).collect();
            assert!(segments(&vad, &looped).is_empty(), "{noise}");
        }
        for list in ["synthetic.tsv", "manifest.tsv"] {
            for line in std::fs::read_to_string(data.join("speech").join(list)).unwrap().lines().skip(1) {
                let clip = line.split('\t').next().unwrap();
                let samples = decode_file(data.join("speech").join(clip)).unwrap().into_samples();
                let energy = |samples: &[f32]| samples.iter().map(|s| f64::from(s * s)).sum::<f64>();
                let kept: f64 = segments(&vad, &samples).into_iter().map(|segment| energy(&samples[segment])).sum();
                assert!(kept > 0.97 * energy(&samples), "{clip}: {:.3} of the energy kept", kept / energy(&samples));
            }
        }
    }
}
