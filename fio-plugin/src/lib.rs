//! fio ioengine plugin: fio jobs drive RBD images through ringbd, with the job's own thread as a core of the engine.
//!
//! fio loads `libfio_ringbd.so` and calls [`get_ioengine`]; `abi` finds out which fio that is, `ops` holds the hooks,
//! `job` a running job, `engine_link` and `port` all that is known of the engine. See README.md for users.
//!
//! Rule of the crate: a byte offset of fio's is used only in `abi`, the engine is called only in `engine_link` and `port`.

mod abi;
mod engine_link;
mod job;
mod log;
mod ops;
mod options;
mod port;
mod registry;
mod settings;
mod target;

/// The entry point that fio looks up.
///
/// # Safety
/// `ops` points to memory for one pointer, as fio provides it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn get_ioengine(ops: *mut *mut u8) {
    // SAFETY: by the contract above.
    unsafe { *ops = ops::table() };
}
