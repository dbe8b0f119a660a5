#!/usr/bin/env python3
"""Holds the inner loops of the ARM int8 products against the issue limits of phone-class cores, without a phone.

Compiles sotto-kernels for aarch64, takes the innermost loop of each product out of the assembly and lets llvm-mca
simulate it on LLVM's models of the cores; cores that issue in order go through the rules of in_order.py. What counts is
multiply-accumulates per cycle, as a share of what the core can issue. A model knows no caches: a loop that keeps the
limit here must still get its operands in time on a device.

    scripts/peers/arm_loops.py            compile and print the table; exit code 1 when a checked loop misses the limit
    scripts/peers/arm_loops.py FILE.s     the table of assembly that is there already

Needs llvm-mca 16 or later (`apt-get install llvm-19`; installed when missing and possible) and the rustup target
aarch64-unknown-linux-musl.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import in_order

ROOT = Path(__file__).resolve().parents[2]
TARGET = "aarch64-unknown-linux-musl"
LLVM = 19
# Share of the issue limit that a loop must keep.
REQUIRED = 0.85

# Multiply-accumulates of one instruction; of `smlal` and `smlal2` with the `smull` before them.
MACS = {"sdot": 16, "smmla": 32, "smlal": 16}
# Such instructions per cycle, where the core has them: by its vector pipes that execute them (Arm's software
# optimization guides). A Cortex-A72 multiplies in one pipe, so that two multiplications take two cycles. A Cortex-A53
# or A55 issues one 128-bit vector operation per cycle, in order: `smull`, `smlal2` and `sadalp` take three.
CORES = {
    "cortex-a53": {"like": "in order", "smlal": 1 / 3},
    "cortex-a72": {"like": "and A57", "smlal": 1 / 2},
    "neoverse-n1": {"like": "Cortex-A76 to A78", "sdot": 2},
    "neoverse-n2": {"like": "Cortex-A710", "sdot": 2, "smmla": 2},
    "neoverse-v1": {"like": "Cortex-X1", "sdot": 4, "smmla": 4},
    "neoverse-v2": {"like": "Cortex-X3", "sdot": 4, "smmla": 4},
    "cortex-a55": {"like": "in order", "sdot": 1},
}


@dataclass
class Loop:
    """An innermost loop: its instructions and how many of them multiply."""

    function: str
    instruction: str
    count: int
    body: list[str]

    @property
    def macs(self) -> int:
        return self.count * MACS[self.instruction]


def compile_kernels() -> Path:
    """The assembly of sotto-kernels as it is built for release."""
    subprocess.run(
        ["rustup", "target", "add", TARGET], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    build = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    # A name of its own, so that the assembly of other builds is not taken for this one's.
    output = build / "arm-loops"
    output.mkdir(parents=True, exist_ok=True)
    assembly = output / "sotto_kernels.s"
    command = [
        "cargo",
        "rustc",
        "--quiet",
        "--release",
        "--target",
        TARGET,
        "-p",
        "sotto-kernels",
        "--lib",
        "--",
        "-C",
        "codegen-units=1",
        "-C",
        "symbol-mangling-version=v0",
        f"--emit=asm={assembly}",
    ]
    subprocess.run(command, cwd=ROOT, check=True, env=os.environ | {"CARGO_PROFILE_RELEASE_DEBUG": "0"})
    return assembly


def functions(assembly: str):
    """Name and lines of every function."""
    name, lines = None, []
    for line in assembly.splitlines():
        label = re.match(r"^(_R\w+|_ZN\w+):", line)
        if label:
            name, lines = label.group(1), []
        elif name and re.match(r"^\s*\.size\s", line):
            yield name, lines
            name = None
        elif name:
            lines.append(line)


def innermost_loops(name: str, lines: list[str]):
    """Loops without a label inside: from a label to the branch back to it."""
    label, body = None, []
    for line in lines:
        found = re.match(r"^(\.LBB\w+):", line)
        text = line.split("//")[0].strip()
        if found:
            label, body = found.group(1), []
        elif label and text and not text.startswith("."):
            body.append(text)
            if re.match(rf"^(b\.\w+|cbnz|cbz|tbnz|tbz)\b.*{re.escape(label)}$", text):
                for instruction in MACS:
                    count = sum(bool(re.match(rf"{instruction}2?\s", part)) for part in body)
                    if count:
                        yield Loop(name, instruction, count, body)
                label = None


def products(assembly: str) -> list[tuple[str, Loop]]:
    """The tile (most products per step) and the single row of each instruction, by name."""
    loops = [loop for name, lines in functions(assembly) for loop in innermost_loops(name, lines)]
    chosen = []
    for instruction in MACS:
        mine = [loop for loop in loops if loop.instruction == instruction]
        tiles = [loop for loop in mine if re.search("4tile|11tile_of_two", loop.function)]
        ordered = [loop for loop in mine if "13tile_in_order" in loop.function]
        # The 4-bit product has tiles inlined.
        rows = [loop for loop in mine if "7product" in loop.function and not re.search("4tile|4int4", loop.function)]
        # `sdot` multiplies the single rows of the i8mm set too, in another order.
        others = [loop for loop in rows if "4i8mm" in loop.function and instruction != "smmla"]
        rows = [loop for loop in rows if loop not in others]
        if tiles:
            chosen.append((f"{instruction} tile", max(tiles, key=lambda loop: loop.count)))
        if ordered:
            chosen.append((f"{instruction} tile in order", max(ordered, key=lambda loop: loop.count)))
        if rows:
            chosen.append((f"{instruction} one row", max(rows, key=lambda loop: loop.count)))
        if others:
            chosen.append((f"{instruction} one row, i8mm", max(others, key=lambda loop: loop.count)))
    return chosen


def llvm_version(path: str) -> int:
    """The major version of an LLVM tool."""
    told = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"LLVM version (\d+)", told)
    return int(found.group(1)) if found else 0


def llvm_mca() -> str:
    """Path of a llvm-mca that knows the cores."""
    candidates = [f"llvm-mca-{LLVM}", f"/usr/lib/llvm-{LLVM}/bin/llvm-mca", "llvm-mca"]
    for candidate in candidates:
        path = shutil.which(candidate)
        if path and llvm_version(path) >= 16:
            return path
    if os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-y", "-qq", f"llvm-{LLVM}"], check=True, stdout=subprocess.DEVNULL)
        return llvm_mca()
    sys.exit(f"sotto: llvm-mca {LLVM} is missing; install the package llvm-{LLVM}")


def macs_per_cycle(mca: str, core: str, loop: Loop) -> float:
    if core in in_order.PAIRS:
        return loop.macs / in_order.cycles(core, loop.body)
    steps = 500
    command = [
        mca,
        f"-mtriple={TARGET}",
        f"-mcpu={core}",
        "-mattr=+dotprod,+i8mm",
        f"-iterations={steps}",
        "-instruction-info=0",
        "-resource-pressure=0",
    ]
    # Branches are predicted; llvm-mca does not follow them.
    body = "\n".join(line for line in loop.body if not re.match(r"^(b\.|cb|tb)", line))
    report = subprocess.run(command, input=body, capture_output=True, text=True, check=True).stdout
    cycles = int(re.search(r"Total Cycles:\s+(\d+)", report).group(1))
    return loop.macs * steps / cycles


def is_checked(name: str, core: str) -> bool:
    """Whether the loop must keep the limit on the core.

    One row is bound by reading the weights, not by issue. Each order is held to the cores it is made for. On a
    Cortex-A53 no order keeps it: a load and an insertion for each of 8 operands go beside no product, 8 cycles to 36 of
    products, and a larger tile leaves no registers for results that others wait for.
    """
    if core in in_order.PAIRS:
        return name.endswith("tile in order") and core == "cortex-a55"
    return name.endswith("tile")


def main() -> int:
    if any(argument in ("-h", "--help") for argument in sys.argv[1:]):
        print(__doc__)
        return 0
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else compile_kernels()
    chosen, mca = products(path.read_text(encoding="utf-8")), llvm_mca()
    names = [name for name, _ in chosen]
    if not {"smlal tile", "sdot tile", "sdot tile in order", "smmla tile"} <= set(names):
        sys.exit(f"sotto: no loop of {MACS.keys()} found in {path}, only {names}")
    print("| loop | core | MAC per cycle | issue limit | share |\n|---|---|---|---|---|")
    missed = []
    for name, loop in chosen:
        for core, facts in CORES.items():
            per_cycle = facts.get(loop.instruction)
            if per_cycle is None:
                continue
            found, limit = macs_per_cycle(mca, core, loop), per_cycle * MACS[loop.instruction]
            print(
                f"| {name} ({loop.count} in {len(loop.body)} instructions) | {core} ({facts['like']}) "
                f"| {found:.1f} | {limit:.4g} | {found / limit:.0%} |"
            )
            if is_checked(name, core) and found < REQUIRED * limit:
                missed.append(f"{name} on {core}")
    if missed:
        print(f"sotto: below {REQUIRED:.0%} of the issue limit: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
