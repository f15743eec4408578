//! Bytes, holes, attributes and maps on OSDs that keep objects on a disk, beside the `rados` tool and a model.

use super::{NOTHING, bytes, file, rados};
use ringbd::Buf;
use ringbd::rados::{Extent, IoCtx, OpError, OsdOp};
use ringbd_proto::osd::{OmapKeys, OmapVals, SparseData, decode_omap_entries};
use ringbd_tests::ceph::Cluster;

/// Changes of an object, one after the other.
enum Change {
    WriteFull(usize),
    Write(u64, usize),
    Append(usize),
    Truncate(u64),
    Zero(u64, u64),
    WriteSame(u64, usize, u64),
}

/// Sizes and places on both sides of blocks, allocation units and stripes.
const CHANGES: &[Change] = &[
    Change::WriteFull(3 * 4096 + 77),
    Change::Write(4090, 13),
    Change::Write(20_000, 4096),
    Change::Append(5000),
    Change::Append(1),
    Change::Zero(4096, 8192),
    Change::Zero(29_000, 2000),
    Change::Truncate(8191),
    Change::Truncate(100_000),
    Change::Write(65_536, 65_536),
    Change::Zero(70_000, 1 << 20),
    Change::Zero(1 << 20, 4096),
    Change::WriteSame(16_384, 512, 8192),
    Change::Write(0, 1),
    Change::Truncate(0),
    Change::Append(4096),
];

/// After every change the object is what a vector would be, for us; and for the tool after every third.
pub(super) fn bytes_agree_with_a_model(cluster: &Cluster, pool: &str) {
    cluster.with_client(NOTHING, async |client| {
        let io = client.pool(pool).await.unwrap();
        let mut model = Vec::new();
        for (nth, change) in CHANGES.iter().enumerate() {
            apply(&io, change).await.unwrap();
            change.apply(&mut model);
            let (n, buf) = io.read(b"model", 0, Buf::zeroed(1 << 18)).await.unwrap();
            assert_eq!(n, model.len(), "the length after change {nth} in {pool}");
            assert!(buf[..n] == model, "the bytes after change {nth} in {pool}");
            assert_eq!(io.stat(b"model").await.unwrap().size, model.len() as u64);
            if nth % 3 == 2 {
                assert!(
                    rados(cluster, &["-p", pool, "get", "model", "-"]) == model,
                    "change {nth} in {pool}"
                );
            }
        }
    });
    // And the other way round.
    let theirs = file(cluster, "theirs", &bytes(50_001));
    rados(cluster, &["-p", pool, "put", "model", &theirs]);
    rados(cluster, &["-p", pool, "truncate", "model", "30000"]);
    rados(cluster, &["-p", pool, "put", "model", &theirs, "--offset", "20480"]);
    rados(cluster, &["-p", pool, "append", "model", &theirs]);
    let mut model = bytes(20_480);
    model.extend(bytes(50_001).repeat(2));
    cluster.with_client(NOTHING, async |client| {
        let io = client.pool(pool).await.unwrap();
        let (n, buf) = io.read(b"model", 0, Buf::zeroed(1 << 18)).await.unwrap();
        assert!(buf[..n] == model, "what the tool wrote in {pool}");
        for (offset, len) in [(20_479, 2), (70_000, 600), (120_000, 4096), (200_000, 10)] {
            let (n, buf) = io.read(b"model", offset as u64, Buf::zeroed(len)).await.unwrap();
            assert_eq!(buf[..n], model[offset.min(model.len())..(offset + len).min(model.len())]);
        }
    });
}

async fn apply(io: &IoCtx, change: &Change) -> Result<(), OpError> {
    let data = |len| Buf::from_slice(&bytes(len)).into();
    let op = match *change {
        Change::WriteFull(len) => OsdOp::WriteFull(data(len)),
        Change::Write(offset, len) => OsdOp::Write { offset, data: data(len) },
        Change::Append(len) => OsdOp::Append(data(len)),
        Change::Truncate(size) => OsdOp::Truncate(size),
        Change::Zero(offset, length) => OsdOp::Zero(Extent { offset, length }),
        Change::WriteSame(offset, len, length) => {
            OsdOp::WriteSame { extent: Extent { offset, length }, pattern: data(len) }
        }
    };
    io.operate_write(b"model", &[op.into()]).await?.ok().map(drop)
}

impl Change {
    fn apply(&self, model: &mut Vec<u8>) {
        fn write(model: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
            model.resize(model.len().max(offset + bytes.len()), 0);
            model[offset..offset + bytes.len()].copy_from_slice(bytes);
        }
        match *self {
            Change::WriteFull(len) => *model = bytes(len),
            Change::Write(offset, len) => write(model, offset as usize, &bytes(len)),
            Change::Append(len) => model.extend(bytes(len)),
            Change::Truncate(size) => model.resize(size as usize, 0),
            // What is zeroed up to the end is cut off.
            Change::Zero(offset, length) if offset + length >= model.len() as u64 => {
                model.truncate(offset as usize);
            }
            Change::Zero(offset, length) => model[offset as usize..][..length as usize].fill(0),
            Change::WriteSame(offset, len, length) => {
                write(model, offset as usize, &bytes(len).repeat(length as usize / len));
            }
        }
    }
}

/// Of many extents, written in pieces that lie on both sides of everything.
pub(super) fn large_objects_agree(cluster: &Cluster) {
    const PIECE: usize = (3 << 20) + 4321;
    let whole = bytes(5 * PIECE);
    let theirs = file(cluster, "large", &whole);
    rados(cluster, &["-p", "data", "put", "large.theirs", &theirs]);
    cluster.with_client(NOTHING, async |client| {
        let io = client.pool("data").await.unwrap();
        for (nth, piece) in whole.chunks(PIECE).enumerate().rev() {
            io.write(b"large.ours", (nth * PIECE) as u64, Buf::from_slice(piece)).await.unwrap();
        }
        let (n, buf) = io.read(b"large.theirs", 0, Buf::zeroed(whole.len() + 1)).await.unwrap();
        assert!(buf[..n] == whole, "what the tool wrote");
    });
    assert!(rados(cluster, &["-p", "data", "get", "large.ours", "-"]) == whole, "what we wrote");
}

/// A sparse read tells holes from data, and its pieces are the object's bytes.
pub(super) fn holes_are_found(cluster: &Cluster) {
    const SIZE: usize = 4 << 20;
    cluster.with_client(NOTHING, async |client| {
        let io = client.pool("data").await.unwrap();
        let mut model = vec![0; SIZE];
        io.operate_write(b"holes", &[OsdOp::Truncate(0).into(), OsdOp::Create.into()]).await.unwrap();
        for offset in [0, 1 << 20, (3 << 20) - 100, SIZE - 65_536] {
            let data = bytes(65_536);
            io.write(b"holes", offset as u64, Buf::from_slice(&data)).await.unwrap();
            model[offset..offset + data.len()].copy_from_slice(&data);
        }
        let whole = Extent { offset: 0, length: SIZE as u64 };
        let reply = io.operate_read(b"holes", &[OsdOp::SparseRead(whole).into()], None).await.unwrap();
        let sparse = SparseData::decode(reply.output(0).unwrap()).unwrap();
        assert!(sparse.data.len() < SIZE / 2, "the holes are left out");
        let mut found = vec![0; SIZE];
        for (offset, piece) in sparse.pieces() {
            found[offset as usize..][..piece.len()].copy_from_slice(piece);
        }
        assert!(found == model, "the pieces are the object");
        assert!(rados(cluster, &["-p", "data", "get", "holes", "-"]) == model, "for the tool too");
    });
}

/// Attributes in any pool; maps where the pool has them.
pub(super) fn attributes_and_maps_agree(cluster: &Cluster, pool: &str) {
    const KEYS: usize = 2500;
    let key = |n: usize| format!("key {n:05}").into_bytes();
    attributes_agree(cluster, pool);
    cluster.with_client(NOTHING, async |client| {
        let io = client.pool(pool).await.unwrap();
        for from in (0..KEYS).step_by(500) {
            let vals = (from..from + 500).map(|n| (key(n).into(), bytes(n % 40).into())).collect();
            io.operate_write(b"map", &[OsdOp::OmapSetVals(vals).into()]).await.unwrap().ok().unwrap();
        }
        let (mut found, mut more) = (Vec::<(Vec<u8>, Vec<u8>)>::new(), true);
        while more {
            let after = found.last().map_or(Vec::new(), |(key, _)| key.clone()).into();
            let op = OsdOp::OmapGetVals { after, max: 700, prefix: b"key".into() };
            let reply = io.operate_read(b"map", &[op.into()], None).await.unwrap().ok().unwrap();
            let page = OmapVals::decode(reply.output(0).unwrap()).unwrap();
            more = page.more;
            found.extend(page.entries.into_iter().map(|(key, val)| (key.to_vec(), val.to_vec())));
        }
        let all: Vec<_> = (0..KEYS).map(|n| (key(n), bytes(n % 40))).collect();
        assert!(found == all, "{} of {KEYS} entries", found.len());
    });
    let listed = String::from_utf8(rados(cluster, &["-p", pool, "listomapkeys", "map"])).unwrap();
    assert_eq!(listed.lines().count(), KEYS);
    rados(cluster, &["-p", pool, "setomapval", "map", "theirs", "value"]);
    rados(cluster, &["-p", pool, "setomapheader", "map", "header"]);
    rados(cluster, &["-p", pool, "rmomapkey", "map", "key 00000"]);
    cluster.with_client(NOTHING, async |client| {
        let io = client.pool(pool).await.unwrap();
        let range = OsdOp::OmapRmKeyRange { begin: key(1).into(), end: key(2498).into() };
        let keys = OsdOp::OmapRmKeys(vec![key(2498).into()]);
        io.operate_write(b"map", &[range.into(), keys.into()]).await.unwrap().ok().unwrap();
        let ops = [
            OsdOp::OmapGetHeader.into(),
            OsdOp::OmapGetKeys { after: b"".into(), max: 10 }.into(),
            OsdOp::OmapGetValsByKeys(vec![b"theirs".into(), b"missing".into()]).into(),
        ];
        let reply = io.operate_read(b"map", &ops, None).await.unwrap().ok().unwrap();
        assert_eq!(reply.output(0).unwrap(), b"header");
        let keys = OmapKeys::decode(reply.output(1).unwrap()).unwrap();
        assert_eq!((keys.keys, keys.more), (vec![&key(2499)[..], b"theirs"], false));
        let vals = decode_omap_entries(reply.output(2).unwrap()).unwrap();
        assert_eq!(vals, [(&b"theirs"[..], &b"value"[..])]);
        io.operate_write(b"map", &[OsdOp::OmapClear.into()]).await.unwrap().ok().unwrap();
    });
    assert_eq!(rados(cluster, &["-p", pool, "listomapkeys", "map"]), b"");
}

/// Ours for the tool, and the tool's for us.
pub(super) fn attributes_agree(cluster: &Cluster, pool: &str) {
    let long = bytes(10_000);
    cluster.with_client(NOTHING, async |client| {
        let io = client.pool(pool).await.unwrap();
        let set = |name: &'static [u8], value: &[u8]| {
            OsdOp::SetXattr { name: name.into(), value: Buf::from_slice(value).into() }.into()
        };
        let ops = [set(b"short", b"value"), set(b"long", &long), set(b"gone", b"x")];
        io.operate_write(b"attributes", &ops).await.unwrap().ok().unwrap();
        let rm = OsdOp::RmXattr(b"gone".into());
        io.operate_write(b"attributes", &[rm.into()]).await.unwrap().ok().unwrap();
    });
    assert_eq!(rados(cluster, &["-p", pool, "listxattr", "attributes"]), b"long\nshort\n");
    assert_eq!(rados(cluster, &["-p", pool, "getxattr", "attributes", "long"]), long);
    rados(cluster, &["-p", pool, "setxattr", "attributes", "theirs", "of the tool"]);
    rados(cluster, &["-p", pool, "rmxattr", "attributes", "short"]);
    cluster.with_client(NOTHING, async |client| {
        let io = client.pool(pool).await.unwrap();
        let reply = io.operate_read(b"attributes", &[OsdOp::GetXattrs.into()], None).await.unwrap();
        let found = decode_omap_entries(reply.output(0).unwrap()).unwrap();
        assert!(found == [(&b"long"[..], &long[..]), (b"theirs", b"of the tool")], "{}", found.len());
        let missing = OsdOp::GetXattr(b"short".into());
        let reply = io.operate_read(b"attributes", &[missing.into()], None).await.unwrap();
        assert_eq!(reply.ok().unwrap_err(), OpError::Errno(61));
    });
}
