//! Numbers and times as Ceph's tools print them.

use ringbd_proto::types::Utime;

use crate::environment::utc;

/// Digits of a number that count.
const DIGITS: i32 = 6;

/// A number with six digits that count, as C++ prints it: without zeros at the end, and with an exponent where the
/// number is very large or small.
pub(super) fn short(number: f64) -> String {
    if number.is_nan() {
        // As the processor makes it of 0/0.
        return "-nan".to_owned();
    }
    if number.is_infinite() || number == 0.0 {
        return number.to_string();
    }
    let scientific = format!("{number:.*e}", (DIGITS - 1) as usize);
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..DIGITS).contains(&exponent) {
        let decimals = (DIGITS - 1 - exponent).max(0) as usize;
        return without_zeros(&format!("{number:.decimals$}")).to_owned();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", without_zeros(digits), exponent.abs())
}

fn without_zeros(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

/// A weight or the like, 16.16.
pub(super) fn fixed(number: u32) -> String {
    short(f64::from(number as f32 / 65536.0))
}

/// Seconds below which a time is taken for a span: ten years.
const SPAN_SECONDS: u32 = 60 * 60 * 24 * 365 * 10;

/// A time in UTC, or a span in seconds.
pub(super) fn time(time: Utime) -> String {
    let micros = time.nsec / 1000;
    if time.sec < SPAN_SECONDS {
        return format!("{}.{micros:06}", time.sec);
    }
    let moment = utc(time.sec.into());
    format!("{}.{micros:06}+0000", moment.trim_end_matches('Z'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_print_as_in_cpp() {
        for (number, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (0.299_987_8, "0.299988"),
            (0.000_991_821_3, "0.000991821"),
            (0.000_099_182_13, "9.91821e-05"),
            (123_456.0, "123456"),
            (1_234_567.0, "1.23457e+06"),
            (999_999.5, "1e+06"),
            (0.999_999_9, "1"),
            (-2.5, "-2.5"),
            (f64::INFINITY, "inf"),
            (f64::NAN, "-nan"),
        ] {
            assert_eq!(short(number), text);
        }
        assert_eq!(fixed(0x8000), "0.5");
    }

    #[test]
    fn times_are_moments_or_spans() {
        let text = |sec, nsec| time(Utime { sec, nsec });
        assert_eq!(text(1_795_396_422, 7_999), "2026-11-23T01:13:42.000007+0000");
        assert_eq!(text(3600, 500_000_000), "3600.500000");
    }
}
