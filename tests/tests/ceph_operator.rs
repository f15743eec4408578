//! What an operator configures and looks at, on a real cluster: configuration that takes effect, the monitors' included;
//! tickets that end; connections that rest; figures and events; `ringbd status`.
//!
//! Needs Debian's Ceph packages. Where they are missing the tests say so and pass, except in the gate (`CI=true`).

#![allow(clippy::unwrap_used)]

use ringbd::Buf;
use ringbd::rados::{ConMode, IoCtx, OpError, Rados, SessionStatus};
use ringbd::runtime::{now, sleep};
use ringbd_tests::ceph::{Cluster, Options, start_or_skip};
use ringbd_tests::programs::ringbd;
use std::io::Write;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const NOTHING: &[(&str, &str)] = &[];
/// What makes everything that takes its time happen at once.
const QUICK: (&str, &str) = ("objecter_tick_interval", "0.1");
const SECOND: Duration = Duration::from_secs(1);

async fn put(io: &IoCtx, object: &str) -> Result<(), OpError> {
    io.write_full(object.as_bytes(), Buf::from_slice(b"bytes")).await
}

/// The session with the only OSD.
async fn session(rados: &Rados) -> SessionStatus {
    rados.status().await.sessions.remove(0)
}

/// Waits until `done`, for up to ten seconds.
async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let began = now();
    while !done().await {
        assert!(began.elapsed() < 10 * SECOND, "waited in vain until {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn what_is_configured_takes_effect() {
    let options = Options { osds: 1, size: 1, ..Options::default() };
    let Some(cluster) = start_or_skip(&options) else { return };
    cluster.create_pool("data", 8);
    the_monitors_tune_a_running_client(&cluster);
    another_cluster_is_refused(&cluster);
    idle_connections_rest(&cluster);
    modes(&cluster);
    a_reconnect_can_be_followed(&cluster);
    the_command_shows_the_cluster(&cluster);
    waiting_has_the_limits_that_are_set(&cluster);
}

fn the_monitors_tune_a_running_client(cluster: &Cluster) {
    let set = |value| cluster.ceph(&["config", "set", "client", "rados_osd_op_timeout", value]);
    cluster.with_client(&[("objecter_timeout", "3")], async |rados| {
        let io = rados.pool("data").await.unwrap();
        put(&io, "tuned").await.unwrap();
        cluster.ceph(&["config", "set", "client", "objecter_timeout", "9"]);
        set("1");
        let told = || rados.cluster().monitor_config();
        until("the monitors have said it", async || {
            told().iter().any(|(name, _)| name == "rados_osd_op_timeout")
        })
        .await;
        cluster.osds()[0].freeze();
        let (began, outcome) = (now(), put(&io, "tuned").await);
        cluster.osds()[0].thaw();
        assert_eq!(outcome, Err(OpError::TimedOut));
        assert!(began.elapsed() < 5 * SECOND);
        put(&io, "tuned").await.unwrap();
    });
    cluster.ceph(&["config", "rm", "client", "rados_osd_op_timeout"]);
    cluster.ceph(&["config", "rm", "client", "objecter_timeout"]);
}

fn another_cluster_is_refused(cluster: &Cluster) {
    const OTHER: &str = "00112233-4455-6677-8899-aabbccddeeff";
    let ours = cluster.ceph(&["fsid"]);
    let mut core = ringbd::World::real().lend_core(Default::default()).unwrap();
    core.block_on(async {
        let (client, mut seats) = cluster.new_client(&[("fsid", OTHER)], 1);
        let error = seats.remove(0).join().ready().await.unwrap_err().to_string();
        assert!(error.contains(ours.trim()) && error.contains(OTHER), "{error}");
        client.close();
    });
}

fn idle_connections_rest(cluster: &Cluster) {
    let options = [QUICK, ("ms_connection_idle_timeout", "1"), ("osd_client_watch_timeout", "7")];
    cluster.with_client(&options, async |rados| {
        let io = rados.pool("data").await.unwrap();
        put(&io, "idle").await.unwrap();
        until("it rests", async || session(rados).await.connection.is_none()).await;
        put(&io, "idle").await.unwrap();
        assert_eq!(session(rados).await.connections, 2);
        assert_eq!(session(rados).await.last_error.unwrap().reason, "it was idle");
        // A watch needs the connection, and says how long it may be silent.
        let watch = io.watch(b"idle").await.unwrap();
        let watchers =
            io.operate_read(b"idle", &[ringbd::rados::OsdOp::ListWatchers.into()], None).await.unwrap();
        assert!(format!("{:?}", watchers.output(0).unwrap()).contains('7'));
        sleep(2 * SECOND).await;
        assert_eq!(session(rados).await.connections, 2);
        watch.close().await.unwrap();
        until("it rests", async || session(rados).await.connection.is_none()).await;
    });
}

fn modes(cluster: &Cluster) {
    for (word, mode) in [("secure", ConMode::Secure), ("crc", ConMode::Crc)] {
        cluster.with_client(&[("ms_client_mode", word), ("ms_mon_client_mode", word)], async |rados| {
            put(&rados.pool("data").await.unwrap(), "modes").await.unwrap();
            assert_eq!(session(rados).await.connection.unwrap().mode, mode);
            assert_eq!(rados.status().await.monitors.session.unwrap().1.mode, mode);
        });
    }
}

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn a_reconnect_can_be_followed(cluster: &Cluster) {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter("ringbd=info")
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        cluster.with_client(NOTHING, async |rados| {
            let io = rados.pool("data").await.unwrap();
            put(&io, "followed").await.unwrap();
            // It is alive, and comes back by itself at another address.
            cluster.ceph(&["osd", "down", "0"]);
            rados.latest_map().await.unwrap();
            put(&io, "followed").await.unwrap();
            let session = session(rados).await;
            assert_eq!((session.connections, session.operations), (2, 2));
            assert!(session.latency.max_us >= session.latency.p50_us && session.latency.p50_us > 0);
        });
    });
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for event in
        ["monitor session", "osdmap epoch=", "connected osd=0", "the connection ended osd=0", "a new session"]
    {
        assert!(text.contains(event), "{event} in\n{text}");
    }
}

fn the_command_shows_the_cluster(cluster: &Cluster) {
    let run = |args: &[&str]| {
        let mut command = Command::new(ringbd());
        command
            .arg("--conf")
            .arg(cluster.conf())
            .args(args)
            .env_remove("RINGBD_STORE")
            .env_remove("CEPH_ARGS");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let fsid = cluster.ceph(&["fsid"]);
    let text = run(&["status", "--osds"]);
    for part in [fsid.trim(), "mon: 1 monitors", "osd: 1 osds: 1 up, 1 in", "data", "osd.0", "mon.a"] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    let json: serde_json::Value = serde_json::from_str(&run(&["status", "--format", "json"])).unwrap();
    assert_eq!(json["fsid"], fsid.trim());
    assert_eq!(json["connections"][0]["peer"], "mon.a");
    let bench = ["rados", "-p", "data", "bench", "1", "write", "-b", "4096", "--format", "json"];
    let json: serde_json::Value = serde_json::from_str(&run(&bench)).unwrap();
    assert_eq!((&json["osds"][0]["osd"], &json["osds"][0]["operations"]), (&0.into(), &json["operations"]));
}

fn waiting_has_the_limits_that_are_set(cluster: &Cluster) {
    let options = [("rados_mon_op_timeout", "1"), ("client_notify_timeout", "1")];
    cluster.with_client(&options, async |rados| {
        let io = rados.pool("data").await.unwrap();
        put(&io, "bell").await.unwrap();
        let watch = io.watch(b"bell").await.unwrap();
        let (began, outcome) = (now(), io.notify(b"bell", b"", None).await.unwrap());
        assert_eq!(outcome.timeouts.len(), 1);
        assert!(began.elapsed() < 5 * SECOND, "not the ten seconds of the default");
        watch.close().await.unwrap();
        cluster.mons()[0].freeze();
        let command = rados.mon_command(r#"{"prefix":"osd tree"}"#, b"").await;
        assert_eq!(command, Err(OpError::TimedOut));
    });
    let mut core = ringbd::World::real().lend_core(Default::default()).unwrap();
    core.block_on(async {
        let (client, mut seats) = cluster.new_client(&[("client_mount_timeout", "1")], 1);
        let (began, outcome) = (now(), seats.remove(0).join().ready().await);
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains("within 1.0 s"), "{error}");
        assert!(began.elapsed() < 5 * SECOND);
        client.close();
    });
    cluster.mons()[0].thaw();
}

/// Tickets that live for seconds are renewed, the client's own with a login, while connections are made anew all the time.
#[test]
fn a_client_outlives_its_tickets() {
    let global = "auth mon ticket ttl = 12\nauth service ticket ttl = 8".to_owned();
    let options = Options { osds: 1, size: 1, global, ..Options::default() };
    let Some(cluster) = start_or_skip(&options) else { return };
    cluster.create_pool("data", 8);
    cluster.with_client(&[QUICK, ("ms_connection_idle_timeout", "1")], async |rados| {
        let io = rados.pool("data").await.unwrap();
        let (began, id) = (now(), rados.cluster().global_id());
        while began.elapsed() < 26 * SECOND {
            put(&io, "long").await.unwrap();
            until("it rests", async || session(rados).await.connection.is_none()).await;
        }
        assert_eq!(rados.cluster().global_id(), id);
        assert!(session(rados).await.connections > 10);
    });
}
