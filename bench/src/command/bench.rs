//! `ringbd bench cache|demo|compare|report`.

use std::path::PathBuf;

use crate::cache_bench::compare::Comparison;
use crate::cache_bench::{self, CacheArgs, ImageUnderTest, Results};
use crate::cli::{Format, Global};
use crate::failure::Failure;

use super::demo::Demo;
use super::{print, print_json};

/// Measure.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Bench {
    /// Compare the cache modes of an image with each other, with the disk and with fio itself
    Cache(Box<CacheArgs>),
    /// Make a store and a 1 GiB image, fill it, and measure three cache modes: under five minutes
    Demo(Demo),
    /// Tell what changed from one result to another, beyond the noise
    Compare(Compare),
    /// Write the HTML report of a result file again
    Report(Report),
}

/// Tell what changed from one result to another, beyond the noise.
#[derive(Debug, clap::Args)]
pub(crate) struct Compare {
    /// The result file of before
    #[arg(value_name = "A.json")]
    before: PathBuf,
    /// The result file of after
    #[arg(value_name = "B.json")]
    after: PathBuf,
    /// Changes of less than so many per cent do not count
    #[arg(long, default_value_t = 5.0, value_name = "PERCENT", value_parser = percent)]
    threshold: f64,
    /// End with exit code 1 when something became worse
    #[arg(long)]
    fail_on_regression: bool,
}

/// Write the HTML report of a result file again.
#[derive(Debug, clap::Args)]
pub(crate) struct Report {
    /// The result file
    #[arg(value_name = "RESULTS.json")]
    results: PathBuf,
    /// The report [default: beside the result file, with .html]
    #[arg(value_name = "REPORT.html")]
    html: Option<PathBuf>,
}

impl Bench {
    /// Runs it.
    pub(crate) fn run(&self, global: &Global) -> Result<(), Failure> {
        match self {
            Bench::Cache(args) if args.dry_run => print(&cache_bench::describe_plan(&args.seeded())?),
            Bench::Cache(args) => measure(args, global),
            Bench::Demo(demo) => demo.run(global),
            Bench::Compare(compare) => compare.run(global),
            Bench::Report(report) => report.run(),
        }
    }
}

/// Measures and prints.
pub(super) fn measure(args: &CacheArgs, global: &Global) -> Result<(), Failure> {
    let args = args.seeded();
    // Wrong arguments come to light before anything is made.
    let plan = cache_bench::summarize_plan(&args)?;
    let image = ImageUnderTest::prepare(&args, global)?;
    if global.format == Format::Plain {
        print(&plan)?;
    }
    let outcome = cache_bench::run(&args, &image, &global.sources(), global.progress());
    let cleaned = image.clean_up();
    let written = outcome?;
    cleaned?;
    match global.format {
        Format::Json => print_json(&written.results)?,
        Format::Plain => {
            print(&cache_bench::tables(&written.results))?;
            print(&format!("\nresults: {}\nreport:  {}\n", written.json.display(), written.html.display()))?;
        }
    }
    let runs = written.results.cells.iter().flat_map(|cell| &cell.runs);
    let (failed, all) = (runs.clone().filter(|run| run.error.is_some()).count(), runs.count());
    if failed > 0 {
        return Err(Failure::new(
            1,
            format!("{failed} of {all} runs failed; the reasons stand with the results"),
        ));
    }
    Ok(())
}

impl Compare {
    fn run(&self, global: &Global) -> Result<(), Failure> {
        let (before, after) = (Results::load(&self.before)?, Results::load(&self.after)?);
        let comparison = Comparison::of(&before, &after, self.threshold / 100.0);
        if comparison.changes.is_empty() {
            return Err(Failure::invalid("the two results have no cell in common"));
        }
        match global.format {
            Format::Json => print_json(&comparison)?,
            Format::Plain => print(&comparison.table())?,
        }
        let regressions = comparison.regressions();
        if self.fail_on_regression && regressions > 0 {
            return Err(Failure::new(1, format!("{regressions} figures became worse")));
        }
        Ok(())
    }
}

impl Report {
    fn run(&self) -> Result<(), Failure> {
        let html = self.html.clone().unwrap_or_else(|| self.results.with_extension("html"));
        cache_bench::rewrite_report(&self.results, &html)?;
        print(&format!("report: {}\n", html.display()))
    }
}

fn percent(text: &str) -> Result<f64, String> {
    text.parse::<f64>()
        .ok()
        .filter(|percent| (0.0..100.0).contains(percent))
        .ok_or_else(|| format!("`{text}` is not a number of per cent from 0 to 99"))
}
