"""Whisper's log-mel (openai/whisper `audio.py`): 80 bins, window 400, hop 160, the last frame dropped.

The maximum that the floor refers to is taken over the audio; zero padding can only lie below it, so a padded window
and the audio alone give the same frames, and training may use windows of any length.
"""

import functools

import torch
from transformers.audio_utils import mel_filter_bank


@functools.cache
def _filters() -> torch.Tensor:
    bank = mel_filter_bank(201, 80, 0.0, 8000.0, 16_000, norm="slaney", mel_scale="slaney")
    return torch.tensor(bank.T, dtype=torch.float32)


@functools.cache
def _window() -> torch.Tensor:
    return torch.hann_window(400)


def log_mel(samples: torch.Tensor) -> torch.Tensor:
    """`[samples]` at 16 kHz → `[80, samples / 160]`, normalised as the encoder expects."""
    spectrum = torch.stft(samples, 400, 160, window=_window(), return_complex=True)[:, :-1]
    mel = (_filters() @ spectrum.abs().square()).clamp(min=1e-10).log10()
    mel = torch.maximum(mel, mel.max() - 8.0)
    return (mel + 4.0) / 4.0
