"""The table, as Markdown."""

import platform
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .paths import REPOSITORY
from .rounds import Results
from .text import word_errors, words

MEASURES = {"encode_ms": "encoder, 30 s window", "token_ms": "per token", "clip_ms": "clip, samples to text"}


@dataclass(frozen=True)
class Setting:
    """How it was measured."""

    size: str
    threads: int
    rounds: int
    clip: str
    seconds: float
    """Length of the clip."""
    load: bool
    load_average: float


def report(results: list[Results], setting: Setting) -> str:
    """One table for one number of threads."""
    beside = ", beside a busy thread" if setting.load else ""
    head = [
        f"#### {setting.size}, {setting.threads} thread{'s' if setting.threads > 1 else ''}{beside}",
        "",
        f"{cpu()}, load average {setting.load_average:.1f} before the run, commit {commit()}; medians of {setting.rounds}",
        f"interleaved rounds. `×` is how many times as fast Sotto is, in brackets what is required. Clip: {setting.seconds:.2f} s.",
        "",
    ]
    columns = " | ".join(f"{title}, ms | ×" for title in MEASURES.values())
    table = [f"| engine | {columns} |", "|---" * (1 + 2 * len(MEASURES)) + "|"]
    table += [row(result, results) for result in results]
    return "\n".join([*head, *table, "", *texts(results, setting), ""])


def row(result: Results, results: list[Results]) -> str:
    reference = next(other for other in results if other.contender.name == result.contender.reference)
    cells = []
    for measure in MEASURES:
        value, ours = result.median(measure), reference.median(measure)
        cells.append("—" if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}")
        cells.append(ratio(value, ours, result.contender.required.get(measure), result is reference))
    return f"| {result.contender.name} | " + " | ".join(cells) + " |"


def ratio(value: float | None, ours: float | None, required: float | None, is_reference: bool) -> str:
    if value is None or ours is None or is_reference:
        return ""
    factor = value / ours
    if required is None:
        return f"{factor:.2f}"
    missed = "" if factor >= required else ", **missed**"
    return f"**{factor:.2f}** ({required:g}{missed})"


def texts(results: list[Results], setting: Setting) -> Iterator[str]:
    """Whether all wrote the same, and what differed; the words of random weights are left out."""
    if setting.size == "tiny":
        yield from compared_texts(results, setting.clip)
    yield "Versions: " + "; ".join(dict.fromkeys(version(result.engine) for result in results)) + "."


def compared_texts(results: list[Results], clip: str) -> Iterator[str]:
    first, *others = [result for result in results if result.texts]
    differing = 0
    for other in others:
        pairs = [(name, first.texts[name], text) for name, text in other.texts.items()]
        counts = [word_errors(ours, theirs) for _, ours, theirs in pairs]
        errors, total = sum(count[0] for count in counts), sum(count[1] for count in counts)
        for name, ours, theirs in pairs:
            if words(ours) != words(theirs):
                differing += 1
                yield f"* {other.contender.name} wrote clip {name} differently: “{theirs.strip()}” for “{ours.strip()}”"
        if errors:
            yield f"* {other.contender.name} against {first.contender.name}: {errors} of {total} words differ"
    for result in results:
        if result.clip_text is not None and words(result.clip_text) != words(first.texts[clip]):
            differing += 1
            yield f"* {result.contender.name}, measured clip: “{result.clip_text.strip()}”"
    if not differing:
        yield f"All wrote the same words on {len(first.texts)} clips, and in the measured clip."
    yield ""


def version(engine: str) -> str:
    """whisper.cpp names every feature that it could have been built with; those that it was are enough."""
    name, _, features = engine.partition(" (")
    built = re.findall(r"(\w+) = 1", features)
    return f"{name} ({', '.join(built)})" if built else name


def cpu() -> str:
    """Name of the processor and number of cores."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {len(names)} cores"


def commit() -> str:
    """The commit that is checked out, and whether files differ from it."""
    command = ["git", "-C", str(REPOSITORY)]
    name = subprocess.run([*command, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout
    changed = subprocess.run([*command, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True).stdout
    return name.strip() + (" with changes" if changed else "")
