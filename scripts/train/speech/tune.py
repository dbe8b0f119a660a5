"""Fits the scales, the biases and the layer norms of a rounded network to what tiny.en makes of the same speech.

    python tune.py --model FOLDER --teacher FOLDER --windows FOLDER --to FOLDER          (a second or two per window and
                                                                                         epoch, on one core)

A distillation (Hinton et al. 2015, arXiv 1503.02531) in which the codes of all blocks stay as they are rounded: what
changes is the scale of each block of 4 bits, and what is not quantized. The loss is the divergence of the distributions
of every text token from the teacher's, and the distance of the encoder's states, relative to their variance. The file
becomes no larger.
"""

import argparse
import math
import pathlib
import random
import shutil
import time

import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F
from torch.nn.utils import parametrize
from transformers import WhisperForConditionalGeneration

from calibration import Calibration, encoder_input, run_encoder_layer
from round import BLOCK

# Windows whose gradients are added up.
BATCH = 4


def states_and_logits(model, mel, tokens):
    states = encoded(model.model.encoder, mel)
    hidden = model.model.decoder(input_ids=tokens, encoder_hidden_states=states, use_cache=False).last_hidden_state
    # Not `proj_out`, which keeps the matrix as it was before its scales changed.
    return states, F.linear(hidden, model.model.decoder.embed_tokens.weight)


def encoded(encoder, mel):
    states = [encoder_input(encoder, mel)]
    for layer in encoder.layers:
        states = run_encoder_layer(layer, states)
    return encoder.layer_norm(states[0])


class Scaled(torch.nn.Module):
    """A matrix of blocks of 4 bits, as codes times scales: the scales change."""

    def __init__(self, weight: torch.Tensor):
        super().__init__()
        self.factors = torch.nn.Parameter(torch.ones(weight.shape[0], weight.shape[1] // BLOCK, 1))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return (weight.unflatten(1, (-1, BLOCK)) * self.factors).flatten(1)


def changing(student, fixed: tuple[str, ...]) -> dict[str, list[torch.nn.Parameter]]:
    """The parameters that are fitted; all others stay. `fixed` are matrices without scales."""
    for parameter in student.parameters():
        parameter.requires_grad_(False)
    plain = [parameter.requires_grad_(True) for parameter in student.parameters() if parameter.ndim == 1]
    scales = []
    for name, module in list(student.model.named_modules()):
        is_matrix = isinstance(module, torch.nn.Linear) or name == "decoder.embed_tokens"
        if is_matrix and not name.startswith(fixed):
            parametrize.register_parametrization(module, "weight", Scaled(module.weight))
            scales.append(module.parametrizations.weight[0].factors)
    return {"plain": plain, "scales": scales}


def losses(student, teacher, mel, tokens):
    with torch.no_grad():
        wanted_states, wanted = states_and_logits(teacher, mel, tokens)
    with parametrize.cached():
        states, logits = states_and_logits(student, mel, tokens)
    distance = (states - wanted_states).square().mean() / wanted_states.var()
    divergence = F.kl_div(logits.log_softmax(-1)[0], wanted.log_softmax(-1)[0], log_target=True, reduction="batchmean")
    return divergence, distance


def tuned(arguments) -> dict[str, torch.Tensor]:
    calibration = Calibration(arguments.model, arguments.windows, arguments.most)
    student, speech = calibration.model, list(zip(calibration.mel, calibration.tokens, strict=True))
    teacher = WhisperForConditionalGeneration.from_pretrained(arguments.teacher, dtype=torch.float32).eval()
    groups = changing(student, tuple(arguments.fixed))
    print(*(f"{sum(map(torch.numel, group))} {name}" for name, group in groups.items()), flush=True)
    rates = {"plain": arguments.rate, "scales": arguments.scale_rate}
    optimizer = torch.optim.Adam([{"params": group, "rate": rates[name]} for name, group in groups.items()])
    rng, start = random.Random(arguments.seed), time.monotonic()
    order = [index for _ in range(arguments.epochs) for index in rng.sample(range(len(speech)), len(speech))]
    sums, count = [0.0, 0.0], 0
    for at, index in enumerate(order):
        for group in optimizer.param_groups:
            group["lr"] = group["rate"] * (1 + math.cos(math.pi * at / len(order))) / 2
        divergence, distance = losses(student, teacher, *speech[index])
        ((divergence + arguments.states * distance) / BATCH).backward()
        sums, count = [sums[0] + divergence.item(), sums[1] + distance.item()], count + 1
        if (at + 1) % BATCH == 0:
            optimizer.step()
            optimizer.zero_grad()
        if (at + 1) % 32 == 0:
            divergence, distance, seconds = sums[0] / count, sums[1] / count, time.monotonic() - start
            print(f"{at + 1}: divergence {divergence:.4f}, states {distance:.4f}, {seconds:.0f} s", flush=True)
            sums, count = [0.0, 0.0], 0
    for module in list(student.modules()):
        if parametrize.is_parametrized(module):
            parametrize.remove_parametrizations(module, "weight")
    return {name: tensor.detach().clone() for name, tensor in student.state_dict().items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=pathlib.Path, required=True, help="the rounded network")
    parser.add_argument("--teacher", type=pathlib.Path, required=True, help="what vocabulary.py wrote")
    parser.add_argument("--windows", type=pathlib.Path, required=True)
    parser.add_argument("--to", type=pathlib.Path, required=True)
    parser.add_argument("--most", type=int, default=384, help="windows that are used")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--scale-rate", type=float, default=6e-4)
    parser.add_argument("--fixed", nargs="*", default=[], help="matrices of 8 bits, such as encoder.layers.0.fc1")
    parser.add_argument("--states", type=float, default=1.0, help="weight of the encoder's states")
    parser.add_argument("--seed", type=int, default=12)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    changed = tuned(arguments)
    shutil.copytree(arguments.model, arguments.to, dirs_exist_ok=True)
    tensors = load_file(arguments.model / "model.safetensors")
    written = {name: changed[name].contiguous() for name in tensors}
    save_file(written, arguments.to / "model.safetensors", metadata={"format": "pt"})


if __name__ == "__main__":
    main()
