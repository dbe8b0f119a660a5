"""What the driver promises, without an engine: `python3 -m unittest discover -s scripts/peers`."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from driver.contenders import OURS, contenders
from driver.paths import Paths
from driver.report import Setting, report, unexcused
from driver.rounds import Results, compare_with_alone
from driver.setup import make

CLIP = "087"
SETTING = Setting("tiny", 1, 3, CLIP, 4.86, True, 0.5)


def measured(factor: float, texts: dict[str, str] | None = None) -> list[Results]:
    """Results of all contenders: times of so many milliseconds, and the texts of those that wrote another one."""
    results = []
    for contender in contenders(Paths(Path("data"), Path("cache"), "tiny"), 1, CLIP, True, 256):
        result = Results(contender, contender.engine)
        text = (texts or {}).get(contender.name, "Turn on the light.")
        for measure in ("encode_ms", "token_ms", "clip_ms"):
            result.times[measure] = [factor]
        if "window" in contender.parts:
            result.texts = {CLIP: text}
        if "clip" in contender.parts:
            result.clip_text = text
        if contender.engine == "Sotto":
            result.times |= {"bytes_per_token": [2e6], "read_gb_per_s": [4.0]}
        results.append(result)
    return results


class Report(unittest.TestCase):
    def test_times_beside_a_load_are_compared_with_those_of_one_thread_alone(self) -> None:
        beside = measured(1.25)
        compare_with_alone(beside, measured(1.0))
        row = next(line for line in report(beside, SETTING).splitlines() if line.startswith(f"| {OURS} |"))
        self.assertEqual(row.count("1.25 (1.25)"), 3, row)
        self.assertNotIn("1.25 (", report(measured(1.25), SETTING))

    def test_more_than_the_load_may_cost_is_missed(self) -> None:
        beside = measured(1.5)
        compare_with_alone(beside, measured(1.0))
        row = next(line for line in report(beside, SETTING).splitlines() if line.startswith(f"| {OURS} |"))
        self.assertIn("1.5 (1.50, **missed**)", row)

    def test_the_share_of_the_limit_is_stated(self) -> None:
        # 2 MB at 4 GB/s are 0.5 ms of a token's 2 ms.
        self.assertIn("reads 2.0 MB; one thread reads 4.0 GB/s", report(measured(2.0), SETTING))
        self.assertIn("25% of the time per token", report(measured(2.0), SETTING))

    def test_texts_may_differ_below_8_bits_only(self) -> None:
        other = "Turn on the lights."
        self.assertEqual(unexcused(measured(1.0), SETTING), [])
        self.assertEqual(unexcused(measured(1.0, {"whisper.cpp q5_1": other, "whisper.cpp q4_0": other}), SETTING), [])
        for name in ("Sotto f32", "whisper.cpp f16", "whisper.cpp q8_0", "CTranslate2 int8", "candle q8_0"):
            self.assertIn(name, "".join(unexcused(measured(1.0, {name: other}), SETTING)))


class Setup(unittest.TestCase):
    def test_what_was_stopped_is_made_again(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder) / "models" / "model.gguf"
            script = "import pathlib, sys; pathlib.Path(sys.argv[-1]).write_text('half'); sys.exit(int(sys.argv[1]))"
            command = [sys.executable, "-c", script]
            with self.assertRaises(subprocess.CalledProcessError):
                make("model", output, [*command, "1"])
            self.assertFalse(output.exists())
            make("model", output, [*command, "0"])
            self.assertEqual(output.read_text(), "half")
            self.assertEqual(list(output.parent.iterdir()), [output])


if __name__ == "__main__":
    unittest.main()
