"""Writes a Whisper model of Hugging Face's form as CTranslate2 reads it, weights in int8.

The same tensors in the same places as CTranslate2's own converter puts them, read from safetensors instead of torch.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from ctranslate2.converters.converter import Converter
from ctranslate2.specs import WhisperSpec, common_spec
from safetensors.numpy import load_file
from tokenizers import Tokenizer

Tensors = dict[str, np.ndarray]


class SafetensorsConverter(Converter):
    """Reads a model folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _load(self) -> WhisperSpec:
        config = json.loads((self.folder / "config.json").read_text())
        tensors = {
            name: value.astype(np.float32) for name, value in load_file(self.folder / "model.safetensors").items()
        }
        spec = WhisperSpec(
            config["encoder_layers"],
            config["encoder_attention_heads"],
            config["decoder_layers"],
            config["decoder_attention_heads"],
        )
        for index in (1, 2):
            conv = getattr(spec.encoder, f"conv{index}")
            conv.weight = tensors[f"model.encoder.conv{index}.weight"]
            conv.bias = tensors[f"model.encoder.conv{index}.bias"]
        for side, part in (("encoder", spec.encoder), ("decoder", spec.decoder)):
            set_side(part, tensors, f"model.{side}")
        spec.decoder.scale_embeddings = False
        spec.decoder.embeddings.weight = tensors["model.decoder.embed_tokens.weight"]
        spec.decoder.projection.weight = tensors["model.decoder.embed_tokens.weight"]
        set_generation(spec, json.loads((self.folder / "generation_config.json").read_text()))
        spec.register_vocabulary(vocabulary(self.folder / "tokenizer.json", config["vocab_size"]))
        return spec


def set_side(part: object, tensors: Tensors, prefix: str) -> None:
    part.position_encodings.encodings = tensors[f"{prefix}.embed_positions.weight"]
    set_norm(part.layer_norm, tensors, f"{prefix}.layer_norm")
    for index, layer in enumerate(part.layer):
        name = f"{prefix}.layers.{index}"
        set_attention(layer.self_attention, tensors, f"{name}.self_attn", [["q_proj", "k_proj", "v_proj"]])
        set_norm(layer.self_attention.layer_norm, tensors, f"{name}.self_attn_layer_norm")
        if prefix.endswith("decoder"):
            set_attention(layer.attention, tensors, f"{name}.encoder_attn", [["q_proj"], ["k_proj", "v_proj"]])
            set_norm(layer.attention.layer_norm, tensors, f"{name}.encoder_attn_layer_norm")
        set_linear(layer.ffn.linear_0, tensors, [f"{name}.fc1"])
        set_linear(layer.ffn.linear_1, tensors, [f"{name}.fc2"])
        set_norm(layer.ffn.layer_norm, tensors, f"{name}.final_layer_norm")


def set_norm(spec: common_spec.LayerNormSpec, tensors: Tensors, name: str) -> None:
    spec.gamma, spec.beta = tensors[f"{name}.weight"], tensors[f"{name}.bias"]


def set_attention(spec: object, tensors: Tensors, name: str, groups: list[list[str]]) -> None:
    for linear, group in zip(spec.linear, groups, strict=False):
        set_linear(linear, tensors, [f"{name}.{projection}" for projection in group])
    set_linear(spec.linear[-1], tensors, [f"{name}.out_proj"])


def set_linear(spec: common_spec.LinearSpec, tensors: Tensors, names: list[str]) -> None:
    """Several projections of one input become one matrix; keys have no bias."""
    weights = [tensors[f"{name}.weight"] for name in names]
    spec.weight = np.concatenate(weights)
    biases = [
        tensors.get(f"{name}.bias", np.zeros(len(weight), np.float32))
        for name, weight in zip(names, weights, strict=True)
    ]
    spec.bias = np.concatenate(biases)


def set_generation(spec: WhisperSpec, generation: dict) -> None:
    spec.config.suppress_ids = generation["suppress_tokens"]
    spec.config.suppress_ids_begin = generation["begin_suppress_tokens"]
    spec.config.alignment_heads = generation["alignment_heads"]
    spec.config.lang_ids = []


def vocabulary(file: Path, size: int) -> list[str]:
    """Every token by its id; where the tokenizer ends, timestamps follow."""
    tokenizer = Tokenizer.from_file(str(file))
    known = tokenizer.get_vocab_size(with_added_tokens=True)
    tokens = [tokenizer.id_to_token(index) for index in range(min(known, size))]
    return tokens + [f"<|{step * 0.02:.2f}|>" for step in range(size - len(tokens))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    SafetensorsConverter(options.model).convert(str(options.output), quantization="int8", force=True)


if __name__ == "__main__":
    main()
