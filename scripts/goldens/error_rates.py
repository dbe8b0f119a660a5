"""Writes core/text/tests/goldens/error_rates.json: word and character error rates by jiwer on texts made for this file.

Of several minimal alignments jiwer may take another than ours, so random pairs carry the number of errors only; the
counts of single kinds are compared where there is one minimal alignment.
"""

import random

import jiwer
from text import write

CLEAR = [
    ("turn the kitchen light on", "turn the kitchen light on"),
    ("turn the kitchen light on", "turn a kitchen light on now"),
    ("one two three four", "one three four"),
    ("one two three four", "one two two three four"),
    ("a b c", "x y z"),
    ("hello", ""),
    ("hello world", "hello"),
    ("hello", "hello world again"),
    ("the cat sat", "the hat sat down"),
    ("naïve café", "naive café"),
    ("日本 語", "日本 話"),
]
WORDS = "the a cat dog sat on mat and ran off".split()


def main():
    generator = random.Random(3)
    text = lambda: " ".join(generator.choices(WORDS, k=generator.randint(1, 30)))
    clear = []
    for reference, hypothesis in CLEAR:
        out = jiwer.process_words(reference, hypothesis)
        clear.append([reference, hypothesis, out.hits, out.substitutions, out.deletions, out.insertions])
    pairs = [(text(), text()) for _ in range(100)]
    rows = []
    for reference, hypothesis in pairs:
        words, letters = jiwer.process_words(reference, hypothesis), jiwer.process_characters(reference, hypothesis)
        errors = lambda out: out.substitutions + out.deletions + out.insertions
        rows.append([reference, hypothesis, errors(words), words.wer, errors(letters), letters.cer])
    references, hypotheses = zip(*pairs)
    corpus = {
        "wer": jiwer.wer(list(references), list(hypotheses)),
        "cer": jiwer.cer(list(references), list(hypotheses)),
    }
    write("error_rates.json", __file__, ["jiwer"], clear=clear, random=rows, corpus=corpus)


if __name__ == "__main__":
    main()
