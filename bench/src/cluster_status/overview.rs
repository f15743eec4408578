//! A cluster at a glance, in the order of `ceph -s`, and our client of it below.

use ringbd::rados::{ClusterStatus, PoolKind, Rados};
use serde::Serialize;

use super::connections::{self, Connection};

/// What `ringbd status` answers about a cluster.
#[derive(Debug, Serialize)]
pub(crate) struct ClusterAnswer {
    fsid: Option<String>,
    /// `None` when the user may not ask.
    health: Option<String>,
    monitors: Vec<Monitor>,
    osdmap_epoch: u32,
    flags: String,
    osds: usize,
    osds_up: usize,
    osds_in: usize,
    pools: Vec<Pool>,
    client: String,
    client_addr: Option<String>,
    connections: Vec<Connection>,
}

#[derive(Debug, Serialize)]
struct Monitor {
    name: String,
    addr: Option<String>,
    /// This client speaks to it.
    ours: bool,
}

#[derive(Debug, Serialize)]
struct Pool {
    id: i64,
    name: String,
    kind: &'static str,
    size: u32,
    pg_num: u32,
}

impl ClusterAnswer {
    /// Asks the client, and the monitors for the cluster's health.
    pub(crate) async fn of(rados: &Rados) -> ClusterAnswer {
        let health = health(rados).await;
        let status: ClusterStatus = rados.status().await;
        let ours = status.monitors.session.as_ref().map(|(name, _)| name.as_str());
        let monitors = status.monitors.known.iter().map(|monitor| Monitor {
            name: monitor.name.clone(),
            addr: monitor.addr.map(|addr| addr.to_string()),
            ours: ours == Some(monitor.name.as_str()),
        });
        let pools = status.pools.iter().map(|pool| Pool {
            id: pool.id.0,
            name: pool.name.clone(),
            kind: kind_name(pool.kind),
            size: pool.size,
            pg_num: pool.pg_num,
        });
        ClusterAnswer {
            fsid: status.fsid.map(|fsid| fsid.to_string()),
            health,
            monitors: monitors.collect(),
            osdmap_epoch: status.epoch.0,
            flags: status.flags.to_string(),
            osds: status.osds.exist,
            osds_up: status.osds.up,
            osds_in: status.osds.included,
            pools: pools.collect(),
            client: format!("client.{}", status.global_id),
            client_addr: status.addr.map(|addr| addr.to_string()),
            connections: connections::of(&status),
        }
    }

    /// For people.
    pub(crate) fn plain(&self) -> String {
        let unknown = "unknown";
        let names: Vec<&str> = self.monitors.iter().map(|monitor| monitor.name.as_str()).collect();
        let ours = self.monitors.iter().find(|monitor| monitor.ours).map_or(unknown, |monitor| &monitor.name);
        let mut text = format!(
            "  cluster:\n    id:     {}\n    health: {}\n\n  services:\n    mon: {} monitors, {} (this client speaks to {ours})\n    \
             osd: {} osds: {} up, {} in\n\n  data:\n    osdmap: e{}\n    flags:  {}\n    pools:  {} pools\n",
            self.fsid.as_deref().unwrap_or(unknown),
            self.health.as_deref().unwrap_or(unknown),
            names.len(),
            names.join(","),
            self.osds,
            self.osds_up,
            self.osds_in,
            self.osdmap_epoch,
            if self.flags.is_empty() { "none" } else { &self.flags },
            self.pools.len(),
        );
        for Pool { id, name, kind, size, pg_num } in &self.pools {
            text += &format!("            {id} {name}: {kind} size {size}, {pg_num} pgs\n");
        }
        let addr = self.client_addr.as_deref().unwrap_or(unknown);
        text += &format!("\n  client:\n    id:   {}\n    addr: {addr}\n\n", self.client);
        text + &connections::plain(&self.connections)
    }
}

/// The monitors' word, if this user may hear it.
async fn health(rados: &Rados) -> Option<String> {
    let output = rados.mon_command(r#"{"prefix":"health","format":"json"}"#, b"").await.ok()?;
    let answer: serde_json::Value = serde_json::from_slice(&output.data).ok()?;
    Some(answer["status"].as_str()?.to_owned())
}

fn kind_name(kind: PoolKind) -> &'static str {
    match kind {
        PoolKind::Replicated => "replicated",
        PoolKind::Erasure => "erasure",
        PoolKind::Other(_) => "unknown",
    }
}
