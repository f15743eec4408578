//! Two openers, two processes, two stores on one device.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use super::*;

const CHILD_DIR: &str = "RINGBD_TEST_STORE_HELD_BY_CHILD";

#[test]
fn a_second_opener_in_the_process_is_refused() {
    let place = Place::with_store();
    let store = place.open().unwrap();
    let error = place.open().unwrap_err();
    assert_eq!(error.errno(), 16);
    assert!(error.to_string().contains(&format!("process {} (", std::process::id())), "{error}");
    let read_only = Store::open(&World::real(), place.path(), OpenMode::ReadOnly).unwrap_err();
    assert_eq!(read_only.errno(), 16);
    assert_eq!(place.fsck(false).unwrap_err().errno(), 16);
    drop(store);
    place.open().unwrap();
}

#[test]
fn a_second_process_is_refused_with_the_owners_pid_until_the_owner_dies() {
    let place = Place::with_store();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::shared_use::child_holds_the_store", "--nocapture"])
        .env(CHILD_DIR, place.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut seen = String::new();
    while !seen.contains("held") {
        let mut bytes = [0; 64];
        let read = output.read(&mut bytes).unwrap();
        assert!(read > 0, "the child ended early: {seen}");
        seen.push_str(&String::from_utf8_lossy(&bytes[..read]));
    }
    let error = place.open().unwrap_err().to_string();
    assert!(error.contains(&format!("in use by process {}", child.id())), "{error}");
    assert!(error.contains("thread=1"), "{error}");
    child.kill().unwrap();
    child.wait().unwrap();
    place.open().unwrap();
}

/// Not a test of its own: what the second process of the test above runs.
#[test]
fn child_holds_the_store() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    let _store = Store::open(&World::real(), dir.as_ref(), OpenMode::ReadWrite).unwrap();
    println!("held");
    std::io::stdout().flush().unwrap();
    // Ends with the parent's end of the pipe, if the parent does not kill it first.
    let _ = std::io::stdin().read(&mut [0]);
}

#[test]
fn data_elsewhere_is_locked_labelled_and_not_overwritten() {
    let (one, two) = (Place::new(), Place::new());
    let data = one.file("disk.img");
    std::fs::write(&data, vec![0; 64 << 20]).unwrap();
    let options = CreateStore { data: Some(data.clone()), ..CreateStore::default() };
    let store = Store::create(&World::real(), &one.file("store"), &options).unwrap();
    let image = create_image(&store, IMAGE, &CreateImage::new(8 << 20)).unwrap();
    let busy = two.create(&options).unwrap_err();
    assert_eq!(busy.errno(), 16, "{busy}");
    let objects = open_objects(&store, &image);
    on_core(async { write(&objects, 0, 0, 1, 4096).await });
    drop((objects, store));

    let used = two.create(&options).unwrap_err();
    assert!(used.to_string().contains("holds the data of ringbd store"), "{used}");
    two.create(&CreateStore { overwrite: true, ..options.clone() }).unwrap();
    let stolen = Store::open(&World::real(), &one.file("store"), OpenMode::ReadWrite).unwrap_err();
    assert!(stolen.to_string().contains("belongs to store"), "{stolen}");
    let relative = CreateStore { data: Some("disk.img".into()), ..CreateStore::default() };
    assert_eq!(Place::new().create(&relative).unwrap_err().errno(), 22);
}

#[test]
fn foreign_data_is_not_taken_for_an_empty_device() {
    let place = Place::new();
    let data = place.file("disk.img");
    let mut bytes = vec![0; 2 << 20];
    bytes[1080] = 0x53;
    std::fs::write(&data, &bytes).unwrap();
    let options = CreateStore { data: Some(data.clone()), ..CreateStore::default() };
    let error = Store::create(&World::real(), &place.file("store"), &options).unwrap_err();
    assert!(error.to_string().contains("not empty"), "{error}");
    assert_eq!(std::fs::read(&data).unwrap(), bytes);
}
