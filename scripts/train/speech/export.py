"""Quantizes a checkpoint and writes it as a Hugging Face Whisper folder.

    python export.py --checkpoint FOLDER/NAME/checkpoint.pt --to ../../../core/starter/models/speech

Matrices, convolutions and the token embedding become int8 with one scale per output row: `NAME` holds I8 values,
`NAME_scale` F32 `[rows]`, weight = value × scale. Norms and biases stay F32, position tables F16.
"""

import argparse
import json
import pathlib

import torch
from safetensors.torch import load_file, save_file

from model import Size, Whisper
from vocabulary import POSITIONS, SPECIALS, TIMESTAMPS, WINDOW_SECONDS, Vocabulary, build_tokenizer


def quantize(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Symmetric int8 per row of `[rows, …]`. Of forty clipping points the one with the least squared error is taken."""
    rows = weight.flatten(1)
    peak = rows.abs().amax(1).clamp(min=1e-8)
    best, scale = torch.full_like(peak, float("inf")), peak / 127
    for share in torch.linspace(0.7, 1.0, 40):
        trial = (peak * share / 127)[:, None]
        error = ((rows / trial).round().clamp(-127, 127) * trial - rows).square().sum(1)
        better = error < best
        best, scale = torch.where(better, error, best), torch.where(better, trial[:, 0], scale)
    values = (rows / scale[:, None]).round().clamp(-127, 127).to(torch.int8)
    return values.view(weight.shape), scale


def packed(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of `model.safetensors`."""
    tensors = {}
    for name, tensor in state.items():
        if "embed_positions" in name:
            tensors[name] = tensor.to(torch.float16)
        elif tensor.dim() >= 2:
            tensors[name], tensors[name + "_scale"] = quantize(tensor.float())
        else:
            tensors[name] = tensor.float()
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def dequantized(path: pathlib.Path) -> dict[str, torch.Tensor]:
    """The float32 weights that a packed file stands for."""
    tensors = load_file(path)
    state = {}
    for name, tensor in tensors.items():
        if name.endswith("_scale"):
            continue
        tensor = tensor.float()
        if name + "_scale" in tensors:
            tensor = tensor * tensors[name + "_scale"].view(-1, *[1] * (tensor.dim() - 1))
        state[name] = tensor
    return state


def configurations(size: Size, vocabulary: Vocabulary) -> dict[str, dict]:
    """`config.json`, `generation_config.json` and `preprocessor_config.json`."""
    words = set(vocabulary.word.values())
    special = [vocabulary.tokenizer.token_to_id(name) for name in SPECIALS]
    silent = [i for i in special if i not in (vocabulary.eot, vocabulary.notimestamps)]
    # Bytes and word pieces exist so that any prompt can be tokenized; none of them was ever a target.
    suppressed = [i for i in range(vocabulary.eot) if i not in words] + silent
    ids = {
        "bos_token_id": vocabulary.eot,
        "eos_token_id": vocabulary.eot,
        "pad_token_id": vocabulary.eot,
        "decoder_start_token_id": vocabulary.sot,
        # Nothing is suppressed at the start: an end of text there is how this model says that nobody speaks.
        "begin_suppress_tokens": [],
        "suppress_tokens": suppressed,
    }
    config = {
        "architectures": ["WhisperForConditionalGeneration"],
        "model_type": "whisper",
        "d_model": size.width,
        "encoder_layers": size.encoder_layers,
        "encoder_attention_heads": size.heads,
        "encoder_ffn_dim": size.encoder_ffn,
        "decoder_layers": size.decoder_layers,
        "decoder_attention_heads": size.heads,
        "decoder_ffn_dim": size.decoder_ffn,
        "num_mel_bins": 80,
        "max_source_positions": size.positions,
        "max_target_positions": size.tokens,
        "vocab_size": size.vocabulary,
        "activation_function": "gelu",
        "scale_embedding": False,
        "is_encoder_decoder": True,
        "use_cache": True,
        "dropout": 0.0,
        "attention_dropout": 0.0,
        "activation_dropout": 0.0,
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
    } | ids
    generation = {
        # The head that training guided: its cross-attention follows the words.
        "alignment_heads": [[size.decoder_layers - 1, 0]],
        "is_multilingual": False,
        "max_initial_timestamp_index": POSITIONS,
        "max_length": size.tokens,
        "no_timestamps_token_id": vocabulary.notimestamps,
        "prev_sot_token_id": vocabulary.prev,
        "return_timestamps": False,
    } | ids
    preprocessor = {
        "feature_extractor_type": "WhisperFeatureExtractor",
        "processor_class": "WhisperProcessor",
        "feature_size": 80,
        "chunk_length": WINDOW_SECONDS,
        "hop_length": 160,
        "n_fft": 400,
        "n_samples": WINDOW_SECONDS * 16_000,
        "nb_max_frames": 2 * POSITIONS,
        "padding_side": "right",
        "padding_value": 0.0,
        "return_attention_mask": False,
        "sampling_rate": 16_000,
    }
    return {"config": config, "generation_config": generation, "preprocessor_config": preprocessor}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=pathlib.Path, required=True)
    parser.add_argument("--to", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    arguments.to.mkdir(parents=True, exist_ok=True)
    vocabulary = Vocabulary(build_tokenizer())
    size = Size(vocabulary.size)
    assert len(TIMESTAMPS) == size.positions + 1
    model = Whisper(size)
    model.load_state_dict(torch.load(arguments.checkpoint, weights_only=True)["average"])
    save_file(packed(model.state_dict()), arguments.to / "model.safetensors", metadata={"format": "pt"})
    for name, content in configurations(size, vocabulary).items():
        (arguments.to / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
    vocabulary.tokenizer.save(str(arguments.to / "tokenizer.json"))
    for path in sorted(arguments.to.glob("*")):
        print(f"{path.stat().st_size:>9} {path.name}")


if __name__ == "__main__":
    main()
