//! `struct fio_option` and `struct value_pair`: how an engine describes its job options to fio.
//!
//! Both have kept their layout since 3.28. fio writes into the table (`inv_opt`) and keeps pointers to it, so a table
//! lives for the rest of the process and is writable.

use std::ffi::{c_char, c_int, c_uint, c_void};

/// `PARSE_MAX_VP`: how many words one option can offer.
pub(crate) const WORDS_MAX: usize = 32;

/// One word that an option accepts.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct ValuePair {
    pub(crate) ival: *const c_char,
    pub(crate) oval: u64,
    pub(crate) help: *const c_char,
    pub(crate) orval: c_int,
    pub(crate) cb: *mut c_void,
}

/// One job option.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct FioOption {
    pub(crate) name: *const c_char,
    pub(crate) lname: *const c_char,
    pub(crate) alias: *const c_char,
    pub(crate) kind: c_int,
    /// Where the value goes in the engine's options (`off1` to `off6`). 0 means nowhere.
    pub(crate) offsets: [c_uint; 6],
    pub(crate) maxval: u64,
    pub(crate) minval: c_int,
    pub(crate) maxfp: f64,
    pub(crate) minfp: f64,
    pub(crate) interval: c_uint,
    pub(crate) maxlen: c_uint,
    pub(crate) neg: c_int,
    pub(crate) prio: c_int,
    /// Called with the engine's options and the value after it was stored.
    pub(crate) cb: *mut c_void,
    pub(crate) help: *const c_char,
    pub(crate) def: *const c_char,
    pub(crate) posval: [ValuePair; WORDS_MAX],
    pub(crate) parent: *const c_char,
    pub(crate) hide: c_int,
    pub(crate) hide_on_set: c_int,
    pub(crate) inverse: *const c_char,
    pub(crate) inv_opt: *mut FioOption,
    pub(crate) verify: *mut c_void,
    pub(crate) prof_name: *const c_char,
    pub(crate) prof_opts: *mut c_void,
    pub(crate) category: u64,
    pub(crate) group: u64,
    pub(crate) gui_data: *mut c_void,
    pub(crate) is_seconds: c_int,
    pub(crate) is_time: c_int,
    pub(crate) no_warn_def: c_int,
    pub(crate) pow2: c_int,
    pub(crate) no_free: c_int,
}

const _: () = assert!(size_of::<ValuePair>() == 40);
const _: () = assert!(size_of::<FioOption>() == 1512);

impl FioOption {
    /// The end of a table, and what every entry starts from.
    pub(crate) const fn zeroed() -> FioOption {
        // SAFETY: every member is an integer, a float or a raw pointer, for which all bits zero is a value.
        unsafe { std::mem::zeroed() }
    }
}

/// `FIO_OPT_STR`: one of the words in `posval`.
pub(crate) const KIND_WORD: c_int = 1;
/// `FIO_OPT_STR_STORE`: any string; fio allocates it.
pub(crate) const KIND_STRING: c_int = 6;
/// `FIO_OPT_BOOL`.
pub(crate) const KIND_BOOL: c_int = 10;
/// `FIO_OPT_C_ENGINE`.
pub(crate) const CATEGORY_ENGINE: u64 = 1 << 6;
/// A group for fio's graphical front end only. Its bit moved between releases, and nothing else looks at it.
pub(crate) const GROUP_NONE: u64 = 1 << 39;

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    #[test]
    fn members_lie_where_fio_has_them() {
        let facts = [
            (offset_of!(FioOption, name), 0),
            (offset_of!(FioOption, lname), 8),
            (offset_of!(FioOption, alias), 16),
            (offset_of!(FioOption, kind), 24),
            (offset_of!(FioOption, offsets), 28),
            (offset_of!(FioOption, maxval), 56),
            (offset_of!(FioOption, minval), 64),
            (offset_of!(FioOption, maxfp), 72),
            (offset_of!(FioOption, minfp), 80),
            (offset_of!(FioOption, interval), 88),
            (offset_of!(FioOption, maxlen), 92),
            (offset_of!(FioOption, neg), 96),
            (offset_of!(FioOption, prio), 100),
            (offset_of!(FioOption, cb), 104),
            (offset_of!(FioOption, help), 112),
            (offset_of!(FioOption, def), 120),
            (offset_of!(FioOption, posval), 128),
            (offset_of!(FioOption, parent), 1408),
            (offset_of!(FioOption, hide), 1416),
            (offset_of!(FioOption, hide_on_set), 1420),
            (offset_of!(FioOption, inverse), 1424),
            (offset_of!(FioOption, inv_opt), 1432),
            (offset_of!(FioOption, verify), 1440),
            (offset_of!(FioOption, prof_name), 1448),
            (offset_of!(FioOption, prof_opts), 1456),
            (offset_of!(FioOption, category), 1464),
            (offset_of!(FioOption, group), 1472),
            (offset_of!(FioOption, gui_data), 1480),
            (offset_of!(FioOption, is_seconds), 1488),
            (offset_of!(FioOption, is_time), 1492),
            (offset_of!(FioOption, no_warn_def), 1496),
            (offset_of!(FioOption, pow2), 1500),
            (offset_of!(FioOption, no_free), 1504),
            (offset_of!(ValuePair, ival), 0),
            (offset_of!(ValuePair, oval), 8),
            (offset_of!(ValuePair, help), 16),
            (offset_of!(ValuePair, orval), 24),
            (offset_of!(ValuePair, cb), 32),
        ];
        for (index, (ours, fact)) in facts.into_iter().enumerate() {
            assert_eq!(ours, fact, "member {index}");
        }
    }
}
