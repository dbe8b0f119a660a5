//! Our voice activity detector beside Silero's, on recordings that ours never learned from.
//!
//!     cargo run --release -p sotto-speech --example vad_figures -- ../shared/data [WEIGHTS]
//!
//! Ours is the built-in one, or that of a file of `scripts/train/vad/export.py`.
//! Noise: each noise of the data folder and digital silence, repeated to 60 s; what of it is called speech, and what
//! steps at or above the threshold add up to. Speech: the clips of `manifest.tsv` and every fourth spoken letter or
//! digit of `alphanumeric.tar.gz`, each between two seconds of silence, as they are and in a noise 20, 10 and 5 dB
//! below them. A step of 32 ms is speech where the clip alone is loud (within 30 dB of its loudest, pauses under 0.2 s
//! included), and left out beside a change. Said is the area under the curve of all steps, and how much speech lies
//! outside of every segment; and how many clips have none, also where the stream begins with the clip.

use std::io::{Cursor, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use sotto_audio::{AudioFile, decode_file};
use sotto_runtime::CancelToken;
use sotto_speech::Vad;
use sotto_speech::vad::{Detector, STEP, VadOptions, VadStream, load_detector, speech_segments};

type Failure = Box<dyn std::error::Error>;

const SECOND: usize = 16_000;
const MINUTE: usize = 60 * SECOND;
/// Silence on both sides of a clip.
const AROUND: usize = 2 * SECOND;
/// Samples over which a clip's loudness is measured.
const FRAME: usize = SECOND / 100;

/// A recording, and which of its steps are speech; `None` where that is unsure.
struct Clip {
    name: String,
    samples: Vec<f32>,
    speech: Vec<Option<bool>>,
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let data = arguments.next().ok_or("usage: vad_figures DATA_FOLDER [WEIGHTS]")?;
    let ours = arguments.next().map_or(Ok(Vad::builtin()), |file| load_detector(&file).map(Vad::new))?;
    let silero = Vad::new(load_detector(&data.join("vad/ggml-silero-v6.2.0.bin"))?);
    let detectors = [("ours", ours), ("Silero 6.2", silero)];
    let noises = noises(&data.join("speech/noise"))?;
    let mut clips = manifest(&data.join("speech"))?;
    clips.extend(letters(&data.join("speech/alphanumeric.tar.gz"))?);
    for (name, vad) in detectors {
        println!("# {name}: {:.1} us per step of 32 ms", microseconds_per_step(&vad.model, &clips[0].samples));
        let heard: Vec<Vec<f32>> = noises.iter().map(|(_, samples)| listen(&vad.model, samples)).collect();
        for (threshold, options) in candidates(&vad.options) {
            let false_seconds: f64 =
                noises.iter().map(|(_, samples)| seconds(&segments(&vad.model, samples, &options))).sum();
            let above = heard.iter().flatten().filter(|&&probability| probability >= threshold).count() * STEP;
            println!(
                "threshold {threshold:.2}: {:.2} s of segments per minute of noise, {:.2} s of steps",
                false_seconds / noises.len() as f64,
                above as f64 / SECOND as f64 / noises.len() as f64
            );
        }
        for ((name, samples), heard) in noises.iter().zip(&heard) {
            let segments = segments(&vad.model, samples, &vad.options);
            let highest = heard.iter().copied().fold(0.0, f32::max);
            println!("  {name:22} {:5.2} s in {} segments, highest {highest:.3}", seconds(&segments), segments.len());
        }
        for below in [None, Some(20.0), Some(10.0), Some(5.0)] {
            in_noise(&vad, &clips, &noises, below);
        }
    }
    Ok(())
}

/// The detector's own threshold, and others with the same times.
fn candidates(own: &VadOptions) -> Vec<(f32, VadOptions)> {
    let thresholds = [own.threshold, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
    thresholds.map(|threshold| (threshold, VadOptions { threshold, ..own.clone() })).into()
}

fn noises(folder: &Path) -> Result<Vec<(String, Vec<f32>)>, Failure> {
    let mut names: Vec<String> = std::fs::read_dir(folder)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_, std::io::Error>>()?;
    names.retain(|name| !name.starts_with("rir"));
    names.sort();
    let mut noises = vec![("digital silence".to_owned(), vec![0.0; MINUTE])];
    for name in names {
        let samples = decode_file(folder.join(&name))?.into_samples();
        noises.push((name, samples.into_iter().cycle().take(MINUTE).collect()));
    }
    Ok(noises)
}

fn manifest(folder: &Path) -> Result<Vec<Clip>, Failure> {
    let list = std::fs::read_to_string(folder.join("manifest.tsv"))?;
    let names = list.lines().skip(1).filter_map(|line| line.split('\t').next());
    names.map(|name| Ok(clip(name.to_owned(), &decode_file(folder.join(name))?.into_samples()))).collect()
}

fn letters(archive: &Path) -> Result<Vec<Clip>, Failure> {
    let (mut clips, mut found) = (Vec::new(), 0);
    for entry in tar::Archive::new(flate2::read::GzDecoder::new(std::fs::File::open(archive)?)).entries()? {
        let mut entry = entry?;
        let name = entry.path()?.display().to_string();
        found += usize::from(name.ends_with(".wav"));
        if name.ends_with(".wav") && found % 4 == 1 {
            let (mut bytes, mut samples) = (Vec::new(), Vec::new());
            entry.read_to_end(&mut bytes)?;
            let mut file = AudioFile::from_reader(Cursor::new(bytes), &name)?;
            while file.next_block(&mut samples)? {}
            clips.push(clip(name, &samples));
        }
    }
    Ok(clips)
}

fn clip(name: String, samples: &[f32]) -> Clip {
    let silence = vec![0.0; AROUND];
    let samples = [&silence, samples, &silence].concat();
    let speech = speech_of(&samples, AROUND..samples.len() - AROUND);
    Clip { name, samples, speech }
}

/// Which steps are speech, by the loudness of `samples`, whose recording lies in `recorded`.
fn speech_of(samples: &[f32], recorded: Range<usize>) -> Vec<Option<bool>> {
    let loudness = |frame: &[f32]| 10.0 * ((energy(frame) / frame.len() as f64) + 1e-10).log10();
    let frames: Vec<f64> = samples.chunks(FRAME).map(loudness).collect();
    let mut sorted = frames[recorded.start / FRAME..recorded.end / FRAME].to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted[sorted.len() / 20], sorted[sorted.len() * 49 / 50]);
    let threshold = (high - 30.0).max(low + 0.4 * (high - low));
    let loud: Vec<usize> = (0..frames.len()).filter(|&frame| frames[frame] > threshold).collect();
    let mut mask = vec![false; samples.len()];
    for pair in loud.windows(2) {
        let end = if pair[1] - pair[0] <= 20 { pair[1] } else { pair[0] + 1 };
        mask[pair[0] * FRAME..end * FRAME].fill(true);
    }
    let steps: Vec<bool> =
        mask.chunks(STEP).map(|step| 2 * step.iter().filter(|&&spoken| spoken).count() > STEP).collect();
    let sure = |at: usize| steps[at.saturating_sub(2)..steps.len().min(at + 3)].iter().all(|&other| other == steps[at]);
    (0..steps.len()).map(|at| sure(at).then_some(steps[at])).collect()
}

fn segments(vad: &Arc<dyn Detector>, samples: &[f32], options: &VadOptions) -> Vec<Range<usize>> {
    speech_segments(vad, samples, options, &CancelToken::new()).expect("nobody cancels")
}

fn listen(vad: &Arc<dyn Detector>, samples: &[f32]) -> Vec<f32> {
    let (mut stream, mut probabilities) = (VadStream::new(vad), Vec::new());
    stream.push(samples, |probability| probabilities.push(probability));
    probabilities.extend(stream.finish());
    probabilities
}

/// The clips with a noise behind them, `below` decibels below their speech.
fn in_noise(vad: &Vad, clips: &[Clip], noises: &[(String, Vec<f32>)], below: Option<f64>) {
    let (mut of_speech, mut of_silence) = (Vec::new(), Vec::new());
    let (mut missed, mut lost, mut lost_at_once) = (0usize, Vec::new(), 0);
    for (number, clip) in clips.iter().enumerate() {
        let mut samples = clip.samples.clone();
        if let Some(below) = below {
            // The first is silence.
            let noise = &noises[1 + number % (noises.len() - 1)].1;
            let spoken = energy_where(clip, &samples);
            let gain = (spoken / (energy(noise) / noise.len() as f64)).sqrt() * 10f64.powf(-below / 20.0);
            let noise = noise.iter().cycle().skip(number * 7919 % noise.len());
            samples.iter_mut().zip(noise).for_each(|(sample, noise)| *sample += (gain * f64::from(*noise)) as f32);
        }
        let probabilities = listen(&vad.model, &samples);
        let segments = self::segments(&vad.model, &samples, &vad.options);
        let at_once = &samples[AROUND..];
        lost_at_once += usize::from(self::segments(&vad.model, at_once, &vad.options).is_empty());
        let heard = |step: usize| segments.iter().any(|segment| segment.contains(&(step * STEP + STEP / 2)));
        for (step, (&speech, &probability)) in clip.speech.iter().zip(&probabilities).enumerate() {
            match speech {
                Some(true) => of_speech.push(probability),
                Some(false) => of_silence.push(probability),
                None => {}
            }
            missed += usize::from(speech == Some(true) && !heard(step));
        }
        if segments.is_empty() {
            lost.push(clip.name.as_str());
        }
    }
    let place = below.map_or("clean".to_owned(), |below| format!("noise {below} dB below"));
    println!(
        "{place}: area {:.4}, missed {:.2} % of {:.0} s of speech; {} of {} clips without a segment, {lost_at_once} \
         where the stream begins with the clip; {}",
        area(&of_speech, &mut of_silence),
        100.0 * missed as f64 / of_speech.len() as f64,
        (of_speech.len() * STEP) as f64 / SECOND as f64,
        lost.len(),
        clips.len(),
        lost.iter().take(4).copied().collect::<Vec<_>>().join(", ")
    );
}

/// The chance that a step of speech has a higher probability than a step without.
fn area(of_speech: &[f32], of_silence: &mut [f32]) -> f64 {
    of_silence.sort_by(f32::total_cmp);
    let below = |probability: f32| of_silence.partition_point(|&other| other < probability) as f64;
    let ties = |probability: f32| of_silence.partition_point(|&other| other <= probability) as f64;
    let wins: f64 = of_speech.iter().map(|&p| (below(p) + ties(p)) / 2.0).sum();
    wins / of_speech.len() as f64 / of_silence.len() as f64
}

fn energy(samples: &[f32]) -> f64 {
    samples.iter().map(|sample| f64::from(sample * sample)).sum()
}

/// Mean power of the steps that are speech.
fn energy_where(clip: &Clip, samples: &[f32]) -> f64 {
    let spoken: Vec<f64> = (samples.chunks(STEP).zip(&clip.speech))
        .filter(|(_, speech)| **speech == Some(true))
        .map(|(step, _)| energy(step) / step.len() as f64)
        .collect();
    spoken.iter().sum::<f64>() / spoken.len().max(1) as f64
}

fn seconds(segments: &[Range<usize>]) -> f64 {
    segments.iter().map(|segment| segment.len()).sum::<usize>() as f64 / SECOND as f64
}

/// The fastest of many rounds: other work on the machine only ever adds.
fn microseconds_per_step(vad: &Arc<dyn Detector>, samples: &[f32]) -> f64 {
    const ROUNDS: usize = 50;
    let mut stream = VadStream::new(vad);
    let rounds = (0..ROUNDS).map(|_| {
        let (start, mut steps) = (Instant::now(), 0u32);
        stream.push(samples, |_| steps += 1);
        start.elapsed().as_secs_f64() * 1e6 / f64::from(steps.max(1))
    });
    rounds.fold(f64::INFINITY, f64::min)
}
