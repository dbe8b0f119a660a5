"""Measures an exported folder with transformers' WhisperForConditionalGeneration on its dequantized weights.

    python evaluate.py --model ../../../core/testkit/models/commands --out FOLDER [--recipe evaluation.json]

Greedy decoding of whole windows, with timestamps as the model's settings ask. `--write-recipe` makes the recipe of the
digit strings: which recordings of the held-out speakers follow each other with how many zero samples between them, all
at 8 kHz, so that any program can rebuild the strings sample for sample from `fsdd.tar.gz`. FOLDER is corpus.py's
(held-out synthetic voices).
"""

import argparse
import io
import json
import os
import pathlib
import random
import tarfile

import jiwer
import numpy as np
import soundfile
import torch
from scipy.signal import resample_poly
from transformers import GenerationConfig, WhisperConfig, WhisperForConditionalGeneration

import augment
from compose import Composer, Corpus
from corpus import HELDOUT_SPEAKERS
from export import dequantized
from features import log_mel
from vocabulary import DIGITS, Vocabulary, build_tokenizer

RATE = 8_000


class Recognizer:
    """The exported model in the reference implementation."""

    def __init__(self, folder: pathlib.Path):
        config = WhisperConfig.from_pretrained(folder)
        self.model = WhisperForConditionalGeneration(config).eval()
        shapes = {name: tensor.shape for name, tensor in self.model.state_dict().items()}
        missing, unexpected = self.model.load_state_dict(
            dequantized(folder / "model.safetensors", shapes), strict=False
        )
        assert missing == ["proj_out.weight"] and not unexpected, (missing, unexpected)
        self.model.tie_weights()
        self.model.generation_config = GenerationConfig.from_pretrained(folder)
        self.window = config.max_source_positions * 320
        self.vocabulary = Vocabulary(build_tokenizer())

    @torch.no_grad()
    def tokens(self, recordings: list[np.ndarray], timestamps: bool = True) -> list[list[int]]:
        """Token ids of 16 kHz recordings of at most one window each."""
        out = []
        for begin in range(0, len(recordings), 16):
            mel = []
            for samples in recordings[begin : begin + 16]:
                padded = torch.zeros(self.window)
                padded[: len(samples)] = torch.from_numpy(np.asarray(samples, np.float32))[: self.window]
                mel.append(log_mel(padded))
            ids = self.model.generate(torch.stack(mel), return_timestamps=timestamps)
            out.extend(row.tolist() for row in ids)
        return out

    def texts(self, recordings: list[np.ndarray], timestamps: bool = True) -> list[str]:
        return [self.vocabulary.text(row) for row in self.tokens(recordings, timestamps)]


def write_recipe(path: pathlib.Path, recordings: dict[str, np.ndarray], seed: int = 11, count: int = 300):
    """Draws the digit strings: half per speaker, 1 to 8 digits, pauses of 0.05 to 0.4 s."""
    rng, strings = random.Random(seed), []
    while len(strings) < count:
        speaker = HELDOUT_SPEAKERS[len(strings) % 2]
        digits = [rng.randrange(10) for _ in range(rng.randint(1, 8))]
        files = [f"fsdd/{digit}_{speaker}_{rng.randrange(50)}.wav" for digit in digits]
        # Before the first word, between words, after the last one.
        pauses = [rng.randint(800, 4000), *(rng.randint(400, 3200) for _ in digits[1:]), rng.randint(800, 4000)]
        if sum(pauses) + sum(len(recordings[name]) for name in files) <= 9.5 * RATE:
            text = " ".join(DIGITS[digit] for digit in digits)
            strings.append({"speaker": speaker, "files": files, "pauses": pauses, "text": text})
    note = (
        "string = zeros(pauses[0]) + files[0] + zeros(pauses[1]) + … + files[n-1] + zeros(pauses[n]), "
        "16-bit samples at sample_rate"
    )
    lines = ",\n".join("  " + json.dumps(string) for string in strings)
    path.write_text(
        f'{{"note": {json.dumps(note)},\n "archive": "speech/fsdd.tar.gz", "sample_rate": {RATE}, '
        f'"strings": [\n{lines}\n]}}\n'
    )


def read_archive(path: pathlib.Path, wanted) -> dict[str, np.ndarray]:
    """float64 samples at the file's own rate by member name."""
    out = {}
    with tarfile.open(path) as tar:
        for member in tar:
            if member.name.endswith(".wav") and wanted(member.name):
                samples, rate = soundfile.read(io.BytesIO(tar.extractfile(member).read()), dtype="float64")
                out[member.name] = (
                    samples if rate in (RATE, 16_000) else resample_poly(samples, 16_000 // 100, rate // 100)
                )
    return out


def build(string: dict, recordings: dict[str, np.ndarray]) -> np.ndarray:
    """One digit string of the recipe, brought to 16 kHz."""
    parts = [np.zeros(string["pauses"][0])]
    for name, pause in zip(string["files"], string["pauses"][1:], strict=True):
        parts += [recordings[name], np.zeros(pause)]
    return resample_poly(np.concatenate(parts), 2, 1)


def rate_of_errors(references: list[str], hypotheses: list[str]) -> str:
    out = jiwer.process_words(references, hypotheses)
    words = sum(len(reference.split()) for reference in references)
    return (
        f"{100 * out.wer:6.2f} %  ({out.substitutions} substituted, {out.deletions} deleted, "
        f"{out.insertions} inserted of {words} words)"
    )


def in_noise(samples: np.ndarray, ratio: float, rng, babble) -> np.ndarray:
    """Speech over a random background at `ratio` dB below its own level."""
    power = samples[np.abs(samples) > 0.02 * np.abs(samples).max()].std()
    return samples + augment.background(rng, len(samples), babble) * power * 10 ** (-ratio / 20)


def measure_digits(recognizer: Recognizer, data: pathlib.Path, recipe: dict):
    recordings = read_archive(data / "speech/fsdd.tar.gz", lambda name: name.split("_")[1] in HELDOUT_SPEAKERS)
    strings = recipe["strings"]
    audio = [build(string, recordings) for string in strings]
    references = [string["text"] for string in strings]
    for timestamps in (True, False):
        hypotheses = recognizer.texts(audio, timestamps)
        label = "as its settings ask" if timestamps else "without timestamps"
        print(f"FSDD digit strings, held-out speakers, {label}: {rate_of_errors(references, hypotheses)}")
        for speaker in HELDOUT_SPEAKERS if timestamps else ():
            rows = [i for i, string in enumerate(strings) if string["speaker"] == speaker]
            print(
                f"  {speaker}: {rate_of_errors([references[i] for i in rows], [hypotheses[i] for i in rows])}",
                flush=True,
            )
    return references, recognizer.texts(audio)


def measure_commands(recognizer: Recognizer, folder: pathlib.Path):
    corpus = Corpus(folder, "heldout")
    composer = Composer(Corpus(folder, "train"), 5)
    rng = np.random.default_rng(5)
    clips = [clip for clip in corpus.clips if not clip["voice"].startswith("fsdd/")]
    clips = [clips[i] for i in rng.permutation(len(clips))[:600]]
    audio = [np.pad(corpus.samples(clip) * 0.5, (4000, 6000)) for clip in clips]
    references = [" ".join(clip["words"]) for clip in clips]
    print(f"commands, held-out synthetic voices, clean: {rate_of_errors(references, recognizer.texts(audio))}")
    for ratio in (20, 10, 5):
        noisy = [in_noise(samples, ratio, rng, composer.babble) for samples in audio]
        print(f"  in noise, {ratio} dB: {rate_of_errors(references, recognizer.texts(noisy))}", flush=True)
    rooms = [augment.room(rng, samples) for samples in audio]
    print(f"  in rooms: {rate_of_errors(references, recognizer.texts(rooms))}", flush=True)


def measure_silence(recognizer: Recognizer, data: pathlib.Path):
    for path in [None, *sorted((data / "speech/noise").glob("*.flac"))]:
        if path is None:
            windows, name = [np.zeros(160_000)], "digital silence"
        elif path.stem.startswith("rir"):
            continue
        else:
            samples, rate = soundfile.read(path, dtype="float64")
            samples = samples if samples.ndim == 1 else samples.mean(1)
            samples = resample_poly(samples, 16_000 // 50, rate // 50) if rate != 16_000 else samples
            samples = np.tile(samples, -(-60 * 16_000 // len(samples)))[: 60 * 16_000]
            windows, name = np.split(samples, 6), path.stem
        words = " ".join(recognizer.texts(windows)).split()
        print(f"{name}, {10 * len(windows)} s without voice activity detection: {len(words)} words", flush=True)


def measure_alphanumeric(recognizer: Recognizer, data: pathlib.Path):
    wanted = set(DIGITS)
    recordings = read_archive(data / "speech/alphanumeric.tar.gz", lambda name: name.split("/")[1] in wanted)
    references = [name.split("/")[1] for name in recordings]
    audio = [np.pad(samples, (3200, 3200)) for samples in recordings.values()]
    print(f"single digits of alphanumeric.tar.gz: {rate_of_errors(references, recognizer.texts(audio))}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--write-recipe", action="store_true")
    parser.add_argument("--only-digits", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    data = pathlib.Path(os.environ["SOTTO_DATA"])
    recipe = arguments.model / "evaluation.json"
    if arguments.write_recipe:
        write_recipe(recipe, read_archive(data / "speech/fsdd.tar.gz", lambda name: True))
    recognizer = Recognizer(arguments.model)
    references, hypotheses = measure_digits(recognizer, data, json.loads(recipe.read_text()))
    wrong = [
        (reference, hypothesis)
        for reference, hypothesis in zip(references, hypotheses, strict=True)
        if reference != hypothesis
    ]
    for reference, hypothesis in wrong[:12]:
        print(f"    {reference!r} heard as {hypothesis!r}")
    if not arguments.only_digits:
        measure_commands(recognizer, arguments.out)
        measure_silence(recognizer, data)
        measure_alphanumeric(recognizer, data)


if __name__ == "__main__":
    main()
