"""A Whisper of any size (Radford et al. 2022, §2.2) whose parameters carry the names of Hugging Face transformers.

Written out here, and not imported, because training needs what the library hides: windows of any length, the
cross-attention weights of the last layer, and no per-call overhead. `evaluate.py` runs the exported weights in
transformers' own WhisperForConditionalGeneration, which holds the two to the same function.
"""

import dataclasses
import math

import torch
from torch import nn
from torch.nn import functional as F


@dataclasses.dataclass
class Size:
    vocabulary: int
    width: int = 384
    heads: int = 6
    encoder_layers: int = 2
    decoder_layers: int = 2
    encoder_ffn: int = 960
    decoder_ffn: int = 256
    positions: int = 500
    tokens: int = 96
    dropout: float = 0.0


def sinusoids(length: int, width: int) -> torch.Tensor:
    """The encoder's fixed position table, sines in the first half of the channels, cosines in the second."""
    rate = torch.exp(-math.log(10_000) / (width // 2 - 1) * torch.arange(width // 2))
    angle = torch.arange(length)[:, None] * rate[None, :]
    return torch.cat([angle.sin(), angle.cos()], dim=1)


class Attention(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def split(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)

    def forward(self, x, source=None, causal=False, weights=False):
        source = x if source is None else source
        q, k, v = self.split(self.q_proj(x)), self.split(self.k_proj(source)), self.split(self.v_proj(source))
        if weights:
            shares = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1)
            out = shares @ v
        else:
            shares, out = None, F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return self.out_proj(out.transpose(1, 2).flatten(2)), shares


class Layer(nn.Module):
    """An encoder layer, or with `cross` a decoder layer."""

    def __init__(self, width: int, heads: int, ffn: int, dropout: float, cross: bool):
        super().__init__()
        self.self_attn, self.self_attn_layer_norm = Attention(width, heads), nn.LayerNorm(width)
        if cross:
            self.encoder_attn, self.encoder_attn_layer_norm = Attention(width, heads), nn.LayerNorm(width)
        self.fc1, self.fc2, self.final_layer_norm = nn.Linear(width, ffn), nn.Linear(ffn, width), nn.LayerNorm(width)
        self.dropout, self.cross = nn.Dropout(dropout), cross

    def forward(self, x, source=None):
        x = x + self.dropout(self.self_attn(self.self_attn_layer_norm(x), causal=self.cross)[0])
        shares = None
        if self.cross:
            update, shares = self.encoder_attn(self.encoder_attn_layer_norm(x), source, weights=True)
            x = x + self.dropout(update)
        return x + self.dropout(self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))), shares


class Encoder(nn.Module):
    def __init__(self, size: Size):
        super().__init__()
        self.conv1 = nn.Conv1d(80, size.width, 3, padding=1)
        self.conv2 = nn.Conv1d(size.width, size.width, 3, stride=2, padding=1)
        self.embed_positions = nn.Embedding(size.positions, size.width)
        self.embed_positions.weight = nn.Parameter(sinusoids(size.positions, size.width), requires_grad=False)
        layer = (size.width, size.heads, size.encoder_ffn, size.dropout, False)
        self.layers = nn.ModuleList(Layer(*layer) for _ in range(size.encoder_layers))
        self.layer_norm = nn.LayerNorm(size.width)

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        x = F.gelu(self.conv2(F.gelu(self.conv1(mel)))).transpose(1, 2)
        x = x + self.embed_positions.weight[: x.shape[1]]
        for layer in self.layers:
            x, _ = layer(x)
        return self.layer_norm(x)


class Decoder(nn.Module):
    def __init__(self, size: Size):
        super().__init__()
        self.embed_tokens = nn.Embedding(size.vocabulary, size.width)
        self.embed_positions = nn.Embedding(size.tokens, size.width)
        layer = (size.width, size.heads, size.decoder_ffn, size.dropout, True)
        self.layers = nn.ModuleList(Layer(*layer) for _ in range(size.decoder_layers))
        self.layer_norm = nn.LayerNorm(size.width)
        nn.init.normal_(self.embed_tokens.weight, std=0.02)
        nn.init.normal_(self.embed_positions.weight, std=0.01)
        # A timestamp starts as the position that it names, so that "what follows this moment" is easy to ask for.
        with torch.no_grad():
            self.embed_tokens.weight[size.vocabulary - size.positions - 1 :] = 0.03 * sinusoids(
                size.positions + 1, size.width
            )

    def forward(self, tokens: torch.Tensor, source: torch.Tensor):
        """Logits and the cross-attention shares `[batch, heads, tokens, positions]` of each layer."""
        x = self.embed_tokens(tokens) + self.embed_positions.weight[: tokens.shape[1]]
        shares = []
        for layer in self.layers:
            x, share = layer(x, source)
            shares.append(share)
        return self.layer_norm(x) @ self.embed_tokens.weight.T, shares


class Whisper(nn.Module):
    def __init__(self, size: Size):
        super().__init__()
        self.size = size
        self.model = nn.ModuleDict({"encoder": Encoder(size), "decoder": Decoder(size)})

    def forward(self, mel: torch.Tensor, tokens: torch.Tensor):
        """Encoder states, logits, cross-attention shares."""
        states = self.model["encoder"](mel)
        return states, *self.model["decoder"](tokens, states)
