#!/usr/bin/env python3
"""What faster-whisper hears in recordings: a `.txt` for each `.f32` of a folder (samples at 16 kHz). One thread, int8.

`words.py` calls it. By itself it writes the texts that `core/speech/tests/real_spliced.rs` judges:

    mkdir FOLDER
    export SOTTO_LONG=1 SOTTO_PEER=FOLDER
    test="cargo test --release -p sotto-speech --test real_spliced another -- --nocapture"
    $test                                                              writes the recordings and their clips
    scripts/peers/faster_whisper_texts.py --model MODEL FOLDER         writes the texts; --vad with its detector
    $test                                                              judges them

MODEL is what `engines/convert_ctranslate2.py` writes, with `tokenizer.json` and `preprocessor_config.json` of the
original beside it. Needs `words-requirements.txt`.
"""

import argparse
from pathlib import Path

import ctranslate2
import faster_whisper
import numpy as np

# Of the samples that its second tries draw.
SEED = 7


def text(model: faster_whisper.WhisperModel, samples: np.ndarray, beam: int, vad: bool) -> str:
    segments, _ = model.transcribe(samples, language="en", beam_size=beam, vad_filter=vad)
    return "".join(segment.text for segment in segments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--beam", type=int, default=5, help="hypotheses (default: %(default)s, as its own)")
    parser.add_argument("--vad", action="store_true", help="with its voice activity detection; clips alone are without")
    parser.add_argument("--texts", type=Path, help="folder of the texts (default: that of the recordings)")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    texts = options.texts or options.folder
    texts.mkdir(parents=True, exist_ok=True)
    ctranslate2.set_random_seed(SEED)
    model = faster_whisper.WhisperModel(str(options.model), device="cpu", compute_type="int8", cpu_threads=1)
    print(f"faster-whisper {faster_whisper.__version__}, CTranslate2 {ctranslate2.__version__}, seed {SEED}")
    for recording in sorted(options.folder.glob("*.f32")):
        vad = options.vad and recording.stem.startswith("recording-")
        said = text(model, np.fromfile(recording, "<f4"), options.beam, vad)
        (texts / recording.with_suffix(".txt").name).write_text(said)


if __name__ == "__main__":
    main()
