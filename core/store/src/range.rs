//! The part of a file that a server says it sends.

/// A `Content-Range` of bytes (RFC 9110, section 14.4), as far as a resumed download needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentRange {
    /// First byte of the part.
    pub first: u64,
    /// Last byte of the part.
    pub last: u64,
    /// Length of the whole file, where the server knows it.
    pub total: Option<u64>,
}

impl ContentRange {
    /// Reads `bytes 5-9/10` or `bytes 5-9/*`; none for anything else, for a part that ends before it begins and for one
    /// that ends behind the file.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let (range, total) = header.trim().strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let number = |text: &str| {
            let text = text.trim();
            // `parse` alone would take a sign.
            text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
        };
        let total = match total.trim() {
            "*" => None,
            total => Some(number(total)?),
        };
        let (first, last): (u64, u64) = (number(first)?, number(last)?);
        (first <= last && total.is_none_or(|total| last < total)).then_some(Self { first, last, total })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parts_of_bytes_are_read() {
        let range = |first, last, total| Some(ContentRange { first, last, total });
        assert_eq!(ContentRange::parse("bytes 5-9/10"), range(5, 9, Some(10)));
        assert_eq!(ContentRange::parse(" bytes 0-0/* "), range(0, 0, None));
        assert_eq!(ContentRange::parse("bytes 0 - 4 / 5"), range(0, 4, Some(5)));
    }

    #[test]
    fn everything_else_is_nothing() {
        for header in [
            "",
            "bytes",
            "bytes */10",
            "bytes 5-4/10",
            "bytes 5-10/10",
            "bytes -5/10",
            "bytes +5-9/10",
            "bytes 5-/10",
            "bytes 5-9",
            "bytes 5-9/",
            "items 5-9/10",
            "bytes 5-99999999999999999999/*",
        ] {
            assert_eq!(ContentRange::parse(header), None, "{header}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(first in any::<u64>(), length in 0u64..1 << 40, more in 1u64..1 << 40) {
            let last = first.saturating_add(length);
            let total = last.checked_add(more);
            let stated = total.map_or("*".to_owned(), |total| total.to_string());
            prop_assert_eq!(
                ContentRange::parse(&format!("bytes {first}-{last}/{stated}")),
                Some(ContentRange { first, last, total })
            );
        }

        #[test]
        fn any_text_is_a_part_or_nothing(text in "(bytes )?[0-9*/+ -]{0,30}") {
            if let Some(range) = ContentRange::parse(&text) {
                prop_assert!(range.first <= range.last && range.total.is_none_or(|total| range.last < total));
            }
        }
    }
}
