"""Takes neurons out of the network and rounds its matrices to blocks of 4 bits, so that their outputs change little.

    python round.py --model FOLDER --windows FOLDER --to FOLDER --parts encoder,decoder,embedding
                    [--encoder-neurons 1280] [--decoder-neurons 1280]

Of the neurons of each feed-forward block those go whose part the others can take over best, one after the other (the
optimal brain surgeon of Hassibi and Stork 1993, on whole columns of the second matrix); least squares on the
calibration speech then fits the second matrix of those that stay.

Rounding is GPTQ (Frantar et al. 2022, arXiv 2210.17323). Each column of a matrix is rounded in turn, those that see the
strongest inputs first, and the columns that are left make up for the error, by least squares on the inputs of
`calibration.py`. Scales are those of ggml's q4_0, one per 32 columns of a row. The values are written in f32: `sotto
quantize` finds the same blocks in them (`pack` here does as it does, and says how many differ).
"""

import argparse
import json
import pathlib
import shutil
import time

import torch
from safetensors.torch import load_file, save_file

from calibration import Calibration, Moments, linears, run_decoder_layer, run_encoder_layer

BLOCK = 32
# Codes that the value of greatest magnitude is tried with, as core/kernels/src/int4/pack.rs has them.
PEAKS = [8.0, 7.0, 7.25, 7.5, 7.75, 8.25, 8.5, 8.75, 9.0, 9.5]
PARTS = ("encoder", "decoder", "embedding")


def scales_of(weight: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
    """Scale of each block, `[rows, blocks]`: of those tried the least squared error, inputs of `strength` counted so.
    """
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
    factor = torch.linalg.cholesky(
        torch.cholesky_inverse(torch.linalg.cholesky(moments[order][:, order])), upper=True
    ).float()
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
    """The neurons to keep, ascending, and the columns that `weight` then has; the share of the output's power that is
    lost.
    """
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


def replace(module: torch.nn.Linear, weight: torch.Tensor, bias):
    """Other values, and other sizes, in a layer."""
    module.weight = torch.nn.Parameter(weight.contiguous(), requires_grad=False)
    module.bias = None if bias is None else torch.nn.Parameter(bias.contiguous(), requires_grad=False)
    module.out_features, module.in_features = weight.shape


class Report:
    """What rounding costs: the error of the outputs, relative to their power, with and without making up for it."""

    def line(self, name, weight, result, moments):
        energy = lambda x: float(torch.einsum("ij,jk,ik->", x.double(), moments, x.double()))  # noqa: E731
        power, again = energy(weight), packed(result)
        plain = energy(packed(weight) - weight) / power
        differ = int((again != result).unflatten(1, (-1, BLOCK)).any(2).sum())
        so = energy(again - weight) / power
        print(
            f"{name}: {100 * plain**0.5:.2f} % off by plain rounding, {100 * so**0.5:.2f} % so; "
            f"{differ} of {result.numel() // BLOCK} blocks are packed otherwise",
            flush=True,
        )


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--windows", type=pathlib.Path, required=True)
    parser.add_argument("--to", type=pathlib.Path, required=True)
    parser.add_argument("--parts", required=True, help="of " + ", ".join(PARTS))
    parser.add_argument("--most", type=int, default=64, help="windows that are used")
    parser.add_argument(
        "--encoder-neurons", type=int, default=0, help="of each feed-forward block, a multiple of 32; 0 keeps all"
    )
    parser.add_argument("--decoder-neurons", type=int, default=0)
    parser.add_argument("--damping", type=float, default=0.02)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    parts, started, report = set(arguments.parts.split(",")) & set(PARTS), time.time(), Report()
    calibration = Calibration(arguments.model, arguments.windows, arguments.most)
    network = calibration.model.model
    changed = {}

    def treat(prefix: str, layer, run, states, wanted):
        names = linears(layer)
        keep = arguments.encoder_neurons if ".encoder." in prefix else arguments.decoder_neurons
        if keep or any(wanted(name) for name in names):
            with Moments(names) as seen:
                run(states)
            moments = {name: seen.of(name) for name in names}
            if keep:
                chosen, weight, lost = thinned(layer.fc2.weight, moments["fc2"], keep)
                print(
                    f"{prefix}: {keep} of {layer.fc1.out_features} neurons, {100 * lost:.2f} % of the output lost",
                    flush=True,
                )
                moments["fc2"] = moments["fc2"][chosen][:, chosen]
                replace(layer.fc1, layer.fc1.weight[chosen], layer.fc1.bias[chosen])
                replace(layer.fc2, weight, layer.fc2.bias)
                for name in ("fc1.weight", "fc1.bias", "fc2.weight"):
                    changed[f"{prefix}.{name}"] = layer.get_parameter(name)
            for name, module in names.items():
                if wanted(name):
                    result = rounded(module.weight, moments[name], arguments.damping)
                    report.line(f"{prefix}.{name}", module.weight, result, moments[name])
                    replace(module, result, module.bias)
                    changed[f"{prefix}.{name}.weight"] = result
        return run(states)

    states = calibration.encoder_inputs()
    for index, layer in enumerate(network.encoder.layers):
        states = treat(
            f"model.encoder.layers.{index}",
            layer,
            lambda x, layer=layer: run_encoder_layer(layer, x),
            states,
            lambda name: "encoder" in parts,
        )
    audio = [network.encoder.layer_norm(x) for x in states]

    def in_decoder(name):
        of_audio = name in ("encoder_attn.k_proj", "encoder_attn.v_proj")
        return "encoder" in parts if of_audio else "decoder" in parts

    states = calibration.decoder_inputs()
    for index, layer in enumerate(network.decoder.layers):
        states = treat(
            f"model.decoder.layers.{index}",
            layer,
            lambda x, layer=layer: run_decoder_layer(layer, x, audio),
            states,
            in_decoder,
        )
    if "embedding" in parts:
        rows = torch.cat([network.decoder.layer_norm(x)[0] for x in states]).double()
        # As input rows count alike whatever the decoder ends with: more damping.
        moments = rows.T @ rows / len(rows)
        table = network.decoder.embed_tokens.weight
        result = rounded(table, moments, 5 * arguments.damping)
        report.line("model.decoder.embed_tokens", table, result, moments)
        changed["model.decoder.embed_tokens.weight"] = result
    arguments.to.mkdir(parents=True, exist_ok=True)
    tensors = load_file(arguments.model / "model.safetensors")
    tensors |= {name: tensor.contiguous() for name, tensor in changed.items()}
    save_file(tensors, arguments.to / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((arguments.model / "config.json").read_text())
    for part in ("encoder", "decoder"):
        config[f"{part}_ffn_dim"] = getattr(arguments, f"{part}_neurons") or config[f"{part}_ffn_dim"]
    (arguments.to / "config.json").write_text(json.dumps(config, indent=1))
    for name in ("generation_config.json", "preprocessor_config.json", "tokenizer.json"):
        shutil.copy(arguments.model / name, arguments.to / name)
    print(f"{len(changed)} matrices, {time.time() - started:.0f} s")


if __name__ == "__main__":
    main()
