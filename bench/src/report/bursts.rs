//! Bursts of writes, each with a flush at its end: acknowledging against draining.

use super::bars::{Bar, bars};
use super::escape;
use super::jobs::cell_doubts;
use crate::cache_bench::{CellResult, Drain, Results};
use crate::figures::{byte_rate, count, micros};
use crate::size;
use crate::stats::Estimate;

/// Acknowledging against draining.
pub(super) fn section(results: &Results) -> String {
    let cells: Vec<&CellResult> = results.cells.iter().filter(|cell| cell.job.is_burst()).collect();
    let Some(first) = cells.first() else { return String::new() };
    let drain = |cell: &CellResult| cell.summary.as_ref().and_then(|summary| summary.drain.clone());
    let plot = |title: &str, value: &dyn Fn(&Drain) -> Option<Estimate>, show: fn(f64) -> String| {
        let rows: Vec<Bar> = cells
            .iter()
            .map(|cell| Bar {
                label: cell.lane.to_string(),
                class: cell.lane.name().to_owned(),
                value: drain(cell).as_ref().and_then(value),
                note: no_drain(cell),
            })
            .collect();
        format!("<div><h4>{title}</h4>\n{}</div>\n", bars(title, &rows, show))
    };
    let plots = [
        plot(
            "Acknowledged, between the flushes",
            &|drain| Some(drain.acknowledged_bytes_per_second),
            byte_rate,
        ),
        plot("Drained, by the flush", &|drain| drain.drain_bytes_per_second, byte_rate),
        plot("Time until clean: how long the flush takes", &|drain| drain.time_to_clean_us, micros),
        plot("All together: writes per second until durable", &|drain| Some(drain.durable_iops), count),
    ];
    format!(
        "<h2>Acknowledged is not durable</h2>\n<section class=\"card\"><h3>{}</h3>\n<p class=\"purpose\">Bursts of {} \
         in {} writes, one at a time, then a flush. Where the store acknowledges a write, only the disk's own cache \
         is left to flush.</p>\n<div class=\"plots\">{}</div>\n{}</section>\n",
        escape(&first.job.name),
        size::human(first.job.burst_bytes()),
        size::human(first.job.block_bytes),
        plots.concat(),
        cell_doubts(results, &first.job.name)
    )
}

/// Why a burst has no figure.
fn no_drain(cell: &CellResult) -> &'static str {
    let ignores_flush = cell.lane.mode().is_some_and(|mode| !mode.honours_flush());
    match &cell.summary {
        None => "failed",
        Some(summary) if summary.drain.is_none() => "too slow: a run ended before its first flush",
        Some(_) if ignores_flush => "the flush is ignored",
        Some(_) => "nothing to drain",
    }
}
