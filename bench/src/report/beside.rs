//! The image without a cache against the disk itself.

use super::ratios::{Ratio, ratios};
use crate::cache_bench::{CellResult, Lane, Mode, Results, Versus};
use crate::stats::Estimate;

/// The image without a cache against the disk, job by job.
pub(super) fn section(results: &Results) -> String {
    let cells: Vec<(&CellResult, &Versus)> = results
        .cells
        .iter()
        .filter(|cell| cell.lane == Lane::Image(Mode::None))
        .filter_map(|cell| Some((cell, cell.summary.as_ref()?.versus_io_uring.as_ref()?)))
        .collect();
    if cells.is_empty() {
        return String::new();
    }
    let plot = |title: &str, value: &dyn Fn(&Versus) -> Option<Estimate>| {
        let rows: Vec<Ratio> = cells
            .iter()
            .map(|(cell, versus)| Ratio {
                label: cell.job.name.clone(),
                class: cell.lane.name().to_owned(),
                value: value(versus),
            })
            .collect();
        format!("<div><h4>{title}</h4>\n{}</div>\n", ratios(title, &rows))
    };
    let plots = [
        plot("IOPS: more is better", &|versus| Some(versus.iops_ratio)),
        plot("CPU per I/O: less is better", &|versus| versus.cpu_ratio),
        plot("p99 latency: less is better", &|versus| versus.p99_ratio),
    ];
    format!(
        "<h2>Without a cache, beside the disk</h2>\n<section class=\"card\"><p class=\"purpose\">The image in mode none, \
         divided by fio's own io_uring engine on a file of the same disk, round by round.</p>\n\
         <div class=\"three\">{}</div></section>\n",
        plots.concat()
    )
}
