//! Images of a real cluster, ours beside the `rbd` tool's: what one makes, the other lists, shows, resizes, renames and
//! removes; and what one refuses, so does the other, with the same errno.
//!
//! Needs Debian's Ceph packages. Where they are missing the test says so and passes, except in the gate (`CI=true`).

#![allow(clippy::unwrap_used)]

use ringbd::config::{ImageSpec, Origin, Settings, Sources};
use ringbd::rados::Rados;
use ringbd::rbd::{Features, ImageInfo, ImagePool, NewImage, RbdError};
use ringbd_tests::ceph::{Cluster, Options, start_or_skip};
use ringbd_tests::programs::installed;
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::process::{Output, Stdio};

const MIB: u64 = 1 << 20;
/// Removals at once.
const CONCURRENT: usize = 10;

/// Runs the tool.
fn rbd(cluster: &Cluster, args: &[&str]) -> Output {
    cluster.tool("rbd").args(args).output().unwrap()
}

/// Runs the tool, which must succeed; what it printed.
fn ok(cluster: &Cluster, args: &[&str]) -> String {
    let output = rbd(cluster, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn json(cluster: &Cluster, args: &[&str]) -> Value {
    let text = ok(cluster, &[args, &["--format", "json"]].concat());
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

fn defaults(size: u64) -> NewImage {
    let settings = Settings::load(&ImageSpec::new("rbd", ""), &Sources::default()).unwrap();
    NewImage::new(size, &settings.new_image())
}

/// What we say of an image is what the tool says, line by line.
fn assert_same(ours: &ImageInfo, theirs: &Value) {
    let names = |value: &Value| -> String {
        let names = value.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
        names.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(ours.name, theirs["name"]);
    assert_eq!(ours.id, theirs["id"]);
    assert_eq!(ours.size, theirs["size"]);
    assert_eq!(ours.objects, theirs["objects"], "{theirs}");
    assert_eq!(ours.order, theirs["order"]);
    assert_eq!(ours.snapshots as u64, theirs["snapshot_count"]);
    assert_eq!(ours.data_pool.as_deref(), theirs["data_pool"].as_str());
    assert_eq!(ours.prefix, theirs["block_name_prefix"]);
    assert_eq!(ours.features.to_string(), names(&theirs["features"]));
    assert_eq!(ours.op_features.to_string(), names(&theirs["op_features"]));
    assert_eq!(ours.flags.to_string(), names(&theirs["flags"]));
    assert_eq!(ours.group.as_deref(), theirs["group"].as_str());
    assert_eq!(ours.protected, theirs["protected"].as_str().map(|word| word == "true"));
    assert_eq!(ours.snapshot_limit, theirs["snapshot_limit"].as_u64());
    assert_eq!(ours.stripes.map(|stripes| stripes.0), theirs["stripe_unit"].as_u64());
    assert_eq!(ours.stripes.map(|stripes| stripes.1), theirs["stripe_count"].as_u64());
    let parent = &theirs["parent"];
    assert_eq!(ours.parent.is_some(), parent.is_object());
    if let Some(ours) = &ours.parent {
        assert_eq!(ours.pool, parent["pool"]);
        assert_eq!(ours.namespace, parent["pool_namespace"]);
        assert_eq!(ours.image, parent["image"]);
        assert_eq!(ours.id, parent["id"]);
        assert_eq!(ours.snapshot, parent["snapshot"]);
        assert_eq!(ours.trash, parent["trash"]);
        assert_eq!(ours.overlap, parent["overlap"]);
    }
}

#[test]
fn images_agree_with_the_rbd_tool() {
    // What only snapshots held is to go at once, not when a slow disk would have time for it.
    let global = "[osd]\nosd snap trim sleep = 0.001".to_owned();
    let options = Options { osds: 1, size: 1, global, ..Options::default() };
    if !installed(&["rbd"], "ceph-common") {
        return;
    }
    let Some(cluster) = start_or_skip(&options) else { return };
    for pool in ["rbd", "fast"] {
        cluster.create_pool(pool, 8);
    }
    cluster.with_client(&[], async |rados| {
        new_images_are_theirs_too(&cluster, rados).await;
        their_images_are_ours_too(&cluster, rados).await;
        shrinking_keeps_the_map_exact(&cluster, rados).await;
        metadata_is_shared_and_configures(&cluster, rados).await;
        refusals_are_the_same(&cluster, rados).await;
        a_living_owner_is_left_alone(&cluster, rados).await;
    });
}

/// Every kind of image that we make is shown, checked, renamed, resized and removed by the tool.
async fn new_images_are_theirs_too(cluster: &Cluster, rados: &Rados) {
    ok(cluster, &["namespace", "create", "rbd/space"]);
    let kinds = [
        defaults(42 * MIB + 5),
        NewImage { order: 12, features: Features(1), ..defaults(MIB) },
        NewImage { order: 25, features: Features(0x5), ..defaults(0) },
        NewImage { features: Features(0xd), ..defaults(100 * MIB) },
        NewImage { stripe_unit: 65536, stripe_count: 4, ..defaults(100 * MIB) },
        NewImage { data_pool: Some("fast".to_owned()), ..defaults(64 * MIB) },
        NewImage { data_pool: Some("rbd".to_owned()), ..defaults(64 * MIB) },
    ];
    for namespace in ["", "space"] {
        let pool = ImagePool::open(rados, "rbd", namespace).await.unwrap();
        for new in &kinds {
            pool.create("ours", new).await.unwrap();
            let path = if namespace.is_empty() { "rbd/ours" } else { "rbd/space/ours" };
            let image = pool.image("ours").await.unwrap();
            assert_same(&image.info(None).await.unwrap(), &json(cluster, &["info", path]));
            if new.features.contains(Features::OBJECT_MAP) {
                ok(cluster, &["object-map", "check", path]);
            }
            ok(cluster, &["resize", "--no-progress", "-s", "128M", path]);
            ok(cluster, &["bench", "--io-type", "write", "--io-size", "4K", "--io-total", "32K", path]);
            let renamed = path.replace("ours", "renamed");
            ok(cluster, &["mv", path, &renamed]);
            let image = pool.image("renamed").await.unwrap();
            assert_same(&image.info(None).await.unwrap(), &json(cluster, &["info", &renamed]));
            ok(cluster, &["rm", "--no-progress", &renamed]);
            assert!(pool.images().await.unwrap().is_empty());
        }
        nothing_is_left(cluster, namespace);
    }
}

/// Nothing of any image is in the pools: no header, no map, no data. What only snapshots held goes a moment later.
fn nothing_is_left(cluster: &Cluster, namespace: &str) {
    let kinds = ["rbd_id", "rbd_header", "rbd_object_map", "rbd_data"];
    cluster.await_that("nothing is left of the images", |cluster| {
        ["rbd", "fast"].iter().all(|pool| {
            let listed = cluster.rados(&["-p", pool, "-N", namespace, "ls"]).stdout;
            let listed = String::from_utf8(listed).unwrap();
            !listed.lines().any(|name| kinds.iter().any(|kind| name.starts_with(kind)))
        })
    });
}

/// The tool's images, with data, snapshots and clones, are listed, shown, resized, renamed and removed by us.
async fn their_images_are_ours_too(cluster: &Cluster, rados: &Rados) {
    let shapes = [
        ["--object-size", "1M"].as_slice(),
        &["--image-feature", "layering"],
        &["--stripe-unit", "64K", "--stripe-count", "3"],
        &["--data-pool", "fast"],
    ];
    for namespace in ["", "space"] {
        let pool = ImagePool::open(rados, "rbd", namespace).await.unwrap();
        for shape in shapes {
            let path = if namespace.is_empty() { "rbd/theirs" } else { "rbd/space/theirs" };
            ok(cluster, &[&["create", "-s", "40M"], shape, &[path]].concat());
            ok(cluster, &["bench", "--io-type", "write", "--io-size", "1M", "--io-total", "40M", path]);
            let listed = pool.images().await.unwrap();
            assert_eq!(listed.len(), 1);
            let mut image = pool.image_by_id(&listed[0].id).await.unwrap();
            image.resize(80 * MIB, CONCURRENT, &mut |_, _| {}).await.unwrap();
            image.rename("renamed").await.unwrap();
            let renamed = path.replace("theirs", "renamed");
            let theirs = json(cluster, &["info", &renamed]);
            assert_eq!(theirs["size"], 80 * MIB);
            image.refresh().await.unwrap();
            assert_same(&image.info(None).await.unwrap(), &theirs);
            check_map(cluster, &image.info(None).await.unwrap(), &renamed);
            let mut heard = (0, 0);
            pool.remove("renamed", CONCURRENT, &mut |done, all| heard = (done, all)).await.unwrap();
            assert!(heard.0 == heard.1 && heard.1 > 0, "{heard:?}");
        }
        nothing_is_left(cluster, namespace);
    }
    clones_and_snapshots(cluster, rados).await;
}

async fn clones_and_snapshots(cluster: &Cluster, rados: &Rados) {
    let pool = ImagePool::open(rados, "rbd", "").await.unwrap();
    for format in ["1", "2"] {
        ok(cluster, &["create", "-s", "16M", "golden"]);
        ok(cluster, &["snap", "create", "--no-progress", "golden@base"]);
        ok(cluster, &["snap", "protect", "golden@base"]);
        ok(cluster, &["snap", "limit", "set", "--limit", "7", "golden"]);
        ok(cluster, &["clone", "--rbd-default-clone-format", format, "golden@base", "rbd/child"]);
        let golden = pool.image("golden").await.unwrap();
        assert_same(&golden.info(Some("base")).await.unwrap(), &json(cluster, &["info", "golden@base"]));
        assert_same(&golden.info(None).await.unwrap(), &json(cluster, &["info", "golden"]));
        let child = pool.image("child").await.unwrap();
        assert_same(&child.info(None).await.unwrap(), &json(cluster, &["info", "rbd/child"]));
        pool.remove("child", CONCURRENT, &mut |_, _| {}).await.unwrap();
        let children = ok(cluster, &["children", "golden"]);
        assert_eq!(children, "");
        ok(cluster, &["snap", "unprotect", "golden@base"]);
        ok(cluster, &["snap", "purge", "--no-progress", "golden"]);
        ok(cluster, &["rm", "--no-progress", "golden"]);
    }
}

fn check_map(cluster: &Cluster, info: &ImageInfo, path: &str) {
    if info.features.contains(Features::OBJECT_MAP) {
        ok(cluster, &["object-map", "check", "--no-progress", path]);
        let flags = json(cluster, &["info", path])["flags"].clone();
        assert_eq!(flags.as_array().map(Vec::len), Some(0), "the map is valid: {flags}");
    }
}

/// After shrinking by us, also under a snapshot: the map fits, what was kept is as it was, what was cut off is gone for good
/// and the snapshot has it still.
async fn shrinking_keeps_the_map_exact(cluster: &Cluster, rados: &Rados) {
    let pool = ImagePool::open(rados, "rbd", "").await.unwrap();
    let file = |name: &str| cluster.path().join(name).to_str().unwrap().to_owned();
    let bytes: Vec<u8> = (0..24 * MIB).map(|at| (at * 7 + at / 4099) as u8 | 1).collect();
    std::fs::write(file("whole"), &bytes).unwrap();
    for shape in [["--object-size", "1M"].as_slice(), &["--stripe-unit", "4K", "--stripe-count", "3"]] {
        ok(cluster, &[&["import", "--no-progress"], shape, &[&file("whole"), "cut"]].concat());
        ok(cluster, &["snap", "create", "--no-progress", "cut@whole"]);
        let size = 9 * MIB + 12_345;
        let mut image = pool.image("cut").await.unwrap();
        image.resize(size, CONCURRENT, &mut |_, _| {}).await.unwrap();
        image.refresh().await.unwrap();
        check_map(cluster, &image.info(None).await.unwrap(), "cut");
        image.resize(24 * MIB, CONCURRENT, &mut |_, _| {}).await.unwrap();
        check_map(cluster, &image.info(None).await.unwrap(), "cut");
        ok(cluster, &["export", "--no-progress", "cut", &file("out")]);
        let mut kept = bytes.clone();
        kept[usize::try_from(size).unwrap()..].fill(0);
        assert!(std::fs::read(file("out")).unwrap() == kept, "the head after {shape:?}");
        std::fs::remove_file(file("out")).unwrap();
        ok(cluster, &["export", "--no-progress", "cut@whole", &file("out")]);
        assert!(std::fs::read(file("out")).unwrap() == bytes, "the snapshot after {shape:?}");
        std::fs::remove_file(file("out")).unwrap();
        let error = pool.remove("cut", CONCURRENT, &mut |_, _| {}).await.unwrap_err();
        assert_eq!(error.errno(), 39, "{error}");
        assert_eq!(rbd(cluster, &["rm", "cut"]).status.code(), Some(39));
        ok(cluster, &["snap", "purge", "--no-progress", "cut"]);
        pool.remove("cut", CONCURRENT, &mut |_, _| {}).await.unwrap();
    }
}

async fn metadata_is_shared_and_configures(cluster: &Cluster, rados: &Rados) {
    let pool = ImagePool::open(rados, "rbd", "").await.unwrap();
    pool.create("noted", &defaults(MIB)).await.unwrap();
    let image = pool.image("noted").await.unwrap();
    for nth in 0..150 {
        image.set_metadata(&format!("key {nth:03}"), format!("{nth}").as_bytes()).await.unwrap();
    }
    ok(cluster, &["image-meta", "set", "noted", "conf_rbd_cache_size", "1048576"]);
    ok(cluster, &["config", "pool", "set", "rbd", "rbd_cache_size", "2097152"]);
    ok(cluster, &["config", "pool", "set", "rbd", "rbd_cache", "false"]);
    let listed = json(cluster, &["image-meta", "list", "noted"]);
    let ours = image.metadata().await.unwrap();
    assert_eq!((ours.len(), listed.as_object().unwrap().len()), (151, 151));
    for (key, value) in &ours {
        assert_eq!(listed[key], String::from_utf8(value.clone()).unwrap());
    }
    assert_eq!(image.metadata_value("key 007").await.unwrap(), b"7");
    image.remove_metadata("key 007").await.unwrap();
    assert_eq!(image.remove_metadata("key 007").await.unwrap_err().errno(), 2);
    assert_eq!(rbd(cluster, &["image-meta", "get", "noted", "key 007"]).status.code(), Some(2));
    let settings = image.settings(&cluster.settings(&[("rbd_cache", "true")])).await.unwrap();
    assert_eq!((settings.size("rbd_cache_size"), settings.flag("rbd_cache")), (MIB, false));
    assert_eq!(*settings.origin("rbd_cache_size"), Origin::ImageMetadata);
    assert_eq!(*settings.origin("rbd_cache"), Origin::PoolMetadata);
    pool.remove("noted", CONCURRENT, &mut |_, _| {}).await.unwrap();
}

fn same_refusal<T: std::fmt::Debug>(
    cluster: &Cluster,
    ours: Result<T, RbdError>,
    theirs: &[&str],
    errno: i32,
) {
    let error = ours.unwrap_err();
    assert_eq!(error.errno(), errno, "{error}");
    let output = rbd(cluster, theirs);
    assert_eq!(output.status.code(), Some(errno), "{theirs:?}: {}", String::from_utf8_lossy(&output.stderr));
}

async fn refusals_are_the_same(cluster: &Cluster, rados: &Rados) {
    let pool = ImagePool::open(rados, "rbd", "").await.unwrap();
    pool.create("one", &defaults(MIB)).await.unwrap();
    pool.create("two", &defaults(MIB)).await.unwrap();
    let open = async |pool, space| ImagePool::open(rados, pool, space).await.map(drop);
    same_refusal(cluster, open("nope", "").await, &["ls", "nope"], 2);
    same_refusal(cluster, open("rbd", "nope").await, &["ls", "rbd/nope"], 2);
    same_refusal(cluster, pool.image("nope").await.map(drop), &["info", "nope"], 2);
    same_refusal(cluster, pool.remove("nope", 1, &mut |_, _| {}).await, &["rm", "nope"], 2);
    let mut one = pool.image("one").await.unwrap();
    same_refusal(cluster, one.rename("two").await, &["mv", "one", "two"], 17);
    let create = async |new: NewImage| pool.create("new", &new).await;
    same_refusal(cluster, pool.create("one", &defaults(MIB)).await, &["create", "-s", "1M", "one"], 17);
    let order = NewImage { order: 26, ..defaults(MIB) };
    same_refusal(cluster, create(order).await, &["create", "-s", "1M", "--object-size", "64M", "new"], 33);
    let map = NewImage { features: Features::OBJECT_MAP, ..defaults(MIB) };
    let theirs = ["create", "-s", "1M", "--image-feature", "object-map", "new"];
    same_refusal(cluster, create(map).await, &theirs, 22);
    let half = NewImage { stripe_unit: 65536, ..defaults(MIB) };
    same_refusal(cluster, create(half).await, &["create", "-s", "1M", "--stripe-unit", "64K", "new"], 22);
    let elsewhere = NewImage { data_pool: Some("nope".to_owned()), ..defaults(MIB) };
    let theirs = ["create", "-s", "1M", "--data-pool", "nope", "new"];
    same_refusal(cluster, create(elsewhere).await, &theirs, 2);
    assert_eq!(pool.images().await.unwrap().len(), 2, "what was refused left nothing");
}

/// A client of librbd that has the image open, and owns its lock once it has written.
const HOLDER: &str = "
import rados, rbd, sys
c = rados.Rados(conffile=sys.argv[1]); c.connect(); io = c.open_ioctx('rbd')
i = rbd.Image(io, 'one'); i.write(b'x' * 4096, 0); print('held', flush=True)
sys.stdin.readline(); i.close(); io.close(); c.shutdown()
";

async fn a_living_owner_is_left_alone(cluster: &Cluster, rados: &Rados) {
    let pool = ImagePool::open(rados, "rbd", "").await.unwrap();
    let mut holder = std::process::Command::new("/usr/bin/python3");
    holder.args(["-c", HOLDER]).arg(cluster.conf()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut holder = holder.spawn().unwrap();
    let mut said = String::new();
    BufReader::new(holder.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "held\n", "python3-rbd is installed");
    let mut one = pool.image("one").await.unwrap();
    let owner = one.header().lock.owners[0].client.to_string();
    let error = one.resize(2 * MIB, CONCURRENT, &mut |_, _| {}).await.unwrap_err();
    assert!(error.errno() == 16 && error.to_string().contains(&owner), "{error} names {owner}");
    same_refusal(cluster, pool.remove("one", CONCURRENT, &mut |_, _| {}).await, &["rm", "one"], 16);
    holder.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert!(holder.wait().unwrap().success());
    one.resize(2 * MIB, CONCURRENT, &mut |_, _| {}).await.unwrap();
    assert_eq!(json(cluster, &["info", "one"])["size"], 2 * MIB);
    pool.remove("one", CONCURRENT, &mut |_, _| {}).await.unwrap();
    pool.remove("two", CONCURRENT, &mut |_, _| {}).await.unwrap();
    nothing_is_left(cluster, "");
}
