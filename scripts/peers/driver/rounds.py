"""Takes the contenders' turns in rounds, so that whatever else the machine does hits all alike."""

import contextlib
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

from .contenders import Contender
from .text import TokenDecoder
from .worker import Worker

# Threads of OpenMP keep spinning for up to 0.2 s after their work: the next one's turn must not pay for it.
SETTLE_SECONDS = 0.25


@dataclass
class Results:
    """What was measured of one contender."""

    contender: Contender
    engine: str
    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    texts: dict[str, str] = field(default_factory=dict)
    """By clip, in a window of 30 s."""
    clip_text: str | None = None
    """Of the measured clip, in the way that clips are measured."""
    alone: "Results | None" = None
    """One thread without a load beside it, where this one has a load."""

    def median(self, measure: str) -> float | None:
        """Median of a measure; the encoder with the keys and values that decoding needs, wherever they are computed."""
        values = self.times.get(measure)
        if not values:
            return None
        if measure == "encode_ms" and (cross := self.times.get("cross_ms")):
            return median(encode + keys for encode, keys in zip(values, cross, strict=True))
        return median(values)


def run(
    contenders: list[Contender], clips: list[str], measured: str, rounds: int, load: bool, decoder: TokenDecoder
) -> list[Results]:
    """All contenders are loaded and warm before the first round; each round begins with another one."""
    with contextlib.ExitStack() as stack:
        workers = []
        for contender in contenders:
            workers.append(stack.enter_context(Worker(contender)))
            print(f"[run] {contender.name}: {workers[-1].engine}{beside(load)}", flush=True)
        results = [Results(worker.contender, worker.engine) for worker in workers]
        for worker, result in zip(workers, results, strict=True):
            if "window" in worker.contender.parts:
                result.texts = {clip: decoder.text(worker.ask(clip, "text")) for clip in clips}
        if load:
            stack.enter_context(busy_thread())
        for number in range(rounds):
            start = time.monotonic()
            for index in range(len(workers)):
                turn = (index + number) % len(workers)
                take_turn(workers[turn], results[turn], measured, decoder)
            print(f"[run] round {number + 1} of {rounds}{beside(load)}: {time.monotonic() - start:.1f} s", flush=True)
        return results


def compare_with_alone(results: list[Results], alone: list[Results]) -> None:
    """Notes for each contender what it measured alone."""
    by_name = {result.contender.name: result for result in alone}
    for result in results:
        result.alone = by_name.get(result.contender.name)


def take_turn(worker: Worker, result: Results, clip: str, decoder: TokenDecoder) -> None:
    for part in worker.contender.parts:
        time.sleep(SETTLE_SECONDS)
        answer = worker.ask(clip, part)
        for measure, value in answer.items():
            if measure not in ("text", "tokens"):
                result.times[measure].append(float(str(value)))
        if part == "clip":
            result.clip_text = decoder.text(answer)


def beside(load: bool) -> str:
    return ", beside a busy thread" if load else ""


@contextlib.contextmanager
def busy_thread() -> Iterator[None]:
    """Another program that wants a core for itself."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()
