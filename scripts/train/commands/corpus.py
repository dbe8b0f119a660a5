"""Collects the single clips that utterances are built from: real digits (FSDD) and synthetic speech.

    python corpus.py --out FOLDER            (SOTTO_DATA names the data folder)

Writes `audio.npy` (int16, 16 kHz, all clips one after the other), `clips.json` (one record per clip) and
`tokenizer.json`. Clips are trimmed to the speech itself, so that a clip's first and last sample are the word's.
Whole speakers and voices are held out: their clips carry `split = "heldout"` and training never opens them.
"""

import argparse
import io
import json
import os
import pathlib
import random
import re
import subprocess
import tarfile
import tempfile
import time

import numpy as np
import soundfile
from scipy.signal import resample_poly

from vocabulary import CARRIERS, COMMANDS, DIGITS, SAMPLE_RATE, build_tokenizer

# Chosen before any training, never changed since.
HELDOUT_SPEAKERS = ("jackson", "lucas")

BASES = "en-us en-gb en-gb-scotland en-gb-x-gbclan en-gb-x-gbcwmd en-029".split()
VARIANTS = (
    "f1 f2 f3 f4 m1 m2 m3 m4 m6 m7 m8 klatt klatt2 klatt3 klatt5 klatt6 adam Alex Andrea Andy Annie antonio belinda "
    "boris caleb david Denis ed edward Gene Gene2 gustave Hugo iven Jacky john kaukovalta Lee marcelo Marco Mario max "
    "Michael miguel Mike pablo pedro rob robert steph steph2 steph3 zac anika grandma grandpa norbert sandro shelby "
    "travis victor"
).split()
FLITE = "awb slt kal16 kal".split()

# A held-out voice differs from every training voice in accent and in timbre.
HELDOUT_BASES = "en-gb-x-rp en-us-nyc".split()
HELDOUT_VARIANTS = "f5 m5 klatt4 Alicia paul linda benjamin quincy".split()
HELDOUT_FLITE = "rms"

# Speech that is no command: raw material of the babble noise.
CHATTER = [
    "the river rose over the old stone bridge after a week of rain",
    "my neighbour keeps bees and sells the honey in little jars",
    "we should paint the kitchen before the winter comes",
    "nobody believed the story until the letter arrived",
    "she packed bread cheese and a bottle of cold tea",
    "the train to the coast was late again this morning",
    "children ran through the garden laughing at the sprinkler",
    "a careful reader finds more in a short book than in a long one",
    "his grandfather built the boat from oak and pine",
    "clouds gathered above the harbour and the gulls fell quiet",
    "I would rather walk there than wait for another bus",
    "the museum shows drawings that were never meant for strangers",
]


def trimmed(samples: np.ndarray, floor_db: float) -> np.ndarray:
    """Cuts off leading and trailing 10 ms frames that lie `floor_db` below the loudest, keeping one frame of margin."""
    size = SAMPLE_RATE // 100
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    energy = 10 * np.log10(np.mean(frames.astype(np.float64) ** 2, axis=1) + 1e-10)
    loud = np.flatnonzero(energy > energy.max() - floor_db)
    return samples[max(0, loud[0] - 1) * size : (loud[-1] + 2) * size]


def at_speed(samples: np.ndarray, percent: int) -> np.ndarray:
    """Plays faster (percent > 100) or slower; pitch and formants move along, as between larger and smaller speakers."""
    return samples if percent == 100 else resample_poly(samples, 100, percent)


def read_wav(data: bytes) -> np.ndarray:
    """Mono float samples at 16 kHz."""
    samples, rate = soundfile.read(io.BytesIO(data), dtype="float64")
    divisor = np.gcd(SAMPLE_RATE, rate)
    return resample_poly(samples, SAMPLE_RATE // divisor, rate // divisor)


class Store:
    """Clips on their way to disk, all at the same peak."""

    def __init__(self):
        self.records, self.audio, self.offset = [], [], 0

    def add(self, samples: np.ndarray, floor_db: float = 38.0, **record):
        samples = trimmed(samples, floor_db)
        samples = np.round(samples / np.abs(samples).max() * 29_000).astype(np.int16)
        self.records.append({**record, "offset": self.offset, "length": len(samples)})
        self.audio.append(samples)
        self.offset += len(samples)


def add_fsdd(store: Store, archive: pathlib.Path, rng: random.Random):
    """Every recording; those of training speakers also faster and slower."""
    with tarfile.open(archive) as tar:
        # In the archive's order: going back in a gzip stream means to start again.
        files = {member.name: tar.extractfile(member).read() for member in tar if member.name.endswith(".wav")}
    for name, data in sorted(files.items()):
        digit, speaker, _ = re.match(r"fsdd/(\d)_(\w+)_(\d+)\.wav", name).groups()
        heldout = speaker in HELDOUT_SPEAKERS
        samples = read_wav(data)
        for percent in [100] if heldout else [100, rng.randint(84, 94), rng.randint(107, 120)]:
            store.add(
                at_speed(samples, percent),
                floor_db=32.0,  # these rooms are noisier than a synthesizer
                kind="digit",
                words=[DIGITS[int(digit)]],
                voice=f"fsdd/{speaker}",
                split="heldout" if heldout else "train",
                source=name,
                speed=percent,
            )


def synthesize(text: str, voice: dict, path: str) -> np.ndarray:
    """One phrase spoken by espeak-ng or flite."""
    if voice["engine"] == "espeak":
        name = voice["base"] + ("+" + voice["variant"] if voice["variant"] else "")
        command = ["espeak-ng", "-v", name, "-s", str(voice["rate"]), "-p", str(voice["pitch"]), "-w", path, text]
    else:
        command = ["flite", "-voice", voice["base"], "--setf", f"duration_stretch={voice['stretch']:.2f}"]
        command += ["--setf", f"int_f0_target_mean={voice['pitch']}", "-t", text, "-o", path]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return read_wav(pathlib.Path(path).read_bytes())


def random_voice(rng: random.Random, heldout: bool) -> dict:
    """A voice with its rate, pitch and speed."""
    speed = 100 if heldout else rng.choice([100, rng.randint(86, 116)])
    if rng.random() < (0.15 if heldout else 0.25):
        base = HELDOUT_FLITE if heldout else rng.choice(FLITE)
        mean = 200 if base == "slt" else 120
        return {
            "engine": "flite",
            "base": base,
            "stretch": rng.uniform(0.75, 1.3),
            "pitch": int(mean * rng.uniform(0.8, 1.25)),
            "speed": speed,
        }
    return {
        "engine": "espeak",
        "base": rng.choice(HELDOUT_BASES if heldout else BASES),
        "variant": rng.choice(HELDOUT_VARIANTS) if heldout else rng.choice([*VARIANTS, "", ""]),
        "rate": rng.randint(120, 220),
        "pitch": rng.randint(20, 80),
        "speed": speed,
    }


def add_voice(store: Store, voice: dict, name: str, phrases, split: str, path: str):
    """Says each phrase of `phrases` (kind, words) with one voice."""
    for kind, words in phrases:
        try:
            samples = synthesize(" ".join(words), voice, path)
        except (subprocess.CalledProcessError, soundfile.LibsndfileError):
            continue  # a voice file that this espeak-ng release does not have
        if len(samples) and np.abs(samples).max() > 1e-3:
            store.add(at_speed(samples, voice["speed"]), kind=kind, words=words, voice=name, split=split)


def training_phrases(rng: random.Random):
    """Half of the commands, all digits, some digit strings and carrier phrases."""
    phrases = [("command", phrase.split()) for phrase in rng.sample(COMMANDS, len(COMMANDS) // 2)]
    phrases += [("digit", [digit]) for digit in DIGITS]
    phrases += [("carrier", phrase.split()) for phrase in CARRIERS]
    for _ in range(6):
        phrases.append(("string", rng.choices(DIGITS, k=rng.randint(2, 6))))
    return phrases + [("chatter", rng.choice(CHATTER).split())]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--voices", type=int, default=220, help="training voices (accent × timbre × rate × pitch)")
    parser.add_argument("--heldout-voices", type=int, default=24)
    parser.add_argument("--seed", type=int, default=3)
    arguments = parser.parse_args()
    data = pathlib.Path(os.environ["SOTTO_DATA"])
    arguments.out.mkdir(parents=True, exist_ok=True)
    started, rng, store = time.time(), random.Random(arguments.seed), Store()

    add_fsdd(store, data / "speech/fsdd.tar.gz", rng)
    print(f"{len(store.records)} clips of FSDD, {time.time() - started:.0f} s", flush=True)
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        for index in range(arguments.voices):
            voice = random_voice(rng, heldout=False)
            add_voice(store, voice, f"synthetic/{index}", training_phrases(rng), "train", file.name)
        for index in range(arguments.heldout_voices):
            voice = random_voice(rng, heldout=True)
            phrases = [("command", phrase.split()) for phrase in COMMANDS] + [("digit", [digit]) for digit in DIGITS]
            add_voice(store, voice, f"heldout/{index}", phrases, "heldout", file.name)
    np.save(arguments.out / "audio.npy", np.concatenate(store.audio))
    (arguments.out / "clips.json").write_text(json.dumps(store.records))
    build_tokenizer().save(str(arguments.out / "tokenizer.json"))
    hours = store.offset / SAMPLE_RATE / 3600
    print(f"{len(store.records)} clips, {hours:.2f} h, {time.time() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
