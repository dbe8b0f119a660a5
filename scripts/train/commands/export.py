"""Quantizes a checkpoint and writes it as a Hugging Face Whisper folder.

    python export.py --checkpoint FOLDER/NAME/checkpoint.pt --to ../../../core/testkit/models/commands

The layers' matrices, the second convolution and the token embedding become int4 in blocks of 32 columns: `NAME` is U8
with half of the second dimension, value 2i of a flattened row in the low and 2i + 1 in the high half of byte i,
`NAME_scale` F16 `[rows, columns / 32]`, weight = (code − 8) × scale. The first convolution and the
position tables become int8: `NAME` is I8, `NAME_scale` F32 `[rows]`, weight = value × scale. Norms and biases are F16.
"""

import argparse
import dataclasses
import json
import pathlib

import torch
from safetensors.torch import load_file, save_file

from model import Size, Whisper
from vocabulary import POSITIONS, SPECIALS, TIMESTAMPS, WINDOW_SECONDS, Vocabulary, build_tokenizer

BLOCK = 32
CLIP = 0.94  # of 0.85 to 1, the least squared error on the first trained weights


@dataclasses.dataclass
class Quantized:
    """Integers and their scales; `block` columns of a flattened row share one."""

    codes: torch.Tensor  # [rows, columns], whole numbers
    scales: torch.Tensor  # [rows, columns / block]
    block: int
    shape: torch.Size

    def values(self) -> torch.Tensor:
        return (self.codes.unflatten(1, (-1, self.block)) * self.scales[..., None]).view(self.shape)


def quantize(name: str, weight: torch.Tensor) -> Quantized:
    """Symmetric: matrices of layers to 4 bits by blocks of 32 columns, what is left (see `is_int8`) to 8 bits by rows.
    """
    rows = weight.flatten(1)
    block = rows.shape[1] if is_int8(name) else BLOCK
    values = rows.unflatten(1, (-1, block))
    if is_int8(name):
        scales = (values.abs().amax(2) / 127).clamp(min=1e-8)
        codes = (values / scales[..., None]).round().clamp(-127, 127)
    else:
        # The value furthest from zero becomes -8 (ggml's q4_0), a little clipped: the others then lie closer.
        furthest = values.gather(2, values.abs().argmax(2, keepdim=True))[..., 0]
        scales = torch.where(furthest.abs() < 1e-8, 1e-8, furthest * CLIP / -8).half().float()
        codes = (values / scales[..., None]).round().clamp(-8, 7)
    return Quantized(codes.flatten(1), scales, block, weight.shape)


def is_int8(name: str) -> bool:
    """The first convolution sees the features themselves and has no whole blocks; the position tables are smooth."""
    return "conv1" in name or "embed_positions" in name


def packed(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of `model.safetensors`."""
    tensors = {}
    for name, tensor in state.items():
        if tensor.dim() < 2:
            tensors[name] = tensor.half()
            continue
        quantized = quantize(name, tensor.float())
        if is_int8(name):
            tensors[name] = quantized.codes.to(torch.int8).view(tensor.shape)
            tensors[name + "_scale"] = quantized.scales[:, 0]
        else:
            codes = (quantized.codes + 8).to(torch.uint8)
            tensors[name] = (codes[:, 0::2] | codes[:, 1::2] << 4).view(
                len(tensor), tensor.shape[1] // 2, *tensor.shape[2:]
            )
            tensors[name + "_scale"] = quantized.scales.half()
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def dequantized(path: pathlib.Path, shapes: dict[str, torch.Size]) -> dict[str, torch.Tensor]:
    """The float32 weights that a packed file stands for; `shapes` are those of the model."""
    tensors, state = load_file(path), {}
    for name, tensor in tensors.items():
        if name.endswith("_scale"):
            continue
        if tensor.dtype == torch.int8:
            state[name] = tensor.float() * tensors[name + "_scale"].view(-1, *[1] * (tensor.dim() - 1))
        elif tensor.dtype == torch.uint8:
            pairs = tensor.flatten(1)
            codes = torch.stack([pairs & 15, pairs >> 4], dim=-1).flatten(1).float() - 8
            state[name] = Quantized(codes, tensors[name + "_scale"].float(), BLOCK, shapes[name]).values()
        else:
            state[name] = tensor.float()
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
        "return_timestamps": True,
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
    vocabulary.tokenizer.save(str(arguments.to / "tokenizer.json"), pretty=False)
    for path in sorted(arguments.to.glob("*")):
        print(f"{path.stat().st_size:>9} {path.name}")


if __name__ == "__main__":
    main()
