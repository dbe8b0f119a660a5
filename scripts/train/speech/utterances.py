"""Calibration speech: sentences of Tatoeba in synthetic voices, joined to windows of 30 s, half of them with rooms and
noise.

    python utterances.py --out FOLDER [--windows 64]          (SOTTO_DATA names the data folder; needs espeak-ng and
                                                              flite)

Writes `utterances.npz`: samples `[windows, 480000]` as 16-bit integers at 16 kHz, and `utterances.json`: per window the
spoken sentences with their starts and ends in seconds. No recording of a person is among them, and none that anything
is measured on.
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import tempfile
import zipfile

import numpy as np
import soundfile
from scipy.signal import resample_poly

import augment

RATE = 16_000
WINDOW = 30 * RATE
ACCENTS = ["en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-029", "en-us-nyc", "en-gb-x-gbcwmd"]
VARIANTS = ["", "+m1", "+m3", "+m5", "+m7", "+f2", "+f3", "+f4"]
FLITE = ["awb", "rms", "slt", "kal16"]


def sentences(data: pathlib.Path, rng: random.Random) -> list[str]:
    """English sentences of five words or more, each once, in random order."""
    found = set()
    for pair in ("deu-eng", "fra-eng", "spa-eng"):
        with zipfile.ZipFile(data / f"text/tatoeba/{pair}.zip") as archive:
            for line in archive.read(f"{pair[:3]}.txt").decode().splitlines():
                text = line.split("\t")[0].strip()
                if 5 <= len(text.split()) <= 30 and text.isascii():
                    found.add(text)
    found = sorted(found)
    rng.shuffle(found)
    return found


def spoken(text: str, rng: random.Random, path: str) -> np.ndarray:
    """One sentence by a random voice, without the silence around it, at half of full level."""
    if rng.random() < 0.5:
        command = ["flite", "-voice", rng.choice(FLITE), "-t", text, "-o", path]
    else:
        voice = rng.choice(ACCENTS) + rng.choice(VARIANTS)
        command = [
            "espeak-ng",
            "-v",
            voice,
            "-s",
            str(rng.randint(130, 190)),
            "-p",
            str(rng.randint(25, 75)),
            "-w",
            path,
            text,
        ]
    subprocess.run(command, check=True, capture_output=True)
    samples, rate = soundfile.read(path)
    samples = resample_poly(samples, 320, rate // 50) if rate != RATE else samples
    loud = np.flatnonzero(np.abs(samples) > 0.01 * np.abs(samples).max())
    samples = samples[loud[0] : loud[-1] + 1]
    return 0.5 * samples / np.abs(samples).max()


def window(texts, rng: random.Random, noise: np.random.Generator, path: str):
    """Samples of 30 s and what is said when: one to eight sentences, the rest silence."""
    wanted = rng.choice([1, 1, 2, 3, 8, 8, 8])
    samples, said, at = np.zeros(WINDOW), [], int(rng.uniform(0.1, 0.6) * RATE)
    while len(said) < wanted:
        text = next(texts)
        voice = spoken(text, rng, path)
        if at + len(voice) > WINDOW - RATE // 2:
            break
        samples[at : at + len(voice)] = voice * rng.uniform(0.4, 1.0)
        said.append({"text": text, "start": at / RATE, "end": (at + len(voice)) / RATE})
        at = min(WINDOW, at + len(voice) + int(rng.uniform(0.2, 1.2) * RATE))
    if noise.random() < 0.5:
        heard = samples[:at].copy()
        heard = augment.room(noise, heard) if noise.random() < 0.5 else heard
        power = heard[np.abs(heard) > 0.02].std()
        heard += (
            augment.coloured_noise(noise, at, noise.uniform(-0.5, 2.2)) * power * 10 ** (-noise.uniform(8, 30) / 20)
        )
        samples[:at] = heard
    samples += 1e-4 * noise.standard_normal(WINDOW)
    return np.clip(samples * 32767, -32768, 32767).astype(np.int16), said


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--windows", type=int, default=64)
    parser.add_argument("--seed", type=int, default=12)
    arguments = parser.parse_args()
    rng, noise = random.Random(arguments.seed), np.random.default_rng(arguments.seed)
    texts = iter(sentences(pathlib.Path(os.environ["SOTTO_DATA"]), rng))
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        made = [window(texts, rng, noise, file.name) for _ in range(arguments.windows)]
    arguments.out.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(arguments.out / "utterances.npz", samples=np.stack([samples for samples, _ in made]))
    (arguments.out / "utterances.json").write_text(json.dumps([said for _, said in made], indent=1))
    seconds = sum(sentence["end"] - sentence["start"] for _, said in made for sentence in said)
    count = sum(len(said) for _, said in made)
    print(f"{arguments.windows} windows with {count} sentences, {seconds / 60:.1f} minutes of speech")


if __name__ == "__main__":
    main()
