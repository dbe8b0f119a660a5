//! The same bits on x86 and on ARM: all operations on fixed input, with a digest of their results as the expected
//! value.

mod cases;

use cases::{Lcg, bits, sets};
use sotto_kernels::{
    Activation, AttentionScratch, BlockMut, Epilogue, HalfCache, Heads, KernelSet, KeyValuePanels, MatRef, Norm,
    PackedMatrix, QuantizedRowScratch, Spectrogram, SpectrogramScratch,
};

/// FNV-1a over the bits of all results, in order.
struct Digest(u64);

impl Digest {
    fn add(&mut self, values: &[f32]) {
        for byte in bits(values).into_iter().flat_map(u32::to_le_bytes) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

fn products(set: KernelSet, random: &mut Lcg, digest: &mut Digest) {
    for (rows, depth, columns) in [(1, 70, 50), (3, 33, 41), (20, 96, 64)] {
        let (input, weights) = (random.floats(rows * depth, 3.0), random.weights(columns * depth));
        let (gain, shift) = (random.floats(depth, 1.0), random.floats(depth, 1.0));
        let bias = random.floats(columns, 1.0);
        let packed =
            PackedMatrix::pack(set.layout(), depth, &weights, &random.floats(columns, 0.01)).expect("valid shapes");
        let norms = [
            Norm::None,
            Norm::Layer { weight: &gain, bias: &shift, epsilon: 1e-5 },
            Norm::RootMeanSquare { weight: &gain, epsilon: 1e-6 },
        ];
        let mut activations = set.activations(rows, depth);
        for norm in norms {
            for activation in [Activation::Identity, Activation::Gelu, Activation::Relu, Activation::Silu] {
                set.quantize(MatRef::new(&input, rows, depth), &norm, &mut activations);
                let mut out = vec![0.25; rows * columns];
                let epilogue = Epilogue { bias: Some(&bias), activation, accumulate: true };
                set.product(&activations, &packed, epilogue, BlockMut::new(&mut out, columns));
                digest.add(&out);
            }
            let mut out = vec![0.0; input.len()];
            set.normalize(&norm, depth, &input, &mut out);
            digest.add(&out);
        }
    }
}

fn functions(set: KernelSet, random: &mut Lcg, digest: &mut Digest) {
    let all = [KernelSet::exp, KernelSet::erf, KernelSet::tanh, KernelSet::sigmoid, KernelSet::gelu, KernelSet::silu];
    for function in all {
        let mut values = random.floats(500, 12.0);
        function(set, &mut values);
        digest.add(&values);
    }
    let mut scores = random.floats(300, 30.0);
    set.softmax(100, &mut scores);
    digest.add(&scores);
}

fn attention(set: KernelSet, random: &mut Lcg, digest: &mut Digest) {
    let heads = Heads::new(2, 64);
    let (rows, keys) = (11, 150);
    let q = random.floats(rows * heads.width(), 3.0);
    let (k, v) = (random.floats(keys * heads.width(), 3.0), random.floats(keys * heads.width(), 1.0));
    let mut panels = KeyValuePanels::new(heads, keys);
    panels.fill(MatRef::new(&k, keys, heads.width()), MatRef::new(&v, keys, heads.width()));
    let mut out = vec![0.0; q.len()];
    let mut scratch = AttentionScratch::new(heads.head_width());
    set.attend(MatRef::new(&q, rows, heads.width()), &panels, BlockMut::new(&mut out, heads.width()), &mut scratch);
    digest.add(&out);
    let mut cache = HalfCache::new(heads, keys);
    set.append(&mut cache, &k, &v);
    let (mut weights, mut out) = (vec![0.0; heads.count() * keys], vec![0.0; heads.width()]);
    set.attend_cached(&q[..heads.width()], &cache, &mut weights, &mut out);
    digest.add(&weights);
    digest.add(&out);
}

/// Self-attention and attention of one row in int8, and log-probabilities.
fn quantized_attention(set: KernelSet, random: &mut Lcg, digest: &mut Digest) {
    let heads = Heads::new(2, 96);
    let rows = 200;
    let projected = random.floats(3 * rows * heads.width(), 3.0);
    let mut layer = set.quantized_attention(heads);
    let mut audio = set.quantized_key_values(heads);
    for (layer, columns) in [(&mut layer, 3), (&mut audio, 2)] {
        for chunk in layer.chunks_mut(rows) {
            let range = chunk.rows();
            let all = MatRef::strided(&projected, rows, columns * heads.width(), 3 * heads.width());
            set.fill_quantized(all.rows_range(range.start, range.len()), chunk);
        }
    }
    let mut out = vec![0.0; rows * heads.width()];
    set.attend_quantized(0..rows, &layer, BlockMut::new(&mut out, heads.width()), &mut set.quantized_scratch(heads));
    digest.add(&out);
    let (mut recorded, mut out) = (vec![0.0; heads.count() * rows], vec![0.0; heads.width()]);
    let mut scratch = QuantizedRowScratch::default();
    set.attend_quantized_row(&projected[..heads.width()], &audio, Some(&mut recorded), &mut out, &mut scratch);
    digest.add(&recorded);
    digest.add(&out);
    let mut scores = random.floats(2500, 20.0);
    set.log_softmax(&mut scores);
    digest.add(&scores);
}

/// Frames of noise, and of noise that is almost silent.
fn spectrogram(set: KernelSet, random: &mut Lcg, digest: &mut Digest) {
    let filters: Vec<f32> = random.floats(20 * 201, 1.0).iter().map(|x| x.abs()).collect();
    let plan = Spectrogram::new(160, &filters);
    let mut scratch = SpectrogramScratch::default();
    for (frames, loudest) in [(1, 1.0), (11, 0.3), (16, 1e-5)] {
        let samples = random.floats(plan.samples(frames), loudest);
        let mut out = vec![0.0; frames * plan.filters()];
        set.log_spectrogram(&plan, &samples, &mut scratch, &mut out);
        digest.add(&out);
    }
}

#[test]
fn every_architecture_has_the_same_spectrogram() {
    for set in std::iter::once(KernelSet::scalar()).chain(sets()) {
        let mut random = Lcg::new(2028);
        let mut digest = Digest(0xcbf2_9ce4_8422_2325);
        spectrogram(set, &mut random, &mut digest);
        assert_eq!(format!("{:016x}", digest.0), EXPECTED_SPECTROGRAM, "{set:?}");
    }
}

#[test]
fn every_architecture_attends_in_int8_with_the_same_bits() {
    for set in std::iter::once(KernelSet::scalar()).chain(sets()) {
        let mut random = Lcg::new(2027);
        let mut digest = Digest(0xcbf2_9ce4_8422_2325);
        quantized_attention(set, &mut random, &mut digest);
        assert_eq!(format!("{:016x}", digest.0), EXPECTED_INT8, "{set:?}");
    }
}

#[test]
fn every_architecture_gives_the_same_bits() {
    for set in std::iter::once(KernelSet::scalar()).chain(sets()) {
        let mut random = Lcg::new(2026);
        let mut digest = Digest(0xcbf2_9ce4_8422_2325);
        products(set, &mut random, &mut digest);
        functions(set, &mut random, &mut digest);
        attention(set, &mut random, &mut digest);
        assert_eq!(format!("{:016x}", digest.0), EXPECTED, "{set:?}");
    }
}

/// The digest of the scalar set on x86-64. It may change only when the definition of an operation changes.
const EXPECTED: &str = "800a7df776499a1a";

/// As [`EXPECTED`].
const EXPECTED_INT8: &str = "61b08d73929add1d";

/// As [`EXPECTED`].
const EXPECTED_SPECTROGRAM: &str = "7b84b58151cfd92a";
