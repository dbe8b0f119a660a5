"""Sequential long form of transformers on the joined recordings, greedy, no fallback; plus figures with its documented
fallback.

Per window: `seek` (first mel frame) and near ties [step, gap, best, second] below 1e-3, step counted from the first
sampled id. Segments carry the ids as transformers returns them (the last segment of a window cut at a timestamp pair
keeps both timestamps).
"""

import torch
from joined import build, recordings
from reference import PARTS, data_folder, provenance, read_json, transformers_model, word_error_rate, write_json

NEAR_TIE = 1e-3
FALLBACK = {
    "temperature": (0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
    "compression_ratio_threshold": 1.35,
    "logprob_threshold": -1.0,
    "no_speech_threshold": 0.6,
}


class Ties:
    """Last logits processor: changes nothing, notes where best and second filtered logit nearly tie."""

    def __init__(self):
        self.begin, self.windows = 0, []

    def set_begin_index(self, begin):
        self.begin = begin
        self.windows.append([])

    def __call__(self, ids, scores):
        top = scores[0].topk(2)
        gap = (top.values[0] - top.values[1]).item()
        if gap < NEAR_TIE:
            step = ids.shape[1] - self.begin
            self.windows[-1].append([step, round(gap, 8), top.indices[0].item(), top.indices[1].item()])
        return scores


def transcribe(loaded, pcm, conditioned, **options):
    """(segments, windows, text) of one recording."""
    model, extractor, tokenizer = loaded
    inputs = extractor(
        pcm, sampling_rate=16_000, return_tensors="pt", truncation=False, padding="longest", return_attention_mask=True
    )
    seeks, ties = [], Ties()

    def progress(state):
        seeks.append(int(state[0, 0]))
        print(f"  frame {seeks[-1]} of {int(state[0, 1])}", flush=True)

    out = model.generate(
        inputs.input_features,
        attention_mask=inputs.attention_mask,
        return_timestamps=True,
        return_segments=True,
        condition_on_prev_tokens=conditioned,
        do_sample=False,
        num_beams=1,
        logits_processor=[ties],
        monitor_progress=progress,
        **options,
    )
    end = model.generation_config.eos_token_id
    segments = [
        {"start": round(float(s["start"]), 2), "end": round(float(s["end"]), 2), "tokens": s["tokens"].tolist()}
        for s in out["segments"][0]
    ]
    text = tokenizer.decode([t for s in segments for t in s["tokens"] if t < end])
    windows = [{"seek": seek, "near_ties": found} for seek, found in zip(seeks, ties.windows)]
    return segments, windows, text


def fallback_figure(loaded, recording, pcm):
    """Word error rate with the documented thresholds; sampled with torch's generator, so no ids."""
    torch.manual_seed(0)
    options = {**FALLBACK}
    _, windows, text = transcribe(loaded, pcm, False, **options)
    return {"word_error_rate": word_error_rate([recording["text"]], [text]), "windows": len(windows), "text": text}


if __name__ == "__main__":
    data = data_folder(__doc__.splitlines()[0])
    loaded = transformers_model(data)
    result = {
        "provenance": provenance(
            data,
            __file__,
            return_timestamps=True,
            do_sample=False,
            num_beams=1,
            thresholds=None,
            recordings="scripts/goldens/joined.json",
        ),
        "fallback_settings": {"seed": 0, **FALLBACK, "temperature": list(FALLBACK["temperature"])},
        "recordings": {},
    }
    known = {r["name"]: r for r in recordings()}
    jobs = [
        ("two_minutes", "unconditioned"),
        ("two_minutes", "conditioned"),
        ("five_minutes", "unconditioned"),
        ("twenty_minutes", "unconditioned"),
        ("two_minutes", "fallback"),
    ]
    # Named recordings or modes alone are made anew; the others stay.
    if PARTS:
        result["recordings"] = read_json("long_form.json")["recordings"]
    for name, mode in jobs:
        if PARTS and name not in PARTS and mode not in PARTS:
            continue
        print(name, mode, flush=True)
        pcm = build(data, known[name])
        entry = result["recordings"].setdefault(name, {"samples": len(pcm)})
        if mode == "fallback":
            entry[mode] = fallback_figure(loaded, known[name], pcm)
        else:
            segments, windows, text = transcribe(loaded, pcm, mode == "conditioned")
            rate = word_error_rate([known[name]["text"]], [text])
            entry[mode] = {"word_error_rate": rate, "text": text, "windows": windows, "segments": segments}
        print(name, mode, entry[mode]["word_error_rate"], flush=True)
        write_json("long_form.json", result)
