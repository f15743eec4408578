//! Where objects are: names of any bytes in namespaces and under keys, in a pool whose number of placement groups is no power
//! of two; and what snapshots see of them.

use super::{NOTHING, bytes};
use ringbd::Buf;
use ringbd::rados::{IoCtx, OsdOp, SnapContext, SnapId};
use ringbd_proto::osd::SnapSet;
use ringbd_tests::ceph::Cluster;
use serde_json::Value;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Output;

/// Names that a careless reader would cut, quote, or take for something else.
const NAMES: &[&[u8]] = &[
    b"plain",
    b"a/b",
    b"with space",
    b"%s%n\\\"'",
    b"line\nbreak\ttab",
    b"\xff\xfe\x80\x01",
    b"_head_",
    b".",
    "größe".as_bytes(),
    b"nul\0inside",
];

/// Namespaces and keys.
const PLACES: &[(&[u8], &[u8])] =
    &[(b"", b""), (b"name space", b""), (b"", b"key\xfe"), (b"\xf0\x01", b"a/b")];

fn place(io: &IoCtx, namespace: &[u8], key: &[u8]) -> IoCtx {
    io.clone().with_namespace(namespace).with_locator((!key.is_empty()).then_some(key))
}

/// `rados` on one object, which may be called anything but NUL.
fn tool(cluster: &Cluster, namespace: &[u8], key: &[u8], args: &[&[u8]]) -> Output {
    let mut command = cluster.tool("rados");
    command.args(["-p", "data", "-N"]).arg(OsStr::from_bytes(namespace));
    if !key.is_empty() {
        command.arg("--object-locator").arg(OsStr::from_bytes(key));
    }
    command.args(args.iter().map(|arg| OsStr::from_bytes(arg))).output().unwrap()
}

fn content(name: &[u8], namespace: &[u8], key: &[u8]) -> Vec<u8> {
    [name, b" in ", namespace, b" by ", key].concat()
}

/// An object is itself and no other, for the tool too; and the listing has each once.
pub(super) fn odd_names_agree(cluster: &Cluster) {
    let long = bytes(1500).iter().map(|&byte| byte | 1).collect::<Vec<u8>>();
    let names: Vec<&[u8]> = NAMES.iter().copied().chain([&long[..]]).collect();
    cluster.with_client(NOTHING, async |client| {
        let io = client.pool("data").await.unwrap();
        let before = listed(&io).await;
        let mut expected = before.clone();
        for &(namespace, key) in PLACES {
            for &name in &names {
                let data = content(name, namespace, key);
                place(&io, namespace, key).write_full(name, Buf::from_slice(&data)).await.unwrap();
                // A key that is the name says nothing.
                let key = if key == name { b"" } else { key };
                expected.insert((namespace.to_vec(), name.to_vec(), key.to_vec()));
            }
        }
        assert!(listed(&io).await == expected, "all are listed");
        for &(namespace, key) in PLACES {
            for &name in &names {
                let wanted = content(name, namespace, key);
                let (n, buf) = place(&io, namespace, key).read(name, 0, Buf::zeroed(8192)).await.unwrap();
                assert_eq!(buf[..n], wanted);
                if !wanted.contains(&0) {
                    let output = tool(cluster, namespace, key, &[b"get", name, b"-"]);
                    assert!(output.status.success(), "{name:?}: {output:?}");
                    assert_eq!(output.stdout, wanted);
                }
            }
        }
        let (namespace, key) = PLACES[3];
        let output = tool(cluster, namespace, key, &[b"rm", b"a/b"]);
        assert!(output.status.success(), "{output:?}");
        assert!(expected.remove(&(namespace.to_vec(), b"a/b".to_vec(), Vec::new())));
        assert!(listed(&io).await == expected, "all but one are listed");
    });
}

/// Objects of all namespaces: namespace, name and key. None is listed twice.
async fn listed(io: &IoCtx) -> BTreeSet<(Vec<u8>, Vec<u8>, Vec<u8>)> {
    let (mut listing, mut all) = (io.list_all_namespaces(), BTreeSet::new());
    while let Some(page) = listing.page().await.unwrap() {
        for object in page {
            let entry = (object.namespace, object.name, object.key);
            assert!(all.insert(entry.clone()), "{entry:?} is listed once");
        }
    }
    all
}

/// Snapshots that the client numbers: what each sees, and the clones, are the same for us and for the tool.
pub(super) fn snapshots_agree(cluster: &Cluster, pool: &str) {
    let (mut snaps, mut states) = (Vec::<SnapId>::new(), Vec::<Vec<u8>>::new());
    cluster.with_client(NOTHING, async |client| {
        let io = client.pool(pool).await.unwrap();
        io.write_full(b"snapped", Buf::from_slice(&bytes(20_000))).await.unwrap();
        let mut model = bytes(20_000);
        for nth in 0..4 {
            let snap = io.create_selfmanaged_snap().await.unwrap();
            snaps.insert(0, snap);
            states.insert(0, model.clone());
            let under = io.clone().with_snap_context(SnapContext::new(snap, snaps.clone()).unwrap());
            let (offset, data) = (nth * 8192, [nth as u8; 3000]);
            // The third snapshot sees what the fourth does: nothing is written between them.
            if nth != 2 {
                under.write(b"snapped", offset as u64, Buf::from_slice(&data)).await.unwrap();
                model.resize(model.len().max(offset + data.len()), 0);
                model[offset..offset + data.len()].copy_from_slice(&data);
            }
        }
        for (snap, state) in snaps.iter().zip(&states) {
            let (n, buf) =
                io.clone().with_snap(*snap).read(b"snapped", 0, Buf::zeroed(1 << 16)).await.unwrap();
            assert!(buf[..n] == *state, "snapshot {snap}");
        }
        let under = io.clone().with_snap_context(SnapContext::new(snaps[0], snaps.clone()).unwrap());
        clones_agree(cluster, &io, pool, 3).await;
        // Rolled back, and removed while snapshots need it.
        under.rollback_selfmanaged_snap(b"snapped", snaps[3]).await.unwrap();
        let (n, buf) = io.read(b"snapped", 0, Buf::zeroed(1 << 16)).await.unwrap();
        assert!(buf[..n] == states[3], "rolled back");
        under.remove(b"snapped").await.unwrap();
        assert!(!io.exists(b"snapped").await.unwrap());
        let (n, buf) =
            io.clone().with_snap(snaps[1]).read(b"snapped", 0, Buf::zeroed(1 << 16)).await.unwrap();
        assert!(buf[..n] == states[1], "a snapshot of what was removed");
    });
}

/// The clones, as an OSD lists them to us and to the tool.
async fn clones_agree(cluster: &Cluster, io: &IoCtx, pool: &str, clones: usize) {
    let dir = io.clone().with_snap(SnapId::DIR);
    let reply = dir.operate_read(b"snapped", &[OsdOp::ListSnaps.into()], None).await.unwrap().ok().unwrap();
    let ours = SnapSet::decode(reply.output(0).unwrap()).unwrap();
    let output = super::rados(cluster, &["-p", pool, "listsnaps", "snapped", "--format", "json"]);
    let theirs: Value = serde_json::from_slice(&output).unwrap();
    let theirs = theirs["clones"].as_array().unwrap();
    assert_eq!((ours.clones.len(), theirs.len()), (clones + 1, clones + 1), "{ours:?} {theirs:?}");
    for (ours, theirs) in ours.clones.iter().zip(theirs) {
        let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
        assert_eq!(number(&theirs["size"]), Some(ours.size), "{theirs}");
        let id = if theirs["id"] == "head" { Some(SnapId::HEAD.0) } else { number(&theirs["id"]) };
        assert_eq!(id, Some(ours.id.0), "{theirs}");
        let snaps = theirs["snapshots"].as_array().unwrap();
        let ids: Vec<_> =
            snaps.iter().map(|snap| number(if snap.is_object() { &snap["id"] } else { snap })).collect();
        assert_eq!(ids, ours.snaps.iter().map(|snap| Some(snap.0)).collect::<Vec<_>>(), "{theirs}");
    }
}
