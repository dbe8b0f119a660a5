"""The protocol of the workers, as `workers/src/lib.rs` speaks it: see there."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

FEW_TOKENS = 4
MANY_TOKENS = 36
PROMPT = [50257, 50362]
END_OF_TEXT = 50256
# No sentence of the clips has more; beyond it a looping model would only cost time.
MOST_TOKENS = 62

Answer = dict[str, object]


def arguments(description: str) -> argparse.Namespace:
    """The options that every worker takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--model", type=Path, required=True, help="folder that the converter wrote")
    parser.add_argument("--generation", type=Path, required=True, help="generation_config.json")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--warm-up", required=True, metavar="CLIP")
    return parser.parse_args()


def features(folder: Path, clip: str) -> np.ndarray:
    """Log-mel features of a clip in a window of 30 s, `[1, mels, frames]`."""
    return np.fromfile(folder / f"{clip}.mel", dtype="<f4").reshape(1, 80, -1)


def serve(engine: str, window: Callable[[str], Answer], text: Callable[[str], Answer]) -> None:
    """Says that the engine is warm, then answers a line for each line until the input ends."""
    print(json.dumps({"engine": engine}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        match request["part"]:
            case "window":
                answer = window(request["clip"])
            case "text":
                answer = text(request["clip"])
            case other:
                raise SystemExit(f"{other} is not measured: there is no fast log-mel here to measure a clip with")
        print(json.dumps(answer), flush=True)
