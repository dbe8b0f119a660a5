"""onnxruntime as a worker."""

import json
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort
from worker import END_OF_TEXT, FEW_TOKENS, MANY_TOKENS, MOST_TOKENS, PROMPT, Answer, arguments, features, serve

Values = dict[str, ort.OrtValue]


class Engine:
    def __init__(self, model: Path, generation: Path, threads: int, clips: Path) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self.encoder, self.decoder = (
            ort.InferenceSession(str(model / f"{part}.onnx"), options, providers=["CPUExecutionProvider"])
            for part in ("encoder", "decoder")
        )
        settings = json.loads(generation.read_text())
        self.suppressed = np.array(settings["suppress_tokens"])
        self.suppressed_first = np.array(settings["begin_suppress_tokens"])
        self.cross_names = [output.name for output in self.encoder.get_outputs()]
        self.next_names = [output.name for output in self.decoder.get_outputs()]
        self.clips = clips

    def encode(self, mel: np.ndarray) -> Values:
        mel = {"mel": ort.OrtValue.ortvalue_from_numpy(mel)}
        values = self.encoder.run_with_ort_values(self.cross_names, mel)
        return dict(zip(self.cross_names, values, strict=True))

    def empty_caches(self) -> Values:
        shapes = {i.name: i.shape for i in self.decoder.get_inputs() if i.name.startswith(("keys_", "values_"))}
        empty = {name: [0 if size == "past" else size for size in shape] for name, shape in shapes.items()}
        return {n: ort.OrtValue.ortvalue_from_numpy(np.zeros(shape, np.float32)) for n, shape in empty.items()}

    def step(self, token: int, position: int, cross: Values, caches: Values) -> tuple[np.ndarray, Values]:
        """Logits after a token, and the caches with it."""
        whole = {"token": token, "position": position}
        inputs = {n: ort.OrtValue.ortvalue_from_numpy(np.array([[value]], np.int64)) for n, value in whole.items()}
        logits, *longer = self.decoder.run_with_ort_values(self.next_names, inputs | cross | caches)
        names = (name.removeprefix("next_") for name in self.next_names[1:])
        return logits.numpy()[0, 0], dict(zip(names, longer, strict=True))

    def prompt(self, cross: Values) -> tuple[np.ndarray, Values]:
        caches = self.empty_caches()
        for position, token in enumerate(PROMPT):
            logits, caches = self.step(token, position, cross, caches)
        return logits, caches

    def window(self, clip: str) -> Answer:
        mel = features(self.clips, clip)
        start = time.perf_counter()
        cross = self.encode(mel)
        encode = time.perf_counter() - start
        logits, caches = self.prompt(cross)
        for count in range(1, MANY_TOKENS):
            if count == FEW_TOKENS:
                start = time.perf_counter()
            token = int(logits[:END_OF_TEXT].argmax())
            logits, caches = self.step(token, len(PROMPT) + count - 1, cross, caches)
        seconds = time.perf_counter() - start
        return {"encode_ms": encode * 1e3, "token_ms": seconds * 1e3 / (MANY_TOKENS - FEW_TOKENS)}

    def text(self, clip: str) -> Answer:
        cross = self.encode(features(self.clips, clip))
        logits, caches = self.prompt(cross)
        tokens: list[int] = []
        while len(tokens) < MOST_TOKENS:
            logits = logits.copy()
            logits[self.suppressed] = -np.inf
            if not tokens:
                logits[self.suppressed_first] = -np.inf
            token = int(logits.argmax())
            if token == END_OF_TEXT:
                break
            tokens.append(token)
            logits, caches = self.step(token, len(PROMPT) + len(tokens) - 1, cross, caches)
        return {"tokens": tokens}


def main() -> None:
    options = arguments(__doc__)
    engine = Engine(options.model, options.generation, options.threads, options.clips)
    engine.window(options.warm_up)
    serve(f"onnxruntime {ort.__version__}", engine.window, engine.text)


if __name__ == "__main__":
    main()
