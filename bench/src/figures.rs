//! Numbers as people read them: three digits, a unit, never more precision than was measured.

use crate::stats::Estimate;

/// Three significant digits.
pub(crate) fn three_digits(value: f64) -> String {
    let magnitude = value.abs();
    let decimals = match magnitude {
        0.0 => 0,
        m if m >= 99.95 => 0,
        m if m >= 9.995 => 1,
        m if m >= 0.0995 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

/// A count per second: `164 k`, `3.08 M`.
pub(crate) fn count(value: f64) -> String {
    match value {
        v if v >= 999_500.0 => format!("{} M", three_digits(v / 1e6)),
        v if v >= 9_995.0 => format!("{} k", three_digits(v / 1e3)),
        v => format!("{v:.0}"),
    }
}

/// Bytes per second, in powers of 1000 as disks are sold: `640 MB/s`.
pub(crate) fn byte_rate(value: f64) -> String {
    match value {
        v if v >= 999.5e6 => format!("{} GB/s", three_digits(v / 1e9)),
        v if v >= 999.5e3 => format!("{} MB/s", three_digits(v / 1e6)),
        v => format!("{} kB/s", three_digits(v / 1e3)),
    }
}

/// A time given in µs.
pub(crate) fn micros(us: f64) -> String {
    match us {
        v if v.abs() >= 999_500.0 => format!("{} s", three_digits(v / 1e6)),
        v if v.abs() >= 9_995.0 => format!("{} ms", three_digits(v / 1e3)),
        v => format!("{} µs", three_digits(v)),
    }
}

/// A ratio: `0.97×`.
pub(crate) fn ratio(value: f64) -> String {
    format!("{}×", three_digits(value))
}

/// A ratio with its interval: `0.97× (0.95–0.99)`.
pub(crate) fn ratio_with_interval(estimate: &Estimate) -> String {
    if estimate.repeats < 2 {
        return ratio(estimate.median);
    }
    format!("{} ({}–{})", ratio(estimate.median), three_digits(estimate.low), three_digits(estimate.high))
}

/// How far the interval reaches: `± 4 %`; nothing for a single value.
pub(crate) fn spread(estimate: &Estimate) -> String {
    if estimate.repeats < 2 {
        return String::new();
    }
    let percent = estimate.relative_half_width() * 100.0;
    if percent < 0.95 { format!("± {percent:.1} %") } else { format!("± {percent:.0} %") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        assert_eq!(count(3_080_677.0), "3.08 M");
        assert_eq!(count(163_753.0), "164 k");
        assert_eq!(count(999_600.0), "1.00 M");
        assert_eq!(count(4601.2), "4601");
        assert_eq!(byte_rate(640e6), "640 MB/s");
        assert_eq!(byte_rate(12.6e9), "12.6 GB/s");
        assert_eq!(micros(0.234), "0.23 µs");
        assert_eq!(micros(38_000.0), "38.0 ms");
        assert_eq!(micros(2.5e6), "2.50 s");
        assert_eq!(ratio(0.973), "0.97×");
        assert_eq!(ratio(0.0034), "0.003×");
    }

    #[test]
    fn intervals_only_where_there_are_some() {
        let one = Estimate::of(&[1.0]).unwrap();
        assert_eq!((ratio_with_interval(&one), spread(&one)), ("1.00×".to_owned(), String::new()));
        let three = Estimate::of(&[0.9, 1.0, 1.1]).unwrap();
        assert_eq!(ratio_with_interval(&three), "1.00× (0.90–1.10)");
        assert_eq!(spread(&three), "± 10 %");
    }
}
