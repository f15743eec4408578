//! Who wins where several places set an option, and what every mistake says.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::cache::Policy;

/// Loads with the files given as pairs of path and text.
fn load_files(image: &str, sources: &Sources, files: &[(&str, &str)]) -> Result<Settings> {
    let files: HashMap<&Path, &str> = files.iter().map(|&(path, text)| (Path::new(path), text)).collect();
    let read = |path: &Path| match files.get(path) {
        Some(text) => Ok(text.as_bytes().to_vec()),
        None => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    Settings::load_with(&image.parse()?, sources, &read)
}

/// Loads with one configuration file in the usual place.
fn load(image: &str, sources: &Sources, conf: &str) -> Result<Settings> {
    load_files(image, sources, &[("/etc/ceph/ceph.conf", conf)])
}

fn settings(image: &str, sources: &Sources, conf: &str) -> Settings {
    load(image, sources, conf).unwrap_or_else(|error| panic!("{error}"))
}

fn env(edit: impl FnOnce(&mut super::super::Env)) -> Sources {
    let mut sources = Sources::default();
    sources.env.home = Some("/home/alice".to_owned());
    sources.env.host = "node1".to_owned();
    edit(&mut sources.env);
    sources
}

#[test]
fn without_any_source_every_option_has_its_default() {
    let settings = load_files("data/foo", &Sources::default(), &[]).unwrap();
    assert_eq!(settings.changed().count(), 0);
    assert_eq!((settings.conf_path(), settings.store()), (None, None));
    assert_eq!(settings.identity().name(), "client.admin");
    assert_eq!(
        (settings.cores(), settings.core_list(), settings.spin()),
        (1, &[][..], Duration::from_micros(20))
    );
    assert!(!settings.store_dsync());
    assert_eq!(settings.new_image().order, 22);
    assert_eq!(settings.new_image().features, 61);
    assert_eq!(settings.discard(), DiscardSettings { granularity_bytes: 65_536, skip_partial: true });
    assert_eq!((settings.limit("rados_osd_op_timeout"), settings.log()), (None, None));
    assert_eq!(settings.limit("client_mount_timeout"), Some(Duration::from_secs(300)));
    assert_eq!(
        settings.some_text("keyring").map(|text| text.split(',').next()).unwrap(),
        Some("/etc/ceph/ceph.client.admin.keyring")
    );
    assert_eq!(
        settings.cache().to_string(),
        "writearound (rbd_cache_policy from the default; writethrough until first flush)"
    );
}

#[test]
fn each_layer_wins_over_the_weaker_ones() {
    let conf = "[global]\nringbd_store = /conf\n";
    let mut sources = env(|env| env.ringbd_store = Some("/env".to_owned()));
    let store = |image: &str, sources: &Sources, conf: &str| {
        let settings = settings(image, sources, conf);
        (settings.store().unwrap().display().to_string(), settings.origin("ringbd_store").clone())
    };
    assert_eq!(store("data/foo", &sources, ""), ("/env".to_owned(), Origin::Env("RINGBD_STORE")));
    let line = Origin::ConfFile { path: "/etc/ceph/ceph.conf".into(), line: 2 };
    assert_eq!(store("data/foo", &sources, conf), ("/conf".to_owned(), line));
    sources.env.ceph_args = Some("--ringbd-store /args".to_owned());
    assert_eq!(store("data/foo", &sources, conf), ("/args".to_owned(), Origin::CephArgs));
    sources.options.push(("ringbd_store".to_owned(), "/line".to_owned()));
    assert_eq!(store("data/foo", &sources, conf), ("/line".to_owned(), Origin::CommandLine));
    let image = "rbd:data/foo:ringbd_store=/string";
    assert_eq!(store(image, &sources, conf), ("/string".to_owned(), Origin::ImageString));
}

#[test]
fn the_cache_mode_is_weaker_than_the_file_and_the_string() {
    let sources = Sources::default().with_cache(QemuCache::None);
    assert_eq!(settings("data/foo", &sources, "").cache().to_string(), "none (rbd_cache from cache=none)");
    let on = settings("data/foo", &sources, "[client]\nrbd cache = true\n");
    assert_eq!(on.cache().mode, Policy::Writearound);
    assert_eq!(on.origin("rbd_cache"), &Origin::ConfFile { path: "/etc/ceph/ceph.conf".into(), line: 2 });
    let string = "rbd:data/foo:rbd_cache=true:rbd_cache_policy=writeback";
    let cache = settings(string, &sources, "[client]\nrbd cache = false\n").cache().to_string();
    assert_eq!(cache, "writeback (rbd_cache_policy from the image string; writethrough until first flush)");
}

#[test]
fn metadata_of_the_image_wins_over_all_and_never_fails() {
    let string = "rbd:data/foo:rbd_cache_size=64M:rbd_cache_policy=writeback";
    let base = settings(string, &Sources::default(), "");
    let pool = [("conf_rbd_cache_size", "1M"), ("conf_rbd_cache_max_dirty_age", "5")];
    let image = [
        ("conf_rbd_cache_size", "2M"),
        ("conf_rbd_cache_policy", "wrongback"),
        ("conf_ringbd_store", "/elsewhere"),
        ("conf_nonesuch", "1"),
        ("author", "alice"),
    ];
    let settings = base.with_metadata(pool, image);
    assert_eq!(
        (settings.cache().size_bytes, settings.origin("rbd_cache_size")),
        (2 << 20, &Origin::ImageMetadata)
    );
    assert_eq!(settings.cache().max_dirty_age, Duration::from_secs(5));
    assert_eq!(settings.origin("rbd_cache_max_dirty_age"), &Origin::PoolMetadata);
    assert_eq!(settings.cache().mode, Policy::Writeback);
    assert_eq!(settings.store(), None);
}

#[test]
fn what_the_monitors_say_is_weaker_than_all_but_the_default() {
    let said = [("rbd_cache_size", "1M"), ("rbd_cache", "true"), ("rbd_cache_max_dirty_age", "3")];
    let sources = Sources::default().with_cache(QemuCache::None);
    let conf = "[global]\nrbd cache size = 2M\n";
    let settings =
        settings("rbd:data/foo:rbd_readahead_max_bytes=0", &sources, conf).with_monitor_config(said);
    let line = Origin::ConfFile { path: "/etc/ceph/ceph.conf".into(), line: 2 };
    assert_eq!(settings.origin("rbd_cache_size"), &line);
    assert_eq!(settings.origin("rbd_cache"), &Origin::Qemu(QemuCache::None));
    assert_eq!(settings.origin("rbd_readahead_max_bytes"), &Origin::ImageString);
    assert_eq!(settings.origin("rbd_cache_max_dirty_age"), &Origin::Monitors);
    assert_eq!(settings.duration("rbd_cache_max_dirty_age"), Duration::from_secs(3));
    assert_eq!(settings.cache().to_string(), "none (rbd_cache from cache=none)");
    assert!(
        settings
            .report()
            .any(|line| line == "rbd_cache_max_dirty_age = 3 s (from the monitors' configuration)")
    );
}

#[test]
fn what_the_monitors_say_takes_the_place_of_what_they_said_and_metadata_stays() {
    let base = settings("data/foo", &Sources::default(), "");
    let metadata = [("conf_rbd_cache_size", "8M")];
    let first = base
        .with_monitor_config([("rbd_cache_size", "1M"), ("rbd_cache_target_dirty", "64K")])
        .with_metadata([], metadata);
    assert_eq!((first.size("rbd_cache_size"), first.size("rbd_cache_target_dirty")), (8 << 20, 64 << 10));
    let second = first.with_monitor_config([("rbd_cache_size", "2M")]);
    assert_eq!(second.size("rbd_cache_size"), 8 << 20);
    assert_eq!(second.origin("rbd_cache_target_dirty"), &Origin::Default);
    let bare = base.with_monitor_config([("rbd_cache_size", "2M")]);
    assert_eq!((bare.size("rbd_cache_size"), bare.origin("rbd_cache_size")), (2 << 20, &Origin::Monitors));
}

#[test]
fn monitors_cannot_say_how_they_are_reached_nor_anything_that_fails() {
    let base = settings("data/foo", &Sources::default(), "[global]\nlog file = $run_dir/x.log\n");
    let long = "x".repeat(9 << 10);
    let settings = base.with_monitor_config([
        ("mon_host", "10.9.9.9"),
        ("keyring", "/tmp/other"),
        ("fsid", "00000000-0000-0000-0000-000000000000"),
        ("ringbd_store", "/elsewhere"),
        ("ringbd_cores", "7"),
        ("rbd_cache_size", "much"),
        ("rbd_qos_iops_limit", "many"),
        ("osd_memory_target", "1"),
        ("admin_socket", "$admin_socket"),
        ("run_dir", long.as_str()),
        ("mon client hunt parallel", "5"),
        ("rbd_default_data_pool", "pool-of-$cluster"),
    ]);
    let changed: Vec<_> = settings.changed().map(|(option, _)| option.name).collect();
    assert_eq!(changed, ["rbd_default_data_pool", "mon_client_hunt_parallel", "log_file"]);
    assert_eq!(settings.number("mon_client_hunt_parallel"), 5);
    assert_eq!(settings.some_text("rbd_default_data_pool"), Some("pool-of-ceph"));
    assert_eq!(settings.some_text("log_file"), Some("/var/run/ceph/x.log"));
}

#[test]
fn a_number_of_the_monitors_that_makes_a_text_too_long_is_left_out() {
    let full = "x".repeat((8 << 10) - "33554432".len());
    let base =
        settings("data/foo", &Sources::default(), &format!("[global]\nlog file = {full}$rbd_cache_size\n"));
    let settings = base.with_monitor_config([("rbd_cache_size", "8G")]);
    assert_eq!(settings.origin("rbd_cache_size"), &Origin::Default);
    assert_eq!(settings.some_text("log_file").map(str::len), Some(8 << 10));
}

#[test]
fn the_file_is_found_as_ceph_finds_it() {
    let conf = "[global]\nhost = from";
    let files = [
        ("/etc/ceph/ceph.conf", conf),
        ("/home/alice/.ceph/ceph.conf", conf),
        ("ceph.conf", conf),
        ("/x/west.conf", conf),
    ];
    let path = |image: &str, sources: &Sources, files: &[(&str, &str)]| {
        let settings = load_files(image, sources, files).unwrap();
        (settings.conf_path().map(|path| path.display().to_string()), settings.identity().cluster.clone())
    };
    let found = |path: &str, cluster: &str| (Some(path.to_owned()), cluster.to_owned());
    let sources = env(|_| ());
    assert_eq!(path("a/b", &sources, &files), found("/etc/ceph/ceph.conf", "ceph"));
    assert_eq!(path("a/b", &sources, &files[1..]), found("/home/alice/.ceph/ceph.conf", "ceph"));
    assert_eq!(path("a/b", &sources, &files[2..]), found("ceph.conf", "ceph"));
    assert_eq!(path("a/b", &sources, &[]), (None, "ceph".to_owned()));
    let by_env = env(|env| env.ceph_conf = Some("/nonesuch.conf, /x/west.conf".to_owned()));
    assert_eq!(path("a/b", &by_env, &files), found("/x/west.conf", "west"));
    let named = env(|env| env.ceph_args = Some("--cluster east -c /x/west.conf".to_owned()));
    assert_eq!(path("a/b", &named, &files), found("/x/west.conf", "east"));
    assert_eq!(path("rbd:a/b:conf=ceph.conf", &by_env, &files), found("ceph.conf", "ceph"));
    let west = Sources { cluster: Some("west".to_owned()), conf: Some("/x/$cluster.conf".into()), ..sources };
    assert_eq!(path("a/b", &west, &files), found("/x/west.conf", "west"));
}

#[test]
fn the_users_own_section_is_read_and_metavariables_expand() {
    let conf = "[global]\nkeyring = /k/$cluster.$name.keyring\nlog file = $run_dir/$host-${id}.log\n\
                [client]\nrun dir = /run\n[client.bob]\nrbd_cache_size = 1M\n[client.admin]\nrbd_cache_size = 2M\n[osd]\nrbd_nonesuch = 1\n";
    let bob = settings("rbd:data/foo:id=bob", &env(|_| ()), conf);
    assert_eq!(bob.some_text("keyring"), Some("/k/ceph.client.bob.keyring"));
    assert_eq!(bob.some_text("log_file"), Some("/run/node1-bob.log"));
    assert_eq!(bob.cache().size_bytes, 1 << 20);
    let admin = settings("data/foo", &env(|_| ()), conf);
    assert_eq!(admin.cache().size_bytes, 2 << 20);
    let renamed = settings("rbd:data/foo:host=other", &env(|_| ()), conf);
    assert_eq!(renamed.some_text("log_file"), Some("/run/other-admin.log"));
}

#[test]
fn every_mistake_names_the_thing_the_place_and_what_was_meant() {
    let none = Sources::default();
    let told = none.clone().with_option("ringbd_stor", "/x");
    let args = env(|env| env.ceph_args = Some("--rbd_cache_size 1X".to_owned()));
    for (image, sources, conf, parts) in [
        (
            "rbd:data/foo:rbd_cach=true",
            &none,
            "",
            ["option rbd_cach", "column 14 of the image string of data/foo", "did you mean rbd_cache?"],
        ),
        ("rbd:data/foo:idd=x", &none, "", ["option idd", "column 14", "did you mean id?"]),
        ("rbd:data/foo:mon_hots=x", &none, "", ["option mon_hots", "column 14", "did you mean mon_host?"]),
        ("rbd:data/foo:rbd_cache=yes", &none, "", ["option rbd_cache", "column 14", "write true"]),
        ("rbd:data/foo:id=", &none, "", ["option id", "image string", "empty"]),
        ("rbd:data/foo:ringbd_core_list=0-", &none, "", ["option ringbd_core_list", "image string", "0,2-3"]),
        ("data/foo", &told, "", ["option ringbd_stor", "command line", "did you mean ringbd_store?"]),
        ("data/foo", &args, "", ["option rbd_cache_size", "CEPH_ARGS", "unknown unit \"X\""]),
        (
            "data/foo",
            &none,
            "[global]\n\nrbd cash = true\n",
            ["option rbd_cash", "/etc/ceph/ceph.conf:3", "did you mean rbd_cache?"],
        ),
        (
            "data/foo",
            &none,
            "[client]\nRBD_Cache = true\n",
            ["option RBD_Cache", "/etc/ceph/ceph.conf:2", "did you mean rbd_cache?"],
        ),
        (
            "data/foo",
            &none,
            "rbd_cache_policy = writebak\n",
            ["option rbd_cache_policy", "/etc/ceph/ceph.conf:1", "did you mean writeback?"],
        ),
        (
            "data/foo",
            &none,
            "[client]\nrbd_discard_granularity_bytes = 64K\n",
            ["option rbd_discard_granularity_bytes", "/etc/ceph/ceph.conf:2", "write 65536"],
        ),
        (
            "data/foo",
            &none,
            "rbd_default_order = 30\n",
            ["option rbd_default_order", "/etc/ceph/ceph.conf:1", "12 to 25"],
        ),
        (
            "data/foo",
            &none,
            "log_file = $run_dir\nrun_dir = $log_file\n",
            ["option log_file", "/etc/ceph/ceph.conf:1", "expands into itself"],
        ),
        ("data/foo", &none, "[global\n", ["configuration file", "/etc/ceph/ceph.conf:1", "closing bracket"]),
        (
            "rbd:data/foo:conf=/x.conf",
            &none,
            "",
            ["configuration file /x.conf", "conf= in the image string", "does not exist"],
        ),
    ] {
        let message = load(image, sources, conf).expect_err(image).to_string();
        assert!(parts.iter().all(|part| message.contains(part)), "{image} {conf}: {message}");
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn what_is_cephs_alone_is_kept_quietly() {
    let conf = "[global]\nosd pool default size = 3\nnonsense = 1\nrbd_qos_iops_limit = many\nrbd_mirror_x = 1\n\
                mon_initial_members = $mon_initial_members\n";
    let settings = settings("rbd:data/foo:debug_rbd=20:rbd_plugins=x", &Sources::default(), conf);
    assert_eq!(settings.find("rbd_qos_iops_limit").map(|setting| &setting.origin), Some(&Origin::Default));
    assert!(settings.find("osd_pool_default_size").is_none());
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_even_in_a_default_place() {
    let denied = |_: &Path| Err(io::Error::from_raw_os_error(13));
    let error =
        Settings::load_with(&ImageSpec::new("data", "foo"), &Sources::default(), &denied).unwrap_err();
    assert_eq!((error.kind(), error.errno()), (ConfigErrorKind::UnreadableFile, 13));
    assert!(
        error.to_string().contains("/etc/ceph/ceph.conf") && error.to_string().contains("conf=/dev/null"),
        "{error}"
    );
    let missing = load("rbd:a/b:conf=/x", &Sources::default(), "").unwrap_err();
    assert_eq!((missing.kind(), missing.errno()), (ConfigErrorKind::MissingFile, 2));
}

#[test]
fn cores_follow_the_list_of_cpus() {
    let cores = |options: &str| load(&format!("rbd:data/foo{options}"), &Sources::default(), "");
    let of = |options: &str| cores(options).unwrap().cores();
    assert_eq!(of(":ringbd_cores=0"), 0);
    assert_eq!(of(":ringbd_core_list=1-3"), 3);
    assert_eq!(of(":ringbd_core_list=1-3:ringbd_cores=0"), 3);
    assert_eq!(of(":ringbd_core_list=1-3:ringbd_cores=2"), 2);
    let error = cores(":ringbd_core_list=1-3:ringbd_cores=4").unwrap_err().to_string();
    assert!(error.contains("option ringbd_cores (the image string): 4 threads"), "{error}");
}

#[test]
fn a_report_shows_who_set_what_and_no_secrets() {
    let settings = settings("rbd:data/foo:key=AQsecret:rbd_cache_size=64M", &Sources::default(), "");
    let report: Vec<String> = settings.report().collect();
    assert_eq!(
        report,
        ["rbd_cache_size = 64 MiB (from the image string)", "key = (hidden) (from the image string)"]
    );
    let debug = format!("{settings:?}");
    assert!(debug.contains("rbd_cache_size") && !debug.contains("AQsecret"), "{debug}");
}

#[test]
fn a_path_with_spaces_is_one_file_if_it_exists() {
    let files = [("/my conf/x.conf", "host = one"), ("/y.conf", "host = two")];
    let host = |conf: &str| -> Result<String> {
        let spec = format!("rbd:data/foo:conf={conf}");
        let settings = load_files(&spec, &Sources::default(), &files)?;
        Ok(settings.some_text("host").unwrap().to_owned())
    };
    assert_eq!(host("/my conf/x.conf").unwrap(), "one");
    assert_eq!(host("/nonesuch.conf;/y.conf").unwrap(), "two");
    assert!(host("/a /b").unwrap_err().to_string().contains("configuration file /a /b"));
}

#[test]
fn real_files_and_devices_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("west.conf");
    std::fs::write(&path, "[client]\nringbd_cores = 2\nringbd_core_list = 1,3\n").unwrap();
    let spec = ImageSpec::new("data", "foo").with_option("conf", path.display().to_string());
    let settings = Settings::load(&spec, &Sources::default()).unwrap();
    assert_eq!((settings.cores(), settings.core_list()), (2, &[1, 3][..]));
    assert_eq!(settings.identity().cluster, "west");
    let nothing = ImageSpec::new("data", "foo").with_option("conf", "/dev/null");
    assert_eq!(Settings::load(&nothing, &Sources::default()).unwrap().changed().count(), 0);
    let directory = ImageSpec::new("data", "foo").with_option("conf", dir.path().display().to_string());
    let error = Settings::load(&directory, &Sources::default()).unwrap_err();
    assert_eq!(error.kind(), ConfigErrorKind::UnreadableFile, "{error}");
}

proptest! {
    /// The naive model: the places in order, the last that says something wins.
    #[test]
    fn the_strongest_place_wins(said in proptest::array::uniform8(proptest::option::of(1u64..1000)), swap: bool) {
        let [monitors, global, client, own, args, line, string, metadata] = said;
        let write = |section: &str, value: Option<u64>| {
            value.map(|value| format!("[{section}]\nrbd cache size = {value}K\n")).unwrap_or_default()
        };
        let mut sections = [write("global", global), write("client", client), write("client.bob", own)];
        if swap {
            sections.reverse();
        }
        let mut sources = env(|env| env.ceph_args = args.map(|value| format!("--rbd-cache-size={value}K")));
        if let Some(value) = line {
            sources = sources.with_option("rbd_cache_size", format!("{value}K"));
        }
        let option = string.map(|value| format!(":rbd_cache_size={value}K")).unwrap_or_default();
        let (monitors, metadata) = (monitors.map(|value| format!("{value}K")), metadata.map(|value| format!("{value}K")));
        let settings = settings(&format!("rbd:data/foo:id=bob{option}"), &sources, &sections.concat())
            .with_metadata([], metadata.as_deref().map(|value| ("conf_rbd_cache_size", value)))
            .with_monitor_config(monitors.as_deref().map(|value| ("rbd_cache_size", value)));
        let expected = said.into_iter().flatten().next_back().map_or(32 << 20, |value| value << 10);
        prop_assert_eq!(settings.find("rbd_cache_size").unwrap().value.clone(), OptionValue::Size(expected));
        let origin = settings.origin("rbd_cache_size");
        match said.iter().rposition(Option::is_some) {
            None => prop_assert_eq!(origin, &Origin::Default),
            Some(0) => prop_assert_eq!(origin, &Origin::Monitors),
            Some(1..=3) => {
                let from_file = matches!(origin, Origin::ConfFile { .. });
                prop_assert!(from_file, "{}", origin);
            }
            Some(4) => prop_assert_eq!(origin, &Origin::CephArgs),
            Some(5) => prop_assert_eq!(origin, &Origin::CommandLine),
            Some(6) => prop_assert_eq!(origin, &Origin::ImageString),
            Some(_) => prop_assert_eq!(origin, &Origin::ImageMetadata),
        }
    }
}
