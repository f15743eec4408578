//! Watches: kept through whatever the cluster does, and lost by clients that fall silent, which learn of it when they return.

use super::{ENOTCONN, NOTHING, another_client, soon};
use ringbd::Buf;
use ringbd::rados::{IoCtx, OsdOp, Watch, WatchNews};
use ringbd::runtime::{sleep, spawn};
use ringbd_proto::osd::{WatchItem, Watchers};
use ringbd_tests::ceph::Cluster;
use serde_json::{Value, json};
use std::future::poll_fn;
use std::pin::pin;
use std::process::{Child, Stdio};
use std::time::Duration;

/// Who watches, as the OSD tells us.
async fn watchers(io: &IoCtx, object: &[u8]) -> Vec<WatchItem> {
    let reply = io.operate_read(object, &[OsdOp::ListWatchers.into()], None).await.unwrap().ok().unwrap();
    Watchers::decode(reply.output(0).unwrap()).unwrap().0
}

/// Another replica of the only placement group of a pool, which stays with its primary; and then the one of before.
fn replace_the_replica(cluster: &Cluster, pool: &str) {
    let map = cluster.command(&json!({"prefix": "osd map", "pool": pool, "object": "bell"}));
    let acting: Vec<u64> = map["acting"].as_array().unwrap().iter().filter_map(Value::as_u64).collect();
    let (pgid, spare) = (&map["pgid"], (0..3).find(|osd| !acting.contains(osd)).unwrap());
    let primary = || {
        let map = cluster.command(&json!({"prefix": "osd map", "pool": pool, "object": "bell"}));
        map["acting_primary"].as_u64()
    };
    let before = primary();
    cluster.command(&json!({"prefix": "osd pg-upmap-items", "pgid": pgid, "id": [acting[1], spare]}));
    cluster.await_clean();
    assert_eq!(primary(), before);
    cluster.command(&json!({"prefix": "osd rm-pg-upmap-items", "pgid": pgid}));
    cluster.await_clean();
    assert_eq!(primary(), before);
}

/// Answers whatever the watch hears, until a notification has ended: one that an OSD forgot is heard twice.
async fn answers<T>(watch: &Watch, told: impl Future<Output = T>) -> T {
    let mut told = pin!(told);
    let mut hears = pin!(async {
        loop {
            match watch.next().await {
                // The OSD may not know of it any more.
                WatchNews::Notified(notification) => drop(watch.ack(&notification, b"heard").await),
                WatchNews::Lost(error) => panic!("the watch is lost: {error}"),
            }
        }
    });
    let told = poll_fn(|context| {
        let outcome = told.as_mut().poll(context);
        if outcome.is_pending() {
            assert!(hears.as_mut().poll(context).is_pending(), "it hears on");
        }
        outcome
    });
    soon("the notification ends", told).await
}

/// Somebody notifies, we hear of it and answer, and the answer arrives.
async fn rings(io: &IoCtx, watch: &Watch) {
    let outcome = answers(watch, io.notify(b"bell", b"ring", Duration::from_secs(20))).await.unwrap();
    let replies: Vec<_> = outcome.replies.iter().map(|reply| &reply.payload[..]).collect();
    assert_eq!((replies, outcome.timeouts.len()), (vec![&b"heard"[..]], 0));
}

/// An OSD forgets who watches when another OSD joins its placement group, although it leads that as before.
pub(super) fn survive_other_intervals(cluster: &Cluster) {
    cluster.create_pool("bells", 1);
    cluster.await_clean();
    cluster.with_client(NOTHING, async |client| {
        let io = client.pool("bells").await.unwrap();
        io.write_full(b"bell", Buf::from_slice(b"")).await.unwrap();
        let watch = io.watch(b"bell").await.unwrap();
        let item = watchers(&io, b"bell").await.remove(0);
        assert_eq!((item.cookie, Some(item.addr)), (watch.cookie(), client.cluster().addr()));
        assert_eq!(item.name.num as u64, client.cluster().global_id().0);
        rings(&io, &watch).await;
        replace_the_replica(cluster, "bells");
        client.latest_map().await.unwrap();
        rings(&io, &watch).await;
        // The OSD that has the watch goes, and comes back at another address.
        let map = cluster.command(&json!({"prefix": "osd map", "pool": "bells", "object": "bell"}));
        let primary = map["acting_primary"].to_string();
        cluster.command(&json!({"prefix": "osd down", "ids": [primary]}));
        client.latest_map().await.unwrap();
        rings(&io, &watch).await;
        cluster.await_osds_up(3);
        cluster.await_clean();
        client.latest_map().await.unwrap();
        rings(&io, &watch).await;
        assert_eq!(watchers(&io, b"bell").await.len(), 1);
        watch.close().await.unwrap();
        assert_eq!(watchers(&io, b"bell").await, []);
    });
}

/// So it forgets the notifications that wait: they are said again, and end.
pub(super) fn notifications_survive_other_intervals(cluster: &Cluster) {
    cluster.with_client(NOTHING, async |client| {
        let io = client.pool("bells").await.unwrap();
        let watcher = another_client(cluster).await;
        let watch = watcher.pool("bells").await.unwrap().watch(b"bell").await.unwrap();
        let told = spawn({
            let io = io.clone();
            async move { io.notify(b"bell", b"wait", Duration::from_secs(600)).await }
        });
        let WatchNews::Notified(first) = soon("the watcher is told", watch.next()).await else {
            panic!("the watch is lost")
        };
        replace_the_replica(cluster, "bells");
        // The answer to the first is for nobody; every later one is answered.
        drop(soon("an answer is taken or refused", watch.ack(&first, b"too late")).await);
        let outcome = answers(&watch, told).await.unwrap();
        assert_eq!((outcome.replies.len(), outcome.timeouts.len()), (1, 0), "{outcome:?}");
        watch.close().await.unwrap();
        watcher.cluster().close();
    });
}

/// A client whose core does nothing for a while, as that of a stopped process: the connection stands, and nothing comes.
pub(super) fn silent_clients_lose_theirs(cluster: &Cluster) {
    cluster.with_client(
        &[("osd_client_watch_timeout", "3"), ("objecter_tick_interval", "0.5")],
        async |client| {
            let io = client.pool("bells").await.unwrap();
            let watch = io.watch(b"bell").await.unwrap();
            let cookie = watch.cookie();
            // This thread is the client's core: while it waits for the other client, the first one is silent.
            std::thread::scope(|threads| {
                let other = threads.spawn(|| {
                    cluster.with_client(NOTHING, async |other| {
                        let io = other.pool("bells").await.unwrap();
                        let items = watchers(&io, b"bell").await;
                        assert_eq!(items.len(), 1, "{items:?}");
                        assert_eq!((items[0].cookie, items[0].timeout_s), (cookie, 3));
                        forgets_all(&io).await;
                    });
                });
                other.join().unwrap();
            });
            match soon("it learns that its watch is gone", watch.next()).await {
                WatchNews::Lost(error) => assert_eq!(error, ENOTCONN),
                WatchNews::Notified(notification) => panic!("{notification:?}"),
            }
            let watch = soon("it watches anew", io.watch(b"bell")).await.unwrap();
            rings(&io, &watch).await;
            // Who is not silent keeps its watch for longer than the time of silence.
            sleep(Duration::from_secs(4)).await;
            rings(&io, &watch).await;
            watch.close().await.unwrap();
        },
    );
}

async fn forgets_all(io: &IoCtx) {
    soon("the OSD forgets who is silent", async {
        while !watchers(io, b"bell").await.is_empty() {
            sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
}

/// The tool as a watcher, ended with the value.
struct Tool(Child);

impl Tool {
    fn watches(cluster: &Cluster) -> Tool {
        let mut command = cluster.tool("rados");
        // It watches until a key is pressed.
        command.args(["-p", "bells", "watch", "bell"]).stdin(Stdio::piped()).stdout(Stdio::null());
        Tool(command.stderr(Stdio::null()).spawn().unwrap())
    }

    fn stop(&self) {
        let status = std::process::Command::new("kill").args(["-STOP", &self.0.id().to_string()]).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Processes that stop keep their connections, killed ones lose them. Both are listed until their time is over.
pub(super) fn stopped_and_killed_watchers_are_forgotten(cluster: &Cluster) {
    cluster.command(
        &json!({"prefix": "config set", "who": "osd", "name": "osd_client_watch_timeout", "value": "4"}),
    );
    let (stopped, killed) = (Tool::watches(cluster), Tool::watches(cluster));
    cluster.with_client(NOTHING, async |client| {
        let io = client.pool("bells").await.unwrap();
        soon("both watch", async {
            while watchers(&io, b"bell").await.len() < 2 {
                sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
        stopped.stop();
        drop(killed);
        assert!(!watchers(&io, b"bell").await.is_empty(), "they are not forgotten before their time");
        forgets_all(&io).await;
        // Nobody is left to wait for.
        let outcome =
            soon("nobody answers", io.notify(b"bell", b"ring", Duration::from_secs(600))).await.unwrap();
        assert_eq!((outcome.replies.len(), outcome.timeouts.len()), (0, 0));
    });
}
