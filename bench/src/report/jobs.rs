//! A card for each job: rates, costs, latencies, the figures behind them and what to doubt.

use super::bars::{Bar, bars};
use super::curves::{Curve, curves};
use super::escape;
use crate::cache_bench::{CellResult, Job, Lane, Results};
use crate::figures::{byte_rate, count, micros, ratio, spread};
use crate::stats::Estimate;

/// A card for each job.
pub(super) fn section(results: &Results) -> String {
    let cards: Vec<String> = results.jobs().into_iter().map(|job| job_card(results, job)).collect();
    format!("<h2>Job by job</h2>\n{}", cards.concat())
}

fn job_card(results: &Results, job: &Job) -> String {
    let cells: Vec<&CellResult> = results.cells.iter().filter(|cell| cell.job.name == job.name).collect();
    // Next to a disk the null engine's rate dwarfs everything; beside cache hits it is the measure.
    let fits = job.fits(results.settings.cache_bytes);
    let rates: Vec<Bar> = cells
        .iter()
        .filter(|cell| fits || cell.lane != Lane::Null)
        .map(|cell| bar(cell, Figure::Iops))
        .collect();
    let costs: Vec<Bar> = cells.iter().map(|cell| bar(cell, Figure::Cpu)).collect();
    let latencies: Vec<Curve> = cells
        .iter()
        .filter(|cell| fits || cell.lane != Lane::Null)
        .filter_map(|cell| {
            let points = cell.summary.as_ref()?.latency_curve.clone();
            Some(Curve { label: cell.lane.to_string(), class: cell.lane.name().to_owned(), points })
        })
        .collect();
    let latency = curves(&format!("Latency percentiles of {}", job.name), &latencies)
        .map_or(String::new(), |plot| {
            format!("<div><h4>Latency within which a share of the I/Os ended</h4>\n{plot}</div>\n")
        });
    format!(
        "<section class=\"card\" id=\"{name}\"><h3>{name}</h3>\n<p class=\"purpose\">{}. {}.</p>\n<div class=\"plots\">\n\
         <div><h4>IOPS</h4>\n{}<h4>CPU per I/O, user and system, whole process</h4>\n{}</div>\n{latency}</div>\n{}\
         <details><summary>Figures</summary><div class=\"scroll\">{}</div></details></section>\n",
        escape(&job.purpose),
        escape(&job.shape()),
        bars(&format!("IOPS of {}", job.name), &rates, count),
        bars(&format!("CPU per I/O of {}", job.name), &costs, micros),
        cell_doubts(results, &job.name),
        job_table(&cells),
        name = escape(&job.name),
    )
}

#[derive(Clone, Copy)]
enum Figure {
    Iops,
    Cpu,
}

fn bar(cell: &CellResult, figure: Figure) -> Bar {
    let value = cell.summary.as_ref().map(|summary| match figure {
        Figure::Iops => summary.iops,
        Figure::Cpu => summary.cpu_us_per_io,
    });
    Bar { label: cell.lane.to_string(), class: cell.lane.name().to_owned(), value, note: "failed" }
}

/// The warnings of a job's cells.
pub(super) fn cell_doubts(results: &Results, job: &str) -> String {
    let of_job = results.cells.iter().filter(|cell| cell.job.name == job);
    let doubts: Vec<String> = of_job
        .flat_map(|cell| cell.warnings.iter().map(move |warning| (cell.lane, warning)))
        .map(|(lane, warning)| format!("<p class=\"doubt\">{lane}: {}</p>\n", escape(warning)))
        .collect();
    match doubts.len() {
        0..=2 => doubts.concat(),
        many => format!(
            "<details><summary class=\"doubt\">{many} reasons for doubt</summary>{}</details>\n",
            doubts.concat()
        ),
    }
}

fn job_table(cells: &[&CellResult]) -> String {
    let head = [
        "lane",
        "IOPS",
        "rate",
        "CPU per I/O",
        "p50",
        "p90",
        "p99",
        "p99.9",
        "p99.99",
        "flush",
        "IOPS : disk",
        "CPU : disk",
        "p99 : disk",
        "CPU − fio",
    ];
    let head: String = head.iter().map(|title| format!("<th>{title}</th>")).collect();
    let rows: String = cells.iter().map(|cell| table_row(cell)).collect();
    format!("<table><thead><tr>{head}</tr></thead><tbody>\n{rows}</tbody></table>")
}

fn table_row(cell: &CellResult) -> String {
    let lane = format!("<td><span class=\"swatch {0}\"></span>{0}</td>", cell.lane);
    let Some(summary) = &cell.summary else { return format!("<tr>{lane}<td>failed</td></tr>\n") };
    let told = |estimate: Option<&Estimate>, show: fn(f64) -> String| match estimate {
        None => "<td>–</td>".to_owned(),
        Some(estimate) => {
            format!("<td>{} <span class=\"spread\">{}</span></td>", show(estimate.median), spread(estimate))
        }
    };
    let latency = &summary.latency_us;
    // What a null device does beside a disk is no news.
    let versus = summary.versus_io_uring.as_ref().filter(|_| cell.lane != Lane::Null);
    let columns = [
        told(Some(&summary.iops), count),
        told(Some(&summary.bytes_per_second), byte_rate),
        told(Some(&summary.cpu_us_per_io), micros),
        told(latency.p50.as_ref(), micros),
        told(latency.p90.as_ref(), micros),
        told(latency.p99.as_ref(), micros),
        told(latency.p99_9.as_ref(), micros),
        told(latency.p99_99.as_ref(), micros),
        told(summary.flush_us.as_ref(), micros),
        told(versus.map(|versus| &versus.iops_ratio), ratio),
        told(versus.and_then(|versus| versus.cpu_ratio.as_ref()), ratio),
        told(versus.and_then(|versus| versus.p99_ratio.as_ref()), ratio),
        told(summary.versus_null.as_ref().map(|versus| &versus.cpu_difference_us), micros),
    ];
    format!("<tr>{lane}{}</tr>\n", columns.concat())
}
