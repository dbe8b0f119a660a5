"""Writes a Whisper of base size with random weights in Hugging Face's form: for times, which do not depend on the
values.

Vocabulary, generation settings and all sizes that are no part of the choice are those of `--like`, an English-only
model.
"""

import argparse
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

WIDTH, LAYERS, HEADS, HIDDEN = 512, 6, 8, 2048
# Of OpenAI's base.en, as layer and head.
ALIGNMENT_HEADS = [[3, 3], [4, 7], [5, 1], [5, 5], [5, 7]]
SEED = 1


def shapes(like: dict[str, np.ndarray], config: dict) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The tensors of the other model in the new sizes, the layers that it lacks included."""
    sizes = {config["d_model"]: WIDTH, config["encoder_ffn_dim"]: HIDDEN}
    for name, tensor in like.items():
        shape = tuple(sizes.get(size, size) for size in tensor.shape)
        if ".layers.0." in name:
            for layer in range(LAYERS):
                yield name.replace(".layers.0.", f".layers.{layer}."), shape
        elif ".layers." not in name:
            yield name, shape


def values(random: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Of a size that keeps all activations near 1, as training does."""
    if name.endswith("norm.weight"):
        return np.ones(shape, np.float16)
    spread = 0.02 if len(shape) < 2 else 1 / np.sqrt(np.prod(shape[1:]))
    return (random.standard_normal(shape, np.float32) * spread).astype(np.float16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--like", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    config = json.loads((options.like / "config.json").read_text())
    random = np.random.default_rng(SEED)
    named = sorted(shapes(load_file(options.like / "model.safetensors"), config))
    tensors = {name: values(random, name, shape) for name, shape in named}
    config |= {"d_model": WIDTH, "torch_dtype": "float16"}
    for side in ("encoder", "decoder"):
        config |= {f"{side}_layers": LAYERS, f"{side}_attention_heads": HEADS, f"{side}_ffn_dim": HIDDEN}
    generation = json.loads((options.like / "generation_config.json").read_text()) | {
        "alignment_heads": ALIGNMENT_HEADS
    }
    options.output.mkdir(parents=True)
    shutil.copy(options.like / "tokenizer.json", options.output)
    (options.output / "config.json").write_text(json.dumps(config, indent=1))
    (options.output / "generation_config.json").write_text(json.dumps(generation, indent=1))
    save_file(tensors, options.output / "model.safetensors")


if __name__ == "__main__":
    main()
