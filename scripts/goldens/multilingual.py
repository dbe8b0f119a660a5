"""Languages of the complete multilingual model by transformers, greedy: `multilingual.json`.

`whisper-base` (`SOTTO_MODELS`, else `~/.cache/sotto/real-models`), float32, one 30 s window of samples padded with
zeros. For one clip of each language of `manifest.tsv`:

    detected        id and probability of the likeliest language, argmax over `lang_to_id` on the step behind
                    `<|startoftranscript|>`
    transcribe      ids without timestamps, the detected language
    timestamps      the same with timestamps
    translate       ids without timestamps, task translate
    transcribe_as_en    without timestamps, language given as English: what a wrong language does must be the
                        reference's too

and, under `english`, ids of every tenth English clip. Near ties as in `greedy.py`, whose `generate` this is.
"""

import torch
from greedy import near_ties
from reference import (
    Progress,
    data_folder,
    english_clips,
    greedy_ids,
    multilingual_folder,
    provenance,
    rows,
    samples,
    synthetic_clips,
    transformers_model,
    write_json,
)

ENGLISH_STEP = 10


def greedy(loaded, features, language, task, timestamps):
    """Start ids and what follows, end-of-text included."""
    model, _, tokenizer = loaded
    sequence, scores = greedy_ids(model, features, language=language, task=task, return_timestamps=timestamps)
    ids = sequence[len(sequence) - len(scores) :]
    assert scores.argmax(-1).tolist() == ids, (language, task)
    generation = model.generation_config
    start = [generation.decoder_start_token_id, generation.lang_to_id[f"<|{language}|>"], generation.task_to_id[task]]
    start += [] if timestamps else [generation.no_timestamps_token_id]
    assert sequence[: len(sequence) - len(scores)] in ([], start), (sequence, start)
    assert ids[-1] == generation.eos_token_id, "a sequence that was cut"
    text = tokenizer.decode([t for t in ids if t < generation.eos_token_id])
    return {"start_ids": start, "tokens": ids, "near_ties": near_ties(scores), "text": text}


def detect(model, features):
    """(code, id, probability among the languages) of the likeliest language."""
    generation = model.generation_config
    logits = model(features, decoder_input_ids=torch.tensor([[generation.decoder_start_token_id]])).logits[0, 0]
    ids = torch.tensor(list(generation.lang_to_id.values()))
    best = logits[ids].argmax()
    assert ids[best] == model.detect_language(features)[0]
    return list(generation.lang_to_id)[best].strip("<|>"), ids[best].item(), logits[ids].softmax(-1)[best].item()


def one_clip_each(data):
    """The first row of every language that fits one window."""
    found = {}
    for row in rows(data, "manifest"):
        if float(row["seconds"]) <= 30.0:
            found.setdefault(row["lang"], row)
    return list(found.values())


def features_of(loaded, data, file):
    return loaded[1](samples(data, file), sampling_rate=16_000, return_tensors="pt").input_features


def language_record(loaded, data, row):
    features = features_of(loaded, data, row["file"])
    code, token, probability = detect(loaded[0], features)
    runs = {
        "transcribe": greedy(loaded, features, code, "transcribe", False),
        "timestamps": greedy(loaded, features, code, "transcribe", True),
        "translate": greedy(loaded, features, code, "translate", False),
        "transcribe_as_en": greedy(loaded, features, "en", "transcribe", False),
    }
    return {
        "file": row["file"],
        "language": row["lang"],
        "reference": row["text"],
        "detected": {"code": code, "token": token, "probability": round(probability, 6)},
        **runs,
    }


def main():
    data, folder = data_folder(__doc__.splitlines()[0]), multilingual_folder()
    loaded = transformers_model(data, folder)
    languages = one_clip_each(data)
    english = (synthetic_clips(data) + english_clips(data))[::ENGLISH_STEP]
    progress, records, spoken = Progress(len(languages) + len(english), "multilingual"), [], []
    for row in languages:
        records.append(language_record(loaded, data, row))
        found = records[-1]
        progress.step(
            f"{row['file']} {found['detected']} {found['transcribe']['text']!r} {found['translate']['text']!r}"
        )
    for row in english:
        features = features_of(loaded, data, row["file"])
        spoken.append({"file": row["file"], **greedy(loaded, features, "en", "transcribe", False)})
        progress.step(f"{row['file']} {spoken[-1]['text']!r}")
    generation = loaded[0].generation_config
    write_json(
        "multilingual.json",
        {
            "provenance": provenance(
                data, __file__, folder, do_sample=False, num_beams=1, window="samples zero-padded to 480000"
            ),
            "end_of_text": generation.eos_token_id,
            "timestamp_begin": generation.no_timestamps_token_id + 1,
            "languages": records,
            "english": spoken,
        },
    )


if __name__ == "__main__":
    main()
