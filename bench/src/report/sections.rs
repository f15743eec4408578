//! The sections of the report.

use super::bars::{Bar, bars};
use super::curves::{Curve, curves};
use super::escape;
use crate::cache_bench::{self, CellResult, Drain, Job, Lane, Results};
use crate::figures::{byte_rate, count, micros, ratio, spread};
use crate::size;
use crate::stats::Estimate;

/// Title and the few facts that place it.
pub(super) fn header(results: &Results) -> String {
    let environment = &results.environment;
    let settings = &results.settings;
    format!(
        "<header><h1>Cache modes of an RBD image</h1>\n<p class=\"sub\">{} · {} × {} · Linux {} · {} · {}</p>\n\
         <p class=\"sub\">{} of {}, cache of {} · {} rounds of {} s each, {} in all</p></header>\n",
        escape(&environment.date),
        environment.cores,
        escape(&environment.cpu_model),
        escape(&environment.kernel),
        escape(&environment.disk.describe()),
        escape(&environment.fio_version),
        escape(&settings.image),
        size::human(settings.image_bytes),
        size::human(settings.cache_bytes),
        settings.repeats,
        settings.runtime_seconds,
        minutes(settings.elapsed_seconds),
    )
}

fn minutes(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    format!("{} min {:02} s", seconds / 60, seconds % 60)
}

/// The numbers in sentences.
pub(super) fn findings(results: &Results) -> String {
    let items: Vec<String> = cache_bench::findings(results)
        .iter()
        .map(|finding| format!("<li>{}</li>\n", escape(finding)))
        .collect();
    if items.is_empty() {
        return String::new();
    }
    format!("<h2>What it says</h2>\n<ul class=\"findings\">\n{}</ul>\n", items.concat())
}

/// What the whole run has to be doubted for.
pub(super) fn doubts(results: &Results) -> String {
    let in_cells = results.cells.iter().filter(|cell| !cell.warnings.is_empty()).count();
    if results.warnings.is_empty() && in_cells == 0 {
        return String::new();
    }
    let mut items: Vec<String> =
        results.warnings.iter().map(|warning| format!("<li>{}</li>\n", escape(warning))).collect();
    if in_cells > 0 {
        items.push(format!(
            "<li>{in_cells} of {} cells have warnings of their own; they stand below their plots</li>\n",
            results.cells.len()
        ));
    }
    format!("<h2>Reasons for doubt</h2>\n<div class=\"doubts\"><ul>\n{}</ul></div>\n", items.concat())
}

/// Acknowledging against draining.
pub(super) fn bursts(results: &Results) -> String {
    let drains: Vec<(&CellResult, &Drain)> = results
        .cells
        .iter()
        .filter_map(|cell| Some((cell, cell.summary.as_ref()?.drain.as_ref()?)))
        .collect();
    let Some((first, drain)) = drains.first() else { return String::new() };
    let plot = |title: &str, value: &dyn Fn(&Drain) -> Option<Estimate>, show: fn(f64) -> String| {
        let rows: Vec<Bar> = drains
            .iter()
            .map(|(cell, drain)| Bar {
                label: cell.lane.to_string(),
                class: cell.lane.name().to_owned(),
                value: value(drain),
                note: if cell.lane.mode().is_some_and(|mode| !mode.honours_flush()) {
                    "the flush is ignored"
                } else {
                    "nothing to drain"
                },
            })
            .collect();
        format!("<div><h4>{title}</h4>\n{}</div>\n", bars(title, &rows, show))
    };
    let plots = [
        plot(
            "Acknowledged: writes while nothing but the acknowledgement is waited for",
            &|d| Some(d.acknowledged_bytes_per_second),
            byte_rate,
        ),
        plot("Drained: the burst over the time of its flush", &|d| d.drain_bytes_per_second, byte_rate),
        plot("Time until clean: how long the flush takes", &|d| d.time_to_clean_us, micros),
        plot("All together: writes per second until durable", &|d| Some(d.durable_iops), count),
    ];
    format!(
        "<h2>Acknowledged is not durable</h2>\n<section class=\"card\"><h3>{}</h3>\n<p class=\"purpose\">Bursts of {} in {} \
         writes, one at a time, then a flush. Where the store acknowledges a write, only the disk's own cache is left to \
         flush.</p>\n<div class=\"plots\">{}</div>\n{}</section>\n",
        escape(&first.job.name),
        size::human(drain.burst_bytes),
        size::human(first.job.block_bytes),
        plots.concat(),
        cell_doubts(results, &first.job.name)
    )
}

/// A card for each job.
pub(super) fn jobs(results: &Results) -> String {
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

fn cell_doubts(results: &Results, job: &str) -> String {
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
        told(versus.map(|versus| &versus.iops_ratio), ratio),
        told(versus.and_then(|versus| versus.cpu_ratio.as_ref()), ratio),
        told(versus.and_then(|versus| versus.p99_ratio.as_ref()), ratio),
        told(summary.versus_null.as_ref().map(|versus| &versus.cpu_difference_us), micros),
    ];
    format!("<tr>{lane}{}</tr>\n", columns.concat())
}

/// How to read it.
pub(super) fn reading(results: &Results) -> String {
    let repeats = results.settings.repeats;
    let coverage = results
        .cells
        .iter()
        .find_map(|cell| cell.summary.as_ref())
        .map_or(0.0, |summary| summary.iops.coverage);
    let caches: String = results
        .settings
        .caches
        .iter()
        .map(|cache| format!("<tr><th>{}</th><td>{}</td></tr>\n", cache.lane, escape(&cache.cache)))
        .collect();
    format!(
        "<h2>How to read it</h2>\n<p>Each figure is the median of {repeats} runs of a real fio process; a whisker and a ± span an \
         interval that holds the true median with a probability of {:.0} %, whatever the distribution. All cells of a round ran in \
         random order, and every ratio was taken within rounds, so drift of the machine falls on both sides.</p>\n\
         <p><b>io_uring</b> is fio's own engine on a prefilled file of the same file system, O_DIRECT, registered file and buffers: \
         what the disk gives. <b>null</b> is fio's engine that does nothing: what fio itself costs. <b>CPU per I/O</b> is user and \
         system time of the whole fio process, kernel workers and engine threads included, from the moment the clock started. \
         <b>CPU − fio</b> is what an I/O costs beyond null. Latency is total latency, submission included. A percentile is shown \
         only when ten I/Os or more lie beyond it. Write jobs end with a flush that counts in their time. The caches \
         that ran, and what decided each:</p>\n<table class=\"facts\"><tbody>\n{caches}</tbody></table>\n",
        coverage * 100.0
    )
}

/// Where it was measured, and how to do so again.
pub(super) fn environment(results: &Results) -> String {
    let rows: String = results
        .environment
        .facts()
        .iter()
        .map(|(label, text)| format!("<tr><th>{label}</th><td>{}</td></tr>\n", escape(text)))
        .collect();
    format!(
        "<h2>Where it was measured</h2>\n<table class=\"facts\"><tbody>\n{rows}</tbody></table>\n<h2>How to repeat it</h2>\n\
         <p>The same order of runs comes from seed {}. The job file and the configuration of each cell lie in <code>jobs/</code> \
         beside this report; one cell alone is <code>fio jobs/NAME.fio</code> on a filled image and file.</p>\n<pre>{}</pre>\n",
        results.settings.seed,
        escape(&results.environment.command_line)
    )
}
