"""What the table of word errors states, without an engine."""

import json
import unittest

from words import row


class Row(unittest.TestCase):
    def test_all_is_weighted_by_words(self) -> None:
        counts = [{"list": "real", "noisy": False, "words": 100, "errors": 1}]
        counts.append({"list": "synthetic", "noisy": True, "words": 300, "errors": 27})
        lines = "\n".join(map(json.dumps, counts))
        self.assertEqual(row("Sotto", lines), "| Sotto | 1.00 % | 9.00 % | 7.00 % |")


if __name__ == "__main__":
    unittest.main()
