"""Multilingual and 128-mel paths of transformers on weights made by a formula: language detection, translate task,
start ids.

No multilingual weights are in the data folder; these tiny models have the vocabulary, the special ids and the shapes of
the real ones (`multilingual`: 80 mels, 51865 ids, 99 languages; `large_v3`: 128 mels, 51866 ids, 100 languages;
`distilled`: encoder and decoder of different depth, heads and feed-forward width, as turbo and Distil-Whisper are).
Exact in f32:

    hash(name)  = FNV-1a, 64 bits, of the tensor's name in UTF-8
    bits(name,i)= splitmix64(hash(name) + i) >> 40                  i: row-major element index; sums wrap at 2^64
    unit(name,i)= bits * 2^-23 - 1                                  in [-1, 1)
    weight      = 1 + unit / 4 for names ending in `layer_norm.weight`, else scale * unit (scale per tensor in the file)
    splitmix64(x): x += 0x9e3779b97f4a7c15; x = (x ^ x>>30) * 0xbf58476d1ce4e5b9;
                   x = (x ^ x>>27) * 0x94d049bb133111eb; x ^ x>>31

Input: 80,000 samples, t = i / 16000 in f64, x[i] = f32(0.5 * sin(2 * pi * (200 * t + 100 * t * t))), zero-padded to 30
s. Greedy, at most 16 sampled ids (`max_new_tokens`). `gap` is the smallest distance of best and second filtered logit.
"""

import numpy as np
import torch
from reference import data_folder, greedy_ids, provenance, write_json
from transformers import GenerationConfig, WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration
from whisper.tokenizer import LANGUAGES, get_tokenizer

MAX_NEW_TOKENS = 16
MODELS = {
    "multilingual": {"mels": 80, "languages": 99},
    "large_v3": {"mels": 128, "languages": 100},
    "distilled": {
        "mels": 80,
        "languages": 99,
        "encoder": {"layers": 3, "heads": 4, "ffn": 48},
        "decoder": {"layers": 1, "heads": 2, "ffn": 80},
    },
}
SIZES = {"layers": 2, "heads": 2, "ffn": 64}
# (name, language, task, timestamps); None is not passed.
RUNS = [
    ("transcribe_de", "de", "transcribe", False),
    ("translate_de", "de", "translate", False),
    ("transcribe_fr", "fr", "transcribe", False),
    ("translate_fr", "fr", "translate", False),
    ("language_only", "de", None, False),
    ("task_only", None, "translate", False),
    ("neither", None, None, False),
    ("transcribe_de_timestamps", "de", "transcribe", True),
    ("translate_detected_timestamps", None, "translate", True),
]


def unit(name, count):
    """`count` values in [-1, 1) of the tensor `name`."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) % 2**64
    x = np.arange(count, dtype=np.uint64) + np.uint64(seed)
    x += np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return (x >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1.0)


def scale(name):
    """Powers of two that keep the activations of such small layers near one."""
    if name.endswith("bias"):
        return 0.125
    for part, value in [
        ("embed_tokens", 1.0),
        ("embed_positions", 0.5),
        ("conv1", 0.125),
        ("conv2", 0.25),
        ("fc2", 0.25),
    ]:
        if part in name:
            return value
    return 0.5


def signal():
    t = np.arange(80_000, dtype=np.float64) / 16_000
    return (0.5 * np.sin(2 * np.pi * (200 * t + 100 * t * t))).astype(np.float32)


def generation_values(tokenizer):
    """The multilingual part of a real generation_config.json, from openai-whisper's tokenizer."""
    special = [
        tokenizer.translate,
        tokenizer.transcribe,
        tokenizer.sot,
        tokenizer.sot_prev,
        tokenizer.sot_lm,
        tokenizer.no_speech,
    ]
    return {
        "bos_token_id": tokenizer.eot,
        "eos_token_id": tokenizer.eot,
        "pad_token_id": tokenizer.eot,
        "decoder_start_token_id": tokenizer.sot,
        "is_multilingual": True,
        "max_length": 448,
        "max_initial_timestamp_index": 50,
        "no_timestamps_token_id": tokenizer.no_timestamps,
        "prev_sot_token_id": tokenizer.sot_prev,
        "return_timestamps": False,
        "begin_suppress_tokens": [220, tokenizer.eot],
        "suppress_tokens": sorted(set(tokenizer.non_speech_tokens) | set(special)),
        "lang_to_id": {
            f"<|{code}|>": tokenizer.sot + 1 + i for i, code in enumerate(list(LANGUAGES)[: tokenizer.num_languages])
        },
        "task_to_id": {"transcribe": tokenizer.transcribe, "translate": tokenizer.translate},
    }


def build(mels, languages, encoder=SIZES, decoder=SIZES):
    """(model, config, generation values, tensor list) of one formula model."""
    tokenizer = get_tokenizer(True, num_languages=languages)
    generation = generation_values(tokenizer)
    config = {
        "model_type": "whisper",
        "architectures": ["WhisperForConditionalGeneration"],
        "d_model": 16,
        "num_mel_bins": mels,
        "encoder_layers": encoder["layers"],
        "decoder_layers": decoder["layers"],
        "encoder_attention_heads": encoder["heads"],
        "decoder_attention_heads": decoder["heads"],
        "encoder_ffn_dim": encoder["ffn"],
        "decoder_ffn_dim": decoder["ffn"],
        "max_source_positions": 1500,
        "max_target_positions": 448,
        "vocab_size": tokenizer.timestamp_begin + 1501,
        "scale_embedding": False,
        "activation_function": "gelu",
        "tie_word_embeddings": True,
        "is_encoder_decoder": True,
        "decoder_start_token_id": tokenizer.sot,
        "bos_token_id": tokenizer.eot,
        "eos_token_id": tokenizer.eot,
        "pad_token_id": tokenizer.eot,
    }
    model = WhisperForConditionalGeneration(WhisperConfig(**config)).eval()
    tensors = []
    for name, tensor in model.named_parameters():
        values = unit(name, tensor.numel())
        norm = name.endswith("layer_norm.weight")
        values = values * np.float32(0.25) + np.float32(1.0) if norm else values * np.float32(scale(name))
        tensor.copy_(torch.from_numpy(values).reshape(tensor.shape))
        tensors.append([name, list(tensor.shape), None if norm else scale(name)])
    model.generation_config = GenerationConfig(**generation)
    return model, config, generation, tensors


def greedy(model, features, language, task, timestamps):
    options = {key: value for key, value in (("language", language), ("task", task)) if value}
    ids, scores = greedy_ids(
        model, features, return_timestamps=timestamps, max_new_tokens=MAX_NEW_TOKENS, **options
    )
    top = scores.topk(2).values
    begin = len(ids) - len(scores)
    return {"start_ids": ids[:begin], "tokens": ids[begin:], "gap": round((top[:, 0] - top[:, 1]).min().item(), 5)}


def start_of(model, language, task, timestamps, detected):
    """The start ids; `generate` does not return those it was started with when it returns sampled ids only."""
    generation = model.generation_config
    ids = [generation.decoder_start_token_id, generation.lang_to_id[f"<|{language}|>"] if language else detected]
    if task or language:
        ids.append(generation.task_to_id[task or "transcribe"])
    return ids + ([] if timestamps else [generation.no_timestamps_token_id])


def outputs(model, mels):
    extractor = WhisperFeatureExtractor(feature_size=mels)
    features = extractor(signal(), sampling_rate=16_000, return_tensors="pt").input_features
    encoded = model.model.encoder(features)
    logits = model(
        encoder_outputs=encoded, decoder_input_ids=torch.tensor([[model.generation_config.decoder_start_token_id]])
    ).logits[0, 0]
    languages = list(model.generation_config.lang_to_id.values())
    best = logits[languages].topk(8)
    detected = int(model.detect_language(features)[0])
    runs = {}
    for name, language, task, timestamps in RUNS:
        found = greedy(model, features, language, task, timestamps)
        expected = start_of(model, language, task, timestamps, detected)
        if found["start_ids"] not in ([], expected):
            raise ValueError(f"{name}: started with {found['start_ids']}, not {expected}")
        runs[name] = {"language": language, "task": task, "timestamps": timestamps, **found, "start_ids": expected}
        print(name, runs[name], flush=True)
    return {
        "mel_frame_100": features[0, :, 100].tolist(),
        "encoder_frames": {str(frame): encoded.last_hidden_state[0, frame].tolist() for frame in (0, 125, 749, 1499)},
        "language_logits": {"ids": [languages[i] for i in best.indices], "values": best.values.tolist()},
        "language_probabilities": logits[languages].softmax(-1)[best.indices].tolist(),
        "detected": detected,
        "first_logits": logits[:8].tolist(),
        "runs": runs,
    }


if __name__ == "__main__":
    named = provenance(data_folder(__doc__.splitlines()[0]), __file__, max_new_tokens=MAX_NEW_TOKENS, do_sample=False)
    named = {key: value for key, value in named.items() if not key.startswith("model")}
    result = {"provenance": named, "formula": __doc__.split("\n\n", 1)[1].strip(), "models": {}}
    for model_name, shape in MODELS.items():
        built, model_config, generation_config, tensors = build(**shape)
        result["models"][model_name] = {
            "config": model_config,
            "generation_config": generation_config,
            "tensors": tensors,
            "outputs": outputs(built, shape["mels"]),
        }
    write_json("random_multilingual.json", result)
