"""The table, as Markdown."""

import platform
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .paths import REPOSITORY
from .contenders import OURS
from .rounds import Results, beside
from .text import word_errors, words

# What a busy neighbour on one of two cores may cost Sotto at most, against one thread alone.
MOST_BESIDE_LOAD = 1.5

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
    head = [
        f"#### {setting.size}, {setting.threads} thread{'s' if setting.threads > 1 else ''}{beside(setting.load)}",
        "",
        f"{cpu()}, load average {setting.load_average:.1f} before the run, commit {commit()}; "
        f"medians of {setting.rounds} interleaved rounds.",
        f"`×` is how many times as fast Sotto is, in brackets what is required. Clip: {setting.seconds:.2f} s.",
        *(
            ["Behind a time in brackets: how many times as long as with one thread alone, in the same call."]
            * setting.load
        ),
        "",
    ]
    columns = " | ".join(f"{title}, ms | ×" for title in MEASURES.values())
    table = [f"| engine | {columns} |", "|---" * (1 + 2 * len(MEASURES)) + "|"]
    table += [row(result, results) for result in results]
    return "\n".join([*head, *table, "", *limit(results), *texts(results, setting), ""])


def row(result: Results, results: list[Results]) -> str:
    reference = next(other for other in results if other.contender.name == result.contender.reference)
    cells = []
    for measure in MEASURES:
        value, ours = result.median(measure), reference.median(measure)
        cells.append(time(value) + slower(result, measure))
        cells.append(ratio(value, ours, result.contender.required.get(measure), result is reference))
    return f"| {result.contender.name} | " + " | ".join(cells) + " |"


def time(value: float | None) -> str:
    return "—" if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def slower(result: Results, measure: str) -> str:
    """How many times as long as alone it took beside a load."""
    value, alone = result.median(measure), result.alone.median(measure) if result.alone else None
    if value is None or alone is None:
        return ""
    factor = value / alone
    missed = ", **missed**" if result.contender.engine == "Sotto" and factor >= MOST_BESIDE_LOAD else ""
    return f" ({factor:.2f}{missed})"


def limit(results: list[Results]) -> Iterator[str]:
    """How near a decode step comes to reading its bytes, which no decoder can do without."""
    ours = next((result for result in results if result.contender.name == OURS), None)
    if ours is None or (size := ours.median("bytes_per_token")) is None:
        return
    speed, step = ours.median("read_gb_per_s"), ours.median("token_ms")
    assert speed is not None and step is not None
    share = size / (speed * 1e9) / (step / 1e3)
    yield (
        f"{OURS}: a token reads {size / 1e6:.1f} MB; one thread reads {speed:.1f} GB/s of so many "
        f"(median of the rounds), which is {share:.0%} of the time per token."
    )
    yield ""


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
    found = differences(results, clip)
    yield from (f"* {line}" for _, line in found)
    first, *others = [result for result in results if result.texts]
    for other in others:
        counts = [word_errors(first.texts[name], text) for name, text in other.texts.items()]
        errors, total = sum(count[0] for count in counts), sum(count[1] for count in counts)
        if errors:
            yield f"* {other.contender.name} against {first.contender.name}: {errors} of {total} words differ"
    if not found:
        yield f"All wrote the same words on {len(first.texts)} clips, and in the measured clip."
    yield ""


def differences(results: list[Results], clip: str) -> list[tuple[Results, str]]:
    """Who wrote other words than the first contender, and what."""
    first, *others = [result for result in results if result.texts]
    found = []
    for other in others:
        for name, text in other.texts.items():
            ours = first.texts[name]
            if words(ours) != words(text):
                line = f"{other.contender.name} wrote clip {name} differently: “{text.strip()}” for “{ours.strip()}”"
                found.append((other, line))
    for result in results:
        if result.clip_text is not None and words(result.clip_text) != words(first.texts[clip]):
            found.append((result, f"{result.contender.name}, measured clip: “{result.clip_text.strip()}”"))
    return found


def unexcused(results: list[Results], setting: Setting) -> list[str]:
    """Differences of contenders whose weights have 8 bits or more, which quantization does not excuse."""
    if setting.size != "tiny":
        return []
    return [line for result, line in differences(results, setting.clip) if result.contender.bits >= 8]


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
    changed = subprocess.run(
        [*command, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True
    ).stdout
    return name.strip() + (" with changes" if changed else "")
