//! The kinds that the store knows. A new kind of model is a new entry here.

use super::{CONFIG, Files, Kind, Kinds, Part, Sign};

/// All kinds, in the order in which messages name them.
pub(crate) const KNOWN: Kinds = Kinds(&[WHISPER, GGML, GGUF, PACKED]);

/// A folder as transformers writes it.
const WHISPER: Kind = Kind {
    name: "Whisper (a folder with config.json and safetensors)",
    sign: Sign::ModelType(&["whisper"]),
    parts: &[
        Part { any_of: &[Files::One(CONFIG)], pickles: &[] },
        Part { any_of: &SAFETENSORS, pickles: &PICKLES },
        Part { any_of: &BYTE_PAIRS, pickles: &[] },
    ],
    optional: &[
        "generation_config.json",
        "preprocessor_config.json",
        "LICENSE",
        "LICENSE.md",
        "LICENSE.txt",
        "README.md",
    ],
};

/// A file of whisper.cpp, also of its voice activity detector: the magic number `ggml`, little end first.
const GGML: Kind = Kind {
    name: "whisper.cpp (a ggml .bin file)",
    sign: Sign::File { ending: ".bin", usual: "ggml", magic: b"lmgg", at: 0 },
    parts: &[],
    optional: &[],
};

const GGUF: Kind = Kind {
    name: "GGUF (a .gguf file)",
    sign: Sign::File { ending: ".gguf", usual: "", magic: b"GGUF", at: 0 },
    parts: &[],
    optional: &[],
};

/// A file of `sotto quantize`: safetensors whose header, behind its length, begins with metadata.
const PACKED: Kind = Kind {
    name: "packed by Sotto (a .sotto file)",
    sign: Sign::File { ending: ".sotto", usual: "", magic: b"{\"__metadata__\":{", at: 8 },
    parts: &[],
    optional: &[],
};

/// Weights in one file, or an index with all of its shards. Variants such as `model.fp32-…` do not count.
const SAFETENSORS: [Files; 2] = [
    Files::One("model.safetensors"),
    Files::Shards { index: "model.safetensors.index.json", before: "model-", after: ".safetensors" },
];

/// Weights in formats that run code when loaded.
pub(super) const PICKLES: [&str; 4] = ["pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt", "model.ckpt"];

/// A tokenizer in one file, or a vocabulary with its merges.
const BYTE_PAIRS: [Files; 2] = [
    Files::One("tokenizer.json"),
    Files::Several {
        needed: &["vocab.json", "merges.txt"],
        also: &["added_tokens.json", "special_tokens_map.json", "tokenizer_config.json"],
    },
];
