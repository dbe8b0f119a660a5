"""Runs the encoder of Whisper tiny.en over every training clip and keeps its states for distillation.

    python teacher.py --out FOLDER           (after corpus.py; SOTTO_DATA names the data folder)

Each clip is encoded alone at its true length, after 0.2 s of silence. Writes `teacher.npy` (f16, `[positions, 384]`,
standardised per channel over all clips) and `teacher_offsets.npy` (first position of each clip, −1 where held out).
"""

import argparse
import os
import pathlib
import time

import numpy as np
import torch
from transformers import WhisperModel

from compose import Corpus
from features import log_mel
from vocabulary import FRAME

LEAD = 10  # positions of silence before a clip


@torch.no_grad()
def encode(encoder, batch: list[np.ndarray]) -> list[np.ndarray]:
    """Final states of clips of equal padded length, without transformers' demand for 30 s."""
    longest = max(-(-len(samples) // FRAME) for samples in batch)
    padded = torch.zeros(len(batch), (LEAD + longest + 2) * FRAME)
    for row, samples in zip(padded, batch, strict=True):
        row[LEAD * FRAME : LEAD * FRAME + len(samples)] = torch.from_numpy(samples)
    mel = torch.stack([log_mel(row) for row in padded])
    x = torch.nn.functional.gelu(encoder.conv1(mel))
    x = torch.nn.functional.gelu(encoder.conv2(x)).transpose(1, 2)
    x = x + encoder.embed_positions.weight[: x.shape[1]]
    for layer in encoder.layers:
        x = layer(x, None)
        x = x[0] if isinstance(x, tuple) else x
    x = encoder.layer_norm(x)
    return [x[row, LEAD : LEAD - (-len(samples) // FRAME)].numpy() for row, samples in enumerate(batch)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    weights = pathlib.Path(os.environ["SOTTO_DATA"]) / "openai-whisper-tiny.en"
    encoder = WhisperModel.from_pretrained(weights, dtype=torch.float32).encoder.eval()
    started, corpus = time.time(), Corpus(arguments.out, "train")
    clips = sorted(corpus.clips, key=lambda clip: clip["length"])
    total = len(np.load(arguments.out / "audio.npy", mmap_mode="r"))
    offsets = np.full(max(clip["index"] for clip in clips) + 1, -1, np.int64)
    states, at = np.zeros((total // FRAME + len(clips), 384), np.float16), 0
    for begin in range(0, len(clips), 32):
        chunk = clips[begin : begin + 32]
        for clip, rows in zip(chunk, encode(encoder, [corpus.samples(clip) for clip in chunk]), strict=True):
            offsets[clip["index"]], states[at : at + len(rows)] = at, rows
            at += len(rows)
        if begin % 3200 == 0:
            print(f"{begin}/{len(clips)} clips, {time.time() - started:.0f} s", flush=True)
    states = states[:at]
    sample = states[:: max(1, at // 50_000)].astype(np.float32)
    mean, deviation = sample.mean(0), sample.std(0) + 1e-3
    for begin in range(0, at, 65_536):
        states[begin : begin + 65_536] = (states[begin : begin + 65_536] - mean) / deviation
    np.save(arguments.out / "teacher.npy", states)
    np.save(arguments.out / "teacher_offsets.npy", offsets)
    print(f"{at} positions, {time.time() - started:.0f} s")


if __name__ == "__main__":
    main()
