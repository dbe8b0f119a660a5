//! A Marian: norms after the layers, ReLU, sinusoidal positions, an encoder with cross-attention, an output layer with
//! a bias (Junczys-Dowmunt et al. 2018).

use sotto_kernels::{Activation, Heads};
use sotto_nn::layers::exact::{
    Attention, BlockBuffers, DecoderBlock, DecoderStack, Embedding, EncoderBlock, EncoderStack, FeedForward, KeyValues,
    Linear, Norm,
};
use sotto_nn::layers::{KvMemory, NormKind, NormPlace, TensorSource, pick, sinusoids};
use sotto_nn::search::{Network, Pass, Rng};
use sotto_nn::weights::WeightError;
use sotto_runtime::{CancelToken, Cancelled, Threads};

use super::Tensors;

pub const WIDTH: usize = 48;
pub const HEADS: usize = 4;
pub const HIDDEN: usize = 80;
pub const BLOCKS: usize = 2;
pub const VOCABULARY: usize = 70;
pub const POSITIONS: usize = 64;

#[derive(Debug)]
pub struct Marian {
    tokens: Embedding,
    positions: Vec<f32>,
    encoder: EncoderStack,
    decoder: DecoderStack,
    /// The output layer: over all tokens, or over a shortlist.
    output: Embedding,
}

#[derive(Debug, Default)]
pub struct Scratch {
    blocks: BlockBuffers,
    x: Vec<f32>,
    picked: Vec<f32>,
    logits: Vec<f32>,
}

impl Marian {
    pub fn load(source: &impl TensorSource) -> Result<Self, WeightError> {
        let attention = |block: &str, name: &str| -> Result<Attention, WeightError> {
            let name = format!("{block}.{name}");
            let linear = |part: &str| Linear::load(source, &format!("{name}.{part}_proj"), WIDTH, WIDTH);
            Ok(Attention {
                norm: Norm::load(source, &format!("{name}_layer_norm"), NormKind::LAYER, WIDTH)?,
                place: NormPlace::After,
                query: linear("q")?,
                key: linear("k")?,
                value: linear("v")?,
                out: linear("out")?,
                heads: Heads::new(HEADS, WIDTH),
                rotary: None,
            })
        };
        let feed_forward = |block: &str| -> Result<FeedForward, WeightError> {
            Ok(FeedForward {
                norm: Norm::load(source, &format!("{block}.final_layer_norm"), NormKind::LAYER, WIDTH)?,
                place: NormPlace::After,
                inner: Linear::load(source, &format!("{block}.fc1"), WIDTH, HIDDEN)?,
                gate: None,
                activation: Activation::Relu,
                outer: Linear::load(source, &format!("{block}.fc2"), HIDDEN, WIDTH)?,
            })
        };
        let encoder = |index: usize| {
            let name = format!("model.encoder.layers.{index}");
            Ok(EncoderBlock { attention: attention(&name, "self_attn")?, feed_forward: feed_forward(&name)? })
        };
        let decoder = |index: usize| {
            let name = format!("model.decoder.layers.{index}");
            let (own, cross) = (attention(&name, "self_attn")?, attention(&name, "encoder_attn")?);
            Ok(DecoderBlock { own, cross: Some(cross), feed_forward: feed_forward(&name)? })
        };
        let tokens = || Embedding::load(source, "model.shared.weight", VOCABULARY, WIDTH);
        Ok(Self {
            tokens: tokens()?,
            positions: sinusoids(POSITIONS, WIDTH),
            encoder: EncoderStack((0..BLOCKS).map(encoder).collect::<Result<_, WeightError>>()?),
            decoder: DecoderStack {
                blocks: (0..BLOCKS).map(decoder).collect::<Result<_, WeightError>>()?,
                positions: POSITIONS,
            },
            output: tokens()?.with_bias(source, "final_logits_bias", &[1, VOCABULARY])?,
        })
    }

    /// The same network with an output layer over a shortlist only.
    pub fn with_shortlist(mut self, tokens: &[u32]) -> Self {
        self.output = self.output.select(tokens).expect("tokens of the vocabulary");
        self
    }

    /// Encodes a sentence to the keys and values of the decoder's cross-attention.
    pub fn encode(&self, sentence: &[u32], threads: Threads) -> Vec<KeyValues> {
        let mut x = Vec::new();
        (0..).zip(sentence).for_each(|(position, &token)| self.embed(token, position, &mut x));
        let cancel = CancelToken::new();
        self.encoder.forward(&mut x, &mut BlockBuffers::default(), threads, &cancel).expect("nobody cancels");
        self.decoder.project(&x, None, threads, &cancel).expect("nobody cancels")
    }

    fn embed(&self, token: u32, position: usize, x: &mut Vec<f32>) {
        let token = self.tokens.row(token as usize).expect("a token of the vocabulary");
        let place = &self.positions[position * WIDTH..(position + 1) * WIDTH];
        x.extend(token.iter().zip(place).map(|(token, place)| token * (WIDTH as f32).sqrt() + place));
    }
}

impl Network for Marian {
    type Memory = KvMemory;
    type Source = Vec<KeyValues>;
    type Scratch = Scratch;

    const CUTS: bool = true;

    fn scratch(&self) -> Scratch {
        Scratch::default()
    }

    fn memory(&self, positions: usize) -> KvMemory {
        self.decoder.memory(positions)
    }

    fn feed(&self, pass: Pass<'_, '_, Self>, scratch: &mut Scratch) -> Result<(), Cancelled> {
        let Scratch { blocks, x, .. } = scratch;
        x.clear();
        let positions = blocks.place(pass.rows, pass.memories);
        pass.rows.iter().zip(positions).for_each(|(row, &position)| self.embed(row.token, position, x));
        self.decoder.feed(x, pass, blocks)
    }

    fn logits<'s>(&self, picked: &[usize], scratch: &'s mut Scratch, threads: Threads) -> &'s mut [f32] {
        let Scratch { x, picked: rows, logits, .. } = scratch;
        pick(x, WIDTH, picked, rows);
        logits.resize(picked.len() * self.output.vocabulary(), 0.0);
        self.output.logits(rows, logits, threads);
        logits
    }
}

/// Random weights, large enough that different sentences give different texts.
pub fn random_weights(seed: u64) -> Tensors {
    let (mut tensors, mut rng) = (Tensors::default(), Rng::new(seed));
    let (mut add, range) = (
        |name: String, shape: &[usize], centre, range| {
            tensors.random(&mut rng, name, shape, centre, range);
        },
        0.5,
    );
    add("model.shared.weight".to_owned(), &[VOCABULARY, WIDTH], 0.0, 0.3);
    add("final_logits_bias".to_owned(), &[1, VOCABULARY], 0.0, 1.0);
    for (side, attentions) in [("encoder", &["self_attn"][..]), ("decoder", &["self_attn", "encoder_attn"])] {
        for block in (0..BLOCKS).map(|index| format!("model.{side}.layers.{index}")) {
            let norms = attentions.iter().map(|name| format!("{name}_layer_norm"));
            for norm in norms.chain(["final_layer_norm".to_owned()]) {
                add(format!("{block}.{norm}.weight"), &[WIDTH], 1.0, range);
                add(format!("{block}.{norm}.bias"), &[WIDTH], 0.0, range);
            }
            let projections = attentions.iter().flat_map(|name| ["q", "k", "v", "out"].map(|part| (name, part)));
            for (name, part) in projections {
                add(format!("{block}.{name}.{part}_proj.weight"), &[WIDTH, WIDTH], 0.0, range);
                add(format!("{block}.{name}.{part}_proj.bias"), &[WIDTH], 0.0, range);
            }
            for (name, outputs, inputs) in [("fc1", HIDDEN, WIDTH), ("fc2", WIDTH, HIDDEN)] {
                add(format!("{block}.{name}.weight"), &[outputs, inputs], 0.0, range);
                add(format!("{block}.{name}.bias"), &[outputs], 0.0, range);
            }
        }
    }
    tensors
}
