//! The sections around the plots: what it says, what to doubt, how to read it, where it was measured.

use super::escape;
use crate::cache_bench::{self, Results};
use crate::size;

const READING: &str = include_str!("reading.html");

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

/// How to read it.
pub(super) fn reading(results: &Results) -> String {
    let measured = results.cells.iter().find_map(|cell| cell.summary.as_ref());
    let coverage = measured.map_or(0.0, |summary| summary.iops.coverage * 100.0);
    let row = |lane: &str, cache: &str| format!("<tr><th>{lane}</th><td>{}</td></tr>\n", escape(cache));
    let caches: String =
        results.settings.caches.iter().map(|cache| row(cache.lane.name(), &cache.cache)).collect();
    READING
        .replace("{repeats}", &results.settings.repeats.to_string())
        .replace("{coverage}", &format!("{coverage:.0}"))
        .replace("{caches}", &caches)
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
        "<h2>Where it was measured</h2>\n<table class=\"facts\"><tbody>\n{rows}</tbody></table>\n\
         <h2>How to repeat it</h2>\n<p>The same order of runs comes from seed {}. The job file and the \
         configuration of each cell lie in <code>jobs/</code> beside this report; one cell alone is \
         <code>fio jobs/NAME.fio</code> on a filled image and file.</p>\n<pre>{}</pre>\n",
        results.settings.seed,
        escape(&results.environment.command_line)
    )
}
