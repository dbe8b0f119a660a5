"""Word errors of models in Sotto on real English recordings, clean and in noise at 10 dB.

    python evaluate.py --sotto ../../../target/release/sotto --out FOLDER MODEL…          (SOTTO_DATA names the data
                                                                                          folder)

Recordings: the English clips of `speech/manifest.tsv` and the five minutes of `speech/formats/longform_en.ogg`. In
noise: the same clips with the recordings of `speech/noise`, one after the other, 10 dB below the speech. Whisper's
English normaliser. A MODEL is a folder, a packed file, or `starter` for the one that is embedded.
"""

import argparse
import csv
import json
import os
import pathlib
import subprocess

import numpy as np
import soundfile
from scipy.signal import resample_poly

RATE = 16_000
DECIBELS = 10


def read(path: pathlib.Path) -> np.ndarray:
    samples, rate = soundfile.read(path, dtype="float64", always_2d=True)
    samples = samples.mean(1)
    return samples if rate == RATE else resample_poly(samples, RATE // 100, rate // 100)


def in_noise(samples: np.ndarray, noise: np.ndarray, start: int) -> np.ndarray:
    """Speech with a noise `DECIBELS` below the power of its louder parts."""
    power = samples[np.abs(samples) > 0.02 * np.abs(samples).max()].std()
    part = np.take(noise, np.arange(start, start + len(samples)), mode="wrap")
    mixed = samples + part / part.std() * power * 10 ** (-DECIBELS / 20)
    return mixed / max(1.0, np.abs(mixed).max())


def lists(data: pathlib.Path, out: pathlib.Path) -> dict[str, pathlib.Path]:
    """`.tsv` lists for `sotto bench speech`, and the noisy recordings."""
    (out / "noisy").mkdir(parents=True, exist_ok=True)
    with open(data / "speech/manifest.tsv", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE) if row["lang"] == "en"]
    clean = [(data / "speech" / row["file"], row["text"]) for row in rows]
    noises = [read(path) for path in sorted((data / "speech/noise").glob("*.flac")) if not path.stem.startswith("rir")]
    rng, noisy = np.random.default_rng(10), []
    for index, (path, text) in enumerate(clean):
        target = out / "noisy" / path.name
        noise = noises[index % len(noises)]
        samples = in_noise(read(path), noise, int(rng.integers(len(noise))))
        soundfile.write(target, samples, RATE, subtype="PCM_16")
        noisy.append((target, text))
    long = data / "speech/formats"
    text = " ".join((long / "en-sample.txt").read_text().split())
    named = {"clips": clean, "noise": noisy, "long": [(long / "longform_en.ogg", text)]}
    for name, entries in named.items():
        lines = [f"{path.resolve()}\t{text}\n" for path, text in entries]
        (out / f"{name}.tsv").write_text("file\ttext\n" + "".join(lines))
    return {name: out / f"{name}.tsv" for name in named}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--sotto", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--audio-context", default="auto", help="as `sotto bench speech` takes it")
    parser.add_argument("--lists", default="clips,noise,long")
    arguments = parser.parse_args()
    found = lists(pathlib.Path(os.environ["SOTTO_DATA"]), arguments.out)
    for model in arguments.models:
        figures = []
        for name in arguments.lists.split(","):
            command = [
                arguments.sotto,
                "bench",
                "speech",
                "--json",
                "--quiet",
                "--precision",
                "int8",
                "--threads",
                "1",
                "--audio-context",
                arguments.audio_context,
                found[name],
            ]
            command += [] if model == "starter" else ["--model", model]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            figures.append(f"{name} {100 * json.loads(done.stdout.splitlines()[-1])['word_error_rate']:.2f} %")
        path = pathlib.Path(model)
        size = f"{path.stat().st_size / 1e6:.2f} MB" if path.is_file() else ""
        print(model, size, ", ".join(figures), flush=True)


if __name__ == "__main__":
    main()
