"""Blocks of ggml's quantized types by the gguf package, to `core/nn/tests/goldens/ggml_blocks.safetensors`.

values          [rows, 64] f32: normal, outliers, zeros, constants, one sign, tiny and large ones
<type>.blocks   [rows, bytes] u8: quantized
<type>.values   [rows, 64] f32: dequantized again
"""

from importlib.metadata import version
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType
from gguf.quants import dequantize, quantize
from safetensors.numpy import save_file

TYPES = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0")

if __name__ == "__main__":
    generator = np.random.default_rng(3)
    rows = [generator.normal(0, scale, 64) for scale in (1.0, 0.02, 300.0, 1e-6)]
    rows += [np.zeros(64), np.full(64, 0.37), np.abs(rows[0]) + 5, -np.abs(rows[1]), np.linspace(-1, 1, 64)]
    rows += [np.where(np.arange(64) % 32 == 7, 40.0, rows[0]), np.where(np.arange(64) % 32 == 31, -40.0, rows[0])]
    values = np.array(rows, np.float32)
    tensors = {"values": values}
    for name in TYPES:
        kind = GGMLQuantizationType[name]
        blocks = quantize(values, kind)
        tensors[f"{name.lower()}.blocks"] = blocks
        tensors[f"{name.lower()}.values"] = dequantize(blocks, kind).astype(np.float32)
    path = Path(__file__).resolve().parents[2] / "core/nn/tests/goldens/ggml_blocks.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(
        tensors, path, {"script": "scripts/goldens/ggml_blocks.py", "gguf": version("gguf"), "numpy": version("numpy")}
    )
    print(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB")
