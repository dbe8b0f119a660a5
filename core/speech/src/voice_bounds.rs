//! Finds the voice in a window, so that segments begin and end with speech and not with a window or a pause.
//!
//! Log-mel frames are marked as sound or pause by their level in four bands. A band counts as sounding above a
//! threshold between its quiet and its loud frames, so that hiss, hum and room noise do not count as voice. Stretches
//! of sound between long pauses are examined again with their own noise floor (noisy recordings between stretches of
//! digital silence). If noise hides the pauses, everything counts as sound, and sound is never cut.
//!
//! Cost: a few additions per mel value and two sorts of the frames' levels, far below the window's encoder.

use std::f32::consts::LN_10;
use std::ops::Range;

use sotto_kernels::exp;

use crate::transcript::Segment;

/// Mel frames per second.
const RATE: f64 = 100.0;
const BANDS: usize = 4;

// Closures of plosives are up to about 0.1 s of silence inside a word.
const SHORTEST_PAUSE: usize = 12;
// A click is shorter, the shortest word is longer.
const SHORTEST_SOUND: usize = 5;
// A pause between stretches of speech that may have other noise behind them.
const LONG_PAUSE: usize = 50;

// In dB: frames louder than this above the floor are sound; frames quieter than this below the loud ones are not.
const ABOVE_FLOOR: f32 = 8.0;
const BELOW_LOUD: f32 = 34.0;
// Bands with a smaller range between quiet and loud frames are not used.
const LEAST_RANGE: f32 = 12.0;

// Speech comes this close to the loud frames of its segment in two bands, or closer in one (sibilants), and fades to
// the second value; quieter sound is room noise.
const CORE: f32 = 12.0;
const CORE_ALONE: f32 = 5.0;
const FADE: f32 = 22.0;

/// How far, in seconds, a bound inside sound may move to the beginning or end of that sound.
const REACH: f64 = 0.3;

/// Sound and pauses of a window, frame by frame.
#[derive(Debug, Clone)]
pub(crate) struct Voice {
    levels: Vec<[f32; BANDS]>,
    sounding: Vec<bool>,
    rise: Vec<f32>,
}

impl Voice {
    /// The voice activity of normalised features, `[frames, mels]`; the first `frames` frames have audio.
    pub(crate) fn new(features: &[f32], mels: usize, frames: usize) -> Self {
        let frames = frames.min(features.len() / mels.max(1));
        let features = &features[..frames * mels];
        let levels = levels(features, mels);
        let mut sounding = mark(&levels);
        for stretch in runs(&sounding, true) {
            sounding[stretch.clone()].copy_from_slice(&mark(&levels[stretch]));
        }
        Self { rise: rises(features, mels), levels, sounding }
    }

    /// Number of frames of the window with audio.
    pub(crate) fn frames(&self) -> usize {
        self.sounding.len()
    }

    /// Whether there is any pause.
    pub(crate) fn has_pauses(&self) -> bool {
        self.sounding.contains(&false)
    }

    pub(crate) fn sounds(&self, frame: usize) -> bool {
        self.sounding.get(frame).copied().unwrap_or_default()
    }

    /// How strongly the sound rises at `frame`, in units of the window's standard deviation.
    pub(crate) fn rise(&self, frame: usize) -> f32 {
        self.rise.get(frame).copied().unwrap_or_default()
    }

    /// Longest pause inside `range` (seconds of the window) with sound on both sides of it.
    pub(crate) fn longest_pause(&self, range: Range<f64>) -> f64 {
        let range = self.clip(range);
        let sounds = &self.sounding[range];
        let inner = runs(sounds, false).into_iter().filter(|run| run.start > 0 && run.end < sounds.len());
        inner.map(|run| run.len()).max().unwrap_or(0) as f64 / RATE
    }

    /// The beginning and end of the voice in a range: pauses at its ends are removed, and sound that is cut by its
    /// bounds is completed within `limits`. A range without sound is not changed.
    pub(crate) fn bounds(&self, stretch: Range<f64>, limits: Range<f64>) -> Range<f64> {
        let inside = self.clip(stretch.clone());
        let Some(first) = inside.clone().find(|&frame| self.sounding[frame]) else { return stretch };
        let last = inside.clone().rfind(|&frame| self.sounding[frame]).unwrap_or(first);
        let reach = (REACH * RATE) as usize;
        let core = self.core(first..last + 1);
        let (mut start, mut end) = (core.start, core.end);
        if start == inside.start {
            let from = (first - first.min(reach)).max((limits.start * RATE).ceil().max(0.0) as usize);
            let begins = (from..first).rev().take_while(|&frame| self.sounding[frame]).last();
            // Sound that continues beyond the reach belongs to another speaker, or is noise.
            start = begins.filter(|&frame| frame == 0 || !self.sounds(frame - 1)).unwrap_or(first);
        }
        if end == inside.end {
            let to = (end + reach).min((limits.end * RATE).floor().max(0.0) as usize).min(self.frames());
            let ends = (end..to).take_while(|&frame| self.sounding[frame]).last().map(|frame| frame + 1);
            end = ends.filter(|&frame| !self.sounds(frame)).unwrap_or(end);
        }
        let keep = |frame: usize, bound: f64, moved: bool| if moved { frame as f64 / RATE } else { bound };
        let start = keep(start, stretch.start, start != inside.start);
        let end = keep(end, stretch.end, end != inside.end);
        start..end.max(start)
    }

    /// The range without noise at its ends: from the first loud frame to the last, extended while they fade.
    fn core(&self, stretch: Range<usize>) -> Range<usize> {
        let loud: [f32; BANDS] = std::array::from_fn(|band| {
            let mut sorted: Vec<f32> = self.levels[stretch.clone()].iter().map(|level| level[band]).collect();
            sorted.sort_by(f32::total_cmp);
            sorted.get(sorted.len() * 95 / 100).copied().unwrap_or_default()
        });
        let most = loud.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let bands = loud.iter().filter(|loud| **loud > most - BELOW_LOUD).count();
        let within = |frame: usize, below: f32| {
            let near = |(level, loud): &(&f32, &f32)| **loud > most - BELOW_LOUD && **level > **loud - below;
            self.levels[frame].iter().zip(&loud).filter(near).count()
        };
        let is_core = |frame: &usize| within(*frame, CORE) >= bands.min(2) || within(*frame, CORE_ALONE) > 0;
        let fades = |frame: &usize| within(*frame, FADE) > 0;
        let Some(first) = stretch.clone().find(is_core) else { return stretch };
        let last = stretch.clone().rfind(is_core).unwrap_or(first);
        let start = (stretch.start..first).rev().take_while(fades).last().unwrap_or(first);
        let end = (last + 1..stretch.end).take_while(fades).last().unwrap_or(last) + 1;
        start..end
    }

    /// Fits the bounds of the segments of this window, which starts `offset` seconds into the recording, to the voice.
    ///
    /// They stay in order and do not overlap. Words are not changed and stay inside.
    pub(crate) fn fit(&self, segments: &mut [Segment], offset: f64) {
        let mut from = 0.0;
        for index in 0..segments.len() {
            let next = segments.get(index + 1).map_or(f64::INFINITY, |next| next.start - offset);
            let segment = &mut segments[index];
            let (start, end) = (segment.start - offset, segment.end - offset);
            let fitted = match (segment.words.first(), segment.words.last()) {
                (Some(first), Some(last)) => first.start - offset..last.end - offset,
                _ => self.bounds(start..end, from..next.max(end)),
            };
            segment.start = offset + fitted.start;
            segment.end = offset + fitted.end;
            from = fitted.end;
        }
    }

    fn clip(&self, range: Range<f64>) -> Range<usize> {
        let frame = |seconds: f64| ((seconds * RATE).round().max(0.0) as usize).min(self.frames());
        let (start, end) = (frame(range.start), frame(range.end));
        start..end.max(start)
    }
}

/// Level of each band in each frame in dB, smoothed over 50 ms.
fn levels(features: &[f32], mels: usize) -> Vec<[f32; BANDS]> {
    let width = mels.div_ceil(BANDS).max(1);
    let raw: Vec<[f32; BANDS]> = features
        .chunks_exact(mels.max(1))
        .map(|frame| {
            let mut power = [0.0f32; BANDS];
            for (band, values) in power.iter_mut().zip(frame.chunks(width)) {
                // Features are (log10 power + 4) / 4.
                *band = values.iter().map(|value| exp((value * 4.0 - 4.0) * LN_10)).sum();
            }
            power
        })
        .collect();
    (0..raw.len())
        .map(|frame| {
            let around = &raw[frame.saturating_sub(2)..(frame + 3).min(raw.len())];
            std::array::from_fn(|band| {
                let mean = around.iter().map(|power| power[band]).sum::<f32>() / around.len() as f32;
                10.0 * libm::log10f(mean.max(f32::MIN_POSITIVE))
            })
        })
        .collect()
}

/// Which frames are sound, without short clicks and short pauses. All frames are, if sound and noise cannot be
/// distinguished.
fn mark(levels: &[[f32; BANDS]]) -> Vec<bool> {
    let mut thresholds = [f32::INFINITY; BANDS];
    for (band, threshold) in thresholds.iter_mut().enumerate() {
        let mut sorted: Vec<f32> = levels.iter().map(|level| level[band]).collect();
        sorted.sort_by(f32::total_cmp);
        let at = |part: usize| sorted.get(sorted.len() * part / 100).copied().unwrap_or_default();
        let (floor, loud) = (at(8), at(95));
        let range = loud - floor;
        if range >= LEAST_RANGE {
            *threshold = (floor + ABOVE_FLOOR.min(0.4 * range)).max(loud - BELOW_LOUD);
        }
    }
    if thresholds.iter().all(|threshold| threshold.is_infinite()) {
        return vec![true; levels.len()];
    }
    let mut sounding: Vec<bool> =
        levels.iter().map(|level| level.iter().zip(&thresholds).any(|(level, threshold)| level > threshold)).collect();
    for sound in runs(&sounding, true) {
        if sound.len() < SHORTEST_SOUND {
            sounding[sound].fill(false);
        }
    }
    for pause in runs(&sounding, false) {
        if pause.len() < SHORTEST_PAUSE && pause.start > 0 && pause.end < levels.len() {
            sounding[pause].fill(true);
        }
    }
    drop_lone_clicks(&mut sounding);
    sounding
}

/// A short sound with long pauses around it is a door or a key, not a word.
fn drop_lone_clicks(sounding: &mut [bool]) {
    let sounds = runs(sounding, true);
    for (index, sound) in sounds.iter().enumerate() {
        let before = index.checked_sub(1).map_or(usize::MAX, |index| sound.start - sounds[index].end);
        let after = sounds.get(index + 1).map_or(usize::MAX, |next| next.start - sound.end);
        if sound.len() < 2 * SHORTEST_SOUND && before.min(after) >= LONG_PAUSE && sounds.len() > 1 {
            sounding[sound.clone()].fill(false);
        }
    }
}

/// Longest runs of `value`, in order.
fn runs(values: &[bool], value: bool) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (index, _) in values.iter().enumerate().filter(|(_, found)| **found == value) {
        match found.last_mut() {
            Some(run) if run.end == index => run.end = index + 1,
            _ => found.push(index..index + 1),
        }
    }
    found
}

/// Mean rise of the mel values over 40 ms at each frame, divided by its standard deviation.
fn rises(features: &[f32], mels: usize) -> Vec<f32> {
    const SPAN: usize = 4;
    let mels = mels.max(1);
    let frames = features.len() / mels;
    let mut rises = vec![0.0f32; frames];
    let mut mean = [vec![0.0f32; mels], vec![0.0f32; mels]];
    for (frame, rise) in rises.iter_mut().enumerate().skip(1) {
        for (mean, span) in mean.iter_mut().zip([frame.saturating_sub(SPAN)..frame, frame..(frame + SPAN).min(frames)])
        {
            mean.fill(0.0);
            let share = 1.0 / span.len() as f32;
            for row in features[span.start * mels..span.end * mels].chunks_exact(mels) {
                mean.iter_mut().zip(row).for_each(|(mean, value)| *mean += value * share);
            }
        }
        *rise =
            mean[0].iter().zip(&mean[1]).map(|(before, after)| (after - before).max(0.0)).sum::<f32>() / mels as f32;
    }
    let average = rises.iter().sum::<f32>() / frames.max(1) as f32;
    let variance = rises.iter().map(|rise| (rise - average) * (rise - average)).sum::<f32>() / frames.max(1) as f32;
    let deviation = variance.sqrt().max(1e-6);
    rises.iter_mut().for_each(|rise| *rise /= deviation);
    rises
}

#[cfg(test)]
mod tests {
    use sotto_audio::{Pcm16k, log_mel_spectrogram};

    use super::*;
    use crate::transcript::Word;

    const SECOND: usize = 16_000;

    /// A voice-like sound: pulses through a filter that wanders, loud and quiet by syllables.
    fn voice(seconds: f64) -> Vec<f32> {
        let (mut state, mut seed) = ([0.0f32; 2], 1u32);
        (0..(seconds * SECOND as f64) as usize)
            .map(|i| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = (seed >> 8) as f32 / (1 << 23) as f32 - 1.0;
                let pulse = if i % 130 == 0 { 1.0 } else { 0.0 } + noise * 0.02;
                let formant = 0.25 + 0.1 * (i as f32 * 0.0006).sin();
                let next = pulse + 1.8 * formant.cos() * state[0] - 0.9 * state[1];
                state = [next, state[0]];
                next * 0.08 * (0.55 + 0.45 * (i as f32 * std::f32::consts::TAU / 4000.0).cos())
            })
            .collect()
    }

    fn noise(samples: usize, level: f32) -> Vec<f32> {
        let mut seed = 7u32;
        (0..samples)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                level * ((seed >> 8) as f32 / (1 << 23) as f32 - 1.0)
            })
            .collect()
    }

    /// Voices at `spans` in `seconds` of noise.
    fn heard(seconds: f64, spans: &[(f64, f64)], level: f32) -> Voice {
        let mut samples = noise((seconds * SECOND as f64) as usize, level);
        for &(start, end) in spans {
            let at = (start * SECOND as f64) as usize;
            samples[at..].iter_mut().zip(voice(end - start)).for_each(|(sample, voice)| *sample += voice);
        }
        let audio = Pcm16k::new(samples).unwrap();
        let mel = log_mel_spectrogram(audio.samples(), 80, 0).unwrap();
        Voice::new(&mel.values, 80, (seconds * RATE) as usize)
    }

    fn segment(start: f64, end: f64) -> Segment {
        Segment { start, end, text: " so".into(), ..Segment::default() }
    }

    #[test]
    fn bounds_follow_the_voice_in_silence_and_in_noise() {
        for (level, tolerance) in [(0.0, 0.08), (1e-4, 0.08), (1e-3, 0.1), (5e-3, 0.3)] {
            for (spans, stretch, expected) in [
                (&[(10.0, 14.0)][..], 0.0..24.0, 10.0..14.0),
                (&[(10.0, 14.0)], 9.0..20.0, 10.0..14.0),
                // What the bounds cut off is completed.
                (&[(10.0, 14.0)], 10.2..13.8, 10.0..14.0),
                (&[(2.0, 4.0), (12.0, 15.0)], 0.0..8.0, 2.0..4.0),
                (&[(2.0, 4.0), (12.0, 15.0)], 6.0..20.0, 12.0..15.0),
                (&[(2.0, 4.0), (12.0, 15.0)], 0.0..24.0, 2.0..15.0),
            ] {
                let found = heard(24.0, spans, level).bounds(stretch.clone(), 0.0..24.0);
                let near = |a: f64, b: f64| (a - b).abs() <= tolerance;
                assert!(
                    near(found.start, expected.start) && near(found.end, expected.end),
                    "noise {level}, {spans:?} in {stretch:?}: {found:?}"
                );
            }
        }
    }

    #[test]
    fn noise_as_loud_as_the_voice_cuts_nothing() {
        let voice = heard(12.0, &[(4.0, 8.0)], 0.3);
        let found = voice.bounds(3.0..9.0, 0.0..12.0);
        assert!(found.start <= 4.0 && found.end >= 8.0, "{found:?}");
        let steady = heard(6.0, &[], 0.1);
        assert_eq!(steady.bounds(1.0..5.0, 0.0..6.0), 1.0..5.0);
        assert!(!steady.has_pauses());
    }

    #[test]
    fn a_recording_with_noise_of_its_own_between_digital_silence_has_a_floor_of_its_own() {
        let inner = heard_samples(6.0, 1.0, 4.0, 2e-3);
        let samples = [vec![0.0; 8 * SECOND], inner, vec![0.0; 8 * SECOND]].concat();
        let mel = log_mel_spectrogram(&samples, 80, 0).unwrap();
        let found = Voice::new(&mel.values, 80, 2200).bounds(0.0..22.0, 0.0..22.0);
        assert!((found.start - 9.0).abs() < 0.2 && (found.end - 12.0).abs() < 0.2, "{found:?}");
    }

    fn heard_samples(seconds: f64, start: f64, end: f64, level: f32) -> Vec<f32> {
        let mut samples = noise((seconds * SECOND as f64) as usize, level);
        let at = (start * SECOND as f64) as usize;
        samples[at..].iter_mut().zip(voice(end - start)).for_each(|(sample, voice)| *sample += voice);
        samples
    }

    #[test]
    fn a_click_in_silence_is_no_voice() {
        let mut samples = noise(16 * SECOND, 1e-4);
        samples[2 * SECOND..2 * SECOND + 300].iter_mut().for_each(|sample| *sample += 0.3);
        samples[8 * SECOND..].iter_mut().zip(voice(3.0)).for_each(|(sample, voice)| *sample += voice);
        let mel = log_mel_spectrogram(&samples, 80, 0).unwrap();
        let found = Voice::new(&mel.values, 80, 1600).bounds(0.0..16.0, 0.0..16.0);
        assert!((found.start - 8.0).abs() < 0.1 && (found.end - 11.0).abs() < 0.1, "{found:?}");
    }

    #[test]
    fn segments_stay_in_order_and_keep_their_words_inside() {
        let voice = heard(20.0, &[(2.0, 4.0), (4.5, 6.0), (12.0, 15.0)], 1e-4);
        let mut segments = vec![segment(100.0, 104.2), segment(104.2, 111.0), segment(111.0, 119.0)];
        let word = Word { start: 112.5, end: 113.0, text: " so".into(), probability: 1.0 };
        segments[2].words = vec![word];
        voice.fit(&mut segments, 100.0);
        let bounds: Vec<f64> = segments.iter().flat_map(|segment| [segment.start, segment.end]).collect();
        for (found, expected) in bounds.iter().zip([102.0, 104.0, 104.5, 106.0, 112.5, 113.0]) {
            assert!((found - expected).abs() < 0.1, "{bounds:?}");
        }
    }

    #[test]
    fn nothing_inside_is_left_alone() {
        let voice = heard(10.0, &[(7.0, 9.0)], 0.0);
        assert_eq!(voice.bounds(1.0..3.0, 0.0..10.0), 1.0..3.0);
        assert_eq!(voice.bounds(20.0..30.0, 0.0..40.0), 20.0..30.0);
        let none = Voice::new(&[], 80, 100);
        assert_eq!(none.bounds(0.0..1.0, 0.0..1.0), 0.0..1.0);
        assert_eq!(none.longest_pause(0.0..9.0), 0.0);
    }

    #[test]
    fn the_longest_pause_has_voice_on_both_sides() {
        let voice = heard(20.0, &[(1.0, 3.0), (11.0, 14.0)], 1e-4);
        assert!((voice.longest_pause(0.0..20.0) - 8.0).abs() < 0.2);
        assert_eq!(voice.longest_pause(4.0..20.0), 0.0);
    }

    /// Order, no overlap and no loss of sound, whatever the segments.
    #[test]
    fn no_bounds_overlap_whatever_the_segments() {
        let voice = heard(20.0, &[(2.0, 4.0), (6.0, 9.0), (12.0, 15.0)], 1e-3);
        let mut seed = 3u64;
        let mut random = move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as f64 / (1u64 << 31) as f64
        };
        for _ in 0..300 {
            let mut cuts: Vec<f64> = (0..6).map(|_| random() * 20.0).collect();
            cuts.sort_by(f64::total_cmp);
            let mut segments: Vec<Segment> = cuts.windows(2).map(|pair| segment(pair[0], pair[1])).collect();
            let before = segments.clone();
            voice.fit(&mut segments, 0.0);
            assert!(segments.iter().all(|segment| segment.start <= segment.end), "{segments:?}");
            assert!(segments.windows(2).all(|pair| pair[0].end <= pair[1].start + 1e-9), "{cuts:?} {segments:?}");
            for (before, after) in before.iter().zip(&segments) {
                let frames: Vec<usize> =
                    voice.clip(before.start..before.end).filter(|&frame| voice.sounding[frame]).collect();
                let kept = voice.clip(after.start..after.end);
                // But for what fades away at the ends.
                let lost = frames.iter().filter(|frame| !kept.contains(frame)).count();
                assert!(lost <= 30 && (lost < frames.len() || frames.is_empty()), "{before:?} {after:?}");
            }
        }
    }
}
