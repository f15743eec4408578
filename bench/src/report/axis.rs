//! Where the ticks of an axis go.

/// Round values from 0 to at least `most`, four or five of them; the last is the end of the axis.
pub(super) fn linear_ticks(most: f64) -> Vec<f64> {
    if !(most.is_finite() && most > 0.0) {
        return vec![0.0, 1.0];
    }
    let raw = most / 4.0;
    let scale = 10f64.powf(raw.log10().floor());
    let step =
        [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|factor| factor * scale).find(|step| *step >= raw * 0.999);
    let step = step.unwrap_or(10.0 * scale);
    let steps = (most / step - 1e-9).ceil().max(1.0) as usize;
    (0..=steps).map(|index| index as f64 * step).collect()
}

/// The powers of ten that enclose `low` and `high`, both positive.
pub(super) fn decades(low: f64, high: f64) -> Vec<f64> {
    let first = low.log10().floor() as i32;
    let last = (high.log10().ceil() as i32).max(first + 1);
    (first..=last).map(|exponent| 10f64.powi(exponent)).collect()
}

/// Moves labels apart: positions in the order given, each at least `gap` from the next, as near as can be to
/// where they were.
pub(super) fn spread_labels(positions: &mut [f64], gap: f64, limits: (f64, f64)) {
    let mut order: Vec<usize> = (0..positions.len()).collect();
    order.sort_by(|&a, &b| positions[a].total_cmp(&positions[b]));
    let mut floor = limits.0;
    for &index in &order {
        positions[index] = positions[index].max(floor);
        floor = positions[index] + gap;
    }
    let mut ceiling = limits.1;
    for &index in order.iter().rev() {
        positions[index] = positions[index].min(ceiling);
        ceiling = positions[index] - gap;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_reach_the_end() {
        assert_eq!(linear_ticks(163_000.0), [0.0, 50_000.0, 100_000.0, 150_000.0, 200_000.0]);
        assert_eq!(linear_ticks(4.0), [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(linear_ticks(0.0), [0.0, 1.0]);
        for most in [0.003, 0.7, 1.0, 9.99, 55.0, 3.1e6] {
            let ticks = linear_ticks(most);
            assert!(
                (4..=6).contains(&ticks.len()) && *ticks.last().unwrap() >= most * 0.999,
                "{most}: {ticks:?}"
            );
        }
    }

    #[test]
    fn decades_enclose() {
        assert_eq!(decades(0.2, 900.0), [0.1, 1.0, 10.0, 100.0, 1000.0]);
        assert_eq!(decades(10.0, 10.0), [10.0, 100.0]);
    }

    #[test]
    fn labels_do_not_overlap() {
        let mut positions = [10.0, 11.0, 50.0, 10.5];
        spread_labels(&mut positions, 12.0, (0.0, 60.0));
        let mut sorted = positions;
        sorted.sort_by(f64::total_cmp);
        assert!(sorted.windows(2).all(|pair| pair[1] - pair[0] >= 12.0 - 1e-9), "{positions:?}");
        assert!(sorted[0] >= 0.0 && sorted[3] <= 60.0);
    }
}
