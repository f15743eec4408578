//! `ringbd fsck`: check the store, and mend what can be mended without guessing.

use std::process::ExitCode;

use ringbd::World;
use ringbd::store::{FsckReport, fsck};
use serde::Serialize;

use super::{print, print_json};
use crate::cli::{Format, Global};
use crate::failure::Failure;
use crate::progress::Progress;
use crate::session;
use crate::size::human;

/// Check the store. Ends as fsck(8): 0 all is well, 1 problems were corrected, 4 problems are left.
#[derive(Debug, clap::Args)]
pub(crate) struct Fsck {
    /// Mend what can be mended
    #[arg(long)]
    repair: bool,
}

#[derive(Debug, Serialize)]
struct Answer {
    pools: u64,
    images: u64,
    objects: u64,
    used_bytes: u64,
    punched_bytes: u64,
    findings: Vec<String>,
    remaining: u64,
}

impl Fsck {
    /// Runs it; the exit code is part of the answer.
    pub(crate) fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let dir = session::store_dir(global)?;
        let bar = Progress::steps(global.progress());
        let mut progress = |what: &str, done: u64, all: u64| bar.step(what, done, all);
        let report = fsck(&World::real(), &dir, self.repair, &mut progress)
            .map_err(|error| Failure::of(format_args!("error checking store {}", dir.display()), &error))?;
        bar.finish();
        let answer = Answer::of(&report);
        match global.format {
            Format::Json => print_json(&answer)?,
            Format::Plain => print(&answer.plain())?,
        }
        Ok(match (report.remaining, report.findings.len()) {
            (0, 0) => ExitCode::SUCCESS,
            (0, _) => ExitCode::from(1),
            (_, _) => ExitCode::from(4),
        })
    }
}

impl Answer {
    fn of(report: &FsckReport) -> Answer {
        Answer {
            pools: report.pools,
            images: report.images,
            objects: report.objects,
            used_bytes: report.used_bytes,
            punched_bytes: report.punched_bytes,
            findings: report.findings.iter().map(ToString::to_string).collect(),
            remaining: report.remaining,
        }
    }

    fn plain(&self) -> String {
        let mut text: String = self.findings.iter().map(|finding| format!("{finding}\n")).collect();
        text += &format!(
            "{} pools, {} images, {} objects in {}\n",
            self.pools,
            self.images,
            self.objects,
            human(self.used_bytes)
        );
        if self.punched_bytes > 0 {
            text += &format!("{} given back to the file system\n", human(self.punched_bytes));
        }
        text + &match (self.remaining, self.findings.len()) {
            (0, 0) => "the store is in order\n".to_owned(),
            (0, corrected) => format!("{corrected} problems were corrected\n"),
            (left, _) => format!("{left} problems are left\n"),
        }
    }
}
