//! Defaults, every field, limits, and who may do without a key.

use proptest::prelude::*;

use super::*;
use crate::config::{ImageSpec, Sources};

const KEY: &str = "AQBktwJrM6JOIhAAtuYSwyL9G9K7zF5otBlGOQ==";

fn settings(conf: &str) -> Settings {
    let spec = ImageSpec::new("data", "foo").with_option("conf", "/x/west.conf");
    let read = |_: &Path| Ok(conf.as_bytes().to_vec());
    Settings::load_with(&spec, &Sources::default(), &read).unwrap_or_else(|error| panic!("{error}"))
}

fn absent(_: &Path) -> io::Result<Vec<u8>> {
    Err(io::Error::from(io::ErrorKind::NotFound))
}

fn load(conf: &str) -> Result<ClusterConfig> {
    ClusterConfig::load_with(&settings(&format!("mon host = 10.0.0.1\n{conf}")), &absent)
}

fn config(conf: &str) -> ClusterConfig {
    load(conf).unwrap_or_else(|error| panic!("{conf}: {error}"))
}

#[test]
fn the_defaults_are_cephs() {
    let config = config(&format!("key = {KEY}"));
    assert_eq!((config.cluster.as_str(), config.user.to_string().as_str()), ("west", "client.admin"));
    assert_eq!(config.methods, [AuthMethod::Cephx, AuthMethod::None]);
    assert_eq!(config.modes(EntityType::Osd), [ConMode::Crc, ConMode::Secure]);
    assert_eq!(config.modes(EntityType::Mon), [ConMode::Secure, ConMode::Crc]);
    assert_eq!(config.modes(EntityType::Mgr), config.mon_modes);
    assert_eq!((config.fsid, config.key_missing.is_none()), (None, true));
    assert_eq!(config.key_source, "option key (/x/west.conf:2)");
    assert_eq!(config.credentials.as_ref().unwrap().user, config.user);
    let times = [
        (config.initial_backoff, 0.2),
        (config.max_backoff, 15.0),
        (config.ready_timeout, 10.0),
        (config.idle_timeout.unwrap(), 900.0),
        (config.mount_timeout, 300.0),
        (config.tick_interval, 5.0),
        (config.laggy_after, 10.0),
        (config.complaint_time, 30.0),
        (config.notify_timeout, 10.0),
        (config.mon_hunt_interval, 3.0),
        (config.mon_hunt_interval_min, 3.0),
        (config.mon_hunt_interval_max, 30.0),
        (config.mon_ping_interval, 10.0),
        (config.mon_ping_timeout, 30.0),
    ];
    for (at, (time, seconds)) in times.into_iter().enumerate() {
        assert_eq!(time, Duration::from_secs_f64(seconds), "time {at}");
    }
    assert_eq!((config.osd_op_timeout, config.mon_op_timeout, config.watch_timeout), (None, None, None));
    assert_eq!((config.inflight_ops, config.inflight_bytes), (1024, 100 << 20));
    assert_eq!((config.mon_hunt_parallel, config.op_priority), (3, 63));
    assert_eq!(config.mon_hunt_interval_backoff.to_bits(), 1.5_f64.to_bits());
}

#[test]
fn what_is_set_is_taken() {
    let config = config(
        "fsid = 00112233-4455-6677-8899-AABBCCDDEEFF\nauth supported = none\nms client mode = secure\n\
         ms mon client mode = crc,secure crc\nms initial backoff = 1\nms max backoff = 4\n\
         ms connection ready timeout = 3\nms connection idle timeout = 60\n\
         rados osd op timeout = 30\nrados mon op timeout = 1m\nclient mount timeout = 2.5\n\
         objecter inflight ops = 8\nobjecter inflight op bytes = 1M\nobjecter tick interval = 1\n\
         objecter timeout = 2\nosd client op priority = 10\nosd client watch timeout = 12\n\
         osd op complaint time = 3\n\
         client notify timeout = 4\nmon client hunt parallel = 2\nmon client hunt interval = 2\n\
         mon client hunt interval backoff = 3\nmon client hunt interval min multiple = 2\n\
         mon client hunt interval max multiple = 5\nmon client ping interval = 7\nmon client ping timeout = 21\n",
    );
    assert_eq!(config.fsid.unwrap().to_string(), "00112233-4455-6677-8899-aabbccddeeff");
    assert_eq!(config.methods, [AuthMethod::None]);
    assert!(config.credentials.is_none() && config.key_missing.is_none());
    assert!(config.key_source.contains("cephx is not asked for"));
    assert_eq!(
        (config.client_modes, config.mon_modes),
        (vec![ConMode::Secure], vec![ConMode::Crc, ConMode::Secure])
    );
    let times = [
        (config.initial_backoff, 1.0),
        (config.max_backoff, 4.0),
        (config.ready_timeout, 3.0),
        (config.idle_timeout.unwrap(), 60.0),
        (config.osd_op_timeout.unwrap(), 30.0),
        (config.mon_op_timeout.unwrap(), 60.0),
        (config.mount_timeout, 2.5),
        (config.tick_interval, 1.0),
        (config.laggy_after, 2.0),
        (config.watch_timeout.unwrap(), 12.0),
        (config.complaint_time, 3.0),
        (config.notify_timeout, 4.0),
        (config.mon_hunt_interval, 2.0),
        (config.mon_hunt_interval_min, 4.0),
        (config.mon_hunt_interval_max, 10.0),
        (config.mon_ping_interval, 7.0),
        (config.mon_ping_timeout, 21.0),
    ];
    for (at, (time, seconds)) in times.into_iter().enumerate() {
        assert_eq!(time, Duration::from_secs_f64(seconds), "time {at}");
    }
    assert_eq!((config.inflight_ops, config.inflight_bytes), (8, 1 << 20));
    assert_eq!((config.mon_hunt_parallel, config.op_priority), (2, 10));
    assert_eq!(config.mon_hunt_interval_backoff.to_bits(), 3_f64.to_bits());
}

#[test]
fn zero_is_no_limit_where_ceph_means_that_and_never_a_spin() {
    let config = config(
        "ms connection idle timeout = 0\nclient mount timeout = 0\nobjecter inflight ops = 0\n\
         objecter inflight op bytes = 0\nmon client hunt parallel = 0\nmon client ping timeout = 0\n\
         ms initial backoff = 0\nms max backoff = 0\nobjecter tick interval = 0\nmon client hunt interval = 0\n\
         mon client hunt interval backoff = 0\nmon client hunt interval max multiple = -1e300\n\
         mon client ping interval = 0\nfsid = 00000000-0000-0000-0000-000000000000\n",
    );
    assert_eq!((config.idle_timeout, config.fsid), (None, None));
    assert_eq!((config.mount_timeout, config.mon_ping_timeout), (Duration::MAX, Duration::MAX));
    let counts = [config.inflight_ops, config.inflight_bytes, config.mon_hunt_parallel];
    assert_eq!(counts, [usize::MAX; 3]);
    for time in [
        config.initial_backoff,
        config.max_backoff,
        config.tick_interval,
        config.mon_hunt_interval,
        config.mon_hunt_interval_min,
        config.mon_hunt_interval_max,
        config.mon_ping_interval,
    ] {
        assert_eq!(time, INTERVAL_MIN);
    }
    assert_eq!(config.mon_hunt_interval_backoff.to_bits(), 1_f64.to_bits());
}

#[test]
fn a_client_without_a_keyring_goes_without_cephx_if_it_may() {
    let config = config("");
    assert_eq!(config.methods, [AuthMethod::None]);
    let missing = config.key_missing.unwrap();
    assert!(
        missing.to_string().contains("tried /etc/ceph/west.client.admin.keyring (not there)"),
        "{missing}"
    );
    let error = load("auth client required = cephx").unwrap_err();
    assert_eq!((error.kind(), error.to_string()), (ErrorKind::NotFound, missing.to_string()));
}

#[test]
fn a_keyring_that_cannot_be_used_is_an_error_even_where_none_would_do() {
    let settings = settings("mon host = 10.0.0.1\n");
    let denied = |_: &Path| Err(io::Error::from_raw_os_error(13));
    let error = ClusterConfig::load_with(&settings, &denied).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
}

#[test]
fn every_mistake_names_the_option_the_place_and_what_to_write() {
    for (conf, parts) in [
        (
            "auth client required = cpehx",
            [
                "auth_client_required (/x/west.conf:2)",
                "\"cpehx\" is not cephx or none",
                "did you mean cephx?",
            ],
        ),
        (
            "auth client required = gss",
            ["auth_client_required (/x/west.conf:2)", "leaves nothing", "write cephx or none"],
        ),
        ("auth supported = ,", ["auth_supported (/x/west.conf:2)", "leaves nothing", "write cephx or none"]),
        (
            "ms client mode = secured",
            ["ms_client_mode (/x/west.conf:2)", "not crc or secure", "did you mean secure?"],
        ),
        (
            "ms mon client mode = rot13",
            ["ms_mon_client_mode (/x/west.conf:2)", "\"rot13\"", "write crc or secure"],
        ),
        ("fsid = abc", ["fsid (/x/west.conf:2)", "\"abc\" is none", "ceph fsid"]),
        ("mon host = 10.0.0", ["mon_host (/x/west.conf:2)", "no IPv4 address", "cluster west"]),
    ] {
        let error = load(conf).unwrap_err();
        let message = error.to_string();
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{message}");
    }
    assert_eq!(config("auth client required = gss, none").methods, [AuthMethod::None]);
}

#[test]
fn a_users_name_has_a_limit() {
    let spec = ImageSpec::new("data", "foo").with_option("conf", "/x").with_option("id", "x".repeat(300));
    let settings = Settings::load_with(&spec, &Sources::default(), &|_| Ok(Vec::new())).unwrap();
    let error = ClusterConfig::load_with(&settings, &absent).unwrap_err().to_string();
    assert!(error.contains("longer than") && error.len() < 300, "{error}");
}

#[test]
fn the_monitors_may_tune_a_client_but_not_move_it() {
    let base = settings(&format!("mon host = 10.0.0.1\nkey = {KEY}\nobjecter timeout = 4\n"));
    let client = ClusterConfig::load_with(&base, &absent).unwrap();
    let said = [
        ("rados_osd_op_timeout", "30"),
        ("objecter_timeout", "99"),
        ("ms_client_mode", "secure"),
        ("auth_client_required", "none"),
        ("mon_host", "10.9.9.9"),
    ];
    let tuned = client.retuned(said);
    assert_eq!(tuned.osd_op_timeout, Some(Duration::from_secs(30)));
    assert_eq!(tuned.laggy_after, Duration::from_secs(4));
    assert_eq!(tuned.client_modes, [ConMode::Secure]);
    assert_eq!((&tuned.methods, &tuned.monitors), (&client.methods, &client.monitors));
    let said: Vec<String> = tuned.set_by_monitors().collect();
    assert!(said.iter().any(|line| line.starts_with("rados_osd_op_timeout")), "{said:?}");
    assert!(!said.iter().any(|line| line.starts_with("objecter_timeout")), "{said:?}");
    let wrong = tuned.retuned([("ms_client_mode", "x"), ("rados_osd_op_timeout", "9")]);
    assert_eq!(wrong.osd_op_timeout, Some(Duration::from_secs(9)));
    assert_eq!(wrong.client_modes, tuned.client_modes);
    let silent = tuned.retuned([]);
    assert_eq!((silent.osd_op_timeout, silent.client_modes), (None, client.client_modes));
}

#[test]
fn no_key_is_ever_shown() {
    let config = config(&format!("key = {KEY}"));
    assert!(!format!("{config:?}").contains(KEY));
}

proptest! {
    /// Whatever numbers people write, no time overflows and nothing waits no time at all.
    #[test]
    fn any_numbers_make_a_sound_configuration(
        seconds in 0.0..1e9_f64,
        factor in proptest::num::f64::NORMAL,
        number: u64,
    ) {
        let config = config(&format!(
            "ms initial backoff = {seconds}\nms max backoff = 1\nms connection idle timeout = {number}\n\
             mon client hunt interval = {seconds}\nmon client hunt interval backoff = {factor}\n\
             mon client hunt interval min multiple = {factor}\nmon client hunt interval max multiple = {factor}\n\
             objecter inflight ops = {number}\nmon client hunt parallel = {number}\n"
        ));
        prop_assert!(config.initial_backoff >= INTERVAL_MIN && config.max_backoff >= config.initial_backoff);
        prop_assert!(config.mon_hunt_interval_min >= INTERVAL_MIN);
        prop_assert!(config.mon_hunt_interval_max >= config.mon_hunt_interval_min);
        prop_assert!(config.mon_hunt_interval_max <= TIME_MAX);
        prop_assert!(config.mon_hunt_interval_backoff >= 1.0 && config.inflight_ops > 0);
        prop_assert!(config.idle_timeout.is_none_or(|time| time <= TIME_MAX));
    }
}
