"""What the synthetic voices say: Tatoeba's sentences in four languages, and sentences of our own in more alphabets."""

import io
import pathlib
import random
import zipfile

# Ours, for the sounds of languages that the sentence pairs lack. Read by espeak-ng alone.
OWN = {
    "it": ["Domani mattina andiamo al mercato a comprare il pane.", "Chi ha lasciato aperta la finestra della cucina?"],
    "pt": ["O comboio para o norte sai daqui a dez minutos.", "A minha irmã gosta muito de cantar à noite."],
    "pl": ["Wczoraj wieczorem padał śnieg, a dziś świeci słońce.", "Czy możesz mi pożyczyć tę książkę?"],
    "ru": ["Завтра утром мы поедем к морю на поезде.", "Почему ты ничего не сказал своему брату?"],
    "tr": ["Yarın sabah erkenden pazara gideceğiz.", "Bu akşam yemekte ne var, çok acıktım."],
    "hi": ["कल सुबह हम बाज़ार से ताज़ी सब्ज़ियाँ लाएँगे।", "तुम्हारा भाई आज घर पर क्यों नहीं है?"],
    "cmn": ["明天早上我们坐火车去北京。", "你为什么没有告诉我这件事情？"],
    "yue": ["聽日朝早我哋一齊去飲茶。", "你做咩唔早啲話我知呀？"],
    "ja": ["あしたのあさ、えきのまえであいましょう。", "このりょうりはとてもおいしいですね。"],
    "ko": ["내일 아침에 역 앞에서 만나요.", "왜 어제 전화를 받지 않았어요?"],
    "ar": ["سنذهب غدا إلى السوق في الصباح الباكر.", "لماذا لم تخبرني بذلك أمس؟"],
    "vi": ["Sáng mai chúng ta sẽ đi chợ mua rau.", "Tại sao hôm qua bạn không gọi cho tôi?"],
    "sw": ["Kesho asubuhi tutaenda sokoni kununua matunda.", "Kwa nini hukuniambia jana?"],
    "fi": ["Huomenna aamulla lähdemme junalla pohjoiseen.", "Miksi et kertonut siitä minulle eilen?"],
}


def tatoeba(folder: pathlib.Path) -> dict[str, list[str]]:
    """Sentences of 12 to 90 characters per language (`en`, `de`, `fr`, `es`), without repetition, in file order."""
    found = {"en": {}, "de": {}, "fr": {}, "es": {}}
    for name, member, language in (
        ("deu-eng", "deu.txt", "de"),
        ("fra-eng", "fra.txt", "fr"),
        ("spa-eng", "spa.txt", "es"),
    ):
        with zipfile.ZipFile(folder / f"{name}.zip") as archive:
            for line in io.TextIOWrapper(archive.open(member), "utf-8"):
                english, other = line.split("\t")[:2]
                for which, sentence in (("en", english), (language, other)):
                    if 12 <= len(sentence) <= 90:
                        found[which][sentence] = None
    return {language: list(sentences) for language, sentences in found.items()}


def numbers(rng: random.Random) -> str:
    """Digits, letters, times: short words that sentences rarely have alone."""
    kind = rng.randrange(4)
    if kind == 0:
        return " ".join(str(rng.randrange(10)) for _ in range(rng.randint(1, 6)))
    if kind == 1:
        return " ".join(rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(rng.randint(1, 4)))
    if kind == 2:
        return rng.choice(["yes", "no", "stop", "hello", "thanks", "well", "okay", "maybe", "uh huh", "go on", "why"])
    return f"{rng.randint(1, 12)} {rng.randint(10, 59)}"
