"""The detector beside Silero's on recordings that training never saw: a look while training.

The card's figures are those of `core/speech/examples/vad_figures.rs`.

    python evaluate.py --checkpoint FOLDER/checkpoint.pt            (SOTTO_DATA names the data folder)

Speech: the clips of `manifest.tsv` and the spoken letters of `alphanumeric.tar.gz`, each between silences, clean and in
each noise at 20, 10 and 5 dB. Labels: energy of the clean clip; steps near the edges of speech are left out.
"""

import argparse
import io
import os
import pathlib
import tarfile

import numpy as np
import onnxruntime
import soundfile
import torch
from scipy.signal import resample_poly

from features import RATE, STEP, log_mel
from model import Detector


def read(file) -> np.ndarray:
    samples, rate = soundfile.read(file, always_2d=True)
    samples = samples.mean(axis=1)
    divisor = np.gcd(RATE, rate)
    return samples if rate == RATE else resample_poly(samples, RATE // divisor, rate // divisor)


def step_labels(clean: np.ndarray) -> np.ndarray:
    """1 speech, 0 none, −1 unsure, per step of a clip."""
    frames = clean[: len(clean) // 160 * 160].reshape(-1, 160)
    energy = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-10)
    low, high = np.percentile(energy, 5), np.percentile(energy, 98)
    loud = np.flatnonzero(energy > max(high - 30, low + 0.4 * (high - low)))
    mask = np.zeros(len(energy), bool)
    for first, second in zip(loud, loud[1:]):
        mask[first : second if second - first <= 20 else first + 1] = True
    mask[loud[-1]] = True
    samples = np.repeat(mask, 160)
    samples = np.pad(samples, (0, len(clean) - len(samples)))
    steps = np.pad(samples, (0, -len(samples) % STEP)).reshape(-1, STEP).mean(1)
    # Two steps around every change are unsure.
    out = np.where(steps > 0.9, 1, np.where(steps < 0.1, 0, -1))
    for edge in np.flatnonzero(np.diff(steps > 0.5)):
        out[max(0, edge - 1) : edge + 3] = -1
    return out


def clips(data: pathlib.Path):
    for line in (data / "speech/manifest.tsv").read_text().splitlines()[1:]:
        yield read(data / "speech" / line.split("\t")[0])
    with tarfile.open(data / "speech/alphanumeric.tar.gz") as tar:
        members = [member for member in tar if member.name.endswith((".wav", ".flac"))]
        for member in members[::4]:
            yield read(io.BytesIO(tar.extractfile(member).read()))


class Silero:
    def __init__(self, path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        self.session = onnxruntime.InferenceSession(str(path), options)

    def __call__(self, samples):
        samples = np.pad(samples, (0, -len(samples) % STEP)).astype(np.float32)
        state, context, out = np.zeros((2, 1, 128), np.float32), np.zeros(64, np.float32), []
        for step in samples.reshape(-1, STEP):
            feed = {"input": np.concatenate([context, step])[None], "state": state, "sr": np.array(RATE, np.int64)}
            probability, state = self.session.run(None, feed)
            out.append(probability[0, 0])
            context = step[-64:]
        return np.array(out)


class Ours:
    def __init__(self, path, which):
        self.model = Detector()
        self.model.load_state_dict(torch.load(path)[which])

    @torch.no_grad()
    def __call__(self, samples):
        return torch.sigmoid(self.model(torch.from_numpy(log_mel(samples))[None]))[0].numpy()


def auc(speech, silence):
    silence = np.sort(silence)
    return np.searchsorted(silence, speech).mean() / len(silence)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=pathlib.Path, required=True)
    parser.add_argument("--which", default="average")
    parser.add_argument("--silero", action="store_true", help="the peer, too (slow)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = pathlib.Path(os.environ["SOTTO_DATA"])
    noises = {p.stem: read(p) for p in sorted((data / "speech/noise").glob("*.flac")) if not p.stem.startswith("rir")}
    detectors = {"ours": Ours(arguments.checkpoint, arguments.which)}
    if arguments.silero:
        detectors["silero"] = Silero(data / "vad/silero_vad.onnx")
    minute = 60 * RATE
    for name, detector in detectors.items():
        print(f"# {name}")
        for noise, samples in {"digital silence": np.zeros(16000), **noises}.items():
            p = detector(np.resize(samples, minute))
            above = [int((p >= t).sum()) * STEP / RATE for t in (0.3, 0.5, 0.7, 0.9)]
            print(
                f"{noise:18} highest {p.max():.3f}, seconds at 0.3/0.5/0.7/0.9: " + " ".join(f"{a:.2f}" for a in above)
            )
    everything = list(clips(data))
    for ratio in (None, 20, 10, 5):
        found = {name: ([], []) for name in detectors}
        for index, clip in enumerate(everything):
            padded = np.concatenate([np.zeros(RATE), clip, np.zeros(RATE)])
            labels = np.full(-(-len(padded) // STEP), 0)
            inner = step_labels(padded + 1e-7)
            labels = inner
            sound = padded
            if ratio is not None:
                noise = list(noises.values())[index % len(noises)]
                noise = np.resize(np.roll(noise, -index * 7919), len(padded))
                power = np.mean(clip[np.abs(clip) > 0.05 * np.abs(clip).max()] ** 2)
                sound = padded + noise * np.sqrt(power / np.mean(noise**2)) * 10 ** (-ratio / 20)
            for name, detector in detectors.items():
                p = detector(sound)
                found[name][0].append(p[labels == 1])
                found[name][1].append(p[labels == 0])
        for name, (speech, silence) in found.items():
            speech, silence = np.concatenate(speech), np.concatenate(silence)
            shown = " ".join(f"{t}: {(speech < t).mean():.3f}/{(silence >= t).mean():.3f}" for t in (0.3, 0.5, 0.7))
            print(f"{ratio} dB {name:7} AUC {auc(speech, silence):.4f}  missed/false at {shown}")


if __name__ == "__main__":
    main()
