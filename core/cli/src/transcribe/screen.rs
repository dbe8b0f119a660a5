//! Text on a terminal whose last part may still change: what to send so that the new replaces the old.

use console::{measure_text_width, truncate_str};

// A pause after which a speaker's next words begin a line.
const PAUSE: f64 = 0.8;

// What ends a sentence or clause and has no space before it.
const MARKS: &[char] = &['.', ',', '!', '?', ';', ':', '…', '。', '，', '、', '！', '？'];

// Volatile text takes at most this many lines: what has scrolled away cannot be drawn over.
const LINES: usize = 3;

/// Follows the cursor of a terminal that wraps lines.
#[derive(Debug)]
pub(super) struct Screen {
    /// Columns; `None` where volatile text is not drawn: the output is a file or a pipe.
    columns: Option<usize>,
    /// Column behind the final text.
    column: usize,
    /// Where the volatile text behind it ends.
    volatile: Option<Cursor>,
    last_end: Option<f64>,
}

/// A place after text that began at some column, counted from the line of its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cursor {
    line: usize,
    column: usize,
}

impl Screen {
    pub(super) fn new(columns: Option<usize>) -> Self {
        Self { columns: columns.map(|columns| columns.max(2)), column: 0, volatile: None, last_end: None }
    }

    /// Final text that was said from `start` to `end`.
    pub(super) fn final_text(&mut self, text: &str, start: f64, end: f64) -> String {
        let mut out = self.erase();
        let paused = self.last_end.is_some_and(|last| start - last >= PAUSE);
        self.last_end = Some(end);
        let text = if paused {
            // Where the line has just begun, it is the new one.
            let next = if self.column > 0 {
                // A mark that the model wrote late belongs to the line before.
                let next = text.trim_start_matches(MARKS);
                // ".5 million" is no mark.
                let next = if next.starts_with(|c: char| !c.is_whitespace()) { text } else { next };
                out.push_str(&text[..text.len() - next.len()]);
                out.push('\n');
                next
            } else {
                text
            };
            self.column = 0;
            next.trim_start()
        } else if self.column == 0 {
            text.trim_start()
        } else {
            text
        };
        out.push_str(text);
        let begun = self.column.max(usize::from(!text.is_empty()));
        self.column = self.columns.map_or(begun, |columns| advance(self.column, text, columns).column);
        out
    }

    /// Volatile text behind the final one, in place of what was there.
    pub(super) fn volatile_text(&mut self, text: &str) -> String {
        let mut out = self.erase();
        let Some(columns) = self.columns else { return out };
        let text = if self.column == 0 { text.trim_start() } else { text };
        let room = (LINES * columns).saturating_sub(self.column);
        let shown = truncate_str(text, room, "…");
        if measure_text_width(&shown) > 0 {
            out.push_str("\x1b[2m");
            out.push_str(&shown);
            out.push_str("\x1b[0m");
            self.volatile = Some(advance(self.column, &shown, columns));
        }
        out
    }

    /// The end of the text.
    pub(super) fn end(&mut self) -> String {
        let erased = self.erase();
        let ended = self.column == 0 && self.last_end.is_some();
        erased + if ended { "" } else { "\n" }
    }

    /// Takes the volatile text away and puts the cursor behind the final one, which may be the beginning of a line.
    fn erase(&mut self) -> String {
        let (Some(end), Some(columns)) = (self.volatile.take(), self.columns) else { return String::new() };
        // Behind a full line the volatile text began on the next one. The cursor stays there: no sequence brings it
        // back to where the next character begins a line of its own, on the last column it would overwrite what is
        // final.
        let mut up = end.line;
        if self.column >= columns {
            (up, self.column) = (up.saturating_sub(1), 0);
        }
        let mut out = String::new();
        if up > 0 {
            out.push_str(&format!("\x1b[{up}A"));
        }
        out.push('\r');
        if self.column > 0 {
            out.push_str(&format!("\x1b[{}C", self.column));
        }
        out + "\x1b[0J"
    }
}

/// Where the cursor is after `text`. Wide characters that do not fit a line's end move to the next; a full line ends
/// only when something follows it.
fn advance(column: usize, text: &str, columns: usize) -> Cursor {
    let mut at = Cursor { line: 0, column };
    for character in text.chars() {
        let width = measure_text_width(character.encode_utf8(&mut [0; 4]));
        if at.column + width > columns {
            at = Cursor { line: at.line + 1, column: 0 };
        }
        at.column += width;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A terminal of a few columns that understands what is sent to it. As on real ones, the cursor waits behind a full
    /// line (`column == columns`) only until it is moved: a movement takes it to the last column at most.
    struct Terminal {
        columns: usize,
        lines: Vec<Vec<char>>,
        line: usize,
        column: usize,
    }

    impl Terminal {
        fn new(columns: usize) -> Self {
            Self { columns, lines: vec![Vec::new()], line: 0, column: 0 }
        }

        fn send(&mut self, text: &str) {
            let mut characters = text.chars();
            while let Some(character) = characters.next() {
                match character {
                    '\x1b' => {
                        let rest = sequence(&mut characters.by_ref().skip(1));
                        self.escape(&rest);
                    }
                    '\r' => self.column = 0,
                    '\n' => (self.line, self.column) = (self.line + 1, 0),
                    character => self.put(character),
                }
                while self.lines.len() <= self.line {
                    self.lines.push(Vec::new());
                }
            }
        }

        fn put(&mut self, character: char) {
            let width = measure_text_width(character.encode_utf8(&mut [0; 4]));
            if self.column + width > self.columns {
                (self.line, self.column) = (self.line + 1, 0);
            }
            while self.lines.len() <= self.line {
                self.lines.push(Vec::new());
            }
            let line = &mut self.lines[self.line];
            line.resize(line.len().max(self.column + width), ' ');
            line[self.column] = character;
            for filler in &mut line[self.column + 1..self.column + width] {
                *filler = '\0';
            }
            self.column += width;
        }

        fn escape(&mut self, sequence: &str) {
            let (number, command) = sequence.split_at(sequence.len() - 1);
            let number = number.parse().unwrap_or(1);
            if command != "m" {
                self.column = self.column.min(self.columns - 1);
            }
            match command {
                "A" => self.line -= number,
                "C" => self.column = (self.column + number).min(self.columns - 1),
                "J" => {
                    self.lines[self.line].truncate(self.column);
                    self.lines.truncate(self.line + 1);
                }
                "m" => {}
                other => panic!("unknown sequence {other}"),
            }
        }

        fn shown(&self) -> String {
            let line = |line: &Vec<char>| line.iter().filter(|&&c| c != '\0').collect::<String>().trim_end().to_owned();
            self.lines.iter().map(line).collect::<Vec<_>>().join("\n").trim_end().to_owned()
        }
    }

    /// Up to the letter that ends an escape sequence, with it.
    fn sequence(characters: &mut impl Iterator<Item = char>) -> String {
        let mut sequence = String::new();
        for character in characters {
            sequence.push(character);
            if character.is_ascii_alphabetic() {
                break;
            }
        }
        sequence
    }

    /// The terminal's text, its wrapped lines joined.
    fn joined(terminal: &Terminal) -> String {
        terminal.shown().replace('\n', "")
    }

    #[test]
    fn volatile_text_is_drawn_over_however_it_wraps() {
        for columns in [2, 3, 5, 8, 80] {
            for final_length in 0..12 {
                let (mut screen, mut terminal) = (Screen::new(Some(columns)), Terminal::new(columns));
                let spoken = "x".repeat(final_length);
                terminal.send(&screen.final_text(&spoken, 0.0, 1.0));
                for guess in ["", "ab", "abcdef", "日本語", "é日b", "q"] {
                    terminal.send(&screen.volatile_text(guess));
                    let room = (LINES * columns).saturating_sub(final_length.min(columns));
                    if measure_text_width(guess) < room.saturating_sub(LINES) {
                        let shown: String = joined(&terminal).chars().filter(|c| !c.is_whitespace()).collect();
                        assert_eq!(shown, format!("{spoken}{guess}"), "{columns} columns, {final_length} final");
                    }
                }
                terminal.send(&screen.final_text("z", 1.0, 2.0));
                terminal.send(&screen.end());
                assert_eq!(joined(&terminal), format!("{spoken}z"), "{columns} columns, {final_length} final");
            }
        }
    }

    #[test]
    fn a_mark_that_comes_after_the_pause_ends_the_line_before_it() {
        let mut screen = Screen::new(None);
        let lines = [(" Please call Dr. Yang", 0.0), (". I can't find it", 3.0), ("?", 6.0), (" Did you?", 6.5)];
        let printed: String = lines.map(|(text, start)| screen.final_text(text, start, start + 1.0)).concat();
        assert_eq!(printed, "Please call Dr. Yang.\nI can't find it?\nDid you?");
        assert_eq!(Screen::new(None).final_text("... well", 3.0, 4.0), "... well");
        let mut screen = Screen::new(None);
        let lines =
            [(" It costs 3", 0.0), (".5 million", 3.0)].map(|(text, start)| screen.final_text(text, start, start));
        assert_eq!(lines.concat(), "It costs 3\n.5 million");
    }

    #[test]
    fn final_text_that_fills_a_line_stays_whole() {
        let (mut screen, mut terminal) = (Screen::new(Some(4)), Terminal::new(4));
        terminal.send(&screen.final_text("abcd", 0.0, 1.0));
        terminal.send(&screen.volatile_text(" guess"));
        terminal.send(&screen.final_text(" e", 1.1, 2.0));
        assert_eq!(terminal.shown(), "abcd\ne");
        terminal.send(&screen.volatile_text(" f"));
        terminal.send(&screen.final_text(" fg", 2.0, 3.0));
        terminal.send(&screen.volatile_text("more"));
        // The pause finds a new line already there and leaves no empty one.
        terminal.send(&screen.final_text(" h", 5.0, 6.0));
        terminal.send(&screen.end());
        assert_eq!(terminal.shown(), "abcd\ne fg\nh");
    }

    #[test]
    fn a_pause_begins_a_new_line_and_a_short_one_does_not() {
        let mut screen = Screen::new(None);
        let out = screen.final_text(" One", 0.0, 1.0) + &screen.final_text(" two.", 1.2, 2.0);
        let out = out + &screen.volatile_text("never shown") + &screen.final_text(" Three", 4.0, 5.0) + &screen.end();
        assert_eq!(out, "One two.\nThree\n");
    }

    #[test]
    fn volatile_text_never_takes_more_lines_than_can_be_drawn_over() {
        let mut screen = Screen::new(Some(10));
        screen.volatile_text(&"word ".repeat(100));
        assert!(screen.volatile.is_some_and(|end| end.line < LINES));
    }
}
