"""Cycles of a loop on a Cortex-A55, by the rules that others have measured on the core.

llvm-mca's model of it does not know which instructions go beside a 128-bit product. The authors of ncnn (docs/developer-guide,
"arm-a53-a55-dual-issue"), onnxruntime (pull request 10754) and XNNPACK (its cortex_a55 kernels) have measured that: instructions issue in
program order, two a cycle at most, one of them a vector product; beside it may go a 64-bit load, an insertion of 64 bits or
integer arithmetic; a 128-bit load, or a pair of registers, goes alone and takes both slots for two cycles. Latencies are those
of Arm's software optimization guide, rounded up.
"""

import re

# Cycles until a result can be read: loads of the vector and integer registers, insertions and arithmetic of each kind.
VECTOR_LOAD, INTEGER_LOAD, INSERT, PRODUCT, INTEGER = 5, 3, 3, 4, 1


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
    if name in ("sdot", "smmla"):
        # The accumulator is forwarded from product to product, at once.
        return "product", names[1:], names[:1], PRODUCT
    if name.startswith("ld"):
        written = registers(base)
        wide = name == "ldp" or name.startswith("ld1") or bool(re.match(r"\s*q\d", operands))
        kind = "wide load" if wide else "load"
        post = names[len(written):] if re.search(r"\]\s*,|!", operands) else []
        vector = written and written[0].startswith("v")
        return kind, names[len(written):], written + post, VECTOR_LOAD if vector else INTEGER_LOAD
    if name in ("ins", "mov") and "v" in {register[0] for register in names}:
        return "insert", names, names[:1], INSERT
    if name.startswith("prfm"):
        return "load", names, [], 1
    return "integer", names[1:], names[:1], INTEGER


def cycles(body: list[str], rounds: int = 200) -> float:
    """Cycles of one round of a loop, its branch included."""
    ready: dict[str, int] = {}
    cycle, issued = 0, []
    first = None
    steps = [describe(instruction) for instruction in body]
    for done in range(rounds):
        for kind, read, written, latency in steps:
            earliest = max([cycle] + [ready.get(register, 0) for register in read])
            if earliest > cycle:
                cycle, issued = earliest, []
            while not fits(issued, kind):
                cycle, issued = cycle + 1, []
            issued.append(kind)
            for register in written:
                ready[register] = cycle + latency
            if kind == "wide load":
                cycle, issued = cycle + 2, []
        if done == rounds // 2 - 1:
            first = cycle
    return (cycle - first) / (rounds - rounds // 2)


def fits(issued: list[str], kind: str) -> bool:
    """Whether an instruction may issue in the cycle of those before it."""
    if not issued:
        return True
    if len(issued) == 2 or kind == "wide load":
        return False
    # One product, one access to memory.
    return kind == "integer" or kind != issued[0]
