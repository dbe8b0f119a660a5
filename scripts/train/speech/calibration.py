"""What each matrix of the network gets to see: the second moments of its inputs, on the windows of `utterances.py`.

The network runs block by block, so that a block sees what the blocks before it, as they were changed, give it.
"""

import json
import pathlib

import numpy as np
import torch
from torch.nn import functional as F
from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration
from tokenizers import Tokenizer


class Calibration:
    """A model (a Hugging Face folder) and the windows with the tokens that are said in them, as the decoder is fed them."""

    def __init__(self, folder: pathlib.Path, windows: pathlib.Path, most: int):
        self.model = WhisperForConditionalGeneration.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa").eval()
        extractor = WhisperFeatureExtractor.from_pretrained(folder)
        samples = np.load(windows / "utterances.npz")["samples"][:most].astype(np.float32) / 32768
        said = json.loads((windows / "utterances.json").read_text())[:most]
        # Two thirds are encoded at their own length, as short recordings are, the others as a window of 30 s.
        self.mel, self.tokens = [], []
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        for index, (wave, sentences) in enumerate(zip(samples, said, strict=True)):
            mel = extractor(wave, sampling_rate=16_000, return_tensors="pt").input_features
            frames = 3000 if index % 3 == 0 else min(3000, 2 * (-(-int(sentences[-1]["end"] * 50 + 20) // 64) * 64))
            self.mel.append(mel[:, :, :frames])
            self.tokens.append(torch.tensor([prompted(tokenizer, sentences, stamped=index % 2 == 0)]))

    def encoder_inputs(self) -> list[torch.Tensor]:
        encoder = self.model.model.encoder
        states = []
        for mel in self.mel:
            x = F.gelu(encoder.conv2(F.gelu(encoder.conv1(mel)))).transpose(1, 2)
            states.append(x + encoder.embed_positions.weight[: x.shape[1]])
        return states

    def decoder_inputs(self) -> list[torch.Tensor]:
        decoder = self.model.model.decoder
        return [decoder.embed_tokens(tokens) + decoder.embed_positions.weight[: tokens.shape[1]] for tokens in self.tokens]


def prompted(tokenizer: Tokenizer, sentences: list[dict], stamped: bool) -> list[int]:
    """Control tokens and text, with timestamps around every sentence or without any."""
    id = tokenizer.token_to_id
    tokens = [id("<|startoftranscript|>")] + ([] if stamped else [id("<|notimestamps|>")])
    stamp = lambda seconds: id(f"<|{round(seconds * 50) * 0.02:.2f}|>")  # noqa: E731
    for sentence in sentences:
        text = tokenizer.encode(" " + sentence["text"], add_special_tokens=False).ids
        tokens += [stamp(sentence["start"]), *text, stamp(sentence["end"])] if stamped else text
    return tokens[:448]


class Sums:
    """Mean products over all places of all windows: of the inputs of a matrix, and of something else with them."""

    def __init__(self, pairs):
        self.rows = 0
        for x, other in pairs:
            x, other = (torch.cat([y.flatten(0, -2), torch.ones(y.flatten(0, -2).shape[0], 1)], 1) for y in (x, other))
            new = (x.T @ x).double(), (other.T @ x).double()
            self.inner, self.outer = new if not self.rows else (self.inner + new[0], self.outer + new[1])
            self.rows += len(x)

    def moments(self) -> torch.Tensor:
        return self.inner[:-1, :-1] / self.rows

    def mean(self) -> torch.Tensor:
        return self.inner[-1, :-1] / self.rows

    def centred(self) -> torch.Tensor:
        return self.moments() - self.mean()[:, None] * self.mean()[None]

    def cross(self) -> torch.Tensor:
        """`[other, inputs]`"""
        return self.outer[:-1, :-1] / self.rows

    def other_mean(self) -> torch.Tensor:
        return self.outer[:-1, -1] / self.rows


def attended(attention, x: torch.Tensor, over: torch.Tensor, causal: bool) -> torch.Tensor:
    """What a block of attention hands to its last matrix."""
    heads = lambda y: y.unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)  # noqa: E731
    q, k, v = heads(attention.q_proj(x)), heads(attention.k_proj(over)), heads(attention.v_proj(over))
    return F.scaled_dot_product_attention(q, k, v, is_causal=causal).transpose(1, 2).flatten(2)
