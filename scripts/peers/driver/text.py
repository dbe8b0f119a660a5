"""Texts of the engines, and how far they lie apart."""

import json
import re
from pathlib import Path

END_OF_TEXT = 50256


class TokenDecoder:
    """Turns tokens into text: the vocabulary's symbols stand for bytes, as in GPT-2."""

    def __init__(self, tokenizer: Path) -> None:
        vocabulary = json.loads(tokenizer.read_text())["model"]["vocab"]
        self.symbols = {index: symbol for symbol, index in vocabulary.items()}
        self.bytes = byte_of_symbol()

    def text(self, answer: dict[str, object]) -> str:
        """The text of an answer that holds text or tokens."""
        if "text" in answer:
            return str(answer["text"])
        tokens = answer["tokens"]
        assert isinstance(tokens, list)
        symbols = "".join(self.symbols.get(token, "") for token in tokens if token < END_OF_TEXT)
        return bytes(self.bytes[symbol] for symbol in symbols).decode(errors="replace")


def byte_of_symbol() -> dict[str, int]:
    """Printable bytes stand for themselves; the others got the code points from 256 on, in order."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + index): byte for index, byte in enumerate(others)}


def words(text: str) -> list[str]:
    """Lower-case words without punctuation."""
    return re.findall(r"[a-z0-9']+", text.lower())


def word_errors(reference: str, heard: str) -> tuple[int, int]:
    """Words that differ (Levenshtein distance), and words of the reference."""
    wanted, found = words(reference), words(heard)
    row = list(range(len(found) + 1))
    for i, word in enumerate(wanted, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(found, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
    return row[-1], len(wanted)
