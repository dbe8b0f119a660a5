"""CTranslate2 as a worker."""

import time
from pathlib import Path

import ctranslate2
from worker import END_OF_TEXT, FEW_TOKENS, MANY_TOKENS, MOST_TOKENS, PROMPT, Answer, arguments, features, serve


class Engine:
    def __init__(self, model: Path, threads: int, clips: Path) -> None:
        self.model = ctranslate2.models.Whisper(str(model), compute_type="int8", inter_threads=1, intra_threads=threads)
        self.clips = clips

    def text(self, clip: str) -> Answer:
        states = self.model.encode(ctranslate2.StorageView.from_array(features(self.clips, clip)))
        return {"tokens": self.generate(states, MOST_TOKENS, [-1])}

    def window(self, clip: str) -> Answer:
        mel = ctranslate2.StorageView.from_array(features(self.clips, clip))
        start = time.perf_counter()
        states = self.model.encode(mel)
        encode = time.perf_counter() - start
        few, many = self.endless(states, FEW_TOKENS), self.endless(states, MANY_TOKENS)
        token = (many - few) / (MANY_TOKENS - FEW_TOKENS)
        return {
            "encode_ms": encode * 1e3,
            # What the short run takes beyond its tokens: keys and values of the encoder's states.
            "cross_ms": max(few - FEW_TOKENS * token, 0) * 1e3,
            "token_ms": token * 1e3,
        }

    def endless(self, states: ctranslate2.StorageView, count: int) -> float:
        """Seconds that it takes to decode exactly so many tokens: end-of-text is forbidden."""
        start = time.perf_counter()
        tokens = self.generate(states, count, [-1, END_OF_TEXT])
        seconds = time.perf_counter() - start
        assert len(tokens) == count, f"{len(tokens)} tokens instead of {count}"
        return seconds

    def generate(self, states: ctranslate2.StorageView, most: int, suppress: list[int]) -> list[int]:
        # CTranslate2 decodes half of `max_length`.
        results = self.model.generate(states, [PROMPT], beam_size=1, max_length=2 * most, suppress_tokens=suppress)
        return results[0].sequences_ids[0]


def main() -> None:
    options = arguments(__doc__)
    engine = Engine(options.model, options.threads, options.clips)
    engine.window(options.warm_up)
    serve(f"CTranslate2 {ctranslate2.__version__}", engine.window, engine.text)


if __name__ == "__main__":
    main()
