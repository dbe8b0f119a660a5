//! A Llama: RMS norms before the layers, rotary positions, grouped heads, a gated SiLU, self-attention only (Touvron et
//! al. 2023).

use std::io::Read;
use std::path::Path;

use sotto_kernels::{Activation, Heads};
use sotto_nn::layers::exact::{
    Attention, BlockBuffers, DecoderBlock, DecoderStack, Embedding, FeedForward, KeyValues, Linear, Norm,
};
use sotto_nn::layers::{KvMemory, NormKind, NormPlace, Rotary, RotaryPairs, TensorSource, pick};
use sotto_nn::search::{Network, Pass};
use sotto_nn::weights::WeightError;
use sotto_runtime::{Cancelled, Threads};

use super::Tensors;

const NORM: NormKind = NormKind::RootMeanSquare { epsilon: 1e-5 };

/// Sizes of the network.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    pub width: usize,
    pub hidden: usize,
    pub blocks: usize,
    pub heads: usize,
    pub key_values: usize,
    pub vocabulary: usize,
    pub positions: usize,
}

impl Sizes {
    pub fn heads(self) -> Heads {
        Heads::grouped(self.heads, self.key_values, self.width / self.heads)
    }
}

#[derive(Debug)]
pub struct Llama {
    sizes: Sizes,
    tokens: Embedding,
    blocks: DecoderStack,
    norm: Norm,
}

#[derive(Debug, Default)]
pub struct Scratch {
    blocks: BlockBuffers,
    x: Vec<f32>,
    picked: Vec<f32>,
    normed: Vec<f32>,
    logits: Vec<f32>,
}

impl Llama {
    pub fn load(source: &impl TensorSource, sizes: Sizes) -> Result<Self, WeightError> {
        let Sizes { width, hidden, vocabulary, positions, .. } = sizes;
        let heads = sizes.heads();
        let rotary = Rotary::new(RotaryPairs::Neighbours, heads.head_width(), positions, 10_000.0);
        let block = |index: usize| {
            let name = format!("model.layers.{index}");
            let norm = |part: &str| Norm::load(source, &format!("{name}.{part}"), NORM, width);
            let linear = |part: &str, inputs, outputs| {
                Linear::load_without_bias(source, &format!("{name}.{part}_proj"), inputs, outputs)
            };
            let attention = Attention {
                norm: norm("input_layernorm")?,
                place: NormPlace::Before,
                query: linear("self_attn.q", width, heads.width())?,
                key: linear("self_attn.k", width, heads.key_value_width())?,
                value: linear("self_attn.v", width, heads.key_value_width())?,
                out: linear("self_attn.o", heads.width(), width)?,
                heads,
                rotary: Some(rotary.clone()),
            };
            let feed_forward = FeedForward {
                norm: norm("post_attention_layernorm")?,
                place: NormPlace::Before,
                inner: linear("mlp.up", width, hidden)?,
                gate: Some(linear("mlp.gate", width, hidden)?),
                activation: Activation::Silu,
                outer: linear("mlp.down", hidden, width)?,
            };
            Ok(DecoderBlock { own: attention, cross: None, feed_forward })
        };
        Ok(Self {
            sizes,
            tokens: Embedding::load(source, "model.embed_tokens.weight", vocabulary, width)?,
            blocks: DecoderStack {
                blocks: (0..sizes.blocks).map(block).collect::<Result<_, WeightError>>()?,
                positions,
            },
            norm: Norm::load(source, "model.norm", NORM, width)?,
        })
    }
}

impl Network for Llama {
    type Memory = KvMemory;
    type Source = Vec<KeyValues>;
    type Scratch = Scratch;

    const CUTS: bool = true;

    fn scratch(&self) -> Scratch {
        Scratch::default()
    }

    fn memory(&self, positions: usize) -> KvMemory {
        self.blocks.memory(positions)
    }

    fn feed(&self, pass: Pass<'_, '_, Self>, scratch: &mut Scratch) -> Result<(), Cancelled> {
        let Scratch { blocks, x, .. } = scratch;
        blocks.place(pass.rows, pass.memories);
        x.clear();
        for row in pass.rows {
            x.extend_from_slice(self.tokens.row(row.token as usize).expect("a token of the vocabulary"));
        }
        self.blocks.feed(x, pass, blocks)
    }

    fn logits<'s>(&self, picked: &[usize], scratch: &'s mut Scratch, threads: Threads) -> &'s mut [f32] {
        let Scratch { x, picked: rows, normed, logits, .. } = scratch;
        pick(x, self.sizes.width, picked, rows);
        normed.resize(rows.len(), 0.0);
        self.norm.forward(rows, normed);
        logits.resize(picked.len() * self.tokens.vocabulary(), 0.0);
        self.tokens.logits(normed, logits, threads);
        logits
    }
}

/// Reads a file of llama2.c: seven sizes, then f32 tensors, each for all blocks one after the other.
pub fn read_llama2c(path: &Path) -> (Sizes, Tensors) {
    let mut file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
    let mut number = || {
        let mut bytes = [0; 4];
        file.read_exact(&mut bytes).unwrap();
        bytes
    };
    let [width, hidden, blocks, heads, key_values, vocabulary, positions] =
        std::array::from_fn(|_| i32::from_le_bytes(number()) as usize);
    let sizes = Sizes { width, hidden, blocks, heads, key_values, vocabulary, positions };
    let mut tensors = Tensors::default();
    let mut read = |shape: &[usize]| -> Vec<f32> {
        (0..shape.iter().product::<usize>()).map(|_| f32::from_le_bytes(number())).collect()
    };
    tensors.insert("model.embed_tokens.weight", &[vocabulary, width], read(&[vocabulary, width]));
    let (kv, shape) = (sizes.heads().key_value_width(), |a: usize, b: usize| vec![a, b]);
    for (name, shape) in [
        ("input_layernorm", vec![width]),
        ("self_attn.q_proj", shape(width, width)),
        ("self_attn.k_proj", shape(kv, width)),
        ("self_attn.v_proj", shape(kv, width)),
        ("self_attn.o_proj", shape(width, width)),
        ("post_attention_layernorm", vec![width]),
        ("mlp.gate_proj", shape(hidden, width)),
        ("mlp.down_proj", shape(width, hidden)),
        ("mlp.up_proj", shape(hidden, width)),
    ] {
        for block in 0..blocks {
            tensors.insert(format!("model.layers.{block}.{name}.weight"), &shape, read(&shape));
        }
    }
    tensors.insert("model.norm.weight", &[width], read(&[width]));
    (sizes, tensors)
}
