#!/usr/bin/env python3
"""Measures Sotto beside other engines on the same weights, clips and threads, and prints a Markdown table.

Sets up what is missing first: a virtual environment, the workers, the model in every engine's format. See README.md.
"""

import argparse
import os
import sys
from pathlib import Path

from driver.contenders import Contender, contenders
from driver.paths import REPOSITORY, Paths
from driver.report import Setting, report, unexcused
from driver.rounds import compare_with_alone, run
from driver.setup import prepare
from driver.text import TokenDecoder

# Synthetic clips near 5 s whose words the weights know; the first one is measured, all are compared.
CLIPS = ["087", "031", "043", "096"]
# 4.86 s are 243 states; set by hand in steps of 64.
CONTEXT = 256


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = Path(os.environ.get("SOTTO_DATA", REPOSITORY.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=data, help="data folder (default: SOTTO_DATA, else %(default)s)")
    parser.add_argument("--cache", type=Path, default=REPOSITORY / "target" / "peers", help="default: %(default)s")
    parser.add_argument("--size", choices=["tiny", "base"], default="tiny", help="base: random weights, no clips")
    parser.add_argument("--threads", default="1", help="numbers of threads, such as 1,2 (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="default: %(default)s")
    parser.add_argument("--engines", default="", help="only those whose names contain one of these words: q8_0,candle")
    parser.add_argument("--avx2", action="store_true", help="also Sotto and peers kept to AVX2")
    parser.add_argument("--with-load", action="store_true", help="one thread alone, then beside a busy thread")
    parser.add_argument("--setup-only", action="store_true", help="set up, measure nothing")
    parser.add_argument("--output", type=Path, help="also write the tables to this file")
    return parser.parse_args()


def wanted(contender: Contender, words: list[str]) -> bool:
    """Sotto takes part always: the others are compared with it."""
    return contender.engine == "Sotto" or not words or any(word in contender.name for word in words)


def main() -> None:
    options = arguments()
    paths = Paths(options.data.resolve(), options.cache.resolve(), options.size)
    words = [word for word in options.engines.split(",") if word]

    def field(threads: int) -> list[Contender]:
        return [c for c in contenders(paths, threads, CLIPS[0], options.avx2, CONTEXT) if wanted(c, words)]

    prepare(paths, field(1), CLIPS)
    if options.setup_only:
        return
    seconds = (paths.clips / f"{CLIPS[0]}.pcm").stat().st_size / 4 / 16000
    decoder = TokenDecoder(paths.model / "tokenizer.json")
    tables, differing = [], []
    alone = run(field(1), CLIPS, CLIPS[0], options.rounds, False, decoder) if options.with_load else []
    for threads in map(int, options.threads.split(",")):
        load_average = os.getloadavg()[0]
        results = run(field(threads), CLIPS, CLIPS[0], options.rounds, options.with_load, decoder)
        compare_with_alone(results, alone)
        setting = Setting(options.size, threads, options.rounds, CLIPS[0], seconds, options.with_load, load_average)
        tables.append(report(results, setting))
        differing += unexcused(results, setting)
        print(tables[-1], flush=True)
        if options.output:
            options.output.write_text("\n".join(tables))
    if differing:
        print("sotto: texts differ with weights of 8 bits or more:", *differing, sep="\n    ", file=sys.stderr)
        raise SystemExit(1)


if __name__ == "__main__":
    main()
