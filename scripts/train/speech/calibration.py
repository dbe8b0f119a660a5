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
    """A model (a Hugging Face folder) and the windows with the tokens that are said in them, as the decoder is fed
    them.
    """

    def __init__(self, folder: pathlib.Path, windows: pathlib.Path, most: int):
        self.model = WhisperForConditionalGeneration.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="sdpa"
        ).eval()
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
        return [encoder_input(self.model.model.encoder, mel) for mel in self.mel]

    def decoder_inputs(self) -> list[torch.Tensor]:
        decoder = self.model.model.decoder
        return [
            decoder.embed_tokens(tokens) + decoder.embed_positions.weight[: tokens.shape[1]] for tokens in self.tokens
        ]


def encoder_input(encoder, mel: torch.Tensor) -> torch.Tensor:
    """What the first layer gets, of audio of any length; the library's own encoder takes windows of 30 s alone."""
    x = F.gelu(encoder.conv2(F.gelu(encoder.conv1(mel)))).transpose(1, 2)
    return x + encoder.embed_positions.weight[: x.shape[1]]


def prompted(tokenizer: Tokenizer, sentences: list[dict], stamped: bool) -> list[int]:
    """Control tokens and text, with timestamps around every sentence or without any."""
    id = tokenizer.token_to_id
    tokens = [id("<|startoftranscript|>")] + ([] if stamped else [id("<|notimestamps|>")])
    stamp = lambda seconds: id(f"<|{round(seconds * 50) * 0.02:.2f}|>")  # noqa: E731
    for sentence in sentences:
        text = tokenizer.encode(" " + sentence["text"], add_special_tokens=False).ids
        tokens += [stamp(sentence["start"]), *text, stamp(sentence["end"])] if stamped else text
    return tokens[:448]


class Moments:
    """Sums of the outer products of what modules get, collected while this is entered."""

    def __init__(self, modules: dict[str, torch.nn.Linear]):
        self.modules, self.sums, self.rows = modules, {}, {}

    def __enter__(self):
        def collect(name):
            def hook(module, inputs):
                x = inputs[0].reshape(-1, inputs[0].shape[-1])
                self.sums[name] = self.sums.get(name, 0) + (x.T @ x).double()
                self.rows[name] = self.rows.get(name, 0) + len(x)

            return hook

        self.hooks = [module.register_forward_pre_hook(collect(name)) for name, module in self.modules.items()]
        return self

    def __exit__(self, *_):
        for hook in self.hooks:
            hook.remove()

    def of(self, name: str) -> torch.Tensor:
        return self.sums[name] / self.rows[name]


def linears(layer: torch.nn.Module) -> dict[str, torch.nn.Linear]:
    return {name: module for name, module in layer.named_modules() if isinstance(module, torch.nn.Linear)}


def run_encoder_layer(layer, states):
    return [first(layer(x, None)) for x in states]


def run_decoder_layer(layer, states, audio):
    out = []
    for x, heard in zip(states, audio, strict=True):
        length = x.shape[1]
        mask = torch.full((length, length), float("-inf")).triu(1)[None, None]
        out.append(first(layer(x, attention_mask=mask, encoder_hidden_states=heard)))
    return out


def first(value):
    return value[0] if isinstance(value, tuple) else value
