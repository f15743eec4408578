//! Lists of CPUs such as `0,2-3`, as `taskset -c` and the kernel write them.

/// The largest CPU number; the kernel's own limit on x86 is 8192.
const CPU_MAX: usize = 8191;

/// Parses a list of CPU numbers and ranges. An empty text is an empty list.
pub(super) fn parse_core_list(text: &str) -> Result<Vec<usize>, String> {
    let mut cpus = Vec::new();
    if text.trim().is_empty() {
        return Ok(cpus);
    }
    for part in text.split(',').map(str::trim) {
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (parse_cpu(first)?, parse_cpu(last)?),
            None => (parse_cpu(part)?, parse_cpu(part)?),
        };
        if first > last {
            return Err(format!("the range {part:?} runs backwards"));
        }
        for cpu in first..=last {
            if cpus.contains(&cpu) {
                return Err(format!("CPU {cpu} is listed twice"));
            }
            cpus.push(cpu);
        }
    }
    Ok(cpus)
}

fn parse_cpu(text: &str) -> Result<usize, String> {
    match text.trim().parse() {
        Ok(cpu) if cpu <= CPU_MAX => Ok(cpu),
        Ok(cpu) => Err(format!("CPU {cpu} is above {CPU_MAX}, the highest there can be")),
        Err(_) => Err(format!("{text:?} is no CPU number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ranges_make_a_list_in_order() {
        assert_eq!(parse_core_list(""), Ok(vec![]));
        assert_eq!(parse_core_list("5"), Ok(vec![5]));
        assert_eq!(parse_core_list("4, 0-2"), Ok(vec![4, 0, 1, 2]));
    }

    #[test]
    fn a_wrong_list_is_named() {
        for (text, expected) in [
            ("a", "\"a\" is no CPU number"),
            ("1,", "is no CPU number"),
            ("3-1", "backwards"),
            ("0,0", "CPU 0 is listed twice"),
            ("0-9999", "above 8191"),
            ("-1", "is no CPU number"),
        ] {
            assert!(parse_core_list(text).unwrap_err().contains(expected), "{text}");
        }
    }
}
