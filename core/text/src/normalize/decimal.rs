//! Whole numbers of any size as decimal digits: number words go up to decillions, and digits have no limit.

/// A number while its words are being read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Number {
    // A whole number has ASCII digits without leading zeros; other text may be `007`, `1.5`, `192.168.`.
    text: String,
    whole: bool,
}

impl Number {
    pub(super) fn whole(value: u32) -> Self {
        Self { text: value.to_string(), whole: true }
    }

    /// Ten to the power `zeros`.
    pub(super) fn power(zeros: usize) -> Self {
        Self { text: format!("1{}", "0".repeat(zeros)), whole: true }
    }

    /// Digits that are read one by one and never computed with.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), whole: false }
    }

    /// A number written in digits; whole if there are only zeros after the point.
    pub(super) fn written(text: &str) -> Self {
        match scaled(text, 0) {
            Some(digits) => Self { text: digits, whole: true },
            None => Self::text(text),
        }
    }

    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    pub(super) fn is_zero(&self) -> bool {
        self.whole && self.text == "0"
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Appends `digits` to the number.
    pub(super) fn append(mut self, digits: &str) -> Self {
        self.text.push_str(digits);
        self.whole = false;
        self
    }

    /// Replaces the last digit.
    pub(super) fn with_last(mut self, digit: u32) -> Self {
        self.text.pop();
        self.text.push_str(&digit.to_string());
        self
    }

    /// Whether the whole number ends in `zeros` zeros, so that a number of that many digits can take their place.
    pub(super) fn is_round(&self, zeros: usize) -> bool {
        self.text == "0" || (self.text.len() > zeros && self.text.bytes().rev().take(zeros).all(|digit| digit == b'0'))
    }

    /// Adds a number below 100 to a number that ends in enough zeros.
    pub(super) fn plus(mut self, small: u32) -> Self {
        let digits = small.to_string();
        self.text.truncate(self.text.len().saturating_sub(digits.len()));
        self.text.push_str(&digits);
        self
    }

    /// Applies a spoken multiplier to the part since the last thousand: `two thousand three` + `hundred` is 2300.
    pub(super) fn multiply_last_thousand(self, zeros: usize) -> Self {
        let split = self.text.len().saturating_sub(3);
        let (before, residual) = self.text.split_at(split);
        let before = if before.is_empty() { "0".to_owned() } else { format!("{before}000") };
        let product = format!("{residual}{}", "0".repeat(zeros));
        Self { text: sum(&before, &product), whole: true }
    }

    /// The number times ten to the power `zeros`, if it is a number and the product is whole.
    pub(super) fn scaled(&self, zeros: usize) -> Option<Self> {
        scaled(&self.text, zeros).map(|text| Self { text, whole: true })
    }
}

/// Digits of `text` × 10^`zeros` without leading zeros, if `text` is a decimal fraction and the product is whole.
fn scaled(text: &str, zeros: usize) -> Option<String> {
    let (integer, fraction) = text.split_once('.').unwrap_or((text, ""));
    if integer.is_empty() && fraction.is_empty() {
        return None;
    }
    let ascii = |digits: &str| -> Option<String> {
        digits.chars().map(|c| super::scan::digit(c).and_then(|value| char::from_digit(value, 10))).collect()
    };
    let mut digits = ascii(integer)?;
    let fraction = ascii(fraction)?;
    let fraction = fraction.trim_end_matches('0');
    let missing = zeros.checked_sub(fraction.len())?;
    digits.push_str(fraction);
    digits.extend(std::iter::repeat_n('0', missing));
    Some(without_leading_zeros(&digits).to_owned())
}

fn without_leading_zeros(digits: &str) -> &str {
    match digits.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    }
}

fn sum(a: &str, b: &str) -> String {
    let mut reversed = Vec::with_capacity(a.len().max(b.len()) + 1);
    let (mut a, mut b) = (a.bytes().rev(), b.bytes().rev());
    let mut carry = 0;
    loop {
        let (x, y) = (a.next(), b.next());
        if x.is_none() && y.is_none() && carry == 0 {
            break;
        }
        let digit = |byte: Option<u8>| byte.map_or(0, |byte| byte - b'0');
        let column = digit(x) + digit(y) + carry;
        reversed.push(b'0' + column % 10);
        carry = column / 10;
    }
    let digits: String = reversed.iter().rev().copied().map(char::from).collect();
    without_leading_zeros(&digits).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn written_numbers_are_whole_or_kept() {
        for (text, digits, whole) in [
            ("007", "7", true),
            ("3.00", "3", true),
            ("3.50", "3.50", false),
            ("0", "0", true),
            ("٣", "3", true),
            ("1.2.3", "1.2.3", false),
        ] {
            let number = Number::written(text);
            assert_eq!((number.as_str(), number.is_whole()), (digits, whole), "{text}");
        }
        assert_eq!(Number::text("2.5").scaled(6).map(|n| n.text), Some("2500000".to_owned()));
        assert_eq!(Number::text(".5").scaled(3).map(|n| n.text), Some("500".to_owned()));
        assert_eq!(Number::text("2.55").scaled(1), None);
        assert_eq!(Number::text(".").scaled(3), None);
    }

    proptest! {
        #[test]
        fn arithmetic_equals_integers(value in 0u64..10_000_000_000, zeros in 2usize..10, small in 1u32..100) {
            let number = Number::written(&value.to_string());
            let product = (value / 1000 * 1000) as u128 + (value % 1000) as u128 * 10u128.pow(zeros as u32);
            prop_assert_eq!(number.clone().multiply_last_thousand(zeros).text, product.to_string());
            let round = value * 100;
            let number = Number::written(&round.to_string());
            prop_assert!(number.is_round(2));
            prop_assert_eq!(number.plus(small).text, (round + u64::from(small)).to_string());
        }
    }
}
