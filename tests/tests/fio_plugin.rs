//! fio itself drives the plugin: sixteen kinds of job in every cache mode, and what must go wrong clearly.
//!
//! Needs `fio` and a release build of the plugin (`RINGBD_FIO_PLUGIN` names another). Where one is missing the tests
//! say so and pass, except in the gate (`CI=true`), where they fail.

#![allow(clippy::unwrap_used)] // Also in the functions that the tests share.

use ringbd::World;
use ringbd::store::{CreateImage, CreateStore, ImageName, Store};
use serde_json::Value;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const MIB: u64 = 1 << 20;
const MODES: [&str; 6] = ["none", "writeback", "writethrough", "directsync", "unsafe", "writearound"];

/// The kinds that check data, so that they run in every mode.
const CHECKED: [(&str, &str); 8] = [
    ("write, verify", "--rw=write --verify=crc32c"),
    ("verify by two threads", "--rw=randwrite --verify=crc32c --verify_async=2"),
    ("verify behind the writes", "--rw=randwrite --verify=md5 --verify_backlog=128"),
    ("trim, then write", "--rw=randtrimwrite --verify=crc32c"),
    ("fsync and fdatasync", "--rw=randwrite --fsync=8 --fdatasync=4 --verify=crc32c"),
    ("random trims", "--rw=randtrim --bs=64k"),
    ("mixed sizes, verify", "--rw=randrw --bsrange=512-64k --serialize_overlap=1 --verify=crc32c"),
    ("loops", "--rw=randrw --loops=3 --size=2m --verify=crc32c"),
];

/// The kinds that are about fio's way to drive an engine, run without a cache and with one.
const DRIVEN: [(&str, &str); 8] = [
    ("a rate", "--rw=randrw --rate_iops=5000 --runtime=300ms --time_based"),
    ("trimwrite", "--rw=trimwrite"),
    (
        "batches",
        "--rw=randread --iodepth_batch=8 --iodepth_batch_complete_min=8 --iodepth_batch_complete_max=16 \
         --runtime=300ms --time_based",
    ),
    ("sixteen threads", "--rw=randread --numjobs=16 --thread --runtime=300ms --time_based --group_reporting"),
    ("memory from mmap", "--rw=randread --mem=mmap --iomem_align=4k --direct=1 --runtime=300ms --time_based"),
    ("two images", "--filename=img:img2 --nrfiles=2 --rw=randread --runtime=300ms --time_based"),
    (
        "a latency target",
        "--rw=randread --latency_target=5ms --latency_window=100ms --latency_percentile=99 --runtime=1 --time_based",
    ),
    ("batches of completions, none asked for", "--rw=randrw --iodepth_batch_complete_min=0 --size=2m"),
];

/// fio, the plugin, and a store with the images `img` and `img2` in the pool `rbd`.
struct Lab {
    dir: TempDir,
    plugin: PathBuf,
}

impl Lab {
    /// Nothing where fio or the plugin is missing.
    fn set_up() -> Option<Lab> {
        let plugin = plugin();
        let missing = match (Command::new("fio").arg("--version").output(), plugin.exists()) {
            (Err(error), _) => format!("fio does not start: {error} (install fio)"),
            (_, false) => format!("{} is missing (cargo build --release -p fio-ringbd)", plugin.display()),
            (Ok(_), true) => {
                let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
                let lab = Lab { dir, plugin };
                lab.make_store("store");
                return Some(lab);
            }
        };
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
        eprintln!("skipped: {missing}");
        None
    }

    fn make_store(&self, name: &str) {
        let store = Store::create(&World::real(), &self.path(name), &CreateStore::default()).unwrap();
        for image in ["img", "img2"] {
            let name = ImageName { pool: "rbd", namespace: "", image };
            store.create_image(name, &CreateImage::new(16 * MIB), &mut |_, _| {}).unwrap();
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// fio's arguments for a small job on `img`, then those of `kind`.
    fn command(&self, store: &str, kind: &str) -> Command {
        let mut command = Command::new("timeout");
        command.args(["-s", "KILL", "120", "fio", "--output-format=json", "--output=report.json"]);
        command.args(["--name=job", "--bs=4k", "--iodepth=16", "--size=4m"]);
        command.arg(format!("--ioengine=external:{}", self.plugin.display()));
        command.arg(format!("--store={}", self.path(store).display()));
        // The options of the first job; a second one brings its own.
        let first = kind.split("--name").next().unwrap();
        if !first.contains("filename=") && !first.contains("rbdname=") {
            command.arg("--rbdname=img");
        }
        command.args(kind.split_whitespace());
        command.current_dir(self.dir.path()).env_remove("RINGBD_STORE").stdin(Stdio::null());
        command
    }

    /// The arguments of one more job on `img`. fio knows the plugin's options only behind its name.
    fn second_job(&self, kind: &str) -> String {
        let (plugin, store) = (self.plugin.display(), self.path("store"));
        format!("--name=second --ioengine=external:{plugin} --store={} --rbdname=img {kind}", store.display())
    }

    fn run(&self, kind: &str) -> Run {
        self.run_on("store", kind)
    }

    fn run_on(&self, store: &str, kind: &str) -> Run {
        let report = self.path("report.json");
        let _ = std::fs::remove_file(&report);
        let output = self.command(store, kind).output().unwrap();
        Run {
            kind: kind.to_owned(),
            status: output.status,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            report: std::fs::read_to_string(&report).unwrap_or_default(),
        }
    }
}

/// What a fio left behind.
struct Run {
    kind: String,
    status: ExitStatus,
    stderr: String,
    report: String,
}

impl Run {
    fn json(&self) -> Value {
        // fio writes its notes before the report, into the same file.
        let start = self.report.find('{').unwrap_or(0);
        serde_json::from_str(&self.report[start..]).unwrap_or(Value::Null)
    }

    /// The run succeeded: fio says so, each job says so, and each did I/O.
    fn assert_good(&self, what: &str) {
        let context = format!("{what}: fio {}\n{}\n{}", self.kind, self.stderr, self.report);
        assert!(self.status.success(), "{context}");
        let json = self.json();
        let jobs = json["jobs"].as_array().unwrap_or_else(|| panic!("{context}"));
        assert!(!jobs.is_empty(), "{context}");
        for job in jobs {
            assert_eq!(job["error"], 0, "{context}");
            let ios: u64 =
                ["read", "write", "trim"].iter().filter_map(|kind| job[kind]["total_ios"].as_u64()).sum();
            assert!(ios > 0, "{context}");
        }
    }

    /// The run failed, and `words` are in what fio printed.
    fn assert_says(&self, words: &[&str]) {
        let said = format!("{}\n{}", self.stderr, self.report);
        assert!(!self.status.success(), "fio {} succeeded:\n{said}", self.kind);
        for word in words {
            assert!(said.contains(word), "fio {} does not say {word:?}:\n{said}", self.kind);
        }
    }
}

fn plugin() -> PathBuf {
    if let Some(path) = std::env::var_os("RINGBD_FIO_PLUGIN") {
        return path.into();
    }
    // This program is <target>/<profile>/deps/fio_plugin-….
    let exe = std::env::current_exe().unwrap();
    let target = exe.ancestors().nth(3).unwrap();
    target.join("release").join("libfio_ringbd.so")
}

fn checked_kinds(mode: &str) {
    let Some(lab) = Lab::set_up() else { return };
    for (what, kind) in CHECKED {
        lab.run(&format!("{kind} --cache={mode}")).assert_good(&format!("{what}, cache={mode}"));
    }
}

#[test]
fn data_survives_without_a_cache() {
    checked_kinds("none");
}

#[test]
fn data_survives_in_writeback() {
    checked_kinds("writeback");
}

#[test]
fn data_survives_in_writethrough() {
    checked_kinds("writethrough");
}

#[test]
fn data_survives_in_directsync() {
    checked_kinds("directsync");
}

#[test]
fn data_survives_in_unsafe() {
    checked_kinds("unsafe");
}

#[test]
fn data_survives_in_writearound() {
    checked_kinds("writearound");
}

#[test]
fn fio_can_drive_the_engine_in_all_its_ways() {
    let Some(lab) = Lab::set_up() else { return };
    lab.run("--rw=write --bs=64k --size=16m").assert_good("fill");
    for mode in ["none", "writeback"] {
        for (what, kind) in DRIVEN {
            lab.run(&format!("{kind} --cache={mode}")).assert_good(&format!("{what}, cache={mode}"));
        }
    }
}

#[test]
fn a_log_that_was_written_can_be_replayed() {
    let Some(lab) = Lab::set_up() else { return };
    lab.run("--rw=randrw --write_iolog=log.txt").assert_good("write the log");
    lab.run("--read_iolog=log.txt").assert_good("replay");
    lab.run("--read_iolog=log.txt --read_iolog_chunked=1 --cache=writeback").assert_good("replay in chunks");
}

#[test]
fn two_threads_on_one_image_keep_their_data_apart_in_every_mode() {
    let Some(lab) = Lab::set_up() else { return };
    for mode in MODES {
        for kind in [
            "--rw=randrw --bsrange=512-64k --serialize_overlap=1 --verify=crc32c",
            "--rw=randtrimwrite --bsrange=4k-64k --verify=crc32c",
        ] {
            let kind = format!("{kind} --thread --numjobs=2 --offset_increment=4m --cache={mode}");
            lab.run(&kind).assert_good(&format!("two threads, cache={mode}"));
        }
    }
}

#[test]
fn an_engine_with_cores_of_its_own_serves_jobs_that_sleep() {
    let Some(lab) = Lab::set_up() else { return };
    for mode in MODES {
        let kind =
            format!("--rw=randrw --bsrange=512-64k --serialize_overlap=1 --verify=crc32c --cache={mode}");
        for cores in ["1", "0", "0-0"] {
            lab.run(&format!("{kind} --cores={cores}")).assert_good(&format!("cores={cores}, cache={mode}"));
        }
        let sleeper = format!("{kind} --thread --cores=1 --thinktime=1ms --size=256k");
        let second = lab.second_job("--rw=randwrite --offset=8m --size=4m --thread --cores=1");
        lab.run(&format!("{sleeper} {second} --cache={mode}"))
            .assert_good(&format!("a sleeper and another, cache={mode}"));
    }
}

#[test]
fn jobs_that_share_a_store_must_agree_on_its_cores() {
    let Some(lab) = Lab::set_up() else { return };
    let second = lab.second_job("--rw=read --size=4m --thread");
    for (one, other) in [("--cores=1", "--cores=2"), ("", "--cores=1")] {
        let run = lab.run(&format!("--rw=read --thread {one} {second} {other}"));
        run.assert_says(&["ringbd:", "same cores="]);
    }
    lab.run("--rw=read --cores=many").assert_says(&["ringbd:", "ringbd_core_list"]);
}

#[test]
fn what_one_fio_wrote_the_next_one_reads() {
    let Some(lab) = Lab::set_up() else { return };
    for mode in MODES.into_iter().filter(|mode| *mode != "unsafe") {
        let write = "--rw=randwrite --verify=crc32c --do_verify=0 --end_fsync=1";
        lab.run(&format!("{write} --cache={mode}")).assert_good("write");
        lab.run("--rw=randwrite --verify=crc32c --verify_only=1").assert_good(&format!("read after {mode}"));
    }
}

#[test]
fn a_flipped_byte_in_the_store_is_found_by_verify() {
    let Some(lab) = Lab::set_up() else { return };
    lab.run("--rw=write --verify=crc32c --do_verify=0 --end_fsync=1").assert_good("write");
    flip_a_byte_of_a_verified_block(&lab.path("store").join("data"));
    lab.run("--rw=write --verify=crc32c --verify_only=1").assert_says(&["verify"]);
}

/// Finds a block that fio wrote, by the magic number of its header, and changes a byte of its contents.
fn flip_a_byte_of_a_verified_block(data: &Path) {
    const HEADER_MAGIC: [u8; 2] = 0xacca_u16.to_le_bytes();
    let mut file = std::fs::File::options().read(true).write(true).open(data).unwrap();
    let mut block = [0_u8; 4096];
    loop {
        file.read_exact(&mut block).expect("a block that fio wrote is in the data file");
        if block[..2] == HEADER_MAGIC {
            file.seek(SeekFrom::Current(-1000)).unwrap();
            file.write_all(&[!block[4096 - 1000]]).unwrap();
            return file.sync_all().unwrap();
        }
    }
}

#[test]
fn forked_jobs_on_one_store_are_told_about_threads() {
    let Some(lab) = Lab::set_up() else { return };
    let forked = lab.run("--rw=randread --numjobs=3 --runtime=1 --time_based");
    forked.assert_says(&["thread=1"]);
    lab.run("--rw=randread --numjobs=3 --thread --runtime=300ms --time_based").assert_good("threads");
}

#[test]
fn forked_jobs_on_stores_of_their_own_work() {
    let Some(lab) = Lab::set_up() else { return };
    lab.make_store("other");
    let other = lab.path("other");
    let plugin = lab.plugin.display();
    let kind = format!(
        "--rw=randwrite --verify=crc32c --name=second --ioengine=external:{plugin} --store={} --rbdname=img --rw=randwrite \
         --bs=4k --size=4m --verify=crc32c",
        other.display()
    );
    let run = lab.run(&kind);
    run.assert_good("two processes, two stores");
    assert_eq!(run.json()["jobs"].as_array().map(Vec::len), Some(2));
}

#[test]
fn jobs_that_follow_each_other_each_open_the_store() {
    let Some(lab) = Lab::set_up() else { return };
    let plugin = lab.plugin.display();
    let store = lab.path("store");
    for thread in ["", "--thread"] {
        let kind = format!(
            "--rw=write --verify=crc32c --do_verify=0 {thread} --name=second --stonewall --ioengine=external:{plugin} \
             --store={} --rbdname=img --rw=write --bs=4k --size=4m --verify=crc32c --verify_only=1 {thread}",
            store.display()
        );
        lab.run(&kind).assert_good("one after the other");
    }
}

#[test]
fn a_killed_fio_leaves_a_store_that_opens() {
    let Some(lab) = Lab::set_up() else { return };
    for (round, mode) in MODES.into_iter().enumerate() {
        let kind = format!("--rw=randwrite --fsync=32 --runtime=30 --time_based --thread --cache={mode}");
        // Without `timeout`, so that the signal goes to fio.
        let mut command = lab.command("store", &kind);
        let args: Vec<_> = command.get_args().skip(3).map(ToOwned::to_owned).collect();
        command = Command::new(&args[0]);
        command.args(&args[1..]).current_dir(lab.dir.path()).stderr(Stdio::null());
        let mut fio = command.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(700 + 37 * round as u64));
        fio.kill().unwrap();
        fio.wait().unwrap();
        lab.run("--rw=write --verify=crc32c").assert_good(&format!("after a kill in {mode}"));
    }
}

#[test]
fn mistakes_are_answered_with_what_to_do() {
    let Some(lab) = Lab::set_up() else { return };
    lab.run("--rw=read --rbdname=nothere").assert_says(&["ringbd:", "nothere", "ringbd create"]);
    lab.run("--rw=read --rbdname=nothere --create_serialize=0").assert_says(&["ringbd:", "nothere"]);
    lab.run("--rw=read --rbdname=nopool/img").assert_says(&["ringbd:", "nopool"]);
    lab.run("--rw=read --cache=writebak").assert_says(&["writeback", "writethrough"]);
    lab.run("--rw=write --size=1g").assert_says(&["ringbd:", "img", "ringbd resize"]);
    lab.run("--rw=write --io_submit_mode=offload").assert_says(&["ringbd"]);
    lab.run_on("nostore", "--rw=read").assert_says(&["ringbd:", "nostore"]);
    let mut unnamed = lab.command("store", "--rw=read --filename=");
    let args: Vec<_> =
        unnamed.get_args().filter(|arg| *arg != "--filename=").map(ToOwned::to_owned).collect();
    unnamed = Command::new("timeout");
    let output = unnamed.args(args).current_dir(lab.dir.path()).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("rbdname="), "{output:?}");
}

#[test]
fn an_image_can_be_named_in_every_way() {
    let Some(lab) = Lab::set_up() else { return };
    let store = lab.path("store");
    let string = format!("rbd:rbd/img:ringbd_store={}", store.display());
    for kind in [
        "--rw=read --rbdname=img --pool=rbd".to_owned(),
        "--rw=read --rbdname=rbd/img".to_owned(),
        "--rw=read --filename=img".to_owned(),
        "--rw=read --filename=rbd\\:rbd/img".to_owned(),
        format!("--rw=read --rbdname={string}"),
    ] {
        lab.run(&kind).assert_good("a name");
    }
}

#[test]
fn the_options_are_explained() {
    let Some(lab) = Lab::set_up() else { return };
    let help = |what: &str| {
        let argument = format!("--enghelp={}{what}", lab.plugin.display());
        let output = Command::new("fio").arg(argument).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let all = help("");
    for name in [
        "rbdname",
        "pool",
        "namespace",
        "snap",
        "store",
        "cache",
        "cores",
        "wait_mode",
        "busy_poll",
        "conf",
        "clientname",
    ] {
        assert!(all.contains(name), "{all}");
    }
    let cache = help(",cache");
    assert!(MODES.iter().all(|mode| cache.contains(mode)), "{cache}");
}

#[test]
fn the_example_jobs_run() {
    let Some(lab) = Lab::set_up() else { return };
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("fio-plugin/examples");
    let mut found = 0;
    for example in std::fs::read_dir(examples).unwrap() {
        let name = example.unwrap().path();
        let text = std::fs::read_to_string(&name).unwrap();
        std::fs::write(lab.path("example.fio"), shortened(&text, &lab.plugin)).unwrap();
        let output = Command::new("timeout")
            .args(["-s", "KILL", "120", "fio", "example.fio"])
            .env("RINGBD_STORE", lab.path("store"))
            .current_dir(lab.dir.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}: {output:?}", name.display());
        found += 1;
    }
    assert_eq!(found, 10, "an example for each cache mode, and verify, fsync, threads and cores");
}

/// An example on the image of the tests, small and soon over.
fn shortened(example: &str, plugin: &Path) -> String {
    let mut text = String::new();
    for line in example.lines() {
        let line = match line.split_once('=') {
            Some(("ioengine", _)) => format!("ioengine=external:{}", plugin.display()),
            Some(("pool", _)) => "pool=rbd".to_owned(),
            Some(("rbdname", _)) => "rbdname=img".to_owned(),
            Some(("size", _)) => "size=4m".to_owned(),
            Some(("offset", _)) => "offset=4m".to_owned(),
            Some(("runtime", _)) => "runtime=300ms".to_owned(),
            _ => line.to_owned(),
        };
        text += &line;
        text.push('\n');
    }
    text
}
