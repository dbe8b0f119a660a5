"""Rounds the matrices of the network to blocks of 4 bits, so that what comes out of each block of the network changes little.

    python round.py --model FOLDER --windows FOLDER --to FOLDER [--keep encoder.layers.0.self_attn …]
                    [--encoder-neurons 1280] [--decoder-neurons 1280]

The network as it was and the network as it becomes run side by side over the calibration speech, matrix by matrix. Each matrix
is first fitted by least squares: from the inputs that it has now, to the outputs that it had; a matrix whose output is added to
the stream makes up for what the stream has lost so far. Then it is rounded, which is GPTQ (Frantar et al. 2022, arXiv 2210.17323):
each column in turn, those that see the strongest inputs first, and the columns that are left make up for the error. Scales are
those of ggml's q4_0, one per 32 columns of a row. Biases take what is left of the mean error.

Neurons go whose part the others can take over best, one after the other (the optimal brain surgeon of Hassibi and Stork 1993, on
whole columns of the second matrix of a feed-forward block).

The values are written in f32: `sotto quantize` finds the same blocks in them (`packed` here does as it does).
"""

import argparse
import copy
import json
import pathlib
import shutil
import time

import torch
from torch.nn import functional as F
from safetensors.torch import load_file, save_file

from calibration import Calibration, Sums, attended

BLOCK = 32
# Codes that the value of greatest magnitude is tried with, as core/kernels/src/int4/pack.rs has them.
PEAKS = [8.0, 7.0, 7.25, 7.5, 7.75, 8.25, 8.5, 8.75, 9.0, 9.5]


def scales_of(weight: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
    """Scale of each block, `[rows, blocks]`: of those tried the least squared error, inputs of `strength` counted so."""
    blocks = weight.unflatten(1, (-1, BLOCK))
    strength = strength.unflatten(0, (-1, BLOCK))[None]
    largest = blocks.gather(2, blocks.abs().argmax(2, keepdim=True))
    best, least = torch.zeros(blocks.shape[:2]), torch.full(blocks.shape[:2], float("inf"))
    for peak in PEAKS:
        step = largest / -peak
        codes = torch.where(step == 0, 0, blocks / torch.where(step == 0, 1, step)).round().clamp(-8, 7)
        scale = ((strength * blocks * codes).sum(2) / (strength * codes * codes).sum(2).clamp(min=1e-30)).half().float()
        error = (strength * (blocks - scale[..., None] * codes).square()).sum(2)
        best, least = torch.where(error < least, scale, best), torch.minimum(error, least)
    return best


def rounded(weight: torch.Tensor, moments: torch.Tensor, damping: float) -> torch.Tensor:
    """`weight`, `[rows, columns]`, on the grid of its blocks; `moments` of its inputs, `[columns, columns]`."""
    weight, rows, columns = weight.clone().float(), *weight.shape
    moments = moments.double().clone()
    moments += damping * moments.diagonal().mean() * torch.eye(columns, dtype=torch.float64)
    scales = scales_of(weight, moments.diagonal().float()).repeat_interleave(BLOCK, 1)
    order = moments.diagonal().argsort(descending=True)
    factor = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(moments[order][:, order])), upper=True).float()
    work, out = weight[:, order].contiguous(), torch.zeros(rows, columns)
    scales = scales[:, order]
    chunk = 64
    for begin in range(0, columns, chunk):
        end = min(begin + chunk, columns)
        errors = torch.zeros(rows, end - begin)
        for at in range(begin, end):
            scale = scales[:, at]
            safe = torch.where(scale == 0, 1, scale)
            out[:, at] = torch.where(scale == 0, 0, (work[:, at] / safe).round().clamp(-8, 7) * scale)
            error = (work[:, at] - out[:, at]) / factor[at, at]
            work[:, at + 1 : end] -= error[:, None] * factor[at, at + 1 : end][None]
            errors[:, at - begin] = error
        work[:, end:] -= errors @ factor[begin:end, end:]
    back = torch.empty_like(out)
    back[:, order] = out
    return back


def thinned(weight: torch.Tensor, moments: torch.Tensor, keep: int, damping: float = 1e-3):
    """The neurons to keep, ascending, and the columns that `weight` then has; the share of the output's power that is lost."""
    full = moments + damping * moments.diagonal().mean() * torch.eye(len(moments), dtype=torch.float64)
    inverse, norms = torch.linalg.inv(full), weight.double()
    work, alive = norms.clone(), torch.ones(len(full), dtype=torch.bool)
    for _ in range(len(full) - keep):
        cost = work.square().sum(0) / inverse.diagonal()
        cost[~alive] = float("inf")
        gone = int(cost.argmin())
        column = inverse[:, gone] / inverse[gone, gone]
        work -= work[:, gone : gone + 1] * column[None]
        inverse -= column[:, None] * inverse[gone][None]
        inverse[gone, gone], alive[gone] = 1.0, False
        work[:, gone] = 0
    chosen = alive.nonzero()[:, 0]
    lost = norms.clone()
    lost -= work
    energy = lambda x: float(torch.einsum("ij,jk,ik->", x, moments, x))  # noqa: E731
    return chosen, work[:, chosen].float(), energy(lost) / energy(norms)


def packed(weight: torch.Tensor) -> torch.Tensor:
    """What `sotto quantize` makes of a matrix in 4 bits."""
    blocks = weight.double().unflatten(1, (-1, BLOCK))
    largest = blocks.gather(2, blocks.abs().argmax(2, keepdim=True))
    best, least = torch.zeros_like(blocks), torch.full(blocks.shape[:2], float("inf"), dtype=torch.float64)
    for peak in PEAKS:
        step = largest / -peak
        codes = torch.where(step == 0, 0, blocks / torch.where(step == 0, 1, step)).round().clamp(-8, 7)
        scale = ((blocks * codes).sum(2) / (codes * codes).sum(2).clamp(min=1e-30)).half().double()
        found = scale[..., None] * codes
        error = (blocks - found).square().sum(2)
        best = torch.where((error < least)[..., None], found, best)
        least = torch.minimum(error, least)
    return best.flatten(1).float()


class Rounding:
    """Fits and rounds one matrix after the other. Streams are pairs: as the network now makes it, and as it was."""

    def __init__(self, keep: tuple[str, ...], damping: float, trust: float):
        self.keep, self.damping, self.trust, self.count = keep, damping, trust, 0

    def fitted(self, name: str, prior: torch.Tensor, sums: Sums, towards: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
        """The matrix whose outputs, of products `towards` with the inputs and of this mean, come closest; `prior` where in doubt."""
        moments = sums.centred()
        ridge = self.trust * moments.diagonal().mean() * torch.eye(len(moments), dtype=torch.float64)
        towards = towards - mean[:, None] * sums.mean()[None]
        result = torch.linalg.solve(moments + ridge, (towards + prior.double() @ ridge).T).T.float()
        self.count += 1
        if name.startswith(self.keep):
            return result
        # Biases take a mean error, so that it counts little; not nothing, as other speech has other means.
        return rounded(result, moments + 0.1 * sums.mean()[:, None] * sums.mean()[None], self.damping)

    @staticmethod
    def put(module, weight: torch.Tensor, sums: Sums, mean: torch.Tensor):
        module.weight = torch.nn.Parameter(weight.contiguous(), requires_grad=False)
        module.out_features, module.in_features = weight.shape
        if module.bias is not None:
            module.bias = torch.nn.Parameter((mean - weight.double() @ sums.mean()).float(), requires_grad=False)

    def inward(self, prefix: str, names: list[str], now, was, inputs, neurons=slice(None)):
        """Matrices that read the stream: their outputs are to be those that they had."""
        sums = Sums(inputs)
        for name in names:
            module, old = now.get_submodule(name), was.get_submodule(name)
            prior = old.weight[neurons]
            bias = torch.zeros(len(prior), dtype=torch.float64) if old.bias is None else old.bias[neurons].double()
            mean = prior.double() @ sums.other_mean() + bias
            towards = prior.double() @ sums.cross() + bias[:, None] * sums.mean()[None]
            weight = self.fitted(f"{prefix}.{name}", prior, sums, towards, mean)
            self.put(module, weight, sums, mean)

    def outward(self, prefix: str, name: str, now, was, inputs, streams, prior=None):
        """A matrix that adds to the stream: the stream is to be what it was. Returns the streams behind it."""
        module, old = now.get_submodule(name), was.get_submodule(name)
        wanted = [y + old(b) for (_, b), (_, y) in zip(inputs(), streams, strict=True)]
        sums = Sums((a, w - x) for (a, _), (x, _), w in zip(inputs(), streams, wanted, strict=True))
        prior = old.weight if prior is None else prior
        weight = self.fitted(f"{prefix}.{name}", prior, sums, sums.cross(), sums.other_mean())
        self.put(module, weight, sums, sums.other_mean())
        after = [(x + module(a), w) for (a, _), (x, _), w in zip(inputs(), streams, wanted, strict=True)]
        print(f"{prefix}.{name}: the stream is {100 * distance(after):.2f} % off", flush=True)
        return after

    def attention(self, prefix: str, part: str, now, was, streams, audio=None, causal=False):
        """A block of attention with the norm in front of it; over `audio` where that is given."""
        layers, norm = (now, was), f"{part}_layer_norm"
        heard = [tuple(layer.get_submodule(norm)(x) for layer, x in zip(layers, pair, strict=True)) for pair in streams]
        if audio is None:
            self.inward(prefix, [f"{part}.{name}_proj" for name in "qkv"], now, was, heard)
        else:
            self.inward(prefix, [f"{part}.q_proj"], now, was, heard)
            self.inward(prefix, [f"{part}.{name}_proj" for name in "kv"], now, was, audio)
        found = [tuple(attended(layer.get_submodule(part), x, over, causal) for layer, x, over in zip(layers, pair, overs, strict=True))
                 for pair, overs in zip(heard, audio or heard, strict=True)]
        return self.outward(prefix, f"{part}.out_proj", now, was, lambda: found, streams)

    def feed_forward(self, prefix: str, now, was, streams, neurons: int):
        layers = (now, was)

        def inner():
            for pair in streams:
                yield tuple(F.gelu(layer.fc1(layer.final_layer_norm(x))) for layer, x in zip(layers, pair, strict=True))

        chosen, prior = slice(None), None
        if neurons and neurons < was.fc1.out_features:
            seen = Sums((a, a[..., :1]) for a, _ in inner()).moments()
            chosen, prior, lost = thinned(was.fc2.weight, seen, neurons)
            print(f"{prefix}: {neurons} of {was.fc1.out_features} neurons, {100 * lost:.2f} % of the output lost", flush=True)
        heard = [tuple(layer.final_layer_norm(x) for layer, x in zip(layers, pair, strict=True)) for pair in streams]
        self.inward(prefix, ["fc1"], now, was, heard, chosen)
        return self.outward(prefix, "fc2", now, was, inner, streams, prior)


def distance(streams) -> float:
    """How far the one is from the other, relative to what varies in the other."""
    power = sum(float((y - y.mean(1, keepdim=True)).square().sum()) for _, y in streams)
    return (sum(float((x - y).square().sum()) for x, y in streams) / power) ** 0.5


def write(arguments, now):
    """The folder: tensors of `now`, all other files as they were."""
    arguments.to.mkdir(parents=True, exist_ok=True)
    tensors, changed = load_file(arguments.model / "model.safetensors"), now.state_dict()
    tensors = {name: changed[name.removeprefix("model.")].float().contiguous() for name in tensors}
    save_file(tensors, arguments.to / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((arguments.model / "config.json").read_text())
    for part in ("encoder", "decoder"):
        config[f"{part}_ffn_dim"] = getattr(arguments, f"{part}_neurons") or config[f"{part}_ffn_dim"]
    (arguments.to / "config.json").write_text(json.dumps(config, indent=1))
    for name in ("generation_config.json", "preprocessor_config.json", "tokenizer.json", "LICENSE"):
        shutil.copy(arguments.model / name, arguments.to / name)


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--windows", type=pathlib.Path, required=True)
    parser.add_argument("--to", type=pathlib.Path, required=True)
    parser.add_argument("--keep", nargs="*", default=[], help="prefixes of matrices that are fitted and not rounded")
    parser.add_argument("--most", type=int, default=64, help="windows that are used")
    parser.add_argument("--encoder-neurons", type=int, default=0, help="of each feed-forward block, a multiple of 32; 0 keeps all")
    parser.add_argument("--decoder-neurons", type=int, default=0)
    parser.add_argument("--damping", type=float, default=0.02)
    parser.add_argument("--trust", type=float, nargs=2, default=[0.02, 0.1], help="in the matrices of encoder and decoder as they were")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    started = time.time()
    calibration = Calibration(arguments.model, arguments.windows, arguments.most)
    was, keep = calibration.model.model, tuple(arguments.keep)
    now = copy.deepcopy(was)
    rounding = Rounding(keep, arguments.damping, arguments.trust[0])
    streams = [(x, x) for x in calibration.encoder_inputs()]
    for index, layers in enumerate(zip(now.encoder.layers, was.encoder.layers, strict=True)):
        prefix = f"encoder.layers.{index}"
        streams = rounding.attention(prefix, "self_attn", *layers, streams)
        streams = rounding.feed_forward(prefix, *layers, streams, arguments.encoder_neurons)
    audio = [(now.encoder.layer_norm(x), was.encoder.layer_norm(y)) for x, y in streams]
    print(f"what the decoder hears is {100 * distance(audio):.2f} % off, {time.time() - started:.0f} s", flush=True)

    rounding.trust = arguments.trust[1]
    inputs = calibration.decoder_inputs()
    streams = [(x, x) for x in inputs]
    for index, layers in enumerate(zip(now.decoder.layers, was.decoder.layers, strict=True)):
        prefix = f"decoder.layers.{index}"
        streams = rounding.attention(prefix, "self_attn", *layers, streams, causal=True)
        streams = rounding.attention(prefix, "encoder_attn", *layers, streams, audio)
        streams = rounding.feed_forward(prefix, *layers, streams, arguments.decoder_neurons)
    rows = torch.cat([now.decoder.layer_norm(x)[0] for x, _ in streams]).double()
    # As input rows count alike whatever the decoder ends with: more damping.
    now.decoder.embed_tokens.weight.data = rounded(was.decoder.embed_tokens.weight, rows.T @ rows / len(rows), 5 * arguments.damping)
    write(arguments, now)
    print(f"{rounding.count} matrices and the token table, {time.time() - started:.0f} s")


if __name__ == "__main__":
    main()
