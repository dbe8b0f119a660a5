"""Puts matrices of tiny.en back that are to keep 8 bits.

    python restore.py --model FOLDER --to FOLDER PREFIX…          (SOTTO_DATA names the data folder)
"""

import argparse
import os
import pathlib
import shutil

from safetensors.torch import load_file, save_file


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--to", type=pathlib.Path, required=True)
    parser.add_argument("prefixes", nargs="+", help="such as encoder.layers.0.self_attn")
    arguments = parser.parse_args()
    teacher = pathlib.Path(os.environ["SOTTO_DATA"]) / "openai-whisper-tiny.en"
    tensors, original = load_file(arguments.model / "model.safetensors"), load_file(teacher / "model.safetensors")
    prefixes = tuple(f"model.{prefix}." for prefix in arguments.prefixes)
    back = {name: original[name] for name in tensors if name.startswith(prefixes)}
    arguments.to.mkdir(parents=True, exist_ok=True)
    save_file({**tensors, **back}, arguments.to / "model.safetensors", metadata={"format": "pt"})
    for name in ("config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.json"):
        shutil.copy(arguments.model / name, arguments.to / name)
    shutil.copy(teacher / "LICENSE", arguments.to / "LICENSE")
    print(f"{len(back)} tensors are tiny.en's again")


if __name__ == "__main__":
    main()
