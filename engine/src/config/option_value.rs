//! How the value of an option is written, by the option's kind.

use std::time::Duration;

use super::error::{did_you_mean, near_matches};
use super::options::{OptionKind, OptionValue, ValueError};
use super::size::parse_size;

/// The names of image features with their bits, as the `rbd` command writes them.
pub const FEATURES: [(&str, u64); 11] = [
    ("layering", 1 << 0),
    ("striping", 1 << 1),
    ("exclusive-lock", 1 << 2),
    ("object-map", 1 << 3),
    ("fast-diff", 1 << 4),
    ("deep-flatten", 1 << 5),
    ("journaling", 1 << 6),
    ("data-pool", 1 << 7),
    ("operations", 1 << 8),
    ("migrating", 1 << 9),
    ("non-primary", 1 << 10),
];

/// The longest time an option can name: 100 years in seconds. Beyond it arithmetic on clocks may overflow.
const SECONDS_MAX: f64 = 100.0 * 366.0 * 86_400.0;

/// Parses `text` as a value of `kind`.
pub(super) fn parse(kind: &OptionKind, text: &str) -> Result<OptionValue, ValueError> {
    let text = text.trim();
    match *kind {
        OptionKind::Bool { .. } => parse_bool(text).map(OptionValue::Bool),
        OptionKind::Number { min, max, power_of_two, .. } => {
            parse_bounded(text, min, max, power_of_two).map(OptionValue::Number)
        }
        OptionKind::Size { .. } => {
            let bytes = parse_size(text).map_err(|error| wrong(error.to_string(), None))?;
            Ok(OptionValue::Size(bytes))
        }
        OptionKind::Float { .. } => parse_float(text).map(OptionValue::Float),
        OptionKind::Seconds { .. } => parse_seconds(text).map(OptionValue::Duration),
        OptionKind::TimeSpan { .. } => parse_time_span(text).map(OptionValue::Duration),
        OptionKind::Word { words, .. } => parse_word(text, words).map(OptionValue::Text),
        OptionKind::Features { .. } => parse_features(text).map(OptionValue::Number),
        OptionKind::Text { .. } => Ok(OptionValue::Text(text.to_owned())),
    }
}

fn wrong(reason: String, hint: Option<String>) -> ValueError {
    ValueError { reason, hint }
}

fn parse_bool(text: &str) -> Result<bool, ValueError> {
    if text.eq_ignore_ascii_case("true") {
        return Ok(true);
    }
    if text.eq_ignore_ascii_case("false") {
        return Ok(false);
    }
    if let Ok(number) = text.parse::<i32>() {
        return Ok(number != 0);
    }
    let meant = match text.to_ascii_lowercase().as_str() {
        "yes" | "on" | "y" | "t" | "enable" | "enabled" => Some("write true".to_owned()),
        "no" | "off" | "n" | "f" | "disable" | "disabled" => Some("write false".to_owned()),
        folded => did_you_mean(&near_matches(folded, ["true", "false"])),
    };
    let hint = meant.unwrap_or_else(|| "write true or false".to_owned());
    Err(wrong(format!("{text:?} is neither true nor false"), Some(hint)))
}

/// A whole number with Ceph's decimal units.
fn parse_number(text: &str) -> Result<u64, ValueError> {
    let not_a_number =
        || wrong(format!("{text:?} is not a whole number"), Some("write digits, such as 16".to_owned()));
    let digits_end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(digits_end);
    if digits.is_empty() {
        return Err(not_a_number());
    }
    let factor: u64 = match unit {
        "" | "B" => 1,
        "K" => 1000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        "P" => 1_000_000_000_000_000,
        "E" => 1_000_000_000_000_000_000,
        _ => return Err(not_a_number()),
    };
    let number: Option<u64> = digits.parse().ok();
    number
        .and_then(|number| number.checked_mul(factor))
        .ok_or_else(|| wrong(format!("{text:?} is larger than 2^64 - 1"), None))
}

fn parse_bounded(text: &str, min: u64, max: u64, power_of_two: bool) -> Result<u64, ValueError> {
    let number = parse_number(text)?;
    if number < min || number > max {
        let range = if max == u64::MAX { format!("at least {min}") } else { format!("{min} to {max}") };
        return Err(wrong(format!("{number} is out of bounds"), Some(format!("write {range}"))));
    }
    if power_of_two && !number.is_power_of_two() {
        let near = number.checked_next_power_of_two().map_or(max, |above| above.clamp(min, max));
        let units = if text.ends_with(|c: char| c.is_ascii_alphabetic()) {
            "; in this option K and M count 1000s, as in Ceph"
        } else {
            ""
        };
        return Err(wrong(format!("{number} is not a power of two"), Some(format!("write {near}{units}"))));
    }
    Ok(number)
}

fn parse_float(text: &str) -> Result<f64, ValueError> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) | Err(_) => {
            Err(wrong(format!("{text:?} is not a number"), Some("write a number such as 1.5".to_owned())))
        }
    }
}

fn parse_seconds(text: &str) -> Result<Duration, ValueError> {
    let value = parse_float(text)?;
    if !(0.0..=SECONDS_MAX).contains(&value) {
        let hint = "write seconds from 0 to 100 years, such as 0.5".to_owned();
        return Err(wrong(format!("{value} seconds is out of bounds"), Some(hint)));
    }
    Ok(Duration::from_secs_f64(value))
}

/// Whole seconds, or numbers with units from weeks down to seconds. Seconds with a fraction are accepted too, because
/// some of these options were plain seconds in older releases of Ceph.
fn parse_time_span(text: &str) -> Result<Duration, ValueError> {
    if text.contains('.') {
        return parse_seconds(text);
    }
    let not_a_time = || {
        wrong(
            format!("{text:?} is not a time"),
            Some("write whole seconds, or units such as 5m or 1h 30m".to_owned()),
        )
    };
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits_end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (digits, tail) = rest.split_at(digits_end);
        let tail = tail.trim_start();
        let unit_end = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, next) = tail.split_at(unit_end);
        let seconds_each: u64 = match unit {
            "" | "s" | "sec" | "second" | "seconds" => 1,
            "m" | "min" | "minute" | "minutes" => 60,
            "h" | "hr" | "hour" | "hours" => 3600,
            "d" | "day" | "days" => 86_400,
            "w" | "wk" | "week" | "weeks" => 604_800,
            _ => return Err(not_a_time()),
        };
        let number: u64 = digits.parse().map_err(|_| not_a_time())?;
        total = number
            .checked_mul(seconds_each)
            .and_then(|part| total.checked_add(part))
            .filter(|&total| total as f64 <= SECONDS_MAX)
            .ok_or_else(|| wrong(format!("{text:?} is longer than 100 years"), None))?;
        rest = next.trim_start_matches([' ', '\t', ',']);
    }
    if text.is_empty() { Err(not_a_time()) } else { Ok(Duration::from_secs(total)) }
}

fn parse_word(text: &str, words: &[&'static str]) -> Result<String, ValueError> {
    if words.contains(&text) {
        return Ok(text.to_owned());
    }
    let near = near_matches(text, words.iter().copied());
    let hint = did_you_mean(&near).unwrap_or_else(|| format!("write {}", words.join(", ")));
    let reason = format!("{text:?} is none of {}", words.join(", "));
    Err(wrong(reason, Some(hint)))
}

fn parse_features(text: &str) -> Result<u64, ValueError> {
    let known = FEATURES.iter().fold(0, |mask, (_, bit)| mask | bit);
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        let mask = match text.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).ok(),
            None => text.parse().ok(),
        };
        return match mask {
            Some(mask) if mask & !known == 0 => Ok(mask),
            Some(_) | None => Err(wrong(
                format!("{text:?} is no mask of known features"),
                Some(format!("write 0 to {known}, or feature names separated by commas")),
            )),
        };
    }
    let mut mask = 0;
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let bit = FEATURES.iter().find(|(feature, _)| *feature == name).map(|&(_, bit)| bit);
        mask |= bit.ok_or_else(|| {
            let names = FEATURES.map(|(feature, _)| feature);
            let hint = did_you_mean(&near_matches(name, names))
                .unwrap_or_else(|| format!("write some of {}, separated by commas", names.join(", ")));
            wrong(format!("no image feature is called {name:?}"), Some(hint))
        })?;
    }
    Ok(mask)
}

#[cfg(test)]
mod tests {
    use super::super::options::{flag, number_in, seconds, size, time_span, word};
    use super::*;

    fn error(kind: &OptionKind, text: &str) -> String {
        let error = parse(kind, text).expect_err(text);
        format!("{} ({})", error.reason, error.hint.unwrap_or_default())
    }

    #[test]
    fn booleans_are_true_false_or_a_number() {
        for (text, value) in [("true", true), ("False", false), ("1", true), ("0", false), ("-3", true)] {
            assert_eq!(parse(&flag(true), text), Ok(OptionValue::Bool(value)), "{text}");
        }
        assert!(error(&flag(true), "yes").contains("write true"));
        assert!(error(&flag(true), "off").contains("write false"));
        assert!(error(&flag(true), "ture").contains("did you mean true?"));
        assert!(error(&flag(true), "").contains("write true or false"));
    }

    #[test]
    fn a_number_counts_thousands_and_a_size_counts_1024s() {
        assert_eq!(parse(&number_in(0, 0, u64::MAX), "64K"), Ok(OptionValue::Number(64_000)));
        assert_eq!(parse(&size(0), "64K"), Ok(OptionValue::Size(65_536)));
        assert!(error(&number_in(0, 12, 25), "26").contains("12 to 25"));
        assert!(error(&number_in(0, 1, u64::MAX), "0").contains("at least 1"));
        assert!(error(&number_in(0, 0, 9), "1.5").contains("whole number"));
        assert!(error(&number_in(0, 0, 9), "-1").contains("whole number"));
        assert!(error(&number_in(0, 0, u64::MAX), "99999999999E").contains("2^64"));
        let power = OptionKind::Number { default: 4096, min: 4096, max: 1 << 25, power_of_two: true };
        let message = error(&power, "64K");
        assert!(
            message.contains("64000") && message.contains("65536") && message.contains("1000s"),
            "{message}"
        );
        assert_eq!(parse(&power, "65536"), Ok(OptionValue::Number(65_536)));
    }

    #[test]
    fn times_are_seconds_or_have_units() {
        let half = Duration::from_millis(500);
        assert_eq!(parse(&seconds(0.0), "0.5"), Ok(OptionValue::Duration(half)));
        for text in ["-1", "nan", "inf", "1e300", "", "1s"] {
            assert!(parse(&seconds(0.0), text).is_err(), "{text}");
        }
        for (text, expected) in
            [("90", 90), ("5m", 300), ("1h 30m", 5400), ("2 days", 172_800), ("1w,1s", 604_801)]
        {
            let value = OptionValue::Duration(Duration::from_secs(expected));
            assert_eq!(parse(&time_span(0), text), Ok(value), "{text}");
        }
        assert_eq!(parse(&time_span(0), "0.5"), Ok(OptionValue::Duration(half)));
        for text in ["", "m", "1.5m", "5 parsecs", "99999999999999999999", "9999999999w", "-1"] {
            assert!(parse(&time_span(0), text).is_err(), "{text}");
        }
    }

    #[test]
    fn words_and_features_name_what_is_near() {
        let policy = word("writeback", &["writethrough", "writeback", "writearound"]);
        assert!(error(&policy, "write-back").contains("did you mean writeback?"));
        assert!(error(&policy, "none").contains("writethrough, writeback, writearound"));
        let features = OptionKind::Features { default: 0 };
        assert_eq!(parse(&features, "layering, exclusive-lock"), Ok(OptionValue::Number(5)));
        assert_eq!(parse(&features, "61"), Ok(OptionValue::Number(61)));
        assert_eq!(parse(&features, "0x3d"), Ok(OptionValue::Number(61)));
        assert!(error(&features, "layring").contains("did you mean layering?"));
        assert!(error(&features, "4096").contains("2047"));
    }
}
