"""Runs every golden script in order, one at a time, and says how long each took. Arguments are passed on (`--data`)."""

import subprocess
import sys
import time
from pathlib import Path

SCRIPTS = [
    "tokenizer",
    "normalizer",
    "error_rates",
    "joined",
    "greedy",
    "tensors",
    "multilingual",
    "random_multilingual",
    "vad",
    "sotto_vad",
    "ggml_blocks",
    "reference_decoding",
    "long_form",
    "silence",
    "mel",
    "coarse_features",
    "audio",
]

if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    for script in SCRIPTS:
        start = time.monotonic()
        subprocess.run([sys.executable, here / f"{script}.py", *sys.argv[1:]], check=True)
        print(f"{script}: {time.monotonic() - start:.0f} s", flush=True)
