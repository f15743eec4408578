//! `ringbd status`: how full the embedded store is and what is in it; or, where no store is named, how the cluster and our
//! connections to it do.

use ringbd::store::{DataLocation, FORMAT_VERSION, OpenMode, Store, StoreError};
use serde::Serialize;
use std::time::Duration;

use super::{print, print_json};
use crate::cli::{Format, Global};
use crate::cluster_session::with_cluster;
use crate::cluster_status::ClusterAnswer;
use crate::failure::Failure;
use crate::session::Session;
use crate::size::human;

/// Show how full the store is, or how the cluster does.
///
/// With a store (--store, RINGBD_STORE): its size, objects and pools. Without one the cluster of --conf, as the user --id:
/// its identity and health, its monitors and which one this client speaks to, the OSD map's epoch and flags, OSDs up and in,
/// pools, and this client's connections: peer, address, mode, core and CPU, common features, operations in flight.
#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    /// Connect to every OSD that is up, within so many seconds, to see whether this machine reaches it
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "10")]
    osds: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Answer {
    store: String,
    uuid: String,
    format: String,
    data: String,
    data_bytes: u64,
    used_bytes: u64,
    /// `None` when only the disk is the limit.
    limit_bytes: Option<u64>,
    objects: u64,
    pools: Vec<Pool>,
}

/// A pool's images in its default namespace.
#[derive(Debug, Serialize)]
struct Pool {
    name: String,
    images: usize,
    provisioned_bytes: u64,
}

impl Status {
    /// Runs it.
    pub(crate) fn run(&self, global: &Global) -> Result<(), Failure> {
        let session = Session::on_store(global)?;
        if session.settings.store().is_none() {
            return self.show_cluster(global);
        }
        let store = session.open_store(OpenMode::ReadOnly)?;
        let answer = Answer::of(&store).map_err(|error| Failure::of("status error", &error))?;
        match global.format {
            Format::Json => print_json(&answer),
            Format::Plain => print(&answer.plain()),
        }
    }

    fn show_cluster(&self, global: &Global) -> Result<(), Failure> {
        let answer = with_cluster(global, async |rados| {
            if let Some(seconds) = self.osds {
                rados.connect_to_osds(Duration::from_secs(seconds)).await;
            }
            Ok(ClusterAnswer::of(rados).await)
        })?;
        match global.format {
            Format::Json => print_json(&answer),
            Format::Plain => print(&answer.plain()),
        }
    }
}

impl Answer {
    fn of(store: &Store) -> Result<Answer, StoreError> {
        let usage = store.usage();
        let superblock = store.superblock();
        let data = match &superblock.data {
            DataLocation::File => store.dir().join("data"),
            DataLocation::Path(path) => path.clone(),
        };
        let mut pools = Vec::new();
        for name in store.pools()? {
            let images = store.images(&name, "")?;
            let provisioned_bytes = images.iter().map(|image| image.size).sum();
            pools.push(Pool { name, images: images.len(), provisioned_bytes });
        }
        Ok(Answer {
            store: store.dir().display().to_string(),
            uuid: superblock.uuid.to_string(),
            format: FORMAT_VERSION.to_string(),
            data: data.display().to_string(),
            data_bytes: usage.data_len,
            used_bytes: usage.space.used_bytes,
            limit_bytes: usage.limited.then_some(usage.space.capacity_bytes),
            objects: store.object_count()?,
            pools,
        })
    }

    fn plain(&self) -> String {
        let limit = self.limit_bytes.map_or("as far as the disk goes".to_owned(), human);
        let mut text = format!(
            "store {} (format {}, uuid {})\n\tdata: {} of {}\n\tused: {} in {} objects\n\tlimit: {limit}\n",
            self.store,
            self.format,
            self.uuid,
            self.data,
            human(self.data_bytes),
            human(self.used_bytes),
            self.objects,
        );
        for pool in &self.pools {
            let (name, images, size) = (&pool.name, pool.images, human(pool.provisioned_bytes));
            text += &format!("pool {name}: {images} images of {size}\n");
        }
        text
    }
}
