"""Greedy ids of transformers for every English clip that fits one window: without and with timestamps.

`WhisperForConditionalGeneration.generate`, float32, temperature 0, one beam, no thresholds, one 30 s window of samples
padded with zeros by `WhisperFeatureExtractor`. Near ties (best and second filtered logit closer than 1e-3) are listed
per clip as [step, gap, best, second], so that a flip by rounding can be told from a mistake.
"""

import torch
from reference import (
    Progress,
    data_folder,
    english_clips,
    greedy_ids,
    provenance,
    samples,
    synthetic_clips,
    transformers_model,
    word_error_rate,
    write_json,
)

NEAR_TIE = 1e-3


def near_ties(scores):
    top = scores.topk(2, dim=-1)
    found = []
    for step, (values, ids) in enumerate(zip(top.values, top.indices)):
        gap = (values[0] - values[1]).item()
        if gap < NEAR_TIE:
            found.append([step, round(gap, 8), ids[0].item(), ids[1].item()])
    return found


def decode_all(data, clips, timestamps):
    model, extractor, tokenizer = transformers_model(data)
    config = model.generation_config
    start = [config.decoder_start_token_id] + ([] if timestamps else [config.no_timestamps_token_id])
    records, progress = [], Progress(len(clips), f"greedy timestamps={timestamps}")
    for number, clip in enumerate(clips):
        pcm = samples(data, clip["file"])
        features = extractor(pcm, sampling_rate=16_000, return_tensors="pt").input_features
        ids, scores = greedy_ids(model, features, return_timestamps=timestamps)
        ids = ids[len(start) :] if ids[: len(start)] == start else ids
        assert len(ids) == scores.shape[0], (len(ids), scores.shape)
        assert (scores.argmax(-1).tolist()) == ids, clip["file"]
        text = tokenizer.decode([t for t in ids if t < config.eos_token_id])
        records.append(
            {
                "number": number,
                "file": clip["file"],
                "samples": len(pcm),
                "tokens": ids,
                "finished": ids[-1] == config.eos_token_id,
                "min_gap": round((scores.topk(2).values @ torch.tensor([1.0, -1.0])).min().item(), 6),
                "near_ties": near_ties(scores),
                "text": text,
            }
        )
        progress.step(clip["file"])
    return records, start, config


def write(data, name, timestamps):
    synthetic, real = synthetic_clips(data), english_clips(data)
    records, start, config = decode_all(data, synthetic + real, timestamps)
    heard = [r["text"] for r in records]
    rates = {
        "synthetic": word_error_rate([c["text"] for c in synthetic], heard[: len(synthetic)]),
        "real": word_error_rate([c["text"] for c in real], heard[len(synthetic) :]),
    }
    write_json(
        name,
        {
            "provenance": provenance(
                data,
                __file__,
                return_timestamps=timestamps,
                do_sample=False,
                num_beams=1,
                window="samples zero-padded to 480000",
                fallback=None,
            ),
            "start_ids": start,
            "end_of_text": config.eos_token_id,
            "timestamp_begin": config.no_timestamps_token_id + 1,
            "max_length": "448 ids in all, start ids included; "
            "a sequence cut there has no end-of-text (finished: false)",
            "suppress_tokens": config.suppress_tokens,
            "begin_suppress_tokens": config.begin_suppress_tokens,
            "max_initial_timestamp_index": config.max_initial_timestamp_index,
            "word_error_rate": rates,
            "clips": records,
        },
    )
    print(
        name,
        rates,
        "cut:",
        sum(not r["finished"] for r in records),
        "clips with near ties:",
        sum(bool(r["near_ties"]) for r in records),
        flush=True,
    )


if __name__ == "__main__":
    folder = data_folder(__doc__.splitlines()[0])
    write(folder, "greedy_tokens.json", timestamps=False)
    write(folder, "greedy_timestamps.json", timestamps=True)
