"""What may happen to speech between a mouth and the model: rooms, microphones, lines and noise. All generated here."""

import numpy as np
from scipy.signal import butter, fftconvolve, lfilter, sosfilt

RATE = 16_000


def coloured_noise(rng: np.random.Generator, length: int, slope: float) -> np.ndarray:
    """Noise whose power falls with frequency^slope: 0 is white, 1 pink, 2 brown. Unit power."""
    spectrum = np.fft.rfft(rng.standard_normal(length))
    frequency = np.maximum(np.arange(len(spectrum)), 20 * length / RATE)
    noise = np.fft.irfft(spectrum / frequency ** (slope / 2), length)
    return noise / (noise.std() + 1e-9)


def hum(rng: np.random.Generator, length: int) -> np.ndarray:
    """Mains hum or a motor: harmonics of one slowly varying tone over a little noise. Unit power."""
    base = rng.choice([50.0, 60.0, rng.uniform(80, 300)])
    drift = 1 + 0.01 * np.cumsum(rng.standard_normal(length // 1600 + 2)) / 10
    phase = np.cumsum(2 * np.pi * base / RATE * np.interp(np.arange(length) / 1600, np.arange(len(drift)), drift))
    tone = sum(rng.uniform(0, 1) / k * np.sin(k * phase + rng.uniform(0, 6.28)) for k in range(1, rng.integers(3, 12)))
    tone = tone + rng.uniform(0.05, 0.5) * coloured_noise(rng, length, 1.0)
    return tone / (tone.std() + 1e-9)


def knocks(rng: np.random.Generator, length: int) -> np.ndarray:
    """Clicks, knocks and clatter: short decaying bursts at random moments. Unit power."""
    out = 0.02 * rng.standard_normal(length)
    for _ in range(rng.integers(1, 4 + length // 4000)):
        size = int(rng.uniform(0.005, 0.15) * RATE)
        burst = rng.standard_normal(size) * np.exp(-np.arange(size) / (size * rng.uniform(0.1, 0.4)))
        tone = np.sin(2 * np.pi * rng.uniform(200, 4000) / RATE * np.arange(size))
        at = rng.integers(0, max(1, length - size))
        stretch = out[at : at + size]
        stretch += (rng.uniform(0.2, 1.0) * burst * (tone if rng.random() < 0.5 else 1))[: len(stretch)]
    return out / (out.std() + 1e-9)


def modulated(rng: np.random.Generator, noise: np.ndarray) -> np.ndarray:
    """Swells and fades the noise a few times per second, as wind, water and traffic do."""
    points = rng.uniform(0.05, 1.0, size=max(4, int(len(noise) / RATE * rng.uniform(0.5, 6))))
    noise = noise * np.interp(np.linspace(0, len(points) - 1, len(noise)), np.arange(len(points)), points)
    return noise / (noise.std() + 1e-9)


def room(rng: np.random.Generator, samples: np.ndarray) -> np.ndarray:
    """Convolves with a synthetic response: direct path, a few early reflections, an exponentially decaying tail."""
    decay = rng.uniform(0.05, 0.5)  # seconds to −60 dB
    length = int(decay * RATE)
    tail = rng.standard_normal(length) * 10 ** (-3 * np.arange(length) / length)
    tail = lfilter([1.0], [1.0, -rng.uniform(0.0, 0.7)], tail)  # walls swallow treble
    tail[: int(0.002 * RATE)] = 0
    tail *= rng.uniform(0.1, 1.0) / (np.sqrt(np.sum(tail**2)) + 1e-9)
    tail[0] = 1.0
    for _ in range(rng.integers(0, 5)):
        tail[min(length - 1, int(rng.uniform(0.002, 0.03) * RATE))] += rng.uniform(-0.5, 0.5)
    return fftconvolve(samples, tail)[: len(samples)]


def equalizer(rng: np.random.Generator, samples: np.ndarray) -> np.ndarray:
    """One random microphone: a spectral tilt and two gentle bumps or dips."""
    spectrum = np.fft.rfft(samples)
    octave = np.log2(np.maximum(np.arange(len(spectrum)) * RATE / len(samples), 50.0) / 1000.0)
    gain = rng.uniform(-3, 3) * octave
    for _ in range(2):
        gain = gain + rng.uniform(-8, 8) * np.exp(-(((octave - rng.uniform(-3, 3)) / rng.uniform(0.3, 1.2)) ** 2))
    return np.fft.irfft(spectrum * 10 ** (gain / 20), len(samples))


def band_limit(rng: np.random.Generator, samples: np.ndarray) -> np.ndarray:
    """A telephone line or an old codec: treble above 2.8 to 7 kHz gone, sometimes the bass, sometimes μ-law steps."""
    top = rng.choice([rng.uniform(2800, 3800), rng.uniform(3600, 4000), rng.uniform(4000, 7000)])
    samples = sosfilt(butter(int(rng.choice([4, 8, 12])), top, fs=RATE, output="sos"), samples)
    if rng.random() < 0.3:
        samples = sosfilt(butter(2, rng.uniform(100, 350), "high", fs=RATE, output="sos"), samples)
    if rng.random() < 0.2:
        peak = np.abs(samples).max() + 1e-9
        code = np.round(np.sign(samples) * np.log1p(255 * np.abs(samples) / peak) / np.log(256) * 127) / 127
        samples = np.sign(code) * np.expm1(np.abs(code) * np.log(256)) / 255 * peak
    return samples


def background(rng: np.random.Generator, length: int, babble) -> np.ndarray:
    """A random noise of unit power; `babble(length)` supplies voices that speak at once."""
    kind = rng.choice(["coloured", "coloured", "hum", "knocks", "babble"])
    if kind == "coloured":
        noise = coloured_noise(rng, length, rng.uniform(-0.5, 2.2))
        return modulated(rng, noise) if rng.random() < 0.4 else noise
    if kind == "hum":
        return hum(rng, length)
    if kind == "knocks":
        return knocks(rng, length)
    noise = babble(length)
    return noise / (noise.std() + 1e-9)


def degrade(rng: np.random.Generator, samples: np.ndarray, babble) -> np.ndarray:
    """Speech through a random room, microphone, line and background, at a random level."""
    if rng.random() < 0.3:
        samples = room(rng, samples)
    if rng.random() < 0.5:
        samples = equalizer(rng, samples)
    power = samples[np.abs(samples) > 0.02 * np.abs(samples).max()].std() + 1e-9
    if rng.random() < 0.6:
        ratio = rng.uniform(5, 40)
        samples = samples + background(rng, len(samples), babble) * power * 10 ** (-ratio / 20)
    if rng.random() < 0.4:
        samples = band_limit(rng, samples)
    if rng.random() < 0.1:
        limit = np.abs(samples).max() * rng.uniform(0.2, 0.8)
        samples = np.clip(samples, -limit, limit)
    samples = samples + 10 ** rng.uniform(-5.5, -3.5) * rng.standard_normal(len(samples))
    return samples / (np.abs(samples).max() + 1e-9) * 10 ** rng.uniform(-1.5, 0)
