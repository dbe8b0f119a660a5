"""Cuts Whisper's vocabulary to what English text uses: a smaller tokenizer and the rows of the embedding that go with
it.

    python vocabulary.py --to FOLDER [--text-tokens 36800]          (SOTTO_DATA names the data folder)

Tokens are counted in text with clear terms (`SOURCES`). Kept are all 256 bytes, so that every string can still be
written; every whole number up to three digits and the years 1700 to 2050, which speech says and dialogue rarely writes;
and of the others those of the highest share. The counted text is mostly dialogue: a part of the share (`PRIOR`) comes
from the order in which the vocabulary itself was made, from the web, by frequency. With a token stay the two that it is
merged from, and theirs: byte pair encoding with the rules that are left then gives exactly the tokens that are left.
The order of the ids, and so of the merges, stays. Of the control tokens those of languages go but for English.

Writes FOLDER as a Hugging Face folder: `tokenizer.json`, `config.json` and `generation_config.json` with the new ids,
`model.safetensors` with fewer rows, all else as in the source; `kept.json`, the old id of each new one.
"""

import argparse
import collections
import json
import lzma
import os
import pathlib
import re
import shutil
import zipfile

from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

# Folders of the data folder, and how much a token of them counts: MASC has news, letters and essays, but is small.
SOURCES = {"tatoeba": 2.0, "dialogue": 1.0, "masc": 8.0}
PRIOR = 0.2
# How much of that part a token gets that does not look like a word's start, such as the end of a name.
INSIDE = 0.3
CONTROLS = [
    "<|endoftext|>",
    "<|startoftranscript|>",
    "<|en|>",
    "<|translate|>",
    "<|transcribe|>",
    "<|startoflm|>",
    "<|startofprev|>",
    "<|nocaptions|>",
    "<|notimestamps|>",
]


def lines(data: pathlib.Path, source: str):
    """Sentences of one source, each once."""
    if source == "tatoeba":
        seen = set()
        for pair in ("deu-eng", "fra-eng", "spa-eng"):
            with zipfile.ZipFile(data / f"text/tatoeba/{pair}.zip") as archive:
                for line in archive.read(f"{pair[:3]}.txt").decode().splitlines():
                    seen.add(line.split("\t")[0])
        yield from sorted(seen)
    elif source == "dialogue":
        for path in sorted((data / "keyboard/train/en").glob("*.txt.xz")):
            yield from lzma.open(path, "rt", encoding="utf-8").read().splitlines()
    else:
        with zipfile.ZipFile(data / "keyboard/text/masc_tagged.zip") as archive:
            for member in sorted(archive.namelist()):
                if member.endswith(".txt") and "categories" not in member:
                    yield from (untagged(line) for line in archive.read(member).decode("utf-8", "replace").splitlines())


def untagged(line: str) -> str:
    """`The_DT end_NN ._.` as text."""
    words = " ".join(word.rsplit("_", 1)[0] for word in line.split())
    return re.sub(r" ([.,;:!?]|'s|n't|'ll|'re|'ve|'d|'m)(?= |$)", r"\1", words)


def count(tokenizer: Tokenizer, data: pathlib.Path) -> collections.Counter:
    """How often each token occurs, with the text as Whisper writes it: a space in front."""
    total = collections.Counter()
    for source, weight in SOURCES.items():
        counts, batch = collections.Counter(), []
        for line in [*lines(data, source), None]:
            if line is not None and line.strip():
                batch.append(" " + line.strip())
            if line is None or len(batch) == 20_000:
                for encoded in tokenizer.encode_batch(batch, add_special_tokens=False):
                    counts.update(encoded.ids)
                batch = []
        print(f"{source}: {sum(counts.values())} tokens, {len(counts)} different", flush=True)
        for token, times in counts.items():
            total[token] += weight * times
    return total


def is_number(token: str) -> bool:
    digits = token.removeprefix("Ġ")
    return (
        digits.isascii() and digits.isdigit() and (len(digits) <= 3 or 1700 <= int(digits) <= 2050 and len(digits) == 4)
    )


def chosen(vocabulary: dict[str, int], merges: list[tuple[str, str]], counts, size: int) -> list[int]:
    """Ids of `size` text tokens that can all be reached by merging, ascending."""
    parents = {vocabulary[left + right]: (vocabulary[left], vocabulary[right]) for left, right in merges}
    kept = {id for id in vocabulary.values() if id not in parents and id < 256}

    def closure(id: int, into: set[int]):
        if id not in kept and id not in into:
            into.add(id)
            for parent in parents[id]:
                closure(parent, into)

    for token, id in vocabulary.items():
        if is_number(token):
            new = set()
            closure(id, new)
            kept |= new
    for id, _ in sorted(shares(vocabulary, parents, counts).items(), key=lambda item: (-item[1], item[0])):
        new = set()
        closure(id, new)
        if len(kept) + len(new) > size:
            break
        kept |= new
    return sorted(kept)


def shares(vocabulary: dict[str, int], merged, counts) -> dict[int, float]:
    """Share of each merged token in English: as counted, and by Zipf's law as its rank says if it looks like a word's
    start or inside.
    """
    starts = {id for token, id in vocabulary.items() if re.fullmatch("Ġ[A-Z]?[a-z]+", token)}
    letters = {id for token, id in vocabulary.items() if re.fullmatch("Ġ?[A-Za-z]+", token)}
    total, zipf = sum(counts.values()), {id: 1 / (id + 50) for id in vocabulary.values()}
    norm = sum(zipf.values())
    looks = lambda id: 1 if id in starts else INSIDE if id in letters else 0  # noqa: E731
    share = {id: (1 - PRIOR) * counts.get(id, 0) / total + PRIOR * looks(id) * zipf[id] / norm for id in merged}
    return {id: value for id, value in share.items() if value > 0}


def write_tokenizer(source: dict, ids: list[int], to: pathlib.Path) -> dict[int, int]:
    """`tokenizer.json` of the kept tokens and the controls; returns new ids by old ones."""
    new_id = {old: new for new, old in enumerate(ids)}
    old_added = {token["content"]: token for token in source["added_tokens"]}
    stamps = [content for content in old_added if re.fullmatch(r"<\|\d+\.\d\d\|>", content)]
    for content in CONTROLS + stamps:
        new_id[old_added[content]["id"]] = len(new_id)
    text = {
        token: new_id[id]
        for token, id in source["model"]["vocab"].items()
        if id in new_id and id not in {token["id"] for token in source["added_tokens"]}
    }
    merges = [
        rule
        for rule in source["model"]["merges"]
        if all(part in text for part in rule.split(" ")) and rule.replace(" ", "") in text
    ]
    out = dict(source)
    out["added_tokens"] = [
        {**old_added[content], "id": new_id[old_added[content]["id"]]} for content in CONTROLS + stamps
    ]
    out["model"] = {**source["model"], "vocab": text, "merges": merges}
    for token in out["post_processor"]["special_tokens"].values():
        token["ids"] = [new_id[old] for old in token["ids"]]
    to.write_text(json.dumps(out, ensure_ascii=False))
    return new_id


def renumbered(settings: dict, new_id: dict[int, int]) -> dict:
    """Settings with token ids of the new vocabulary; lists lose the tokens that are gone."""
    out = dict(settings)
    for key, value in settings.items():
        if key.endswith("_token_id"):
            out[key] = new_id[value]
        elif key in ("suppress_tokens", "begin_suppress_tokens"):
            out[key] = [new_id[token] for token in value if token in new_id]
        elif key == "forced_decoder_ids":
            out[key] = [[position, new_id[token]] for position, token in value]
        elif key == "vocab_size":
            out[key] = len(new_id)
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=pathlib.Path, required=True)
    parser.add_argument("--text-tokens", type=int, default=36_800)
    arguments = parser.parse_args()
    data = pathlib.Path(os.environ["SOTTO_DATA"])
    teacher = data / "openai-whisper-tiny.en"
    source = json.loads((teacher / "tokenizer.json").read_text())
    arguments.to.mkdir(parents=True, exist_ok=True)
    cache = arguments.to.parent / "counts.json"
    if not cache.exists():
        cache.write_text(json.dumps(count(Tokenizer.from_file(str(teacher / "tokenizer.json")), data)))
    counts = {int(id): times for id, times in json.loads(cache.read_text()).items()}
    merges = [tuple(rule.split(" ")) for rule in source["model"]["merges"]]
    vocabulary = {token: id for token, id in source["model"]["vocab"].items() if id < 50_256}
    ids = chosen(vocabulary, merges, counts, arguments.text_tokens)
    new_id = write_tokenizer(source, ids, arguments.to / "tokenizer.json")
    left = sum(times for id, times in counts.items() if id in new_id) / sum(counts.values())
    print(f"{len(ids)} text tokens, {len(new_id)} in all; {100 * left:.3f} % of the counted tokens are kept")
    kept = sorted(new_id, key=new_id.get)
    (arguments.to / "kept.json").write_text(json.dumps(kept))
    for name in ("config.json", "generation_config.json"):
        settings = renumbered(json.loads((teacher / name).read_text()), new_id)
        (arguments.to / name).write_text(json.dumps(settings, indent=1))
    for name in ("preprocessor_config.json", "LICENSE"):
        shutil.copy(teacher / name, arguments.to)
    tensors = load_file(teacher / "model.safetensors")
    table = "model.decoder.embed_tokens.weight"
    rows = tensors[table][kept].contiguous()
    save_file({**tensors, table: rows}, arguments.to / "model.safetensors", metadata={"format": "pt"})


if __name__ == "__main__":
    main()
