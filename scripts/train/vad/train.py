"""Trains the detector on the scenes of `mixtures.py`: `checkpoint.pt` (a moving average of the weights).

    python train.py --out FOLDER --steps 1600            (--resume continues after an interruption)

Loss: cross-entropy against the labelled share of each step. Examples are pieces of 5 s, or of two scenes one after the
other (20 s); half of them with the sounds of a third behind them, each with a gain and a tilt of its own. Every eighth
scene of the first file is kept for validation.
"""

import argparse
import pathlib
import time

import numpy as np
import torch
from torch.nn import functional as F

from model import Detector

KEEP = 0.99  # of the moving average per step
STEPS = 312  # of a scene
SHORT = 156


def load(folder: pathlib.Path):
    files = [np.load(path) for path in sorted(folder.glob("scenes-*.npz"))]
    features, labels, weights = (
        torch.from_numpy(np.concatenate([file[name] for file in files])) for name in ("features", "labels", "weights")
    )
    kept = torch.zeros(len(labels), dtype=torch.bool)
    kept[: len(files[0]["labels"]) : 8] = True
    return (features[~kept], labels[~kept], weights[~kept]), (features[kept], labels[kept], weights[kept])


def power(x: torch.Tensor) -> torch.Tensor:
    return (10**x).mean(dim=(1, 2), keepdim=True)


def behind(x: torch.Tensor, sounds: torch.Tensor, generator) -> torch.Tensor:
    """Half of the scenes `x` with a sound 3 to 28 dB below them: powers add up."""
    below = 0.3 + 2.5 * torch.rand(len(x), 1, 1, generator=generator)
    gain = torch.log10(power(x) / power(sounds)) - below
    chosen = torch.rand(len(x), 1, 1, generator=generator) < 0.5
    return torch.where(chosen, torch.log10(10**x + 10 ** (sounds + gain)), x)


def varied(x: torch.Tensor, generator) -> torch.Tensor:
    """Another gain and another tilt per scene, now and then a band that is missing."""
    count, _, mels = x.shape
    gain = torch.rand(count, 1, 1, generator=generator) * 2.4 - 1.6
    tilt = (torch.rand(count, 1, 1, generator=generator) - 0.5) * 1.2 * torch.linspace(-1, 1, mels)
    x = (x + gain + tilt).clamp(min=-10)
    for index in torch.nonzero(torch.rand(count, generator=generator) < 0.15)[:, 0]:
        low = int(torch.randint(0, mels - 2, (1,), generator=generator))
        x[index, :, low : low + int(torch.randint(1, 8, (1,), generator=generator))] -= 2
    return x.clamp(min=-10)


def loss_of(model, x, y, w):
    return (F.binary_cross_entropy_with_logits(model(x), y, reduction="none") * w).sum() / w.sum()


@torch.no_grad()
def validate(model, kept) -> str:
    x, y, w = (part.float() for part in kept)
    p = torch.cat([torch.sigmoid(model(part)) for part in x.split(64)])
    sure = w > 0.5
    speech, silence = p[sure & (y > 0.8)], p[sure & (y < 0.2)]
    picked = silence[torch.randperm(len(silence))[:20000]]
    auc = (torch.searchsorted(picked.sort()[0], speech).float() / len(picked)).mean()
    loss = (F.binary_cross_entropy(p, y, reduction="none") * w).sum() / w.sum()
    missed, false = (speech < 0.5).float().mean(), (silence >= 0.5).float().mean()
    return f"loss {loss:.4f}, AUC {auc:.4f}, missed {missed:.4f}, false {false:.4f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--steps", type=int, default=1600)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--peak", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--resume", action="store_true")
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    generator = torch.Generator().manual_seed(arguments.seed)
    (features, labels, weights), kept = load(arguments.out)
    model, average = Detector(), Detector()
    silent = torch.nonzero((labels.amax(1) == 0) & (features.amax(dim=(1, 2)) > -6))[:, 0]
    everything = torch.arange(len(labels))
    sample = features[::20].float().flatten(0, 1)
    for one in (model, average):
        one.mean.copy_(sample.mean(0))
        one.scale.copy_(1 / sample.std(0))
    optimizer = torch.optim.AdamW(model.parameters(), lr=arguments.peak, weight_decay=0.01)
    average.load_state_dict(model.state_dict())
    first, path = 0, arguments.out / "checkpoint.pt"
    if arguments.resume:
        saved = torch.load(path)
        model.load_state_dict(saved["model"])
        average.load_state_dict(saved["average"])
        optimizer.load_state_dict(saved["optimizer"])
        generator.set_state(saved["generator"])
        first = saved["step"]
    started, running = time.time(), 0.0
    print(f"{len(labels)} scenes, {sum(p.numel() for p in model.parameters())} weights", flush=True)
    for step in range(first, arguments.steps):
        rate = arguments.peak * min(1, (step + 1) / 100) * 0.5 * (1 + np.cos(np.pi * step / arguments.steps))
        for group in optimizer.param_groups:
            group["lr"] = float(max(rate, 1e-6))
        # Short pieces many at a time are what a CPU does best; every eighth batch has long ones.
        size, pieces, rows = (SHORT, 1, 3 * arguments.batch) if (step + 1) % 8 else (2 * SHORT, 2, arguments.batch // 2)
        picked, sounds = (
            pool[torch.randint(0, len(pool), (pieces * rows,), generator=generator)] for pool in (everything, silent)
        )
        at, other = (int(torch.randint(0, STEPS - size + 1, (1,), generator=generator)) for _ in range(2))
        x = features[picked, 2 * at : 2 * (at + size)].float()
        x = behind(x, features[sounds, 2 * other : 2 * (other + size)].float(), generator)
        x = varied(x, generator).unflatten(0, (rows, pieces)).flatten(1, 2)
        y, w = (
            part[picked, at : at + size].float().unflatten(0, (rows, pieces)).flatten(1, 2)
            for part in (labels, weights)
        )
        loss = loss_of(model, x, y, w)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        running += loss.item()
        with torch.no_grad():
            keep = min(KEEP, (step + 1) / (step + 20))
            for mean, now in zip(average.parameters(), model.parameters()):
                mean.lerp_(now, 1 - keep)
        if (step + 1) % 100 == 0 or step + 1 == arguments.steps:
            print(
                f"{step + 1}: {running / 100:.4f}; {validate(average, kept)}; {time.time() - started:.0f} s", flush=True
            )
            running = 0.0
            torch.save(
                {"model": model.state_dict(), "average": average.state_dict(), "optimizer": optimizer.state_dict(),
                 "generator": generator.get_state(), "step": step + 1},
                path,
            )  # fmt: skip


if __name__ == "__main__":
    main()
