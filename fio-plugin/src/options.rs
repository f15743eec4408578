//! The job options of the engine: what fio parses them into, and the table that tells fio about them.
//!
//! The names are those of fio's own `rbd` engine where it has one, so that a job file changes only its `ioengine=`.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::offset_of;

use crate::abi::detect::STAMP;
use crate::abi::option::{
    CATEGORY_ENGINE, FioOption, GROUP_NONE, KIND_BOOL, KIND_STRING, KIND_WORD, ValuePair, WORDS_MAX,
};
use crate::abi::symbols::Status;
use crate::job::{Job, PlannedFiles};
use crate::target::{Cache, WaitMode};

/// What fio allocates for each job, fills from the table, copies for clones (`numjobs`), and frees.
///
/// fio starts from zeroed memory, and owns the strings. The pointers at the end are ours: null in what fio copies,
/// because fio copies only while it reads job files, before any hook has run.
#[repr(C)]
pub(crate) struct JobOptions {
    /// fio writes here while it parses.
    reserved: *mut c_void,
    /// How the options of a job are found; [`stamp`] writes it.
    stamp: [u32; 2],
    clustername: *mut c_char,
    rbdname: *mut c_char,
    pool: *mut c_char,
    clientname: *mut c_char,
    conf: *mut c_char,
    namespace: *mut c_char,
    snap: *mut c_char,
    store: *mut c_char,
    cores: *mut c_char,
    busy_poll: c_int,
    cache: c_int,
    wait_mode: c_int,
    /// The files that fio asked the size of before `init`.
    pub(crate) planned: *mut PlannedFiles,
    /// The running job, from `init` to `cleanup`.
    pub(crate) job: *mut Job,
}

const _: () =
    assert!(offset_of!(JobOptions, stamp) == 8, "the search looks for the stamp behind the first word");

impl JobOptions {
    pub(crate) fn clustername(&self) -> Option<&CStr> {
        self.string(self.clustername)
    }
    pub(crate) fn rbdname(&self) -> Option<&CStr> {
        self.string(self.rbdname)
    }
    pub(crate) fn pool(&self) -> Option<&CStr> {
        self.string(self.pool)
    }
    pub(crate) fn clientname(&self) -> Option<&CStr> {
        self.string(self.clientname)
    }
    pub(crate) fn conf(&self) -> Option<&CStr> {
        self.string(self.conf)
    }
    pub(crate) fn namespace(&self) -> Option<&CStr> {
        self.string(self.namespace)
    }
    pub(crate) fn snap(&self) -> Option<&CStr> {
        self.string(self.snap)
    }
    pub(crate) fn store(&self) -> Option<&CStr> {
        self.string(self.store)
    }
    pub(crate) fn cores(&self) -> Option<&CStr> {
        self.string(self.cores)
    }

    pub(crate) fn cache(&self) -> Option<Cache> {
        Cache::ALL.into_iter().find(|cache| *cache as c_int == self.cache)
    }

    pub(crate) fn wait_mode(&self) -> WaitMode {
        let asked = WaitMode::ALL.into_iter().find(|mode| *mode as c_int == self.wait_mode);
        if self.busy_poll != 0 { WaitMode::Poll } else { asked.unwrap_or(WaitMode::Adaptive) }
    }

    fn string(&self, value: *mut c_char) -> Option<&CStr> {
        // SAFETY: fio stores a C string of its own here or leaves null, and frees it with the options.
        (!value.is_null()).then(|| unsafe { CStr::from_ptr(value) })
    }
}

/// Marks options as ours. fio calls it whenever it fills in `wait_mode`, which has a default, hence for every job.
///
/// # Safety
/// fio calls it with the options that it allocated by [`JobOptions`]' size.
unsafe extern "C" fn stamp(options: *mut c_void, _value: *const c_char) -> Status {
    // SAFETY: by the contract above, `options` points to a `JobOptions`.
    unsafe { (*options.cast::<JobOptions>()).stamp = STAMP };
    0
}

/// The table, ended by a nameless entry. It lives as long as the process, and fio may write into it.
pub(crate) fn table() -> &'static mut [FioOption] {
    let mut wait_mode = word(
        c"wait_mode",
        c"Wait mode",
        c"What the job's thread does when no completion is ready",
        offset_of!(JobOptions, wait_mode),
        &WaitMode::ALL.map(|mode| (mode.word(), mode as u64, mode.help())),
    );
    wait_mode.def = WaitMode::Adaptive.word().as_ptr();
    wait_mode.cb = stamp as unsafe extern "C" fn(*mut c_void, *const c_char) -> Status as *mut c_void;
    let engine = [
        string(
            c"store",
            c"Embedded store",
            c"Directory of the embedded store; default: the environment variable RINGBD_STORE",
            offset_of!(JobOptions, store),
        ),
        word(
            c"cache",
            c"Cache mode",
            c"Client cache, in QEMU's words; default: what the configuration says",
            offset_of!(JobOptions, cache),
            &Cache::ALL.map(|cache| (cache.word(), cache as u64, cache.help())),
        ),
        string(
            c"cores",
            c"Cores of the engine",
            c"Do the work on threads of the engine's own: their number, or the CPUs to pin them to, such as 0,2-3; \
              default: on the jobs' threads",
            offset_of!(JobOptions, cores),
        ),
        wait_mode,
        boolean(
            c"busy_poll",
            c"Busy poll",
            c"Never sleep while I/O is in flight, the same as wait_mode=poll",
            offset_of!(JobOptions, busy_poll),
        ),
        string(
            c"conf",
            c"Configuration file",
            c"Ceph configuration file; default: /etc/ceph/$cluster.conf where it exists",
            offset_of!(JobOptions, conf),
        ),
        string(
            c"clustername",
            c"Cluster name",
            c"Name of the Ceph cluster; default: ceph",
            offset_of!(JobOptions, clustername),
        ),
        string(
            c"clientname",
            c"Client name",
            c"Ceph user, with or without the client. prefix; default: admin",
            offset_of!(JobOptions, clientname),
        ),
    ];
    let end = FioOption::zeroed();
    image_options().into_iter().chain(engine).chain([end]).collect::<Vec<_>>().leak()
}

/// What names the image.
fn image_options() -> [FioOption; 4] {
    [
        string(
            c"rbdname",
            c"RBD image",
            c"Image: name, pool/name, or a whole rbd:pool/name[@snap][:option=value...]; default: the job's filename",
            offset_of!(JobOptions, rbdname),
        ),
        string(c"pool", c"RBD pool", c"Pool that holds the image", offset_of!(JobOptions, pool)),
        string(
            c"namespace",
            c"RBD namespace",
            c"Namespace inside the pool",
            offset_of!(JobOptions, namespace),
        ),
        string(
            c"snap",
            c"RBD snapshot",
            c"Open this snapshot of the image, read-only",
            offset_of!(JobOptions, snap),
        ),
    ]
}

fn option(
    name: &'static CStr,
    lname: &'static CStr,
    help: &'static CStr,
    kind: c_int,
    offset: usize,
) -> FioOption {
    let mut option = FioOption::zeroed();
    option.name = name.as_ptr();
    option.lname = lname.as_ptr();
    option.help = help.as_ptr();
    option.kind = kind;
    option.offsets[0] = u32::try_from(offset).expect("the options are a few hundred bytes");
    option.category = CATEGORY_ENGINE;
    option.group = GROUP_NONE;
    option
}

fn string(name: &'static CStr, lname: &'static CStr, help: &'static CStr, offset: usize) -> FioOption {
    option(name, lname, help, KIND_STRING, offset)
}

fn boolean(name: &'static CStr, lname: &'static CStr, help: &'static CStr, offset: usize) -> FioOption {
    let mut option = option(name, lname, help, KIND_BOOL, offset);
    option.def = c"0".as_ptr();
    option
}

fn word(
    name: &'static CStr,
    lname: &'static CStr,
    help: &'static CStr,
    offset: usize,
    words: &[(&'static CStr, u64, &'static CStr)],
) -> FioOption {
    assert!(words.len() <= WORDS_MAX);
    let mut option = option(name, lname, help, KIND_WORD, offset);
    for (slot, (word, value, help)) in option.posval.iter_mut().zip(words) {
        *slot = ValuePair { ival: word.as_ptr(), oval: *value, help: help.as_ptr(), ..*slot };
    }
    option
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_option_has_a_place_of_its_own_and_words_to_read() {
        let table = table();
        let (end, options) = table.split_last().expect("a table");
        assert!(end.name.is_null());
        let mut places = HashSet::new();
        for option in options {
            // SAFETY: the table is made of C string literals.
            let (name, help) = unsafe { (CStr::from_ptr(option.name), CStr::from_ptr(option.help)) };
            let place = option.offsets[0] as usize;
            assert!(
                place > offset_of!(JobOptions, stamp) && place < offset_of!(JobOptions, planned),
                "{name:?}"
            );
            assert!(places.insert(place), "{name:?}");
            assert!(!option.lname.is_null() && !help.is_empty(), "{name:?}");
            assert_eq!(option.category, CATEGORY_ENGINE, "{name:?}");
        }
    }

    #[test]
    fn the_names_of_fios_own_engine_are_kept() {
        let names: Vec<&CStr> = table()
            .iter()
            .take_while(|option| !option.name.is_null())
            // SAFETY: the table is made of C string literals.
            .map(|option| unsafe { CStr::from_ptr(option.name) })
            .collect();
        for name in [c"clustername", c"rbdname", c"pool", c"clientname", c"busy_poll"] {
            assert!(names.contains(&name), "{name:?}");
        }
    }

    #[test]
    fn no_word_is_stored_as_zero_which_means_not_given() {
        for option in table().iter().filter(|option| option.kind == KIND_WORD) {
            for pair in option.posval.iter().take_while(|pair| !pair.ival.is_null()) {
                assert_ne!(pair.oval, 0);
            }
        }
    }

    #[test]
    fn filling_the_default_stamps_the_options() {
        // SAFETY: integers and raw pointers may all be zero, which is how fio starts too.
        let mut options: JobOptions = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is to a `JobOptions`.
        let status = unsafe { stamp((&raw mut options).cast(), c"adaptive".as_ptr()) };
        assert_eq!((status, options.stamp), (0, STAMP));
        assert_eq!(options.wait_mode(), WaitMode::Adaptive);
        options.busy_poll = 1;
        assert_eq!(options.wait_mode(), WaitMode::Poll);
        assert_eq!(options.cache(), None);
        options.cache = Cache::Unsafe as c_int;
        assert_eq!(options.cache(), Some(Cache::Unsafe));
    }
}
