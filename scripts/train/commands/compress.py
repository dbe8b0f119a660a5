"""Starts the student's encoder from the teacher's: its convolutions and first layers, with thinner feed-forward blocks.

    python compress.py --out FOLDER          (after corpus.py; SOTTO_DATA names the data folder)

tiny.en's second layer tells spoken digits of unknown speakers apart as well as its last (a linear probe on pooled
states: 98.4 % after the second, 97.3 % after the fourth), so the first two layers are kept at full width. Of each
feed-forward block's 1536 neurons the 960 that matter most stay; least squares on composed utterances fits their output
to the whole block's. Writes `start.pt` for `train.py --start-from`.
"""

import argparse
import os
import pathlib
import time

import torch
from torch.nn import functional as F
from transformers import WhisperModel

from compose import Composer, Corpus
from features import log_mel
from model import Size, Whisper
from vocabulary import FRAME, Vocabulary, build_tokenizer

LENGTH = 160  # positions of each calibration utterance


def fit(inputs: torch.Tensor, targets: torch.Tensor, ridge: float = 1e-4):
    """Least squares with intercept: weight `[out, in]`, bias `[out]`."""
    x, y = inputs.reshape(-1, inputs.shape[-1]).double(), targets.reshape(-1, targets.shape[-1]).double()
    x_mean, y_mean = x.mean(0), y.mean(0)
    x, y = x - x_mean, y - y_mean
    gram = x.T @ x
    gram += ridge * gram.diagonal().mean() * torch.eye(len(gram), dtype=torch.float64)
    weight = torch.linalg.solve(gram, x.T @ y).T
    return weight.float(), (y_mean - weight @ x_mean).float()


def explained(targets: torch.Tensor, found: torch.Tensor) -> float:
    """Share of the variance of `targets` that `found` accounts for."""
    targets, found = targets.flatten(0, -2), found.flatten(0, -2)
    return float(1 - (targets - found).square().sum() / (targets - targets.mean(0)).square().sum())


def thin(layer, teacher, stream: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Fits the feed-forward block of `layer` to `wanted`, the teacher's stream after it; returns the student's."""
    neurons = F.gelu(teacher.fc1(teacher.final_layer_norm(stream)))
    strength = neurons.flatten(0, 1).std(0) * teacher.fc2.weight.norm(dim=0)
    chosen = strength.argsort(descending=True)[: layer.fc1.out_features].sort().values
    layer.fc1.weight.copy_(teacher.fc1.weight[chosen])
    layer.fc1.bias.copy_(teacher.fc1.bias[chosen])
    weight, bias = fit(neurons[..., chosen], wanted - stream)
    layer.fc2.weight.copy_(weight)
    layer.fc2.bias.copy_(bias)
    return stream + layer.fc2(neurons[..., chosen])


@torch.no_grad()
def compress(teacher, student, mel):
    """Sets the weights of `student` (a `model.Encoder`) from a `WhisperEncoder`."""
    kept = ("conv1", "conv2", "self_attn", "self_attn_layer_norm", "final_layer_norm")
    ours, theirs = student.state_dict(), teacher.state_dict()
    for name, tensor in ours.items():
        if any(part in name.split(".") for part in kept):
            tensor.copy_(theirs[name])
    x = F.gelu(student.conv2(F.gelu(student.conv1(mel)))).transpose(1, 2) + student.embed_positions.weight[:LENGTH]
    y = x
    for number, (layer, teacher_layer) in enumerate(zip(student.layers, teacher.layers, strict=False)):
        x = teacher_layer(x, None)
        x = x[0] if isinstance(x, tuple) else x
        y = y + layer.self_attn(layer.self_attn_layer_norm(y))[0]
        y = thin(layer, teacher_layer, y, x)
        print(f"layer {number}: {explained(x, y):.4f} of the variance", flush=True)


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--utterances", type=int, default=240)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(2)
    started = time.time()
    composer = Composer(Corpus(arguments.out, "train"), 2, level=2)
    mel = []
    for _ in range(arguments.utterances):
        padded = torch.zeros(LENGTH * FRAME)
        samples = torch.from_numpy(composer.utterance().samples)[: len(padded)]
        padded[: len(samples)] = samples
        mel.append(log_mel(padded))
    weights = pathlib.Path(os.environ["SOTTO_DATA"]) / "openai-whisper-tiny.en"
    teacher = WhisperModel.from_pretrained(weights, dtype=torch.float32).encoder.eval()
    student = Whisper(Size(Vocabulary(build_tokenizer()).size))
    compress(teacher, student.model["encoder"], torch.stack(mel))
    torch.save({"model": student.state_dict()}, arguments.out / "start.pt")
    print(f"{time.time() - started:.0f} s")


if __name__ == "__main__":
    main()
