#!/usr/bin/env python3
"""Word errors of Sotto, whisper.cpp and faster-whisper on the same weights and clips, as Markdown tables.

    scripts/peers/words.py                     tiny.en of the data folder and the fetched whisper-base
    scripts/peers/words.py --models tiny.en    only that

Clips: the 41 real and the 100 synthetic English ones of the data folder, each clean and in one of its noises at 10 dB.
One thread, weights in 8 bits, English, each engine with its own defaults; those that take a beam of five by default
also greedily, and Sotto also with a beam. All texts are judged alike, after Whisper's English normaliser. What is
missing is installed and built first; texts lie in `words` of the cache afterwards.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from driver.paths import HERE, REPOSITORY, Paths
from driver.setup import build_workers, install_c_tools, install_environment, make, step

HEADERS = {"tiny.en": "for-tests-ggml-tiny.en.bin", "base": "for-tests-ggml-tiny.bin"}
BEAMS = (1, 5)


@dataclass(frozen=True)
class Folders:
    """Of one model."""

    paths: Paths
    name: str
    model: Path

    @property
    def work(self) -> Path:
        return self.paths.cache / "words" / self.name

    @property
    def clips(self) -> Path:
        return self.paths.cache / "words" / "clips"

    def binary(self, name: str) -> Path:
        return self.paths.binary("native", name)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = Path(os.environ.get("SOTTO_DATA", REPOSITORY.parent / "shared" / "data"))
    models = Path(os.environ.get("SOTTO_MODELS", Path.home() / ".cache" / "sotto" / "real-models"))
    parser.add_argument("--data", type=Path, default=data, help="data folder (default: SOTTO_DATA, else %(default)s)")
    parser.add_argument("--fetched", type=Path, default=models, help="folder around whisper-base: %(default)s")
    parser.add_argument("--cache", type=Path, default=REPOSITORY / "target" / "peers", help="default: %(default)s")
    parser.add_argument("--models", default="tiny.en,base", help="default: %(default)s")
    parser.add_argument("--output", type=Path, help="also write the tables to this file")
    return parser.parse_args()


def convert(folders: Folders) -> None:
    """The model in the engines' formats."""
    header = folders.paths.data / "whisper-ggml-headers" / HEADERS[folders.name]
    ggml = ["--model", folders.model, "--header", header, "--ggml", folders.work, "--types", "q8_0"]
    step("whisper.cpp model", [folders.binary("prepare"), *ggml])
    converted = folders.work / "ctranslate2"
    converter = [folders.paths.python, HERE / "engines" / "convert_ctranslate2.py"]
    make("CTranslate2 model", converted, [*converter, "--model", folders.model])
    for file in ("tokenizer.json", "preprocessor_config.json"):
        shutil.copy(folders.model / file, converted / file)


def engines(folders: Folders, faster_whisper: Path) -> dict[str, Callable[[int], list[str | Path]]]:
    """What an engine is started with, by the number of hypotheses."""
    sotto, whisper_cpp = folders.binary("sotto_texts"), folders.binary("whisper_cpp_texts")
    script = HERE / "faster_whisper_texts.py"
    return {
        "Sotto int8": lambda beam: [sotto, "--model", folders.model, "--clips", folders.clips, "--beam", str(beam)],
        "whisper.cpp q8_0": lambda beam: [
            *(whisper_cpp, "--model", folders.work / "ggml-q8_0.bin"),
            *("--clips", folders.clips, "--beam", str(beam)),
        ],
        "faster-whisper int8": lambda beam: [
            *(faster_whisper, script, "--model", folders.work / "ctranslate2", folders.clips),
            *("--beam", str(beam)),
        ],
    }


def row(name: str, lines: str) -> str:
    """Per cent of each list, and of all."""
    counts = [json.loads(line) for line in lines.splitlines()]
    percent = [f"{100 * count['errors'] / count['words']:.2f} %" for count in counts]
    errors, words = (sum(count[field] for count in counts) for field in ("errors", "words"))
    return f"| {name} | {' | '.join(percent)} | {100 * errors / words:.2f} % |"


def table(folders: Folders, faster_whisper: Path) -> str:
    convert(folders)
    data = ["--data", folders.paths.data, "--clips", folders.clips]
    rows = [
        f"| {folders.name} | real | real, in noise | synthetic | synthetic, in noise | all |",
        "|---|---|---|---|---|---|",
    ]
    for engine, command in engines(folders, faster_whisper).items():
        for beam in BEAMS:
            name = f"{engine}, " + ("greedy" if beam == 1 else f"beam of {beam}")
            texts = folders.work / name.replace(" ", "-")
            step(name, [*command(beam), "--texts", texts])
            judge = [folders.binary("word_clips"), *data, "--texts", texts]
            rows.append(row(name, subprocess.run(judge, check=True, capture_output=True, text=True).stdout))
            print(rows[-1], flush=True)
    return "\n".join(rows) + "\n"


def main() -> None:
    options = arguments()
    paths = Paths(options.data.resolve(), options.cache.resolve(), "tiny")
    sources = {"tiny.en": paths.trained, "base": options.fetched / "whisper-base"}
    install_environment(paths)
    faster_whisper = install_environment(paths, "words-requirements.txt")
    install_c_tools()
    build_workers(paths, "native")
    tables = []
    for name in options.models.split(","):
        folders = Folders(paths, name, sources[name])
        if not folders.model.is_dir():
            print(f"sotto: {folders.model} is missing and left out", file=sys.stderr)
            continue
        step("clips", [folders.binary("word_clips"), "--data", paths.data, "--clips", folders.clips])
        tables.append(table(folders, faster_whisper))
    if options.output:
        options.output.write_text("\n".join(tables))
    print("\n".join(tables))


if __name__ == "__main__":
    main()
