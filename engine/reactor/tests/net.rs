//! TCP over the loopback.

use ringbd_reactor::{
    Buf, CoreConfig, LentCore, Receive, TcpListener, TcpStream, World, sleep, spawn, timeout, yield_now,
};
use std::net::SocketAddr;
use std::time::Duration;

fn core() -> LentCore {
    World::real()
        .lend_core(CoreConfig { pool_bytes: 1 << 20, ..CoreConfig::default() })
        .expect("io_uring works here")
}

fn local() -> SocketAddr {
    "127.0.0.1:0".parse().expect("a literal address")
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(local()).expect("the loopback is there");
    let address = listener.local_addr().expect("it is bound");
    let client = spawn(TcpStream::connect(address));
    let (server, peer) = listener.accept().await.expect("the client connects");
    assert!(peer.ip().is_loopback());
    let client = client.await.expect("the listener listens");
    client.set_nodelay(true).expect("it is a TCP socket");
    (client, server)
}

fn numbers(len: usize, first: usize) -> Buf {
    let mut buf = Buf::alloc(len);
    for (at, byte) in buf.iter_mut().enumerate() {
        *byte = ((first + at) % 251) as u8;
    }
    buf
}

async fn read_numbers(receive: &mut Receive, len: usize, first: usize) {
    let mut at = 0;
    while at < len {
        let bytes = receive.next().await.expect("more is to come").expect("the connection stands");
        for byte in bytes.iter() {
            assert_eq!(usize::from(*byte), (first + at) % 251, "byte {at}");
            at += 1;
        }
    }
    assert_eq!(at, len);
}

#[test]
fn gathered_bytes_arrive_in_order() {
    core().block_on(async {
        let (client, server) = pair().await;
        let reader = spawn(async move {
            let mut receive = server.receiver();
            read_numbers(&mut receive, 3 << 20, 0).await;
            server.send([numbers(10, 0)].into_iter().collect()).await.0.expect("the client is there");
            assert!(receive.next().await.is_none(), "the client went");
            assert!(receive.next().await.is_none(), "and stays away");
        });
        let mut sent = 0;
        while sent < 3 << 20 {
            let sizes = [1, 0, 4096, 100_000, 131_072 - 4097 - 100_000 + 131_072];
            let bufs = sizes
                .into_iter()
                .map(|size| {
                    let buf = numbers(size, sent);
                    sent += size;
                    buf
                })
                .collect();
            let (result, bufs) = client.send(bufs).await;
            result.expect("the server reads");
            assert_eq!(bufs.len(), sizes.iter().sum::<usize>());
        }
        read_numbers(&mut client.receiver(), 10, 0).await;
        drop(client);
        reader.await;
    });
}

#[test]
fn more_parts_than_one_call_takes() {
    core().block_on(async {
        let (client, server) = pair().await;
        let reader = spawn(async move { read_numbers(&mut server.receiver(), 5000, 0).await });
        let bufs = (0..5000).map(|at| numbers(1, at)).collect();
        client.send(bufs).await.0.expect("the server reads");
        reader.await;
    });
}

#[test]
fn slow_readers_run_out_of_buffers_and_go_on() {
    core().block_on(async {
        let (client, server) = pair().await;
        let sender = spawn(async move {
            for at in 0..400 {
                client
                    .send([numbers(1000, at * 1000)].into_iter().collect())
                    .await
                    .0
                    .expect("the server reads");
                yield_now().await;
            }
            client
        });
        // More than the ring has; the kernel stops receiving, then goes on.
        let mut receive = server.receiver();
        let (mut held, mut got) = (Vec::new(), 0);
        while got < 400_000 {
            match timeout(Duration::from_millis(50), receive.next()).await {
                Ok(Some(Ok(bytes))) => {
                    got += bytes.len();
                    held.push(bytes);
                }
                Ok(other) => panic!("{other:?}"),
                Err(_) => held.clear(),
            }
        }
        drop(held);
        assert_eq!(got, 400_000);
        drop(sender.await);
    });
}

#[test]
fn a_buffer_lives_as_long_as_it_is_held() {
    core().block_on(async {
        let (client, server) = pair().await;
        let mut receive = server.receiver();
        client.send([numbers(100, 0)].into_iter().collect()).await.0.expect("the server reads");
        let held = receive.next().await.expect("bytes").expect("bytes");
        for at in 0..200 {
            client.send([numbers(100, at)].into_iter().collect()).await.0.expect("the server reads");
            read_numbers(&mut receive, 100, at).await;
        }
        assert_eq!(&held[..], &numbers(100, 0)[..]);
    });
}

#[test]
fn a_refused_connection_is_an_error() {
    core().block_on(async {
        let listener = TcpListener::bind(local()).expect("the loopback is there");
        let address = listener.local_addr().expect("it is bound");
        drop(listener);
        let error = TcpStream::connect(address).await.expect_err("nobody listens");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    });
}

#[test]
fn shutdown_ends_both_ends() {
    core().block_on(async {
        let (client, server) = pair().await;
        let waiting = spawn({
            let mut receive = client.receiver();
            async move { receive.next().await.is_none() }
        });
        sleep(Duration::from_millis(5)).await;
        client.shutdown();
        assert!(timeout(Duration::from_secs(5), waiting).await.expect("the receive ended"));
        assert!(server.receiver().next().await.is_none());
        assert!(client.send([numbers(10, 0)].into_iter().collect()).await.0.is_err());
    });
}

#[test]
fn a_dropped_accept_leaks_no_connection() {
    core().block_on(async {
        let listener = TcpListener::bind(local()).expect("the loopback is there");
        let address = listener.local_addr().expect("it is bound");
        assert!(timeout(Duration::from_millis(5), listener.accept()).await.is_err());
        let client = spawn(TcpStream::connect(address));
        let (_server, _) =
            timeout(Duration::from_secs(5), listener.accept()).await.expect("in time").expect("accepted");
        client.await.expect("connected");
    });
}

#[test]
fn a_send_given_up_half_way_tears_the_stream() {
    core().block_on(async {
        let (client, server) = pair().await;
        // The server does not read, so this cannot end.
        let bufs = (0..64).map(|_| Buf::zeroed(1 << 20)).collect();
        assert!(timeout(Duration::from_millis(50), client.send(bufs)).await.is_err());
        let error = client
            .send([numbers(10, 0)].into_iter().collect())
            .await
            .0
            .expect_err("frames would be mixed up");
        assert!(error.to_string().contains("given up half way"), "{error}");
        drop(server);
    });
}

#[test]
#[should_panic(expected = "one send at a time")]
fn two_sends_at_once_are_a_bug() {
    core().block_on(async {
        let (client, _server) = pair().await;
        let client = std::rc::Rc::new(client);
        let other = std::rc::Rc::clone(&client);
        let _first = spawn(async move { other.send((0..64).map(|_| Buf::zeroed(1 << 20)).collect()).await });
        yield_now().await;
        drop(client.send([numbers(10, 0)].into_iter().collect()).await);
    });
}

#[test]
fn a_stream_moves_to_another_core() {
    let (send, mut receive) = ringbd_reactor::mailbox::<TcpStream>();
    let thread = World::real()
        .start_core(CoreConfig::default(), move || async move {
            let server = receive.recv().await.expect("it is sent");
            read_numbers(&mut server.receiver(), 1000, 5).await;
            server.send([numbers(500, 1)].into_iter().collect()).await.0.expect("the client reads");
        })
        .expect("a second core");
    core().block_on(async {
        let (client, server) = pair().await;
        send.send(server);
        client.send([numbers(1000, 5)].into_iter().collect()).await.0.expect("the server reads");
        read_numbers(&mut client.receiver(), 500, 1).await;
    });
    thread.join().expect("the core ended well");
}
