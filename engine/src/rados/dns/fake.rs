//! A DNS server for tests: on 127.0.0.1, with a fixed zone, over UDP and TCP, and with faults on request.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use simple_dns::rdata::{A, AAAA, RData, SRV};
use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, RCODE, ResourceRecord, TYPE};

use super::ResolvConf;

/// What goes wrong at the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rados) enum Fault {
    None,
    /// It never answers.
    Silent,
    /// Over UDP it says that the answer does not fit.
    Truncates,
    /// It answers SERVFAIL.
    Fails,
    /// Before every answer it sends one with another id and one that is rubbish.
    Noisy,
}

#[derive(Clone, Debug)]
enum Entry {
    Srv { priority: u16, weight: u16, port: u16, target: String },
    Ip(std::net::IpAddr),
}

/// The names it knows.
#[derive(Clone, Debug, Default)]
pub(in crate::rados) struct Zone {
    entries: BTreeMap<String, Vec<Entry>>,
    /// Whether answers to SRV questions bring addresses along.
    adds_addresses: bool,
}

impl Zone {
    pub(in crate::rados) fn srv(
        mut self,
        name: &str,
        (priority, weight, port): (u16, u16, u16),
        target: &str,
    ) -> Self {
        let entry = Entry::Srv { priority, weight, port, target: target.to_owned() };
        self.entries.entry(name.to_owned()).or_default().push(entry);
        self
    }

    pub(in crate::rados) fn ip(mut self, name: &str, ip: &str) -> Self {
        self.entries.entry(name.to_owned()).or_default().push(Entry::Ip(ip.parse().unwrap()));
        self
    }

    pub(in crate::rados) fn adding_addresses(mut self) -> Self {
        self.adds_addresses = true;
        self
    }

    fn records(&self, name: &str, kind: QTYPE) -> Vec<ResourceRecord<'static>> {
        let owner = Name::new(name).unwrap().into_owned();
        let entries = self.entries.get(&name.to_ascii_lowercase()).into_iter().flatten();
        entries
            .filter_map(|entry| {
                let (of_kind, rdata) = match entry {
                    Entry::Srv { priority, weight, port, target } => {
                        let target = Name::new(target).unwrap().into_owned();
                        let (priority, weight, port) = (*priority, *weight, *port);
                        (TYPE::SRV, RData::SRV(SRV { priority, weight, port, target }))
                    }
                    Entry::Ip(std::net::IpAddr::V4(ip)) => (TYPE::A, RData::A(A::from(*ip))),
                    Entry::Ip(std::net::IpAddr::V6(ip)) => (TYPE::AAAA, RData::AAAA(AAAA::from(*ip))),
                };
                let wanted = kind == QTYPE::TYPE(of_kind);
                wanted.then(|| ResourceRecord::new(owner.clone(), CLASS::IN, 60, rdata))
            })
            .collect()
    }

    fn reply(&self, question: &[u8], fault: Fault) -> Option<Vec<u8>> {
        let query = Packet::parse(question).ok()?;
        let asked = query.questions.first()?;
        let name = asked.qname.to_string();
        let mut reply = Packet::new_reply(query.id());
        reply.questions.push(asked.clone().into_owned());
        if fault == Fault::Fails {
            *reply.rcode_mut() = RCODE::ServerFailure;
        } else if self.entries.contains_key(&name.to_ascii_lowercase()) {
            reply.answers = self.records(&name, asked.qtype);
        } else {
            *reply.rcode_mut() = RCODE::NameError;
        }
        if self.adds_addresses {
            for entry in self.entries.get(&name.to_ascii_lowercase()).into_iter().flatten() {
                if let Entry::Srv { target, .. } = entry {
                    reply.additional_records.extend(self.records(target, QTYPE::TYPE(TYPE::A)));
                }
            }
        }
        reply.build_bytes_vec_compressed().ok()
    }
}

/// The running server; dropping it ends it.
pub(in crate::rados) struct Server {
    pub(in crate::rados) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    over_tcp: Arc<AtomicUsize>,
    ends: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// How often the threads look whether they should end.
const TICK: Duration = Duration::from_millis(20);

impl Server {
    pub(in crate::rados) fn start(zone: Zone, fault: Fault) -> Self {
        let (socket, listener, address) = sockets();
        let mut server = Self {
            address,
            asked: Arc::default(),
            over_tcp: Arc::default(),
            ends: Arc::default(),
            threads: Vec::new(),
        };
        let (ends, asked) = (Arc::clone(&server.ends), Arc::clone(&server.asked));
        let own = zone.clone();
        server.threads.push(std::thread::spawn(move || serve_udp(&socket, &own, fault, &ends, &asked)));
        let (ends, served) = (Arc::clone(&server.ends), Arc::clone(&server.over_tcp));
        server.threads.push(std::thread::spawn(move || serve_tcp(&listener, &zone, fault, &ends, &served)));
        server
    }

    /// A configuration that asks this server, with little patience.
    pub(in crate::rados) fn conf(&self, search: &str) -> ResolvConf {
        let mut conf = ResolvConf::parse(&format!("search {search}\n"), "");
        conf.servers = vec![self.address];
        conf.timeout = Duration::from_secs(5);
        conf
    }

    /// The names it was asked for over UDP.
    pub(in crate::rados) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// Waits until it was asked so often.
    pub(in crate::rados) fn wait_until_asked(&self, times: usize) {
        for _ in 0..500 {
            if self.asked().len() == times {
                return;
            }
            std::thread::sleep(TICK);
        }
        panic!("it was asked for {:?}", self.asked());
    }

    pub(in crate::rados) fn answered_over_tcp(&self) -> usize {
        self.over_tcp.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}

/// Both sockets on one port: what the kernel gives for one may be taken for the other, so it is tried again.
fn sockets() -> (UdpSocket, TcpListener, SocketAddr) {
    for _ in 0..100 {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        if let Ok(listener) = TcpListener::bind(address) {
            socket.set_read_timeout(Some(TICK)).unwrap();
            listener.set_nonblocking(true).unwrap();
            return (socket, listener, address);
        }
    }
    panic!("no port is free for both UDP and TCP");
}

fn serve_udp(socket: &UdpSocket, zone: &Zone, fault: Fault, ends: &AtomicBool, asked: &Mutex<Vec<String>>) {
    let mut bytes = [0; 512];
    while !ends.load(Ordering::SeqCst) {
        let Ok((length, from)) = socket.recv_from(&mut bytes) else { continue };
        let Some(mut reply) = zone.reply(&bytes[..length], fault) else { continue };
        let name = Packet::parse(&bytes[..length]).unwrap().questions[0].qname.to_string();
        asked.lock().unwrap().push(name);
        match fault {
            Fault::Silent => continue,
            Fault::Truncates => {
                let mut cut = Packet::parse(&reply).unwrap();
                cut.set_flags(PacketFlag::TRUNCATION);
                cut.answers.clear();
                cut.additional_records.clear();
                reply = cut.build_bytes_vec().unwrap();
            }
            Fault::Noisy => {
                let mut other = reply.clone();
                other[0] ^= 1;
                socket.send_to(&other, from).unwrap();
                socket.send_to(&reply[..reply.len() / 2], from).unwrap();
            }
            Fault::None | Fault::Fails => {}
        }
        socket.send_to(&reply, from).unwrap();
    }
}

fn serve_tcp(listener: &TcpListener, zone: &Zone, fault: Fault, ends: &AtomicBool, served: &AtomicUsize) {
    while !ends.load(Ordering::SeqCst) {
        let Ok((mut stream, _)) = listener.accept() else {
            std::thread::sleep(TICK);
            continue;
        };
        stream.set_nonblocking(false).unwrap();
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut question).unwrap();
        let reply = zone.reply(&question, fault).unwrap();
        let mut message = u16::try_from(reply.len()).unwrap().to_be_bytes().to_vec();
        message.extend(reply);
        // In pieces, as TCP may deliver it.
        for piece in message.chunks(5) {
            stream.write_all(piece).unwrap();
        }
        served.fetch_add(1, Ordering::SeqCst);
    }
}
