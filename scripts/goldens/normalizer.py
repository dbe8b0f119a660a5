"""Writes core/text/tests/goldens/normalizer.json: openai-whisper's normalisers on sentences made for this file, and
hashes of what they make of the reference texts in the data folder (which are read in place).
"""

import hashlib
import itertools

from text import data_folder, write
from whisper.normalizers import BasicTextNormalizer, EnglishTextNormalizer

SENTENCES = [
    "Mr. Smith won't pay twenty-five dollars.", "Dr. Jones and Mrs. Brown met Prof. Lee, Capt. Kirk and Gov. Davis.", "St. John's Rd. is near Col. Sanders Jr.",
    "He's been there; she'd gone; they'd done it; it's got legs.", "I'ma go, imma stay, y'all wanna come? We're gonna, we've gotta.",
    "Can't, won't, ain't, shan't, let's, ma'am, coulda, woulda, shoulda.", "Uh, um, hmm, mhm, mm, mmm, umm and uhh.", "I 'm sure they 'll say it 's fine",
    "[MUSIC] (laughs) <noise> Hello [unclosed and (open", "A (b (c) d) e", "[a [b] c] d", "() empty () (x)()", "<a]b [c>d", "one two three", "one two three four five six seven eight nine ten",
    "one hundred", "one hundred and one", "one hundred one", "a hundred", "two hundred and fifty thousand", "two thousand three hundred and four", "two thousand twenty four",
    "nineteen ninety nine", "nineteen oh five", "twenty twenty", "twenty twenty four", "twenty ten", "ten twenty", "thirty five forty", "eighteen hundred", "seventeen seventy six",
    "one million two hundred thirty four thousand five hundred sixty seven", "three point one four one five nine", "zero point five", "point five", "oh point five", "two point five million",
    "2.5 million", "2.55 hundred", "1.5 thousand dollars", "three and a half", "three and a half million", "2 and a half hours", "two hundred and a half", "the and a half", "and a half", "and a half and a half",
    "double oh seven", "triple five", "double one double two", "double", "double trouble", "triple", "double seventy", "one double two triple three", "double hundred",
    "one oh one", "four oh four", "nine one one", "five five five one two one two", "one one eleven", "twenty one twenty two", "twenty one two", "eleven twelve", "one eleven", "hundred", "hundreds", "thousands of people",
    "hundreds of thousands", "a million", "millions", "two millions", "half a million", "tens of thousands", "ones and twos", "sixes and sevens", "fives", "elevens",
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "nineth", "tenth", "eleventh", "twelfth", "thirteenth", "nineteenth", "twentieth", "twenty first", "twenty-first", "thirty second", "fortieth", "ninety ninth",
    "hundredth", "one hundredth", "two hundred and first", "one hundred first", "thousandth", "two thousandth", "millionth", "twenties", "the roaring twenties", "nineteen sixties", "the 1960s", "the 60s", "the '60s", "eighties music",
    "21 st", "21st", "22 nd", "3 rd of May", "4 th", "5 s", "5 stars", "1 st street", "2 and 3rd", "100th",
    "twenty dollars", "one dollar", "two dollars and fifty cents", "two dollars fifty", "five cents", "fifty cents", "zero dollars and five cents", "one pound", "ten pounds and seventy five cents", "three euros", "three euros and nine cents", "ten euro",
    "$20", "$20 million", "$1.50", "$ 5", "5 $", "$0.50", "$0.5", "£0.05", "€0.99", "$2 and 7 cents", "$2 7 cents", "£3 and 45 cents", "dollars", "dollars and cents", "cent", "pounds of weight", "20 dollar bill", "$5.5 million", "$1,000,000", "€1.000,50", "¢50", "¢5 and $3", "$3 and ¢75", "$10 ¢5",
    "fifty percent", "fifty per cent", "per cent", "percent", "50 %", "50%", "%50", "5 % of 10 %", "ten per person", "ten per cent per year", "one hundred percent", "a percent", "2.5 percent", "half a percent",
    "minus ten", "minus ten degrees", "negative five", "positive twenty two", "plus one", "plus or minus two", "minus", "minus minus one", "negative feedback", "plus 5", "minus 5.5", "-5", "+5", "- 5", "minus and", "plus second", "plus cents", "positive and negative one",
    "1", "1s", "one s", "1 1 1", "11", "1.5", "1.0", "01", "007", "0", "00", "zero", "zero zero", "oh oh seven", "oh my", "o", "oh", "o clock", "zero hundred", "zero thousand", "zero one hundred", "0 hundred", "zero and one", "zero ten", "zero twenty one",
    "1,000", "1,000,000", "1,2,3", "12,34", "1, 2, 3", "a,b", "10,000 dollars", "3.14", "3.", ".5", "3.14.15", "192.168.0.1", "192 point 168 point 0 point 1", "version 1.2.3", "1 point 5", "1 point", "point", "point taken", "one point five point two", "2 point 5 million", "point hundred", "one point hundred", "five point oh five", "five point twenty",
    "x1", "1x", "a1b2c3", "b2b", "mp3 player", "covid19", "covid-19", "4k", "5G network", "R2D2", "3D", "10am", "7pm", "7:30", "7:30 p.m.", "24/7", "9/11", "3x4", "100km/h", "20°C", "h2o", "route 66", "area 51",
    "twenty-four-seven", "twenty–four", "thirty—five", "one-hundred-and-one", "mid-nineties", "ten-year-old", "one-and-a-half", "fifty-fifty", "one/two",
    "two thousand and one a space odyssey", "one thousand and one nights", "ninety nine red balloons", "fifty two weeks and three days", "three hundred sixty five days", "sixty five million years", "one billion three hundred million people", "nine hundred ninety nine trillion", "one decillion", "two decillion and one", "one quadrillion five hundred", "ten thousand million", "thousand thousand", "hundred hundred", "million million billion", "five hundred hundred", "twelve hundred thousand",
    "99999999999999999999999999", "99999999999999999999999999 thousand", "12345678901234567890 and one", "1000 one", "1100 five", "1010 twenty", "200 thirty four", "20 four", "30 seventeen", "5 hundred", "5 hundred and 6", "5 and 6", "hundred and five", "hundred and the", "hundred and", "thousand and 6", "and one", "and",
    "The colour of my neighbour's grey theatre.", "We apologise, realise and recognise the favourite behaviour.", "Travelling, cancelled, marvellous dialogue.", "The defence licence was practised in the centre.", "He realised the honour was a favour.", "Four hours of our own promise, exercise and advice.",
    "naïve café résumé Zoë façade", "Ærøskøbing, Łódź, Straße, Þór, Ðakovo, œuvre", "cafe\u0301 re\u0301sume\u0301", "El Niño's piñata", "ﬁne ﬂow ² ½ ①", "İstanbul", "ΟΔΟΣ", "１２３ ＡＢＣ", "٣ dollars", "٣.٥ million", "१२ hundred",
    "em—dash en–dash hy-phen un_der_score", "“Quotes” ‘single’ don’t won’t it’s", "a.b.c. d.e", "e.g. i.e. U.S.A.", "Wait... what?!", "a . b .c d. .", "...", "?!", "", " ", "   spaced   out   ", "\ttab\nnewline\r\n", "a\u00a0b\u3000c\u2028d", "x\x1cy", "zero\u200bwidth", "emoji 😀 and ♪ music ♪", "a+b=c", "a & b", "C# and C++", "@name #tag", "50¢", "£", "$", "a$b", "$a 5$", "€5 and £6", "%", "5%%", ".$5", "$.50", "$$5",
    "I'd've thought it's his; who's there? There's none.", "rock 'n' roll", "'twas 'tis", "y' all", "o'clock at one o'clock", "five o'clock", "the 90's", "1990's", "John's", "James' book", "n't", "'s", "isn't it wasn't aren't hadn't", "hon. sec. rep. sen. gen. rev. pres. esq. asst. assoc. lt. sr. ald.", "street st street", "he said st. st", "dr. dr dre", "mr.mrs.",
]
ONES = ["one", "seven", "thirteen", "oh", "third"]
TENS = ["twenty", "ninety", "fifties", "sixtieth"]
LARGE = ["hundred", "thousand", "million", "thousands", "hundredth"]
JOINTS = ["", "and", "point", "double", "minus", "dollars", "percent", "5", "2.5"]


def sentences():
    """The list above, then number words in orders that nobody speaks, to pin the state machine down."""
    mixed = []
    for index, (a, b, c) in enumerate(itertools.product(ONES + TENS, LARGE + TENS + ONES, ONES + LARGE)):
        joint, second = JOINTS[index % 9], JOINTS[index * 7 % 9]
        mixed.append(" ".join(word for word in (a, joint, b, second, c) if word))
    return SENTENCES + mixed[::3]


def failsafe(normalizer, text):
    """The reference stops at an assertion for some unspoken orders of words; such sentences are left out."""
    try:
        return normalizer(text)
    except AssertionError:
        return None


def main():
    data = data_folder(__doc__)
    english, basic = EnglishTextNormalizer(), BasicTextNormalizer()
    plain, letters = BasicTextNormalizer(remove_diacritics=True), BasicTextNormalizer(split_letters=True)
    rows = [[text, failsafe(english, text)] for text in sentences()]
    texts = []
    for name in ("manifest", "synthetic"):
        for line in (data / "speech" / f"{name}.tsv").read_text(encoding="utf-8").splitlines()[1:]:
            file, text = line.split("\t")[0], line.split("\t")[-1]
            digest = hashlib.sha256("\n".join([english(text), basic(text), plain(text), letters(text)]).encode()).hexdigest()
            texts.append([name, file, digest])
    # CC BY-SA list, read in place; word and count per line, most common first.
    lines = (data / "keyboard" / "freq" / "en_50k.txt").read_text(encoding="utf-8").splitlines()[:5000]
    common = hashlib.sha256("\n".join(english(line.split()[0]) for line in lines).encode()).hexdigest()
    write(
        "normalizer.json", __file__, ["openai-whisper"],
        english=[row for row in rows if row[1] is not None],
        basic=[[text, basic(text), plain(text), letters(text)] for text in SENTENCES],
        texts=texts,
        common_words=common,
    )


if __name__ == "__main__":
    main()
