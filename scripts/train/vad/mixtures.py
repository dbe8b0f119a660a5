"""Scenes of speech, silence and noise as a microphone hears them, ready to learn from: `scenes-SEED.npz`.

    python mixtures.py --out FOLDER --seed 1 --speech 17        (after voices.py; several seeds give several files)

Each scene has 10 s: utterances with pauses, or none; rooms, microphones, telephone lines, low-rate codecs, clipping; up
to three sounds at any level; −45 to 0 dB in all. Kept: log-mel features (f16), one label per step of 512 samples (the
share of it in which someone speaks, by the energy of the speech before anything was done to it) and its weight (0.15
where the noise leaves nothing of the speech to hear).
"""

import argparse
import json
import pathlib
import time

import numpy as np
from scipy.signal import butter, fftconvolve, lfilter, resample_poly, sosfilt

import sounds
from features import RATE, STEP, log_mel

SECONDS = 10
LENGTH = SECONDS * RATE // STEP * STEP
FRAME = RATE // 100


def active(speech: np.ndarray) -> np.ndarray:
    """Per sample: within 40 dB of the clip's loudest 10 ms; pauses under 150 ms belong to the speech around them."""
    frames = speech[: len(speech) // FRAME * FRAME].reshape(-1, FRAME)
    energy = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-12)
    loud = np.flatnonzero(energy > energy.max() - 40)
    mask = np.zeros(len(speech), bool)
    for first, second in zip(loud, [*loud[1:], loud[-1] + 1000]):
        mask[first * FRAME : (second if second - first <= 15 else first + 1) * FRAME] = True
    return mask


def room(rng: np.random.Generator, samples: np.ndarray) -> np.ndarray:
    """A shoebox room: the images of the speaker behind its walls up to the third order, then a decaying tail."""
    size = rng.uniform([2.5, 2.5, 2.2], [10, 8, 4])
    source, ear = rng.uniform(0.15, 0.85, 3) * size, rng.uniform(0.15, 0.85, 3) * size
    absorbing, decay = rng.uniform(0.15, 0.7), rng.uniform(0.1, 0.9)
    length = int(decay * RATE)
    response = np.zeros(length + 1200)
    grid = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 3, indexing="ij"), -1).reshape(-1, 3)
    grid = grid[np.abs(grid).sum(1) <= 3]
    images = np.where(grid % 2 == 0, grid * size + source, grid * size + size - source)
    distance = np.linalg.norm(images - ear, axis=1) + 0.1
    gain = (1 - absorbing) ** (np.abs(grid).sum(1) / 2) / distance
    delay = ((distance - distance.min()) / 343 * RATE).astype(int)
    np.add.at(response, np.minimum(delay, len(response) - 1), gain / gain.max())
    tail = rng.standard_normal(len(response)) * 10 ** (-3 * np.arange(len(response)) / length)
    tail = lfilter([1.0], [1.0, -rng.uniform(0.0, 0.8)], tail)
    tail[: int(0.01 * RATE)] = 0
    response += tail * rng.uniform(0.02, 0.6) / (np.sqrt(np.sum(tail**2)) + 1e-9)
    return fftconvolve(samples, response)[: len(samples)]


def microphone(rng, samples):
    """A spectral tilt and gentle bumps."""
    spectrum = np.fft.rfft(samples)
    octave = np.log2(np.maximum(np.arange(len(spectrum)) * RATE / len(samples), 50.0) / 1000.0)
    gain = rng.uniform(-4, 4) * octave
    for _ in range(int(rng.integers(0, 4))):
        gain = gain + rng.uniform(-9, 9) * np.exp(-(((octave - rng.uniform(-3, 3)) / rng.uniform(0.2, 1.2)) ** 2))
    return np.fft.irfft(spectrum * 10 ** (gain / 20), len(samples))


def line(rng, samples):
    """A telephone, an old recorder, a codec of few bits: treble gone, sometimes bass, steps, holes in the spectrum."""
    top = rng.choice([rng.uniform(2600, 4000), rng.uniform(3400, 3900), rng.uniform(4000, 7500)])
    samples = sosfilt(butter(int(rng.choice([4, 8, 12])), top, fs=RATE, output="sos"), samples)
    if rng.random() < 0.4:
        samples = sosfilt(butter(2, rng.uniform(100, 400), "high", fs=RATE, output="sos"), samples)
    if rng.random() < 0.3:
        peak = np.abs(samples).max() + 1e-9
        code = np.round(np.sign(samples) * np.log1p(255 * np.abs(samples) / peak) / np.log(256) * 127) / 127
        samples = np.sign(code) * np.expm1(np.abs(code) * np.log(256)) / 255 * peak
    if rng.random() < 0.3:
        samples = holes(rng, samples)
    return samples


def holes(rng, samples):
    """What MP3 and its like do at low rates: bins far below their neighbours are dropped, frame by frame."""
    size = 512
    window = np.sin(np.pi * (np.arange(size) + 0.5) / size)
    padded = np.pad(samples, (size, size + -len(samples) % (size // 2)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[:: size // 2] * window
    spectrum = np.fft.rfft(frames)
    power = np.abs(spectrum) ** 2
    around = fftconvolve(power, np.ones((1, 17)) / 17, mode="same", axes=1)
    spectrum[power < around * 10 ** rng.uniform(-1.5, 0)] = 0
    frames, out = np.fft.irfft(spectrum, size) * window, np.zeros(len(padded))
    for index, frame in enumerate(frames):
        out[index * size // 2 :][:size] += frame
    return out[size : size + len(samples)]


class Speech:
    def __init__(self, folder: pathlib.Path, seeds: list[int]):
        self.audio = [np.load(folder / f"speech-{seed}.npy", mmap_mode="r") for seed in seeds]
        lists = [json.loads((folder / f"speech-{seed}.json").read_text()) for seed in seeds]
        self.clips = [clip | {"file": number} for number, clips in enumerate(lists) for clip in clips]
        # Each kind of voice as often as the neural and recorded ones allow, not as its minutes.
        kinds = [clip["voice"].split("/")[0] for clip in self.clips]
        groups = ["kokoro" if k == "kokoro" else "hibari" if k == "hibari" else "diphone" if "diphone" in k else
                  "flite" if k in ("awb", "slt", "rms", "kal16", "kal") else "espeak" for k in kinds]  # fmt: skip
        share = {"kokoro": 0.3, "hibari": 0.15, "diphone": 0.15, "flite": 0.15, "espeak": 0.25}
        count = {group: groups.count(group) for group in set(groups)}
        weights = np.array([share[group] / count[group] for group in groups])
        self.weights = np.cumsum(weights / weights.sum())

    def clip(self, rng) -> np.ndarray:
        clip = self.clips[min(int(np.searchsorted(self.weights, rng.random())), len(self.clips) - 1)]
        samples = self.audio[clip["file"]][clip["offset"] : clip["offset"] + clip["length"]].astype(np.float64) / 32768
        if rng.random() < 0.6:
            # Smaller and larger speakers.
            samples = resample_poly(samples, 100, int(rng.integers(84, 120)))
        return samples


class Sounds:
    """Sounds made once and used again at another speed and from another moment on."""

    def __init__(self, rng, count, kinds):
        music = sounds.Music(rng, 16 if kinds is sounds.KINDS else 3)
        self.bank = [sounds.sound(rng, LENGTH, music, kinds).astype(np.float32) for _ in range(count)]

    def take(self, rng) -> np.ndarray:
        sound = self.bank[rng.integers(len(self.bank))]
        if rng.random() < 0.5:
            sound = resample_poly(sound, 100, int(rng.integers(75, 130)))
        start = int(rng.integers(0, len(sound)))
        return np.resize(np.roll(sound, -start), LENGTH).astype(np.float64)


def scene(rng: np.random.Generator, speech: Speech, bank: Sounds, speaking: float):
    voice, mask = np.zeros(LENGTH), np.zeros(LENGTH, bool)
    if rng.random() < speaking:
        pause = rng.choice([0.15, 0.5, 1.5, 4.0])
        at = int(rng.exponential(pause) * RATE) if rng.random() < 0.8 else -int(rng.uniform(0, 2) * RATE)
        while at < LENGTH:
            clip = speech.clip(rng)
            if rng.random() < 0.15:
                clip = clip[: int(rng.uniform(0.15, 1) * len(clip))]
            clip = clip * 10 ** (rng.uniform(-8, 0) / 20)
            here = active(clip)
            if at < 0:
                clip, here, at = clip[-at:], here[-at:], 0
            size = min(len(clip), LENGTH - at)
            voice[at : at + size] += clip[:size]
            mask[at : at + size] |= here[:size]
            at += max(size, 1) + int(rng.exponential(pause) * RATE)
        if rng.random() < 0.35:
            voice = room(rng, voice)
        if rng.random() < 0.6:
            voice = microphone(rng, voice)
    level = np.sqrt(np.mean(voice[mask] ** 2)) if mask.any() else 0.1
    noise = np.zeros(LENGTH)
    quiet = rng.random()
    if quiet > 0.12:
        for _ in range(int(rng.choice([1, 1, 2, 3]))):
            noise += 10 ** (rng.uniform(-15, 0) / 20) * bank.take(rng)
        if rng.random() < 0.25:
            noise = room(rng, noise)
        if rng.random() < 0.4:
            noise = microphone(rng, noise)
        noise = sounds.unit(noise)
        if rng.random() < 0.3:
            # Begins or ends somewhere.
            edge = int(rng.integers(0, LENGTH))
            noise[slice(edge, None) if rng.random() < 0.5 else slice(0, edge)] *= 10 ** rng.uniform(-3, -0.5)
        noise *= level * 10 ** (-rng.uniform(-3, 35) / 20)
    if quiet > 0.04:
        noise = noise + level * 10 ** rng.uniform(-4, -1.5) * sounds.coloured(rng, LENGTH, rng.uniform(-0.3, 1))
    mixed = voice + noise
    if rng.random() < 0.35:
        mixed = line(rng, mixed)
    if rng.random() < 0.05:
        mixed = mixed + level * rng.uniform(-1, 1)
    mixed = mixed / (np.abs(mixed).max() + 1e-9) * 10 ** (-rng.uniform(0, 45) * rng.random() / 20)
    if rng.random() < 0.08:
        limit = np.abs(mixed).max() * rng.uniform(0.1, 0.8)
        mixed = np.clip(mixed, -limit, limit)
    if rng.random() < 0.8:
        mixed = np.round(mixed * 32768) / 32768
    if rng.random() < 0.06:
        # A stretch without any signal, as of muted calls.
        start = int(rng.integers(0, LENGTH))
        stop = start + int(rng.uniform(0.2, 4) * RATE)
        mixed[start:stop], mask[start:stop] = 0, False
    labels = mask.reshape(-1, STEP).mean(axis=1)
    powers = [np.mean(part.reshape(-1, STEP) ** 2, axis=1) for part in (voice, noise)]
    buried = (labels > 0) & (powers[0] < powers[1] * 10**-1.0)
    return log_mel(mixed).astype(np.float16), labels.astype(np.float16), np.where(buried, 0.15, 1).astype(np.float16)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--scenes", type=int, default=1400)
    parser.add_argument("--speech", type=int, nargs="+", default=[17, 18], help="seeds of voices.py")
    parser.add_argument("--sounds", type=int, default=500)
    parser.add_argument("--kinds", choices=sounds.CHOICES, default="first", help="of sounds")
    parser.add_argument("--speaking", type=float, default=0.78, help="share of scenes in which someone speaks")
    parser.add_argument("--seed", type=int, required=True)
    arguments = parser.parse_args()
    kinds = sounds.CHOICES[arguments.kinds]
    rng, started = np.random.default_rng(arguments.seed), time.time()
    speech, bank = Speech(arguments.out, arguments.speech), Sounds(rng, arguments.sounds, kinds)
    print(f"{arguments.sounds} sounds, {time.time() - started:.0f} s", flush=True)
    parts = [scene(rng, speech, bank, arguments.speaking) for _ in range(arguments.scenes)]
    features, labels, weights = (np.stack(part) for part in zip(*parts))
    np.savez(arguments.out / f"scenes-{arguments.seed}.npz", features=features, labels=labels, weights=weights)
    hours = arguments.scenes * SECONDS / 3600
    print(
        f"seed {arguments.seed}: {hours:.1f} h, {labels.mean():.3f} of it speech, {time.time() - started:.0f} s",
        flush=True,
    )


if __name__ == "__main__":
    main()
