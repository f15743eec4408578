//! A cluster in the real world, on loopback: a monitor and OSDs on cores of their own.
//!
//! With OSDs that keep nothing it measures a client: what they take is next to nothing, and always the same.

use super::maps::Maps;
use super::state::{Auth, FSID, Shared};
use super::{monitor, osd};
use ringbd_proto::types::OsdId;
use ringbd_reactor::{CoreConfig, CoreThread, Sender, TcpListener, World, mailbox};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;

/// What a served cluster is like.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// OSDs.
    pub osds: usize,
    /// Placement groups of the pool `data`.
    pub pg_num: u32,
    /// Whether the OSDs keep objects. Those that do not answer reads with zeros, and writes with success.
    pub keeps: bool,
    /// How clients prove who they are.
    pub auth: Auth,
    /// The cores that the daemons run on, one thread each: the monitor on the first, OSDs on all in turn.
    pub cores: Vec<CoreConfig>,
}

impl Default for ServeOptions {
    fn default() -> ServeOptions {
        let core = CoreConfig { name: "model".to_owned(), ..CoreConfig::default() };
        ServeOptions { osds: 3, pg_num: 32, keeps: true, auth: Auth::None, cores: vec![core] }
    }
}

/// A cluster that serves until it is dropped.
#[derive(Debug)]
pub struct Served {
    /// What its daemons know.
    pub shared: Shared,
    monitor: SocketAddr,
    stops: Vec<Sender<()>>,
    threads: Vec<CoreThread>,
}

impl Served {
    /// The options by which a client finds the cluster and gets in.
    pub fn client_options(&self) -> Vec<(&'static str, String)> {
        let mut options = self.shared.with(|state| state.auth.client_options());
        options.push(("mon_host", format!("v2:{}", self.monitor)));
        options
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stops.iter().for_each(|stop| stop.send(()));
        for thread in self.threads.drain(..) {
            // A daemon's panic has been printed; there is nobody to pass it on to.
            drop(thread.join());
        }
    }
}

/// Starts a cluster of the real world, with all its OSDs up.
///
/// # Errors
/// A core cannot be started, or an address not be had.
///
/// # Panics
/// Without a core.
pub fn serve(options: &ServeOptions) -> io::Result<Served> {
    assert!(!options.cores.is_empty(), "daemons run on a core");
    let size = u8::try_from(options.osds.min(3)).expect("three are few");
    let shared = Shared::new(Maps::begin(FSID, options.osds, size, options.pg_num), options.auth.clone());
    shared.with(|state| state.keeps = options.keeps);
    let (mut stops, mut threads) = (Vec::new(), Vec::new());
    let mut monitor = None;
    for (nth, core) in options.cores.iter().enumerate() {
        let osds: Vec<usize> = (nth..options.osds).step_by(options.cores.len()).collect();
        let (stop, mut stopped) = mailbox();
        let (ready, is_ready) = mpsc::channel();
        let shared = shared.clone();
        let main = move || async move {
            let begun = begin(&shared, nth == 0, &osds);
            let failed = begun.is_err();
            // Who started us waits for exactly this.
            drop(ready.send(begun));
            if !failed {
                stopped.recv().await;
            }
        };
        threads.push(World::real().start_core(core.clone(), main).map_err(io::Error::other)?);
        stops.push(stop);
        let begun = is_ready.recv().map_err(io::Error::other)??;
        monitor = monitor.or(begun);
    }
    let monitor = monitor.expect("the monitor is on the first core");
    Ok(Served { shared, monitor, stops, threads })
}

/// Starts a core's daemons; returns where the monitor is, if it is among them.
fn begin(shared: &Shared, with_monitor: bool, osds: &[usize]) -> io::Result<Option<SocketAddr>> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut monitor = None;
    if with_monitor {
        let listener = TcpListener::bind(any)?;
        monitor = Some(listener.local_addr()?);
        monitor::start(shared.clone(), 0, listener);
    }
    for &id in osds {
        let id = OsdId(i32::try_from(id).expect("few OSDs are made"));
        osd::start(shared.clone(), id, TcpListener::bind(any)?);
    }
    Ok(monitor)
}
