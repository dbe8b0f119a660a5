//! What Silero VAD calls speech on the noises and the spoken clips of the data folder, and what a step costs.
//!
//!     cargo run --release -p sotto-speech --example vad_figures -- ../shared/data
//!
//! Noises are repeated to 60 s. Of spoken clips: how many get no segment at all, and the smallest and the mean share of a
//! clip's energy that lies inside its segments.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use sotto_audio::decode_file;
use sotto_speech::vad::{STEP, SileroVad, VadOptions, VadStream, segments_of};

type Failure = Box<dyn std::error::Error>;

const MINUTE: usize = 60 * 16_000;

/// Made once: the options decide over the same probabilities.
struct Clip {
    name: String,
    samples: Vec<f32>,
    probabilities: Vec<f32>,
}

fn main() -> Result<(), Failure> {
    let data = std::env::args_os().nth(1).map(PathBuf::from).ok_or("usage: vad_figures DATA_FOLDER")?;
    for weights in ["ggml-silero-v6.2.0.bin", "silero_vad_16k.safetensors"] {
        let vad = Arc::new(SileroVad::load(&data.join("vad").join(weights))?);
        println!("# {weights}");
        let noises = noises(&vad, &data.join("speech/noise"))?;
        let spoken = spoken(&vad, &data.join("speech"))?;
        println!("{:.1} us per step of 32 ms", microseconds_per_step(&vad, &spoken[0].samples));
        for (name, options) in candidates() {
            report(name, &options, &noises, &spoken);
        }
    }
    Ok(())
}

fn candidates() -> Vec<(&'static str, VadOptions)> {
    let silero = VadOptions::SILERO;
    vec![
        ("Silero's defaults", silero.clone()),
        ("threshold 0.6", VadOptions { threshold: 0.6, ..silero.clone() }),
        ("threshold 0.35", VadOptions { threshold: 0.35, ..silero.clone() }),
        ("min speech 400 ms", VadOptions { min_speech_ms: 400, ..silero }),
        ("ours without min voiced", VadOptions { min_voiced_ms: 0, ..VadOptions::default() }),
        ("ours with min voiced 300 ms", VadOptions { min_voiced_ms: 300, ..VadOptions::default() }),
        ("ours", VadOptions::default()),
    ]
}

fn noises(vad: &Arc<SileroVad>, folder: &Path) -> Result<Vec<Clip>, Failure> {
    let mut names: Vec<String> = std::fs::read_dir(folder)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_, std::io::Error>>()?;
    names.retain(|name| !name.starts_with("rir"));
    names.sort();
    let mut clips = vec![listen(vad, "digital silence".into(), vec![0.0; MINUTE])];
    for name in names {
        let samples = decode_file(folder.join(&name))?.into_samples();
        clips.push(listen(vad, name, samples.iter().copied().cycle().take(MINUTE).collect()));
    }
    Ok(clips)
}

fn spoken(vad: &Arc<SileroVad>, folder: &Path) -> Result<Vec<Clip>, Failure> {
    let mut clips = Vec::new();
    for list in ["synthetic.tsv", "manifest.tsv"] {
        for line in std::fs::read_to_string(folder.join(list))?.lines().skip(1) {
            let name = line.split('\t').next().unwrap_or_default();
            clips.push(listen(vad, name.to_owned(), decode_file(folder.join(name))?.into_samples()));
        }
    }
    Ok(clips)
}

fn listen(vad: &Arc<SileroVad>, name: String, samples: Vec<f32>) -> Clip {
    let (mut stream, mut probabilities) = (VadStream::new(vad), Vec::new());
    stream.push(&samples, |probability| probabilities.push(probability));
    probabilities.extend(stream.finish());
    Clip { name, samples, probabilities }
}

/// The fastest of many rounds: other work on the machine only ever adds.
fn microseconds_per_step(vad: &Arc<SileroVad>, samples: &[f32]) -> f64 {
    const ROUNDS: usize = 200;
    let mut stream = VadStream::new(vad);
    let rounds = (0..ROUNDS).map(|_| {
        let (start, mut steps) = (Instant::now(), 0u32);
        stream.push(samples, |_| steps += 1);
        start.elapsed().as_secs_f64() * 1e6 / f64::from(steps.max(1))
    });
    rounds.fold(f64::INFINITY, f64::min)
}

fn report(name: &str, options: &VadOptions, noises: &[Clip], spoken: &[Clip]) {
    println!("## {name}");
    for clip in noises {
        let segments = segments_of(&clip.probabilities, clip.samples.len(), options);
        let seconds: usize = segments.iter().map(|segment| segment.len()).sum();
        let loudest = clip.probabilities.iter().copied().fold(0.0, f32::max);
        let above = clip.probabilities.iter().filter(|&&probability| probability >= options.threshold).count();
        println!(
            "{:22} {:5.2} s in {:2} segments; highest {loudest:.3}, {:.2} s at or above the threshold",
            clip.name,
            seconds as f64 / 16_000.0,
            segments.len(),
            (above * STEP) as f64 / 16_000.0
        );
    }
    let mut shares: Vec<(f64, &str)> = spoken.iter().map(|clip| (share(clip, options), clip.name.as_str())).collect();
    shares.sort_by(|a, b| a.0.total_cmp(&b.0));
    let lost = shares.iter().filter(|(share, _)| *share == 0.0).count();
    let mean = shares.iter().map(|(share, _)| share).sum::<f64>() / shares.len() as f64;
    println!("{} spoken clips: {lost} without a segment, mean share {mean:.4}; least:", spoken.len());
    for (share, name) in shares.iter().take(4) {
        println!("  {share:.3} {name}");
    }
}

/// Share of the clip's energy inside its segments.
fn share(clip: &Clip, options: &VadOptions) -> f64 {
    let energy = |samples: &[f32]| samples.iter().map(|sample| f64::from(sample * sample)).sum::<f64>();
    let segments = segments_of(&clip.probabilities, clip.samples.len(), options);
    let inside: f64 = segments.iter().map(|segment| energy(&clip.samples[segment.clone()])).sum();
    inside / energy(&clip.samples).max(f64::MIN_POSITIVE)
}
