//! Latency over percentiles: both axes logarithmic, so that the tail takes the room it deserves.

use super::axis::{decades, spread_labels};
use super::svg::{Anchor, Drawing};
use crate::figures::micros;

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 330.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 96.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 26.0;
const LABEL_GAP: f64 = 12.5;

/// The percentiles that the axis names, and that get a dot.
const NAMED: [(f64, &str); 5] =
    [(0.5, "50 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %"), (0.9999, "99.99 %")];

/// One lane's curve.
#[derive(Debug)]
pub(super) struct Curve {
    pub(super) label: String,
    /// The CSS class that colours it.
    pub(super) class: String,
    /// (quantile, µs), rising.
    pub(super) points: Vec<(f64, f64)>,
}

/// The plot; `None` when no curve has a point from the median on.
pub(super) fn curves(description: &str, curves: &[Curve]) -> Option<String> {
    let shown = |curve: &Curve| -> Vec<(f64, f64)> {
        curve.points.iter().copied().filter(|&(quantile, us)| quantile >= 0.5 && us > 0.0).collect()
    };
    let all: Vec<(f64, f64)> = curves.iter().flat_map(shown).collect();
    let low = all.iter().map(|&(_, us)| us).reduce(f64::min)?;
    let high = all.iter().map(|&(_, us)| us).fold(low, f64::max);
    let last_nines = all.iter().map(|&(quantile, _)| nines(quantile)).fold(2.0, f64::max);
    let ticks = decades(low, high);
    let (bottom_us, top_us) = (ticks[0], ticks[ticks.len() - 1]);
    let x = |quantile: f64| {
        let first = nines(0.5);
        LEFT + (nines(quantile) - first) / (last_nines - first) * (WIDTH - LEFT - RIGHT)
    };
    let y = |us: f64| TOP + (top_us / us).log10() / (top_us / bottom_us).log10() * (HEIGHT - TOP - BOTTOM);
    let mut drawing = Drawing::new(WIDTH, HEIGHT, description);
    for &tick in &ticks {
        drawing.line("grid", (LEFT, y(tick)), (WIDTH - RIGHT, y(tick)));
        drawing.text("tick", (LEFT - 6.0, y(tick) + 4.0), Anchor::End, &decade_name(tick));
    }
    for (quantile, name) in NAMED {
        if nines(quantile) <= last_nines + 0.01 {
            drawing.line("grid", (x(quantile), TOP), (x(quantile), HEIGHT - BOTTOM));
            drawing.text("tick", (x(quantile), HEIGHT - BOTTOM + 15.0), Anchor::Middle, name);
        }
    }
    let mut label_y = Vec::new();
    let mut labels = Vec::new();
    for curve in curves {
        let points: Vec<(f64, f64)> =
            shown(curve).into_iter().map(|(quantile, us)| (x(quantile), y(us))).collect();
        let Some(&last) = points.last() else { continue };
        drawing.polyline(&format!("curve {}", curve.class), &points);
        for (quantile, name) in NAMED {
            if let Some(us) = at(&curve.points, quantile) {
                let title = format!("{}: {name} within {}", curve.label, micros(us));
                drawing.dot(&format!("dot {}", curve.class), (x(quantile), y(us)), &title);
            }
        }
        label_y.push(last.1 + 4.0);
        labels.push((curve, last));
    }
    spread_labels(&mut label_y, LABEL_GAP, (TOP + 6.0, HEIGHT - BOTTOM));
    for ((curve, last), label_y) in labels.into_iter().zip(label_y) {
        let edge = WIDTH - RIGHT + 12.0;
        drawing.line(&format!("leader {}", curve.class), (last.0 + 2.0, last.1), (edge, label_y - 4.0));
        drawing.text("label", (edge + 4.0, label_y), Anchor::Start, &curve.label);
    }
    Some(drawing.finish())
}

/// The number of nines of a quantile: 0.99 has two.
fn nines(quantile: f64) -> f64 {
    -(1.0 - quantile).log10()
}

/// The curve's value at `quantile`, from its nearest point.
fn at(points: &[(f64, f64)], quantile: f64) -> Option<f64> {
    points.iter().find(|&&(other, _)| (nines(other) - nines(quantile)).abs() < 0.026).map(|&(_, us)| us)
}

fn decade_name(us: f64) -> String {
    match us {
        v if v < 0.9 => format!("{:.0} ns", v * 1e3),
        v if v < 900.0 => format!("{v:.0} µs"),
        v if v < 900_000.0 => format!("{:.0} ms", v / 1e3),
        v => format!("{:.0} s", v / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decades_have_names() {
        assert_eq!([0.1, 10.0, 1000.0, 1e6].map(decade_name), ["100 ns", "10 µs", "1 ms", "1 s"]);
    }

    #[test]
    fn a_plot_needs_points() {
        assert!(curves("", &[]).is_none());
        let points: Vec<_> =
            (1..60).map(|step| (1.0 - 10f64.powf(-f64::from(step) * 0.05), f64::from(step))).collect();
        assert_eq!(at(&points, 0.9), Some(20.0));
        assert_eq!(at(&points, 0.9999), None);
        let svg = curves("x", &[Curve { label: "none".into(), class: "none".into(), points }]).unwrap();
        assert!(svg.contains("99 % within"));
    }
}
