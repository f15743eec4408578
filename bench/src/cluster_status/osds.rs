//! What went on with each OSD.

use ringbd::rados::{ClusterStatus, SessionStatus};
use serde::Serialize;

/// An OSD's figures since the client began.
#[derive(Debug, Serialize)]
pub(crate) struct OsdRow {
    osd: i32,
    core: u8,
    operations: u64,
    in_flight: usize,
    written_bytes: u64,
    read_bytes: u64,
    resends: u64,
    connections: u64,
    backoffs: u64,
    latency_mean_us: f64,
    latency_p50_us: u64,
    latency_p99_us: u64,
    latency_max_us: u64,
    last_error: Option<String>,
}

impl OsdRow {
    fn of(session: &SessionStatus) -> OsdRow {
        OsdRow {
            osd: session.osd.0,
            core: session.core.0,
            operations: session.operations,
            in_flight: session.in_flight,
            written_bytes: session.written_bytes,
            read_bytes: session.read_bytes,
            resends: session.resends,
            connections: session.connections,
            backoffs: session.backoffs,
            latency_mean_us: session.latency.mean_us,
            latency_p50_us: session.latency.p50_us,
            latency_p99_us: session.latency.p99_us,
            latency_max_us: session.latency.max_us,
            last_error: session.last_error.as_ref().map(|error| error.reason.clone()),
        }
    }

    /// Those of all OSDs.
    pub(crate) fn all(status: &ClusterStatus) -> Vec<OsdRow> {
        status.sessions.iter().map(OsdRow::of).collect()
    }

    /// A table for people.
    pub(crate) fn plain(rows: &[OsdRow]) -> String {
        let mut text = format!(
            "{:<8} {:>4} {:>10} {:>9} {:>9} {:>9} {:>9} {:>7} {:>5}  {}\n",
            "OSD",
            "CORE",
            "OPS",
            "MEAN(us)",
            "P50(us)",
            "P99(us)",
            "MAX(us)",
            "RESENDS",
            "CONNS",
            "LAST ERROR"
        );
        for row in rows {
            text += &format!(
                "{:<8} {:>4} {:>10} {:>9.0} {:>9} {:>9} {:>9} {:>7} {:>5}  {}\n",
                format!("osd.{}", row.osd),
                row.core,
                row.operations,
                row.latency_mean_us,
                row.latency_p50_us,
                row.latency_p99_us,
                row.latency_max_us,
                row.resends,
                row.connections,
                row.last_error.as_deref().unwrap_or("-"),
            );
        }
        text
    }
}
