//! A small simulated cluster in which nothing fails by itself: some monitors, some OSDs, and one client.

use ringbd::config::{ImageSpec, Settings, Sources};
use ringbd::rados::{Cluster, ClusterConfig, Rados, Seat};
use ringbd_proto::types::OsdId;
use ringbd_reactor::{CoreConfig, Instant, Sim, SimConfig, TcpListener, World, now};
use ringbd_tests::model::maps::Maps;
use ringbd_tests::model::state::{Auth, FSID, News, Shared};
use ringbd_tests::model::{monitor, osd};
use std::future::pending;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// What a handshake and a question take in the simulated network, and more.
pub(crate) const SOON: Duration = Duration::from_millis(100);

pub(crate) struct Small {
    pub(crate) sim: Sim,
    pub(crate) shared: Shared,
    pub(crate) monitors: Vec<World>,
    pub(crate) osds: Vec<World>,
    pub(crate) client: World,
}

/// What a simulated node is asked to do with a connection: note when it came, and keep it in silence or drop it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Silent,
    Dropping,
}

/// When connections came, by the name of the node.
pub(crate) type Calls = Arc<Mutex<Vec<(usize, Instant)>>>;

impl Small {
    /// With all its daemons running.
    pub(crate) fn running(osds: usize) -> Small {
        let small = Small::new(1, osds);
        let addr = small.monitor_addr(0);
        let shared = small.shared.clone();
        start(&small.monitors[0], addr, move |listener| monitor::start(shared, 0, listener));
        for n in 0..osds {
            let (shared, id) = (small.shared.clone(), OsdId(i32::try_from(n).unwrap()));
            start(&small.osds[n], small.osd_addr(n), move |listener| osd::start(shared, id, listener));
        }
        small.sim.run_for(SECOND);
        small
    }

    /// With nobody at home.
    pub(crate) fn new(monitors: usize, osds: usize) -> Small {
        let sim = Sim::new(SimConfig::seeded(1));
        let nodes = |kind: &str, count| -> Vec<World> {
            (0..count).map(|n| sim.node(&format!("{kind}.{n}"))).collect()
        };
        let (monitors, osds_nodes, client) = (nodes("mon", monitors), nodes("osd", osds), sim.node("client"));
        let size = u8::try_from(osds.clamp(1, 3)).unwrap();
        let shared = Shared::new(Maps::begin(FSID, osds, size, 8), Auth::None);
        Small { sim, shared, monitors, osds: osds_nodes, client }
    }

    pub(crate) fn monitor_addr(&self, n: usize) -> SocketAddr {
        SocketAddr::new(self.sim.ip(&self.monitors[n]), 3300)
    }

    pub(crate) fn osd_addr(&self, n: usize) -> SocketAddr {
        SocketAddr::new(self.sim.ip(&self.osds[n]), 6800)
    }

    /// Lets a node listen and do no more than that.
    pub(crate) fn listen(&self, world: &World, n: usize, addr: SocketAddr, manner: Manner, calls: &Calls) {
        let calls = calls.clone();
        start(world, addr, move |listener| {
            ringbd_reactor::spawn_detached(async move {
                let mut kept = Vec::new();
                while let Ok((stream, _)) = listener.accept().await {
                    calls.lock().unwrap().push((n, now()));
                    if manner == Manner::Silent {
                        kept.push(stream);
                    }
                }
            });
        });
    }

    /// A client's configuration, above that it needs no key and knows all monitors.
    pub(crate) fn config(&self, options: &[(&str, &str)]) -> ClusterConfig {
        let hosts: Vec<String> =
            (0..self.monitors.len()).map(|n| format!("v2:{}", self.monitor_addr(n))).collect();
        let conf = format!("[global]\nmon host = {}\nauth client required = none\n", hosts.join(","));
        self.config_of(&conf, options)
    }

    /// The same from a configuration file.
    pub(crate) fn config_of(&self, conf: &str, options: &[(&str, &str)]) -> ClusterConfig {
        let read = |path: &Path| match path == Path::new("/sim.conf") {
            true => Ok(conf.as_bytes().to_vec()),
            false => Err(io::Error::from(io::ErrorKind::NotFound)),
        };
        let mut sources = Sources { conf: Some("/sim.conf".into()), ..Sources::default() };
        for (name, value) in options {
            sources = sources.with_option(*name, (*value).to_owned());
        }
        let settings = Settings::load_with(&ImageSpec::new("rbd", ""), &sources, &read).unwrap();
        ClusterConfig::load_with(&settings, &read).unwrap()
    }

    /// Runs `work` with a connected client on one core.
    pub(crate) fn with_client<T>(&self, options: &[(&str, &str)], work: impl AsyncFnOnce(&Rados) -> T) -> T {
        self.with_cores(options, 1, async |rados, _| work(rados).await)
    }

    /// Runs `work` on the first of several cores; it gets the seats of the others.
    pub(crate) fn with_cores<T>(
        &self,
        options: &[(&str, &str)],
        cores: usize,
        work: impl AsyncFnOnce(&Rados, Vec<Seat>) -> T,
    ) -> T {
        let (client, mut seats) = Cluster::new(&self.client, self.config(options), cores);
        let done = self.sim.block_on(&self.client, async {
            let rados = seats.remove(0).join();
            rados.ready().await.unwrap();
            let done = work(&rados, seats).await;
            client.close();
            done
        });
        self.sim.run_for(SECOND);
        assert_eq!(self.shared.with(|state| state.violations().to_vec()), [""; 0]);
        done.unwrap()
    }

    /// The OSDs hang for a while.
    pub(crate) fn stall(&self, span: Duration) {
        for n in 0..self.osds.len() {
            self.shared.tell(News::Stall(OsdId(i32::try_from(n).unwrap()), span));
        }
    }
}

fn start(world: &World, addr: SocketAddr, daemon: impl FnOnce(TcpListener) + Send + 'static) {
    let main = move || async move {
        daemon(TcpListener::bind(addr).unwrap());
        pending::<()>().await;
    };
    drop(world.start_core(CoreConfig::default(), main).unwrap());
}

/// Whether a time is what it should be, and little more.
#[track_caller]
pub(crate) fn assert_about(what: &str, found: Duration, expected: Duration) {
    assert!(
        found >= expected.saturating_sub(SOON) && found < expected + SOON,
        "{what}: {found:?}, not {expected:?}"
    );
}

/// A log in memory.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// The warnings of what `work` does on this thread, which a simulation is.
    pub(crate) fn of(work: impl FnOnce(&Log)) {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter("warn")
            .with_ansi(false)
            .without_time()
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || work(&log));
    }

    /// The lines so far that contain all of it.
    pub(crate) fn lines(&self, parts: &[&str]) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let fits = |line: &&str| parts.iter().all(|part| line.contains(part));
        text.lines().filter(fits).map(str::to_owned).collect()
    }

    #[track_caller]
    pub(crate) fn assert_says(&self, parts: &[&str]) {
        assert!(!self.lines(parts).is_empty(), "{parts:?} in {:#?}", self.lines(&[]));
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
