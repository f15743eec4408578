//! The tables of a terminal.

use std::fmt::Write as _;

use comfy_table::{Cell, CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

use super::findings::findings;
use super::mode::Lane;
use super::options::Matrix;
use super::plan::Plan;
use super::results::{CellResult, Results};
use crate::figures::{byte_rate, count, micros, ratio, spread};
use crate::stats::Estimate;

/// Lines above, below and under the header; none between rows.
const STYLE: TableStyle = comfy_table::presets::UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none());

/// What is shown for a figure that could not be told.
const UNTOLD: &str = "–";

/// The plan of `--dry-run`.
pub(super) fn plan(plan: &Plan, matrix: &Matrix) -> String {
    let mut table = new_table(&["job", "what fio does", "why"], 0);
    for job in &matrix.jobs {
        table.add_row([job.name.clone(), job.shape(), job.purpose.clone()]);
    }
    let lanes: Vec<_> = matrix.lanes.iter().map(ToString::to_string).collect();
    let order: Vec<_> =
        plan.slots.iter().take(plan.cells.len()).map(|slot| plan.cells[slot.cell].name()).collect();
    format!(
        "{table}\nlanes: {}\n{}the first round runs in this order: {}\n",
        lanes.join(", "),
        plan_in_a_line(plan, matrix),
        order.join(" ")
    )
}

/// How much there is to run.
pub(super) fn plan_in_a_line(plan: &Plan, matrix: &Matrix) -> String {
    let total = plan.total_time(matrix.clock.runtime, matrix.clock.ramp).as_secs();
    format!(
        "{} cells × {} rounds, {:?} each after {:?} of ramp: {} min {:02} s and filling (--seed {})\n",
        plan.cells.len(),
        matrix.repeats,
        matrix.clock.runtime,
        matrix.clock.ramp,
        total / 60,
        total % 60,
        plan.seed,
    )
}

/// All tables of a result, what they say in words, and the warnings.
pub(super) fn results(results: &Results) -> String {
    let mut text = String::new();
    let mut add =
        |part: &dyn std::fmt::Display| writeln!(text, "{part}").expect("writing to a String cannot fail");
    for job in results.jobs() {
        add(&format!("\n{}: {}", job.name, job.shape()));
        let cells = results.cells.iter().filter(|cell| cell.job.name == job.name);
        add(&job_table(cells));
    }
    if let Some(table) = drain_table(results) {
        add(&"\nBursts: acknowledged by the cache, drained to the disk");
        add(&table);
    }
    add(&"");
    for finding in findings(results) {
        add(&format!("• {finding}"));
    }
    let doubts = doubts(results);
    if !doubts.is_empty() {
        add(&"\nReasons for doubt:");
        for doubt in doubts {
            add(&format!("! {doubt}"));
        }
    }
    text
}

/// How many warnings of cells are told one by one; of more, only where they are.
const CELL_WARNINGS_MAX: usize = 8;

/// The warnings of the whole, then those of the cells.
fn doubts(results: &Results) -> Vec<String> {
    let of_cells: Vec<(&CellResult, &String)> = results
        .cells
        .iter()
        .flat_map(|cell| cell.warnings.iter().map(move |warning| (cell, warning)))
        .collect();
    let mut doubts = results.warnings.clone();
    if of_cells.len() <= CELL_WARNINGS_MAX {
        doubts.extend(
            of_cells.iter().map(|(cell, warning)| format!("{} on {}: {warning}", cell.job.name, cell.lane)),
        );
        return doubts;
    }
    // A warning begins with its kind: `noisy: …`.
    let kind = |warning: &str| warning.split(':').next().unwrap_or_default().to_owned();
    let mut kinds: Vec<String> = of_cells.iter().map(|(_, warning)| kind(warning)).collect();
    kinds.sort();
    kinds.dedup();
    doubts.extend(kinds.into_iter().map(|of_kind| {
        let cells = of_cells.iter().filter(|(_, warning)| kind(warning) == of_kind).count();
        format!("{of_kind}: {cells} of {} cells; the report says which, and how much", results.cells.len())
    }));
    doubts
}

fn job_table<'a>(cells: impl Iterator<Item = &'a CellResult>) -> Table {
    let header = [
        "lane",
        "IOPS",
        "",
        "rate",
        "CPU/IO",
        "p50",
        "p99",
        "p99.99",
        "flush",
        "IOPS : disk",
        "CPU : disk",
        "p99 : disk",
        "CPU − fio",
    ];
    let mut table = new_table(&header, 1);
    for cell in cells {
        let Some(summary) = &cell.summary else {
            table.add_row([cell.lane.to_string(), "failed".to_owned()]);
            continue;
        };
        // What a null device does beside a disk is no news.
        let versus = summary.versus_io_uring.as_ref().filter(|_| cell.lane != Lane::Null);
        let told = |estimate: Option<&Estimate>, show: fn(f64) -> String| {
            estimate.map_or(UNTOLD.to_owned(), |estimate| show(estimate.median))
        };
        table.add_row([
            cell.lane.to_string(),
            count(summary.iops.median),
            spread(&summary.iops),
            byte_rate(summary.bytes_per_second.median),
            micros(summary.cpu_us_per_io.median),
            told(summary.latency_us.p50.as_ref(), micros),
            told(summary.latency_us.p99.as_ref(), micros),
            told(summary.latency_us.p99_99.as_ref(), micros),
            told(summary.flush_us.as_ref(), micros),
            told(versus.map(|versus| &versus.iops_ratio), ratio),
            told(versus.and_then(|versus| versus.cpu_ratio.as_ref()), ratio),
            told(versus.and_then(|versus| versus.p99_ratio.as_ref()), ratio),
            told(summary.versus_null.as_ref().map(|versus| &versus.cpu_difference_us), micros),
        ]);
    }
    table
}

fn drain_table(results: &Results) -> Option<Table> {
    let header = ["lane", "acknowledged", "", "drained", "until clean", "IOPS until durable"];
    let mut table = new_table(&header, 1);
    for cell in &results.cells {
        let Some(drain) = cell.summary.as_ref().and_then(|summary| summary.drain.as_ref()) else { continue };
        let ignored = cell.lane.mode().is_some_and(|mode| !mode.honours_flush());
        let untold = if ignored { "flush ignored" } else { "at once" };
        let told = |estimate: &Option<Estimate>, show: fn(f64) -> String| {
            estimate.as_ref().map_or(untold.to_owned(), |estimate| show(estimate.median))
        };
        table.add_row([
            cell.lane.to_string(),
            format!("{} IOPS", count(drain.acknowledged_iops.median)),
            byte_rate(drain.acknowledged_bytes_per_second.median),
            told(&drain.drain_bytes_per_second, byte_rate),
            told(&drain.time_to_clean_us, micros),
            count(drain.durable_iops.median),
        ]);
    }
    (!table.is_empty()).then_some(table)
}

/// A table whose columns from `first_number` on are right-aligned.
pub(super) fn new_table(header: &[&str], first_number: usize) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header.iter().map(|&title| Cell::new(title)));
    if first_number > 0 {
        for column in table.column_iter_mut().skip(first_number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}
