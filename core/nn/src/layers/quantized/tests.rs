//! Quantized blocks of every family, compared with the same blocks in f32.

use sotto_kernels::{Activation, Heads, KernelSet};
use sotto_runtime::{CancelToken, Cancelled, Threads};

use super::*;
use crate::layers::{
    Backend, Biased, HalfMemory, KvMemory, NormKind, NormPlace, Part, Rotary, RotaryPairs, TensorSource, exact,
};
use crate::search::{Memory, Network, Pass, Recording, Rng, Row};
use crate::weights::WeightError;

/// The choices in which families of transformers differ.
#[derive(Debug, Clone, Copy)]
struct Family {
    heads: Heads,
    norm: NormKind,
    place: NormPlace,
    activation: Activation,
    gated: bool,
    rotary: Option<RotaryPairs>,
    attends_to_sources: bool,
}

const WIDTH: usize = 128;
const HIDDEN: usize = 192;
const POSITIONS: usize = 64;

fn families() -> [Family; 3] {
    let whisper = Family {
        heads: Heads::new(2, WIDTH),
        norm: NormKind::LAYER,
        place: NormPlace::Before,
        activation: Activation::Gelu,
        gated: false,
        rotary: None,
        attends_to_sources: true,
    };
    let marian =
        Family { place: NormPlace::After, activation: Activation::Relu, heads: Heads::new(4, WIDTH), ..whisper };
    let llama = Family {
        heads: Heads::grouped(4, 2, WIDTH / 4),
        norm: NormKind::RootMeanSquare { epsilon: 1e-5 },
        activation: Activation::Silu,
        gated: true,
        rotary: Some(RotaryPairs::Halves),
        attends_to_sources: false,
        ..whisper
    };
    [whisper, marian, llama]
}

/// Random tensors, the same for the same name.
struct Random;

impl TensorSource for Random {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightError> {
        let seed = name.bytes().fold(7u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let centre = if name.contains("norm.weight") { 1.0 } else { 0.0 };
        Ok(values(shape.iter().product(), seed).iter().map(|value| centre + 0.2 * value).collect())
    }

    fn contains(&self, _: &str) -> bool {
        true
    }
}

fn values(count: usize, seed: u64) -> Vec<f32> {
    let mut rng = Rng::new(seed);
    (0..count).map(|_| 2.0 * rng.next_f64() as f32 - 1.0).collect()
}

impl Family {
    fn rotary(self) -> Option<Rotary> {
        self.rotary.map(|pairs| Rotary::new(pairs, self.heads.head_width(), POSITIONS, 10_000.0))
    }

    fn exact_attention(self, name: &str, rotary: Option<Rotary>) -> exact::Attention {
        let linear = |part: &str, inputs, outputs| {
            exact::Linear::load_without_bias(&Random, &format!("{name}.{part}"), inputs, outputs).unwrap()
        };
        let (width, key_values) = (self.heads.width(), self.heads.key_value_width());
        exact::Attention {
            norm: exact::Norm::load(&Random, &format!("{name}.norm"), self.norm, WIDTH).unwrap(),
            place: self.place,
            query: linear("q", WIDTH, width),
            key: linear("k", WIDTH, key_values),
            value: linear("v", WIDTH, key_values),
            out: linear("out", width, WIDTH),
            heads: self.heads,
            rotary,
        }
    }

    fn exact_feed_forward(self, name: &str) -> exact::FeedForward {
        let linear = |part: &str, inputs, outputs| {
            exact::Linear::load(&Random, &format!("{name}.{part}"), inputs, outputs).unwrap()
        };
        exact::FeedForward {
            norm: exact::Norm::load(&Random, &format!("{name}.norm"), self.norm, WIDTH).unwrap(),
            place: self.place,
            inner: linear("inner", WIDTH, HIDDEN),
            gate: self.gated.then(|| linear("gate", WIDTH, HIDDEN)),
            activation: self.activation,
            outer: linear("outer", HIDDEN, WIDTH),
        }
    }

    fn stacked(self, backend: &Backend, name: &str, parts: &[(&str, usize)], inputs: usize) -> Linear {
        let named: Vec<_> = parts.iter().map(|(part, outputs)| (format!("{name}.{part}"), *outputs)).collect();
        let parts: Vec<_> =
            named.iter().map(|(name, outputs)| Part { name, biased: Biased::No, outputs: *outputs }).collect();
        Linear::stacked(&Random, backend, &parts, inputs).unwrap()
    }

    fn self_attention(self, backend: &Backend, name: &str) -> SelfAttention {
        let (width, key_values) = (self.heads.width(), self.heads.key_value_width());
        SelfAttention {
            norm: Norm::load(&Random, &format!("{name}.norm"), self.norm, WIDTH).unwrap(),
            place: self.place,
            projections: self.stacked(backend, name, &[("q", width), ("k", key_values), ("v", key_values)], WIDTH),
            out: self.stacked(backend, name, &[("out", WIDTH)], width),
            heads: self.heads,
            rotary: self.rotary(),
        }
    }

    fn cross_attention(self, backend: &Backend, name: &str) -> CrossAttention {
        let width = self.heads.width();
        CrossAttention {
            norm: Norm::load(&Random, &format!("{name}.norm"), self.norm, WIDTH).unwrap(),
            place: self.place,
            query: self.stacked(backend, name, &[("q", width)], WIDTH),
            projections: self.stacked(backend, name, &[("k", width), ("v", width)], WIDTH),
            out: self.stacked(backend, name, &[("out", WIDTH)], width),
            heads: self.heads,
        }
    }

    fn feed_forward(self, backend: &Backend, name: &str) -> FeedForward {
        let linear = |part: &str, inputs, outputs| {
            Linear::load(&Random, backend, &format!("{name}.{part}"), inputs, outputs).unwrap()
        };
        FeedForward {
            norm: Norm::load(&Random, &format!("{name}.norm"), self.norm, WIDTH).unwrap(),
            place: self.place,
            inner: linear("inner", WIDTH, HIDDEN),
            gate: self.gated.then(|| linear("gate", WIDTH, HIDDEN)),
            activation: self.activation,
            outer: linear("outer", HIDDEN, WIDTH),
        }
    }
}

/// Only names the types of memory and source of a decoder pass; the blocks are fed directly.
#[derive(Debug)]
struct Types<M, S>(std::marker::PhantomData<(M, S)>);

impl<M: Memory + Sync, S: std::fmt::Debug + Send + Sync> Network for Types<M, S> {
    type Memory = M;
    type Source = S;
    type Scratch = ();

    const CUTS: bool = true;

    fn scratch(&self) {}

    fn memory(&self, _: usize) -> M {
        unreachable!("tests make memories")
    }

    fn feed(&self, _: Pass<'_, '_, Self>, (): &mut ()) -> Result<(), Cancelled> {
        unreachable!("tests feed the blocks")
    }

    fn logits<'s>(&self, _: &[usize], (): &'s mut (), _: Threads) -> &'s mut [f32] {
        unreachable!("blocks have no output layer")
    }
}

/// Cosine similarity of two results.
fn likeness(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    product(found, expected) / (product(found, found) * product(expected, expected)).sqrt()
}

// Rounding to eight bits in two blocks changes the direction of results by one or two degrees.
const ALIKE: f64 = 0.999;

/// Interleaved rows of three texts; the first two texts attend to one source, the third to another.
fn rows() -> Vec<Row> {
    let row = |hypothesis| Row { hypothesis, source: hypothesis / 2, token: 0 };
    [0, 0, 1, 0, 1, 2, 2, 2].map(row).to_vec()
}

/// Outputs in f32, and the recorded cross-attention of the heads (0, 1) and (1, 0).
fn exact_decoder(family: Family, x: &mut [f32], recorded: bool) -> Vec<Vec<f32>> {
    let block = |index: usize| exact::DecoderBlock {
        own: family.exact_attention(&format!("{index}.own"), family.rotary()),
        cross: family.attends_to_sources.then(|| family.exact_attention(&format!("{index}.cross"), None)),
        feed_forward: family.exact_feed_forward(&format!("{index}.ff")),
    };
    let stack = exact::DecoderStack { blocks: (0..2).map(block).collect(), positions: POSITIONS };
    let cancel = CancelToken::new();
    let rows = rows();
    let mut buffers = exact::BlockBuffers::default();
    let source = |states: &[f32]| stack.project(states, None, Threads::ONE, &cancel).unwrap();
    let sources = sources().map(|states| source(&states));
    let mut memories = [20, 20, 20].map(|positions| stack.memory(positions));
    let mut recording = Recording::new(&[(0, 1), (1, 0)]);
    for (rows, x) in rows.chunks(5).zip(x.chunks_mut(5 * WIDTH)) {
        buffers.place(rows, &memories);
        let recording = recorded.then_some(&mut recording);
        let (memories, threads) = (&mut memories[..], Threads::ONE);
        let pass: Pass<'_, '_, Types<KvMemory, Vec<exact::KeyValues>>> =
            Pass { rows, memories, sources: &sources, recording, threads, cancel: &cancel };
        stack.feed(x, pass, &mut buffers).unwrap();
    }
    recording.weights
}

fn quantized_decoder(
    family: Family,
    precision: QuantizedPrecision,
    threads: Threads,
    x: &mut [f32],
    recorded: bool,
) -> Vec<Vec<f32>> {
    let backend = Backend::with_kernels(KernelSet::best(), threads);
    let block = |index: usize| DecoderBlock {
        own: family.self_attention(&backend, &format!("{index}.own")),
        cross: family.attends_to_sources.then(|| family.cross_attention(&backend, &format!("{index}.cross"))),
        feed_forward: family.feed_forward(&backend, &format!("{index}.ff")),
    };
    let stack = DecoderStack::new(&backend, (0..2).map(block).collect(), family.heads, POSITIONS, precision);
    let cancel = CancelToken::new();
    let rows = rows();
    let mut buffers = stack.buffers();
    // Reuses the memory of a longer source.
    let sources = sources().map(|states| {
        let kept = stack.project(&values(40 * WIDTH, 3), None, &buffers, &cancel).unwrap();
        stack.project(&states, Some(kept), &buffers, &cancel).unwrap()
    });
    let mut memories = [20, 20, 20].map(|positions| stack.memory(positions));
    let mut recording = Recording::new(&[(0, 1), (1, 0)]);
    for (rows, x) in rows.chunks(5).zip(x.chunks_mut(5 * WIDTH)) {
        buffers.place(rows, &memories);
        let recording = recorded.then_some(&mut recording);
        let memories = &mut memories[..];
        let pass: Pass<'_, '_, Types<HalfMemory, Vec<KeyValues>>> =
            Pass { rows, memories, sources: &sources, recording, threads, cancel: &cancel };
        stack.feed(x, pass, &mut buffers).unwrap();
    }
    recording.weights
}

fn sources() -> [Vec<f32>; 2] {
    [values(9 * WIDTH, 11), values(30 * WIDTH, 12)]
}

#[test]
fn decoder_blocks_of_every_family_compute_what_f32_computes() {
    for family in families() {
        let start = values(rows().len() * WIDTH, 1);
        let mut expected = start.clone();
        let attention = exact_decoder(family, &mut expected, true);
        for precision in [QuantizedPrecision::Int8, QuantizedPrecision::Mixed] {
            for threads in [1, 3].map(Threads::new) {
                let mut found = start.clone();
                let seen = quantized_decoder(family, precision, threads, &mut found, true);
                assert!(likeness(&found, &start) < 0.95, "{family:?}: nothing happened");
                assert!(
                    likeness(&found, &expected) > ALIKE,
                    "{family:?} {precision:?} {}",
                    likeness(&found, &expected)
                );
                for (seen, expected) in seen.iter().zip(&attention).filter(|_| family.attends_to_sources) {
                    assert!(likeness(seen, expected) > 0.999, "{family:?} {precision:?}");
                }
                let mut unrecorded = start.clone();
                quantized_decoder(family, precision, threads, &mut unrecorded, false);
                assert!(unrecorded == found, "{family:?} {precision:?}: recording changes the result");
            }
        }
    }
}

#[test]
fn encoder_blocks_of_every_family_compute_what_f32_computes() {
    let cancel = CancelToken::new();
    for family in families() {
        // Only decoders have grouped heads.
        let family = Family { heads: Heads::new(family.heads.count(), WIDTH), ..family };
        let start = values(POSITIONS * WIDTH, 2);
        let block = |index: usize| exact::EncoderBlock {
            attention: family.exact_attention(&format!("{index}.own"), family.rotary()),
            feed_forward: family.exact_feed_forward(&format!("{index}.ff")),
        };
        let mut expected = start.clone();
        let stack = exact::EncoderStack((0..2).map(block).collect());
        stack.forward(&mut expected, &mut exact::BlockBuffers::default(), Threads::ONE, &cancel).unwrap();
        for (precision, threads) in
            [(QuantizedPrecision::Int8, 1), (QuantizedPrecision::Int8, 2), (QuantizedPrecision::Mixed, 2)]
        {
            let backend = Backend::with_kernels(KernelSet::best(), Threads::new(threads));
            let block = |index: usize| EncoderBlock {
                attention: family.self_attention(&backend, &format!("{index}.own")),
                feed_forward: family.feed_forward(&backend, &format!("{index}.ff")),
            };
            let stack = EncoderStack::new(&backend, (0..2).map(block).collect(), family.heads, precision);
            let (mut found, mut buffers) = (start.clone(), stack.buffers());
            stack.forward(&mut found, &mut buffers, &cancel).unwrap();
            assert!(likeness(&found, &start) < 0.95, "{family:?}: nothing happened");
            assert!(likeness(&found, &expected) > ALIKE, "{family:?} {precision:?} {}", likeness(&found, &expected));
            let mut again = start.clone();
            stack.forward(&mut again, &mut buffers, &cancel).unwrap();
            assert!(again == found, "{family:?} {precision:?}: buffers keep something");
        }
    }
}
