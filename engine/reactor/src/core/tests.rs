//! A whole core under stress: dropped futures, panics, full queues, wakes after the end.

use super::{CompletionHandler, Core};
use crate::{
    Buf, CoreConfig, Durability, File, LentCore, OpenOptions, World, spawn, spawn_detached, yield_now,
};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

fn core() -> LentCore {
    World::real()
        .lend_core(CoreConfig { pool_bytes: 2 << 20, ..CoreConfig::default() })
        .expect("io_uring works here")
}

fn blocks_out() -> u32 {
    Core::with(|core| core.pool().expect("the core has a pool").blocks_out())
}

fn in_flight() -> usize {
    Core::with(|core| core.ops.borrow().in_flight())
}

/// A pipe in the file system: reads of it do not end until somebody writes.
fn fifo(dir: &Path) -> File {
    let path = dir.join("fifo");
    let status = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo is there");
    assert!(status.success());
    World::real().open(&path, &OpenOptions::new().read(true).write(true)).expect("the pipe was just made")
}

fn scratch_file(dir: &Path, bytes: usize) -> File {
    let path = dir.join("file");
    std::fs::write(&path, vec![5u8; bytes]).expect("the directory is writable");
    World::real().open(&path, &OpenOptions::new().read(true).write(true)).expect("the file was just made")
}

fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_dropped_read_keeps_its_buffer_until_the_kernel_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let file = fifo(dir.path());
    let mut core = core();
    core.block_on(async {
        let mut read = Box::pin(file.read_at(Buf::alloc(4096), 0));
        assert!(poll_once(&mut read).is_pending());
        yield_now().await;
        drop(read);
        assert_eq!((in_flight(), blocks_out()), (1, 1), "the kernel has the buffer still");
        while in_flight() > 0 {
            yield_now().await;
        }
        assert_eq!(blocks_out(), 0);
    });
}

#[test]
fn a_read_dropped_after_it_was_done_frees_its_buffer() {
    let dir = tempfile::tempdir().unwrap();
    let file = scratch_file(dir.path(), 8192);
    let mut core = core();
    core.block_on(async {
        let mut read = Box::pin(file.read_at(Buf::alloc(4096), 0));
        assert!(poll_once(&mut read).is_pending());
        while in_flight() > 0 {
            yield_now().await;
        }
        assert_eq!(blocks_out(), 1);
        drop(read);
        assert_eq!(blocks_out(), 0);
    });
}

#[test]
fn a_time_limit_cancels_what_it_limits() {
    let dir = tempfile::tempdir().unwrap();
    let file = fifo(dir.path());
    let mut core = core();
    core.block_on(async {
        let read = file.read_at(Buf::alloc(4096), 0);
        assert!(crate::timeout(Duration::from_millis(20), read).await.is_err());
        let (written, _) = file.write_at(Buf::alloc(4096), 0, Durability::Volatile).await;
        assert_eq!(written.unwrap(), 4096, "the pipe still works");
        let (read, _) =
            crate::timeout(Duration::from_secs(5), file.read_at(Buf::alloc(4096), 0)).await.unwrap();
        assert_eq!(read.unwrap(), 4096, "and nobody ate what was written");
    });
}

#[test]
fn a_core_that_ends_takes_its_operations_back() {
    let dir = tempfile::tempdir().unwrap();
    let file = fifo(dir.path());
    let mut core = core();
    let begun = Instant::now();
    core.enter(|| {
        for _ in 0..100 {
            let file = file.clone();
            spawn_detached(async move {
                file.read_at(Buf::alloc(4096), 0).await.0.unwrap();
            });
        }
    });
    core.poll();
    assert_eq!(core.enter(in_flight), 100);
    drop(core);
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_panicking_task_leaves_the_core_whole() {
    let mut core = core();
    let ran = Rc::new(Cell::new(0));
    for name in 0..3 {
        let ran = Rc::clone(&ran);
        core.enter(|| {
            spawn_detached(async move {
                yield_now().await;
                assert_ne!(name, 1, "the task that panics");
                ran.set(ran.get() + 1);
            });
        });
    }
    let turn = |core: &mut LentCore| std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| core.poll()));
    let panics = (0..5).filter(|_| turn(&mut core).is_err()).count();
    assert_eq!((panics, ran.get()), (1, 2));
    assert_eq!(core.block_on(async { spawn(async { 5 }).await }), 5);
}

#[test]
fn wakes_after_the_end_reach_nobody() {
    let wakers = Rc::new(RefCell::new(Vec::new()));
    let mut first = core();
    first.enter(|| {
        let wakers = Rc::clone(&wakers);
        spawn_detached(poll_fn(move |cx| {
            wakers.borrow_mut().push(cx.waker().clone());
            Poll::<()>::Pending
        }));
    });
    first.poll();
    drop(first);
    // The next core gets the slot of the first one.
    let mut second = core();
    let polls = Rc::new(Cell::new(0));
    second.enter(|| {
        let polls = Rc::clone(&polls);
        spawn_detached(poll_fn(move |_| {
            polls.set(polls.get() + 1);
            Poll::<()>::Pending
        }));
    });
    while second.poll() {}
    let wakers = wakers.take();
    let here = wakers[0].clone();
    second.enter(|| here.wake());
    std::thread::spawn(move || wakers[0].wake_by_ref()).join().unwrap();
    while second.poll() {}
    assert_eq!(polls.get(), 1);
}

#[test]
fn more_operations_than_the_queues_hold() {
    let dir = tempfile::tempdir().unwrap();
    let file = scratch_file(dir.path(), 4096);
    let config = CoreConfig { entries: 8, pool_bytes: 0, ..CoreConfig::default() };
    let mut core = World::real().lend_core(config).unwrap();
    let done = Rc::new(Cell::new(0));
    const COUNT: usize = 20_000;
    core.enter(|| {
        for _ in 0..COUNT {
            let (file, done) = (file.clone(), Rc::clone(&done));
            spawn_detached(async move {
                let (read, buf) = file.read_at(Buf::zeroed(64), 0).await;
                assert_eq!(read.unwrap(), 64);
                assert!(buf.iter().all(|&byte| byte == 5));
                done.set(done.get() + 1);
            });
        }
    });
    core.block_on(async {
        while done.get() < COUNT {
            yield_now().await;
        }
    });
    assert_eq!(core.enter(in_flight), 0);
}

#[test]
fn an_idle_poll_does_nothing() {
    let mut core = core();
    while core.poll() {}
    assert!(!core.poll());
}

#[test]
fn enter_nests() {
    let (mut a, mut b) = (core(), core());
    let of_current = || Core::with(|core| core.core_ref);
    let (name_a, name_b) = (a.enter(of_current), b.enter(of_current));
    assert_ne!(name_a, name_b);
    a.enter(|| {
        assert_eq!(b.enter(of_current), name_b);
        assert_eq!(of_current(), name_a);
    });
    assert!(Core::try_with(|_| ()).is_none());
}

/// Some ring of this process has a file of that name in its table of registered files.
fn in_ring_tables(name: &str) -> bool {
    let rings = std::fs::read_dir("/proc/self/fdinfo").expect("proc is mounted");
    rings.filter_map(|ring| std::fs::read_to_string(ring.ok()?.path()).ok()).any(|info| info.contains(name))
}

#[test]
fn closed_files_leave_the_tables_of_sleeping_cores() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("closed-soon");
    std::fs::write(&path, [1u8; 4096]).unwrap();
    let file = World::real().open(&path, &OpenOptions::new().read(true).write(true)).unwrap();
    assert!(file.try_lock().unwrap());
    let (send, mut receive) = crate::mailbox::<File>();
    let thread = World::real()
        .start_core(CoreConfig::default(), move || async move {
            let file = receive.recv().await.unwrap();
            file.read_at(Buf::alloc(512), 0).await.0.unwrap();
            drop(file);
            assert!(receive.recv().await.is_none());
        })
        .unwrap();
    send.send(file.clone());
    while !in_ring_tables("closed-soon") || std::sync::Arc::strong_count(file.shared()) > 1 {
        std::thread::yield_now();
    }
    drop(file);
    // The lock is free at once, whoever still has the descriptor in a table.
    let again = World::real().open(&path, &OpenOptions::new().read(true).write(true)).unwrap();
    assert!(again.try_lock().unwrap());
    drop(again);
    let begun = Instant::now();
    while in_ring_tables("closed-soon") {
        assert!(begun.elapsed() < Duration::from_secs(10), "the sleeping core let the file go");
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(send);
    thread.join().unwrap();
}

/// What a handler was told of an operation: the token, the bytes or the errno, and the first byte of the buffer.
type End = (u64, Result<usize, i32>, u8);

#[derive(Default)]
struct Told(RefCell<Vec<End>>);

impl CompletionHandler for Told {
    fn completed(self: Rc<Self>, token: u64, result: io::Result<usize>, buf: Buf) {
        let result = result.map_err(|error| error.raw_os_error().expect("the kernel's errors have numbers"));
        self.0.borrow_mut().push((token, result, buf[0]));
    }
}

#[test]
fn a_handler_is_told_what_each_operation_moved_and_gets_its_buffer_back() {
    let dir = tempfile::tempdir().unwrap();
    let file = scratch_file(dir.path(), 6000);
    let read_only = World::real().open(&dir.path().join("file"), &OpenOptions::new().read(true)).unwrap();
    let mut core = core();
    core.block_on(async {
        let told = Rc::new(Told::default());
        file.start_read(Buf::zeroed(4096), 0, told.clone(), 1);
        assert!(told.0.borrow().is_empty(), "never before the start has returned");
        file.start_read(Buf::zeroed(4096), 4096, told.clone(), 2);
        file.start_write(Buf::from_slice(&[7; 512]), 512, Durability::Durable, told.clone(), 3);
        read_only.start_write(Buf::from_slice(&[8; 512]), 0, Durability::Volatile, told.clone(), 4);
        while told.0.borrow().len() < 4 {
            yield_now().await;
        }
        let mut told_all = told.0.take();
        told_all.sort_unstable();
        assert_eq!(
            told_all,
            [(1, Ok(4096), 5), (2, Ok(6000 - 4096), 5), (3, Ok(512), 7), (4, Err(libc::EBADF), 8)]
        );
        assert_eq!((in_flight(), Rc::strong_count(&told), blocks_out()), (0, 1, 0));
        let (read, buf) = file.read_at(Buf::zeroed(512), 512).await;
        assert_eq!((read.unwrap(), buf[511]), (512, 7));
    });
}

#[test]
fn more_handled_operations_than_the_ring_has_room_for_all_end() {
    let dir = tempfile::tempdir().unwrap();
    let file = scratch_file(dir.path(), 4096);
    let mut core = core();
    core.block_on(async {
        let told = Rc::new(Told::default());
        for token in 0..3000 {
            file.start_read(Buf::alloc(1), 0, told.clone(), token);
        }
        while told.0.borrow().len() < 3000 {
            yield_now().await;
        }
        let mut tokens: Vec<_> = told.0.borrow().iter().map(|told| told.0).collect();
        tokens.sort_unstable();
        assert!(tokens.into_iter().eq(0..3000), "each is told once");
    });
}

#[test]
fn a_core_that_ends_drops_its_handlers_and_keeps_the_buffers_from_the_kernel() {
    let dir = tempfile::tempdir().unwrap();
    let file = fifo(dir.path());
    let mut core = core();
    let told = Rc::new(Told::default());
    let begun = Instant::now();
    core.enter(|| {
        for token in 0..10 {
            file.start_read(Buf::alloc(4096), 0, told.clone(), token);
        }
    });
    core.poll();
    assert_eq!((core.enter(in_flight), Rc::strong_count(&told)), (10, 11));
    drop(core);
    assert_eq!((told.0.borrow().len(), Rc::strong_count(&told)), (0, 1), "nobody is told of the end");
    assert!(begun.elapsed() < Duration::from_secs(5));
}
