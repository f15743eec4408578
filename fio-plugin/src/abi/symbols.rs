//! The functions of fio that the plugin calls, looked up in the running process.
//!
//! Looked up, not linked: the same `.so` then loads into every fio, and a fio that lacks one of them is told so in a
//! sentence instead of dying in the dynamic linker. All names are exported by every fio from 3.28 to 3.42.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::OnceLock;

use super::option::FioOption;
use super::view::{Thread, Timespec, Unit};

type Log = unsafe extern "C" fn(*const c_char, ...) -> isize;

/// fio's own functions.
pub(crate) struct Symbols {
    /// To standard error, and to the file of `--output`.
    pub(crate) log_err: Log,
    pub(crate) gettime: unsafe extern "C" fn(*mut Timespec, *mut c_void),
    /// Takes the submission latency of a unit whose issue time was set.
    pub(crate) io_u_queued: unsafe extern "C" fn(Thread, Unit),
    /// Counts a batch handed over.
    pub(crate) io_u_mark_submit: unsafe extern "C" fn(Thread, c_uint),
    pub(super) option_find: unsafe extern "C" fn(*const c_char) -> *const FioOption,
    pub(super) register_ioengine: unsafe extern "C" fn(*mut u8),
    pub(super) unregister_ioengine: unsafe extern "C" fn(*mut u8),
    /// For example `fio-3.33`.
    pub(crate) version: &'static str,
}

impl Symbols {
    /// fio's functions, or nothing in a process that is not a fio.
    pub(crate) fn of_process() -> Option<&'static Symbols> {
        static SYMBOLS: OnceLock<Option<Symbols>> = OnceLock::new();
        SYMBOLS.get_or_init(Symbols::look_up).as_ref()
    }

    fn look_up() -> Option<Symbols> {
        let version = address(c"fio_version_string")?;
        // SAFETY: the types are the declarations of these functions, the same in every release from 3.28 to 3.42;
        // `fio_version_string` is a constant C string in the program.
        unsafe {
            Some(Symbols {
                log_err: std::mem::transmute::<*mut c_void, Log>(address(c"log_err")?),
                gettime: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut Timespec, *mut c_void)>(
                    address(c"fio_gettime")?,
                ),
                io_u_queued: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(Thread, Unit)>(address(
                    c"io_u_queued",
                )?),
                io_u_mark_submit: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(Thread, c_uint)>(
                    address(c"io_u_mark_submit")?,
                ),
                option_find: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*const c_char) -> *const FioOption,
                >(address(c"fio_option_find")?),
                register_ioengine: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut u8)>(
                    address(c"register_ioengine")?,
                ),
                unregister_ioengine: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut u8)>(
                    address(c"unregister_ioengine")?,
                ),
                version: CStr::from_ptr(version.cast::<c_char>()).to_str().unwrap_or("fio"),
            })
        }
    }
}

fn address(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: `name` is a C string, and RTLD_DEFAULT is always a valid handle.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!found.is_null()).then_some(found)
}

/// A status of one of fio's hooks: 0 is success.
pub(crate) type Status = c_int;
