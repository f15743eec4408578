//! The native client against real daemons: its operations beside the `rados` tool's, and what clusters do to clients while
//! they write.
//!
//! Needs Debian's Ceph packages. Where they are missing the tests say so and pass, except in the gate (`CI=true`).

#![allow(clippy::unwrap_used)]

#[path = "ceph_rados/faults.rs"]
mod faults;

use ringbd::Buf;
use ringbd::rados::{OpError, OsdOp, Rados, SnapContext, WatchNews};
use ringbd::runtime::spawn;
use ringbd_tests::ceph::{Cluster, Options, start_or_skip};
use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

const ENOENT: OpError = OpError::Errno(2);
const NOTHING: &[(&str, &str)] = &[];

fn ok(output: &Output) -> Vec<u8> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout.clone()
}

fn file(cluster: &Cluster, name: &str, bytes: &[u8]) -> String {
    let path: PathBuf = cluster.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Bytes that are different everywhere, of a length that is no multiple of anything.
fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 + at / 251) as u8).collect()
}

#[test]
fn operations_agree_with_the_rados_tool() {
    let options = Options { osds: 2, ..Options::default() };
    let Some(cluster) = start_or_skip(&options) else { return };
    // No power of two: objects must land in the right one of 13 all the same.
    cluster.create_pool("data", 13);
    objects_both_ways(&cluster, NOTHING);
    objects_both_ways(&cluster, &[("ms_client_mode", "secure"), ("ms_mon_client_mode", "secure")]);
    objects_both_ways(&cluster, &[("ms_mon_client_mode", "crc")]);
    maps_and_attributes(&cluster);
    snapshots_survive_writes(&cluster);
    watchers_are_told(&cluster);
    listings_are_complete(&cluster);
    pools_and_commands(&cluster);
    a_fenced_client_writes_no_more(&cluster);
}

fn objects_both_ways(cluster: &Cluster, options: &[(&str, &str)]) {
    let ours = bytes(3 * 4096 + 77);
    let theirs = file(cluster, "theirs", &bytes(200_001));
    ok(&cluster.rados(&["-p", "data", "-N", "space", "put", "theirs", &theirs]));
    ok(&cluster.rados(&["-p", "data", "--object-locator", "key", "put", "located", &theirs]));
    cluster.with_client(options, async |rados| {
        let io = rados.pool("data").await.unwrap().with_namespace(b"space");
        io.write_full(b"ours", Buf::from_slice(&ours)).await.unwrap();
        let (n, buf) = io.read(b"theirs", 0, Buf::zeroed(1 << 20)).await.unwrap();
        assert_eq!(buf[..n], bytes(200_001));
        let (n, buf) = io.read(b"theirs", 199_000, Buf::zeroed(4096)).await.unwrap();
        assert_eq!(buf[..n], bytes(200_001)[199_000..]);
        assert_eq!(io.stat(b"theirs").await.unwrap().size, 200_001);
        assert_eq!(io.stat(b"nothing").await.unwrap_err(), ENOENT);
        let elsewhere = rados.pool("data").await.unwrap();
        assert_eq!(elsewhere.stat(b"theirs").await.unwrap_err(), ENOENT);
        assert_eq!(elsewhere.stat(b"located").await.unwrap_err(), ENOENT);
        assert!(elsewhere.with_locator(Some(b"key")).exists(b"located").await.unwrap());
        for name in ["a", "b", "c"] {
            io.append(name.as_bytes(), Buf::from_slice(name.as_bytes())).await.unwrap();
            io.append(name.as_bytes(), Buf::from_slice(b"+")).await.unwrap();
            io.write(name.as_bytes(), 4, Buf::from_slice(b"!")).await.unwrap();
        }
        io.remove(b"c").await.unwrap();
        assert_eq!(io.remove(b"c").await.unwrap_err(), ENOENT);
    });
    assert_eq!(ok(&cluster.rados(&["-p", "data", "-N", "space", "get", "ours", "-"])), ours);
    assert_eq!(ok(&cluster.rados(&["-p", "data", "-N", "space", "get", "b", "-"])), b"b+\0\0!");
    for name in ["ours", "theirs", "a", "b"] {
        ok(&cluster.rados(&["-p", "data", "-N", "space", "rm", name]));
    }
}

fn maps_and_attributes(cluster: &Cluster) {
    cluster.with_client(NOTHING, async |rados| {
        let io = rados.pool("data").await.unwrap();
        let vals = vec![(b"k1".into(), b"v1".into()), (b"k2".into(), b"v2".into())];
        let header = Buf::from_slice(b"head").into();
        let value = Buf::from_slice(b"value").into();
        let ops = [
            OsdOp::Create.into(),
            OsdOp::OmapSetVals(vals).into(),
            OsdOp::OmapSetHeader(header).into(),
            OsdOp::SetXattr { name: b"attribute".into(), value }.into(),
        ];
        io.operate_write(b"table", &ops).await.unwrap().ok().unwrap();
        // All or nothing: the second operation fails, so the first did not happen.
        let write = OsdOp::WriteFull(Buf::from_slice(b"x").into()).into();
        let exclusive = [OsdOp::AssertVersion(1 << 40).into(), write];
        assert!(io.operate_write(b"table", &exclusive).await.unwrap().ok().is_err());
        assert_eq!(io.stat(b"table").await.unwrap().size, 0);
        let reply = io.operate_read(b"table", &[OsdOp::OmapGetHeader.into()], None).await.unwrap();
        assert_eq!(reply.output(0).unwrap(), b"head");
        let unknown = io.call(b"table", "lock", "no-such-method", b"", false).await.unwrap_err();
        assert_eq!(unknown, OpError::Errno(95));
    });
    let listed = ok(&cluster.rados(&["-p", "data", "listomapkeys", "table"]));
    assert_eq!(listed, b"k1\nk2\n");
    assert_eq!(ok(&cluster.rados(&["-p", "data", "getxattr", "table", "attribute"])), b"value");
}

/// A write whose snapshot context names a snapshot keeps what was there for it; so does a later write by somebody who
/// knows of it. A write that names none must not be possible by accident.
fn snapshots_survive_writes(cluster: &Cluster) {
    cluster.with_client(NOTHING, async |rados| {
        let io = rados.pool("data").await.unwrap();
        io.write_full(b"snapped", Buf::from_slice(b"before")).await.unwrap();
        let snap = io.create_selfmanaged_snap().await.unwrap();
        assert!(SnapContext::new(snap, vec![]).is_err(), "a sequence without its snapshots is refused");
        let snapc = SnapContext::new(snap, vec![snap]).unwrap();
        let under = io.clone().with_snap_context(snapc);
        under.write_full(b"snapped", Buf::from_slice(b"after!")).await.unwrap();
        under.write_full(b"snapped", Buf::from_slice(b"again!")).await.unwrap();
        let (n, buf) = io.clone().with_snap(snap).read(b"snapped", 0, Buf::zeroed(64)).await.unwrap();
        assert_eq!(&buf[..n], b"before");
        under.rollback_selfmanaged_snap(b"snapped", snap).await.unwrap();
        let (n, buf) = io.read(b"snapped", 0, Buf::zeroed(64)).await.unwrap();
        assert_eq!(&buf[..n], b"before");
        io.remove_selfmanaged_snap(snap).await.unwrap();
    });
}

fn watchers_are_told(cluster: &Cluster) {
    cluster.with_client(NOTHING, async |rados| {
        let io = rados.pool("data").await.unwrap();
        io.write_full(b"bell", Buf::from_slice(b"")).await.unwrap();
        let watch = io.watch(b"bell").await.unwrap();
        let listed = String::from_utf8(ok(&cluster.rados(&["-p", "data", "listwatchers", "bell"]))).unwrap();
        assert!(listed.contains(&format!("cookie={}", watch.cookie())), "{listed}");
        let told = spawn({
            let io = io.clone();
            async move { io.notify(b"bell", b"ring", Duration::from_secs(10)).await }
        });
        match watch.next().await {
            WatchNews::Notified(notification) => {
                assert_eq!(notification.payload, b"ring");
                watch.ack(&notification, b"heard").await.unwrap();
            }
            WatchNews::Lost(error) => panic!("{error}"),
        }
        let outcome = told.await.unwrap();
        assert_eq!(outcome.replies.len(), 1);
        assert_eq!(outcome.replies[0].payload, b"heard");
        // Nobody answers: the time passes, and who did not is named.
        let outcome = io.notify(b"bell", b"ring", Duration::from_secs(1)).await.unwrap();
        assert_eq!((outcome.replies.len(), outcome.timeouts.len()), (0, 1));
        watch.close().await.unwrap();
        let outcome = io.notify(b"bell", b"ring", Duration::from_secs(1)).await.unwrap();
        assert_eq!((outcome.replies.len(), outcome.timeouts.len()), (0, 0));
    });
}

fn listings_are_complete(cluster: &Cluster) {
    let mut listed = cluster.with_client(NOTHING, async |rados| {
        let io = rados.pool("data").await.unwrap().with_namespace(b"many");
        for n in 0..300 {
            io.write_full(format!("object {n}").as_bytes(), Buf::from_slice(b"x")).await.unwrap();
        }
        let (mut listing, mut names) = (io.list(), Vec::new());
        while let Some(page) = listing.page().await.unwrap() {
            names.extend(page.into_iter().map(|object| String::from_utf8(object.name).unwrap()));
        }
        names
    });
    listed.sort_unstable();
    let theirs = String::from_utf8(ok(&cluster.rados(&["-p", "data", "-N", "many", "ls"]))).unwrap();
    let mut theirs: Vec<&str> = theirs.lines().collect();
    theirs.sort_unstable();
    assert_eq!(listed, theirs);
    assert_eq!(listed.len(), 300);
}

fn pools_and_commands(cluster: &Cluster) {
    cluster.with_client(NOTHING, async |rados| {
        let error = rados.pool("dat").await.map(drop).unwrap_err();
        assert_eq!(error.to_string(), "open pool dat: there is no such pool (did you mean data?)");
        let output = rados.mon_command(r#"{"prefix":"osd pool create","pool":"made","pg_num":4}"#, b"").await;
        assert_eq!(output.unwrap().result, 0);
        let io = rados.pool("made").await.unwrap();
        io.write_full(b"object", Buf::from_slice(b"x")).await.unwrap();
        let delete =
            r#"{"prefix":"osd pool delete","pool":"made","pool2":"made","yes_i_really_really_mean_it":true}"#;
        assert_eq!(rados.mon_command(delete, b"").await.unwrap().result, 0);
        rados.latest_map().await.unwrap();
        // Operations on a pool that is gone end, and say why.
        assert_eq!(io.stat(b"object").await.unwrap_err(), OpError::NoPool);
        assert_eq!(rados.mon_command(r#"{"prefix":"no such command"}"#, b"").await.unwrap().result, -22);
    });
}

fn a_fenced_client_writes_no_more(cluster: &Cluster) {
    cluster.with_client(NOTHING, async |rados| {
        let io = rados.pool("data").await.unwrap();
        io.write_full(b"fenced", Buf::from_slice(b"before")).await.unwrap();
        let addr = rados.cluster().addr().unwrap();
        let fence = async |by: &Rados| by.blocklist_add(&addr, Some(Duration::from_secs(60))).await;
        // The fence may hit before the monitors' answer does.
        drop(fence(rados).await);
        let refused = io.write_full(b"fenced", Buf::from_slice(b"after")).await.unwrap_err();
        assert_eq!(refused, OpError::Blocklisted);
        assert!(rados.cluster().is_fenced());
        assert_eq!(io.stat(b"fenced").await.unwrap_err(), OpError::Blocklisted);
    });
    assert_eq!(ok(&cluster.rados(&["-p", "data", "get", "fenced", "-"])), b"before");
}

#[test]
fn without_authentication() {
    let options = Options { osds: 1, size: 1, auth: "none", ..Options::default() };
    let Some(cluster) = start_or_skip(&options) else { return };
    cluster.create_pool("data", 8);
    objects_both_ways(&cluster, NOTHING);
}
