"""Trains the starter recognizer.

    python train.py --out FOLDER --name NAME [--steps N] [--distill 0.5] [--resume]

Loss: cross-entropy of the decoder; words by the encoder alone (its states, averaged over a word's span, shall name the
word through a head that is dropped afterwards); guided attention (cross-attention of head 0 in the decoder's last layer
shall lie inside the word to be predicted, which makes attention form early and gives word timestamps); distillation
(the encoder's states, projected, shall be the teacher's states of the clean clip). Checkpoints go to FOLDER/NAME every
few minutes and hold everything a resumed run needs, the averaged weights included.
"""

import argparse
import contextlib
import copy
import json
import math
import pathlib
import random
import time

import torch
from torch import nn
from torch.nn import functional as F

from examples import IGNORE, Batches
from export import quantize
from model import Size, Whisper
from vocabulary import WORDS, Vocabulary, build_tokenizer


class Heads(nn.Module):
    """What only training needs."""

    def __init__(self, width: int):
        super().__init__()
        self.words = nn.Linear(width, len(WORDS))
        self.teacher = nn.Linear(width, 384)


def decoder_loss(logits, labels, first_timestamp: int, word_ids):
    """Cross-entropy, a timestamp being also right, a little, 20 and 40 ms beside its place; the share of words right.
    """
    keep = labels != IGNORE
    scores, goals = logits[keep].log_softmax(-1), labels[keep]
    loss = -scores.gather(1, goals[:, None])[:, 0]
    stamps = goals >= first_timestamp
    if stamps.any():
        near, weights = goals[stamps], (0.06, 0.19, 0.5, 0.19, 0.06)
        last = scores.shape[1] - 1
        blurred = sum(
            -weight * scores[stamps].gather(1, (near + shift).clamp(first_timestamp, last)[:, None])[:, 0]
            for shift, weight in zip(range(-2, 3), weights, strict=True)
        )
        loss = loss.masked_scatter(stamps, blurred)
    return loss.mean(), (scores.argmax(-1) == goals)[torch.isin(goals, word_ids)].float().sum() / torch.isin(
        goals, word_ids
    ).sum().clamp(min=1)


def attention_loss(shares, spans):
    """−log of the share of head 0 that falls inside the right span (one position of tolerance each side).

    In the last layer that is the span of the word to be predicted; in the layers before, of the word that was read
    last: what is heard next lies behind it, and the last layer can only know where if somebody looked it up.
    """
    before = torch.cat([torch.zeros_like(spans[:, :1]), spans[:, :-1]], dim=1)
    positions, parts = torch.arange(shares[0].shape[-1]), []
    for share, span in zip(shares, [before] * (len(shares) - 1) + [spans], strict=True):
        known = span[..., 1] > 0
        inside = (positions >= span[..., :1] - 1) & (positions < span[..., 1:] + 1)
        if known.any():
            parts.append(-(share[:, 0] * inside).sum(-1)[known].clamp(min=1e-4).log().mean())
    return torch.stack(parts).mean() if parts else shares[0].new_zeros(())


def word_loss(scores, labels, spans, states, word_ids):
    """Cross-entropy of the word head on states averaged over each word's span; also the share of words right."""
    known = (labels >= 0) & torch.isin(labels, word_ids) & (spans[..., 1] > 0)
    if not known.any():
        return states.sum() * 0, torch.zeros(())
    positions = torch.arange(states.shape[1])
    inside = ((positions >= spans[..., :1]) & (positions < spans[..., 1:]) & known[..., None]).float()
    pooled = (inside @ states)[known] / inside.sum(-1)[known][:, None].clamp(min=1)
    logits, goals = scores(pooled), torch.searchsorted(word_ids, labels[known])
    return F.cross_entropy(logits, goals), (logits.argmax(-1) == goals).float().mean()


def losses(model, heads, batch, distill: float, vocabulary: Vocabulary):
    """The weighted sum and its parts."""
    states = batch["states"] if "states" in batch else model.model["encoder"](batch["mel"])
    logits, shares = model.model["decoder"](batch["tokens"], states)
    word_ids = torch.tensor(sorted(vocabulary.word.values()))
    decoder, accuracy = decoder_loss(logits, batch["labels"], vocabulary.timestamp, word_ids)
    words, named = word_loss(heads.words, batch["labels"], batch["spans"], states, word_ids)
    attention = attention_loss(shares, batch["spans"])
    total = decoder + 0.5 * words + 0.2 * attention
    parts = {"decoder": decoder, "accuracy": accuracy, "words": words, "named": named, "attention": attention}
    if distill > 0 and batch["known"].any():
        known = batch["known"]
        parts["distill"] = F.mse_loss(heads.teacher(states[known]), batch["teacher"][known])
        total = total + distill * parts["distill"]
    return total, {name: float(part.detach()) for name, part in parts.items()}


def rate(step: int, steps: int, peak: float) -> float:
    """Warm-up, plateau, and over the last 35 % a cosine down to a fiftieth."""
    if step < 100:
        return peak * (step + 1) / 100
    left = (steps - step) / (0.35 * steps)
    return peak if left >= 1 else peak * (0.02 + 0.98 * 0.5 * (1 - math.cos(math.pi * max(0.0, left))))


class Rounded:
    """While it lasts, the model has the weights that `export.py` would write; gradients then serve the exact ones."""

    def __init__(self, model):
        named = dict(model.named_parameters())
        # A frozen encoder's states were computed before.
        self.weights = {name: p for name, p in named.items() if p.dim() >= 2 and p.requires_grad}
        self.exact = {}

    @torch.no_grad()
    def __enter__(self):
        for name, weight in self.weights.items():
            self.exact[name] = weight.detach().clone()
            weight.copy_(quantize(name, weight).values())

    @torch.no_grad()
    def __exit__(self, *_):
        for name, weight in self.weights.items():
            weight.copy_(self.exact[name])


class Replay:
    """Batches whose encoder states are known: with a frozen encoder each serves four times, at a tenth of the cost."""

    def __init__(self, seed: int):
        self.kept, self.turn, self.random = [], 0, random.Random(seed)

    @torch.no_grad()
    def batch(self, loader, model):
        self.turn += 1
        if self.turn % 4 == 1 or len(self.kept) < 20:
            batch = next(loader)
            batch["states"] = model.model["encoder"](batch.pop("mel"))
            self.kept = [*self.kept[-400:], batch]
            return batch
        return self.random.choice(self.kept)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--name", default="starter")
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--stop", type=int, help="end here although the schedule is longer")
    parser.add_argument("--peak", type=float, default=1e-3)
    parser.add_argument(
        "--level",
        type=int,
        choices=(1, 2, 3),
        default=3,
        help="utterances of the levels up to this one, see compose.py",
    )
    parser.add_argument("--distill", type=float, default=0.5, help="weight of the teacher; 0 trains without it")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--positions", type=int, default=1200, help="encoder positions per batch")
    parser.add_argument(
        "--encoder-rate", type=float, default=0.3, help="its share of the learning rate after --start-from"
    )
    parser.add_argument("--freeze-encoder", action="store_true", help="train the decoder alone, on kept encoder states")
    parser.add_argument(
        "--quantized", action="store_true", help="train with the weights that export.py will write (straight-through)"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--start-from", type=pathlib.Path, help="another run's checkpoint, or compress.py's start.pt")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    folder = arguments.out / arguments.name
    folder.mkdir(parents=True, exist_ok=True)

    vocabulary = Vocabulary(build_tokenizer())
    size = Size(vocabulary.size)
    model, heads = Whisper(size), Heads(size.width)
    average = copy.deepcopy(model).requires_grad_(False)
    if arguments.freeze_encoder:
        model.model["encoder"].requires_grad_(False)
    weights = [p for p in [*model.parameters(), *heads.parameters()] if p.requires_grad]
    # An encoder that starts from the teacher's needs smaller steps than a decoder that starts from nothing.
    gentle = arguments.encoder_rate if arguments.start_from else 1.0
    encoder = [p for p in model.model["encoder"].parameters() if p.requires_grad]
    others = [*model.model["decoder"].parameters(), *heads.parameters()]
    groups = [{"params": encoder, "share": gentle}, {"params": others, "share": 1.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.98), weight_decay=0.02)
    step, trained = 0, 0.0
    checkpoint = folder / "checkpoint.pt"
    source = checkpoint if arguments.resume and checkpoint.exists() else arguments.start_from
    if source:
        saved = torch.load(source, weights_only=True)
        model.load_state_dict(saved["model"])
        average.load_state_dict(saved.get("average", saved["model"]))
        if "heads" in saved:
            heads.load_state_dict(saved["heads"])
        if source == checkpoint:
            optimizer.load_state_dict(saved["optimizer"])
            step, trained = saved["step"], saved["seconds"]

    data = Batches(
        arguments.out, arguments.seed * 1000 + step, arguments.positions, arguments.level, teacher=arguments.distill > 0
    )
    loader = iter(torch.utils.data.DataLoader(data, batch_size=None, num_workers=1, prefetch_factor=16))
    sums, started, kept = {}, time.time(), time.time()
    log = open(folder / "log.jsonl", "a", encoding="utf-8")
    end, replay = arguments.stop or arguments.steps, Replay(arguments.seed)

    def keep(path: pathlib.Path):
        state = {"model": model.state_dict(), "heads": heads.state_dict(), "average": average.state_dict()}
        state |= {"optimizer": optimizer.state_dict(), "step": step, "seconds": trained + time.time() - started}
        torch.save(state, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)

    while step < end:
        for group in optimizer.param_groups:
            group["lr"] = rate(step, arguments.steps, arguments.peak) * group["share"]
        if arguments.freeze_encoder:
            batch = replay.batch(loader, model)
        else:
            batch = next(loader)
        optimizer.zero_grad(set_to_none=True)
        with Rounded(model) if arguments.quantized else contextlib.nullcontext():
            total, parts = losses(model, heads, batch, arguments.distill, vocabulary)
            total.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        step += 1
        decay = min(0.998, (step + 1) / (step + 20))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)
        for name, value in parts.items():
            sums.setdefault(name, []).append(value)
        if step % 50 == 0:
            line = {"step": step, "seconds": round(trained + time.time() - started)}
            line |= {name: round(sum(values) / len(values), 4) for name, values in sums.items()}
            print(json.dumps(line), flush=True)
            log.write(json.dumps(line) + "\n")
            log.flush()
            sums = {}
        if time.time() - kept > 180:
            keep(checkpoint)
            kept = time.time()
        if step % 1000 == 0:
            keep(folder / f"step-{step}.pt")
    keep(checkpoint)


if __name__ == "__main__":
    main()
