"""Writes core/text/tests/goldens/tokenizer.json: ids, words and non-speech tokens by openai-whisper's tokenizers.

Every string is encoded with the English-only and the multilingual vocabulary; words are split from the multilingual ids
with and without spaces between words. The strings are made for this file.
"""

import itertools

from text import write
from whisper.tokenizer import get_tokenizer

WORDS = [
    "Hello world",
    " Hello world",
    "  Hello   world  ",
    "It's, isn't it?",
    "I'LL we'll they've you're he'd I'm can't",
    "don't DON'T Don'T don\u2019t",
    "y'all's o'clock rock'n'roll 'tis",
    "'s 't 're",
    "''s '''",
    "a's b'S",
    "3.14159 1,000,000 50% $20 2024-11-21",
    "0123456789",
    "12345 67 8",
    "1st 2nd 3rd 100th",
    "v1.2.3-rc4",
    "x2y3z",
    "\u00bd \u00b2 \u2163 \u0663\u0664 \u0967\u0968",
    "C++ and C#; a && b || !c",
    "<html><body></body></html>",
    "https://example.org/path?query=1&b=2#top",
    "user.name+tag@example.org",
    "#hashtag @name",
    "(parentheses) [brackets] {braces}",
    "...!!!???",
    "-- --- \u2013 \u2014",
    "\u201cquotes\u201d \u2018single\u2019 \u00abguillemets\u00bb",
    "snake_case camelCase PascalCase kebab-case",
    "ALL CAPS SENTENCE",
    "MiXeD cAsE",
    "supercalifragilisticexpialidocious",
    "pneumonoultramicroscopicsilicovolcanoconiosis",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "abcabcabcabcabcabcabc",
    "hahahahahahahaha",
    "zzz ZZZ zZz",
    "naïve café résumé",
    "cafe\u0301 re\u0301sume\u0301",
    "Zürich Köln Ångström smørrebrød",
    "Łódź Kraków Gdańsk",
    "İstanbul ıI",
    "ﬁne ﬂow",
    "Ελληνικά γλώσσα",
    "Привет, как дела?",
    "Здравствуйте мир",
    "Українська мова",
    "שלום עולם",
    "مرحبا بالعالم",
    "سلام دنیا",
    "नमस्ते दुनिया",
    "বাংলা ভাষা",
    "தமிழ் மொழி",
    "తెలుగు",
    "ภาษาไทยไม่มีช่องว่าง",
    "ພາສາລາວ",
    "မြန်မာဘာသာ",
    "ភាសាខ្មែរ",
    "你好,世界",
    "今天天气怎么样?",
    "我们明天去北京。",
    "日本語のテキスト",
    "これはテストです。",
    "カタカナ ひらがな 漢字",
    "한국어 문장입니다",
    "안녕하세요",
    "廣東話係點樣?",
    "ქართული",
    "Հայերեն",
    "አማርኛ",
    "ᐃᓄᒃᑎᑐᑦ",
    "\U00020000\U0002a6d6",
    "𝕳𝖊𝖑𝖑𝖔",
    "ＦＵＬＬ ｗｉｄｔｈ　１２３",
    "😀",
    "😀😃😄",
    "I ❤️ you",
    "👩\u200d👩\u200d👧\u200d👦",
    "🏳️\u200d🌈 🇩🇪🇫🇷",
    "👍🏽👍🏿",
    "emoji😀in😀words",
    "♪ la la la ♪♪",
    "♩♫♬♭♮♯",
    "line\nbreak",
    "two\n\nbreaks",
    "\n leading",
    "trailing \n",
    "tab\tseparated\tvalues",
    "\t\t\t",
    "\r\n\r\n",
    "a \n b",
    "a\u00a0b",
    "a\u3000b",
    "\u2028\u2029",
    "\u200b\u200c\u200d\ufeff",
    "a\u0085b",
    "\x0b\x0c",
    "\x00\x01\x02",
    "\x1c\x1d\x1e\x1f",
    "\x7f",
    "   ",
    " ",
    "    a",
    "a    ",
    "<|endoftext|> is text",
    "<|en|><|transcribe|>",
    "<|0.00|> start <|30.00|>",
    "<|startoftranscript|",
    "|>",
    "<|",
    "Mr. Smith went to Washington.",
    "The quick brown fox jumps over the lazy dog.",
    "She sells sea shells by the sea shore.",
    "How much wood would a woodchuck chuck if a woodchuck could chuck wood?",
    "Turn on the kitchen lights at 7:30 p.m.",
    "Dr. Müller's 3rd café visit cost €4.50 (incl. 19% tax).",
    "def f(x):\n    return x ** 2\n",
    "SELECT * FROM t WHERE a='b';",
    '"Stop!" she cried; "it\'s hot."',
    "e.g. i.e. etc. vs.",
    "U.S.A. N.A.S.A.",
    "co-operate re-enter",
    "rock 'n' roll",
    "O'Neill's d'Artagnan",
    "100km/h -5°C ±3 ≈ 7 × 8 ÷ 2",
    "α β γ ∑ ∫ √ ∞",
    "™ © ® § ¶ † ‡",
    "→ ← ↑ ↓ ⇒",
    "█ ░ ▒ ▓",
    "\ufffd\ufffd",
    "\U0010ffff",
    "\ue000",
]
PARTS = ["one", " two", "3", " 四", "é", "!", " ", "\n", "'s", " 😀", "-", "ß"]


def strings():
    pairs = ["".join(pair) for pair in itertools.product(PARTS[::2], PARTS[1::2])]
    triples = ["".join(PARTS[(i * step) % len(PARTS)] for i in range(1, 9)) for step in (5, 7, 11)]
    return WORDS + pairs + triples


def main():
    english = get_tokenizer(multilingual=False)
    tiny = {code: get_tokenizer(multilingual=True, language=code) for code in ("en", "ja")}
    large = get_tokenizer(multilingual=True, num_languages=100, language="en")
    rows = []
    for text in strings():
        # As text, whatever it looks like.
        ids = english.encode(text, disallowed_special=())
        many = tiny["en"].encode(text, disallowed_special=())
        assert english.decode(ids) == text and tiny["en"].decode(many) == text
        rows.append({"text": text, "english": ids, "multilingual": many})
    # Words: mid-character cuts, timestamps and control tokens as decoding leaves them.
    split = []
    for row in rows:
        ids = row["multilingual"]
        ids = (
            [tiny["en"].timestamp_begin, *ids, tiny["en"].timestamp_begin + 54, tiny["en"].eot]
            if len(split) % 3 == 0
            else ids
        )
        ids = ids[1:] if len(split) % 5 == 4 else ids
        words = {}
        for code, tokenizer in tiny.items():
            try:
                words[code] = tokenizer.split_to_word_tokens(ids)
            except IndexError:
                # A cut-off character at the very end: the reference fails, ours has its own test.
                break
        else:
            split.append({"tokens": ids, "spaces": words["en"], "characters": words["ja"]})
    write(
        "tokenizer.json",
        __file__,
        ["openai-whisper", "tiktoken"],
        strings=rows,
        words=split,
        non_speech={
            "english": english.non_speech_tokens,
            "multilingual": tiny["en"].non_speech_tokens,
            "large": large.non_speech_tokens,
        },
    )


if __name__ == "__main__":
    main()
