//! Mixing the channels of a recording: their mean, or one of them.

/// The channel to use of a recording with several channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Channel {
    /// The mean of all channels; while they cancel each other out, the loudest one.
    #[default]
    Mix,
    /// One channel, counted from 0: in stereo 0 is left and 1 is right. A recording in mono has only one.
    Only(u32),
}

impl Channel {
    /// The first of two channels.
    pub const LEFT: Self = Self::Only(0);
    /// The second of two channels.
    pub const RIGHT: Self = Self::Only(1);
}

// Channels cancel if the energy of the mix is below this fraction of the loudest channel's. With one of two channels
// silent the energy is 1/4, with independent channels 1/2, with inverted polarity 0.
const CANCELLED: f64 = 0.1;
// The mix is used again above this fraction; between the two nothing changes.
const AUDIBLE: f64 = 0.2;
// The ratio of energies at which another channel takes over; a change is audible, so it should be rare.
const LOUDER: f64 = 4.0;
// Energies are averaged over about a tenth of a second, so that a speaker in another single channel is soon heard.
const MEMORY_SECONDS: f64 = 0.1;

/// Mixes interleaved channels to one.
#[derive(Debug, Clone)]
pub(crate) struct Mixer {
    channels: usize,
    rate: u32,
    wanted: Channel,
    /// Recent energies of the mix and of each channel.
    mix_energy: f64,
    energies: Vec<f64>,
    /// The channel that replaces the mix.
    instead: Option<usize>,
}

impl Mixer {
    /// `channels` and `rate` must be valid for a resampler.
    pub(crate) fn new(channels: u32, rate: u32, wanted: Channel) -> Self {
        let channels = channels as usize;
        Self { channels, rate, wanted, mix_energy: 0.0, energies: vec![0.0; channels], instead: None }
    }

    /// Appends one sample for each frame of `interleaved`, whole frames of finite samples, to `out`.
    pub(crate) fn push(&mut self, interleaved: &[f32], out: &mut Vec<f32>) {
        let channels = self.channels;
        match self.wanted {
            _ if channels == 1 => out.extend_from_slice(interleaved),
            Channel::Only(index) => {
                let index = (index as usize).min(channels - 1);
                out.extend(interleaved.chunks_exact(channels).map(|frame| frame[index]));
            }
            Channel::Mix => {
                let before = out.len();
                mean(interleaved, channels, out);
                if let Some(index) = self.judge(interleaved, &out[before..]) {
                    out.truncate(before);
                    out.extend(interleaved.chunks_exact(channels).map(|frame| frame[index]));
                }
            }
        }
    }

    /// The channel to use instead of the mix for these samples, if the channels cancel.
    fn judge(&mut self, interleaved: &[f32], mix: &[f32]) -> Option<usize> {
        let seconds = mix.len() as f64 / f64::from(self.rate);
        let kept = MEMORY_SECONDS / (MEMORY_SECONDS + seconds);
        let energy = |samples: &mut dyn Iterator<Item = f32>| samples.map(|x| f64::from(x) * f64::from(x)).sum::<f64>();
        self.mix_energy = self.mix_energy * kept + energy(&mut mix.iter().copied());
        for (channel, kept_energy) in self.energies.iter_mut().enumerate() {
            let mut samples = interleaved.iter().skip(channel).step_by(self.channels).copied();
            *kept_energy = *kept_energy * kept + energy(&mut samples);
        }
        let (loudest, most) = self
            .energies
            .iter()
            .enumerate()
            .fold((0, 0.0), |best, (index, &energy)| if energy > best.1 { (index, energy) } else { best });
        let limit = if self.instead.is_some() { AUDIBLE } else { CANCELLED };
        // With many channels, the mean of one loud channel is soft even without cancellation.
        let alone = 1.0 / (self.channels * self.channels) as f64;
        self.instead = if self.mix_energy < limit.min(alone * 0.4 * limit / CANCELLED) * most {
            Some(self.instead.filter(|&current| self.energies[current] * LOUDER > most).unwrap_or(loudest))
        } else {
            None
        };
        self.instead
    }
}

/// Appends the mean of the channels of each frame.
fn mean(frames: &[f32], channels: usize, out: &mut Vec<f32>) {
    if channels == 2 {
        out.extend(frames.as_chunks().0.iter().map(|&[left, right]| (left + right) * 0.5));
        return;
    }
    let scale = 1.0 / channels as f32;
    out.extend(frames.chunks_exact(channels).map(|frame| frame.iter().sum::<f32>() * scale));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two tones with alternating loudness.
    fn tone(at: usize, step: f32) -> f32 {
        (at as f32 * step).sin() * 0.3 * (1.2 + (at as f32 * 0.001).sin())
    }

    fn mixed(wanted: Channel, channels: u32, frame: impl Fn(usize) -> Vec<f32>) -> Vec<f32> {
        let mut mixer = Mixer::new(channels, 16_000, wanted);
        let interleaved: Vec<f32> = (0..32_000).flat_map(frame).collect();
        let mut out = Vec::new();
        for block in interleaved.chunks(320 * channels as usize) {
            mixer.push(block, &mut out);
        }
        out
    }

    fn energy(samples: &[f32]) -> f32 {
        samples.iter().map(|x| x * x).sum::<f32>() / samples.len() as f32
    }

    #[test]
    fn channels_that_cancel_are_heard_and_others_are_mixed_as_they_are() {
        let a = |at| tone(at, 0.05);
        let b = |at| tone(at, 0.071);
        // The two channels, and the expected output.
        type Of = Box<dyn Fn(usize) -> f32>;
        let cases: [(&str, Of, Of, Of); 7] = [
            ("the same", Box::new(a), Box::new(a), Box::new(a)),
            ("inverted", Box::new(a), Box::new(move |at| -a(at)), Box::new(a)),
            ("inverted and softer", Box::new(a), Box::new(move |at| -0.8 * a(at)), Box::new(a)),
            ("inverted and louder", Box::new(move |at| -0.8 * a(at)), Box::new(a), Box::new(a)),
            ("left only", Box::new(a), Box::new(|_| 0.0), Box::new(move |at| a(at) / 2.0)),
            ("two speakers", Box::new(a), Box::new(b), Box::new(move |at| (a(at) + b(at)) / 2.0)),
            ("silence", Box::new(|_| 0.0), Box::new(|_| 0.0), Box::new(|_| 0.0)),
        ];
        for (name, left, right, heard) in cases {
            let out = mixed(Channel::Mix, 2, |at| vec![left(at), right(at)]);
            assert_eq!(out.len(), 32_000, "{name}");
            for (at, &sample) in out.iter().enumerate() {
                assert!((sample - heard(at)).abs() < 1e-6, "{name}: sample {at} is {sample}, not {}", heard(at));
            }
        }
    }

    #[test]
    fn whoever_speaks_in_one_channel_only_is_heard_among_those_who_cancel() {
        // The first second cancels, then only the left channel has sound, then only the right one.
        let frame = |at: usize| match at {
            0..16_000 => vec![tone(at, 0.05), -tone(at, 0.05)],
            16_000..24_000 => vec![tone(at, 0.05), 0.0],
            _ => vec![0.0, tone(at, 0.05)],
        };
        let out = mixed(Channel::Mix, 2, frame);
        for block in out.chunks(1600) {
            // The softest tone, halved by the mean.
            assert!(energy(block) > 0.0004, "{}", energy(block));
        }
    }

    #[test]
    fn one_loud_channel_of_many_is_no_cancelling() {
        let out = mixed(Channel::Mix, 8, |at| (0..8).map(|c| if c == 2 { tone(at, 0.05) } else { 0.0 }).collect());
        assert!(out.iter().enumerate().all(|(at, &x)| (x - tone(at, 0.05) / 8.0).abs() < 1e-6));
        let out = mixed(Channel::Mix, 4, |at| (0..4).map(|c| tone(at, 0.05) * [1.0, -1.0][c % 2]).collect());
        assert!(out.iter().enumerate().all(|(at, &x)| (x - tone(at, 0.05)).abs() < 1e-6));
    }

    #[test]
    fn a_channel_is_heard_alone_where_it_is_asked_for() {
        for (wanted, expected) in [(Channel::LEFT, 1.0), (Channel::RIGHT, 2.0), (Channel::Only(7), 2.0)] {
            assert!(mixed(wanted, 2, |_| vec![1.0, 2.0]).iter().all(|&x| x == expected), "{wanted:?}");
        }
        assert!(mixed(Channel::RIGHT, 1, |_| vec![0.5]).iter().all(|&x| x == 0.5));
    }
}
