"""Makes the recording that `sotto demo` transcribes: three sentences by flite's voice `slt`, in a small room.

    python demo_clip.py ../../../core/starter/audio/demo.flac
"""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import soundfile
from scipy.signal import resample_poly

import augment

SENTENCES = [
    "Good morning.",
    "The train to the airport leaves at a quarter past nine.",
    "Please don't forget your umbrella.",
]
PAUSE = 0.5  # seconds


def main():
    rng, parts = np.random.default_rng(7), [np.zeros(4000)]
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        for sentence in SENTENCES:
            subprocess.run(["flite", "-voice", "slt", "-t", sentence, "-o", file.name], check=True)
            samples, rate = soundfile.read(file.name)
            samples = samples if rate == 16_000 else resample_poly(samples, 16_000 // 50, rate // 50)
            parts += [samples / np.abs(samples).max(), np.zeros(int(PAUSE * 16_000))]
    samples = augment.room(rng, np.concatenate(parts))
    samples = samples / np.abs(samples).max() * 0.6 + 3e-4 * augment.coloured_noise(rng, len(samples), 1.0)
    path = pathlib.Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, 16_000, subtype="PCM_16")
    print(f"{len(samples) / 16_000:.2f} s, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
