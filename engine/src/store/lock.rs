//! The store's lock: one opener at a time, and its name for whoever comes second.
//!
//! The kernel holds it (`flock`), so it ends with the process however that dies. The text in the file is only for people.

use std::path::Path;

use ringbd_reactor::{OpenOptions, SyncFile, World};

use super::error::{Result, StoreError};

/// The lock file's name in the store's directory.
pub(super) const LOCK_FILE: &str = "lock";

/// More than any pid and process name take.
const OWNER_BYTES_MAX: usize = 256;

/// Held as long as the store is open.
pub(super) struct StoreLock {
    _file: SyncFile,
}

impl StoreLock {
    /// Takes the lock, or says who has it. Readers need it too: the database has one opener.
    pub(super) fn take(world: &World, dir: &Path) -> Result<Self> {
        let path = dir.join(LOCK_FILE);
        let io = |operation| {
            let path = path.clone();
            move |e| StoreError::io(operation, path, e)
        };
        let options = OpenOptions::new().read(true).write(true).create(true);
        let file = world.open_sync(&path, &options).map_err(io("open"))?;
        if !file.try_lock().map_err(io("lock"))? {
            return Err(StoreError::Locked { dir: dir.to_owned(), owner: owner(&file) });
        }
        file.set_len(0).map_err(io("write"))?;
        file.write_all_at(this_process(world).as_bytes(), 0).map_err(io("write"))?;
        Ok(Self { _file: file })
    }
}

/// What the owner wrote about itself, made safe to print.
fn owner(file: &SyncFile) -> String {
    let mut text = [0; OWNER_BYTES_MAX];
    let read = file.read_at(&mut text, 0).unwrap_or(0);
    let line = String::from_utf8_lossy(&text[..read]);
    let line: String = line.lines().next().unwrap_or("").chars().filter(|c| !c.is_control()).collect();
    if line.is_empty() { "that has not written its pid yet".into() } else { line }
}

/// `pid (name)`. Nothing of the real process enters a simulated world: its disk must not differ from run to run.
fn this_process(world: &World) -> String {
    if world.is_simulated() {
        return "1 (simulated)\n".into();
    }
    let name = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&name).file_name().unwrap_or_default().to_string_lossy().into_owned();
    format!("{} ({name})\n", std::process::id())
}
