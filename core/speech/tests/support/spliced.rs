//! Recordings spliced of clips of several speakers with pauses between them, and what became of each clip in a text.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

use std::ops::Range;

use sotto_audio::{Pcm16k, SAMPLE_RATE};
use sotto_text::normalize::english;

use super::{clip, speech_dir};

/// Clips in a row.
pub struct Spliced {
    /// Which clips, how long the pauses are, and what fills them.
    pub name: String,
    pub audio: Pcm16k,
    pub clips: Vec<Clip>,
}

/// One clip of the pool.
#[derive(Clone)]
pub struct Clip {
    pub file: String,
    /// What is said, as the list has it.
    pub text: String,
}

/// The real English clips up to 12 s, and every tenth synthetic one.
fn pool() -> Vec<Clip> {
    let rows = |list: &str| -> Vec<(Clip, bool)> {
        let list = std::fs::read_to_string(speech_dir().join(list)).unwrap();
        let row = |line: &str| {
            let columns: Vec<&str> = line.split('\t').collect();
            let short = columns[2].parse::<f64>().unwrap() <= 12.0;
            (Clip { file: columns[0].into(), text: columns[5].into() }, columns[1] == "en" && short)
        };
        list.lines().skip(1).map(row).collect()
    };
    let real = rows("manifest.tsv").into_iter();
    let synthetic = rows("synthetic.tsv").into_iter().step_by(10);
    real.chain(synthetic).filter(|(_, wanted)| *wanted).map(|(clip, _)| clip).collect()
}

const PAUSES: [f64; 4] = [0.0, 0.5, 2.0, 8.0];

/// `count` pairs and triples in a fixed pseudo-random order: every pause, filled with silence or quiet noise, each pair
/// in either order.
pub fn spliced(count: usize) -> Vec<Spliced> {
    let pool = pool();
    let noise = clip("noise/noise1.flac");
    let mut state = 7u64;
    let mut below = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 32) as usize * limit) >> 32
    };
    let mut cases: Vec<Spliced> = Vec::new();
    let mut last: Vec<Clip> = Vec::new();
    for index in 0..count {
        let clips: Vec<Clip> = if index % 2 == 1 {
            // The same clips the other way round.
            last.iter().rev().cloned().collect()
        } else {
            let size = if index % 5 < 3 { 2 } else { 3 };
            let mut chosen: Vec<Clip> = Vec::new();
            while chosen.len() < size {
                let next = &pool[below(pool.len())];
                if chosen.iter().all(|clip| clip.file != next.file) {
                    chosen.push(next.clone());
                }
            }
            chosen
        };
        last.clone_from(&clips);
        let (pause, noisy) = (PAUSES[index / 2 % 4], index / 8 % 2 == 1);
        cases.push(splice(clips, pause, noisy.then_some(&noise)));
    }
    cases
}

fn splice(clips: Vec<Clip>, pause: f64, noise: Option<&Pcm16k>) -> Spliced {
    let mut samples = Vec::new();
    let gap = (pause * f64::from(SAMPLE_RATE)) as usize;
    for (index, part) in clips.iter().enumerate() {
        if index > 0 {
            match noise {
                // 40 dB below full scale at most: a quiet room.
                Some(noise) => {
                    let loudest = noise.samples().iter().fold(1e-9f32, |peak, x| peak.max(x.abs()));
                    samples.extend(noise.samples().iter().cycle().take(gap).map(|x| x / loudest * 0.01));
                }
                None => samples.resize(samples.len() + gap, 0.0),
            }
        }
        samples.extend_from_slice(clip(&part.file).samples());
    }
    let names: Vec<&str> = clips.iter().map(|clip| clip.file.rsplit('/').next().unwrap()).collect();
    let filling = if noise.is_some() { "noise" } else { "silence" };
    let name = format!("{} with {pause} s of {filling}", names.join(" + "));
    Spliced { name, audio: Pcm16k::new(samples).unwrap(), clips }
}

/// What a text makes of one clip.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Heard {
    /// Words of the clip.
    pub words: usize,
    /// Words of the clip that the text has in their place.
    pub hits: usize,
    pub errors: usize,
    /// Words inserted at the clip that it has itself: said again.
    pub repeated: usize,
}

impl Heard {
    /// Whether the clip is missing, given how many of its words are found where it stands alone.
    pub fn is_lost(self, alone: Heard) -> bool {
        self.hits * 2 < alone.hits
    }

    pub fn is_said_twice(self, alone: Heard) -> bool {
        self.repeated.saturating_sub(alone.repeated) * 2 >= self.words.max(4)
    }
}

/// Follows each of `references` through `hypothesis`, both normalised here; the alignment is minimal.
pub fn follow(references: &[&str], hypothesis: &str) -> Vec<Heard> {
    let (mut words, mut parts): (Vec<String>, Vec<Range<usize>>) = (Vec::new(), Vec::new());
    for reference in references {
        let start = words.len();
        words.extend(english(reference).split_whitespace().map(str::to_owned));
        parts.push(start..words.len());
    }
    let text = english(hypothesis);
    let said: Vec<&str> = text.split_whitespace().collect();
    let mut heard: Vec<Heard> = parts.iter().map(|part| Heard { words: part.len(), ..Heard::default() }).collect();
    let part_of = |word: usize| parts.iter().rposition(|part| part.start <= word).unwrap_or(0);
    for step in path(&words, &said) {
        match step {
            Step::Same(word) => heard[part_of(word)].hits += 1,
            Step::Other(word) | Step::Missing(word) => heard[part_of(word)].errors += 1,
            Step::Added { before, said: word } => {
                let part = part_of(before.min(words.len().saturating_sub(1)));
                heard[part].errors += 1;
                // At a seam it may be either clip's.
                for near in part.saturating_sub(1)..=part {
                    if words[parts[near].clone()].iter().any(|own| own == said[word]) {
                        heard[near].repeated += 1;
                        break;
                    }
                }
            }
        }
    }
    heard
}

enum Step {
    Same(usize),
    Other(usize),
    Missing(usize),
    Added { before: usize, said: usize },
}

/// A minimal alignment from its end to its beginning.
fn path(reference: &[String], hypothesis: &[&str]) -> Vec<Step> {
    let width = hypothesis.len() + 1;
    let mut cost = vec![0usize; (reference.len() + 1) * width];
    for i in 0..=reference.len() {
        for j in 0..=hypothesis.len() {
            cost[i * width + j] = match (i, j) {
                (0, _) => j,
                (_, 0) => i,
                _ => {
                    let other = usize::from(reference[i - 1] != hypothesis[j - 1]);
                    let diagonal = cost[(i - 1) * width + j - 1] + other;
                    diagonal.min(cost[(i - 1) * width + j] + 1).min(cost[i * width + j - 1] + 1)
                }
            };
        }
    }
    let (mut i, mut j, mut steps) = (reference.len(), hypothesis.len(), Vec::new());
    while i > 0 || j > 0 {
        let here = cost[i * width + j];
        if i > 0 && j > 0 && reference[i - 1] == hypothesis[j - 1] && here == cost[(i - 1) * width + j - 1] {
            (i, j) = (i - 1, j - 1);
            steps.push(Step::Same(i));
        } else if i > 0 && j > 0 && here == cost[(i - 1) * width + j - 1] + 1 {
            (i, j) = (i - 1, j - 1);
            steps.push(Step::Other(i));
        } else if j > 0 && here == cost[i * width + j - 1] + 1 {
            j -= 1;
            steps.push(Step::Added { before: i, said: j });
        } else {
            i -= 1;
            steps.push(Step::Missing(i));
        }
    }
    steps
}
