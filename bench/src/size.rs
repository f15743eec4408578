//! Sizes as the `rbd` tool takes and shows them.

/// Reads a size: a number with a unit `B K M G T P E` (also `KiB`…), powers of 1024. As with `rbd`, a bare number counts MiB.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "b" => 0,
        "k" | "ki" | "kib" => 10,
        "" | "m" | "mi" | "mib" => 20,
        "g" | "gi" | "gib" => 30,
        "t" | "ti" | "tib" => 40,
        "p" | "pi" | "pib" => 50,
        "e" | "ei" | "eib" => 60,
        _ => return Err(format!("`{text}` is not a size (write it like 10G, 512M or 4096B)")),
    };
    let number: u64 = number.parse().map_err(|_| format!("`{text}` is not a size (write it like 10G, 512M or 4096B)"))?;
    number.checked_mul(1 << shift).ok_or_else(|| format!("`{text}` is too large: the most is 16E - 1B"))
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
    let decimals = if value >= 99.95 { 0 } else if value >= 9.995 { 1 } else { 2 };
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
        assert_eq!(parse("15E"), Ok(15 << 60));
        for bad in ["", "G", "-1G", "1.5G", "10GB", "10 G", "16E", "99999999999999999999"] {
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
