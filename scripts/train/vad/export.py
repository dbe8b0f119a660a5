"""Writes the detector's weights as the library reads them: matrices f16, the rest f32, in one safetensors file.

python export.py --checkpoint FOLDER/checkpoint.pt --to ../../../core/starter/models/vad/model.safetensors
"""

import argparse
import hashlib
import pathlib

import torch
from safetensors.torch import save_file


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=pathlib.Path, required=True)
    parser.add_argument("--to", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    weights = torch.load(arguments.checkpoint)["average"]
    tensors = {name: (w.half() if w.dim() > 1 else w.float()).contiguous() for name, w in weights.items()}
    arguments.to.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, arguments.to, {"format": "sotto-vad", "version": "1", "recipe": "scripts/train/vad"})
    data = arguments.to.read_bytes()
    print(f"{arguments.to}: {len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
