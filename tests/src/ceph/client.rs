//! Our client on a real cluster, on a core of the calling thread or on cores of its own.

use super::Cluster;
use ringbd::World;
use ringbd::config::{ImageSpec, Settings, Sources};
use ringbd::rados::{Cluster as Client, ClusterConfig, Rados, Seat};
use ringbd::runtime::{CoreConfig, CoreThread};

impl Cluster {
    /// The settings of `client.admin`, with these options above the cluster's configuration file.
    ///
    /// # Panics
    /// When an option is wrong.
    #[must_use]
    pub fn settings(&self, options: &[(&str, &str)]) -> Settings {
        let mut sources = Sources { conf: Some(self.conf()), ..Sources::default() };
        for (name, value) in options {
            sources = sources.with_option(*name, (*value).to_owned());
        }
        Settings::load(&ImageSpec::new("rbd", ""), &sources).expect("the options are right")
    }

    /// A client with so many cores, not connected yet.
    ///
    /// # Panics
    /// When the configuration is wrong.
    #[must_use]
    pub fn new_client(&self, options: &[(&str, &str)], cores: usize) -> (Client, Vec<Seat>) {
        let config = ClusterConfig::load(&self.settings(options)).expect("the configuration is right");
        Client::new(&World::real(), config, cores)
    }

    /// Runs `work` with a connected client on this thread.
    ///
    /// # Panics
    /// When the cluster cannot be reached.
    pub fn with_client<T>(&self, options: &[(&str, &str)], work: impl AsyncFnOnce(&Rados) -> T) -> T {
        let mut core = World::real().lend_core(CoreConfig::default()).expect("io_uring works here");
        core.block_on(async {
            let (client, mut seats) = self.new_client(options, 1);
            let rados = seats.pop().expect("one core was asked for").join();
            rados.ready().await.expect("the cluster takes us");
            let outcome = work(&rados).await;
            client.close();
            outcome
        })
    }

    /// Runs `work` on every core of a client with cores of its own, and returns their threads.
    ///
    /// # Panics
    /// When a core cannot be started.
    pub fn start_client<F>(
        &self,
        options: &[(&str, &str)],
        cores: usize,
        work: impl Fn(Rados) -> F + Clone + Send + 'static,
    ) -> Vec<CoreThread>
    where
        F: Future<Output = ()> + 'static,
    {
        let (_, seats) = self.new_client(options, cores);
        let start = |seat: Seat| {
            let work = work.clone();
            let main = move || async move {
                let rados = seat.join();
                rados.ready().await.expect("the cluster takes us");
                work(rados).await;
            };
            World::real().start_core(CoreConfig::default(), main).expect("io_uring works here")
        };
        seats.into_iter().map(start).collect()
    }
}
