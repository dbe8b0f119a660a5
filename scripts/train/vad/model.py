"""The network: two convolutions over log-mel frames, a GRU over steps of 32 ms, one probability per step.

    frames [2 · steps, 40] → (x − mean) · scale
      → convolution of 3 frames, 80 channels, ReLU        (of the past alone)
      → convolution of 4 frames, stride 2, 96 channels, ReLU
      → GRU, 96 wide → linear over (GRU, second convolution) → sigmoid

97 thousand weights, about 100 thousand multiply-adds per step. Before the first frame both convolutions see zeros.
"""

import torch
from torch import nn
from torch.nn import functional as F

from features import MELS

FIRST, SECOND, HIDDEN = 80, 96, 96


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(MELS))
        self.register_buffer("scale", torch.ones(MELS))
        self.conv1 = nn.Conv1d(MELS, FIRST, 3)
        self.conv2 = nn.Conv1d(FIRST, SECOND, 4, stride=2)
        self.gru = nn.GRU(SECOND, HIDDEN, batch_first=True)
        self.output = nn.Linear(HIDDEN + SECOND, 1)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """`[batch, 2 · steps, 40]` → logits `[batch, steps]`."""
        x = ((frames - self.mean) * self.scale).transpose(1, 2)
        x = F.relu(self.conv1(F.pad(x, (2, 0))))
        x = F.relu(self.conv2(F.pad(x, (2, 0)))).transpose(1, 2)
        h, _ = self.gru(x)
        return self.output(torch.cat([h, x], dim=-1))[..., 0]
