//! Ratios as dots with whiskers around a line at 1, on a logarithmic axis: twice and half are equally far.

use super::svg::{Anchor, Drawing};
use crate::figures::ratio;
use crate::stats::Estimate;

const WIDTH: f64 = 360.0;
const LABEL_WIDTH: f64 = 124.0;
const VALUE_WIDTH: f64 = 50.0;
const ROW: f64 = 21.0;
const TOP: f64 = 6.0;
const AXIS: f64 = 24.0;

/// A row of the plot.
#[derive(Debug)]
pub(super) struct Ratio {
    pub(super) label: String,
    /// The CSS class that colours it.
    pub(super) class: String,
    pub(super) value: Option<Estimate>,
}

/// The plot. Values beyond the axis stand at its end.
pub(super) fn ratios(description: &str, rows: &[Ratio]) -> String {
    let bottom = TOP + rows.len() as f64 * ROW;
    let mut drawing = Drawing::new(WIDTH, bottom + AXIS, description);
    let reach = reach(rows);
    let right = WIDTH - VALUE_WIDTH;
    let x = |value: f64| {
        let share = (value.max(f64::MIN_POSITIVE).log2() / reach).clamp(-1.0, 1.0);
        LABEL_WIDTH + (share + 1.0) / 2.0 * (right - LABEL_WIDTH)
    };
    for tick in [1.0 / reach.exp2(), (-reach / 2.0).exp2(), 1.0, (reach / 2.0).exp2(), reach.exp2()] {
        drawing.line(if tick == 1.0 { "one" } else { "grid" }, (x(tick), TOP), (x(tick), bottom));
        drawing.text("tick", (x(tick), bottom + 15.0), Anchor::Middle, &tick_name(tick));
    }
    for (index, row) in rows.iter().enumerate() {
        let middle = TOP + (index as f64 + 0.5) * ROW;
        drawing.text("label", (LABEL_WIDTH - 10.0, middle + 4.0), Anchor::End, &row.label);
        let Some(value) = row.value else {
            drawing.text("note", (right + 8.0, middle + 4.0), Anchor::Start, "–");
            continue;
        };
        drawing.line("whisker", (x(value.low), middle), (x(value.high), middle));
        let title =
            format!("{}: {} ({}–{})", row.label, ratio(value.median), ratio(value.low), ratio(value.high));
        drawing.dot(&format!("dot large {}", row.class), (x(value.median), middle), &title);
        drawing.text("value", (right + 8.0, middle + 4.0), Anchor::Start, &ratio(value.median));
    }
    drawing.finish()
}

/// How many doublings the axis reaches to either side: 2, 4 or 6.
fn reach(rows: &[Ratio]) -> f64 {
    let ends = rows.iter().filter_map(|row| row.value).flat_map(|value| [value.low, value.high]);
    let farthest = ends.filter(|end| *end > 0.0).map(|end| end.log2().abs()).fold(0.0, f64::max);
    [2.0, 4.0].into_iter().find(|reach| farthest <= *reach).unwrap_or(6.0)
}

fn tick_name(tick: f64) -> String {
    if tick < 1.0 { format!("1/{:.0}", 1.0 / tick) } else { format!("{tick:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[f64]) -> Ratio {
        Ratio { label: "job".into(), class: "none".into(), value: Estimate::of(values) }
    }

    #[test]
    fn the_axis_reaches_as_far_as_needed() {
        assert_eq!(reach(&[row(&[0.5, 1.0, 3.9])]), 2.0);
        assert_eq!(reach(&[row(&[0.1, 1.0])]), 4.0);
        assert_eq!(reach(&[row(&[1e-9, 1.0])]), 6.0);
        assert_eq!(reach(&[row(&[])]), 2.0);
    }

    #[test]
    fn ticks_are_fractions_and_multiples() {
        assert_eq!([0.25, 1.0, 4.0].map(tick_name), ["1/4", "1", "4"]);
        assert!(ratios("x", &[row(&[]), row(&[1.0, 2.0])]).contains("whisker"));
    }
}
