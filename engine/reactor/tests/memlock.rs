//! A limit on locked memory that is too small for the pool: the core says so and works. Alone in its file,
//! for the limit is the process's.

use ringbd_reactor::{Buf, CoreConfig, Durability, OpenOptions, Region, World};

const LIMIT: u64 = 1 << 20;

/// Takes CAP_IPC_LOCK, with which the limit would not count, from this thread.
fn drop_ipc_lock() {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    const VERSION_3: u32 = 0x2008_0522;
    const CAP_IPC_LOCK: u32 = 14;
    let mut header = Header { version: VERSION_3, pid: 0 };
    // Two words each of effective, permitted and inheritable capabilities.
    let mut words = [[0u32; 3]; 2];
    // SAFETY: capget writes the two triples that version 3 has; pid 0 is this thread.
    assert_eq!(unsafe { libc::syscall(libc::SYS_capget, &raw mut header, words.as_mut_ptr()) }, 0);
    for word in &mut words[0] {
        *word &= !(1 << CAP_IPC_LOCK);
    }
    // SAFETY: capset reads what capget wrote, less one capability.
    assert_eq!(unsafe { libc::syscall(libc::SYS_capset, &raw mut header, words.as_ptr()) }, 0);
}

#[test]
fn too_little_lockable_memory_costs_speed_only() {
    let limit = libc::rlimit { rlim_cur: LIMIT, rlim_max: LIMIT };
    // SAFETY: `limit` is a live rlimit.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) }, 0);
    drop_ipc_lock();
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let options = OpenOptions::new().read(true).write(true).create(true).direct(true);
    let file = World::real().open(&dir.path().join("file"), &options).unwrap();

    let mut region = Buf::zeroed(4 << 20);
    let mut core =
        World::real().lend_core(CoreConfig { pool_bytes: 8 << 20, ..CoreConfig::default() }).unwrap();
    // SAFETY: the core is dropped before the region, at the end of this test.
    let regions = [unsafe { Region::new(region.as_mut_ptr(), region.len()) }];
    assert_eq!(core.register_buffers(&regions), 0, "the pool had too little already");
    core.block_on(async {
        // Some of these lie in the registered part of the pool, some do not.
        let mut held = Vec::new();
        for block in 0..1024u64 {
            let mut buf = Buf::alloc(8192);
            buf.fill(block as u8);
            let (written, buf) = file.write_at(buf, block * 8192, Durability::Volatile).await;
            assert_eq!(written.unwrap(), 8192);
            let (read, buf) = file.read_at(buf, block * 8192).await;
            assert_eq!(read.unwrap(), 8192);
            assert!(buf.iter().all(|&byte| byte == block as u8));
            held.push(buf);
        }
    });
    drop(core);
    drop(region);
}
