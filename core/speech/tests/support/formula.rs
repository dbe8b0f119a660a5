//! Models whose weights follow a formula (scripts/goldens/random_multilingual.py), written as a Hugging Face folder
//! with a vocabulary of made-up words. They need no data, and small ones run in milliseconds.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

use std::path::Path;

use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::golden;

/// What is written to a folder; tests damage it before or after.
pub struct FormulaModel {
    pub config: Value,
    pub generation: Value,
    pub tensors: Vec<Tensor>,
    pub vocabulary: Vocabulary,
}

pub struct Tensor {
    pub name: String,
    pub shape: Vec<usize>,
    /// `None` for the scale of a layer norm.
    scale: Option<f32>,
}

/// Text tokens, then OpenAI's special tokens in their order.
pub struct Vocabulary {
    text: usize,
    /// Codes in id order; empty for an English-only vocabulary.
    languages: Vec<String>,
    /// Timestamp tokens.
    timestamps: usize,
}

impl FormulaModel {
    /// The model `name` of `random_multilingual.json`, exactly as the golden's script makes it.
    pub fn of_golden(name: &str) -> Self {
        let model = &golden("random_multilingual")["models"][name];
        let mut languages: Vec<(u64, String)> = model["generation_config"]["lang_to_id"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(code, id)| (id.as_u64().unwrap(), code.trim_matches(['<', '|', '>']).to_owned()))
            .collect();
        languages.sort();
        let languages = languages.into_iter().map(|(_, code)| code).collect();
        let tensor = |row: &Value| Tensor {
            name: row[0].as_str().unwrap().to_owned(),
            shape: row[1].as_array().unwrap().iter().map(|size| size.as_u64().unwrap() as usize).collect(),
            scale: row[2].as_f64().map(|scale| scale as f32),
        };
        Self {
            config: model["config"].clone(),
            generation: model["generation_config"].clone(),
            tensors: model["tensors"].as_array().unwrap().iter().map(tensor).collect(),
            vocabulary: Vocabulary { text: 50_257, languages, timestamps: 1501 },
        }
    }

    /// A network like those of the goldens with a window of 2 s, 64 text positions and two languages.
    pub fn small() -> Self {
        let mut model = Self::of_golden("multilingual");
        let vocabulary = Vocabulary { text: 300, languages: vec!["en".into(), "de".into()], timestamps: 101 };
        model.generation = json!({ "max_initial_timestamp_index": 50 });
        for (field, size) in
            [("max_source_positions", 100), ("max_target_positions", 64), ("vocab_size", vocabulary.tokens().len())]
        {
            model.config[field] = json!(size);
        }
        for (name, rows) in [
            ("model.encoder.embed_positions.weight", 100),
            ("model.decoder.embed_positions.weight", 64),
            ("model.decoder.embed_tokens.weight", vocabulary.tokens().len()),
        ] {
            model.tensors.iter_mut().find(|tensor| tensor.name == name).unwrap().shape[0] = rows;
        }
        Self { vocabulary, ..model }
    }

    /// As small as a network gets, a few kilobytes when packed: one layer on each side, 80 ms, sixteen text positions.
    pub fn smallest() -> Self {
        let mut model = Self::small();
        let vocabulary = Vocabulary { text: 40, languages: vec!["en".into(), "de".into()], timestamps: 5 };
        let sizes = [
            ("max_source_positions", 4),
            ("max_target_positions", 16),
            ("vocab_size", vocabulary.tokens().len()),
            ("encoder_layers", 1),
            ("decoder_layers", 1),
            ("encoder_ffn_dim", 16),
            ("decoder_ffn_dim", 16),
        ];
        for (field, size) in sizes {
            model.config[field] = json!(size);
        }
        model.generation =
            json!({ "max_initial_timestamp_index": 2, "suppress_tokens": [1], "begin_suppress_tokens": [2] });
        model.tensors.retain(|tensor| !tensor.name.contains(".layers.1."));
        for Tensor { name, shape, .. } in &mut model.tensors {
            match name.rsplit_once(".layers.0.").map_or(&name[..], |(_, layer)| layer) {
                "fc1.weight" | "fc1.bias" => shape[0] = 16,
                "fc2.weight" => shape[1] = 16,
                name if name.ends_with("encoder.embed_positions.weight") => shape[0] = 4,
                name if name.ends_with("decoder.embed_positions.weight") => shape[0] = 16,
                name if name.ends_with("embed_tokens.weight") => shape[0] = vocabulary.tokens().len(),
                _ => {}
            }
        }
        Self { vocabulary, ..model }
    }

    /// Writes all four files to a new folder.
    pub fn write(&self) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let json = |name: &str, value: &Value| std::fs::write(folder.path().join(name), value.to_string()).unwrap();
        json("config.json", &self.config);
        json("generation_config.json", &self.generation);
        json("tokenizer.json", &self.vocabulary.json());
        self.write_tensors(&folder.path().join("model.safetensors"), |_, _| {});
        folder
    }

    /// Replaces `model.safetensors` by an index and `count` shards.
    pub fn write_shards(&self, folder: &Path, count: usize) {
        std::fs::remove_file(folder.join("model.safetensors")).unwrap();
        let mut map = serde_json::Map::new();
        for (index, tensors) in self.tensors.chunks(self.tensors.len().div_ceil(count)).enumerate() {
            let name = format!("model-{:05}-of-{count:05}.safetensors", index + 1);
            write_safetensors(tensors, &folder.join(&name), |_, _| {});
            map.extend(tensors.iter().map(|tensor| (tensor.name.clone(), json!(name))));
        }
        let index = json!({ "metadata": { "total_size": 0 }, "weight_map": map });
        std::fs::write(folder.join("model.safetensors.index.json"), index.to_string()).unwrap();
    }

    /// Writes the tensors after `change` was let at each of them.
    pub fn write_tensors(&self, path: &Path, change: impl Fn(&str, &mut Vec<f32>)) {
        write_safetensors(&self.tensors, path, change);
    }
}

fn write_safetensors(tensors: &[Tensor], path: &Path, change: impl Fn(&str, &mut Vec<f32>)) {
    let values = |tensor: &Tensor| {
        let mut values = tensor.values();
        change(&tensor.name, &mut values);
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    };
    let bytes: Vec<Vec<u8>> = tensors.iter().map(values).collect();
    let views = tensors.iter().zip(&bytes).map(|(tensor, bytes)| {
        (tensor.name.as_str(), TensorView::new(Dtype::F32, tensor.shape.clone(), bytes).unwrap())
    });
    serialize_to_file(views, None, path).unwrap();
}

impl Tensor {
    fn values(&self) -> Vec<f32> {
        let count = self.shape.iter().product::<usize>() as u64;
        let hash = self
            .name
            .bytes()
            .fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3));
        let unit = |index: u64| {
            let bits = split_mix(hash.wrapping_add(index)) >> 40;
            bits as f32 * 2f32.powi(-23) - 1.0
        };
        (0..count)
            .map(unit)
            .map(|unit| match self.scale {
                Some(scale) => unit * scale,
                None => unit * 0.25 + 1.0,
            })
            .collect()
    }
}

fn split_mix(seed: u64) -> u64 {
    let x = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

impl Vocabulary {
    /// All tokens in id order and whether they are special.
    fn tokens(&self) -> Vec<(String, bool)> {
        let alphabet = byte_alphabet();
        let text = (0..self.text).map(|id| match alphabet.get(id) {
            Some(letter) => letter.to_string(),
            None => format!("Ġw{id}"),
        });
        let languages = self.languages.iter().map(|code| format!("<|{code}|>"));
        let before = ["<|endoftext|>", "<|startoftranscript|>"].map(str::to_owned);
        let after = ["translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"];
        let after = after.map(|name| format!("<|{name}|>"));
        let timestamps = (0..self.timestamps).map(|step| format!("<|{}.{:02}|>", step / 50, step % 50 * 2));
        let special = before.into_iter().chain(languages).chain(after).chain(timestamps);
        text.map(|token| (token, false)).chain(special.map(|token| (token, true))).collect()
    }

    /// `tokenizer.json`.
    pub fn json(&self) -> Value {
        let (mut vocab, mut added) = (serde_json::Map::new(), Vec::new());
        for (id, (token, special)) in self.tokens().into_iter().enumerate() {
            if special {
                added.push(json!({ "id": id, "content": token, "special": true }));
            } else {
                vocab.insert(token, json!(id));
            }
        }
        json!({
            "added_tokens": added,
            "pre_tokenizer": { "type": "ByteLevel", "add_prefix_space": false },
            "model": { "type": "BPE", "vocab": vocab, "merges": [] },
        })
    }
}

/// GPT-2's letters for the 256 bytes: printable ones stand for themselves, the others for what follows U+00FF.
fn byte_alphabet() -> Vec<char> {
    let printable = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut others = 0x100..;
    (0..=255u8)
        .map(|byte| if printable(&byte) { char::from(byte) } else { char::from_u32(others.next().unwrap()).unwrap() })
        .collect()
}
