"""Installs, builds and converts what is missing. Everything is pinned: requirements.txt,
words-requirements.txt, workers/Cargo.lock."""

import os
import shutil
import subprocess
import time
from pathlib import Path

from .contenders import Contender
from .paths import HERE, Paths

AVX2_ONLY = {"GGML_NATIVE": "OFF"} | {f"GGML_{name}": "ON" for name in ("SSE42", "AVX", "AVX2", "FMA", "F16C", "BMI2")}

# whisper.cpp decides by cmake variables which instructions it uses, candle by the compiler's target, Sotto at run time.
BUILDS: dict[str, tuple[list[str], dict[str, str]]] = {
    "native": (["sotto", "whisper-cpp"], {"GGML_NATIVE": "ON"}),
    "avx2": (["whisper-cpp"], AVX2_ONLY),
    "candle": (["candle"], {"RUSTFLAGS": "-C target-cpu=native"}),
}


def prepare(paths: Paths, contenders: list[Contender], clips: list[str]) -> None:
    """Makes everything that these contenders need; what is there already is left alone."""
    builds = {contender.build for contender in contenders} - {"python"}
    install_environment(paths)
    install_c_tools()
    for build in sorted(builds):
        build_workers(paths, build)
    convert(paths, contenders, clips)


def step(what: str, command: list[str | Path], **options: object) -> None:
    """Runs a command and says how long it took."""
    print(f"[setup] {what} …", flush=True)
    start = time.monotonic()
    subprocess.run([str(part) for part in command], check=True, **options)
    print(f"[setup] {what}: {time.monotonic() - start:.1f} s", flush=True)


def make(what: str, output: Path, command: list[str | Path]) -> None:
    """Runs a command that writes `output`, if that is missing: a file or folder that is whole or not there."""
    if output.exists():
        return
    part = output.with_name(output.name + ".part")
    if part.is_dir():
        shutil.rmtree(part)
    part.unlink(missing_ok=True)
    part.parent.mkdir(parents=True, exist_ok=True)
    step(what, [*command, "--output", part])
    part.rename(output)


def install_environment(paths: Paths, requirements: str = "requirements.txt") -> Path:
    """The interpreter of a virtual environment that has these packages."""
    folder = paths.cache / ("venv" if requirements == "requirements.txt" else f"venv-{Path(requirements).stem}")
    python, mark = folder / "bin" / "python", folder / "installed.txt"
    wanted = (HERE / requirements).read_text()
    if not (mark.exists() and mark.read_text() == wanted):
        step("virtual environment", ["python3", "-m", "venv", folder])
        step("Python packages", [python, "-m", "pip", "install", "--quiet", "-r", HERE / requirements])
        mark.write_text(wanted)
    return python


def install_c_tools() -> None:
    """whisper.cpp needs cmake and a C++ compiler, its bindings need libclang."""
    missing = [tool for tool in ("cmake", "c++") if shutil.which(tool) is None]
    # libclang-cpp is another library.
    names = ("libclang.so*", "libclang-[0-9]*.so*")
    found = any(any(Path("/usr/lib").glob(f"llvm-*/lib/{name}")) for name in names) or os.environ.get("LIBCLANG_PATH")
    if not missing and found:
        return
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise SystemExit(
            "cmake, a C++ compiler and libclang are needed; on Debian: apt-get install cmake g++ libclang-dev"
        )
    quiet = {"stdout": subprocess.DEVNULL}
    step("package lists", ["apt-get", "update", "-qq"], **quiet)
    step("C tools", ["apt-get", "install", "-y", "-qq", "cmake", "g++", "libclang-dev"], **quiet)


def build_workers(paths: Paths, build: str) -> None:
    """One target folder per build: cargo does not notice changed cmake variables."""
    features, variables = BUILDS[build]
    command = ["cargo", "build", "--locked", "--release", "--bins", "--features", ",".join(features)]
    environment = os.environ | variables | {"CARGO_TARGET_DIR": str(paths.build(build))}
    step(f"build {build}", [*command, "--quiet"], cwd=HERE / "workers", env=environment)


def convert(paths: Paths, contenders: list[Contender], clips: list[str]) -> None:
    def converter(name: str) -> list[str | Path]:
        return [paths.python, HERE / "engines" / name]

    if paths.size == "base":
        make("random weights", paths.model, [*converter("random_model.py"), "--like", paths.trained])
    names = ["--data", paths.data, "--model", paths.model, "--header", paths.header]
    folders = ["--ggml", paths.converted, "--clips", paths.clips, "--names", ",".join(clips)]
    step("clips, whisper.cpp models", [paths.binary("native", "prepare"), *names, *folders])
    engines = {contender.engine for contender in contenders}
    for engine, script in (("CTranslate2", "convert_ctranslate2.py"), ("onnxruntime", "convert_onnx.py")):
        if engine in engines:
            make(f"{engine} model", paths.converted / engine.lower(), [*converter(script), "--model", paths.model])
    if "candle" in engines:
        command = [paths.binary("candle", "candle_convert"), "--model", paths.model]
        make("candle model", paths.converted / "candle-q8_0.gguf", command)
