//! The log-spectrogram against its definition, on every instruction set that the CPU has.

mod cases;

use cases::{Lcg, bits, sets};
use sotto_kernels::{KernelSet, Spectrogram, SpectrogramScratch};

const HOP: usize = 160;
const WINDOW: usize = 400;
const BINS: usize = 201;

/// Overlapping triangles, a filter of a single bin, one of all bins, and an empty one.
fn filters() -> Vec<f32> {
    let triangle = |centre: usize, width: usize| {
        (0..BINS).map(move |bin| (1.0 - bin.abs_diff(centre) as f32 / width as f32).max(0.0))
    };
    let mut filters: Vec<f32> = (0..10).flat_map(|i| triangle(20 * i, 25)).collect();
    filters.extend(triangle(77, 1));
    filters.extend([0.01; BINS]);
    filters.extend([0.0; BINS]);
    filters
}

fn run(set: KernelSet, plan: &Spectrogram, samples: &[f32], frames: usize) -> Vec<f32> {
    let mut out = vec![f32::NAN; frames * plan.filters()];
    set.log_spectrogram(plan, samples, &mut SpectrogramScratch::default(), &mut out);
    out
}

/// The definition in f64: windowed sums, powers, energies, logarithm.
fn expected(samples: &[f32], filters: &[f32], frames: usize) -> Vec<f64> {
    let angle = |i: usize| std::f64::consts::TAU * (i % WINDOW) as f64 / WINDOW as f64;
    let window: Vec<f64> = (0..WINDOW).map(|i| f64::from((0.5 - 0.5 * angle(i).cos()) as f32)).collect();
    let mut out = Vec::new();
    for frame in 0..frames {
        let samples = &samples[frame * HOP..][..WINDOW];
        let power = |bin: usize| {
            let (mut re, mut im) = (0.0, 0.0);
            for (i, (&sample, weight)) in samples.iter().zip(&window).enumerate() {
                let (sin, cos) = angle(bin * i).sin_cos();
                re += f64::from(sample) * weight * cos;
                im -= f64::from(sample) * weight * sin;
            }
            re * re + im * im
        };
        let powers: Vec<f64> = (0..BINS).map(power).collect();
        for filter in filters.chunks_exact(BINS) {
            let energy: f64 = filter.iter().zip(&powers).map(|(&weight, power)| f64::from(weight) * power).sum();
            out.push(energy.max(1e-10).log10());
        }
    }
    out
}

#[test]
fn frames_are_those_of_the_definition_and_the_same_on_all_sets() {
    let filters = filters();
    let plan = Spectrogram::new(HOP, &filters);
    let mut random = Lcg::new(400);
    // A tone over quiet noise: the quietest filters lie far below the loudest.
    let tone = |i: usize| 0.9 * (i as f32 * 0.7).sin();
    for frames in if cfg!(miri) { vec![2] } else { vec![1, 2, 7, 8, 9, 31] } {
        let noise = random.floats(plan.samples(frames), 1e-4);
        let samples: Vec<f32> = noise.iter().enumerate().map(|(i, noise)| tone(i) + noise).collect();
        let scalar = run(KernelSet::scalar(), &plan, &samples, frames);
        for (found, expected) in scalar.iter().zip(expected(&samples, &filters, frames)) {
            assert!((f64::from(*found) - expected).abs() < 1e-6, "{found} {expected}");
        }
        for set in sets() {
            assert_eq!(bits(&run(set, &plan, &samples, frames)), bits(&scalar), "{set:?}, {frames} frames");
        }
    }
}

#[test]
fn a_frame_does_not_depend_on_those_beside_it() {
    let plan = Spectrogram::new(HOP, &filters());
    let samples = Lcg::new(8).floats(plan.samples(19), 0.5);
    for set in sets() {
        let all = run(set, &plan, &samples, 19);
        for (frame, whole) in all.chunks_exact(plan.filters()).enumerate() {
            let alone = run(set, &plan, &samples[frame * HOP..], 1);
            assert_eq!(bits(&alone), bits(whole), "{set:?}, frame {frame}");
        }
    }
}

#[test]
fn silence_and_samples_without_a_value_have_the_least_energy_and_huge_ones_a_finite_one() {
    let plan = Spectrogram::new(HOP, &filters());
    for set in std::iter::once(KernelSet::scalar()).chain(sets()) {
        let silence = run(set, &plan, &[0.0; WINDOW], 1);
        assert!(silence.iter().all(|&x| (x + 10.0).abs() < 1e-6), "{silence:?}");
        let mut samples = vec![0.1; WINDOW];
        samples[200] = f32::NAN;
        assert_eq!(bits(&run(set, &plan, &samples, 1)), bits(&silence));
        let loud = run(set, &plan, &[f32::MAX; WINDOW], 1);
        assert!(loud.iter().all(|x| x.is_finite()), "{loud:?}");
    }
}

#[test]
fn nothing_is_computed_of_nothing() {
    let plan = Spectrogram::new(HOP, &filters());
    assert_eq!((plan.samples(0), plan.samples(1), plan.samples(3)), (0, 400, 720));
    assert!(run(KernelSet::best(), &plan, &[], 0).is_empty());
}

#[test]
#[should_panic(expected = "the samples of all frames")]
fn too_few_samples_are_refused() {
    let plan = Spectrogram::new(HOP, &filters());
    run(KernelSet::best(), &plan, &[0.0; WINDOW + HOP - 1], 2);
}
