//! Clients that are fenced: the old one does nothing more, ever; a new one works at once.

use super::{ENOTCONN, NOTHING, another_client, rados, soon};
use ringbd::Buf;
use ringbd::rados::{IoCtx, OpError, Rados, Watch, WatchNews};
use ringbd::runtime::sleep;
use ringbd_tests::ceph::Cluster;
use serde_json::json;
use std::time::Duration;

/// Nothing that could change or show an object is done for it, and nothing of it waits.
async fn is_out(old: &Rados, io: &IoCtx) {
    assert!(old.cluster().is_fenced());
    let out = OpError::Blocklisted;
    assert_eq!(soon("a write", io.write_full(b"object", Buf::from_slice(b"old"))).await, Err(out.clone()));
    assert_eq!(soon("a read", io.read(b"object", 0, Buf::zeroed(64))).await.map(drop), Err(out.clone()));
    assert_eq!(soon("a watch", io.watch(b"object")).await.map(drop), Err(out.clone()));
    assert_eq!(soon("a notification", io.notify(b"object", b"", None)).await.map(drop), Err(out.clone()));
    assert_eq!(soon("a listing", io.list().page()).await.map(drop), Err(out));
}

async fn is_lost(watch: Watch) {
    match soon("the watcher is told", watch.next()).await {
        // The OSD, which drops a fenced client's watches, may say so before the map does.
        WatchNews::Lost(error) => assert!([OpError::Blocklisted, ENOTCONN].contains(&error), "{error}"),
        WatchNews::Notified(notification) => panic!("{notification:?}"),
    }
}

pub(super) fn the_old_client_is_out_and_the_new_one_in(cluster: &Cluster) {
    cluster.with_client(NOTHING, async |old| {
        let io = old.pool("data").await.unwrap();
        io.write_full(b"object", Buf::from_slice(b"old")).await.unwrap();
        let watch = io.watch(b"object").await.unwrap();
        let addr = old.cluster().addr().unwrap();
        let new = another_client(cluster).await;
        new.blocklist_add(&addr, Some(Duration::from_secs(600))).await.unwrap();
        let newer = another_client(cluster).await;
        for client in [&new, &newer] {
            let io = client.pool("data").await.unwrap();
            soon("who is not fenced writes", io.write_full(b"object", Buf::from_slice(b"new")))
                .await
                .unwrap();
        }
        assert!(soon("the old one writes", io.write_full(b"object", Buf::from_slice(b"old"))).await.is_err());
        is_out(old, &io).await;
        is_lost(watch).await;
        // What is taken from the list was on it: the client may have missed anything meanwhile.
        let remove =
            json!({"prefix": "osd blocklist", "blocklistop": "rm", "addr": addr.to_string()}).to_string();
        assert_eq!(new.mon_command(&remove, b"").await.unwrap().result, 0);
        new.latest_map().await.unwrap();
        is_out(old, &io).await;
        let io = new.pool("data").await.unwrap();
        let (n, buf) = io.read(b"object", 0, Buf::zeroed(64)).await.unwrap();
        assert_eq!(&buf[..n], b"new");
        new.cluster().close();
        newer.cluster().close();
    });
    assert_eq!(rados(cluster, &["-p", "data", "get", "object", "-"]), b"new");
}

/// The entry goes by itself when its time is over. Who was fenced by it stays so, also who was idle and reads of it in old maps.
pub(super) fn a_fence_has_an_end(cluster: &Cluster) {
    cluster.with_client(NOTHING, async |old| {
        let (idle, new) = (another_client(cluster).await, another_client(cluster).await);
        let mut addrs = Vec::new();
        for client in [old, &idle] {
            let io = client.pool("data").await.unwrap();
            io.write_full(b"object", Buf::from_slice(b"old")).await.unwrap();
            addrs.push(client.cluster().addr().unwrap());
        }
        for addr in &addrs {
            new.blocklist_add(addr, Some(Duration::from_secs(3))).await.unwrap();
        }
        let io = old.pool("data").await.unwrap();
        let refused = soon("the old one writes", io.write_full(b"object", Buf::from_slice(b"old"))).await;
        assert_eq!(refused, Err(OpError::Blocklisted));
        let is_listed = || addrs.iter().any(|addr| new.map().unwrap().is_blocklisted(addr));
        soon("the entries go", async {
            while is_listed() {
                sleep(Duration::from_millis(100)).await;
                new.latest_map().await.unwrap();
            }
        })
        .await;
        is_out(old, &io).await;
        drop(soon("it reads the maps", idle.latest_map()).await);
        is_out(&idle, &idle.pool_by_id(io.pool())).await;
        let io = new.pool("data").await.unwrap();
        io.write_full(b"object", Buf::from_slice(b"new")).await.unwrap();
        idle.cluster().close();
        new.cluster().close();
    });
}

/// A network is fenced, with all clients in it, also those that come later; and let in again. The cluster's own commands come
/// from there too, so this is the last that is done to it.
pub(super) fn everybody_of_an_address(cluster: &Cluster) {
    let fence = |word: &str| cluster.ceph(&["osd", "blocklist", "range", word, "127.0.0.0/8"]);
    cluster.with_client(NOTHING, async |old| {
        let io = old.pool("data").await.unwrap();
        io.write_full(b"object", Buf::from_slice(b"old")).await.unwrap();
        let watch = io.watch(b"object").await.unwrap();
        fence("add");
        // Nobody who knows of it has spoken to the OSD, which may take some more until it hears of it.
        soon("the old one is refused", async {
            while io.write_full(b"object", Buf::from_slice(b"old")).await.is_ok() {}
        })
        .await;
        is_out(old, &io).await;
        is_lost(watch).await;
        let (late, mut seats) = cluster.new_client(NOTHING, 1);
        let seat = seats.remove(0).join();
        // It may know the cluster before it knows that it is fenced.
        if soon("an answer", seat.ready()).await.is_ok()
            && let Ok(io) = seat.pool("data").await
        {
            let refused = soon("a late one writes", io.write_full(b"object", Buf::from_slice(b"no"))).await;
            assert_eq!(refused, Err(OpError::Blocklisted));
        }
        assert!(late.is_fenced());
        late.close();
        fence("rm");
        is_out(old, &io).await;
        let new = another_client(cluster).await;
        let io = new.pool("data").await.unwrap();
        let (n, buf) = soon("a new one reads", io.read(b"object", 0, Buf::zeroed(64))).await.unwrap();
        assert_eq!(&buf[..n], b"old");
        io.write_full(b"object", Buf::from_slice(b"new")).await.unwrap();
        new.cluster().close();
    });
}
