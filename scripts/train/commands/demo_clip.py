"""Makes the recording of the test kit: espeak-ng in a voice held out from training, in a small room.

    python demo_clip.py ../../../core/testkit/audio/commands.flac
"""

import pathlib
import sys
import tempfile

import numpy as np
import soundfile

import augment
from corpus import synthesize, trimmed

PHRASES = ["hello", "turn on the light", "call", "three", "seven", "one", "stop"]
PAUSES = [0.7, 0.8, 0.15, 0.12, 0.12, 0.8, 0.6]
VOICE = {"engine": "espeak", "base": "en-us-nyc", "variant": "m5", "rate": 150, "pitch": 45}


def main():
    rng, parts = np.random.default_rng(7), [np.zeros(8000)]
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        for phrase, pause in zip(PHRASES, PAUSES, strict=True):
            parts += [trimmed(synthesize(phrase, VOICE, file.name), 38.0), np.zeros(int(pause * 16_000))]
    samples = augment.room(rng, np.concatenate(parts))
    samples = samples / np.abs(samples).max() * 0.6 + 3e-4 * augment.coloured_noise(rng, len(samples), 1.0)
    path = pathlib.Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, 16_000, subtype="PCM_16")
    print(f"{len(samples) / 16_000:.2f} s, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
