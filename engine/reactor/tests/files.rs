//! Files of the real world, on a disk that takes O_DIRECT.

use ringbd_reactor::{
    Buf, CoreConfig, DirectIo, Durability, File, LentCore, OpenOptions, Region, World, spawn,
};
use std::path::Path;
use tempfile::TempDir;

fn core(pool_bytes: usize) -> LentCore {
    World::real().lend_core(CoreConfig { pool_bytes, ..CoreConfig::default() }).expect("io_uring works here")
}

fn scratch() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the target folder is writable")
}

fn options() -> OpenOptions {
    OpenOptions::new().read(true).write(true).create(true)
}

fn direct(dir: &Path) -> File {
    World::real().open(&dir.join("file"), &options().direct(true)).expect("the folder is writable")
}

fn filled(len: usize, byte: u8) -> Buf {
    let mut buf = Buf::alloc(len);
    buf.fill(byte);
    buf
}

#[test]
fn what_was_written_is_read_back() {
    for pool_bytes in [0, 4 << 20] {
        let dir = scratch();
        let file = direct(dir.path());
        core(pool_bytes).block_on(async {
            file.allocate(0, 1 << 20).await.unwrap();
            assert_eq!(file.len().unwrap(), 1 << 20);
            for durability in [Durability::Volatile, Durability::Durable] {
                let (written, buf) = file.write_at(filled(8192, 7), 4096, durability).await;
                assert_eq!((written.unwrap(), buf.len()), (8192, 8192));
            }
            let (read, buf) = file.read_at(Buf::alloc(16384), 0).await;
            assert_eq!(read.unwrap(), 16384);
            assert!(buf[..4096].iter().all(|&byte| byte == 0));
            assert!(buf[4096..12288].iter().all(|&byte| byte == 7));
            assert!(buf[12288..].iter().all(|&byte| byte == 0));
            file.sync_data().await.unwrap();
        });
    }
}

#[test]
fn a_read_is_short_at_the_end_only() {
    let dir = scratch();
    let file = direct(dir.path());
    core(1 << 20).block_on(async {
        file.write_at(filled(8192, 3), 0, Durability::Volatile).await.0.unwrap();
        file.set_len(5000).unwrap();
        assert_eq!(file.read_at(Buf::alloc(16384), 0).await.0.unwrap(), 5000);
        assert_eq!(file.read_at(Buf::alloc(4096), 4096).await.0.unwrap(), 5000 - 4096);
        assert_eq!(file.read_at(Buf::alloc(4096), 8192).await.0.unwrap(), 0);
        assert_eq!(file.read_at(Buf::empty(), 0).await.0.unwrap(), 0);
    });
}

#[test]
fn holes_and_zeroes() {
    let dir = scratch();
    let file = direct(dir.path());
    core(1 << 20).block_on(async {
        file.write_at(filled(65536, 9), 0, Durability::Volatile).await.0.unwrap();
        file.punch_hole(4096, 4096).await.unwrap();
        file.zero_range(16384, 8192).await.unwrap();
        file.punch_hole(1 << 20, 4096).await.unwrap();
        file.punch_hole(0, 0).await.unwrap();
        assert_eq!(file.len().unwrap(), 65536);
        let (read, buf) = file.read_at(Buf::alloc(65536), 0).await;
        assert_eq!(read.unwrap(), 65536);
        for (at, byte) in buf.iter().enumerate() {
            let zero = (4096..8192).contains(&at) || (16384..24576).contains(&at);
            assert_eq!(*byte, if zero { 0 } else { 9 }, "byte {at}");
        }
    });
}

#[test]
fn many_tasks_on_one_file_from_two_cores() {
    const BLOCKS: u64 = 256;
    let dir = scratch();
    let file = direct(dir.path());
    let work = |file: File, first: u64| async move {
        let tasks: Vec<_> = (first..BLOCKS)
            .step_by(2)
            .map(|block| {
                let file = file.clone();
                spawn(async move {
                    let (written, buf) =
                        file.write_at(filled(4096, block as u8), block * 4096, Durability::Volatile).await;
                    written.expect("the disk takes the block");
                    let (read, buf) = file.read_at(buf, block * 4096).await;
                    assert_eq!(read.expect("the block is there"), 4096);
                    assert!(buf.iter().all(|&byte| byte == block as u8));
                })
            })
            .collect();
        for task in tasks {
            task.await;
        }
    };
    let there = file.clone();
    let thread = World::real().start_core(CoreConfig::default(), move || work(there, 1)).unwrap();
    core(1 << 20).block_on(work(file.clone(), 0));
    thread.join().unwrap();
    assert_eq!(file.len().unwrap(), BLOCKS * 4096);
}

#[test]
fn errors_of_the_kernel_come_back_with_the_buffer() {
    let dir = scratch();
    direct(dir.path());
    let read_only = World::real().open(&dir.path().join("file"), &OpenOptions::new().read(true)).unwrap();
    core(1 << 20).block_on(async {
        let (written, buf) = read_only.write_at(filled(4096, 1), 0, Durability::Volatile).await;
        assert_eq!(written.unwrap_err().raw_os_error(), Some(9), "EBADF: not open for writing");
        assert_eq!(buf.len(), 4096);
    });
}

#[test]
fn alignment_is_known_and_needed() {
    let dir = scratch();
    let file = direct(dir.path());
    let DirectIo { memory_align, offset_align } = file.direct_io();
    assert!(memory_align.is_power_of_two() && offset_align.is_power_of_two() && offset_align >= 512);
    let buffered = World::real().open(&dir.path().join("file"), &options()).unwrap();
    assert_eq!(buffered.direct_io(), DirectIo { memory_align: 1, offset_align: 1 });
    core(1 << 20).block_on(async {
        let (written, _) = buffered.write_at(filled(100, 1), 7, Durability::Volatile).await;
        assert_eq!(written.unwrap(), 100);
        assert_eq!(buffered.len().unwrap(), 107);
    });
}

#[test]
fn a_file_system_without_direct_io_is_used_buffered() {
    let Ok(dir) = tempfile::tempdir_in("/dev/shm") else { return };
    let path = dir.path().join("file");
    let file = World::real().open(&path, &options().create_new(true).direct(true)).unwrap();
    core(1 << 20).block_on(async {
        file.write_at(filled(4096, 1), 0, Durability::Durable).await.0.unwrap();
        assert_eq!(file.len().unwrap(), 4096);
    });
}

#[test]
fn locks_are_exclusive_and_end_with_the_file() {
    let dir = scratch();
    let file = direct(dir.path());
    assert!(file.try_lock().unwrap());
    let other = direct(dir.path());
    assert!(!other.try_lock().unwrap());
    let clone = file.clone();
    drop(file);
    assert!(!other.try_lock().unwrap());
    drop(clone);
    assert!(other.try_lock().unwrap());
}

#[test]
fn blocking_files_and_names() {
    let (dir, world) = (scratch(), World::real());
    let (a, b) = (dir.path().join("x/y/a"), dir.path().join("x/y/b"));
    world.create_dir_all(a.parent().unwrap()).unwrap();
    assert!(!world.exists(&a).unwrap());
    let file = world.open_sync(&a, &options()).unwrap();
    file.write_all_at(b"ringbd", 10).unwrap();
    file.sync_all().unwrap();
    world.rename(&a, &b).unwrap();
    world.sync_dir(b.parent().unwrap()).unwrap();
    let mut bytes = [0; 6];
    file.read_exact_at(&mut bytes, 10).unwrap();
    assert_eq!(&bytes, b"ringbd");
    assert_eq!(file.read_at(&mut bytes, 13).unwrap(), 3);
    assert!(file.read_exact_at(&mut bytes, 13).is_err());
    file.set_len(4).unwrap();
    file.sync_data().unwrap();
    assert_eq!(file.len().unwrap(), 4);
    assert!(file.try_lock().unwrap());
    world.remove_file(&b).unwrap();
    assert!(!world.exists(&b).unwrap());
}

#[test]
fn lent_and_registered_memory() {
    let dir = scratch();
    let file = direct(dir.path());
    let mut region = Buf::zeroed(1 << 20);
    let (start, len) = (region.as_mut_ptr(), region.len());
    let mut core = core(0);
    // SAFETY: the region outlives the core, which is dropped at the end of this test before `region`.
    let registered = unsafe { Region::new(start, len) };
    assert_eq!(core.register_buffers(&[registered]), 1);
    core.block_on(async {
        // SAFETY: the region outlives the views, they are disjoint, and it is not touched while they live.
        let (mut a, b) = unsafe { (Buf::lent(start, 4096), Buf::lent(start.add(8192), 4096)) };
        a.fill(6);
        let (written, a) = file.write_at(a, 0, Durability::Volatile).await;
        assert_eq!(written.unwrap(), 4096);
        let (read, b) = file.read_at(b, 0).await;
        assert_eq!(read.unwrap(), 4096);
        assert_eq!(&a[..], &b[..]);
    });
    drop(core);
    assert_eq!(region[8192], 6);
}
