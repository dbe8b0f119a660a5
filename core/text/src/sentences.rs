//! Finds the ends of sentences, to split a transcript into segments, subtitles and paragraphs.
//!
//! Rules and short lists, no model. A stop ends a sentence unless it belongs to a title, an initial, an abbreviation, a
//! number or an ellipsis inside the sentence. Abbreviations that may end a sentence ("a.m.", "etc.", "U.S.") do so if
//! the next word looks like the beginning of one. English, German, French, Spanish, Italian and Portuguese
//! abbreviations are known, and the stops of other scripts (。, ？, ।, ؟, …). Speech recognisers capitalise the
//! first word of a sentence, so a lower-case letter after a stop means that the sentence continues.
//!
//! Cost: a check of the words around each stop; allocates only lower-case copies of them.

/// Titles before a name: the sentence always continues. Only as written here or in capitals: "gen" is a word, "Gen" is
/// not.
const TITLES: &[&str] = &[
    "Mr", "Mrs", "Ms", "Mx", "Dr", "Drs", "Prof", "Gen", "Col", "Maj", "Capt", "Cpt", "Lt", "Sgt", "Cpl", "Pvt", "Adm",
    "Cmdr", "Rev", "Hon", "Gov", "Sen", "Rep", "Pres", "Fr", "Hr", "Dipl", "Ing", "Mag", "Mme", "Mlle", "Mgr", "Sra",
    "Srta", "Dra", "Dña", "Sig", "Dott", "Avv", "Mt", "Ft", "Bros", "Messrs", "Supt", "Insp", "Det",
];

/// Abbreviations in the middle of a sentence.
const INNER: &[&str] = &[
    "e.g", "i.e", "eg", "ie", "cf", "vs", "viz", "approx", "esp", "resp", "incl", "excl", "z.b", "d.h", "u.a", "o.ä",
    "bzw", "ca", "sog", "vgl", "evtl", "ggf", "p.ej", "p.ex", "c.-à-d", "núm", "prov", "dept", "est", "ext", "tel",
];

/// Abbreviations before a number: the sentence continues if a number follows.
const BEFORE_NUMBERS: &[&str] = &[
    "no", "nos", "nr", "fig", "figs", "vol", "vols", "p", "pp", "pg", "ch", "chap", "sec", "art", "abs", "kap", "bd",
    "pág", "cap", "eq", "par", "op", "rev", "ver", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept",
    "oct", "okt", "nov", "dec", "dez",
];

/// Abbreviations that end a sentence only before a word from [`BEGINNINGS`].
const BEFORE_BEGINNINGS: &[&str] = &[
    "inc", "ltd", "co", "corp", "llc", "plc", "gmbh", "jr", "sr", "st", "ave", "blvd", "rd", "hwy", "ph.d", "esq",
    "cie", "sgt",
];

/// Abbreviations that end a sentence before any capitalised word except the name of a day or month.
const BEFORE_CAPITALS: &[&str] = &["etc", "usw", "a.m", "p.m", "am", "pm", "ecc", "et al", "al", "ff"];

/// Capitalised words that may follow a time or date within a sentence.
const CALENDAR: &[&str] = &[
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "eastern",
    "pacific",
    "central",
    "mountain",
    "gmt",
    "utc",
    "est",
    "pst",
    "cet",
    "januar",
    "februar",
    "märz",
    "mai",
    "juni",
    "juli",
    "oktober",
    "dezember",
    "jahrhundert",
    "jänner",
];

/// Words that often begin sentences and are not names.
const BEGINNINGS: &[&str] = &[
    "the", "a", "an", "this", "that", "these", "those", "he", "she", "it", "it's", "we", "you", "they", "i", "i'm",
    "i'll", "there", "there's", "here", "in", "on", "at", "if", "when", "while", "what", "where", "who", "why", "how",
    "but", "and", "or", "so", "then", "now", "my", "his", "her", "its", "our", "your", "their", "no", "yes", "not",
    "as", "for", "from", "with", "after", "before", "however", "also", "one", "all", "some", "many", "most", "please",
    "do", "did", "does", "is", "are", "was", "were", "can", "could", "will", "would", "let's", "that's", "to", "by",
    "because", "although", "though", "since", "once", "until", "nobody", "everyone", "der", "die", "das", "ein",
    "eine", "er", "sie", "es", "wir", "ihr", "ich", "und", "aber", "doch", "dann", "wenn", "als", "im", "am", "auf",
    "bei", "nach", "vor", "was", "wer", "wie", "wo", "il", "elle", "ils", "elles", "nous", "vous", "je", "on", "et",
    "mais", "ce", "cette", "c'est", "dans", "les", "une", "el", "los", "las", "una", "él", "ella", "pero", "y", "gli",
    "è", "ma", "um", "uma", "mas", "os",
];

/// Whether a sentence ends between `before` and `after`.
///
/// `before` is the text from the beginning of the sentence (or earlier); `after` is the following text, of which only
/// the next word matters. An empty `after` means that the text ends or is not known yet; titles and initials do not end
/// a sentence even then. There may be white space at the end of `before` or the beginning of `after`.
///
/// ```
/// use sotto_text::sentences::sentence_ends;
///
/// assert!(sentence_ends(" It is late.", " We go."));
/// assert!(!sentence_ends(" It is Dr.", " Smith."));
/// assert!(!sentence_ends(" At 10 a.m.", " in the office."));
/// ```
#[must_use]
pub fn sentence_ends(before: &str, after: &str) -> bool {
    let trimmed = before.trim_end();
    let body = trimmed.trim_end_matches(closes);
    let Some(stop) = body.chars().next_back() else { return false };
    let next = after.trim_start();
    if stops_without_space(stop) {
        // A second stop or a closing bracket belongs to the same sentence.
        return !next.starts_with(|c| stops_without_space(c) || (closes(c) && !opens(c)));
    }
    let apart = trimmed.len() < before.len() || next.len() < after.len() || next.is_empty();
    if !stops(stop) || !apart {
        return false;
    }
    let next = next.split_whitespace().map(|word| word.trim_start_matches(|c: char| !c.is_alphanumeric()));
    let next = next.clone().find(|word| !word.is_empty()).unwrap_or_default();
    if next.starts_with(char::is_lowercase) {
        return false;
    }
    stop != '.' || full_stop_ends(body.strip_suffix('.').unwrap_or(body), next)
}

/// The sentences of `text` in order. Joined, they are the text: each keeps the white space before it.
///
/// ```
/// let text = "Mr. Jones came at 10 a.m. and left. Why?";
/// let found: Vec<&str> = sotto_text::sentences::sentences(text).collect();
/// assert_eq!(found, ["Mr. Jones came at 10 a.m. and left.", " Why?"]);
/// ```
pub fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (sentence, left) = rest.split_at(first_end(rest));
        rest = left;
        Some(sentence)
    })
}

/// End of the first sentence of `text` in bytes; white space after the last sentence belongs to it.
fn first_end(text: &str) -> usize {
    let mut characters = text.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        if !stops(c) && !stops_without_space(c) {
            continue;
        }
        let mut end = at + c.len_utf8();
        while let Some((at, c)) = characters.next_if(|&(_, c)| closes(c)) {
            end = at + c.len_utf8();
        }
        let (before, after) = text.split_at(end);
        if !after.trim().is_empty() && sentence_ends(before, after) {
            return end;
        }
    }
    text.len()
}

/// Whether the full stop after `body` ends a sentence before the word `next`, which does not begin with a lower-case
/// letter.
fn full_stop_ends(body: &str, next: &str) -> bool {
    if body.ends_with('.') {
        return true;
    }
    let word = body.rsplit(char::is_whitespace).next().unwrap_or_default();
    let word = word.trim_start_matches(|c: char| !c.is_alphanumeric());
    let word = word.rsplit(['(', '[', '"', '“', '/', '-', '–', '—']).next().unwrap_or_default();
    if word.is_empty() {
        return true;
    }
    if word.chars().all(|c| c.is_ascii_digit()) {
        return number_ends(body, word, next);
    }
    let lower = word.to_lowercase();
    let lower = lower.as_str();
    let is = |list: &[&str]| list.contains(&lower);
    let written = |title: &&str| **title == *word || (word.len() > 1 && title.to_uppercase() == *word);
    if TITLES.iter().any(written) || is(INNER) {
        return false;
    }
    let mut letters = word.chars();
    if let (Some(letter), None) = (letters.next(), letters.next()) {
        // The second half of "z. B." and "e. g.", an initial, or the letter of "plan B".
        let alone = !next.is_empty() && begins(next);
        return if is(BEFORE_NUMBERS) { !next.starts_with(char::is_numeric) } else { !letter.is_alphabetic() || alone };
    }
    if is(BEFORE_NUMBERS) && next.starts_with(|c: char| c.is_numeric()) {
        return false;
    }
    if is(BEFORE_CAPITALS) {
        return !next.starts_with(char::is_numeric) && !is_calendar(next);
    }
    let letters = |part: &str| (1..=2).contains(&part.chars().count()) && part.chars().all(char::is_alphabetic);
    let dotted = word.contains('.') && word.split('.').all(letters);
    if is(BEFORE_BEGINNINGS) || dotted {
        return next.is_empty() || begins(next);
    }
    true
}

/// Whether a full stop after a number ends a sentence: not if it numbers an item at the beginning of a text, or a day
/// before a month.
fn number_ends(body: &str, number: &str, next: &str) -> bool {
    let first = body.trim_start().len() == number.len();
    !(number.len() <= 2 && (first || is_calendar(next)))
}

fn is_calendar(word: &str) -> bool {
    CALENDAR.contains(&bare(word).as_str())
}

/// Whether `word` often begins a sentence; if not, "A." as in "A. Smith" is an initial.
fn begins(word: &str) -> bool {
    !word.ends_with('.') && BEGINNINGS.contains(&bare(word).as_str())
}

fn bare(word: &str) -> String {
    word.trim_end_matches(|c: char| !c.is_alphanumeric()).replace('’', "'").to_lowercase()
}

/// Stops that are followed by a space.
pub(crate) fn stops(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…' | '‼' | '⁇' | '⁈' | '⁉' | '؟' | '۔' | '।' | '॥' | '։' | '።' | '။' | '។')
}

/// Stops of scripts that write no space after them.
pub(crate) fn stops_without_space(c: char) -> bool {
    matches!(c, '。' | '！' | '？' | '｡' | '．')
}

/// Closing quotes and brackets after a stop.
fn closes(c: char) -> bool {
    matches!(
        c,
        '"' | '\'' | '”' | '’' | '“' | '»' | '«' | '›' | '‹' | ')' | ']' | '}' | '」' | '』' | '）' | '】' | '》'
    )
}

/// Marks of [`closes`] that may also open.
fn opens(c: char) -> bool {
    matches!(c, '"' | '\'' | '“' | '«' | '‹' | '»' | '›')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<&str> {
        let found: Vec<&str> = sentences(text).collect();
        assert_eq!(found.concat(), text);
        found.into_iter().map(str::trim).collect()
    }

    /// `|` marks the end of a sentence.
    #[test]
    fn sentences_end_where_a_reader_says_so() {
        for marked in [
            // Several kinds of abbreviations in one text.
            "Dr. Smith met Mr. Jones at 10 a.m. in the U.S. office of AT&T.| They talked.",
            "It is late.| We go home.| Why?| Because!",
            // Titles.
            "I saw Prof. Miller and Mrs. Brown.| Both waved.",
            "Ask Gen. Lee, Lt. Kim or Sgt. Pepper.| MR. JONES knows.",
            "Frau Dr. Weber und Hr. Klein kamen.| Dann gingen sie.",
            "Mme. Curie et M. Dupont sont là.| Elle parle.",
            "La Sra. López llegó.| El Dr. Ruiz no.",
            // Initials and letters.
            "J. K. Rowling wrote it.| J.R.R. Tolkien did not.",
            "George W. Bush spoke.| Plan B. He agreed.".replace("B. He", "B.| He").as_str(),
            "He is John F. Kennedy.| A. Lincoln was before him.",
            // In the middle.
            "Use a tool, e.g. Git, i.e. something good.| It works.",
            "England vs. Germany was on.| We lost.",
            "Das ist z.B. Wasser, d.h. nass.| Es gibt ca. Zwanzig davon.",
            "Das ist z. B. Wasser.| Ja.",
            // What may end a sentence.
            "Pens, paper, etc. are here.| Pens, paper, etc.| Take them.",
            "We met at 9 p.m.| Everyone came.",
            "We met at 9 p.m. Monday night.| It rained.",
            "He lives in the U.S. Government pays him.",
            "He lives in the U.S.| The government pays him.",
            "She works for Apple Inc. in Cupertino.| She works for Apple Inc.| It is large.",
            "Martin Luther King Jr. Boulevard is long.| So says King Jr.| He knows.",
            "He has a Ph.D. in physics.| He has a Ph.D.| We do not.",
            "Meet me on Main St.| The café is there.",
            // Numbers.
            "Pi is 3.14 and a bit.| It costs $10.50.| Good.",
            "See No. 5 and Fig. 3 on p. 12 of Vol. 2.| No.| Never.",
            "It was in 1999.| Then came 2000.",
            "Am 3. Oktober war es.| Im 19. Jahrhundert nicht.",
            "1. Open the box.| 2. Close it.",
            "It was Feb. 29.| Then it was spring.",
            // Ellipses.
            "Well... maybe not.| Wait...| There it is.",
            "Well… maybe.| So…| Now.",
            // Quotes and brackets.
            "\"Who is it?\" he asked.| \"Me!\"| She laughed.",
            "(It was late.)| We left.",
            "He said “stop.”| They stopped.",
            "Er sagte »Halt.«| Sie hielt.",
            // Other scripts.
            "你好。|我很好！|你呢？|好。",
            "「行こう。」|彼は言った。",
            "यह सच है।| हाँ।",
            "هل هذا صحيح؟| نعم.",
            "Really?!| Yes!!!| Good.",
            // Names and words with marks inside.
            "Visit example.com or read v2.0 of it.| Yahoo! is there.| Node.js too.",
            "He did it. iPhones ring.",
            "",
            "No stop at all",
        ] {
            let expected: Vec<&str> = marked.split('|').map(str::trim).filter(|part| !part.is_empty()).collect();
            assert_eq!(cut(&marked.replace('|', "")), expected);
        }
    }

    #[test]
    fn at_the_end_of_what_is_known_only_a_sure_end_counts() {
        for (before, ends) in [
            ("It is late.", true),
            (" It is late. ", true),
            ("Really?\"", true),
            ("At 10 a.m.", true),
            ("pens etc.", true),
            ("in the U.S.", true),
            ("I saw Dr.", false),
            ("John F.", false),
            ("e.g.", false),
            ("It costs 3", false),
            ("It costs,", false),
            ("", false),
            ("   ", false),
            (".", true),
            ("「はい。」", true),
        ] {
            assert_eq!(sentence_ends(before, ""), ends, "{before:?}");
        }
    }

    #[test]
    fn a_word_that_is_not_over_ends_nothing() {
        assert!(!sentence_ends(" It costs 3.", "5 dollars"));
        assert!(!sentence_ends(" He said yes.", "\" Then"));
        assert!(!sentence_ends("好。", "」と"));
        assert!(!sentence_ends("好！", "？"));
    }

    /// The sentences of any text, joined, are the text, and none but the last is blank.
    #[test]
    fn nothing_is_lost_between_sentences() {
        let pieces = [
            "Dr.", " ", "。", "3.", "5", "...", "\"", "A.", "é", "\n", "etc.", " The", "？", "(", ")", "\u{301}",
            "U.S.",
        ];
        let mut seed = 7u64;
        for _ in 0..3000 {
            let text: String = (0..9)
                .map(|_| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    pieces[(seed >> 33) as usize % pieces.len()]
                })
                .collect();
            let found: Vec<&str> = sentences(&text).collect();
            assert_eq!(found.concat(), text);
            assert!(text.trim().is_empty() || found.iter().all(|sentence| !sentence.trim().is_empty()), "{found:?}");
        }
    }
}
