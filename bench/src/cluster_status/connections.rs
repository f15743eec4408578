//! The connections of this client: to one monitor, and to the OSDs that were needed.

use ringbd::rados::{ClusterStatus, ConMode, ConnectionStatus, CoreNo};
use serde::Serialize;

/// A connection, or why there is none.
#[derive(Debug, Serialize)]
pub(super) struct Connection {
    peer: String,
    addr: Option<String>,
    mode: Option<&'static str>,
    core: u8,
    cpu: Option<usize>,
    features: Option<String>,
    in_flight: usize,
    error: Option<String>,
}

/// All of them: the monitor's first, then the OSDs' by their numbers.
pub(super) fn of(status: &ClusterStatus) -> Vec<Connection> {
    let cpu = |core: CoreNo| status.cores.iter().find(|other| other.core == core).map(|core| core.cpu);
    let row = |peer: String, core: CoreNo, in_flight, connection: Option<&ConnectionStatus>| Connection {
        peer,
        addr: connection.map(|connection| connection.addr.to_string()),
        mode: connection.map(|connection| mode_name(connection.mode)),
        core: core.0,
        cpu: cpu(core),
        features: connection.map(|connection| connection.features.to_string()),
        in_flight,
        error: None,
    };
    // The session with the monitors is on the first core.
    let monitor = status.monitors.session.iter();
    let monitor =
        monitor.map(|(name, connection)| row(format!("mon.{name}"), CoreNo(0), 0, Some(connection)));
    let osds = status.sessions.iter().map(|session| {
        let connection = session.connection.as_ref();
        let error = session.last_error.as_ref().filter(|_| connection.is_none());
        let row = row(format!("osd.{}", session.osd.0), session.core, session.in_flight, connection);
        Connection { error: error.map(|error| error.reason.clone()), ..row }
    });
    monitor.chain(osds).collect()
}

fn mode_name(mode: ConMode) -> &'static str {
    match mode {
        ConMode::Crc => "crc",
        ConMode::Secure => "secure",
    }
}

/// A table for people.
pub(super) fn plain(connections: &[Connection]) -> String {
    let mut text = format!(
        "    {:<10} {:<28} {:<7} {:>4} {:>4} {:>9}  {}\n",
        "PEER", "ADDRESS", "MODE", "CORE", "CPU", "IN FLIGHT", "FEATURES"
    );
    for connection in connections {
        let Connection { peer, addr, mode, core, cpu, features, in_flight, error } = connection;
        let cpu = cpu.map_or("-".to_owned(), |cpu| cpu.to_string());
        let addr = addr.as_deref().or(error.as_deref()).unwrap_or("not connected");
        let (mode, features) = (mode.unwrap_or("-"), features.as_deref().unwrap_or("-"));
        text +=
            &format!("    {peer:<10} {addr:<28} {mode:<7} {core:>4} {cpu:>4} {in_flight:>9}  {features}\n");
    }
    text
}
