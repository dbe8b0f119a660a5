//! Any rate and channel count to 16 kHz mono, as a stream.
//!
//! A Kaiser-windowed sinc evaluated at exact rational output times: output `k` lies at input time `k · rate / 16 000`
//! and depends only on the input samples around it. So there is no delay to compensate, the result does not depend on
//! how the input was cut, and every CPU computes the same bits (one order of operations). Method: J. O. Smith, "Digital
//! Audio Resampling"; window: Kaiser 1974.
//!
//! Quality: pass band to 91 % of the lower Nyquist frequency (7.29 kHz from any rate above 16 kHz), stop band at −90 dB
//! from the Nyquist frequency on. Latency: 64 samples of the lower rate (4 ms at 16 kHz). Cost from 48 kHz: 384
//! multiply-adds per output sample. Memory: a table below 1 MB and a buffer of one push.

use crate::AudioError;
use crate::pcm::SAMPLE_RATE;

/// Lowest input rate of a [`Resampler`], in Hz.
pub const MIN_RATE: u32 = 1_000;
/// Highest input rate of a [`Resampler`], in Hz.
pub const MAX_RATE: u32 = 384_000;
/// Maximum number of channels that are mixed down.
pub const MAX_CHANNELS: u32 = 32;

// Zero crossings of the sinc on each side. With the window below: transition band 9 % of the Nyquist frequency.
const ZERO_CROSSINGS: f64 = 64.0;
// Kaiser's formula for 90 dB: 0.1102 · (90 − 8.7); 80 dB are guaranteed.
const KAISER_BETA: f64 = 8.96;
// Half the transition band below Nyquist, so that the stop band begins at Nyquist itself:
// (90 − 8) / (2.285 · 2 · 64 · 2π) · 2 = 0.0893 of Nyquist wide.
const CUTOFF: f64 = 1.0 - 0.0893 / 2.0;
// Up to this number every output phase has its own exact filter (44.1 kHz: 160, 11.025 kHz: 640). Rates without a large
// common factor with 16 kHz interpolate between this many phases, with an error below −110 dB.
const MAX_PHASES: u32 = 1024;
// Independent partial sums: a fixed order that compilers can vectorise.
const LANES: usize = 16;

/// Streaming conversion of interleaved samples at any rate to 16 kHz mono.
///
/// Channels are mixed by their mean. Input at 16 kHz passes through unchanged (after the mix). The output of a whole
/// stream has `round(n · 16 000 / rate)` samples for `n` input frames, and does not depend, to the bit, on how the
/// input was cut into pieces.
#[derive(Debug, Clone)]
pub struct Resampler {
    channels: usize,
    rate: u32,
    /// Interleaved samples of an incomplete frame.
    partial: Vec<f32>,
    filter: Option<Filter>,
    /// Mono input from stream position `start` on; includes the samples before the current output that the filter
    /// needs.
    buffer: Vec<f32>,
    /// Index in `buffer` of the first tap of the next output.
    first_tap: usize,
    /// Fractional position after that, in units of `1 / filter.denominator` input samples.
    phase: u32,
    frames_in: u64,
    samples_out: u64,
}

impl Resampler {
    /// A resampler from `rate` Hz and `channels` interleaved channels.
    ///
    /// # Errors
    /// [`AudioError::SampleRate`] outside of 1 kHz to 384 kHz, [`AudioError::Channels`] for none or more than 32.
    pub fn new(rate: u32, channels: u32) -> Result<Self, AudioError> {
        Self::check(rate, channels)?;
        let filter = (rate != SAMPLE_RATE).then(|| Filter::new(rate));
        let mut resampler = Self {
            channels: channels as usize,
            rate,
            partial: Vec::with_capacity(channels as usize),
            filter,
            buffer: Vec::new(),
            first_tap: 0,
            phase: 0,
            frames_in: 0,
            samples_out: 0,
        };
        resampler.reset();
        Ok(resampler)
    }

    /// Checks rate and channels without computing a filter.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn check(rate: u32, channels: u32) -> Result<(), AudioError> {
        if !(MIN_RATE..=MAX_RATE).contains(&rate) {
            return Err(AudioError::SampleRate { source_name: "input".into(), rate });
        }
        if !(1..=MAX_CHANNELS).contains(&channels) {
            return Err(AudioError::Channels { source_name: "input".into(), channels });
        }
        Ok(())
    }

    /// Adds interleaved samples and appends all outputs that can be computed to `out`.
    ///
    /// The input may be cut anywhere, even inside a frame. Samples must be finite.
    pub fn push(&mut self, interleaved: &[f32], out: &mut Vec<f32>) {
        let mut input = interleaved;
        if !self.partial.is_empty() {
            let missing = (self.channels - self.partial.len()).min(input.len());
            let (head, rest) = input.split_at(missing);
            self.partial.extend_from_slice(head);
            input = rest;
            if self.partial.len() < self.channels {
                return;
            }
            let frame = std::mem::take(&mut self.partial);
            self.push_frames(&frame, out);
            self.partial = frame;
            self.partial.clear();
        }
        let whole = input.len() - input.len() % self.channels;
        self.push_frames(&input[..whole], out);
        self.partial.extend_from_slice(&input[whole..]);
    }

    /// Ends the stream: appends the remaining samples to `out` and resets for another stream.
    ///
    /// The signal is taken as zero beyond its end; an incomplete last frame is dropped.
    pub fn finish(&mut self, out: &mut Vec<f32>) {
        if let Some(filter) = &self.filter {
            let expected = output_len(self.frames_in, self.rate);
            // Zeros until the filter of the last output is covered: at most half a filter and one output step.
            let step = self.rate.div_ceil(SAMPLE_RATE) as usize;
            self.buffer.resize(self.buffer.len() + filter.taps + step, 0.0);
            self.emit(expected, out);
        }
        self.reset();
    }

    fn reset(&mut self) {
        self.partial.clear();
        self.buffer.clear();
        // The signal is zero before its start.
        self.buffer.resize(self.filter.as_ref().map_or(0, |filter| filter.taps / 2 - 1), 0.0);
        self.first_tap = 0;
        self.phase = 0;
        self.frames_in = 0;
        self.samples_out = 0;
    }

    fn push_frames(&mut self, frames: &[f32], out: &mut Vec<f32>) {
        self.frames_in += (frames.len() / self.channels) as u64;
        if self.filter.is_none() {
            mix_down(frames, self.channels, out);
            return;
        }
        // In blocks, so that the buffer stays bounded however long the push is.
        for block in frames.chunks(8192 * self.channels) {
            mix_down(block, self.channels, &mut self.buffer);
            self.emit(u64::MAX, out);
            // Moving fewer samples costs more than keeping them.
            if self.first_tap > 4096 {
                self.buffer.drain(..self.first_tap);
                self.first_tap = 0;
            }
        }
    }

    /// Appends outputs while their taps are covered by the buffer, up to output number `limit` of the stream.
    fn emit(&mut self, limit: u64, out: &mut Vec<f32>) {
        let Some(filter) = &self.filter else { return };
        while self.samples_out < limit {
            let Some(window) = self.buffer.get(self.first_tap..self.first_tap + filter.taps) else { break };
            out.push(filter.apply(self.phase, window));
            self.samples_out += 1;
            let position = self.phase + filter.step;
            self.first_tap += (position / filter.denominator) as usize;
            self.phase = position % filter.denominator;
        }
    }
}

/// `round(frames · 16 000 / rate)`.
fn output_len(frames: u64, rate: u32) -> u64 {
    let (frames, rate) = (u128::from(frames), u128::from(rate));
    ((frames * u128::from(SAMPLE_RATE) + rate / 2) / rate) as u64
}

/// Appends the mean of the channels of each frame.
fn mix_down(frames: &[f32], channels: usize, out: &mut Vec<f32>) {
    match channels {
        1 => out.extend_from_slice(frames),
        2 => out.extend(frames.as_chunks().0.iter().map(|&[left, right]| (left + right) * 0.5)),
        _ => {
            let scale = 1.0 / channels as f32;
            out.extend(frames.chunks_exact(channels).map(|frame| frame.iter().sum::<f32>() * scale));
        }
    }
}

/// The tabulated windowed sinc: one row of taps per phase.
#[derive(Debug, Clone)]
struct Filter {
    /// Output step in input samples is `step / denominator`, in lowest terms.
    step: u32,
    denominator: u32,
    /// Taps per row, even; the output lies between taps `taps / 2 - 1` and `taps / 2`.
    taps: usize,
    /// Row-major `[rows, taps]`, each row summing to 1.
    table: Vec<f32>,
    /// Phases of the table per input sample; fewer than `denominator` when rows are interpolated.
    rows: u32,
}

impl Filter {
    fn new(rate: u32) -> Self {
        let divisor = greatest_common_divisor(rate, SAMPLE_RATE);
        let (step, denominator) = (rate / divisor, SAMPLE_RATE / divisor);
        // The width of the sinc in input samples follows from the lower of both rates.
        let stretch = (f64::from(rate) / f64::from(SAMPLE_RATE)).max(1.0);
        let half = (ZERO_CROSSINGS * stretch).ceil() as usize;
        let taps = (2 * half).next_multiple_of(LANES);
        // A wider sinc is smoother and needs fewer rows for the same interpolation error.
        let interpolated = (f64::from(MAX_PHASES) / stretch).ceil() as u32;
        let exact = denominator <= MAX_PHASES;
        let rows = if exact { denominator } else { interpolated };
        // Interpolation reads one row past the last phase.
        let tabulated = if exact { rows } else { rows + 1 };
        let mut table = Vec::with_capacity(tabulated as usize * taps);
        for row in 0..tabulated {
            push_row(f64::from(row) / f64::from(rows), taps, stretch, &mut table);
        }
        Self { step, denominator, taps, table, rows }
    }

    /// The output at `phase` for `window`, whose first sample is multiplied with the first tap.
    fn apply(&self, phase: u32, window: &[f32]) -> f32 {
        let row = |index: usize| &self.table[index * self.taps..(index + 1) * self.taps];
        if self.rows == self.denominator {
            return dot(row(phase as usize), window);
        }
        let position = u64::from(phase) * u64::from(self.rows);
        let index = (position / u64::from(self.denominator)) as usize;
        let fraction = (position % u64::from(self.denominator)) as f32 / self.denominator as f32;
        let (low, high) = (dot(row(index), window), dot(row(index + 1), window));
        low + (high - low) * fraction
    }
}

/// Appends the taps for an output that lies `fraction` of a sample after tap `taps / 2 - 1`.
fn push_row(fraction: f64, taps: usize, stretch: f64, table: &mut Vec<f32>) {
    let half_width = ZERO_CROSSINGS * stretch;
    let tap = |i: usize| {
        let distance = i as f64 - (taps / 2 - 1) as f64 - fraction;
        let x = distance / half_width;
        if x.abs() >= 1.0 {
            return 0.0;
        }
        let window = bessel_i0(KAISER_BETA * (1.0 - x * x).sqrt());
        let angle = std::f64::consts::PI * distance * CUTOFF / stretch;
        if angle == 0.0 { window } else { window * libm::sin(angle) / angle }
    };
    // Normalised per row, so that a constant signal stays constant up to rounding.
    let sum: f64 = (0..taps).map(tap).sum();
    table.extend((0..taps).map(|i| (tap(i) / sum) as f32));
}

/// Modified Bessel function of the first kind, order 0: power series (Abramowitz & Stegun 9.6.12).
fn bessel_i0(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let (mut term, mut sum, mut k) = (1.0, 1.0, 1.0);
    while term > sum * 1e-17 {
        term *= quarter / (k * k);
        sum += term;
        k += 1.0;
    }
    sum
}

/// Sum of products in 16 lanes, reduced in a fixed tree. Lengths are equal multiples of [`LANES`].
fn dot(taps: &[f32], samples: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    for (taps, samples) in taps.as_chunks::<LANES>().0.iter().zip(samples.as_chunks::<LANES>().0) {
        for lane in 0..LANES {
            lanes[lane] += taps[lane] * samples[lane];
        }
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}

fn greatest_common_divisor(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
