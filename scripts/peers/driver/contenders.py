"""Who takes part, how each is started, and what is required against it."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from .paths import HERE, Paths

OURS = "Sotto int8"
OURS_AVX2 = "Sotto int8, AVX2"
OURS_WINDOW = "Sotto int8, window"


@dataclass(frozen=True)
class Contender:
    """An engine with a model, ready to be started."""

    name: str
    engine: str
    build: str
    command: list[str]
    parts: tuple[str, ...]
    """What it can measure: `window`, `clip`."""
    environment: dict[str, str] = field(default_factory=dict)
    required: dict[str, float] = field(default_factory=dict)
    """How many times as fast Sotto must be, by measure."""
    reference: str = OURS
    """The contender it is compared with."""
    bits: int = 8
    """Of the weights: with 8 or more no text may differ from the others'."""


# Times of random weights may differ so much from those of real ones in another size.
SLACK = 0.9


def contenders(paths: Paths, threads: int, warm_up: str, avx2: bool, context: int) -> Iterator[Contender]:
    """All of them; `context` is the number of encoder states that a user would set by hand for the clip."""
    everyone = of_tiny(paths, threads, warm_up, avx2, context)
    if paths.size == "tiny":
        yield from everyone
        return
    # Random weights say nothing that could end: no clips.
    for contender in everyone:
        if "window" in contender.parts:
            required = {
                measure: SLACK * factor for measure, factor in contender.required.items() if measure != "clip_ms"
            }
            yield replace(contender, parts=("window",), required=required)


def of_tiny(paths: Paths, threads: int, warm_up: str, avx2: bool, context: int) -> Iterator[Contender]:
    common = ["--threads", str(threads), "--clips", str(paths.clips), "--warm-up", warm_up]
    yield ours(paths, OURS, "int8", common)
    yield replace(ours(paths, OURS_WINDOW, "int8", [*common, "--audio-context", "window"]), parts=("clip",))
    yield ours(paths, "Sotto mixed", "mixed", common)
    yield ours(paths, "Sotto f32", "f32", common)
    yield whisper_cpp(paths, "f16", common, ("window",))
    required = {"encode_ms": 6.0, "token_ms": 1.8, "clip_ms": 15.0}
    yield whisper_cpp(paths, "q8_0", common, ("window", "clip"), required)
    yield whisper_cpp(paths, "q5_1", common, ("window",), {"encode_ms": 7.0})
    yield whisper_cpp(paths, "q4_0", common, ("window",), {"encode_ms": 3.9})
    yield whisper_cpp_by_hand(paths, common, context)
    yield python(paths, "CTranslate2", threads, common, {"encode_ms": 2.7, "token_ms": 3.0})
    yield python(paths, "onnxruntime", threads, common, {"encode_ms": 1.5})
    yield candle(paths, threads, common)
    if avx2:
        yield ours(paths, OURS_AVX2, "int8", common, {"SOTTO_ISA": "avx2"})
        yield from avx2_only(paths, threads, common)


def ours(
    paths: Paths, name: str, precision: str, common: list[str], environment: dict[str, str] | None = None
) -> Contender:
    command = [
        str(paths.binary("native", "sotto_worker")),
        "--model",
        str(paths.model),
        "--precision",
        precision,
        *common,
    ]
    bits = 32 if precision == "f32" else 8
    return Contender(name, "Sotto", "native", command, ("window", "clip"), environment or {}, bits=bits)


def whisper_cpp(
    paths: Paths,
    kind: str,
    common: list[str],
    parts: tuple[str, ...],
    required: dict[str, float] | None = None,
    build: str = "native",
) -> Contender:
    model = paths.converted / f"ggml-{kind}.bin"
    command = [str(paths.binary(build, "whisper_cpp_worker")), "--model", str(model), *common]
    bits = int(kind[1:].partition("_")[0])
    return Contender(f"whisper.cpp {kind}", "whisper.cpp", build, command, parts, required=required or {}, bits=bits)


def whisper_cpp_by_hand(paths: Paths, common: list[str], context: int) -> Contender:
    base = whisper_cpp(paths, "q4_0", common, ("clip",), {"clip_ms": 2.3})
    name = f"{base.name}, `audio_ctx` {context}"
    return replace(base, name=name, command=[*base.command, "--audio-context", str(context)])


def python(paths: Paths, engine: str, threads: int, common: list[str], required: dict[str, float]) -> Contender:
    script = HERE / "engines" / f"{engine.lower()}_worker.py"
    command = [str(paths.python), str(script), "--model", str(paths.converted / engine.lower())]
    generation = ["--generation", str(paths.model / "generation_config.json")]
    return Contender(
        f"{engine} int8",
        engine,
        "python",
        [*command, *generation, *common],
        ("window",),
        {"OMP_NUM_THREADS": str(threads)},
        required,
    )


def candle(paths: Paths, threads: int, common: list[str]) -> Contender:
    def file(path: Path, name: str) -> list[str]:
        return [f"--{name}", str(path)]

    command = [
        str(paths.binary("candle", "candle_worker")),
        *file(paths.converted / "candle-q8_0.gguf", "model"),
        *file(paths.model / "config.json", "config"),
        *file(paths.model / "generation_config.json", "generation"),
        *common,
    ]
    count = {"RAYON_NUM_THREADS": str(threads), "CANDLE_NUM_THREADS": str(threads)}
    required = {"encode_ms": 10.0, "token_ms": 15.0}
    return Contender("candle q8_0", "candle", "candle", command, ("window",), count, required)


def avx2_only(paths: Paths, threads: int, common: list[str]) -> Iterator[Contender]:
    """Peers kept to AVX2, against which Sotto's AVX2 kernels must be ahead."""
    ahead = {"encode_ms": 1.0, "token_ms": 1.0}
    rivals = [whisper_cpp(paths, kind, common, ("window",), ahead, "avx2") for kind in ("q8_0", "q4_0")]
    rivals.append(python(paths, "CTranslate2", threads, common, ahead))
    # CTranslate2's own variable does not reach the libraries that multiply for it.
    limits = {"CT2_FORCE_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
    for rival in rivals:
        variables = rival.environment | (limits if rival.build == "python" else {})
        yield replace(rival, name=f"{rival.name}, AVX2", environment=variables, reference=OURS_AVX2)
