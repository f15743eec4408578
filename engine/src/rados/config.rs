//! How a cluster is reached, typed.
use ringbd_proto::auth::{AuthMethod, CephUser, ConMode, Credentials};
use ringbd_proto::types::EntityAddr;
use std::sync::Arc;
use std::time::Duration;

/// tmp
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    pub user: CephUser,
    pub credentials: Option<Arc<Credentials>>,
    pub key_source: String,
    pub monitors: Monitors,
    pub methods: Vec<AuthMethod>,
    pub client_modes: Vec<ConMode>,
    pub mon_modes: Vec<ConMode>,
    pub initial_backoff: Duration,
    pub max_backoff: Duration,
    pub ready_timeout: Duration,
    pub osd_op_timeout: Option<Duration>,
    pub mon_op_timeout: Option<Duration>,
    pub mount_timeout: Duration,
    pub inflight_ops: usize,
    pub inflight_bytes: usize,
    pub tick_interval: Duration,
    pub laggy_after: Duration,
    pub mon_hunt_parallel: usize,
    pub mon_hunt_interval: Duration,
    pub mon_hunt_interval_backoff: f64,
    pub mon_hunt_interval_max_multiple: u32,
    pub mon_ping_interval: Duration,
    pub mon_ping_timeout: Duration,
}
/// tmp
#[derive(Clone, Debug)]
pub struct Monitors(pub Vec<EntityAddr>);
impl Monitors {
    pub async fn resolve(&self) -> crate::Result<Vec<EntityAddr>> {
        Ok(self.0.clone())
    }
}
