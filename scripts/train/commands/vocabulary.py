"""What the starter recognizer can say: words, command phrases, token ids and the tokenizer file.

The tokenizer is Whisper's in miniature: GPT-2's byte-level alphabet, byte-pair merges that make every known word with
its leading space one token, then the special tokens in the order of openai/whisper `tokenizer.py` with English as the
only language, then one timestamp token per 20 ms of the window.
"""

import json
import re

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

# Seconds that the encoder sees at once. Whisper's 30 s would cost three times as much for words that last one second.
WINDOW_SECONDS = 10
SAMPLE_RATE = 16_000
FRAME = 320  # samples per encoder position: hop 160, stride 2
POSITIONS = WINDOW_SECONDS * SAMPLE_RATE // FRAME

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]

COMMANDS = """
play; pause; stop; next; previous; resume; repeat; mute; louder; quieter; volume up; volume down; play music;
next song; call; call home; hang up; answer; cancel; confirm; yes; no; okay; open; close; save; delete; undo; redo;
send; search; help; home; go back; go home; scroll up; scroll down; left; right; up; down; on; off; start; record;
turn on the light; turn off the light; lights on; lights off; set a timer; set an alarm; what time is it;
take a photo; new message; read messages; lock the door; unlock the door; wake up; good night; hello; thank you;
show the map; turn up the heat; turn on the radio; turn off the radio
""".replace("\n", " ").split(";")
COMMANDS = [re.sub(r"\s+", " ", phrase).strip() for phrase in COMMANDS]

# Phrases that end in a digit string.
CARRIERS = ["call", "set a timer", "set volume to", "play", "open"]

WORDS = sorted({word for phrase in COMMANDS + CARRIERS + DIGITS for word in phrase.split()})

SPECIALS = [
    "<|endoftext|>",
    "<|startoftranscript|>",
    "<|en|>",
    "<|translate|>",
    "<|transcribe|>",
    "<|startoflm|>",
    "<|startofprev|>",
    "<|nospeech|>",
    "<|notimestamps|>",
]
TIMESTAMPS = [f"<|{step * 0.02:.2f}|>" for step in range(POSITIONS + 1)]


def build_tokenizer() -> Tokenizer:
    """The tokenizer, made from the word list alone; the same list gives the same ids."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=10_000,  # never reached: merging ends when each word is one token
        min_frequency=1,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([" " + word for word in WORDS], trainer)
    tokenizer.add_special_tokens(SPECIALS)
    tokenizer.add_tokens([AddedToken(stamp, normalized=False, special=False) for stamp in TIMESTAMPS])
    ids = {
        token: tokenizer.token_to_id(token) for token in ("<|startoftranscript|>", "<|notimestamps|>", "<|endoftext|>")
    }
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|startoftranscript|> <|notimestamps|> $A <|endoftext|>", special_tokens=list(ids.items())
    )
    for word in WORDS:
        assert len(tokenizer.encode(" " + word, add_special_tokens=False).ids) == 1, word
    return tokenizer


class Vocabulary:
    """Token ids by meaning."""

    def __init__(self, tokenizer: Tokenizer):
        self.tokenizer = tokenizer
        self.size = tokenizer.get_vocab_size()
        self.word = {word: tokenizer.encode(" " + word, add_special_tokens=False).ids[0] for word in WORDS}
        self.eot, self.sot, _, _, _, _, self.prev, self.nospeech, self.notimestamps = (
            tokenizer.token_to_id(token) for token in SPECIALS
        )
        self.timestamp = tokenizer.token_to_id(TIMESTAMPS[0])
        assert self.timestamp == self.notimestamps + 1 == self.eot + len(SPECIALS)
        assert self.size == self.timestamp + POSITIONS + 1

    def text(self, ids) -> str:
        """The words among `ids`, without specials and timestamps."""
        return self.tokenizer.decode([i for i in ids if i < self.eot], skip_special_tokens=True).strip()


if __name__ == "__main__":
    vocabulary = Vocabulary(build_tokenizer())
    print(
        json.dumps(
            {"phrases": len(COMMANDS), "words": len(WORDS), "vocabulary": vocabulary.size, "eot": vocabulary.eot}
        )
    )
