"""Starts the student's encoder from the teacher's: the same layers at half the width, fitted one after the other.

    python compress.py --out FOLDER          (after corpus.py; SOTTO_DATA names the data folder)

The residual stream keeps 192 of tiny.en's 384 channels, each head 32 of 64 dimensions, each feed-forward block 512 of
1536 neurons. What is dropped is made up for by least squares on composed utterances: every linear map of the student
is the best predictor, from the student's own activations so far, of what the teacher has in that place. Errors of
earlier layers are part of the target of later ones. Writes `start.pt` for `train.py --start-from`.
"""

import argparse
import os
import pathlib
import time

import numpy as np
import torch
from scipy.linalg import qr
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


def select(activations: torch.Tensor, count: int) -> torch.Tensor:
    """The channels from which the others are best predicted (pivoted QR), in ascending order."""
    rows = activations.reshape(-1, activations.shape[-1])
    rows = rows[torch.randperm(len(rows))[:6000]]
    order = qr((rows - rows.mean(0)).numpy(), mode="r", pivoting=True)[1]
    return torch.from_numpy(np.sort(order[:count]))


def norm(x: torch.Tensor) -> torch.Tensor:
    return F.layer_norm(x, x.shape[-1:])


def assign(linear, weight, bias=None):
    linear.weight.copy_(weight)
    if bias is not None:
        linear.bias.copy_(bias)


def teacher_states(encoder, mel):
    """Stem activations and, per layer, its input, queries, keys, values, middle, neurons before GELU, output."""
    first = F.gelu(encoder.conv1(mel))
    second = encoder.conv2(first)
    x = F.gelu(second).transpose(1, 2) + encoder.embed_positions.weight[:LENGTH]
    layers = []
    for layer in encoder.layers:
        attention, n = layer.self_attn, layer.self_attn_layer_norm(x)
        q, k, v = attention.q_proj(n), attention.k_proj(n), attention.v_proj(n)
        heads = [t.unflatten(-1, (6, 64)).transpose(1, 2) for t in (q, k, v)]
        middle = x + attention.out_proj(F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2))
        neurons = layer.fc1(layer.final_layer_norm(middle))
        after = middle + layer.fc2(F.gelu(neurons))
        layers.append({"normed": n, "q": q, "k": k, "v": v, "middle": middle, "neurons": neurons, "after": after})
        x = after
    return first, second, layers, encoder.layer_norm(x)


def root(matrix: torch.Tensor) -> torch.Tensor:
    """A Cholesky factor of the second moments of `[rows, dims]`."""
    moments = matrix.T @ matrix / len(matrix)
    return torch.linalg.cholesky(moments + 1e-5 * moments.diagonal().mean() * torch.eye(len(moments)))


def attention_block(student, teacher, y, states, channels):
    """Fits one self-attention; returns the stream after it."""
    n, heads = norm(y), student.heads
    size = y.shape[-1] // heads
    maps = {name: fit(n, states[name]) for name in ("q", "k", "v")}
    out = teacher.out_proj.weight[channels]
    for head in range(heads):
        place, rows = slice(64 * head, 64 * head + 64), slice(size * head, size * head + size)
        q, k, v = ((n @ weight[place].T + bias[place]).flatten(0, 1) for weight, bias in maps.values())
        lq, lk, lv = root(q), root(k - k.mean(0)), root(v - v.mean(0))
        u, s, vh = torch.linalg.svd(lq.T @ lk)
        half = s[:size].sqrt()
        # Teacher logits are scaled by 1/√64, the student's by 1/√size.
        query = (torch.linalg.solve(lq.T, u[:, :size]) * half * (size / 64) ** 0.5).T
        key = (torch.linalg.solve(lk.T, vh[:size].T) * half).T
        value = torch.linalg.solve(lv.T, torch.linalg.svd(lv.T @ out[:, place].T)[0][:, :size]).T
        student.q_proj.weight[rows], student.q_proj.bias[rows] = query @ maps["q"][0][place], query @ maps["q"][1][place]
        student.k_proj.weight[rows] = key @ maps["k"][0][place]  # a key bias shifts all logits alike
        student.v_proj.weight[rows], student.v_proj.bias[rows] = value @ maps["v"][0][place], value @ maps["v"][1][place]
    assign(student.out_proj, torch.eye(y.shape[-1]), torch.zeros(y.shape[-1]))
    mixed = student(n)[0]
    assign(student.out_proj, *fit(mixed, states["middle"][..., channels] - y))
    return y + student.out_proj(mixed)


@torch.no_grad()
def compress(encoder, student, mel):
    """Sets the weights of `student` (a `model.Encoder`)."""
    first, second, layers, final = teacher_states(encoder, mel)
    width, ffn = student.conv1.out_channels, student.layers[0].fc1.out_features
    channels = select(torch.cat([states["normed"] for states in layers]), width)
    stem = select(first.transpose(1, 2), width)
    student.conv1.weight.copy_(encoder.conv1.weight[stem])
    student.conv1.bias.copy_(encoder.conv1.bias[stem])
    patches = F.pad(first[:, stem], (1, 1)).unfold(2, 3, 2).permute(0, 2, 1, 3).flatten(2)
    weight, bias = fit(patches, second[:, channels].transpose(1, 2))
    student.conv2.weight.copy_(weight.view(width, width, 3))
    student.conv2.bias.copy_(bias)
    student.embed_positions.weight.copy_(encoder.embed_positions.weight[: student.embed_positions.weight.shape[0], channels])
    y = F.gelu(student.conv2(F.gelu(student.conv1(mel)))).transpose(1, 2) + student.embed_positions.weight[:LENGTH]
    for number, (layer, teacher_layer, states) in enumerate(zip(student.layers, encoder.layers, layers, strict=True)):
        y = attention_block(layer.self_attn, teacher_layer.self_attn, y, states, channels)
        strength = F.gelu(states["neurons"]).flatten(0, 1).std(0) * teacher_layer.fc2.weight[channels].norm(dim=0)
        chosen = strength.argsort(descending=True)[:ffn].sort().values
        assign(layer.fc1, *fit(norm(y), states["neurons"][..., chosen]))
        neurons = F.gelu(layer.fc1(norm(y)))
        assign(layer.fc2, *fit(neurons, states["after"][..., channels] - y))
        y = y + layer.fc2(neurons)
        print(f"layer {number}: {explained(norm(states['after'][..., channels]), norm(y)):.3f} of the variance", flush=True)
    weight, bias = fit(norm(y), final)
    print(f"teacher's final states from the student's: {explained(final, norm(y) @ weight.T + bias):.3f} of the variance")


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
    weights = pathlib.Path(os.environ["SOTTO_DATA"]) / "whisper-tiny.en"
    encoder = WhisperModel.from_pretrained(weights, dtype=torch.float32).encoder.eval()
    student = Whisper(Size(Vocabulary(build_tokenizer()).size))
    compress(encoder, student.model["encoder"], torch.stack(mel))
    torch.save({"model": student.state_dict()}, arguments.out / "start.pt")
    print(f"{time.time() - started:.0f} s")


if __name__ == "__main__":
    main()
