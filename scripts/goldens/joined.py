"""Recipes of the joined recordings: synthetic clips in a fixed pseudo-random order, pauses, for one of them noise.

`joined.json` says everything that is needed to build each recording sample for sample (f32, multiply and add rounded
separately):

    speech   = for each part: samples of `clips[part.clip]` (i16 / 32768), then `part.pause` zeros
    sample i = speech[i]                                             without noise
             = speech[i] + gain * noise[(offset + i) % len(noise)]   with noise

`sha256` is that of the little-endian f32 samples.
"""

import hashlib
import json
import math
from pathlib import Path

import numpy as np
from reference import SAMPLE_RATE, data_folder, samples, synthetic_clips, write_json

HERE = Path(__file__).resolve().parent
# name, seconds at least, seed, noise (file, offset, signal-to-noise ratio in dB of speech without its pauses)
RECORDINGS = [
    ("two_minutes", 120, 2, None),
    ("five_minutes", 300, 5, ("noise/noise1.flac", 160_000, 20.0)),
    ("twenty_minutes", 1200, 20, None),
]
PAUSE = (SAMPLE_RATE // 10, 4 * SAMPLE_RATE)


class Sequence:
    """Knuth's MMIX linear congruential generator; the upper 32 bits are the output."""

    def __init__(self, seed):
        self.state = seed

    def below(self, limit):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 32) * limit >> 32


def plan(lengths, seconds, seed):
    """Parts [clip, pause] until the recording is long enough; every clip once before any comes again."""
    random, parts, total, deck = Sequence(seed), [], 0, []
    while total < seconds * SAMPLE_RATE:
        if not deck:
            deck = list(range(len(lengths)))
            for i in range(len(deck) - 1, 0, -1):
                j = random.below(i + 1)
                deck[i], deck[j] = deck[j], deck[i]
        # Log-uniform: many short pauses, few long ones, as people speak.
        clip, pause = deck.pop(), round(PAUSE[0] * (PAUSE[1] / PAUSE[0]) ** (random.below(2**24) / 2**24))
        parts.append([clip, pause])
        total += lengths[clip] + pause
    return parts


def recordings():
    return json.loads((HERE / "joined.json").read_text(encoding="utf-8"))["recordings"]


def build(data, recording, clips=None):
    """The samples of one recording of `joined.json`."""
    clips = clips or synthetic_clips(data)
    pieces = []
    for clip, pause in recording["parts"]:
        pieces += [samples(data, clips[clip]["file"]), np.zeros(pause, np.float32)]
    speech = np.concatenate(pieces)
    if noise := recording["noise"]:
        loop = samples(data, noise["file"])
        at = (noise["offset"] + np.arange(len(speech))) % len(loop)
        speech = speech + np.float32(noise["gain"]) * loop[at]
    if hashlib.sha256(speech.astype("<f4").tobytes()).hexdigest() != recording["sha256"]:
        raise ValueError(f"{recording['name']}: other samples than joined.json names")
    return speech


def describe(data, clips, audio, name, seconds, seed, noise):
    parts = plan([len(a) for a in audio], seconds, seed)
    pieces = []
    for clip, pause in parts:
        pieces += [audio[clip], np.zeros(pause, np.float32)]
    speech, described = np.concatenate(pieces), None
    if noise:
        file, offset, ratio = noise
        loop = samples(data, file)
        power = lambda x: float(np.mean(np.square(x, dtype=np.float64)))
        clean = power(np.concatenate([audio[clip] for clip, _ in parts]))
        gain = np.float32(math.sqrt(clean / (power(loop) * 10 ** (ratio / 10))))
        at = (offset + np.arange(len(speech))) % len(loop)
        speech = speech + gain * loop[at]
        described = {
            "file": file,
            "offset": offset,
            "gain": float(gain),
            "gain_bits": f"0x{gain.view(np.uint32):08x}",
            "snr_db": ratio,
        }
    return {
        "name": name,
        "samples": len(speech),
        "seconds": round(len(speech) / SAMPLE_RATE, 3),
        "sha256": hashlib.sha256(speech.astype("<f4").tobytes()).hexdigest(),
        "noise": described,
        "parts": parts,
        "text": " ".join(clips[clip]["text"] for clip, _ in parts),
    }


if __name__ == "__main__":
    folder = data_folder(__doc__.splitlines()[0])
    rows = synthetic_clips(folder)
    sounds = [samples(folder, row["file"]) for row in rows]
    write_json(
        "joined.json",
        {
            "provenance": {
                "script": "scripts/goldens/joined.py",
                "clips": "speech/synthetic.tsv, row number from 0",
                "rule": __doc__.split("\n\n", 1)[1].strip(),
            },
            "recordings": [describe(folder, rows, sounds, *entry) for entry in RECORDINGS],
        },
        folder=HERE,
    )
    for entry in recordings():
        print(
            entry["name"], entry["seconds"], len(entry["parts"]), entry["noise"], len(build(folder, entry)), flush=True
        )
