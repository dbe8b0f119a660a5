//! Damage in a recording that was read all the same.

use std::fmt;

/// Damage that did not prevent a recording from being read.
///
/// Everything before and after it was returned, at its own time if the file states it. The content is never quoted.
#[derive(Debug, Clone, PartialEq)]
pub struct AudioWarning {
    /// Position in seconds of the returned audio.
    pub at: f64,
    /// Seconds of audio that are lost there, replaced by silence unless the recording ends; 0 if nothing is lost or the
    /// amount is unknown.
    pub lost: f64,
    /// The kind of damage.
    pub problem: AudioProblem,
}

/// Kinds of damage that do not end a recording.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum AudioProblem {
    /// A part violates the rules of its format.
    Damaged {
        /// The violated rule.
        cause: String,
    },
    /// Bytes that are not audio, before the first frame of a stream or between two frames.
    Foreign {
        /// Number of bytes.
        bytes: u64,
    },
    /// The header announces another length than the file has.
    Length {
        /// Seconds of audio that the header announces.
        announced: f64,
        /// Seconds of audio in the file.
        present: f64,
    },
    /// Samples that are NaN, infinite, or beyond a million times full scale.
    NotFinite {
        /// Number of samples, over all channels; they were replaced by silence.
        samples: u64,
    },
    /// The rest cannot be read, because of the system or a decoder.
    Unreadable {
        /// The error of the system or the decoder.
        cause: String,
    },
}

impl fmt::Display for AudioWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, lost, problem } = self;
        match problem {
            AudioProblem::Damaged { cause } => write!(f, "damaged at {at:.2} s ({cause})")?,
            AudioProblem::Foreign { bytes } if *at == 0.0 => write!(f, "{bytes} bytes before the audio left out")?,
            AudioProblem::Foreign { bytes } => write!(f, "{bytes} bytes at {at:.2} s that are no audio")?,
            AudioProblem::Length { announced, present } => {
                write!(f, "the header announces {announced:.2} s of audio, {present:.2} s are there")?;
                return f.write_str(if announced > present { "; is the file cut off?" } else { "" });
            }
            AudioProblem::NotFinite { samples } => {
                write!(f, "{samples} samples from {at:.2} s on are no numbers in range")?;
            }
            AudioProblem::Unreadable { cause } => write!(f, "unreadable from {at:.2} s on ({cause})")?,
        }
        if *lost >= 0.005 { write!(f, "; {lost:.2} s lost") } else { Ok(()) }
    }
}

// Maximum number of warnings; the last one then stands for all that follow.
const MAX_WARNINGS: usize = 100;
// Damage of the same kind within this distance is reported as one.
const NEAR_SECONDS: f64 = 1.0;

/// The warnings of one recording; close ones of the same kind are merged.
#[derive(Debug, Default)]
pub(crate) struct Warnings(Vec<AudioWarning>);

impl Warnings {
    pub(crate) fn add(&mut self, at: f64, lost: f64, problem: AudioProblem) {
        let full = self.0.len() >= MAX_WARNINGS;
        if let Some(last) = self.0.last_mut() {
            let near = at - (last.at + last.lost) <= NEAR_SECONDS;
            if full || near && std::mem::discriminant(&last.problem) == std::mem::discriminant(&problem) {
                match (&mut last.problem, problem) {
                    (AudioProblem::Foreign { bytes }, AudioProblem::Foreign { bytes: more }) => *bytes += more,
                    (AudioProblem::NotFinite { samples }, AudioProblem::NotFinite { samples: more }) => {
                        *samples += more
                    }
                    _ => {}
                }
                last.lost += lost;
                return;
            }
        }
        self.0.push(AudioWarning { at, lost, problem });
    }

    pub(crate) fn all(&self) -> &[AudioWarning] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_of_a_kind_are_one_warning_and_their_number_is_bounded() {
        let damaged = || AudioProblem::Damaged { cause: "a bad frame".into() };
        let mut warnings = Warnings::default();
        for at in [3.0, 3.02, 3.9] {
            warnings.add(at, 0.02, damaged());
        }
        warnings.add(3.95, 0.0, AudioProblem::NotFinite { samples: 2 });
        warnings.add(4.0, 0.0, AudioProblem::NotFinite { samples: 3 });
        let [first, second] = warnings.all() else { panic!("{warnings:?}") };
        assert_eq!((first.at, (first.lost * 100.0).round()), (3.0, 6.0));
        assert_eq!(second.problem, AudioProblem::NotFinite { samples: 5 });
        for second in 0..1000 {
            warnings.add(10.0 * f64::from(second), 0.02, damaged());
        }
        assert_eq!(warnings.all().len(), MAX_WARNINGS);
    }

    #[test]
    fn a_warning_says_where_what_and_how_much() {
        for (at, lost, problem, expected) in [
            (
                1.5,
                0.75,
                AudioProblem::Damaged { cause: "a bad page".into() },
                "damaged at 1.50 s (a bad page); 0.75 s lost",
            ),
            (0.0, 0.0, AudioProblem::Foreign { bytes: 7 }, "7 bytes before the audio left out"),
            (2.0, 0.5, AudioProblem::Foreign { bytes: 7 }, "7 bytes at 2.00 s that are no audio; 0.50 s lost"),
            (
                2.0,
                1.0,
                AudioProblem::Length { announced: 3.0, present: 2.0 },
                "the header announces 3.00 s of audio, 2.00 s are there; is the file cut off?",
            ),
            (2.0, 0.0, AudioProblem::NotFinite { samples: 9 }, "9 samples from 2.00 s on are no numbers in range"),
        ] {
            assert_eq!(AudioWarning { at, lost, problem }.to_string(), expected);
        }
    }
}
