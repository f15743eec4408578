//! A real Ceph cluster on loopback: monitors, a manager and OSDs of Debian's packages, started in a few seconds in a folder of
//! their own and stopped when the value is dropped.
//!
//! ```text
//! Cluster::start(&Options) ──▶ Cluster: conf(), ceph(["osd", "stat"]), rados([...]), osd(0).kill(), …
//! ```

mod client;
mod daemon;
mod keys;
mod load;

pub use daemon::Daemon;
pub use load::Load;

use crate::programs::installed;
use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tracing_subscriber::EnvFilter;

/// How long a cluster may take to do what it was asked.
const PATIENCE: Duration = Duration::from_secs(90);

/// What kind of cluster.
#[derive(Clone, Debug)]
pub struct Options {
    /// Monitors.
    pub mons: usize,
    /// OSDs.
    pub osds: usize,
    /// Where OSDs keep their objects: `memstore`, or `bluestore` on a file.
    pub store: &'static str,
    /// `cephx` or `none`.
    pub auth: &'static str,
    /// Replicas of a pool.
    pub size: usize,
    /// Whether a manager is needed: for statistics, and for changes of a pool's number of placement groups.
    pub manager: bool,
    /// More lines of the daemons' `[global]` section.
    pub global: String,
}

impl Default for Options {
    /// Three OSDs with two replicas in memory, and one monitor.
    fn default() -> Options {
        Options {
            mons: 1,
            osds: 3,
            store: "memstore",
            auth: "cephx",
            size: 2,
            manager: false,
            global: String::new(),
        }
    }
}

/// A running cluster.
pub struct Cluster {
    dir: TempDir,
    mons: Vec<Daemon>,
    manager: Option<Daemon>,
    osds: Vec<Daemon>,
}

/// Starts a cluster, or says why the test is skipped. In the gate (`CI=true`) nothing may be missing.
#[must_use]
pub fn start_or_skip(options: &Options) -> Option<Cluster> {
    // What the client says of itself, for whoever looks into a failure: RUST_LOG=ringbd=debug.
    drop(
        tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::from_default_env())
            .with_writer(std::io::stderr)
            .try_init(),
    );
    let there = installed(&["ceph-mon", "ceph-mgr", "ceph-osd"], "ceph-mon ceph-mgr ceph-osd")
        && installed(&["ceph", "rados", "monmaptool"], "ceph-common");
    there.then(|| Cluster::start(options))
}

impl Cluster {
    /// Starts one and waits until its OSDs are up.
    ///
    /// # Panics
    /// When a daemon does not come up; what it logged is in the message.
    #[must_use]
    pub fn start(options: &Options) -> Cluster {
        let dir = tempfile::Builder::new().prefix("ringbd-ceph-").tempdir().expect("a temporary folder");
        let ports = free_ports(options.mons);
        let mut cluster = Cluster { dir, mons: Vec::new(), manager: None, osds: Vec::new() };
        let fsid = keys::uuid();
        cluster.write("ceph.conf", &configuration(options, &fsid, &ports, cluster.path()));
        cluster.write("keyring", &keys::keyring(options.osds));
        cluster.start_mons(options, &fsid, &ports);
        if options.manager {
            fs::create_dir_all(cluster.path().join("mgr")).expect("a folder");
            cluster.manager = Some(cluster.daemon("ceph-mgr", "mgr", "x"));
        }
        for osd in 0..options.osds {
            cluster.make_osd(osd);
        }
        cluster.await_osds_up(options.osds);
        cluster
    }

    fn start_mons(&mut self, options: &Options, fsid: &str, ports: &[u16]) {
        let monmap = self.path().join("monmap");
        let mut make = self.tool("monmaptool");
        make.args(["--create", "--fsid", fsid]);
        for (no, port) in ports.iter().enumerate() {
            make.args(["--addv", &mon_name(no), &format!("[v2:127.0.0.1:{port}/0]")]);
        }
        run(make.arg(&monmap));
        for no in 0..options.mons {
            let name = mon_name(no);
            fs::create_dir_all(self.path().join(format!("mon.{name}"))).expect("a folder");
            let keyring = self.path().join("keyring");
            let mut mkfs = self.tool("ceph-mon");
            mkfs.args(["--mkfs", "-i", &name, "--monmap"]).arg(&monmap).arg("--keyring").arg(keyring);
            run(&mut mkfs);
            let mon = self.daemon("ceph-mon", "mon", &name);
            self.mons.push(mon);
        }
    }

    fn make_osd(&mut self, no: usize) {
        let (uuid, name) = (keys::uuid(), no.to_string());
        self.ceph(&["osd", "new", &uuid, &name]);
        let folder = self.path().join(format!("osd.{no}"));
        fs::create_dir_all(&folder).expect("a folder");
        let mut mkfs = self.tool("ceph-osd");
        mkfs.args(["-i", &name, "--mkfs", "--osd-uuid", &uuid, "--no-mon-config"]);
        run(&mut mkfs);
        let osd = self.daemon("ceph-osd", "osd", &name);
        self.osds.push(osd);
    }

    /// Waits until so many OSDs are up.
    pub fn await_osds_up(&self, osds: usize) {
        self.await_that("the OSDs come up", |cluster| {
            let stat = cluster.ceph_json(&["osd", "stat"]);
            stat["num_up_osds"].as_u64() == Some(osds as u64)
        });
    }

    /// Waits until all placement groups are active and clean, which needs a manager to tell.
    pub fn await_clean(&self) {
        self.await_that("the placement groups become clean", |cluster| {
            let stat = cluster.ceph_json(&["pg", "stat"]);
            let summary = &stat["pg_summary"];
            let states = summary["num_pg_by_state"].as_array().cloned().unwrap_or_default();
            !states.is_empty() && states.iter().all(|state| state["name"] == "active+clean")
        });
    }

    /// Waits until `done`, and panics when that takes too long.
    pub fn await_that(&self, what: &str, done: impl Fn(&Cluster) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < deadline, "waited in vain until {what}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The folder that everything is in.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The configuration file, for the cluster's tools and for ours.
    #[must_use]
    pub fn conf(&self) -> PathBuf {
        self.path().join("ceph.conf")
    }

    /// An OSD's daemon.
    pub fn osd(&mut self, no: usize) -> &mut Daemon {
        &mut self.osds[no]
    }

    /// All daemons of OSDs, to be frozen while something else goes on.
    #[must_use]
    pub fn osds(&self) -> &[Daemon] {
        &self.osds
    }

    /// The same of monitors.
    #[must_use]
    pub fn mons(&self) -> &[Daemon] {
        &self.mons
    }

    /// A monitor's daemon.
    pub fn mon(&mut self, no: usize) -> &mut Daemon {
        &mut self.mons[no]
    }

    /// Makes a pool.
    pub fn create_pool(&self, name: &str, pgs: usize) {
        self.ceph(&["osd", "pool", "create", name, &pgs.to_string(), &pgs.to_string()]);
    }

    /// Runs `ceph` with these arguments; returns what it prints.
    pub fn ceph(&self, args: &[&str]) -> String {
        let output = run(self.tool("ceph").args(args));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The same, as JSON.
    #[must_use]
    pub fn ceph_json(&self, args: &[&str]) -> serde_json::Value {
        let text = self.ceph(&[args, &["--format", "json"]].concat());
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Runs `rados` with these arguments.
    pub fn rados(&self, args: &[&str]) -> Output {
        self.tool("rados").args(args).output().expect("rados runs")
    }

    /// One of the cluster's programs, with its configuration.
    #[must_use]
    pub fn tool(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        if program != "monmaptool" {
            command.arg("-c").arg(self.conf());
        }
        command.stdin(Stdio::null()).env_remove("CEPH_ARGS").env_remove("CEPH_CONF");
        command
    }

    fn daemon(&self, program: &str, kind: &str, name: &str) -> Daemon {
        let log = self.path().join(format!("{kind}.{name}.out"));
        let mut command = self.tool(program);
        command.args(["-f", "-i", name]);
        Daemon::start(command, log)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).expect("a file in a folder of ours");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let daemons = self.osds.iter_mut().chain(&mut self.manager).chain(&mut self.mons);
        daemons.for_each(Daemon::kill);
    }
}

fn mon_name(no: usize) -> String {
    char::from(b'a' + u8::try_from(no).expect("a handful of monitors")).to_string()
}

/// Ports that nobody listens on now.
fn free_ports(count: usize) -> Vec<u16> {
    let sockets: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
    sockets.iter().map(|socket| socket.local_addr().expect("it is bound").port()).collect()
}

fn configuration(options: &Options, fsid: &str, ports: &[u16], dir: &Path) -> String {
    let mons: Vec<String> = ports.iter().map(|port| format!("[v2:127.0.0.1:{port}/0]")).collect();
    let (dir, mons) = (dir.display(), mons.join(","));
    let Options { auth, size, store, global, .. } = options;
    let mut text = format!(
        "[global]\nfsid = {fsid}\nmon host = {mons}\nkeyring = {dir}/keyring\n\
         auth cluster required = {auth}\nauth service required = {auth}\nauth client required = {auth}\n\
         run dir = {dir}\nadmin socket = {dir}/$name.asok\nlog file = {dir}/$name.log\n\
         osd pool default size = {size}\nosd pool default min size = 1\nmon allow pool size one = true\n\
         osd crush chooseleaf type = 0\nosd pool default pg autoscale mode = off\nmon allow pool delete = true\n\
         mon max pg per osd = 5000\nosd max pg per osd hard ratio = 100\nms bind ipv6 = false\n\
         public network = 127.0.0.0/8\ncluster network = 127.0.0.0/8\nmon warn on pool no app = false\n{global}\n"
    );
    write!(
        text,
        "[mon]\nmon data = {dir}/$type.$id\npaxos propose interval = 0.05\npaxos min wait = 0.01\n\
         mon data avail crit = 1\nmon data avail warn = 2\nmon osd down out interval = 600\n\
         [mgr]\nmgr data = {dir}/mgr\n\
         [osd]\nosd data = {dir}/$type.$id\nosd objectstore = {store}\nmemstore device bytes = 2147483648\n\
         memstore page set = true\nbluestore block size = 4294967296\nosd memory target = 939524096\n\
         osd op num shards = 2\nosd heartbeat grace = 6\nosd heartbeat interval = 1\nosd mon heartbeat interval = 2\n"
    )
    .expect("a string takes everything");
    text
}

/// Runs a command that must succeed.
fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
