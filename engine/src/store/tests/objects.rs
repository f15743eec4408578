//! Reads, writes, discards and flushes on one core.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use ringbd_reactor::{CompletionHandler, Durability, spawn, yield_now};

use super::*;
use crate::store::{Ended, Transfer};

const VOLATILE: Durability = Durability::Volatile;

const EINTR: i32 = 4;
const EIO: i32 = 5;
const EAGAIN: i32 = 11;

/// A store with an open image of 64 objects of that order.
fn small(order: u8) -> (Place, Store, ImageRecord) {
    let place = Place::new();
    let store = place.create(&CreateStore::default()).unwrap();
    let image = create_image(&store, IMAGE, &CreateImage { order, ..CreateImage::new(64 << order) }).unwrap();
    (place, store, image)
}

#[test]
fn what_is_written_is_read_and_survives_reopening() {
    let (place, store, image) = small(22);
    let objects = open_objects(&store, &image);
    on_core(async {
        let (fill, buf) = objects.read(ObjectNo(3), 4096, filled(1, 8192)).await;
        assert_eq!((fill.unwrap(), &buf[..]), (ReadFill::Hole, &[0; 8192][..]));
        write(&objects, 3, 8192, 5, 4096).await;
        let got = read(&objects, 3, 4096, 12288).await;
        assert_eq!(
            (&got[..4096], &got[4096..8192], &got[8192..]),
            (&[0; 4096][..], &[5; 4096][..], &[0; 4096][..])
        );
        objects.flush().await.unwrap();
    });
    drop((objects, store));
    let store = place.open().unwrap();
    let image = store.image(IMAGE).unwrap();
    let objects = open_objects(&store, &image);
    assert_eq!(store.allocated_bytes(&image).unwrap(), 4 << 20);
    on_core(async { assert_eq!(read(&objects, 3, 8192, 4096).await, [5; 4096]) });
}

#[test]
fn any_offset_length_and_memory_works() {
    let (_place, store, image) = small(16);
    let objects = open_objects(&store, &image);
    on_core(async {
        write(&objects, 0, 0, 1, 65536).await;
        for (offset, len) in [(1, 1), (511, 2), (4095, 4098), (100, 60000), (65535, 1), (512, 512)] {
            let mut buf = filled(2, len + 3);
            let buf = buf.split_off(3);
            let (result, _) = objects.write(ObjectNo(0), offset, buf, VOLATILE).await;
            result.unwrap();
            let all = read(&objects, 0, 0, 65536).await;
            let range = offset as usize..offset as usize + len;
            assert!(all[range.clone()].iter().all(|&byte| byte == 2), "{offset} {len}");
            assert!(
                all[..range.start].iter().chain(&all[range.end..]).all(|&byte| byte == 1),
                "{offset} {len}"
            );
            write(&objects, 0, 0, 1, 65536).await;
        }
        assert_eq!(read(&objects, 0, 777, 33).await, [1; 33]);
        let (result, _) = objects.write(ObjectNo(0), 65535, filled(1, 2), VOLATILE).await;
        assert_eq!(result.unwrap_err().errno(), 22, "it would reach into the next slot");
    });
}

#[test]
fn runs_go_down_together() {
    let (_place, store, image) = small(22);
    let objects = open_objects(&store, &image);
    on_core(async {
        for step in [4096u64, 1000] {
            let runs =
                (0..100).map(|i| Run { offset: i * 2 * step, buf: filled(i as u8 + 1, step as usize) });
            let (result, runs) = objects.write_runs(ObjectNo(1), runs.collect(), Durability::Durable).await;
            result.unwrap();
            assert_eq!(runs.len(), 100);
            for i in 0..100 {
                assert_eq!(
                    read(&objects, 1, i * 2 * step, step as usize).await,
                    vec![i as u8 + 1; step as usize]
                );
                assert_eq!(
                    read(&objects, 1, (i * 2 + 1) * step, step as usize).await,
                    vec![0; step as usize]
                );
            }
            objects.discard(ObjectNo(1), 0, 4 << 20).await.unwrap();
        }
    });
}

#[test]
fn a_discarded_object_gives_its_space_back_and_comes_back_as_zeros() {
    use std::os::unix::fs::MetadataExt;
    let (place, store, image) = small(22);
    let objects = open_objects(&store, &image);
    let used = || std::fs::metadata(place.file("data")).unwrap().blocks() * 512;
    on_core(async {
        for object in 0..8 {
            write(&objects, object, 0, 3, 4 << 20).await;
        }
        objects.flush().await.unwrap();
        assert!(used() >= 32 << 20);
        for object in 0..8 {
            objects.discard(ObjectNo(object), 0, 4 << 20).await.unwrap();
            assert_eq!(read(&objects, object, 0, 4096).await, [0; 4096]);
        }
        // The last punch may come a moment after its answer.
        ringbd_reactor::sleep(std::time::Duration::from_millis(50)).await;
        assert!(used() <= 1 << 20, "{} bytes are still allocated", used());
        for object in 0..8 {
            write(&objects, object, 8192, 4, 4096).await;
            let got = read(&objects, object, 0, 16384).await;
            assert!(got[..8192].iter().chain(&got[12288..]).all(|&byte| byte == 0), "old data came back");
        }
    });
    assert_eq!(store.usage().space.used_bytes, 32 << 20);
}

#[test]
fn zeroing_is_exact_and_discarding_is_by_pages() {
    let (_place, store, image) = small(16);
    let objects = open_objects(&store, &image);
    on_core(async {
        write(&objects, 0, 0, 1, 65536).await;
        objects.write_zeroes(ObjectNo(0), 100, 20000).await.unwrap();
        let got = read(&objects, 0, 0, 65536).await;
        assert!(got[100..20100].iter().all(|&byte| byte == 0));
        assert!(got[..100].iter().chain(&got[20100..]).all(|&byte| byte == 1));
        objects.write_zeroes(ObjectNo(0), 30001, 5).await.unwrap();
        assert_eq!(read(&objects, 0, 30000, 7).await, [1, 0, 0, 0, 0, 0, 1]);
        objects.discard(ObjectNo(0), 40000, 10000).await.unwrap();
        let got = read(&objects, 0, 0, 65536).await;
        assert!(got[40960..49152].iter().all(|&byte| byte == 0));
        assert!(got[40000..40960].iter().chain(&got[49152..50000]).all(|&byte| byte == 1));
        objects.write_zeroes(ObjectNo(0), 0, 65536).await.unwrap();
        assert!(!objects.is_allocated(ObjectNo(0)));
        objects.write_zeroes(ObjectNo(9), 1, 5).await.unwrap();
        assert!(!objects.is_allocated(ObjectNo(9)), "zeros in a hole are a hole");
    });
}

#[test]
fn compare_and_write_changes_all_or_nothing() {
    let (_place, store, image) = small(16);
    let objects = open_objects(&store, &image);
    on_core(async {
        let caw = async |offset, expected: Vec<u8>, byte| {
            let data = filled(byte, expected.len());
            objects.compare_and_write(ObjectNo(0), offset, &expected, data, VOLATILE).await.0.unwrap()
        };
        assert_eq!(caw(10, vec![0, 0, 1], 9).await, Some(2));
        assert!(!objects.is_allocated(ObjectNo(0)));
        assert_eq!(caw(10, vec![0; 600], 9).await, None);
        assert_eq!(read(&objects, 0, 9, 602).await, [&[0][..], &[9; 600], &[0]].concat());
        assert_eq!(caw(9, vec![9; 3], 1).await, Some(0));
        assert_eq!(caw(609, vec![9, 0, 0], 1).await, None);
    });
}

#[test]
fn writers_of_one_hole_share_its_allocation() {
    let (_place, store, image) = small(22);
    let objects = open_objects(&store, &image);
    on_core(async {
        let tasks: Vec<_> = (0..64u64)
            .map(|i| {
                let objects = objects.clone();
                spawn(async move { write(&objects, i % 2, (i / 2) * 4096, i as u8 + 1, 4096).await })
            })
            .collect();
        for task in tasks {
            task.await;
        }
        for i in 0..64u64 {
            assert_eq!(read(&objects, i % 2, (i / 2) * 4096, 4096).await, [i as u8 + 1; 4096]);
        }
    });
    assert_eq!(store.usage().changes, 2);
}

#[test]
fn allocations_of_many_objects_share_commits() {
    let (_place, store, image) = small(22);
    let objects = open_objects(&store, &image);
    on_core(async {
        let write_one = |i| {
            let objects = objects.clone();
            spawn(async move { write(&objects, i, 0, i as u8 + 1, 4096).await })
        };
        let tasks: Vec<_> = (0..64).map(write_one).collect();
        for task in tasks {
            task.await;
        }
        for i in 0..64 {
            assert_eq!(read(&objects, i, 0, 4096).await, [i as u8 + 1; 4096]);
        }
    });
    let usage = store.usage();
    assert_eq!(usage.changes, 64);
    assert!(usage.commits < 20, "{} commits", usage.commits);
}

#[test]
fn everything_at_once_on_one_object_ends() {
    let (_place, store, image) = small(16);
    let objects = open_objects(&store, &image);
    on_core(async {
        let tasks: Vec<_> = (0..200u64)
            .map(|i| {
                let objects = objects.clone();
                spawn(async move {
                    match i % 5 {
                        0 => write(&objects, 0, 0, 1, 65536).await,
                        1 => drop(read(&objects, 0, 0, 65536).await),
                        2 => write(&objects, 0, 5, 1, 100).await,
                        3 => objects.discard(ObjectNo(0), 0, 65536).await.unwrap(),
                        _ => objects.write_zeroes(ObjectNo(0), 10, 5000).await.unwrap(),
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await;
        }
        let got = read(&objects, 0, 0, 65536).await;
        assert!(got.iter().all(|&byte| byte <= 1));
        assert!((0..SHARDS).all(|shard| objects.release(shard).is_some()), "every gate is free again");
    });
}

#[test]
fn flushes_that_wait_together_share_a_sync() {
    let (_place, store, image) = small(16);
    let objects = open_objects(&store, &image);
    on_core(async {
        write(&objects, 0, 0, 1, 65536).await;
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let objects = objects.clone();
                spawn(async move { objects.flush().await.unwrap() })
            })
            .collect();
        for task in tasks {
            task.await;
        }
    });
    let syncs = store.usage().syncs;
    assert!(
        (2..=3).contains(&syncs),
        "50 flushes took {syncs} syncs: one under way and one for all who waited"
    );
}

#[test]
fn a_full_store_says_so_and_goes_on_when_space_is_freed() {
    let place = Place::new();
    let options = CreateStore { data_bytes_max: Some(DATA_START + (40 << 20)), ..CreateStore::default() };
    let store = place.create(&options).unwrap();
    let image = create_image(&store, IMAGE, &CreateImage::new(1 << 30)).unwrap();
    let objects = open_objects(&store, &image);
    on_core(async {
        for object in 0..10 {
            write(&objects, object, 0, 1, 4096).await;
        }
        let (result, buf) = objects.write(ObjectNo(10), 0, filled(1, 4096), VOLATILE).await;
        let error = result.unwrap_err();
        assert_eq!((error.errno(), buf.len()), (28, 4096), "{error}");
        assert!(!objects.is_allocated(ObjectNo(10)));
        write(&objects, 9, 4096, 2, 4096).await;
        objects.discard(ObjectNo(4), 0, 4 << 20).await.unwrap();
        write(&objects, 10, 4096, 3, 4096).await;
        assert_eq!(read(&objects, 10, 0, 4096).await, [0; 4096], "the slot was another object's");
    });
    assert_eq!(store.usage().space.used_bytes, 40 << 20);
}

#[test]
fn a_read_only_store_refuses_writes() {
    let (place, store, _) = small(16);
    drop(store);
    let store = Store::open(&World::real(), place.path(), OpenMode::ReadOnly).unwrap();
    let objects = open_objects(&store, &store.image(IMAGE).unwrap());
    on_core(async {
        assert_eq!(objects.write(ObjectNo(0), 0, filled(1, 512), VOLATILE).await.0.unwrap_err().errno(), 30);
        assert_eq!(objects.discard(ObjectNo(0), 0, 512).await.unwrap_err().errno(), 30);
        assert_eq!(read(&objects, 0, 0, 512).await, [0; 512]);
    });
    assert_eq!(store.remove(IMAGE, &mut |_, _| {}).unwrap_err().errno(), 30);
}

#[test]
fn tables_move_between_cores() {
    let (_place, store, image) = small(16);
    let tables = store.slot_tables(&image).unwrap();
    let store_there = store.clone();
    let there = image.clone();
    let tables = std::thread::spawn(move || {
        let objects = LocalObjects::new(&store_there, &there);
        tables.into_iter().for_each(|table| objects.adopt(table));
        on_core(async { write(&objects, 7, 0, 7, 4096).await });
        (0..SHARDS).map(|shard| objects.release(shard).unwrap()).collect::<Vec<_>>()
    })
    .join()
    .unwrap();
    let objects = LocalObjects::new(&store, &image);
    tables.into_iter().for_each(|table| objects.adopt(table));
    on_core(async { assert_eq!(read(&objects, 7, 0, 4096).await, [7; 4096]) });
}

/// How the operation that was started last ended.
#[derive(Default)]
struct Last(RefCell<Option<(io::Result<usize>, Buf)>>);

impl CompletionHandler for Last {
    fn completed(self: Rc<Self>, _: u64, result: io::Result<usize>, buf: Buf) {
        *self.0.borrow_mut() = Some((result, buf));
    }
}

impl Last {
    async fn of(&self, transfer: Transfer) -> (Ended, Buf) {
        while self.0.borrow().is_none() {
            yield_now().await;
        }
        let (moved, buf) = self.0.take().unwrap();
        (transfer.end(moved, buf.len()), buf)
    }
}

#[test]
fn one_operation_is_started_only_where_it_is_all_there_is_to_do() {
    let (_place, store, image) = small(16);
    let objects = open_objects(&store, &image);
    on_core(async {
        let last = Rc::new(Last::default());
        let start_write =
            |offset, buf| objects.start_write(ObjectNo(0), offset, buf, VOLATILE, last.clone(), 0);
        let start_read = |offset, buf| objects.start_read(ObjectNo(0), offset, buf, last.clone(), 0);
        assert!(start_write(0, filled(1, 4096)).is_err(), "an object without a slot gets one first");
        assert!(start_read(0, filled(1, 4096)).is_err(), "a hole is no operation of the disk");
        write(&objects, 0, 0, 1, 65536).await;

        let (ended, buf) = last.of(start_write(8192, filled(2, 4096)).ok().unwrap()).await;
        assert!(matches!(ended, Ended::Whole) && buf[..] == [2; 4096]);
        let (ended, buf) = last.of(start_read(4096, filled(9, 12288)).ok().unwrap()).await;
        assert!(matches!(ended, Ended::Whole));
        assert!(buf[..4096] == [1; 4096] && buf[4096..8192] == [2; 4096] && buf[8192..] == [1; 4096]);

        assert!(start_write(8192, filled(3, 100)).is_err(), "a part of a block is read and changed");
        assert!(start_read(100, filled(3, 4096)).is_err(), "an offset inside a block");
        assert!(start_read(0, filled(3, 4097).split_off(1)).is_err(), "memory that the disk does not take");
        assert!(start_read(65536, filled(3, 4096)).is_err(), "that would be another object's");
        assert!(start_write(0, Buf::empty()).is_err(), "nothing");
    });
}

#[test]
fn an_operation_under_way_keeps_a_discard_waiting_and_a_discard_under_way_keeps_operations_out() {
    let (_place, store, image) = small(16);
    let objects = open_objects(&store, &image);
    on_core(async {
        write(&objects, 0, 0, 1, 65536).await;
        let last = Rc::new(Last::default());
        let start = || objects.start_read(ObjectNo(0), 0, filled(9, 4096), last.clone(), 0);
        let transfer = start().ok().unwrap();
        let discarding = objects.clone();
        let discard = spawn(async move { discarding.discard(ObjectNo(0), 0, 65536).await });
        for _ in 0..100 {
            yield_now().await;
        }
        assert!(objects.is_allocated(ObjectNo(0)), "the reader is inside until it is told its end");
        assert!(start().is_err(), "whoever comes later queues behind the discard");
        let (ended, buf) = last.of(transfer).await;
        assert!(matches!(ended, Ended::Whole) && buf[..] == [1; 4096]);
        discard.await.unwrap();
        assert!(!objects.is_allocated(ObjectNo(0)));
    });
}

#[test]
fn a_write_whose_end_nobody_takes_in_keeps_the_slot_from_being_freed() {
    let (_place, store, image) = small(16);
    let objects = open_objects(&store, &image);
    on_core(async {
        write(&objects, 0, 0, 1, 65536).await;
        let last = Rc::new(Last::default());
        let transfer =
            objects.start_write(ObjectNo(0), 0, filled(2, 4096), VOLATILE, last.clone(), 0).ok().unwrap();
        drop(transfer);
        let error = objects.discard(ObjectNo(0), 0, 65536).await.unwrap_err();
        assert!(error.to_string().contains("abandoned"), "{error}");
    });
}

#[test]
fn what_ends_short_is_done_again_and_what_the_disk_refuses_is_an_error() {
    let (_place, store, image) = small(16);
    let objects = open_objects(&store, &image);
    on_core(async {
        write(&objects, 0, 0, 1, 65536).await;
        let last = Rc::new(Last::default());
        for (moved, name) in [
            (Ok(4096), "again"),
            (Ok(0), "again"),
            (Err(io::Error::from_raw_os_error(EINTR)), "again"),
            (Err(io::Error::from_raw_os_error(EAGAIN)), "again"),
            (Err(io::Error::from_raw_os_error(EIO)), "failed"),
            (Ok(8192), "whole"),
        ] {
            let transfer = objects.start_read(ObjectNo(0), 0, filled(9, 8192), last.clone(), 0).ok().unwrap();
            let ended = match transfer.end(moved, 8192) {
                Ended::Whole => "whole",
                Ended::Again => "again",
                Ended::Failed(error) => {
                    assert_eq!(error.errno(), EIO);
                    "failed"
                }
            };
            assert_eq!(ended, name);
        }
        objects.discard(ObjectNo(0), 0, 65536).await.expect("each has left the gate");
    });
}
