//! Pools that are called something else, or are gone, while clients use them.

use super::{NOTHING, another_client, go_on, soon};
use ringbd::Buf;
use ringbd::rados::{IoCtx, OpError, WatchNews};
use ringbd::runtime::{sleep, spawn};
use ringbd_tests::ceph::{Cluster, Load};
use serde_json::json;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// Objects are placed by the pool's number; its name is only looked up once.
pub(super) fn renamed(cluster: &Cluster, loads: &[Load]) {
    let rename = |from: &str, to: &str| {
        cluster.command(&json!({"prefix": "osd pool rename", "srcpool": from, "destpool": to}));
        go_on(loads, 100);
    };
    rename("data", "other");
    cluster.with_client(NOTHING, async |client| {
        let error = client.pool("data").await.map(drop).unwrap_err().to_string();
        assert!(error.contains("there is no such pool"), "{error}");
        let io = client.pool("other").await.unwrap();
        io.write_full(b"renamed", Buf::from_slice(b"bytes")).await.unwrap();
        rename("other", "data");
        let again = soon("the name is found", async {
            loop {
                if let Ok(io) = client.pool("data").await {
                    break io;
                }
            }
        });
        assert_eq!(again.await.pool(), io.pool());
        assert_eq!(io.stat(b"renamed").await.unwrap().size, 5);
    });
}

/// Everything outstanding ends with the pool: writes, reads, a listing, a watch, a notification that waits for its watcher.
pub(super) fn deleted_under_load(cluster: &Cluster) {
    cluster.create_pool("doomed", 8);
    cluster.with_client(NOTHING, async |client| {
        let io = client.pool("doomed").await.unwrap();
        io.write_full(b"bell", Buf::from_slice(b"")).await.unwrap();
        let watcher = another_client(cluster).await;
        let watch = watcher.pool("doomed").await.unwrap().watch(b"bell").await.unwrap();
        let done = Rc::new(Cell::new(0));
        let endless: Vec<_> =
            (0..32).map(|nth| spawn(writes_until_gone(io.clone(), nth, done.clone()))).collect();
        let waits = spawn({
            let io = io.clone();
            async move { io.notify(b"bell", b"ring", Duration::from_secs(600)).await.map(drop) }
        });
        match soon("the watcher is told", watch.next()).await {
            // It is not answered, so the notification waits.
            WatchNews::Notified(notification) => assert_eq!(notification.payload, b"ring"),
            WatchNews::Lost(error) => panic!("{error}"),
        }
        soon("the load runs", async {
            while done.get() < 500 {
                sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        let delete = json!({"prefix": "osd pool delete", "pool": "doomed", "pool2": "doomed",
            "yes_i_really_really_mean_it": true});
        assert_eq!(client.mon_command(&delete.to_string(), b"").await.unwrap().result, 0);
        for writer in endless {
            assert_eq!(soon("a writer ends", writer).await, OpError::NoPool);
        }
        assert_eq!(soon("the notification ends", waits).await, Err(OpError::NoPool));
        loop {
            match soon("the watcher is told", watch.next()).await {
                WatchNews::Lost(error) => break assert_eq!(error, OpError::NoPool),
                WatchNews::Notified(_) => {}
            }
        }
        assert_eq!(soon("a read", io.read(b"bell", 0, Buf::zeroed(1))).await.map(drop), Err(OpError::NoPool));
        assert_eq!(soon("a listing", io.list().page()).await.map(drop), Err(OpError::NoPool));
        assert_eq!(soon("a watch", io.watch(b"bell")).await.map(drop), Err(OpError::NoPool));
        assert_eq!(OpError::NoPool.errno(), 2, "ENOENT for whoever knows numbers");
        assert!(client.pool("doomed").await.is_err());
        soon("nothing is left over", async {
            while client.status().await.cores[0].in_flight > 0 {
                sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        watcher.cluster().close();
    });
}

/// One operation after the other, counted, until one fails.
async fn writes_until_gone(io: IoCtx, nth: u32, done: Rc<Cell<u32>>) -> OpError {
    let object = format!("object {nth}").into_bytes();
    loop {
        let outcome = match nth % 4 {
            0 => io.stat(b"bell").await.map(drop),
            _ => io.append(&object, Buf::zeroed(512)).await,
        };
        match outcome {
            Ok(()) => done.set(done.get() + 1),
            Err(error) => break error,
        }
    }
}
