//! Erasure-coded pools: objects of stripes over OSDs, which only grow, or are overwritten where the pool allows that.

use super::bluestore::attributes_agree;
use super::{ENOENT, EOPNOTSUPP, NOTHING, bytes, file, go_on, rados};
use ringbd::Buf;
use ringbd::rados::{Extent, IoCtx, Operation, OsdOp, PoolKind};
use ringbd_tests::ceph::{Cluster, Load, Steps};
use serde_json::json;

/// Two data chunks of 4 KiB.
const STRIPE: usize = 8192;

/// `growing` takes appends of whole stripes, `overwritten` takes all that other pools take but maps.
pub(super) fn create_pools(cluster: &Cluster) {
    let profile = ["k=2", "m=1", "crush-failure-domain=osd"];
    cluster.command(
        &json!({"prefix": "osd erasure-code-profile set", "name": "two-and-one", "profile": profile}),
    );
    for pool in ["growing", "overwritten"] {
        cluster.command(&json!({"prefix": "osd pool create", "pool": pool, "pg_num": 8, "pgp_num": 8,
            "pool_type": "erasure", "erasure_code_profile": "two-and-one"}));
    }
    cluster.command(&json!({"prefix": "osd pool set", "pool": "overwritten",
        "var": "allow_ec_overwrites", "val": "true"}));
    cluster.await_clean();
}

pub(super) fn what_an_erasure_coded_pool_takes(cluster: &Cluster) {
    attributes_agree(cluster, "growing");
    attributes_agree(cluster, "overwritten");
    whole_objects_agree(cluster);
    cluster.with_client(NOTHING, async |client| {
        let status = client.status().await;
        let kinds: Vec<_> = status.pools.iter().filter(|pool| pool.kind == PoolKind::Erasure).collect();
        assert_eq!(kinds.iter().map(|pool| pool.size).collect::<Vec<_>>(), [3, 3], "{:?}", status.pools);
        appends_are_of_whole_stripes(&client.pool("growing").await.unwrap()).await;
        for pool in ["growing", "overwritten"] {
            maps_are_refused(&client.pool(pool).await.unwrap()).await;
        }
    });
    assert_eq!(rados(cluster, &["-p", "growing", "get", "stripes", "-"]), grown());
}

fn grown() -> Vec<u8> {
    let mut grown = bytes(STRIPE).repeat(3);
    grown.extend(bytes(100));
    grown
}

fn whole_objects_agree(cluster: &Cluster) {
    let whole = bytes(5 * STRIPE + 333);
    let theirs = file(cluster, "striped", &whole);
    rados(cluster, &["-p", "growing", "put", "theirs", &theirs]);
    cluster.with_client(NOTHING, async |client| {
        let io = client.pool("growing").await.unwrap();
        io.write_full(b"ours", Buf::from_slice(b"replaced")).await.unwrap();
        io.write_full(b"ours", Buf::from_slice(&whole)).await.unwrap();
        // Within a chunk, over chunks, over stripes, over the end, behind it.
        for (offset, len) in
            [(10, 20), (4090, 10), (STRIPE - 1, STRIPE + 2), (5 * STRIPE, 4096), (1 << 20, 1)]
        {
            let (n, buf) = io.read(b"theirs", offset as u64, Buf::zeroed(len)).await.unwrap();
            assert_eq!(buf[..n], whole[offset.min(whole.len())..(offset + len).min(whole.len())]);
        }
        assert_eq!(io.stat(b"theirs").await.unwrap().size, whole.len() as u64);
        io.remove(b"theirs").await.unwrap();
        assert_eq!(io.stat(b"theirs").await.unwrap_err(), ENOENT);
        assert_eq!(io.remove(b"theirs").await.unwrap_err(), ENOENT);
    });
    assert_eq!(rados(cluster, &["-p", "growing", "get", "ours", "-"]), whole);
}

/// What does not fit is refused and changes nothing.
async fn appends_are_of_whole_stripes(io: &IoCtx) {
    for nth in 0..3 {
        io.append(b"stripes", Buf::from_slice(&bytes(STRIPE))).await.unwrap();
        // A write where the object ends is an append.
        if nth == 0 {
            io.write(b"first", 0, Buf::from_slice(&bytes(STRIPE))).await.unwrap();
        }
    }
    io.append(b"stripes", Buf::from_slice(&bytes(100))).await.unwrap();
    let data = || Buf::from_slice(b"anything").into();
    let refused: [(&[u8], Operation<'_>); 7] = [
        (b"stripes", OsdOp::Append(data()).into()),
        (b"stripes", OsdOp::Write { offset: 0, data: data() }.into()),
        (b"stripes", OsdOp::Write { offset: 100, data: data() }.into()),
        (b"stripes", OsdOp::Truncate(STRIPE as u64).into()),
        (b"stripes", OsdOp::Zero(Extent { offset: 0, length: STRIPE as u64 }).into()),
        (b"absent", OsdOp::Write { offset: STRIPE as u64, data: data() }.into()),
        (b"first", OsdOp::Write { offset: 3 * STRIPE as u64, data: data() }.into()),
    ];
    for (object, op) in refused {
        let what = format!("{op:?} of {object:?}");
        let answer = io.operate_write(object, &[op]).await.unwrap().ok();
        assert_eq!(answer.map(drop), Err(EOPNOTSUPP), "{what}");
    }
    assert_eq!(io.stat(b"absent").await.unwrap_err(), ENOENT);
    // All or nothing: the append is good and its neighbour is not.
    let append = OsdOp::Append(Buf::zeroed(STRIPE).into());
    let both = [append.into(), OsdOp::Write { offset: 0, data: data() }.into()];
    assert_eq!(io.operate_write(b"first", &both).await.unwrap().ok().map(drop), Err(EOPNOTSUPP));
    assert_eq!(io.stat(b"first").await.unwrap().size, STRIPE as u64);
    let (n, buf) = io.read(b"stripes", 0, Buf::zeroed(1 << 16)).await.unwrap();
    assert_eq!(buf[..n], grown());
}

async fn maps_are_refused(io: &IoCtx) {
    io.write_full(b"mapless", Buf::from_slice(b"bytes")).await.unwrap();
    let refused: [Operation<'_>; 4] = [
        OsdOp::OmapSetVals(vec![(b"key".into(), b"value".into())]).into(),
        OsdOp::OmapSetHeader(Buf::from_slice(b"header").into()).into(),
        OsdOp::OmapClear.into(),
        OsdOp::OmapRmKeys(vec![b"key".into()]).into(),
    ];
    for op in refused {
        let what = format!("{op:?}");
        assert_eq!(
            io.operate_write(b"mapless", &[op]).await.unwrap().ok().map(drop),
            Err(EOPNOTSUPP),
            "{what}"
        );
    }
    let (n, buf) = io.read(b"mapless", 0, Buf::zeroed(64)).await.unwrap();
    assert_eq!(&buf[..n], b"bytes");
    let unknown = io.call(b"mapless", "lock", "no-such-method", b"", false).await.unwrap_err();
    assert_eq!(unknown, EOPNOTSUPP);
}

/// Kill -9, in the middle of stripes that are half written: two of three chunks are enough.
pub(super) fn an_osd_dies_under_load(cluster: &mut Cluster, steps: &mut Steps) {
    let loads = [
        Load::start_appending(cluster, "growing", STRIPE),
        Load::start(cluster, "overwritten", NOTHING, 1),
        Load::start(cluster, "data", NOTHING, 2),
    ];
    go_on(&loads, 50);
    for osd in [0, 2] {
        cluster.osd(osd).kill();
        cluster.await_osds_up(2);
        go_on(&loads, 50);
        steps.done("stripes are written without an OSD");
        cluster.osd(osd).restart();
        cluster.await_osds_up(3);
        go_on(&loads, 50);
        cluster.await_clean();
        steps.done("clean");
    }
    for load in loads {
        assert!(load.finish() > 200);
    }
    steps.done("verified");
}
