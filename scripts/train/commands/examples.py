"""Turns utterances into training batches: features, token sequences with targets, word spans, teacher states."""

import pathlib

import numpy as np
import torch

from compose import Composer, Corpus, Utterance
from features import log_mel
from vocabulary import FRAME, POSITIONS, WORDS, Vocabulary, build_tokenizer

IGNORE = -100


class Targets:
    """Decoder input, its targets, and which encoder positions each prediction is about."""

    def __init__(self, vocabulary: Vocabulary, rng: np.random.Generator):
        self.vocabulary, self.rng = vocabulary, rng

    def build(self, utterance: Utterance):
        """`(input ids, target ids, spans)`; a span is `(start, end)` in positions or None."""
        v, rng = self.vocabulary, self.rng
        stamps = rng.random() < 0.8
        if not utterance.placed:
            second = v.timestamp + int(rng.choice([0, rng.integers(0, 51)])) if stamps else v.notimestamps
            tokens, spans = [second, v.eot], [None, None]
            targets = [v.nospeech, v.eot]
        else:
            tokens, spans = self._speech(utterance, stamps)
            targets = list(tokens)
        tokens = [v.sot, *tokens[:-1]]
        if rng.random() < 0.15:  # text from before, as long-form decoding and prompts supply it
            words = rng.choice(WORDS, size=rng.integers(1, 24))
            before = [v.prev, *(v.word[word] for word in words)]
            tokens, targets = before + tokens, [IGNORE] * len(before) + targets
            spans = [None] * len(before) + spans
        return tokens, targets, spans

    def _speech(self, utterance: Utterance, stamps: bool):
        v, cut = self.vocabulary, utterance.cut
        tokens, spans = ([], []) if stamps else ([v.notimestamps], [None])

        def stamp(position: int):
            position = min(position, POSITIONS)
            tokens.append(v.timestamp + position)
            spans.append((position - 4, position + 4))

        for item in utterance.placed:
            if cut is not None and item.end > cut:
                if stamps and item.start < cut:
                    stamp(item.start)  # says where the next window has to begin
                break
            if stamps:
                stamp(item.start)
            tokens.extend(v.word[word] for word in item.clip["words"])
            spans.extend(word_spans(item))
            if stamps:
                stamp(item.end)
        return [*tokens, v.eot], [*spans, None]


def word_spans(item) -> list[tuple[int, int]]:
    """Where each word of a clip lies; inside a phrase estimated from the words' lengths in letters."""
    words = item.clip["words"]
    if len(words) == 1:
        return [(item.start, item.end)]
    edges = np.cumsum([0, *(len(word) + 1 for word in words)]) / (sum(map(len, words)) + len(words))
    edges = item.start + edges * (item.end - item.start)
    return [(int(begin), int(np.ceil(end))) for begin, end in zip(edges, edges[1:], strict=False)]


class Batches(torch.utils.data.IterableDataset):
    """An endless stream of batches of about equal cost, each padded to its longest utterance or to the whole window."""

    def __init__(self, folder: pathlib.Path, seed: int, positions: int, level: int, teacher: bool):
        self.folder, self.seed, self.positions = folder, seed, positions
        self.level, self.teacher = level, teacher

    def __iter__(self):
        info = torch.utils.data.get_worker_info()
        seed = self.seed + (info.id if info else 0)
        torch.set_num_threads(1)
        corpus = Corpus(self.folder, "train")
        composer = Composer(corpus, seed, self.level)
        rng = composer.rng
        targets = Targets(Vocabulary(build_tokenizer()), rng)
        states = np.load(self.folder / "teacher.npy", mmap_mode="r") if self.teacher else None
        offsets = np.load(self.folder / "teacher_offsets.npy") if self.teacher else None
        while True:
            composer.level = int(rng.integers(1, self.level + 1))
            # Share of batches padded to the whole window, where five utterances cost as much as forty words.
            whole_window = {1: 0.0, 2: 0.03, 3: 0.12}[composer.level]
            pool = sorted((composer.utterance() for _ in range(96)), key=lambda u: len(u.samples))
            batches = []
            while pool:
                whole = rng.random() < whole_window
                batch, room = [], 0
                # A whole window takes utterances of any length, else neighbours in length go together.
                while (
                    pool
                    and (len(batch) + 1) * (POSITIONS if whole else max(room, len(pool[-1].samples) // FRAME))
                    <= self.positions
                ):
                    batch.append(pool.pop(int(rng.integers(len(pool))) if whole else -1))
                    room = max(room, len(batch[-1].samples) // FRAME)
                batches.append((batch, POSITIONS if whole else min(POSITIONS, room + int(rng.integers(0, 12)))))
            for index in rng.permutation(len(batches)):
                yield collate(*batches[index], targets, states, offsets, rng)


def warp(rng: np.random.Generator, mel: torch.Tensor) -> torch.Tensor:
    """Vocal tract length perturbation, SpecAugment's masks in time and frequency, and a small offset."""
    if rng.random() < 0.5:
        source = torch.arange(80) * rng.uniform(0.88, 1.14)
        low = source.long().clamp(max=79)
        share = (source - low).clamp(0, 1)[:, None]
        mel = mel[low] * (1 - share) + mel[(low + 1).clamp(max=79)] * share
    mel = mel.clone()
    floor = mel.min()
    for _ in range(rng.integers(0, 3)):
        at, width = int(rng.integers(0, 76)), int(rng.integers(1, 6))
        mel[at : at + width] = floor
    if rng.random() < 0.4:
        at = int(rng.integers(0, max(1, mel.shape[1])))
        mel[:, at : at + int(rng.integers(1, 9))] = floor
    return mel


def collate(batch: list[Utterance], room: int, targets: Targets, states, offsets, rng) -> dict[str, torch.Tensor]:
    """One batch of tensors; `room` is the number of encoder positions."""
    rows = [targets.build(utterance) for utterance in batch]
    longest = max(len(tokens) for tokens, _, _ in rows)
    mel = torch.zeros(len(batch), 80, 2 * room)
    tokens = torch.full((len(batch), longest), targets.vocabulary.eot)
    labels = torch.full((len(batch), longest), IGNORE)
    spans = torch.zeros(len(batch), longest, 2, dtype=torch.long)
    teacher = torch.zeros(len(batch), room, 384) if states is not None else None
    known = torch.zeros(len(batch), room, dtype=torch.bool)
    for index, (utterance, (row, goal, span)) in enumerate(zip(batch, rows, strict=True)):
        padded = torch.zeros(room * FRAME)
        padded[: len(utterance.samples)] = torch.from_numpy(utterance.samples[: room * FRAME])
        mel[index] = warp(rng, log_mel(padded))
        tokens[index, : len(row)] = torch.tensor(row)
        labels[index, : len(goal)] = torch.tensor(goal)
        for place, pair in enumerate(span):
            if pair is not None:
                spans[index, place] = torch.tensor(pair).clamp(0, room)
        if states is not None:
            for item in utterance.placed:
                begin = int(offsets[item.clip["index"]])
                count = min(item.end, room) - item.start
                if count > 0:
                    teacher[index, item.start : item.start + count] = torch.from_numpy(
                        states[begin : begin + count].astype(np.float32)
                    )
                    known[index, item.start : item.start + count] = True
    out = {"mel": mel, "tokens": tokens, "labels": labels, "spans": spans, "known": known}
    if teacher is not None:
        out["teacher"] = teacher
    return out
