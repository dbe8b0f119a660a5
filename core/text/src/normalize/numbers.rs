//! Spoken numbers become digits (reference: openai/whisper `normalizers/english.py`, `EnglishNumberNormalizer`).
//!
//! `twenty one` → `21`, `nineteen ninety` → `1990`, `one oh one` → `101`, `two point five million dollars` →
//! `$2500000`, `twenty first` → `21st`. The order of the cases is that of the reference. It determines how a word
//! continues the number before it; its quirks are part of published error rates.

use super::decimal::Number;
use super::number_words::Word;
use super::scan::{digit, is_boundary, is_space, words};

/// Replaces spoken numbers in lower-case text. Words are then separated by single spaces.
pub(super) fn standardize(text: &str) -> String {
    let text = preprocess(text);
    let words: Vec<&str> = words(&text).collect();
    postprocess(&Reader::default().read(&words))
}

/// Whether `word` is digits, with a decimal point or without.
fn is_numeric(word: &str) -> bool {
    let (integer, fraction) = word.split_once('.').unwrap_or((word, "0"));
    let digits = |part: &str| !part.is_empty() && part.chars().all(|c| digit(c).is_some());
    digits(integer) && digits(fraction)
}

fn is_prefix(c: char) -> bool {
    matches!(c, '-' | '+' | '£' | '€' | '$' | '¢')
}

/// One word and its neighbours.
struct Context<'a> {
    text: &'a str,
    previous: Option<Word>,
    next: Option<Word>,
    next_text: Option<&'a str>,
}

impl Context<'_> {
    fn next_is_numeric(&self) -> bool {
        self.next_text.is_some_and(is_numeric)
    }

    /// Whether the next word can continue the number.
    fn goes_on(&self) -> bool {
        self.next.is_some() || self.next_is_numeric()
    }
}

/// Reads words one by one; holds the unfinished number.
#[derive(Default)]
struct Reader {
    out: Vec<String>,
    prefix: Option<char>,
    value: Option<Number>,
}

impl Reader {
    fn read(mut self, words: &[&str]) -> String {
        let meanings: Vec<Option<Word>> = words.iter().map(|word| Word::of(word)).collect();
        let mut index = 0;
        while index < words.len() {
            let context = Context {
                text: words[index],
                previous: index.checked_sub(1).and_then(|previous| meanings[previous]),
                next: meanings.get(index + 1).copied().flatten(),
                next_text: words.get(index + 1).copied(),
            };
            let uses_next = self.word(&context, meanings[index]);
            index += 1 + usize::from(uses_next);
        }
        self.flush();
        self.out.join(" ")
    }

    /// Ends the number and writes `text` with its prefix (`text` may be another word).
    fn emit(&mut self, text: &str) {
        self.value = None;
        match self.prefix.take() {
            Some(prefix) => self.out.push(format!("{prefix}{text}")),
            None => self.out.push(text.to_owned()),
        }
    }

    fn emit_suffixed(&mut self, number: &Number, suffix: &str) {
        self.emit(&format!("{}{suffix}", number.as_str()));
    }

    /// Ends the number, if there is one.
    fn flush(&mut self) {
        if let Some(value) = self.value.take() {
            self.emit(value.as_str());
        }
    }

    /// Ends the number and copies the word.
    fn pass(&mut self, text: &str) {
        self.flush();
        self.emit(text);
    }

    /// The number so far, to append digits to; a bare zero counts as empty.
    fn digits_so_far(&mut self) -> Number {
        self.value.take().filter(|value| !value.is_zero()).unwrap_or_else(|| Number::text(""))
    }

    /// Reads one word. Returns whether the next word was consumed too.
    fn word(&mut self, context: &Context<'_>, meaning: Option<Word>) -> bool {
        let bare = context.text.strip_prefix(is_prefix).unwrap_or(context.text);
        if is_numeric(bare) {
            self.written(context.text, bare);
            return false;
        }
        let Some(meaning) = meaning else {
            self.pass(context.text);
            return false;
        };
        match meaning {
            Word::Zero => self.value = Some(self.digits_so_far().append("0")),
            Word::Ones(ones) => self.value = Some(self.with_ones(context, ones)),
            Word::OnesSuffixed(ones, suffix) => {
                let number = self.with_ones(context, ones);
                self.emit_suffixed(&number, suffix);
            }
            Word::Tens(tens) => self.value = Some(self.with_tens(tens)),
            Word::TensSuffixed(tens, suffix) => {
                let number = self.with_tens(tens);
                self.emit_suffixed(&number, suffix);
            }
            Word::Multiplier(zeros) => self.value = Some(self.multiplied(zeros, true)),
            Word::MultiplierSuffixed(zeros, suffix) => {
                let number = self.multiplied(zeros, false);
                self.emit_suffixed(&number, suffix);
            }
            Word::Sign(sign) => {
                self.flush();
                if context.goes_on() {
                    self.prefix = Some(sign);
                } else {
                    self.emit(context.text);
                }
            }
            Word::Currency(symbol) => {
                if self.value.is_some() {
                    self.prefix = Some(symbol);
                    self.flush();
                } else {
                    self.emit(context.text);
                }
            }
            Word::Percent => self.percent(context.text),
            Word::Per => return self.per(context),
            Word::And | Word::Repeat(_) | Word::Point if !context.goes_on() => self.pass(context.text),
            Word::And => {
                // Part of a number only after a multiplier: `one hundred and one`.
                if !matches!(context.previous, Some(Word::Multiplier(_))) {
                    self.pass(context.text);
                }
            }
            Word::Repeat(times) => return self.repeat(context, times),
            Word::Point => {
                if context.next.is_some_and(Word::is_decimal) || context.next_is_numeric() {
                    self.value = Some(self.digits_so_far().append("."));
                }
            }
        }
        false
    }

    /// A number in digits; after `1.` it continues that number (decimals, addresses).
    fn written(&mut self, text: &str, bare: &str) {
        match self.value.take() {
            Some(value) if !value.is_whole() && value.as_str().ends_with('.') => {
                self.value = Some(value.append(text));
                return;
            }
            Some(value) => self.emit(value.as_str()),
            None => {}
        }
        if bare.len() < text.len() {
            self.prefix = text.chars().next();
        }
        self.value = Some(Number::written(bare));
    }

    /// The number followed by one to nineteen.
    fn with_ones(&mut self, context: &Context<'_>, ones: u32) -> Number {
        let Some(value) = self.value.take() else { return Number::whole(ones) };
        if !value.is_whole() || matches!(context.previous, Some(Word::Ones(_))) {
            return match context.previous {
                // Replaces the zero of the tens.
                Some(Word::Tens(_)) if ones < 10 => value.with_last(ones),
                _ => value.append(&ones.to_string()),
            };
        }
        let zeros = if ones < 10 { 1 } else { 2 };
        if value.is_round(zeros) { value.plus(ones) } else { value.append(&ones.to_string()) }
    }

    fn with_tens(&mut self, tens: u32) -> Number {
        match self.value.take() {
            None => Number::whole(tens),
            Some(value) if value.is_whole() && value.is_round(2) => value.plus(tens),
            Some(value) => value.append(&tens.to_string()),
        }
    }

    fn multiplied(&mut self, zeros: usize, zero_scales: bool) -> Number {
        let Some(value) = self.value.take() else { return Number::power(zeros) };
        if value.is_whole() && !(zero_scales && value.is_zero()) {
            return value.multiply_last_thousand(zeros);
        }
        value.scaled(zeros).unwrap_or_else(|| {
            self.emit(value.as_str());
            Number::power(zeros)
        })
    }

    fn percent(&mut self, text: &str) {
        match self.value.take() {
            Some(value) => self.emit_suffixed(&value, "%"),
            None => self.emit(text),
        }
    }

    fn per(&mut self, context: &Context<'_>) -> bool {
        if self.value.is_some() && context.next_text == Some("cent") {
            self.percent(context.text);
            return true;
        }
        self.pass(context.text);
        false
    }

    /// `double oh` and `triple seven`; everything else is an ordinary word.
    fn repeat(&mut self, context: &Context<'_>, times: usize) -> bool {
        let digit = match context.next {
            Some(Word::Zero) => 0,
            Some(Word::Ones(ones)) => ones,
            _ => {
                self.pass(context.text);
                return false;
            }
        };
        self.value = Some(self.digits_so_far().append(&digit.to_string().repeat(times)));
        true
    }
}

/// Replaces `… and a half` by `… point five` after a number, separates letters from digits, and rejoins suffixes.
fn preprocess(text: &str) -> String {
    join_suffixes(&part_letters_and_digits(&read_halves(text)))
}

fn read_halves(text: &str) -> String {
    let segments = split_at_halves(text);
    let mut results = Vec::new();
    let last = segments.len() - 1;
    for (index, segment) in segments.into_iter().enumerate() {
        let Some(word) = words(segment).last() else { continue };
        results.push(segment);
        if index < last {
            let number = Word::of(word).is_some_and(|word| word.is_decimal() || matches!(word, Word::Multiplier(_)));
            results.push(if number { "point five" } else { "and a half" });
        }
    }
    results.join(" ")
}

/// The parts of the text around `and a half`.
fn split_at_halves(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    for (at, _) in text.match_indices("and") {
        if at < start || !is_boundary(text[..at].chars().next_back()) {
            continue;
        }
        if let Some(tail) = after_words(&text[at + 3..], &["a", "half"]).filter(|tail| is_boundary(tail.chars().next()))
        {
            parts.push(&text[start..at]);
            start = text.len() - tail.len();
        }
    }
    parts.push(&text[start..]);
    parts
}

/// The text after the expected words, each with white space before it.
fn after_words<'a>(text: &'a str, expected: &[&str]) -> Option<&'a str> {
    expected.iter().try_fold(text, |rest, word| {
        let trimmed = rest.trim_start_matches(is_space);
        (trimmed.len() < rest.len()).then_some(())?;
        trimmed.strip_prefix(word)
    })
}

fn part_letters_and_digits(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut previous = ' ';
    for c in text.chars() {
        let letter_digit = previous.is_ascii_lowercase() && c.is_ascii_digit();
        if letter_digit || previous.is_ascii_digit() && c.is_ascii_lowercase() {
            out.push(' ');
        }
        out.push(c);
        previous = c;
    }
    out
}

/// `21 st` becomes `21st`.
fn join_suffixes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let tail = &rest[c.len_utf8()..];
        out.push(c);
        rest = tail;
        let trimmed = tail.trim_start_matches(is_space);
        if !c.is_ascii_digit() || trimmed.len() == tail.len() {
            continue;
        }
        let follows = |suffix: &&str| trimmed.strip_prefix(*suffix).is_some_and(|end| is_boundary(end.chars().next()));
        if ["st", "nd", "rd", "th", "s"].iter().any(follows) {
            rest = trimmed;
        }
    }
    out
}

/// `$2 and ¢7` becomes `$2.07`, `$0.50` becomes `¢50`, and a lone 1 is written out.
fn postprocess(text: &str) -> String {
    write_ones(&rewrite_money(&rewrite_money(text, dollars_and_cents), cents_only))
}

/// Applies `rule`, which returns a replacement and the bytes that it replaces, at every currency sign.
fn rewrite_money(text: &str, rule: fn(&str) -> Option<(String, usize)>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['€', '£', '$']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let (replacement, used) = rule(rest).unwrap_or_else(|| {
            let sign = rest.chars().next().map_or(0, char::len_utf8);
            (rest[..sign].to_owned(), sign)
        });
        out.push_str(&replacement);
        rest = &rest[used..];
    }
    out + rest
}

/// Digits at the start of `text`.
fn leading_digits(text: &str) -> &str {
    &text[..text.bytes().take_while(u8::is_ascii_digit).count()]
}

/// One or two digits that end a word.
fn cents(text: &str) -> Option<(u32, usize)> {
    let digits = leading_digits(text);
    let ends = matches!(digits.len(), 1 | 2) && is_boundary(text[digits.len()..].chars().next());
    ends.then(|| digits.parse().ok()).flatten().map(|value| (value, digits.len()))
}

fn dollars_and_cents(text: &str) -> Option<(String, usize)> {
    let sign = text.chars().next()?.len_utf8();
    let dollars = leading_digits(&text[sign..]);
    let tail = text[sign + dollars.len()..].strip_prefix(' ').filter(|_| !dollars.is_empty())?;
    let tail = tail.strip_prefix("and ").unwrap_or(tail).strip_prefix('¢')?;
    let (value, length) = cents(tail)?;
    Some((format!("{}.{value:02}", &text[..sign + dollars.len()]), text.len() - tail.len() + length))
}

fn cents_only(text: &str) -> Option<(String, usize)> {
    let sign = text.chars().next()?.len_utf8();
    let tail = text[sign..].strip_prefix('0')?;
    // Any separator, like the bare dot in the reference's pattern.
    let separator = tail.chars().next().filter(|c| *c != '\n')?;
    let tail = &tail[separator.len_utf8()..];
    let (value, length) = cents(tail)?;
    Some((format!("¢{value}"), text.len() - tail.len() + length))
}

/// Replaces a single 1, also before `s`, by `one`.
fn write_ones(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut previous = None;
    for (at, c) in text.char_indices() {
        let tail = &text[at + c.len_utf8()..];
        let end = tail.strip_prefix('s').unwrap_or(tail);
        let alone = is_boundary(tail.chars().next()) || is_boundary(end.chars().next());
        if c == '1' && is_boundary(previous) && alone {
            out.push_str("one");
        } else {
            out.push(c);
        }
        previous = Some(c);
    }
    out
}
