"""What every golden script needs: data folder, clips, the two reference models, provenance, output.

One torch thread and the CPU, so that a run can be repeated bit for bit on the same versions.
"""

import argparse
import csv
import hashlib
import json
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import soundfile
import torch

ROOT = Path(__file__).resolve().parents[2]
ENGLISH = "openai-whisper-tiny.en"
MULTILINGUAL = "whisper-base"
OUTPUT = ROOT / "core" / "speech" / "tests" / "goldens"
SAMPLE_RATE = 16_000

torch.set_num_threads(1)
torch.set_grad_enabled(False)


# Parts of a golden that are made anew; empty: all.
PARTS = []


def data_folder(description):
    """The data folder from `--data`, else `SOTTO_DATA`, else `../shared/data` beside the repository."""
    parser = argparse.ArgumentParser(description=description)
    default = os.environ.get("SOTTO_DATA", ROOT.parent / "shared" / "data")
    parser.add_argument(
        "--data", type=Path, default=Path(default), help="folder with speech/ and openai-whisper-tiny.en/"
    )
    parser.add_argument(
        "parts", nargs="*", help="parts of the golden to make anew, where the script has parts; the others stay"
    )
    arguments = parser.parse_args()
    PARTS.extend(arguments.parts)
    data = arguments.data
    if not (data / "speech" / "synthetic.tsv").is_file():
        sys.exit(f"{data}: no speech/synthetic.tsv; give the data folder with --data or SOTTO_DATA")
    return data


def multilingual_folder():
    """The complete multilingual model: `SOTTO_MODELS`, else `~/.cache/sotto/real-models`, then `whisper-base`."""
    models = Path(os.environ.get("SOTTO_MODELS", Path.home() / ".cache" / "sotto" / "real-models"))
    if not (models / MULTILINGUAL / "model.safetensors").is_file():
        sys.exit(
            f"{models}: no {MULTILINGUAL}; fetch it with scripts/test.sh fetch "
            "or name its folder's parent in SOTTO_MODELS"
        )
    return models / MULTILINGUAL


def rows(data, name):
    """Rows of `speech/<name>.tsv`. Texts hold unpaired quotation marks: no quoting."""
    with open(data / "speech" / f"{name}.tsv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def synthetic_clips(data):
    return rows(data, "synthetic")


def english_clips(data):
    """The real English clips that fit one window."""
    return [r for r in rows(data, "manifest") if r["lang"] == "en" and float(r["seconds"]) <= 30.0]


def samples(data, file):
    """Mono 16 kHz f32 samples of a file under `speech/`: i16 / 32768."""
    pcm, rate = soundfile.read(data / "speech" / file, dtype="int16", always_2d=True)
    if rate != SAMPLE_RATE or pcm.shape[1] != 1:
        raise ValueError(f"{file}: {rate} Hz, {pcm.shape[1]} channels; these goldens take 16 kHz mono only")
    return pcm[:, 0].astype(np.float32) / np.float32(32768.0)


def provenance(data, script, folder=None, **settings):
    """What made a golden: script, versions, and the weights of `folder`, which is the English model's unless another is
    given.
    """
    folder = folder or data / ENGLISH
    with open(folder / "model.safetensors", "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "script": f"scripts/goldens/{Path(script).name}",
        "transformers": version("transformers"),
        "torch": version("torch").split("+")[0],
        "openai-whisper": version("openai-whisper"),
        "model": folder.name,
        "model_sha256": digest,
        "dtype": "float32",
        **settings,
    }


def transformers_model(data, folder=None):
    """(model, feature extractor, tokenizer) of a Hugging Face folder, the English model's by default, float32 on the
    CPU.
    """
    from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration
    from transformers import PreTrainedTokenizerFast

    folder = str(folder or data / ENGLISH)
    model = WhisperForConditionalGeneration.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()
    extractor = WhisperFeatureExtractor.from_pretrained(folder, local_files_only=True)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=folder + "/tokenizer.json")
    return model, extractor, tokenizer


def greedy_ids(model, features, **options):
    """Ids and filtered scores of each step, `[steps, vocabulary]`, of one underlying `generate` call for one window."""
    out = model.generate(
        features,
        force_unique_generate_call=True,
        return_dict_in_generate=True,
        output_scores=True,
        do_sample=False,
        num_beams=1,
        **options,
    )
    return out.sequences[0].tolist(), torch.stack(out.scores)[:, 0]


# Hugging Face name -> openai-whisper name, applied in order.
RENAMES = [
    ("model.", ""),
    ("layers", "blocks"),
    ("fc1", "mlp.0"),
    ("fc2", "mlp.2"),
    ("final_layer_norm", "mlp_ln"),
    ("encoder_attn_layer_norm", "cross_attn_ln"),
    ("encoder_attn", "cross_attn"),
    ("self_attn_layer_norm", "attn_ln"),
    ("self_attn", "attn"),
    (".q_proj", ".query"),
    (".k_proj", ".key"),
    (".v_proj", ".value"),
    (".out_proj", ".out"),
    ("encoder.layer_norm", "encoder.ln_post"),
    ("decoder.layer_norm", "decoder.ln"),
    ("embed_tokens", "token_embedding"),
    ("embed_positions.weight", "positional_embedding"),
]


def openai_model(data):
    """openai-whisper's own model with the weights of the Hugging Face folder, float32 on the CPU."""
    import whisper
    from safetensors.torch import load_file

    folder = data / ENGLISH
    config = json.loads((folder / "config.json").read_text())
    generation = json.loads((folder / "generation_config.json").read_text())
    dims = whisper.model.ModelDimensions(
        n_mels=config["num_mel_bins"],
        n_audio_ctx=config["max_source_positions"],
        n_audio_state=config["d_model"],
        n_audio_head=config["encoder_attention_heads"],
        n_audio_layer=config["encoder_layers"],
        n_vocab=config["vocab_size"],
        n_text_ctx=config["max_target_positions"],
        n_text_state=config["d_model"],
        n_text_head=config["decoder_attention_heads"],
        n_text_layer=config["decoder_layers"],
    )
    weights = {}
    for name, tensor in load_file(folder / "model.safetensors").items():
        if name == "proj_out.weight":
            continue  # tied to the token embedding
        for old, new in RENAMES:
            name = name.replace(old, new, 1)
        weights[name] = tensor.float()
    model = whisper.Whisper(dims)
    model.load_state_dict(weights, strict=True)
    heads = torch.zeros(dims.n_text_layer, dims.n_text_head, dtype=torch.bool)
    for layer, head in generation["alignment_heads"]:
        heads[layer, head] = True
    model.register_buffer("alignment_heads", heads.to_sparse(), persistent=False)
    return model.eval()


def word_error_rate(references, hypotheses):
    """Corpus word error rate in percent after Whisper's English normaliser, with its counts."""
    import jiwer
    from whisper.normalizers import EnglishTextNormalizer

    normalise = EnglishTextNormalizer()
    measured = jiwer.process_words([normalise(t) for t in references], [normalise(t) for t in hypotheses])
    words = measured.hits + measured.substitutions + measured.deletions
    errors = measured.substitutions + measured.deletions + measured.insertions
    return {"percent": round(100.0 * errors / words, 3), "errors": errors, "words": words}


def read_json(name, folder=OUTPUT):
    """What `write_json` wrote before."""
    return json.loads((folder / name).read_text(encoding="utf-8"))


def write_json(name, value, folder=OUTPUT):
    """One element per line where a list holds records, so that a change shows as a small diff."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(render(value) + "\n", encoding="utf-8")
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1024:.0f} KiB", flush=True)


def render(value, depth=0):
    flat = json.dumps(value, ensure_ascii=False)
    if len(flat) <= 110 or depth >= 3 or not isinstance(value, (dict, list)) or not value:
        return flat
    if isinstance(value, list) and not isinstance(value[0], (dict, list)):
        return flat
    pad = " " * (depth + 1)
    if isinstance(value, dict):
        inner = [f"{pad}{json.dumps(k, ensure_ascii=False)}: {render(v, depth + 1)}" for k, v in value.items()]
        return "{\n" + ",\n".join(inner) + "\n" + " " * depth + "}"
    return "[\n" + ",\n".join(pad + render(v, depth + 1) for v in value) + "\n" + " " * depth + "]"


class Progress:
    """Prints a line per finished item with the time since the start."""

    def __init__(self, total, what):
        self.total, self.what, self.done, self.start = total, what, 0, time.monotonic()

    def step(self, note=""):
        self.done += 1
        print(f"{self.what} {self.done}/{self.total} {time.monotonic() - self.start:.0f} s {note}", flush=True)
