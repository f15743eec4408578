//! The cache that runs: the table of modes, the rules between options, and what is said of it.

use proptest::prelude::*;

use super::*;

/// librbd's defaults, edited.
fn resolve(edit: impl FnOnce(&mut CacheOptions)) -> CacheSettings {
    let mut options = CacheOptions {
        enabled: (true, Origin::Default),
        policy: ("writearound".to_owned(), Origin::Default),
        writethrough_until_flush: true,
        size_bytes: (32 << 20, Origin::Default),
        max_dirty_bytes: (24 << 20, Origin::Default),
        target_dirty_bytes: (16 << 20, Origin::Default),
        max_dirty_age: Duration::from_secs(1),
        max_dirty_object: 0,
        block_writes_upfront: false,
        readahead: Readahead { trigger_requests: 10, max_bytes: 512 << 10, disable_after_bytes: 50 << 20 },
        qemu: None,
    };
    edit(&mut options);
    CacheSettings::resolve(&options)
}

/// As if nobody but the cache mode said anything.
fn of_mode(mode: QemuCache) -> CacheSettings {
    resolve(|options| {
        options.qemu = Some(mode);
        for (key, value) in mode.options() {
            let origin = Origin::Qemu(mode);
            match *key {
                "rbd_cache" => options.enabled = (*value == "true", origin),
                "rbd_cache_policy" => options.policy = ((*value).to_owned(), origin),
                "rbd_cache_max_dirty" => options.max_dirty_bytes = (value.parse().unwrap(), origin),
                "rbd_cache_writethrough_until_flush" => options.writethrough_until_flush = *value == "true",
                other => panic!("{other}"),
            }
        }
    })
}

#[test]
fn each_cache_mode_does_what_its_word_means() {
    for (mode, line) in [
        (QemuCache::None, "none (rbd_cache from cache=none)"),
        (QemuCache::Directsync, "none (rbd_cache from cache=directsync; flush after every write)"),
        (
            QemuCache::Writethrough,
            "writethrough (rbd_cache_max_dirty from cache=writethrough; flush after every write)",
        ),
        (
            QemuCache::Writeback,
            "writeback (rbd_cache_policy from cache=writeback; writethrough until first flush)",
        ),
        (
            QemuCache::Writearound,
            "writearound (rbd_cache_policy from cache=writearound; writethrough until first flush)",
        ),
        (QemuCache::Unsafe, "writeback (rbd_cache_policy from cache=unsafe; flushes ignored)"),
    ] {
        assert_eq!(of_mode(mode).to_string(), line);
        assert_eq!(mode.to_string().parse(), Ok(mode));
    }
}

#[test]
fn a_wrong_cache_mode_names_the_near_one_and_all() {
    let message = "writeback,".parse::<QemuCache>().unwrap_err().to_string();
    assert!(message.contains("did you mean writeback?") && message.contains("directsync"), "{message}");
}

#[test]
fn no_dirty_data_is_writethrough_whatever_the_policy() {
    for policy in ["writeback", "writearound", "writethrough"] {
        let settings = resolve(|options| {
            options.policy.0 = policy.to_owned();
            options.max_dirty_bytes = (0, Origin::ImageString);
        });
        assert_eq!(settings.to_string(), "writethrough (rbd_cache_max_dirty from the image string)");
        assert!(!settings.writethrough_until_flush && settings.readahead.is_enabled());
    }
    let no_room = resolve(|options| options.size_bytes = (0, Origin::CephArgs));
    assert_eq!(no_room.to_string(), "writethrough (rbd_cache_size from CEPH_ARGS)");
}

#[test]
fn a_cache_that_is_off_holds_nothing() {
    let settings = resolve(|options| {
        options.enabled.0 = false;
        options.max_dirty_bytes = (64 << 20, Origin::ImageString);
    });
    assert_eq!((settings.size_bytes, settings.max_dirty_bytes, settings.target_dirty_bytes), (0, 0, 0));
    assert!(!settings.readahead.is_enabled());
    assert_eq!(settings.notes, Vec::<String>::new());
}

#[test]
fn sizes_come_down_to_the_smaller_and_a_note_says_so() {
    let settings = resolve(|options| {
        options.policy.0 = "writeback".to_owned();
        options.max_dirty_bytes = (128 << 20, Origin::ImageString);
        options.target_dirty_bytes = (64 << 20, Origin::CephArgs);
    });
    assert_eq!((settings.max_dirty_bytes, settings.target_dirty_bytes), (32 << 20, 32 << 20));
    assert_eq!(
        settings.notes,
        [
            "rbd_cache_max_dirty = 128 MiB (the image string) comes down to rbd_cache_size = 32 MiB",
            "rbd_cache_target_dirty = 64 MiB (CEPH_ARGS) comes down to rbd_cache_max_dirty = 32 MiB",
        ]
    );
    let small = resolve(|options| options.size_bytes = (1 << 20, Origin::ImageString));
    assert_eq!((small.max_dirty_bytes, small.target_dirty_bytes), (1 << 20, 1 << 20));
    assert_eq!(small.notes, Vec::<String>::new(), "defaults come down quietly");
}

proptest! {
    #[test]
    fn the_relations_hold_for_all_options(
        enabled: bool,
        policy in prop_oneof![Just("writeback"), Just("writearound"), Just("writethrough")],
        (until_flush, upfront) in any::<(bool, bool)>(),
        sizes in proptest::array::uniform3(prop_oneof![Just(0u64), 0..100u64, any::<u64>()]),
        mode in proptest::option::of(proptest::sample::select(QemuCache::ALL.to_vec())),
    ) {
        let settings = resolve(|options| {
            options.enabled.0 = enabled;
            options.policy.0 = policy.to_owned();
            options.writethrough_until_flush = until_flush;
            options.block_writes_upfront = upfront;
            options.size_bytes.0 = sizes[0];
            options.max_dirty_bytes.0 = sizes[1];
            options.target_dirty_bytes.0 = sizes[2];
            options.qemu = mode;
        });
        settings.check();
        prop_assert!(settings.to_string().starts_with(settings.mode.name()));
    }
}
