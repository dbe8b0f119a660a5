//! The operations that are measured.

use std::fmt;

use super::{Figure, timed};
use crate::{
    Activation, AttentionScratch, BlockMut, Epilogue, HalfCache, Heads, Int4Matrix, KernelSet, KeyValuePanels, MatRef,
    Norm, PackedMatrix, QuantizedRowScratch, Spectrogram, SpectrogramScratch, TopK,
};

/// One operation in one shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case(Operation);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Int8 {
        shape: Shape,
        activation: Activation,
        quantize: bool,
    },
    /// A product of one row, with its eight largest values.
    Ranked(Shape),
    Int4(Shape),
    Encoder {
        heads: usize,
        attention: Attention,
    },
    Decoder {
        heads: usize,
        rows: usize,
    },
    /// Cross-attention of one row to the audio's keys and values, in int8.
    Audio {
        heads: usize,
    },
    /// Layer norm and quantization of rows.
    Quantize {
        rows: usize,
        depth: usize,
    },
    /// Log-softmax of one row.
    LogSoftmax {
        columns: usize,
    },
    Spectrogram,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    rows: usize,
    depth: usize,
    columns: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attention {
    F32,
    Int8,
}

const HEAD_WIDTH: usize = 64;
/// Encoder states of a window of 30 s.
const STATES: usize = 1500;
/// Mel filters of Whisper tiny and base, here each five bins of the spectrum wide.
const FILTERS: usize = 80;

const fn shape(rows: usize, depth: usize, columns: usize) -> Shape {
    Shape { rows, depth, columns }
}

/// Shapes of Whisper tiny and base: feed-forward layers over a window, the vocabulary, one token, 20 and 4 beams.
const INT8: [Shape; 7] = [
    shape(STATES, 384, 1536),
    shape(STATES, 512, 2048),
    shape(96, 512, 2048),
    shape(20, 512, 512),
    shape(4, 512, 512),
    shape(1, 512, 2048),
    VOCABULARY,
];

/// Logits of Whisper tiny for one token.
const VOCABULARY: Shape = shape(1, 384, 51_865);

/// A language model of a billion weights: one token, four, a prompt of 64.
const INT4: [Shape; 4] = [shape(1, 2048, 5632), shape(1, 2048, 32_000), shape(4, 2048, 5632), shape(64, 2048, 5632)];

impl Case {
    /// All cases.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let int8 = |activation, quantize| INT8.map(|shape| Operation::Int8 { shape, activation, quantize });
        let heads = [6, 8];
        let encoder = heads.into_iter().flat_map(|heads| {
            [Attention::F32, Attention::Int8].map(|attention| Operation::Encoder { heads, attention })
        });
        let decoder = heads.into_iter().flat_map(|heads| [STATES, 100].map(|rows| Operation::Decoder { heads, rows }));
        int8(Activation::Identity, false)
            .into_iter()
            .chain(int8(Activation::Identity, true))
            .chain(int8(Activation::Gelu, true))
            .chain([Operation::Ranked(VOCABULARY)])
            .chain(INT4.map(Operation::Int4))
            .chain(encoder)
            .chain(decoder)
            .chain(heads.map(|heads| Operation::Audio { heads }))
            .chain([STATES, 1].map(|rows| Operation::Quantize { rows, depth: 512 }))
            .chain([Operation::LogSoftmax { columns: VOCABULARY.columns }, Operation::Spectrogram])
            .map(Self)
            .collect()
    }

    /// Whether the int8 multiply-adds of the instruction set limit this case, so that its share of the
    /// [`peak`](super::peak) is meaningful. One-row products, the decoder and f32 cases are limited otherwise.
    #[must_use]
    pub fn is_bound_by_int8_peak(&self) -> bool {
        match self.0 {
            Operation::Int8 { shape, .. } | Operation::Int4(shape) => shape.rows > 1,
            Operation::Encoder { attention, .. } => attention == Attention::Int8,
            Operation::Ranked(_)
            | Operation::Decoder { .. }
            | Operation::Audio { .. }
            | Operation::Quantize { .. }
            | Operation::LogSoftmax { .. }
            | Operation::Spectrogram => false,
        }
    }

    /// Measures it `repeats` times with the kernels of `set`. The values are made up; the speed does not depend on
    /// them.
    #[must_use]
    pub fn measure(&self, set: KernelSet, repeats: usize) -> Figure {
        match self.0 {
            Operation::Int8 { shape, activation, quantize } => int8(set, shape, activation, quantize, repeats),
            Operation::Ranked(shape) => ranked(set, shape, repeats),
            Operation::Int4(shape) => int4(set, shape, repeats),
            Operation::Encoder { heads, attention: Attention::F32 } => encoder(set, of(heads), repeats),
            Operation::Encoder { heads, attention: Attention::Int8 } => int8_encoder(set, of(heads), repeats),
            Operation::Decoder { heads, rows } => decoder(set, of(heads), rows, repeats),
            Operation::Audio { heads } => audio(set, of(heads), repeats),
            Operation::Quantize { rows, depth } => quantize(set, rows, depth, repeats),
            Operation::LogSoftmax { columns } => log_softmax(set, columns, repeats),
            Operation::Spectrogram => spectrogram(set, repeats),
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Operation::Int8 { shape, activation, quantize } => {
                let (quantize, activation) = match (quantize, activation) {
                    (true, Activation::Gelu) => (", rows quantized", ", GELU"),
                    (true, _) => (", rows quantized", ""),
                    (false, _) => ("", ""),
                };
                write!(f, "int8 product {shape}{quantize}{activation}")
            }
            Operation::Ranked(shape) => write!(f, "int8 product {shape}, with its 8 greatest values"),
            Operation::Int4(shape) => write!(f, "int4 product {shape}, rows quantized"),
            Operation::Encoder { heads, attention } => {
                let kind = if attention == Attention::F32 { "f32" } else { "int8" };
                write!(f, "{kind} attention, {STATES} rows, {heads} heads")
            }
            Operation::Decoder { heads, rows } => write!(f, "attention of one row, {rows} cached, {heads} heads"),
            Operation::Audio { heads } => write!(f, "int8 attention of one row, {STATES} rows of audio, {heads} heads"),
            Operation::Quantize { rows, depth } => write!(f, "layer norm and quantization, {rows} × {depth}"),
            Operation::LogSoftmax { columns } => write!(f, "log-softmax of {columns} values"),
            Operation::Spectrogram => write!(f, "log-spectrogram, {} frames, {FILTERS} filters", 2 * STATES),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} × {} × {}", self.rows, self.depth, self.columns)
    }
}

impl Shape {
    fn macs(self) -> u64 {
        (self.rows * self.depth * self.columns) as u64
    }
}

fn of(heads: usize) -> Heads {
    Heads::new(heads, heads * HEAD_WIDTH)
}

fn values(len: usize, seed: usize) -> Vec<f32> {
    (0..len).map(|i| ((i + seed) * 7919 % 1009) as f32 / 504.0 - 1.0).collect()
}

fn int8_weights(set: KernelSet, Shape { depth, columns, .. }: Shape) -> PackedMatrix {
    let weights: Vec<i8> = (0..columns * depth).map(|i| ((i * 31 % 255) as i32 - 127) as i8).collect();
    PackedMatrix::pack(set.layout(), depth, &weights, &vec![0.01; columns]).expect("valid shapes")
}

fn ranked(set: KernelSet, shape: Shape, repeats: usize) -> Figure {
    let Shape { depth, columns, .. } = shape;
    let weights = int8_weights(set, shape);
    let input = values(depth, 0);
    let mut out = vec![0.0; columns];
    let mut best = TopK::new(8);
    let mut activations = set.activations(1, depth);
    set.quantize(MatRef::new(&input, 1, depth), &Norm::None, &mut activations);
    timed(repeats, shape.macs(), (depth * columns) as u64, || {
        set.product_ranked(&activations, &weights, Epilogue::default(), &mut out, &mut best);
    })
}

fn int8(set: KernelSet, shape: Shape, activation: Activation, quantize: bool, repeats: usize) -> Figure {
    let Shape { rows, depth, columns } = shape;
    let weights = int8_weights(set, shape);
    let input = values(rows * depth, 0);
    let bias = vec![0.5; columns];
    let mut out = vec![0.0; rows * columns];
    let mut activations = set.activations(rows, depth);
    set.quantize(MatRef::new(&input, rows, depth), &Norm::None, &mut activations);
    let epilogue = Epilogue { bias: Some(&bias), activation, accumulate: false };
    timed(repeats, shape.macs(), (depth * columns) as u64, || {
        if quantize {
            set.quantize(MatRef::new(&input, rows, depth), &Norm::None, &mut activations);
        }
        set.product(&activations, &weights, epilogue, BlockMut::new(&mut out, columns));
    })
}

fn int4(set: KernelSet, shape: Shape, repeats: usize) -> Figure {
    let Shape { rows, depth, columns } = shape;
    let weights: Vec<i8> = (0..columns * depth).map(|i| (i * 31 % 16) as i8 - 8).collect();
    // 2^-7 as a half float.
    let weights = Int4Matrix::pack(set.layout(), depth, &weights, &vec![0x2000; columns * depth / 32]);
    let weights = weights.expect("valid shapes");
    let input = values(rows * depth, 0);
    let mut out = vec![0.0; rows * columns];
    let mut activations = set.activations(rows, depth);
    timed(repeats, shape.macs(), weights.bytes().len() as u64, || {
        set.quantize_for_int4(MatRef::new(&input, rows, depth), &Norm::None, &mut activations);
        set.product_int4(&activations, &weights, Epilogue::default(), BlockMut::new(&mut out, columns));
    })
}

/// Multiply-accumulates of the scores and results of all heads of one layer.
fn encoder_macs(heads: Heads) -> u64 {
    (2 * STATES * STATES * heads.width()) as u64
}

fn encoder(set: KernelSet, heads: Heads, repeats: usize) -> Figure {
    let (rows, width) = (STATES, heads.width());
    let [q, k, v] = [0, 1, 2].map(|seed| values(rows * width, seed));
    let view = |values| MatRef::new(values, rows, width);
    let mut panels = KeyValuePanels::new(heads, rows);
    let mut out = vec![0.0; rows * width];
    let mut scratch = AttentionScratch::new(heads.head_width());
    timed(repeats, encoder_macs(heads), (8 * rows * width) as u64, || {
        panels.fill(view(&k), view(&v));
        set.attend(view(&q), &panels, BlockMut::new(&mut out, width), &mut scratch);
    })
}

fn int8_encoder(set: KernelSet, heads: Heads, repeats: usize) -> Figure {
    let (rows, width) = (STATES, heads.width());
    let projected = values(3 * rows * width, 0);
    let view = MatRef::new(&projected, rows, 3 * width);
    let (mut layer, mut scratch) = (set.quantized_attention(heads), set.quantized_scratch(heads));
    let mut out = vec![0.0; rows * width];
    timed(repeats, encoder_macs(heads), (2 * rows * width) as u64, || {
        for chunk in layer.chunks_mut(rows) {
            let range = chunk.rows();
            set.fill_quantized(view.rows_range(range.start, range.len()), chunk);
        }
        set.attend_quantized(0..rows, &layer, BlockMut::new(&mut out, width), &mut scratch);
    })
}

fn decoder(set: KernelSet, heads: Heads, rows: usize, repeats: usize) -> Figure {
    let [k, v] = [1, 2].map(|seed| values(rows * heads.width(), seed));
    let mut cache = HalfCache::new(heads, rows);
    set.append(&mut cache, &k, &v);
    let q = values(heads.width(), 3);
    let mut out = vec![0.0; heads.width()];
    let mut weights = vec![0.0; heads.count() * rows];
    let macs = (2 * rows * heads.width()) as u64;
    timed(repeats, macs, 2 * macs, || set.attend_cached(&q, &cache, &mut weights, &mut out))
}

fn audio(set: KernelSet, heads: Heads, repeats: usize) -> Figure {
    let projected = values(2 * STATES * heads.width(), 1);
    let view = MatRef::new(&projected, STATES, 2 * heads.width());
    let mut layer = set.quantized_key_values(heads);
    for chunk in layer.chunks_mut(STATES) {
        let range = chunk.rows();
        set.fill_quantized(view.rows_range(range.start, range.len()), chunk);
    }
    let q = values(heads.width(), 3);
    let mut out = vec![0.0; heads.width()];
    let mut scratch = QuantizedRowScratch::default();
    let macs = (2 * STATES * heads.width()) as u64;
    timed(repeats, macs, macs, || set.attend_quantized_row(&q, &layer, None, &mut out, &mut scratch))
}

/// Counts one multiply-add per value: the scaling of the norm.
fn quantize(set: KernelSet, rows: usize, depth: usize, repeats: usize) -> Figure {
    let (input, ones) = (values(rows * depth, 0), vec![1.0; depth]);
    let mut activations = set.activations(rows, depth);
    let norm = Norm::Layer { weight: &ones, bias: &ones, epsilon: 1e-5 };
    timed(repeats, (rows * depth) as u64, (4 * rows * depth) as u64, || {
        set.quantize(MatRef::new(&input, rows, depth), &norm, &mut activations);
    })
}

/// Counts one multiply-add per value. Every run works on the results of the one before, which are log-probabilities
/// too.
fn log_softmax(set: KernelSet, columns: usize, repeats: usize) -> Figure {
    let mut row = values(columns, 0);
    timed(repeats, columns as u64, (4 * columns) as u64, || set.log_softmax(&mut row))
}

/// The log-mel spectrogram of a window of 30 s. Only the multiply-adds of the filters are counted.
fn spectrogram(set: KernelSet, repeats: usize) -> Figure {
    let frames = 2 * STATES;
    let filters: Vec<f32> =
        (0..FILTERS * 201).map(|i| if (i % 201).abs_diff(2 * (i / 201)) < 3 { 0.1 } else { 0.0 }).collect();
    let plan = Spectrogram::new(160, &filters);
    let mut scratch = SpectrogramScratch::default();
    let samples = values(plan.samples(frames), 0);
    let mut out = vec![0.0; frames * FILTERS];
    timed(repeats, (5 * out.len()) as u64, (4 * samples.len()) as u64, || {
        set.log_spectrogram(&plan, &samples, &mut scratch, &mut out);
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_case_has_a_name_of_its_own() {
        let cases = Case::all();
        let names: HashSet<String> = cases.iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), cases.len());
    }

    /// The counts of a figure follow from the shape of its case.
    #[test]
    fn figures_count_what_was_done() {
        let figure = Case(Operation::Int8 { shape: shape(2, 32, 48), activation: Activation::Gelu, quantize: true })
            .measure(KernelSet::best(), 3);
        assert_eq!((figure.macs, figure.bytes), (2 * 32 * 48, 32 * 48));
        assert!(figure.best <= figure.median);
        assert!(figure.macs_per_second() > figure.bytes_per_second());
        let cached = Case(Operation::Decoder { heads: 1, rows: 7 }).measure(KernelSet::best(), 1);
        assert_eq!((cached.macs, cached.bytes), (2 * 7 * 64, 4 * 7 * 64));
    }
}
