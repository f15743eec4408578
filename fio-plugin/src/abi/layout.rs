//! Where fio keeps things, for each release from 3.28 to 3.42 on x86-64 and other LP64 machines.
//!
//! Pure tables: no pointer is followed here. The tests hold them against the facts of every release, so that a new
//! row cannot silently change an old one.

/// Byte offsets of the `struct thread_data` members that never moved.
pub(crate) mod thread_data {
    /// `flags`: fio's own bits below, the engine's flags above [`super::Release::engine_flag_shift`].
    pub(crate) const FLAGS: usize = 16;
    /// `o`, the `struct thread_options` that `fio_option::off1` counts from.
    pub(crate) const OPTIONS: usize = 24;
    /// Where `eo` was in a release. The first guess of a search, never trusted unverified.
    pub(crate) const ENGINE_OPTIONS_SEEN: [usize; 9] = [4208, 4216, 3280, 3304, 3520, 3528, 3560, 3584, 3616];
    /// `groupid` lies so far behind `eo` in every release. Jobs of one group run at the same time.
    pub(crate) const GROUP_BEHIND_ENGINE_OPTIONS: usize = 24;
    /// `eo` lies between these in any release that could be told apart; the search stays inside.
    pub(crate) const ENGINE_OPTIONS_RANGE: std::ops::Range<usize> = 2048..8192;
}

/// Byte offsets of the `struct fio_file` members that never moved.
pub(crate) mod fio_file {
    /// Index of the file in its job.
    pub(crate) const FILENO: usize = 36;
    /// Name, a C string.
    pub(crate) const FILE_NAME: usize = 40;
    /// Size of what the name stands for; the engine fills it in.
    pub(crate) const REAL_FILE_SIZE: usize = 48;
    /// First byte that the job uses.
    pub(crate) const FILE_OFFSET: usize = 56;
    /// How many bytes the job uses from there.
    pub(crate) const IO_SIZE: usize = 64;
}

/// Byte offsets of the `struct io_u` members that never moved.
pub(crate) mod io_u {
    /// `struct timespec` that latencies are counted from.
    pub(crate) const ISSUE_TIME: usize = 16;
    /// The file, a pointer.
    pub(crate) const FILE: usize = 32;
    /// What to do, see [`super::ddir`].
    pub(crate) const DDIR: usize = 44;
}

/// `enum fio_ddir`.
pub(crate) mod ddir {
    pub(crate) const READ: i32 = 0;
    pub(crate) const WRITE: i32 = 1;
    pub(crate) const TRIM: i32 = 2;
    pub(crate) const SYNC: i32 = 3;
    pub(crate) const DATASYNC: i32 = 4;
    pub(crate) const SYNC_FILE_RANGE: i32 = 5;
    /// Since 3.42. Earlier releases use the number for a delay that never reaches an engine.
    pub(crate) const SYNCFS: i32 = 6;
}

/// `enum fio_q_status`.
pub(crate) mod queue_status {
    pub(crate) const COMPLETED: i32 = 0;
    pub(crate) const QUEUED: i32 = 1;
    pub(crate) const BUSY: i32 = 2;
}

/// `enum fio_ioengine_flags`, the bits that never moved.
pub(crate) mod flag {
    /// Buffers must be page aligned, as with `direct=1`.
    pub(crate) const RAWIO: u32 = 1 << 1;
    /// No local file stands behind a name.
    pub(crate) const DISKLESSIO: u32 = 1 << 2;
    /// fio must not grow a file to the job's size.
    pub(crate) const NOEXTEND: u32 = 1 << 3;
    /// No disk statistics.
    pub(crate) const NODISKUTIL: u32 = 1 << 4;
}

/// Byte offsets of `struct io_u` members that moved. The three layouts tell themselves apart by `verify_list`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnitLayout {
    pub(crate) verify_list: usize,
    pub(crate) offset: usize,
    pub(crate) buf: usize,
    pub(crate) xfer_buf: usize,
    pub(crate) xfer_buflen: usize,
    pub(crate) resid: usize,
    pub(crate) error: usize,
}

/// All known layouts of `struct io_u`: 3.30 to 3.40, from 3.41, 3.28 and 3.29. The most common is first.
pub(crate) const UNIT_LAYOUTS: [UnitLayout; 3] = [
    UnitLayout {
        verify_list: 160,
        offset: 72,
        buf: 88,
        xfer_buf: 104,
        xfer_buflen: 112,
        resid: 136,
        error: 144,
    },
    UnitLayout {
        verify_list: 176,
        offset: 80,
        buf: 96,
        xfer_buf: 112,
        xfer_buflen: 120,
        resid: 144,
        error: 152,
    },
    UnitLayout {
        verify_list: 152,
        offset: 64,
        buf: 80,
        xfer_buf: 96,
        xfer_buflen: 104,
        resid: 128,
        error: 136,
    },
];

/// Byte offsets of the `struct ioengine_ops` members that never moved.
pub(crate) mod ops {
    pub(crate) const NAME: usize = 16;
    pub(crate) const VERSION: usize = 24;
    pub(crate) const FLAGS: usize = 28;
    pub(crate) const INIT: usize = 48;
    pub(crate) const POST_INIT: usize = 56;
    pub(crate) const QUEUE: usize = 72;
    pub(crate) const COMMIT: usize = 80;
    pub(crate) const GETEVENTS: usize = 88;
    pub(crate) const EVENT: usize = 96;
    /// No release's `struct ioengine_ops` is larger; the rest stays zero.
    pub(crate) const SIZE_MAX: usize = 512;
}

/// What a plugin must know of a fio before the first job runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Release {
    /// What fio compares `ioengine_ops::version` with. 0 makes every fio refuse the plugin.
    pub(crate) ioops_version: i32,
    /// How far the members of `struct ioengine_ops` behind `cancel` lie from their place in 3.28: 3.41 removed it.
    ops_tail_shift: usize,
    /// Offset of `option_struct_size`.
    pub(crate) option_struct_size: usize,
    /// Offset of `options`.
    pub(crate) options: usize,
    /// `FIO_ASYNCIO_SETS_ISSUE_TIME`, 0 where it does not exist or its bit is not certain.
    pub(crate) sets_issue_time: u32,
    /// `FIO_NO_OFFLOAD`.
    pub(crate) no_offload: u32,
    /// `TD_ENG_FLAG_SHIFT`, where `thread_data::flags` carries the engine's flags.
    pub(crate) engine_flag_shift: u32,
}

impl Release {
    /// The release with this `FIO_IOOPS_VERSION` and `fio_version_string`, e.g. 31 and `fio-3.33`.
    ///
    /// The number fixes the layout of the operations. The string is needed because 3.42 moved the flag bits from 15
    /// upwards by one without a new number; between the two, a development build gets neither flag at risk.
    pub(crate) fn new(ioops_version: i32, version_string: &str) -> Option<Release> {
        let minor = minor_version(version_string);
        let (ops_tail_shift, option_struct_size, options) = match ioops_version {
            30 | 31 => (0, 248, 256),
            32 => (0, 264, 272),
            33..=36 => (0, 272, 280),
            37 | 38 => (0, 280, 288),
            39 => (8, 272, 280),
            _ => return None,
        };
        let shifted = ioops_version >= 39 && minor >= Some(42);
        let before_shift = ioops_version < 39 || version_string == "fio-3.41";
        let has_issue_time = ioops_version >= 32 || (ioops_version == 31 && minor >= Some(31));
        Some(Release {
            ioops_version,
            ops_tail_shift,
            option_struct_size,
            options,
            sets_issue_time: match (has_issue_time, before_shift, shifted) {
                (true, true, _) => 1 << 16,
                (true, false, true) => 1 << 17,
                _ => 0,
            },
            no_offload: if shifted { 1 << 16 } else { 1 << 15 },
            engine_flag_shift: if ioops_version == 30 { 17 } else { 18 },
        })
    }

    /// Operations that no fio accepts, for a fio that is not known: it refuses them with a message of its own.
    pub(crate) const fn refused() -> Release {
        Release {
            ioops_version: 0,
            ops_tail_shift: 0,
            option_struct_size: 248,
            options: 256,
            sets_issue_time: 0,
            no_offload: 0,
            engine_flag_shift: 18,
        }
    }

    pub(crate) const fn cleanup(&self) -> usize {
        120 - self.ops_tail_shift
    }
    pub(crate) const fn open_file(&self) -> usize {
        128 - self.ops_tail_shift
    }
    pub(crate) const fn close_file(&self) -> usize {
        136 - self.ops_tail_shift
    }
    pub(crate) const fn invalidate(&self) -> usize {
        144 - self.ops_tail_shift
    }
    pub(crate) const fn unlink_file(&self) -> usize {
        152 - self.ops_tail_shift
    }
    pub(crate) const fn file_size(&self) -> usize {
        160 - self.ops_tail_shift
    }
    pub(crate) const fn io_u_init(&self) -> usize {
        200 - self.ops_tail_shift
    }
    pub(crate) const fn io_u_free(&self) -> usize {
        208 - self.ops_tail_shift
    }
}

/// `33` of `fio-3.33` and of `fio-3.33-5-gabcdef`.
fn minor_version(version_string: &str) -> Option<u32> {
    let rest = version_string.strip_prefix("fio-3.")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One release's facts: version string, FIO_IOOPS_VERSION, then `cleanup`, `open_file`, `close_file`,
    /// `invalidate`, `unlink_file`, `get_file_size`, `io_u_init`, `io_u_free`, `option_struct_size`, `options`.
    type OpsFacts = (&'static str, i32, [usize; 10]);

    const EARLY: [usize; 8] = [120, 128, 136, 144, 152, 160, 200, 208];
    const LATE: [usize; 8] = [112, 120, 128, 136, 144, 152, 192, 200];

    const fn row(tail: [usize; 8], size: usize, options: usize) -> [usize; 10] {
        [tail[0], tail[1], tail[2], tail[3], tail[4], tail[5], tail[6], tail[7], size, options]
    }

    const OPS: [OpsFacts; 15] = [
        ("fio-3.28", 30, row(EARLY, 248, 256)),
        ("fio-3.29", 30, row(EARLY, 248, 256)),
        ("fio-3.30", 31, row(EARLY, 248, 256)),
        ("fio-3.31", 31, row(EARLY, 248, 256)),
        ("fio-3.32", 31, row(EARLY, 248, 256)),
        ("fio-3.33", 31, row(EARLY, 248, 256)),
        ("fio-3.34", 32, row(EARLY, 264, 272)),
        ("fio-3.35", 32, row(EARLY, 264, 272)),
        ("fio-3.36", 33, row(EARLY, 272, 280)),
        ("fio-3.37", 33, row(EARLY, 272, 280)),
        ("fio-3.38", 36, row(EARLY, 272, 280)),
        ("fio-3.39", 36, row(EARLY, 272, 280)),
        ("fio-3.40", 37, row(EARLY, 280, 288)),
        ("fio-3.41", 39, row(LATE, 272, 280)),
        ("fio-3.42", 39, row(LATE, 272, 280)),
    ];

    #[test]
    fn operations_lie_where_each_release_has_them() {
        for (name, version, facts) in OPS {
            let release = Release::new(version, name).expect(name);
            let ours = [
                release.cleanup(),
                release.open_file(),
                release.close_file(),
                release.invalidate(),
                release.unlink_file(),
                release.file_size(),
                release.io_u_init(),
                release.io_u_free(),
                release.option_struct_size,
                release.options,
            ];
            assert_eq!(ours, facts, "{name}");
            assert!(release.options + 8 <= ops::SIZE_MAX, "{name}");
        }
    }

    #[test]
    fn flag_bits_follow_each_release() {
        // FIO_ASYNCIO_SETS_ISSUE_TIME, FIO_NO_OFFLOAD, TD_ENG_FLAG_SHIFT.
        let facts = |name: &str| match name {
            "fio-3.28" | "fio-3.29" => (0, 32768, 17),
            "fio-3.30" => (0, 32768, 18),
            "fio-3.42" => (131_072, 65536, 18),
            _ => (65536, 32768, 18),
        };
        for (name, version, _) in OPS {
            let r = Release::new(version, name).expect(name);
            assert_eq!((r.sets_issue_time, r.no_offload, r.engine_flag_shift), facts(name), "{name}");
        }
    }

    #[test]
    fn development_builds_take_no_risk() {
        // Between 3.41 and 3.42 the bits moved; which commit is not visible, so the flag stays off.
        assert_eq!(Release::new(39, "fio-3.41-70-g0123abc").map(|r| r.sets_issue_time), Some(0));
        assert_eq!(Release::new(39, "fio-3.42-9-g0123abc").map(|r| r.sets_issue_time), Some(1 << 17));
        assert_eq!(Release::new(31, "fio-3.30-12-g0123abc").map(|r| r.sets_issue_time), Some(0));
        assert_eq!(Release::new(36, "fio-3.39-1-g0123abc").map(|r| r.sets_issue_time), Some(1 << 16));
        assert_eq!(Release::new(39, "vendor build").map(|r| r.sets_issue_time), Some(0));
    }

    #[test]
    fn unknown_versions_are_refused() {
        assert_eq!(Release::new(29, "fio-3.27"), None);
        assert_eq!(Release::new(40, "fio-3.43"), None);
        assert_eq!(Release::refused().ioops_version, 0);
    }

    #[test]
    fn units_are_laid_out_as_in_each_generation() {
        // Releases, then verify_list, offset, buf, xfer_buf, xfer_buflen, resid, error.
        let facts = [
            ("3.30 to 3.40", [160, 72, 88, 104, 112, 136, 144]),
            ("from 3.41", [176, 80, 96, 112, 120, 144, 152]),
            ("3.28 and 3.29", [152, 64, 80, 96, 104, 128, 136]),
        ];
        for (layout, (releases, fact)) in UNIT_LAYOUTS.iter().zip(facts) {
            let UnitLayout { verify_list, offset, buf, xfer_buf, xfer_buflen, resid, error } = *layout;
            assert_eq!([verify_list, offset, buf, xfer_buf, xfer_buflen, resid, error], fact, "{releases}");
        }
    }

    #[test]
    fn the_group_follows_the_engine_options() {
        // `groupid` in the releases of ENGINE_OPTIONS_SEEN.
        let groups = [4232, 4240, 3304, 3328, 3544, 3552, 3584, 3608, 3640];
        for (options, group) in thread_data::ENGINE_OPTIONS_SEEN.into_iter().zip(groups) {
            assert_eq!(options + thread_data::GROUP_BEHIND_ENGINE_OPTIONS, group);
        }
    }

    #[test]
    fn engine_options_of_every_release_are_inside_the_search() {
        for offset in thread_data::ENGINE_OPTIONS_SEEN {
            assert!(thread_data::ENGINE_OPTIONS_RANGE.contains(&offset), "{offset}");
            assert_eq!(offset % 8, 0);
        }
    }
}
