//! From options to a client of the cluster on the calling thread.

use ringbd::World;
use ringbd::config::{ImageSpec, Settings};
use ringbd::rados::{Cluster, ClusterConfig, IoCtx, Rados};
use ringbd::runtime::CoreConfig;

use crate::cli::Global;
use crate::failure::Failure;

/// Runs `work` with a client of the cluster that the options name, once the client knows the cluster.
pub(crate) fn with_cluster<T>(
    global: &Global,
    work: impl AsyncFnOnce(&Rados) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let settings = Settings::load(&ImageSpec::new("rbd", ""), &global.sources())?;
    let config = ClusterConfig::load(&settings).map_err(|error| cannot_connect(&error))?;
    let core = CoreConfig { name: "ringbd".to_owned(), spin: settings.spin(), ..CoreConfig::default() };
    let core = World::real().lend_core(core);
    let mut core = core.map_err(|error| Failure::new(95, format!("cannot start a core: {error}")))?;
    core.block_on(async {
        let (cluster, mut seats) = Cluster::new(&World::real(), config, 1);
        let rados = seats.pop().expect("one core was asked for").join();
        rados.ready().await.map_err(|error| cannot_connect(&error))?;
        let outcome = work(&rados).await;
        cluster.close();
        outcome
    })
}

fn cannot_connect(error: &ringbd::Error) -> Failure {
    Failure::of("couldn't connect to cluster", error)
}

/// The pool, as `rados` opens it.
pub(crate) async fn open_pool(rados: &Rados, name: &str, namespace: &str) -> Result<IoCtx, Failure> {
    let pool = rados.pool(name).await;
    let pool = pool.map_err(|error| Failure::of(format_args!("error opening pool {name}"), &error))?;
    Ok(pool.with_namespace(namespace.as_bytes()))
}
