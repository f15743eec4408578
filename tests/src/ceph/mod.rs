//! A real Ceph cluster on loopback: monitors, a manager and OSDs of Debian's packages, started in a few seconds in a folder of
//! their own and stopped when the value is dropped.
//!
//! ```text
//! Cluster::start(&Options) ──▶ Cluster: conf(), command(json!({"prefix": "osd stat"})), rados([...]), osd(0).kill(), …
//! ```

mod admin;
mod asok;
mod client;
mod conf;
mod daemon;
mod keys;
mod load;
mod steps;

pub use daemon::Daemon;
pub use load::Load;
pub use steps::Steps;

use crate::programs::installed;
use admin::Admin;
use ringbd::rados::CommandOutput;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{fs, io};
use tempfile::TempDir;
use tracing_subscriber::EnvFilter;

/// How long a cluster may take to do what it was asked.
const PATIENCE: Duration = Duration::from_secs(60);

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
    /// Gone before the daemons are.
    admin: Option<Admin>,
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
            .with_writer(io::stderr)
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
        let mut steps = Steps::new();
        let dir = tempfile::Builder::new().prefix("ringbd-ceph-").tempdir().expect("a temporary folder");
        let ports = free_ports(options.mons);
        let mut cluster = Cluster { admin: None, dir, mons: Vec::new(), manager: None, osds: Vec::new() };
        let fsid = keys::uuid();
        cluster.write("ceph.conf", &conf::configuration(options, &fsid, &ports, cluster.path()));
        cluster.write("keyring", &keys::keyring(options.osds));
        // The stores of the OSDs are made while the monitors elect.
        let osds: Vec<_> = (0..options.osds).map(|no| cluster.begin_osd(no)).collect();
        cluster.start_mons(options, &fsid, &ports);
        cluster.await_quorum(options.mons);
        steps.done("the monitors have a quorum");
        cluster.admin = Some(Admin::start(&cluster));
        if options.manager {
            for folder in ["mgr", "no-modules"] {
                fs::create_dir_all(cluster.path().join(folder)).expect("a folder");
            }
            cluster.manager = Some(cluster.daemon("ceph-mgr", "mgr", "x"));
        }
        for (no, (uuid, mkfs)) in osds.into_iter().enumerate() {
            cluster.finish_osd(no, &uuid, mkfs);
        }
        cluster.await_osds_up(options.osds);
        steps.done("the OSDs are up");
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

    /// Begins to make an OSD's store.
    fn begin_osd(&self, no: usize) -> (String, Child) {
        let (uuid, name) = (keys::uuid(), no.to_string());
        fs::create_dir_all(self.path().join(format!("osd.{no}"))).expect("a folder");
        let mut mkfs = self.tool("ceph-osd");
        mkfs.args(["-i", &name, "--mkfs", "--osd-uuid", &uuid, "--no-mon-config"]);
        let child = mkfs.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        (uuid, child.unwrap_or_else(|error| panic!("{mkfs:?}: {error}")))
    }

    /// Makes it known, and starts it once it has its store.
    fn finish_osd(&mut self, no: usize, uuid: &str, mkfs: Child) {
        let made = mkfs.wait_with_output().expect("a child of ours can be waited for");
        assert!(made.status.success(), "osd.{no}: {}", String::from_utf8_lossy(&made.stderr));
        self.command(&json!({"prefix": "osd new", "uuid": uuid, "id": no}));
        let osd = self.daemon("ceph-osd", "osd", &no.to_string());
        self.osds.push(osd);
    }

    /// Waits until so many monitors are in the quorum.
    pub fn await_quorum(&self, mons: usize) {
        self.await_that(&format!("{mons} monitors have a quorum"), |cluster| {
            let status = cluster.ask("mon.a", &json!({"prefix": "mon_status"}));
            status.is_ok_and(|status| status["quorum"].as_array().is_some_and(|quorum| quorum.len() == mons))
        });
    }

    /// Waits until so many OSDs are up.
    pub fn await_osds_up(&self, osds: usize) {
        self.await_that(&format!("{osds} OSDs are up"), |cluster| {
            let stat = cluster.command(&json!({"prefix": "osd stat"}));
            stat["num_up_osds"].as_u64() == Some(osds as u64)
        });
    }

    /// Waits until all placement groups are active and clean, as the OSDs that lead them say.
    pub fn await_clean(&self) {
        let map = self.command(&json!({"prefix": "osd dump"}));
        let epoch = map["epoch"].as_u64().expect("a map has an epoch");
        let pools = map["pools"].as_array().expect("a map has pools");
        for pool in pools {
            for pg in 0..pool["pg_num"].as_u64().expect("a pool has placement groups") {
                let pgid = format!("{}.{pg:x}", pool["pool"]);
                self.await_that(&format!("placement group {pgid} is clean in epoch {epoch}"), |cluster| {
                    cluster.leader_says_clean(&pgid, epoch)
                });
            }
        }
    }

    /// Only the OSD that leads a placement group answers for it.
    fn leader_says_clean(&self, pgid: &str, epoch: u64) -> bool {
        let query = json!({"prefix": "query", "pgid": pgid});
        let answers = (0..self.osds.len()).filter_map(|osd| self.ask(&format!("osd.{osd}"), &query).ok());
        let mut states = answers.filter(|answer| answer["state"].is_string());
        let first = states.next();
        first.is_some_and(|first| {
            let clean = first["state"].as_str().is_some_and(|state| state.starts_with("active+clean"));
            clean && first["epoch"].as_u64() >= Some(epoch) && states.next().is_none()
        })
    }

    /// Waits until `done`, and panics when that takes too long.
    pub fn await_that(&self, what: &str, mut done: impl FnMut(&Cluster) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain until {what}");
            std::thread::sleep(Duration::from_millis(20));
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
        self.command(&json!({"prefix": "osd pool create", "pool": name, "pg_num": pgs, "pgp_num": pgs}));
    }

    /// Gives the monitors a command that must succeed; returns what it says, as JSON where it is some.
    pub fn command(&self, command: &Value) -> Value {
        let output = self.try_command(command);
        assert_eq!(output.result, 0, "{command}: {}", output.status);
        serde_json::from_slice(&output.data).unwrap_or_default()
    }

    /// Gives the monitors a command.
    pub fn try_command(&self, command: &Value) -> CommandOutput {
        let mut command = command.clone();
        command["format"] = "json".into();
        self.admin.as_ref().expect("the monitors run").command(&command)
    }

    /// Gives a daemon (`osd.0`) a command over its admin socket.
    pub fn ask(&self, daemon: &str, command: &Value) -> io::Result<Value> {
        asok::ask(&self.path().join(format!("{daemon}.asok")), command)
    }

    /// Runs `ceph` with these arguments, as an operator does; returns what it prints.
    pub fn ceph(&self, args: &[&str]) -> String {
        let output = run(self.tool("ceph").args(args));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The same, as JSON.
    #[must_use]
    pub fn ceph_json(&self, args: &[&str]) -> Value {
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
        self.admin = None;
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
