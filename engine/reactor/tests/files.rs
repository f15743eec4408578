//! Files of the real world, on a disk that takes O_DIRECT.

use ringbd_reactor::{Buf, CoreConfig, Durability, LentCore, OpenOptions, World};

fn core() -> LentCore {
    World::real().lend_core(CoreConfig::default()).unwrap()
}

#[test]
fn what_was_written_is_read_back() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let options = OpenOptions::new().read(true).write(true).create(true).direct(true);
    let file = World::real().open(&dir.path().join("file"), &options).unwrap();
    let mut core = core();
    core.block_on(async {
        file.allocate(0, 1 << 20).await.unwrap();
        let mut buf = Buf::alloc(8192);
        buf.fill(7);
        let (written, _) = file.write_at(buf, 4096, Durability::Durable).await;
        assert_eq!(written.unwrap(), 8192);
        let (read, buf) = file.read_at(Buf::alloc(16384), 0).await;
        assert_eq!(read.unwrap(), 16384);
        assert!(buf[..4096].iter().all(|&byte| byte == 0));
        assert!(buf[4096..12288].iter().all(|&byte| byte == 7));
        file.sync_data().await.unwrap();
    });
}
