//! The `ringbd` command from outside: messages and exit codes as those of `rbd`, and images that survive the round trip.

#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use ringbd_tests::programs::ringbd;

const MIB: u64 = 1 << 20;

/// A folder with a store in it, and the command on that store.
struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Bench {
        let bench = Bench { dir: tempfile::TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap() };
        bench.ok(&["store", "create"]);
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(ringbd());
        command.args(args).current_dir(self.dir.path()).stdin(Stdio::null());
        for variable in ["CEPH_CONF", "CEPH_ARGS", "CEPH_KEYRING", "RINGBD_LOG"] {
            command.env_remove(variable);
        }
        command.env("RINGBD_STORE", self.path("store"));
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs what must work; what it printed.
    fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stderr.is_empty(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, args: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.ok(&[args, &["--format", "json"]].concat())).unwrap()
    }

    /// Runs what must fail, with this exit code and this first line.
    fn fails(&self, args: &[&str], code: i32, first_line: &str) {
        let output = self.run(args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert_eq!(said.lines().next(), Some(first_line), "{args:?}: {said}");
    }

    /// Writes a file of `size` bytes that has data here and there and holes between.
    fn sparse_file(&self, name: &str, size: u64) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(size);
        let mut contents = vec![0; usize::try_from(size).unwrap()];
        for (offset, len) in [(0, 4096), (5 * MIB - 3000, 200_000), (12 * MIB, MIB), (size - 777, 777)] {
            let range = usize::try_from(offset).unwrap()..usize::try_from(offset + len).unwrap();
            random.fill(&mut contents[range]);
        }
        std::fs::write(self.path(name), &contents).unwrap();
        contents
    }
}

#[test]
fn an_image_lives_its_life() {
    let bench = Bench::new();
    bench.ok(&["create", "data/foo", "--size", "10G"]);
    let info = bench.ok(&["info", "data/foo"]);
    assert!(
        info.starts_with("rbd image 'foo':\n\tsize 10 GiB in 2560 objects\n\torder 22 (4 MiB objects)\n"),
        "{info}"
    );
    assert_eq!(bench.ok(&["ls", "data"]), "foo\n");
    assert_eq!(
        bench.ok(&["ls", "-l", "data"]),
        "NAME  SIZE    PARENT  FMT  PROT  LOCK\nfoo   10 GiB          2\n"
    );
    bench.ok(&["resize", "data/foo", "-s", "20G"]);
    bench.fails(
        &["resize", "data/foo", "-s", "1G"],
        22,
        "ringbd: shrinking an image is only allowed with the --allow-shrink flag",
    );
    bench.ok(&["resize", "data/foo", "-s", "1G", "--allow-shrink"]);
    bench.ok(&["mv", "data/foo", "data/bar"]);
    assert_eq!(bench.json(&["info", "data/bar"])["size"], 1 << 30);
    bench.ok(&["rm", "data/bar"]);
    assert_eq!(bench.ok(&["ls", "data"]), "");
    assert!(bench.ok(&["fsck"]).contains("the store is in order"));
}

#[test]
fn failures_read_like_those_of_rbd() {
    let bench = Bench::new();
    bench.ok(&["create", "data/foo", "-s", "64M"]);
    bench.ok(&["create", "data/bar", "-s", "64M"]);
    for (args, code, line) in [
        (
            ["info", "data/nope"].as_slice(),
            2,
            "ringbd: error opening image nope: (2) No such file or directory",
        ),
        (&["info", "nope/foo"], 2, "ringbd: error opening pool 'nope': (2) No such file or directory"),
        (&["ls", "nope"], 2, "ringbd: error opening pool 'nope': (2) No such file or directory"),
        (&["export", "data/nope", "-"], 2, "ringbd: error opening image nope: (2) No such file or directory"),
        (&["rm", "data/nope"], 2, "ringbd: delete error: (2) No such file or directory"),
        (&["create", "data/foo", "-s", "1G"], 17, "ringbd: create error: (17) File exists"),
        (&["mv", "data/foo", "data/bar"], 17, "ringbd: rename error: (17) File exists"),
        (&["import", "/dev/null", "data/foo"], 17, "ringbd: import failed: (17) File exists"),
        (&["import", "/nope", "data/new"], 2, "ringbd: error opening /nope: (2) No such file or directory"),
        (&["info", "data/foo@snap"], 22, "ringbd: info takes an image, not its snapshot @snap"),
    ] {
        bench.fails(args, code, line);
    }
    // What rbd leaves to the reader is said in a second line.
    let output = bench.run(&["info", "data/nope"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.lines().nth(1).is_some_and(|line| line.contains("data/nope")), "{said}");
}

#[test]
fn a_store_that_is_not_there_is_told_from_one_that_is_not_named() {
    let bench = Bench::new();
    let nowhere = bench.path("nowhere");
    let line = format!("ringbd: error opening store {}: (2) No such file or directory", nowhere.display());
    bench.fails(&["ls", "--store", nowhere.to_str().unwrap()], 2, &line);
    assert!(!nowhere.exists(), "looking for a store must not make anything");
    let output = bench.command(&["ls"]).env_remove("RINGBD_STORE").output().unwrap();
    assert_eq!(output.status.code(), Some(22));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--store DIR"));
}

#[test]
fn a_wrong_command_line_is_einval() {
    let bench = Bench::new();
    for args in
        [["create", "data/foo"].as_slice(), &["warp"], &["create", "data/foo", "-s", "10 apples"], &[]]
    {
        let output = bench.run(args);
        assert_eq!(output.status.code(), Some(22), "{args:?}");
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("ringbd: "), "{args:?}");
    }
    for args in [["--help"].as_slice(), &["--version"], &["bench", "cache", "--help"]] {
        assert!(bench.run(args).status.success(), "{args:?}");
    }
}

#[test]
fn images_are_named_as_qemu_names_them_too() {
    let bench = Bench::new();
    let store = bench.path("store");
    let spec = format!("rbd:data/foo:ringbd_store={}", store.display());
    let output = bench.command(&["create", &spec, "-s", "64M"]).env_remove("RINGBD_STORE").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(bench.json(&["info", &spec])["name"], "foo");
    let output = bench.run(&["info", "rbd:data/foo:rbd_cache=perhaps"]);
    assert_eq!(output.status.code(), Some(22));
    assert!(String::from_utf8_lossy(&output.stderr).contains("rbd_cache"));
}

#[test]
fn a_file_comes_back_as_it_went_in_and_stays_sparse() {
    let bench = Bench::new();
    let size = 48 * MIB + 12_345;
    let contents = bench.sparse_file("in.raw", size);
    bench.ok(&["import", "in.raw", "data/copy"]);
    let info = bench.json(&["info", "data/copy"]);
    assert_eq!(info["size"], size);
    assert_eq!(info["allocated"], 4 * 4 * MIB, "data lies in the objects 0, 1, 3 and 12: {info}");
    bench.ok(&["export", "data/copy", "out.raw"]);
    assert!(std::fs::read(bench.path("out.raw")).unwrap() == contents);
    let taken = std::fs::metadata(bench.path("out.raw")).unwrap().blocks() * 512;
    assert!(taken < 3 * MIB, "{taken} bytes on the disk");
    bench.fails(&["export", "data/copy", "out.raw"], 17, "ringbd: export error: out.raw: (17) File exists");
}

#[test]
fn streams_in_and_out() {
    let bench = Bench::new();
    let contents = bench.sparse_file("in.raw", 21 * MIB + 1);
    let mut import = bench.command(&["import", "-", "data/stream"]).stdin(Stdio::piped()).spawn().unwrap();
    import.stdin.take().unwrap().write_all(&contents).unwrap();
    assert!(import.wait().unwrap().success());
    assert_eq!(bench.json(&["info", "data/stream"])["size"], 21 * MIB + 1);
    let output = bench.run(&["export", "data/stream", "-", "--no-progress"]);
    assert!(output.status.success() && output.stdout == contents);
}

#[test]
fn a_failed_import_leaves_no_image() {
    let bench = Bench::new();
    bench.ok(&["store", "create", "small", "--limit", "64M"]);
    let full = bench.path("in.raw");
    let mut contents = vec![0; 100 << 20];
    fastrand::Rng::with_seed(1).fill(&mut contents);
    std::fs::write(&full, &contents).unwrap();
    let output = bench.run(&["import", "in.raw", "data/big", "--store", "small"]);
    assert_eq!(output.status.code(), Some(28), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(bench.ok(&["ls", "data", "--store", "small"]), "");
    assert!(bench.ok(&["fsck", "--store", "small"]).contains("the store is in order"));
}

#[test]
fn json_is_json() {
    let bench = Bench::new();
    bench.ok(&["create", "data/foo", "-s", "64M", "--object-size", "1M"]);
    assert_eq!(bench.json(&["ls", "data"]), serde_json::json!(["foo"]));
    assert_eq!(bench.json(&["ls", "-l", "data"])[0]["size"], 64 * MIB);
    assert_eq!(bench.json(&["info", "data/foo"])["object_size"], MIB);
    assert_eq!(bench.json(&["status"])["pools"][0]["images"], 1);
    assert_eq!(bench.json(&["fsck"])["remaining"], 0);
}

#[test]
fn shells_get_their_completions() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(bench.ok(&["completion", shell]).contains("export"), "{shell}");
    }
}

#[test]
fn a_dry_run_shows_the_plan_and_runs_nothing() {
    let bench = Bench::new();
    let plan = bench.ok(&["bench", "cache", "--quick", "--dry-run", "--seed", "7"]);
    for word in ["hit-qd32", "writethrough", "io_uring", "--seed 7"] {
        assert!(plan.contains(word), "{word} in {plan}");
    }
    assert_eq!(plan, bench.ok(&["bench", "cache", "--quick", "--dry-run", "--seed", "7"]));
    let output = bench.run(&["bench", "cache", "--jobs", "warp", "--dry-run"]);
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("hit-qd1"));
}
