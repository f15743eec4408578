//! The options ringbd acts on: the client cache, new images, discard, its own, and how a cluster is reached.

use super::options::{
    OptionDef, OptionKind, flag, float, number, number_in, seconds, size, text, time_span, word,
};

const fn row(name: &'static str, kind: OptionKind, doc: &'static str) -> OptionDef {
    OptionDef { name, kind, doc, used: true }
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// layering, exclusive-lock, object-map, fast-diff, deep-flatten.
const DEFAULT_FEATURES: u64 = 1 | 4 | 8 | 16 | 32;

/// Where Ceph looks for a keyring when nobody says.
const DEFAULT_KEYRINGS: &str =
    "/etc/ceph/$cluster.$name.keyring,/etc/ceph/$cluster.keyring,/etc/ceph/keyring,/etc/ceph/keyring.bin";

/// Every option that changes what ringbd does.
pub(super) const ENGINE_OPTIONS: &[OptionDef] = &[
    // The client cache.
    row(
        "rbd_cache",
        flag(true),
        "keep a cache in the client; with rbd_cache_max_dirty = 0 it is writethrough",
    ),
    row(
        "rbd_cache_policy",
        word("writearound", &["writethrough", "writeback", "writearound"]),
        "what the cache does with writes",
    ),
    row(
        "rbd_cache_writethrough_until_flush",
        flag(true),
        "acknowledge writes only when stored until the first flush shows that the user sends flushes",
    ),
    row("rbd_cache_size", size(32 * MIB), "bytes of cache per image"),
    row(
        "rbd_cache_max_dirty",
        size(24 * MIB),
        "bytes that may be acknowledged and not stored; 0: writethrough",
    ),
    row("rbd_cache_target_dirty", size(16 * MIB), "dirty bytes at which writeback starts"),
    row("rbd_cache_max_dirty_age", seconds(1.0), "seconds that data may stay dirty before writeback starts"),
    row("rbd_cache_max_dirty_object", number(0), "objects that may be dirty at once; 0: from rbd_cache_size"),
    row(
        "rbd_cache_block_writes_upfront",
        flag(false),
        "at the dirty limit, hold back the submission of a write instead of its completion",
    ),
    row("rbd_readahead_trigger_requests", number(10), "sequential reads that start readahead"),
    row("rbd_readahead_max_bytes", size(512 * KIB), "largest readahead; 0: no readahead"),
    row(
        "rbd_readahead_disable_after_bytes",
        size(50 * MIB),
        "bytes read after which readahead is left to the guest; 0: never",
    ),
    // Discard.
    row(
        "rbd_skip_partial_discard",
        flag(true),
        "leave out discards below the granularity instead of zeroing",
    ),
    row(
        "rbd_discard_granularity_bytes",
        OptionKind::Number { default: 64 * KIB, min: 4 * KIB, max: 32 * MIB, power_of_two: true },
        "smallest discard passed on, in bytes, a power of two",
    ),
    // New images, clones and long operations.
    row("rbd_default_data_pool", text(""), "pool for the data objects of new images; empty: the image's own"),
    row("rbd_default_order", number_in(22, 12, 25), "object size of new images, as a power of two"),
    row("rbd_default_stripe_unit", size(0), "stripe unit of new images; 0: the object size"),
    row("rbd_default_stripe_count", number(0), "objects a stripe of new images goes over; 0: 1"),
    row("rbd_default_features", OptionKind::Features { default: DEFAULT_FEATURES }, "features of new images"),
    row("rbd_default_clone_format", word("auto", &["1", "2", "auto"]), "how clones are tracked"),
    row("rbd_clone_copy_on_read", flag(false), "copy a parent's object into the clone when it is read"),
    row(
        "rbd_concurrent_management_ops",
        number_in(10, 1, 1 << 20),
        "operations in flight of a resize or removal",
    ),
    row("rbd_validate_names", flag(true), "refuse names of new images that contain @ or /"),
    // ringbd's own.
    row("ringbd_store", text(""), "directory of the embedded store; empty: a Ceph cluster"),
    row(
        "ringbd_store_dsync",
        flag(false),
        "make every write to the embedded store durable when it is acknowledged, not only at a flush",
    ),
    row(
        "ringbd_cores",
        number_in(1, 0, 1024),
        "threads of the engine, each pinned to a CPU; 0: all CPUs, or all of ringbd_core_list",
    ),
    row("ringbd_core_list", text(""), "CPUs the engine's threads are pinned to, such as 0,2-3; empty: any"),
    row("ringbd_spin_us", number_in(20, 0, 1_000_000), "microseconds a core polls before it sleeps"),
    row("ringbd_queue_depth_max", number_in(4096, 1, 1 << 16), "requests of one image that may be in flight"),
    row("ringbd_log", text(""), "what to log, such as info or ringbd=debug; empty: warnings"),
    // How a cluster is reached.
    row("fsid", text(""), "identity of the cluster that must answer; empty: any"),
    row("host", text(""), "this machine's short name; empty: ask the kernel"),
    row("mon_host", text(""), "monitors: addresses or names separated by commas, semicolons or spaces"),
    row("mon_host_override", text(""), "the same, and stronger: for one run against other monitors"),
    row(
        "mon_dns_srv_name",
        text("ceph-mon"),
        "DNS SRV record that lists the monitors when mon_host is empty",
    ),
    row("keyring", text(DEFAULT_KEYRINGS), "files to look for the user's key in, the first that exists"),
    row("keyfile", text(""), "file that holds nothing but the user's key"),
    row("key", text(""), "the user's key itself"),
    row("auth_client_required", text("cephx, none"), "authentication that this client asks of daemons"),
    row("auth_supported", text(""), "the same, as it was called before clients and daemons were told apart"),
    row("ms_client_mode", text("crc secure"), "connection modes of this client to OSDs, preferred first"),
    row(
        "ms_mon_client_mode",
        text("secure crc"),
        "connection modes of this client to monitors, preferred first",
    ),
    row("ms_initial_backoff", seconds(0.2), "wait before the first reconnect"),
    row("ms_max_backoff", seconds(15.0), "longest wait before a reconnect"),
    row(
        "ms_connection_ready_timeout",
        number_in(10, 1, u64::MAX),
        "seconds a new connection may take to get ready",
    ),
    row(
        "ms_connection_idle_timeout",
        number(900),
        "seconds without traffic after which a connection is closed; 0: never",
    ),
    row("mon_client_hunt_parallel", number(3), "monitors tried at once while there is no session; 0: all"),
    row("mon_client_hunt_interval", seconds(3.0), "time a round of tries may take"),
    row(
        "mon_client_hunt_interval_backoff",
        float(1.5),
        "factor by which each failed round lengthens the next",
    ),
    row("mon_client_hunt_interval_min_multiple", float(1.0), "smallest multiple of the interval"),
    row("mon_client_hunt_interval_max_multiple", float(10.0), "largest multiple of the interval"),
    row("mon_client_ping_interval", seconds(10.0), "time between signs of life to the monitor"),
    row(
        "mon_client_ping_timeout",
        seconds(30.0),
        "silence of the monitor after which another one is tried; 0: any",
    ),
    row("objecter_tick_interval", seconds(5.0), "time between looks at operations that take long"),
    row("objecter_timeout", seconds(10.0), "age at which an operation asks the monitors for a newer OSD map"),
    row("objecter_inflight_ops", number(1024), "OSD operations in flight; 0: any number"),
    row("objecter_inflight_op_bytes", size(100 * MIB), "bytes of OSD operations in flight; 0: any number"),
    row("osd_client_op_priority", number_in(63, 0, 255), "priority of operations in the OSDs' queues"),
    row(
        "osd_op_complaint_time",
        seconds(30.0),
        "age at which an operation without an answer is warned about",
    ),
    row(
        "osd_client_watch_timeout",
        number(30),
        "seconds after which an OSD gives up a watcher that is silent",
    ),
    row("client_notify_timeout", number(10), "seconds that watchers have to answer a notification"),
    row("rados_osd_op_timeout", time_span(0), "time after which an OSD operation fails; 0: never"),
    row("rados_mon_op_timeout", time_span(0), "time after which a monitor operation fails; 0: never"),
    row("client_mount_timeout", time_span(300), "time that connecting to the cluster may take; 0: any"),
    row("log_file", text(""), "file the log is written to; empty: standard error"),
    row("run_dir", text("/var/run/ceph"), "directory of sockets and pid files"),
    row("admin_socket", text(""), "path of the socket that answers questions about the running client"),
];
