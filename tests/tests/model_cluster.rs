//! The model cluster in the real world: the client connects, writes and reads there, by every way to prove who it is.

#![allow(clippy::unwrap_used)]

use ringbd::config::{ImageSpec, Settings, Sources};
use ringbd::rados::{Cluster, ClusterConfig, OpError, Rados};
use ringbd::runtime::CoreConfig;
use ringbd::{Buf, World};
use ringbd_proto::auth::ConMode;
use ringbd_proto::auth::server::TicketLives;
use ringbd_tests::model::state::Auth;
use ringbd_tests::model::{ServeOptions, Served, serve};

/// Runs `work` with a connected client on this thread.
fn with_client(served: &Served, work: impl AsyncFnOnce(&Rados)) {
    let mut sources = Sources::default();
    for (name, value) in served.client_options() {
        sources = sources.with_option(name, value);
    }
    let settings = Settings::load(&ImageSpec::new("rbd", ""), &sources).unwrap();
    let mut core = World::real().lend_core(CoreConfig::default()).unwrap();
    core.block_on(async {
        let config = ClusterConfig::load(&settings).unwrap();
        let (client, mut seats) = Cluster::new(&World::current(), config, 1);
        let rados = seats.pop().unwrap().join();
        rados.ready().await.unwrap();
        work(&rados).await;
        client.close();
    });
    assert_eq!(served.shared.with(|state| state.violations().to_vec()), [""; 0]);
}

async fn put_and_get(rados: &Rados) {
    let io = rados.pool("data").await.unwrap();
    for (n, len) in [0, 1, 4096, 100_000, 1 << 20].into_iter().enumerate() {
        let name = format!("object.{n}");
        let bytes: Vec<u8> = (0..len).map(|at| (at * 7 + n) as u8).collect();
        io.write_full(name.as_bytes(), Buf::from_slice(&bytes)).await.unwrap();
        let (read, buf) = io.read(name.as_bytes(), 0, Buf::zeroed(len + 10)).await.unwrap();
        assert_eq!(&buf[..read], bytes, "{name}");
        assert_eq!(io.stat(name.as_bytes()).await.unwrap().size, len as u64);
    }
    assert_eq!(io.stat(b"nothing").await, Err(OpError::Errno(2)));
    io.remove(b"object.1").await.unwrap();
    assert!(!io.exists(b"object.1").await.unwrap());
}

#[test]
fn what_is_put_can_be_got_without_keys() {
    let served = serve(&ServeOptions::default()).unwrap();
    with_client(&served, put_and_get);
}

#[test]
fn what_is_put_can_be_got_with_keys_in_both_modes() {
    for mode in [ConMode::Crc, ConMode::Secure] {
        let options =
            ServeOptions { auth: Auth::cephx(mode, TicketLives::default(), 1), ..ServeOptions::default() };
        let served = serve(&options).unwrap();
        with_client(&served, put_and_get);
    }
}

#[test]
fn osds_that_keep_nothing_answer_all_the_same() {
    let cores = vec![CoreConfig::default(), CoreConfig::default()];
    let served = serve(&ServeOptions { keeps: false, osds: 5, cores, ..ServeOptions::default() }).unwrap();
    with_client(&served, async |rados| {
        let io = rados.pool("data").await.unwrap();
        for n in 0..200_u32 {
            let name = format!("object.{n}");
            io.write(name.as_bytes(), 8192, Buf::from_slice(&[7; 4096])).await.unwrap();
            let mut dirty = Buf::zeroed(8192);
            dirty.fill(9);
            let (read, buf) = io.read(name.as_bytes(), 0, dirty).await.unwrap();
            assert_eq!((read, &buf[..]), (8192, &[0; 8192][..]));
        }
    });
    assert_eq!(served.shared.with(|state| state.truth.writes()), 0);
}
