//! The embedded store on a real block device: a loop device, whose file shows what the device was told to forget.
//!
//! Where the kernel gives no loop device (no root, a container) the tests say so and pass.

#![allow(clippy::unwrap_used)] // Also in the functions that the tests share.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use ringbd::config::{ImageSpec, QemuCache, Settings, Sources};
use ringbd::store::{self, CreateImage, CreateStore, ImageName, OpenMode, Store, StoreError};
use ringbd::{Buf, Engine, EngineOptions, OpenOptions, World};
use tempfile::TempDir;

const MIB: u64 = 1 << 20;
const CHUNK_BYTES: usize = 64 << 10;

/// A device of so many bytes, which is gone again when this is dropped.
struct Device {
    path: PathBuf,
    backing: PathBuf,
}

impl Device {
    /// None where there is no loop device to be had.
    fn attach(dir: &TempDir, bytes: u64) -> Option<Device> {
        let backing = dir.path().join("backing");
        File::create(&backing).unwrap().set_len(bytes).unwrap();
        let output = Command::new("losetup").args(["--find", "--show"]).arg(&backing).output();
        match output {
            Ok(output) if output.status.success() => {
                let path = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim());
                Some(Device { path, backing })
            }
            Ok(output) => {
                eprintln!("skipped: no loop device: {}", String::from_utf8_lossy(&output.stderr).trim());
                None
            }
            Err(error) => {
                eprintln!("skipped: losetup does not start: {error}");
                None
            }
        }
    }

    /// Bytes that the device's file takes on the disk below.
    fn used_bytes(&self) -> u64 {
        File::open(&self.path).unwrap().sync_all().unwrap();
        std::fs::metadata(&self.backing).unwrap().blocks() * 512
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        drop(Command::new("losetup").arg("--detach").arg(&self.path).status());
    }
}

fn create(dir: &Path, device: &Device) -> Result<Store, StoreError> {
    let options = CreateStore { data: Some(device.path.clone()), ..CreateStore::default() };
    Store::create(&World::real(), dir, &options)
}

fn with_image(store: Store, work: impl FnOnce(&ringbd::Image)) {
    let spec: ImageSpec = "data/foo".parse().unwrap();
    let settings = Settings::load(&spec, &Sources::default().with_cache(QemuCache::Writeback)).unwrap();
    let engine = Engine::start(store, EngineOptions::default()).unwrap();
    let image = engine.open(&spec, &OpenOptions::new(&settings)).unwrap();
    work(&image);
    image.blocking().close().unwrap();
}

/// What stands at an offset.
fn pattern(offset: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(offset);
    (0..CHUNK_BYTES).map(|_| random.u8(..)).collect()
}

fn chunks() -> impl Iterator<Item = u64> {
    (0..16 * MIB).step_by(CHUNK_BYTES)
}

fn fsck_is_clean(dir: &Path) {
    let report = store::fsck(&World::real(), dir, false, &mut |_, _, _| {}).unwrap();
    assert_eq!((report.findings, report.remaining, report.images), (vec![], 0, 1));
}

#[test]
fn a_store_on_a_device_keeps_its_data_and_gives_back_what_is_discarded() {
    let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let Some(device) = Device::attach(&dir, 128 * MIB) else { return };
    let at = dir.path().join("store");
    let store = create(&at, &device).unwrap();
    let name = ImageName { pool: "data", namespace: "", image: "foo" };
    store.create_image(name, &CreateImage::new(64 * MIB), &mut |_, _| {}).unwrap();
    let empty = device.used_bytes();
    with_image(store, |image| {
        for offset in chunks() {
            image.blocking().write_at(Buf::from_slice(&pattern(offset)), offset).0.unwrap();
        }
        image.blocking().flush().unwrap();
        assert!(device.used_bytes() >= empty + 16 * MIB, "the data is on the device");
        let second = Store::open(&World::real(), &at, OpenMode::ReadWrite);
        assert!(matches!(second, Err(StoreError::Locked { .. })), "{:?}", second.map(|_| ()));
    });
    fsck_is_clean(&at);

    let store = Store::open(&World::real(), &at, OpenMode::ReadWrite).unwrap();
    with_image(store, |image| {
        for offset in chunks() {
            let (read, buf) = image.blocking().read_at(Buf::zeroed(CHUNK_BYTES), offset);
            assert_eq!(read.unwrap(), CHUNK_BYTES as u64);
            assert!(*buf == *pattern(offset), "what was written at {offset} is there");
        }
        image.blocking().discard(0, 16 * MIB).unwrap();
        image.blocking().flush().unwrap();
        let (_, buf) = image.blocking().read_at(Buf::zeroed(CHUNK_BYTES), MIB);
        assert!(buf.iter().all(|&byte| byte == 0));
    });
    fsck_is_clean(&at);
    let left = device.used_bytes();
    assert!(left < empty + 2 * MIB, "{left} bytes are still taken, and {empty} were at first");
}

#[test]
fn a_device_that_is_too_small_or_in_use_is_refused_with_the_reason() {
    let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let Some(small) = Device::attach(&dir, MIB) else { return };
    let error = create(&dir.path().join("store"), &small).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("the least is"), "{error}");
    drop(small);

    let Some(device) = Device::attach(&dir, 64 * MIB) else { return };
    drop(create(&dir.path().join("one"), &device).unwrap());
    let error = create(&dir.path().join("two"), &device).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains(&device.path.display().to_string()), "{error}");
}
