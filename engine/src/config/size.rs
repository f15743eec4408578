//! Sizes in bytes as people write them: `512`, `4K`, `10G`, `1TiB`.
//!
//! Units are binary, as in Ceph's size options and in `qemu-img`: `K` is 1024. A bare number is bytes (the `rbd`
//! command alone takes it for MiB). [`Bytes`] prints what it parses, so a printed size can be pasted back.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The units, largest first, with the power of two each stands for.
const UNITS: [(char, u32); 6] = [('E', 60), ('P', 50), ('T', 40), ('G', 30), ('M', 20), ('K', 10)];

/// A number of bytes that parses from and prints as `10 GiB`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

/// Why a text is no size.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SizeError {
    /// Nothing was written.
    #[error("the size is empty (write bytes, or a number with K, M, G, T, P or E such as 10G)")]
    Empty,
    /// The number is missing or has something else in it.
    #[error("size {0:?} has no whole number of bytes in front (write for example 512, 4K or 10G)")]
    NotANumber(String),
    /// A negative size.
    #[error("size {0:?} is negative (write for example 512, 4K or 10G)")]
    Negative(String),
    /// A unit that does not exist.
    #[error("size {text:?} has the unknown unit {unit:?} (use K, M, G, T, P or E, which count 1024s)")]
    UnknownUnit {
        /// The whole text.
        text: String,
        /// The part that is no unit.
        unit: String,
    },
    /// More than 2^64 - 1 bytes.
    #[error("size {0:?} is too large (at most 2^64 - 1 bytes, just under 16E)")]
    TooLarge(String),
}

/// Parses a size: digits, then optionally a unit `K`…`E` with an optional `i` and `B` (`4K`, `4KB`, `4KiB`), or `B`.
///
/// Small letters and one run of spaces before the unit are accepted.
///
/// # Errors
/// Says which part of the text is wrong and what is expected.
pub fn parse_size(text: &str) -> Result<u64, SizeError> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(SizeError::Empty);
    }
    if trimmed.starts_with('-') {
        return Err(SizeError::Negative(trimmed.to_owned()));
    }
    let unsigned = trimmed.strip_prefix('+').unwrap_or(trimmed);
    let digits_end = unsigned.find(|c: char| !c.is_ascii_digit()).unwrap_or(unsigned.len());
    let (digits, unit) = unsigned.split_at(digits_end);
    if digits.is_empty() || unit.starts_with(['.', ',']) {
        return Err(SizeError::NotANumber(trimmed.to_owned()));
    }
    let shift = unit_shift(unit.trim_start())
        .ok_or_else(|| SizeError::UnknownUnit { text: trimmed.to_owned(), unit: unit.trim().to_owned() })?;
    let too_large = || SizeError::TooLarge(trimmed.to_owned());
    let number: u64 = digits.parse().map_err(|_| too_large())?;
    if number.leading_zeros() < shift && number != 0 {
        return Err(too_large());
    }
    Ok(if number == 0 { 0 } else { number << shift })
}

/// Prints a size exactly, in the largest unit that divides it: `10 GiB`, `1536 MiB`, `513 B`.
#[must_use]
pub fn format_size(bytes: u64) -> String {
    for (letter, shift) in UNITS {
        if bytes != 0 && bytes.trailing_zeros() >= shift {
            return format!("{} {letter}iB", bytes >> shift);
        }
    }
    format!("{bytes} B")
}

/// The power of two a unit stands for; `None` for an unknown unit.
fn unit_shift(unit: &str) -> Option<u32> {
    let upper = unit.to_ascii_uppercase();
    let bare = match upper.strip_suffix('B') {
        Some("") => return Some(0),
        Some(bare) => bare,
        None => upper.as_str(),
    };
    if bare.is_empty() {
        return Some(0);
    }
    let letter = bare.strip_suffix('I').unwrap_or(bare);
    UNITS.iter().find(|(unit, _)| letter.chars().eq([*unit])).map(|&(_, shift)| shift)
}

impl FromStr for Bytes {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_size(text).map(Bytes)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format_size(self.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_are_binary_and_a_bare_number_is_bytes() {
        for (text, bytes) in [
            ("0", 0),
            ("512", 512),
            ("512B", 512),
            ("4K", 4096),
            ("4k", 4096),
            ("4KB", 4096),
            ("4KiB", 4096),
            ("4 KiB", 4096),
            ("+4M", 4 << 20),
            ("10G", 10 << 30),
            (" 1T ", 1 << 40),
            ("2P", 2 << 50),
            ("15E", 15 << 60),
            ("0E", 0),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn a_wrong_size_is_named_with_what_is_expected() {
        for (text, expected) in [
            ("", "empty"),
            ("G", "whole number"),
            ("1.5G", "whole number"),
            ("ten", "whole number"),
            ("-1", "negative"),
            ("4X", "unknown unit \"X\""),
            ("4KK", "unknown unit \"KK\""),
            ("4i", "unknown unit \"i\""),
            ("4 G B", "unknown unit"),
            ("16E", "too large"),
            ("18446744073709551616", "too large"),
        ] {
            let message = parse_size(text).expect_err(text).to_string();
            assert!(message.contains(expected) && message.contains(text), "{text}: {message}");
        }
    }

    #[test]
    fn sizes_print_in_the_largest_exact_unit() {
        for (bytes, text) in
            [(0, "0 B"), (513, "513 B"), (1536 << 20, "1536 MiB"), (10 << 30, "10 GiB"), (1 << 60, "1 EiB")]
        {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_back(number: u64, shift in 0u32..64) {
            let bytes = number >> shift << shift.min(63);
            prop_assert_eq!(parse_size(&format_size(bytes)), Ok(bytes));
        }

        #[test]
        fn any_text_is_a_size_or_an_error(text in ".*") {
            let _ = parse_size(&text);
        }
    }
}
