//! The words of English numbers (vocabulary of the reference, its gaps included: it knows `nineth`, not `ninth`).

/// The meaning of a word inside a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// `zero`, `oh`, `o`.
    Zero,
    /// One to nineteen.
    Ones(u32),
    /// `third`, `sixes`: the value and its written suffix.
    OnesSuffixed(u32, &'static str),
    /// Twenty to ninety.
    Tens(u32),
    /// `thirties`, `fortieth`.
    TensSuffixed(u32, &'static str),
    /// A power of ten: its zeros.
    Multiplier(usize),
    /// `thousands`, `millionth`.
    MultiplierSuffixed(usize, &'static str),
    /// `minus`, `plus`: the sign.
    Sign(char),
    /// `dollars`, `cents`: the symbol that goes before the number.
    Currency(char),
    /// `per`, a percent sign when `cent` follows.
    Per,
    /// `percent`.
    Percent,
    /// `and`.
    And,
    /// `double`, `triple`: how many times the next digit is written.
    Repeat(usize),
    /// `point`.
    Point,
}

const ONES: [&str; 19] = [
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const MULTIPLIERS: [(&str, usize); 12] = [
    ("hundred", 2),
    ("thousand", 3),
    ("million", 6),
    ("billion", 9),
    ("trillion", 12),
    ("quadrillion", 15),
    ("quintillion", 18),
    ("sextillion", 21),
    ("septillion", 24),
    ("octillion", 27),
    ("nonillion", 30),
    ("decillion", 33),
];

fn ones(word: &str) -> Option<u32> {
    (1..).zip(ONES).find(|(_, name)| *name == word).map(|(value, _)| value)
}

fn tens(word: &str) -> Option<u32> {
    (2..).zip(TENS).find(|(_, name)| *name == word).map(|(value, _)| value * 10)
}

fn multiplier(word: &str) -> Option<usize> {
    MULTIPLIERS.iter().find(|(name, _)| *name == word).map(|(_, zeros)| *zeros)
}

fn ones_suffixed(word: &str) -> Option<Word> {
    let ordinal = match word {
        "zeroth" => Some((0, "th")),
        "first" => Some((1, "st")),
        "second" => Some((2, "nd")),
        "third" => Some((3, "rd")),
        "fifth" => Some((5, "th")),
        "twelfth" => Some((12, "th")),
        "eighth" => Some((8, "th")),
        "sixes" => Some((6, "s")),
        _ => None,
    };
    if let Some((value, suffix)) = ordinal {
        return Some(Word::OnesSuffixed(value, suffix));
    }
    let plural = word.strip_suffix('s').and_then(ones).filter(|value| *value != 6).map(|value| (value, "s"));
    let regular = |value: &u32| *value > 3 && !matches!(value, 5 | 8 | 12);
    let ordinal = || word.strip_suffix("th").and_then(ones).filter(regular).map(|value| (value, "th"));
    plural.or_else(ordinal).map(|(value, suffix)| Word::OnesSuffixed(value, suffix))
}

fn tens_suffixed(word: &str) -> Option<Word> {
    let (stem, suffix) = match word.strip_suffix("ies") {
        Some(stem) => (stem, "s"),
        None => (word.strip_suffix("ieth")?, "th"),
    };
    let find = |name: &&str| name.strip_suffix('y') == Some(stem);
    (2..).zip(TENS).find(|(_, name)| find(name)).map(|(value, _)| Word::TensSuffixed(value * 10, suffix))
}

fn multiplier_suffixed(word: &str) -> Option<Word> {
    let plural = word.strip_suffix('s').and_then(multiplier).map(|zeros| (zeros, "s"));
    let ordinal = || word.strip_suffix("th").and_then(multiplier).map(|zeros| (zeros, "th"));
    plural.or_else(ordinal).map(|(zeros, suffix)| Word::MultiplierSuffixed(zeros, suffix))
}

impl Word {
    /// The meaning of `word` (lower case) in a number; `None` for all other words.
    pub(super) fn of(word: &str) -> Option<Self> {
        let single = match word {
            "o" | "oh" | "zero" => Some(Self::Zero),
            "minus" | "negative" => Some(Self::Sign('-')),
            "plus" | "positive" => Some(Self::Sign('+')),
            "pound" | "pounds" => Some(Self::Currency('£')),
            "euro" | "euros" => Some(Self::Currency('€')),
            "dollar" | "dollars" => Some(Self::Currency('$')),
            "cent" | "cents" => Some(Self::Currency('¢')),
            "per" => Some(Self::Per),
            "percent" => Some(Self::Percent),
            "and" => Some(Self::And),
            "double" => Some(Self::Repeat(2)),
            "triple" => Some(Self::Repeat(3)),
            "point" => Some(Self::Point),
            _ => None,
        };
        single
            .or_else(|| ones(word).map(Self::Ones))
            .or_else(|| ones_suffixed(word))
            .or_else(|| tens(word).map(Self::Tens))
            .or_else(|| tens_suffixed(word))
            .or_else(|| multiplier(word).map(Self::Multiplier))
            .or_else(|| multiplier_suffixed(word))
    }

    /// Whether the word can follow a decimal point.
    pub(super) fn is_decimal(self) -> bool {
        matches!(self, Self::Zero | Self::Ones(_) | Self::Tens(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_apart() {
        for (word, meaning) in [
            ("oh", Some(Word::Zero)),
            ("nineteen", Some(Word::Ones(19))),
            ("sixth", Some(Word::OnesSuffixed(6, "th"))),
            ("sixs", None),
            ("ninth", None),
            ("nineth", Some(Word::OnesSuffixed(9, "th"))),
            ("eightth", None),
            ("fiveth", None),
            ("tens", Some(Word::OnesSuffixed(10, "s"))),
            ("fifties", Some(Word::TensSuffixed(50, "s"))),
            ("ninetieth", Some(Word::TensSuffixed(90, "th"))),
            ("hundredth", Some(Word::MultiplierSuffixed(2, "th"))),
            ("billions", Some(Word::MultiplierSuffixed(9, "s"))),
            ("half", None),
            ("ties", None),
            ("s", None),
            ("", None),
        ] {
            assert_eq!(Word::of(word), meaning, "{word}");
        }
    }
}
