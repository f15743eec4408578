//! The files of a job that has not started.

use super::{group, target};
use crate::abi::symbols::Status;
use crate::abi::view::{FioFile, Thread};
use crate::engine_link;
use crate::options::JobOptions;
use crate::target::Target;

/// The files whose size fio asked for before the job started, perhaps in the parent of its process.
///
/// Only names: no descriptor, thread or ring is kept, so a fork copies nothing that matters.
#[derive(Default)]
pub(crate) struct PlannedFiles(pub(super) Vec<(usize, Target)>);

impl PlannedFiles {
    /// Tells fio the size of a file, and remembers what to open later.
    pub(crate) fn add(&mut self, td: Thread, options: &JobOptions, file: FioFile) -> Status {
        let size = target(td, options, file).and_then(|target| {
            // A job is announced once, with its first file, and only where it will be a thread of this process.
            let first = self.0.is_empty() && td.is_set(c"thread");
            let size = engine_link::image_size(&target, first.then(|| group(td)))?;
            self.0.push((file.index(), target));
            Ok(size)
        });
        match size {
            Ok(size) => {
                file.set_size(size);
                0
            }
            Err(failure) => failure.say(),
        }
    }
}
