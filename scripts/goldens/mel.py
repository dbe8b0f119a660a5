"""Writes core/audio/tests/goldens/mel.safetensors: log-mel of a formula signal by openai-whisper and transformers.

The signal (2 s: chirp, noise, a gap of digital silence, a soft passage) is made by the same formula in
core/audio/tests/mel.rs, quantised to 16 bit so that both sides have equal samples. All tensors are time-major
[frames, bins], float32. Of features padded to 30 s only the frames that see the signal, and one after, are kept.
The Slaney filterbanks come from `mel_filters.npz` of openai-whisper, as indices and weights other than zero.
"""

import math
from pathlib import Path

import numpy as np
from reference import ROOT, SAMPLE_RATE, data_folder, provenance, samples
from safetensors.numpy import save_file

OUTPUT = ROOT / "core" / "audio" / "tests" / "goldens" / "mel.safetensors"
PADDED = 480_000
REAL_CLIP = "synthetic/000.flac"


def signal():
    state, out = 1, []
    for i in range(2 * SAMPLE_RATE):
        state = (1103515245 * state + 12345) % 2**31
        noise = state / 2**30 - 1.0
        t = i / SAMPLE_RATE
        loudness = 0.0 if 0.6 <= t < 0.8 else 0.001 if 0.8 <= t < 1.2 else 1.0
        chirp = math.sin(2.0 * math.pi * (80.0 * t + 7820.0 / 4.0 * t * t))
        out.append(math.floor(loudness * (0.6 * chirp + 0.02 * noise) * 32768.0 + 0.5) / 32768.0)
    return np.array(out, dtype=np.float32)


def openai(audio, n_mels, padding):
    import whisper

    return whisper.audio.log_mel_spectrogram(audio, n_mels, padding=padding).numpy().T


def transformers(audio, n_mels):
    from transformers import WhisperFeatureExtractor

    extractor = WhisperFeatureExtractor(feature_size=n_mels)
    return extractor(audio, sampling_rate=SAMPLE_RATE, return_tensors="np").input_features[0].T


def main():
    data = data_folder(__doc__)
    audio = signal()
    seen = len(audio) // 160 + 3
    clip = samples(data, REAL_CLIP)
    filters = np.load(data / "openai-whisper-tiny.en" / "mel_filters.npz")
    tensors = {
        "openai_80": openai(audio, 80, 0),
        "openai_128": openai(audio, 128, 0),
        "openai_80_padded": openai(audio, 80, PADDED - len(audio))[:seen],
        "transformers_80_padded": transformers(audio, 80)[:seen],
        # A real clip: the mean of every bin over time, which any shift of a frame or a bin changes.
        "clip_bin_means": openai(clip, 80, 0).mean(axis=0),
        "clip_frame_means": openai(clip, 80, 0).mean(axis=1),
    }
    for n_mels in (80, 128):
        dense = filters[f"mel_{n_mels}"]
        at = np.flatnonzero(dense)
        tensors[f"filter_{n_mels}_at"] = at.astype(np.int32)
        tensors[f"filter_{n_mels}_weights"] = dense.reshape(-1)[at]
    tensors = {
        name: np.ascontiguousarray(t, dtype=t.dtype if t.dtype == np.int32 else np.float32)
        for name, t in tensors.items()
    }
    notes = provenance(data, __file__, clip=REAL_CLIP)
    save_file(
        tensors, OUTPUT, metadata={key: str(value) for key, value in notes.items() if not key.startswith("model")}
    )
    print(f"{OUTPUT.relative_to(ROOT)}: {OUTPUT.stat().st_size} bytes")
    # How far the references are from each other: what a tolerance can mean.
    print(
        "openai - transformers, 80 bins padded:",
        np.abs(tensors["openai_80_padded"] - tensors["transformers_80_padded"]).max(),
    )


if __name__ == "__main__":
    main()
