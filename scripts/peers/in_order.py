"""Cycles of a loop on cores that issue in program order, by the rules that others have measured on them.

llvm-mca's models of these cores do not know which instructions go beside a 128-bit product. The authors of ncnn
(docs/developer-guide, "arm-a53-a55-dual-issue"), onnxruntime (pull request 10754) and XNNPACK (its cortex_a53 and
cortex_a55 kernels) have measured that: two instructions issue in a cycle at most, one of them a vector product; integer
arithmetic and loads of 64 bits to an integer register go beside it, a 128-bit load, or a pair of registers, goes alone
and takes both slots for two cycles. On a Cortex-A55 a 64-bit vector load and an insertion of 64 bits go beside a
product too, on a Cortex-A53 beside each other only. Other vector instructions count as products. Latencies are those of
Arm's software optimization guide for the Cortex-A55, rounded up; no result counts as forwarded but the sums of `sdot`,
`smmla` and `sadalp`.

Not counted: on a Cortex-A53 no vector load issues in the fourth cycle of an `fmla` (ncnn); whether that holds for
products of integers is not known, so its figures are the best that can be.
"""

import re

# The cores, and which two instructions may issue in one cycle.
PAIRS = {
    "cortex-a53": [
        {"product", "integer"},
        {"product", "load"},
        {"integer"},
        {"integer", "load"},
        {"vector load", "insert"},
    ],
    "cortex-a55": [
        {"product", "integer"},
        {"product", "load"},
        {"product", "vector load"},
        {"product", "insert"},
        {"integer"},
        {"integer", "load"},
        {"integer", "vector load"},
        {"integer", "insert"},
        {"insert", "load"},
        {"insert", "vector load"},
    ],
}

# Cycles until a result can be read: loads of the vector and integer registers, insertions and arithmetic of each kind.
VECTOR_LOAD, INTEGER_LOAD, INSERT, PRODUCT, INTEGER = 5, 3, 3, 4, 1

# Sums that the next product of their kind adds to at once.
FORWARDED = ("sdot", "smmla", "sadalp")
ADDED_TO = ("smlal", "smlal2")
MULTIPLIED = ("smull", "smull2")


def registers(operands: str) -> list[str]:
    """Registers by number, vector registers as `v` whatever their width."""
    found = []
    for kind, number in re.findall(r"\b([vqdswx])(\d+)\b", operands):
        found.append(("v" if kind in "vqds" else "x") + number)
    return found


def describe(instruction: str) -> tuple[str, list[str], list[str], int]:
    """Kind, registers read, registers written and latency."""
    name, _, operands = instruction.partition("\t") if "\t" in instruction else instruction.partition(" ")
    base = operands.split("[")[0] if name.startswith(("ld", "prfm")) else operands
    names = registers(operands)
    if name in FORWARDED or name in MULTIPLIED:
        return "product", names[1:], names[:1], PRODUCT
    if name in ADDED_TO:
        return "product", names, names[:1], PRODUCT
    if name.startswith("ld"):
        written = registers(base)
        wide = name == "ldp" or name.startswith("ld1") or bool(re.match(r"\s*q\d", operands))
        post = names[len(written) :] if re.search(r"\]\s*,|!", operands) else []
        vector = bool(written) and written[0].startswith("v")
        kind = "wide load" if wide else "vector load" if vector else "load"
        return kind, names[len(written) :], written + post, VECTOR_LOAD if vector else INTEGER_LOAD
    if name in ("ins", "mov") and re.match(r"v\d+\.\w\[", operands.strip()):
        return "insert", names, names[:1], INSERT
    if name.startswith("prfm"):
        return "load", names, [], 1
    if any(register.startswith("v") for register in names):
        # Of some the first operand is read too, but none of them stands in a chain here.
        return "product", names[1:], names[:1], PRODUCT
    return "integer", names[1:], names[:1], INTEGER


def cycles(core: str, body: list[str], rounds: int = 200) -> float:
    """Cycles of one round of a loop on one of the cores of `PAIRS`, its branch included."""
    ready: dict[str, int] = {}
    cycle, issued = 0, []
    first = None
    steps = [describe(instruction) for instruction in body]
    for done in range(rounds):
        for kind, read, written, latency in steps:
            earliest = max([cycle] + [ready.get(register, 0) for register in read])
            if earliest > cycle:
                cycle, issued = earliest, []
            while not fits(core, issued, kind):
                cycle, issued = cycle + 1, []
            issued.append(kind)
            for register in written:
                ready[register] = cycle + latency
            if kind == "wide load":
                cycle, issued = cycle + 2, []
        if done == rounds // 2 - 1:
            first = cycle
    return (cycle - first) / (rounds - rounds // 2)


def fits(core: str, issued: list[str], kind: str) -> bool:
    """Whether an instruction may issue in the cycle of those before it."""
    if not issued:
        return True
    return len(issued) == 1 and {issued[0], kind} in PAIRS[core]
