//! The errors that a new user meets: each names the thing and the way out, ends when it should, and looks and exits as the
//! `rados` tool's does.
//!
//! What needs a real cluster needs Debian's Ceph packages. Where they are missing those tests say so and pass, except in the
//! gate (`CI=true`). The rest is tried against the model cluster, and against peers made by hand.

#![allow(clippy::unwrap_used)]

#[path = "ceph_errors/peers.rs"]
mod peers;

use ringbd_proto::auth::ConMode;
use ringbd_proto::auth::server::TicketLives;
use ringbd_proto::msgr2::Features;
use ringbd_tests::ceph::{Cluster, Options, start_or_skip};
use ringbd_tests::model::state::Auth;
use ringbd_tests::model::{ServeOptions, Served, serve};
use ringbd_tests::programs::ringbd;
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Whatever ends by itself has ended then, also on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

/// The command on a configuration file, with more options as Ceph's tools take them.
fn command(conf: &Path, options: &[(&str, &str)], args: &[&str]) -> Command {
    let options: Vec<String> = options.iter().map(|(name, value)| format!("--{name}={value}")).collect();
    let mut command = Command::new(ringbd());
    command.arg("--conf").arg(conf).args(args).stdin(Stdio::null());
    for variable in ["CEPH_CONF", "CEPH_KEYRING", "RINGBD_LOG", "RINGBD_STORE"] {
        command.env_remove(variable);
    }
    command.env("CEPH_ARGS", options.join(" "));
    command
}

fn ends(mut command: Command) -> Output {
    let began = Instant::now();
    let output = command.output().unwrap();
    assert!(began.elapsed() < PATIENCE, "{command:?} took {:?}", began.elapsed());
    output
}

/// The moment from which a command is timed: it has been built by then.
fn begin() -> Instant {
    ringbd();
    Instant::now()
}

/// What must fail: the exit code, the first line that is no warning, and what all of it must contain.
#[track_caller]
fn fails(command: Command, code: i32, first_line: &str, parts: &[&str]) -> String {
    let shown = format!("{command:?}");
    let output = ends(command);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{shown}: {said}");
    let first = said.lines().find(|line| line.starts_with("ringbd: "));
    assert_eq!(first, Some(first_line), "{shown}: {said}");
    for part in parts {
        assert!(said.contains(part), "{part:?} in {said}\n{shown}");
    }
    said
}

const DENIED: &str = "ringbd: couldn't connect to cluster: (13) Permission denied";
const NOT_SUPPORTED: &str = "ringbd: couldn't connect to cluster: (95) Operation not supported";
const TIMED_OUT: &str = "ringbd: couldn't connect to cluster: (110) Connection timed out";
const LS: &[&str] = &["rados", "-p", "data", "ls"];

/// A configuration file in a folder of its own, for clients that need nothing but monitors' addresses.
fn conf_of(monitors: &[SocketAddr], more: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let hosts: Vec<String> = monitors.iter().map(|addr| format!("v2:{addr}")).collect();
    let path = dir.path().join("ceph.conf");
    let text = format!("[global]\nmon host = {}\nauth client required = none\n{more}\n", hosts.join(","));
    std::fs::write(&path, text).unwrap();
    (dir, path)
}

// Against a real cluster.

#[test]
fn users_pools_and_objects_of_a_real_cluster() {
    let options = Options { osds: 1, size: 1, manager: true, ..Options::default() };
    let Some(cluster) = start_or_skip(&options) else { return };
    cluster.create_pool("data", 8);
    let file = cluster.path().join("file");
    std::fs::write(&file, b"bytes").unwrap();
    keys_and_capabilities(&cluster, file.to_str().unwrap());
    keyrings(&cluster);
    nothing_there(&cluster);
    another_cluster(&cluster);
    watchers_that_do_not_answer(&cluster);
    a_full_pool(&cluster, file.to_str().unwrap());
    no_monitor_any_more(cluster);
}

/// Makes a user; returns its keyring.
fn user(cluster: &Cluster, name: &str, caps: &[&str]) -> String {
    let entity = format!("client.{name}");
    cluster.command(&json!({"prefix": "auth add", "entity": entity, "caps": caps}));
    let keyring = cluster.path().join(format!("{name}.keyring"));
    let got = cluster.try_command(&json!({"prefix": "auth get-key", "entity": entity}));
    let key: serde_json::Value = serde_json::from_slice(&got.data).unwrap();
    std::fs::write(&keyring, format!("[{entity}]\n\tkey = {}\n", key["key"].as_str().unwrap())).unwrap();
    keyring.to_str().unwrap().to_owned()
}

fn keys_and_capabilities(cluster: &Cluster, file: &str) {
    let conf = cluster.conf();
    let wrong = cluster.path().join("wrong.keyring");
    let key = "AQBktwJrM6JOIhAAtuYSwyL9G9K7zF5otBlGOQ==";
    std::fs::write(&wrong, format!("[client.admin]\nkey = {key}\n[client.nobody]\nkey = {key}\n")).unwrap();
    let wrong = wrong.to_str().unwrap();
    for id in ["admin", "nobody"] {
        let refused = format!("the monitors refuse client.{id}: its key is wrong, there is no such user");
        let way_out = format!("{wrong}; compare it with `ceph auth get client.{id}`");
        fails(command(&conf, &[("keyring", wrong), ("id", id)], LS), 1, DENIED, &[&refused, &way_out]);
    }
    let keyless = user(cluster, "stranger", &["osd", "allow *"]);
    fails(
        command(&conf, &[("keyring", &keyless), ("id", "stranger")], LS),
        1,
        DENIED,
        &["client.stranger", "it has no mon capabilities"],
    );
    let blind = user(cluster, "blind", &["mon", "allow command fsid", "osd", "allow *"]);
    let options = [("keyring", blind.as_str()), ("id", "blind"), ("client_mount_timeout", "2")];
    fails(command(&conf, &options, LS), 1, TIMED_OUT, &["no OSD map within 2.0 s", "caps mon 'allow r'"]);
    let reader = user(cluster, "reader", &["mon", "allow r", "osd", "allow r"]);
    let as_reader = [("keyring", reader.as_str()), ("id", "reader")];
    assert!(ends(command(&conf, &as_reader, LS)).status.success());
    fails(
        command(&conf, &as_reader, &["rados", "-p", "data", "put", "object", file]),
        1,
        "ringbd: error putting data/object: (1) Operation not permitted",
        &[
            "client.reader lacks the OSD capability w",
            "osd 'allow rw pool=data'",
            "`ceph auth get client.reader`",
        ],
    );
    let writer = user(cluster, "writer", &["mon", "allow r", "osd", "allow w pool=data"]);
    let as_writer = [("keyring", writer.as_str()), ("id", "writer")];
    fails(
        command(&conf, &as_writer, &["rados", "-p", "data", "-N", "space", "get", "object", "-"]),
        1,
        "ringbd: error getting data/object: (1) Operation not permitted",
        &["client.writer lacks the OSD capability r", "pool=data namespace=space"],
    );
}

fn keyrings(cluster: &Cluster) {
    let conf = cluster.conf();
    let missing = "ringbd: couldn't connect to cluster: (2) No such file or directory";
    let parts = ["find the key of client.admin", "/nowhere (not there)", "`ceph auth get client.admin -o"];
    // Also where the client would go without a key, if the cluster let it.
    for methods in ["cephx", "cephx,none"] {
        let options = [("keyring", "/nowhere"), ("auth_client_required", methods)];
        fails(command(&conf, &options, LS), 1, missing, &parts);
    }
    let dir = cluster.path().to_str().unwrap();
    let unreadable = "ringbd: couldn't connect to cluster: (5) Input/output error";
    fails(
        command(&conf, &[("keyring", dir)], LS),
        1,
        unreadable,
        &["Is a directory", "let this process read it"],
    );
    let malformed = "ringbd: couldn't connect to cluster: (22) Invalid argument";
    let path = cluster.path().join("malformed.keyring");
    std::fs::write(&path, b"[client.admin]\nwhat is this\n").unwrap();
    let path = path.to_str().unwrap();
    fails(
        command(&conf, &[("keyring", path)], LS),
        1,
        malformed,
        &[&format!("{path}:2: expected name = value")],
    );
}

/// Message and exit code are those of `rados`, whatever is said below.
fn nothing_there(cluster: &Cluster) {
    for args in [
        &["-p", "nopool", "ls"][..],
        &["-p", "data", "get", "nothing", "-"],
        &["-p", "data", "stat", "nothing"],
        &["-p", "data", "rm", "nothing"],
    ] {
        let theirs = cluster.rados(args);
        let said = String::from_utf8(theirs.stderr).unwrap();
        let line = format!("ringbd: {}", said.lines().next().unwrap().trim_start());
        let ours = [&["rados"], args].concat();
        let code = theirs.status.code().unwrap();
        assert_eq!(code, 1);
        fails(command(&cluster.conf(), &[], &ours), code, &line, &["no such"]);
    }
    let line = "ringbd: error opening pool dat: (2) No such file or directory";
    fails(command(&cluster.conf(), &[], &["rados", "-p", "dat", "ls"]), 1, line, &["did you mean data?"]);
    fails(command(&cluster.conf(), &[], &["rados", "ls"]), 1, "ringbd: no pool is named (give -p POOL)", &[]);
}

fn another_cluster(cluster: &Cluster) {
    let other = [("fsid", "00112233-4455-6677-8899-aabbccddeeff")];
    let line = "ringbd: couldn't connect to cluster: (22) Invalid argument";
    let parts =
        ["the monitors belong to cluster", other[0].1, "fsid (CEPH_ARGS)", "correct the one that is wrong"];
    fails(command(&cluster.conf(), &other, LS), 1, line, &parts);
}

/// A process that is killed when the test is over with it.
struct Running(Child);

impl Running {
    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.0.id().to_string()]).status().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Starts a command and waits for the first line on one of its outputs.
fn first_line(mut command: Command, errors: bool) -> (Running, String) {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut running = Running(child);
    let mut line = String::new();
    match errors {
        true => BufReader::new(running.0.stderr.as_mut().unwrap()).read_line(&mut line).unwrap(),
        false => BufReader::new(running.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap(),
    };
    (running, line)
}

fn watchers_that_do_not_answer(cluster: &Cluster) {
    let conf = cluster.conf();
    let file = cluster.path().join("file");
    let put = command(&conf, &[], &["rados", "-p", "data", "put", "bell", file.to_str().unwrap()]);
    assert!(ends(put).status.success());
    let (watcher, line) = first_line(command(&conf, &[], &["rados", "-p", "data", "watch", "bell"]), false);
    assert!(line.starts_with("watching bell"), "{line}");
    watcher.signal("-STOP");
    let began = begin();
    let line =
        "ringbd: error calling notify: (110) Connection timed out; 1 watchers did not answer within 2 s";
    let notify = ["rados", "-p", "data", "notify", "bell", "ring", "--timeout", "2"];
    fails(command(&conf, &[], &notify), 1, line, &[]);
    assert!(began.elapsed() >= Duration::from_secs(2));
    watcher.signal("-CONT");
    // An OSD that hangs does not make it last for ever.
    cluster.osds()[0].freeze();
    let parts = ["notify data/bell: no answer in time: there is no connection to osd.0 yet"];
    fails(
        command(&conf, &[], &notify),
        1,
        "ringbd: error calling notify: (110) Connection timed out",
        &parts,
    );
    cluster.osds()[0].thaw();
    let help = ends(command(&conf, &[], &["rados", "notify", "--help"])).stdout;
    let help = String::from_utf8(help).unwrap();
    assert!(help.contains("[default: 10]"), "the rados tool waits for 10 s: {help}");
}

fn a_full_pool(cluster: &Cluster, file: &str) {
    let conf = cluster.conf();
    cluster.create_pool("small", 8);
    cluster.command(
        &json!({"prefix": "osd pool set-quota", "pool": "small", "field": "max_objects", "val": "1"}),
    );
    let put = ["rados", "-p", "small", "put", "object", file];
    assert!(ends(command(&conf, &[], &put)).status.success());
    cluster.await_that("the pool has reached its quota", |cluster| {
        let map = cluster.command(&json!({"prefix": "osd dump"}));
        let mut pools = map["pools"].as_array().unwrap().iter();
        let small = pools.find(|pool| pool["pool_name"] == "small").unwrap();
        small["flags_names"].as_str().unwrap().contains("full")
    });
    let began = begin();
    let line = "ringbd: error putting small/object: (110) Connection timed out";
    let parts = [
        "slow operations: pool small has reached its quota",
        "rados_osd_op_timeout ends the wait after 7.0 s",
        "no answer in time: pool small has reached its quota: writes wait until it is raised",
        "`ceph osd pool get-quota small`",
    ];
    fails(command(&conf, &[("rados_osd_op_timeout", "7")], &put), 1, line, &parts);
    assert!(began.elapsed() >= Duration::from_secs(7));
    // Without a limit it waits, says what for, and goes on when there is room.
    let (mut waiting, line) = first_line(command(&conf, &[], &put), true);
    assert!(line.contains("pool small has reached its quota"), "{line}");
    cluster.command(
        &json!({"prefix": "osd pool set-quota", "pool": "small", "field": "max_objects", "val": "0"}),
    );
    cluster.await_that("the write is done", |_| waiting.0.try_wait().unwrap().is_some());
    assert!(waiting.0.wait().unwrap().success());
}

fn no_monitor_any_more(mut cluster: Cluster) {
    let conf = cluster.conf();
    // It takes connections and says nothing.
    cluster.mons()[0].freeze();
    let began = begin();
    let options = [("client_mount_timeout", "2")];
    fails(
        command(&conf, &options, LS),
        1,
        TIMED_OUT,
        &["within 2.0 s; v2:127.0.0.1:", ": no answer yet", "mon_host"],
    );
    assert!(began.elapsed() < Duration::from_secs(20));
    cluster.mons()[0].thaw();
    cluster.mon(0).kill();
    fails(command(&conf, &options, LS), 1, TIMED_OUT, &["Connection refused", "do the monitors run?"]);
}

#[test]
fn modes_that_a_real_cluster_does_not_allow() {
    let global = "ms mon service mode = secure\nms service mode = secure".to_owned();
    let options = Options { osds: 1, size: 1, global, ..Options::default() };
    let Some(cluster) = start_or_skip(&options) else { return };
    cluster.create_pool("data", 8);
    let conf = cluster.conf();
    fails(
        command(&conf, &[("ms_mon_client_mode", "crc")], LS),
        1,
        NOT_SUPPORTED,
        &[
            "the connection modes secure",
            "offers ms_mon_client_mode = crc (CEPH_ARGS): set ms_mon_client_mode = secure",
        ],
    );
    let crc_to_osds = [("ms_client_mode", "crc"), ("rados_osd_op_timeout", "3")];
    let parts = [
        "WARN ringbd::rados::session::line: osd.0 does not take this client",
        "set ms_client_mode = secure",
        "no answer in time: there is no connection to osd.0",
    ];
    let put = ["rados", "-p", "data", "stat", "object"];
    fails(
        command(&conf, &crc_to_osds, &put),
        1,
        "ringbd: error stat-ing data/object: (110) Connection timed out",
        &parts,
    );
    assert!(ends(command(&conf, &[], LS)).status.success());
}

// Against the model cluster.

fn model(mode: ConMode, prepare: impl FnOnce(&Served)) -> (tempfile::TempDir, PathBuf, Served) {
    let auth = Auth::cephx(mode, TicketLives::default(), 1);
    let served = serve(&ServeOptions { auth, ..ServeOptions::default() }).unwrap();
    prepare(&served);
    let more: String =
        served.client_options().iter().map(|(name, value)| format!("{name} = {value}\n")).collect();
    let (dir, conf) = conf_of(&[], &more);
    (dir, conf, served)
}

#[test]
fn secure_mode_where_only_checksums_are_allowed() {
    let (_dir, conf, _served) = model(ConMode::Crc, |_| {});
    assert!(ends(command(&conf, &[], &["status"])).status.success());
    let parts = ["the connection modes crc", "set ms_mon_client_mode = crc"];
    fails(command(&conf, &[("ms_mon_client_mode", "secure")], LS), 1, NOT_SUPPORTED, &parts);
    let parts = ["auth_client_required, CEPH_ARGS", "set auth_client_required = cephx"];
    fails(command(&conf, &[("auth_client_required", "none")], LS), 1, NOT_SUPPORTED, &parts);
}

/// Tickets of monitors whose clock is a month behind are over before an OSD sees them.
#[test]
fn a_clock_that_is_wrong_is_named() {
    let lag = Duration::from_secs(30 * 86_400);
    let (_dir, conf, _served) = model(ConMode::Crc, |served| {
        served.shared.with(|state| state.manners.clock_lag = lag);
    });
    let stat = ["rados", "-p", "data", "stat", "object"];
    let parts = [
        "the osd service refuses our ticket; our clock is 2592000 s ahead of the monitor's",
        "set this machine's clock, or the monitors'",
        "no answer in time: there is no connection to osd.",
    ];
    let line = "ringbd: error stat-ing data/object: (110) Connection timed out";
    fails(command(&conf, &[("rados_osd_op_timeout", "3")], &stat), 1, line, &parts);
}

// Against peers made by hand.

#[test]
fn what_is_no_monitor_of_ours_is_named_at_once() {
    for (peer, parts) in [
        (peers::first_protocol(), ["speaks the first messenger protocol", "port 3300"]),
        (peers::web_server(), ["it begins with \"HTTP/1.1\"", "`ceph mon dump` lists them"]),
        (
            peers::newer_messenger(),
            ["requires the messenger features 0x4000000000000000", "a newer ringbd is needed"],
        ),
        (peers::requires(Features(1 << 17)), ["requires the features 0x20000", "`ceph features`"]),
    ] {
        let (_dir, conf) = conf_of(&[peer], "");
        let began = begin();
        let said = fails(command(&conf, &[], LS), 1, NOT_SUPPORTED, &parts);
        assert!(said.contains(&format!("monitor v2:{peer}")), "{said}");
        assert!(began.elapsed() < Duration::from_secs(30), "nobody waits for what will not change");
    }
}

#[test]
fn addresses_at_which_nobody_answers_are_all_named() {
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let (silent, web) = (peers::silent(), peers::web_server());
    // One that is no monitor is not the end, as long as others may be.
    let (_dir, conf) = conf_of(&[nobody, silent, web], "client mount timeout = 7");
    let began = begin();
    let parts = [
        "no monitor took this client within 7.0 s".to_owned(),
        format!("v2:{nobody}/0: Connection refused"),
        format!("v2:{silent}/0: no answer within"),
        format!("v2:{web}/0: the peer does not speak Ceph's messenger protocol"),
        format!("is mon_host ({}:2) right", conf.display()),
        "WARN ringbd::rados::monitor::complaint: waiting for the cluster: no monitor takes this client"
            .to_owned(),
    ];
    fails(command(&conf, &[], LS), 1, TIMED_OUT, &parts.each_ref().map(String::as_str));
    assert!(began.elapsed() >= Duration::from_secs(7) && began.elapsed() < Duration::from_secs(30));
}
