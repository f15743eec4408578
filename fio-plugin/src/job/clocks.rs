//! Who reads the clock for a request: fio, or the plugin once for a whole batch.

use crate::abi::layout::Release;
use crate::abi::view::Thread;

/// Which requests get an issue time here, and whether fio needs a submission latency of them.
#[derive(Clone, Copy)]
pub(super) struct Clocks {
    /// The job's statistics need `issue_time`, or its submission latency, set by the engine.
    pub(super) stamp: bool,
}

impl Clocks {
    /// Decides for a job. Where the engine can set issue times, one clock read serves a whole batch. A replayed log is
    /// the exception: its pace hangs on a time that only fio can note, so there the job is taken back to fio's way.
    pub(super) fn of_job(td: Thread, release: &Release) -> Clocks {
        let off = |name| td.is_set(name);
        let replays = td.string(c"read_iolog").is_some();
        let by_engine = release.sets_issue_time != 0 && !replays;
        if replays {
            td.clear_engine_flag(release, release.sets_issue_time);
        }
        let wanted = !(off(c"disable_clat") && off(c"disable_slat") && off(c"disable_bw_measurement"));
        Clocks { stamp: if by_engine { wanted } else { !off(c"disable_slat") } }
    }
}
