//! Sizes as the `rbd` tool takes and shows them.

/// Reads a size: a number with a unit, powers of 1024. As with `rbd`, a bare number counts MiB.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let bare = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let with_unit = if bare { format!("{text}M") } else { text.to_owned() };
    ringbd::config::parse_size(&with_unit).map_err(|error| error.to_string())
}

/// Reads a size: a number with a unit, powers of 1024. As with `rados`, a bare number counts bytes.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    ringbd::config::parse_size(text).map_err(|error| error.to_string())
}

/// Shows a size: whole units when they are exact, else three digits, as `10 GiB`, `1.5 GiB`, `512 B`.
pub(crate) fn human(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let unit = (bytes.max(1).ilog2() / 10) as usize;
    let scale = 1_u64 << (10 * unit);
    if bytes.is_multiple_of(scale) {
        return format!("{} {}", bytes / scale, UNITS[unit]);
    }
    let value = bytes as f64 / scale as f64;
    let decimals = if value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else {
        2
    };
    let mut number = format!("{value:.decimals$}");
    if decimals > 0 {
        number.truncate(number.trim_end_matches('0').trim_end_matches('.').len());
    }
    format!("{number} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_powers_of_1024() {
        assert_eq!(parse("10G"), Ok(10 << 30));
        assert_eq!(parse("1024"), Ok(1 << 30));
        assert_eq!(parse("4096B"), Ok(4096));
        assert_eq!(parse("3kib"), Ok(3072));
        for bad in ["", "G", "-1G", "1.5G", "16E", "99999999999999999999"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_for_people() {
        assert_eq!(human(0), "0 B");
        assert_eq!(human(512), "512 B");
        assert_eq!(human(10 << 30), "10 GiB");
        assert_eq!(human(3 << 29), "1.5 GiB");
        assert_eq!(human((1 << 20) + 1), "1 MiB");
        assert_eq!(human(1000 << 20), "1000 MiB");
        assert_eq!(human((100 << 20) + (300 << 10)), "100 MiB");
        assert_eq!(human(u64::MAX), "16 EiB");
    }
}
