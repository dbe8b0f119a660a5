"""The features of the detector: 40 mel bins (Slaney), window 400 (periodic Hann), hop 256, log10 with floor 1e-10.

Step `k` of 512 samples has two frames; they begin 144 samples before the step and 112 samples inside it, so that the
last sample of the second is the last of the step. Before the first sample lie zeros.
"""

import numpy as np

RATE, STEP, HOP, WINDOW, BINS, MELS = 16_000, 512, 256, 400, 201, 40
LEAD = WINDOW - HOP
FLOOR = 1e-10


def mel_filterbank(mels: int = MELS) -> np.ndarray:
    """`[mels, 201]`, each filter of unit area: linear to 1 kHz, logarithmic above (Slaney's Auditory Toolbox, 1998)."""

    def mel(hertz):
        return np.where(hertz < 1000, hertz * 3 / 200, 15 + 27 * np.log(np.maximum(hertz, 1) / 1000) / np.log(6.4))

    def hertz(mel):
        return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) / 27 * np.log(6.4)))

    edges = hertz(np.linspace(0, mel(np.float64(8000)), mels + 2))
    bins = np.arange(BINS) * 8000 / (BINS - 1)
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangle = np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre))
    return (np.maximum(triangle, 0) * 2 / (high - low)).astype(np.float32)


FILTERS = mel_filterbank()
HANN = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)).astype(np.float32)


def log_mel(samples: np.ndarray) -> np.ndarray:
    """`[samples]` → `[2 · steps, 40]`; the last step is filled up with zeros."""
    steps = -(-len(samples) // STEP)
    padded = np.zeros(LEAD + steps * STEP)
    padded[LEAD : LEAD + len(samples)] = samples
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][: 2 * steps]
    power = np.abs(np.fft.rfft(frames * HANN)) ** 2
    return np.log10(np.maximum(power @ FILTERS.T.astype(np.float64), FLOOR)).astype(np.float32)
