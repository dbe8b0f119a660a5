//! Lines of a cue: how wide a text is, and where it breaks best.

/// Width of `text` in columns: wide characters take two, combining marks none.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

fn columns(c: char) -> usize {
    match c {
        // Combining marks, joiners, variation selectors.
        '\u{0300}'..='\u{036f}' | '\u{200b}'..='\u{200f}' | '\u{20d0}'..='\u{20ff}' | '\u{fe00}'..='\u{fe0f}' => 0,
        '\u{0591}'..='\u{05bd}' | '\u{064b}'..='\u{065f}' | '\u{0e31}' | '\u{0e34}'..='\u{0e3a}' => 0,
        '\u{0e47}'..='\u{0e4e}' => 0,
        // Hangul, Han, kana, full-width forms, emoji (Unicode's East Asian Width W and F, without the odd single ones).
        '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{303e}' | '\u{3041}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' => 2,
        '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe4f}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}' => 2,
        '\u{1f300}'..='\u{1f64f}' | '\u{1f900}'..='\u{1f9ff}' | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

/// Whether `text` fits on one or two lines of `limit` columns.
pub(super) fn fits(text: &str, limit: usize) -> bool {
    width(text) <= limit || best_break(text, limit).is_some()
}

/// `text` on as few lines as possible; two lines are balanced. White space is normalised first.
pub(super) fn balanced(text: &str, limit: usize) -> Vec<String> {
    let text = evened(text);
    let text = text.as_str();
    if width(text) <= limit {
        return vec![text.to_owned()];
    }
    if let Some(at) = best_break(text, limit) {
        let (first, second) = text.split_at(at);
        return vec![first.trim_end().to_owned(), second.trim_start().to_owned()];
    }
    filled(text, limit)
}

/// Replaces runs of white space by one space and removes control characters.
pub(super) fn evened(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// Where to break `text` into two fitting lines: as even as possible, preferably after punctuation.
fn best_break(text: &str, limit: usize) -> Option<usize> {
    let total = width(text);
    let mut best: Option<(f32, usize)> = None;
    for at in breaks(text) {
        let (first, second) = (width(text[..at].trim_end()), width(text[at..].trim_start()));
        if first == 0 || second == 0 || first > limit || second > limit {
            continue;
        }
        let uneven = first.abs_diff(second) as f32;
        let last = text[..at].trim_end().chars().next_back();
        let good = if last.is_some_and(is_clause_end) { total as f32 * 0.25 } else { 0.0 };
        // A longer second line reads better than a longer first line.
        let cost = uneven - good + if first > second { 1.0 } else { 0.0 };
        if best.is_none_or(|(least, _)| cost < least) {
            best = Some((cost, at));
        }
    }
    best.map(|(_, at)| at)
}

/// Places where a line may break: before spaces, and between characters of scripts without them.
pub(super) fn breaks(text: &str) -> impl Iterator<Item = usize> {
    let mut before = None;
    text.char_indices().filter_map(move |(at, c)| {
        let last = before.replace(c)?;
        let wide = columns(last) == 2 && !is_opening(last) || columns(c) == 2 && !is_opening(last);
        let may = c == ' ' || (last != ' ' && wide && columns(c) > 0 && !keeps_to_the_left(c));
        may.then_some(at)
    })
}

/// As many lines of `limit` columns as needed; longer words are broken between characters.
fn filled(text: &str, limit: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = text;
    while width(rest) > limit {
        let fitting = breaks(rest).take_while(|&at| width(rest[..at].trim_end()) <= limit).last();
        let at = fitting.unwrap_or_else(|| hard_break(rest, limit));
        let (line, left) = rest.split_at(at);
        lines.push(line.trim().to_owned());
        rest = left.trim_start();
    }
    lines.push(rest.to_owned());
    lines.retain(|line| !line.is_empty());
    lines
}

/// The last position within `limit` columns that does not split a character from its marks.
pub(super) fn hard_break(text: &str, limit: usize) -> usize {
    let mut columns_so_far = 0;
    for (at, c) in text.char_indices() {
        columns_so_far += columns(c);
        if columns_so_far > limit && at > 0 {
            return at;
        }
    }
    text.len()
}

/// Whether a space is written between two texts.
pub(super) fn needs_space(before: &str, after: &str) -> bool {
    let wide = |c: Option<char>| c.is_some_and(|c| columns(c) == 2 && !matches!(c, '\u{ac00}'..='\u{d7a3}'));
    !(wide(before.chars().next_back()) && wide(after.chars().next()))
}

pub(super) fn is_clause_end(c: char) -> bool {
    matches!(c, ',' | ';' | ':' | '–' | '—' | '、' | '，' | '；' | '：' | '،') || is_sentence_mark(c)
}

fn is_sentence_mark(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…' | '。' | '！' | '？')
}

fn is_opening(c: char) -> bool {
    matches!(c, '(' | '[' | '{' | '«' | '“' | '‘' | '「' | '『' | '（' | '【' | '《')
}

/// Marks that never begin a line.
fn keeps_to_the_left(c: char) -> bool {
    is_clause_end(c)
        || matches!(c, ')' | ']' | '}' | '»' | '”' | '’' | '」' | '』' | '）' | '】' | '》' | 'ー' | '々' | '・')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_balanced_and_break_behind_punctuation() {
        for (text, limit, expected) in [
            ("Short.", 42, &["Short."][..]),
            ("  so \n\n it\tis  ", 42, &["so it is"]),
            ("one two three four five six", 16, &["one two three", "four five six"]),
            ("When the rain stopped, we all walked home", 30, &["When the rain stopped,", "we all walked home"]),
            ("我们今天去公园散步然后回家吃晚饭。", 20, &["我们今天去公园散", "步然后回家吃晚饭。"]),
            ("Donaudampfschifffahrtsgesellschaft", 20, &["Donaudampfschifffahr", "tsgesellschaft"]),
            ("", 20, &[""]),
        ] {
            assert_eq!(balanced(text, limit), expected, "{text}");
        }
    }

    #[test]
    fn no_line_is_longer_than_asked_for_or_blank() {
        let words = ["a", "long", "wörd", "今天", "e\u{301}e\u{301}", "x".repeat(30).leak(), "-", "“so”"];
        let mut seed = 5u64;
        for limit in [8, 13, 42] {
            for _ in 0..500 {
                let text: Vec<&str> = (0..12)
                    .map(|_| {
                        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        words[(seed >> 33) as usize % words.len()]
                    })
                    .collect();
                let lines = balanced(&text.join(" "), limit);
                assert!(lines.iter().all(|line| width(line) <= limit && !line.trim().is_empty()), "{limit} {lines:?}");
                let bare = |text: &str| text.replace(' ', "");
                assert_eq!(bare(&lines.concat()), bare(&text.concat()));
                assert_eq!(
                    fits(&text.join(" "), limit),
                    lines.len() <= 2 && { lines.len() == 1 || best_break(&text.join(" "), limit).is_some() }
                );
            }
        }
    }
}
