//! Horizontal bars with whiskers: one row a lane, labels that never collide however long.

use super::axis::linear_ticks;
use super::svg::{Anchor, Drawing};
use crate::stats::Estimate;

const WIDTH: f64 = 460.0;
const LABEL_WIDTH: f64 = 92.0;
const VALUE_WIDTH: f64 = 74.0;
const ROW: f64 = 24.0;
const BAR: f64 = 15.0;
const TOP: f64 = 6.0;
const AXIS: f64 = 24.0;

/// A row of the plot.
#[derive(Debug)]
pub(super) struct Bar {
    pub(super) label: String,
    /// The CSS class that colours it.
    pub(super) class: String,
    /// `None` leaves the row empty with `note`.
    pub(super) value: Option<Estimate>,
    /// Stands where there is no value.
    pub(super) note: &'static str,
}

/// The plot; `show` turns a value into text.
pub(super) fn bars(description: &str, rows: &[Bar], show: fn(f64) -> String) -> String {
    let height = TOP + rows.len() as f64 * ROW + AXIS;
    let mut drawing = Drawing::new(WIDTH, height, description);
    let most = rows.iter().filter_map(|row| row.value.map(|value| value.high)).fold(0.0, f64::max);
    let ticks = linear_ticks(most);
    let end = ticks.last().copied().unwrap_or(1.0);
    let x = |value: f64| LABEL_WIDTH + value / end * (WIDTH - LABEL_WIDTH - VALUE_WIDTH);
    let bottom = TOP + rows.len() as f64 * ROW;
    for &tick in &ticks {
        drawing.line("grid", (x(tick), TOP), (x(tick), bottom));
        drawing.text("tick", (x(tick), bottom + 15.0), Anchor::Middle, &plain_tick(tick, show));
    }
    for (index, row) in rows.iter().enumerate() {
        let middle = TOP + (index as f64 + 0.5) * ROW;
        drawing.text("label", (LABEL_WIDTH - 8.0, middle + 4.0), Anchor::End, &row.label);
        let Some(value) = row.value else {
            drawing.text("note", (x(0.0) + 6.0, middle + 4.0), Anchor::Start, row.note);
            continue;
        };
        let title = format!(
            "{}: {} (repeats between {} and {}, coverage {:.0} %)",
            row.label,
            show(value.median),
            show(value.low),
            show(value.high),
            value.coverage * 100.0
        );
        let size = ((x(value.median) - x(0.0)).max(1.0), BAR);
        drawing.rect(&format!("bar {}", row.class), (x(0.0), middle - BAR / 2.0), size, &title);
        whisker(&mut drawing, x(value.low), x(value.high), middle);
        let after = x(value.high.max(value.median)) + 6.0;
        drawing.text("value", (after, middle + 4.0), Anchor::Start, &show(value.median));
    }
    drawing.line("axis", (x(0.0), TOP), (x(0.0), bottom));
    drawing.finish()
}

fn whisker(drawing: &mut Drawing, low: f64, high: f64, middle: f64) {
    if high - low < 0.5 {
        return;
    }
    for class in ["whisker-edge", "whisker"] {
        drawing.line(class, (low, middle), (high, middle));
        drawing.line(class, (low, middle - 4.0), (low, middle + 4.0));
        drawing.line(class, (high, middle - 4.0), (high, middle + 4.0));
    }
}

/// A tick's text: round, so without the zeros that three digits would show.
fn plain_tick(value: f64, show: fn(f64) -> String) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let text = show(value);
    match text.split_once(' ') {
        Some((number, unit)) => format!("{} {unit}", trim_zeros(number)),
        None => trim_zeros(&text).to_owned(),
    }
}

fn trim_zeros(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::{count, micros};

    #[test]
    fn ticks_are_short() {
        assert_eq!(plain_tick(50_000.0, count), "50 k");
        assert_eq!(plain_tick(2.5, micros), "2.5 µs");
        assert_eq!(plain_tick(0.0, micros), "0");
    }

    #[test]
    fn a_row_without_a_value_says_why() {
        let rows = [
            Bar {
                label: "none".into(),
                class: "none".into(),
                value: Estimate::of(&[1.0, 2.0, 3.0]),
                note: "",
            },
            Bar { label: "unsafe".into(), class: "unsafe".into(), value: None, note: "flush ignored" },
        ];
        let svg = bars("a plot", &rows, count);
        assert!(svg.contains("flush ignored") && svg.contains("whisker"));
    }
}
