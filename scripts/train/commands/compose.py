"""Puts clips together to utterances with their transcripts: digit strings, commands, silence, noise, cut-off ends.

Clips start on encoder positions (multiples of 320 samples), so that what is known about a clip, its span and its
teacher states, is known about the utterance. Words less than 0.35 s apart share a segment; 0.5 s or more divide two.
"""

import dataclasses
import json
import pathlib

import numpy as np

import augment
from vocabulary import DIGITS, FRAME, POSITIONS

RATE = 16_000


@dataclasses.dataclass
class Placed:
    """A clip inside an utterance, in encoder positions."""

    clip: dict
    start: int
    segment: int

    @property
    def end(self) -> int:
        return self.start + -(-self.clip["length"] // FRAME)


@dataclasses.dataclass
class Utterance:
    samples: np.ndarray  # float32, as long as the recording; the window behind it is zero
    placed: list  # empty: nothing is said
    cut: int | None = None  # position where the window ended while somebody spoke


class Corpus:
    """The clips of one split, by kind and voice."""

    def __init__(self, folder: pathlib.Path, split: str):
        self.audio = np.load(folder / "audio.npy", mmap_mode="r")
        clips = json.loads((folder / "clips.json").read_text())
        for index, clip in enumerate(clips):
            clip["index"] = index
        self.clips = [clip for clip in clips if clip["split"] == split]
        self.by_voice = {}
        for clip in self.clips:
            self.by_voice.setdefault(clip["voice"], {}).setdefault(clip["kind"], []).append(clip)
        self.fsdd = sorted(voice for voice in self.by_voice if voice.startswith("fsdd/"))
        self.synthetic = sorted(voice for voice in self.by_voice if not voice.startswith("fsdd/"))

    def samples(self, clip: dict) -> np.ndarray:
        """One clip, peak near 0.9."""
        return self.audio[clip["offset"] : clip["offset"] + clip["length"]].astype(np.float32) / 32768.0


class Composer:
    """Draws random utterances. Level 1: one command or two digits; 2: half the length; 3: everything.

    Short utterances first: they cost a sixth of a long one, and words are learned before order is.
    """

    def __init__(self, corpus: Corpus, seed: int, level: int = 3):
        self.corpus, self.rng, self.level = corpus, np.random.default_rng(seed), level

    def pick(self, items):
        return items[self.rng.integers(len(items))]

    def babble(self, length: int) -> np.ndarray:
        """Three to eight voices at once."""
        out = np.zeros(length, np.float32)
        for _ in range(self.rng.integers(3, 9)):
            at = -int(self.rng.integers(0, RATE))
            while at < length:
                voice = self.corpus.by_voice[self.pick(self.corpus.synthetic)]
                kinds = [kind for kind in ("chatter", "chatter", "string", "command") if kind in voice]
                samples = self.corpus.samples(self.pick(voice[self.pick(kinds)])) * self.rng.uniform(0.3, 1.0)
                begin, end = max(0, at), min(length, at + len(samples))
                if end > begin:
                    out[begin:end] += samples[begin - at : end - at]
                at += len(samples) + int(self.rng.integers(0, 4000))
        return out

    def digits(self, most: int) -> list[dict]:
        """A digit string of one voice, in one to `most` clips."""
        real = self.rng.random() < 0.65
        voice = self.corpus.by_voice[self.pick(self.corpus.fsdd if real else self.corpus.synthetic)]
        if not real and "string" in voice and self.rng.random() < 0.5:
            return [self.pick(voice["string"])]
        by_digit = {}
        for clip in voice["digit"]:
            by_digit.setdefault(clip["words"][0], []).append(clip)
        count = int(self.rng.integers(1, most + 1))
        # Strings like "two two zero two" teach to count what looks alike.
        choice = DIGITS if self.rng.random() < 0.75 else [self.pick(DIGITS), self.pick(DIGITS)]
        names = [self.pick(choice) for _ in range(count)]
        return [self.pick(by_digit[name]) for name in names if name in by_digit]

    def content(self) -> list[list[dict]]:
        """Segments of clips; none for an utterance in which nobody speaks."""
        draw, rng = self.rng.random(), self.rng
        if draw < 0.07:
            return []
        if draw < 0.62:
            segments = [self.digits({1: 2, 2: 4, 3: 8}[self.level])]
            if self.level > 1 and len(segments[0]) < 5 and rng.random() < 0.25:
                segments.append(self.digits(3))
            return self.followed(segments)
        voice = self.corpus.by_voice[self.pick(self.corpus.synthetic)]
        if draw < 0.70:
            return self.followed([[self.pick(voice["carrier"]), *self.digits(2 if self.level == 1 else 4)]])
        if self.level == 1:
            return [[self.pick(voice["command"])]]
        segments = [[self.pick(voice["command"])] for _ in range(rng.choice([1, 2, 3, 4], p=[0.5, 0.25, 0.15, 0.1]))]
        if rng.random() < 0.15:
            segments.append(self.digits(3))
        if len(segments) > 1 and rng.random() < 0.2:
            segments[:2] = [segments[0] + segments[1]]
        return segments

    def followed(self, segments: list[list[dict]]) -> list[list[dict]]:
        """Sometimes a command before or after numbers: neither is the end of what is said."""
        if self.level == 1 or self.rng.random() < 0.6:
            return segments
        command = [self.pick(self.corpus.by_voice[self.pick(self.corpus.synthetic)]["command"])]
        return [command, *segments] if self.rng.random() < 0.4 else [*segments, command]

    def utterance(self) -> Utterance:
        """One random utterance, degraded at random, at most one window long."""
        rng = self.rng
        margin = {1: 8, 2: 25, 3: 60}[self.level]
        placed, at = [], int(rng.choice([0, *rng.integers(0, 12, size=3), rng.integers(0, margin)]))
        for number, segment in enumerate(self.content()):
            if number:
                at += int(rng.integers(25, 75))
            rhythm = rng.uniform(0, 0.35)  # a speaker's habitual pause, seconds
            for position, clip in enumerate(segment):
                if position:
                    at += int(round(min(0.34, rng.uniform(0, 2) * rhythm) * 50))
                placed.append(Placed(clip, at, number))
                at = placed[-1].end
        length = at + int(rng.choice([*rng.integers(1, 12, size=3), rng.integers(5, margin)]))
        if not placed:
            length = int(rng.integers(10, {1: 60, 2: 200, 3: POSITIONS + 1}[self.level]))
        cut = self._cut(placed, length)
        length = min(length, POSITIONS) if cut is None else cut
        samples = self._mix(placed, length)
        return Utterance(samples, placed, cut)

    def _cut(self, placed: list[Placed], length: int) -> int | None:
        """Where the window ends when it ends in mid-speech: always for long utterances, sometimes for others."""
        if length > POSITIONS:
            return POSITIONS if any(item.end > POSITIONS for item in placed) else None
        if self.level == 3 and len(placed) > 1 and self.rng.random() < 0.08:
            last = placed[-1]
            return int(last.start + max(4, (last.end - last.start) * self.rng.uniform(0.2, 0.7)))
        return None

    def _mix(self, placed: list[Placed], length: int) -> np.ndarray:
        rng = self.rng
        samples = np.zeros(length * FRAME, np.float32)
        for item in placed:
            begin = item.start * FRAME
            clip = self.corpus.samples(item.clip) * 10 ** rng.uniform(-0.3, 0)
            stretch = samples[begin : begin + len(clip)]
            stretch += clip[: len(stretch)]
        if placed and rng.random() < 0.25:
            return samples  # as recorded
        if placed:
            return augment.degrade(rng, samples, self.babble).astype(np.float32)
        if rng.random() < 0.25:
            return samples  # digital silence
        level = 10 ** rng.uniform(-4, -0.3)
        noise = augment.background(rng, len(samples), self.babble)
        if rng.random() < 0.3:
            noise = augment.band_limit(rng, noise)
        return (noise / (np.abs(noise).max() + 1e-9) * level).astype(np.float32)
