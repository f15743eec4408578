//! DNS messages: the question that is sent, and what an answer to it says.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, ResourceRecord, TYPE};

use super::super::mon_host::is_name;

/// The largest answer read. A hundred monitors fit, and what is decoded from it stays small.
pub(super) const ANSWER_BYTES_MAX: usize = 16 << 10;

/// Fewest bytes of a question and of a record: the name of the root, then fields of fixed size.
const QUESTION_BYTES_MIN: usize = 5;
const RECORD_BYTES_MIN: usize = 11;

/// Bytes of a message before its first question.
const HEADER_BYTES: usize = 12;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordKind {
    /// Where a service is.
    Srv,
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
}

impl RecordKind {
    fn as_type(self) -> TYPE {
        match self {
            RecordKind::Srv => TYPE::SRV,
            RecordKind::A => TYPE::A,
            RecordKind::Aaaa => TYPE::AAAA,
        }
    }
}

/// A question.
#[derive(Clone, Debug)]
pub(super) struct Query<'a> {
    /// By which the answer is known.
    pub(super) id: u16,
    /// The full name, without the dot at its end.
    pub(super) name: &'a str,
    pub(super) kind: RecordKind,
}

/// A service's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServiceRecord {
    pub(super) priority: u16,
    pub(super) weight: u16,
    pub(super) port: u16,
    pub(super) target: String,
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is of another question: a late one, or somebody else's.
    Foreign,
    /// It did not fit; ask over TCP.
    Truncated,
    /// There is no such name.
    NoSuchName,
    /// The server does not say, and why.
    Refused(&'static str),
    /// The records, maybe none.
    Records(Records),
}

/// The records of an answer that matter here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Records {
    /// In their order.
    pub(super) services: Vec<ServiceRecord>,
    /// The addresses that were asked for.
    pub(super) addresses: Vec<IpAddr>,
    /// Addresses that the server added, with the names they belong to in small letters.
    pub(super) added: Vec<(String, IpAddr)>,
}

impl Query<'_> {
    /// The message. `None`: the name cannot be asked for.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        let mut packet = Packet::new_query(self.id);
        packet.set_flags(PacketFlag::RECURSION_DESIRED);
        packet.questions.push(self.question()?);
        packet.build_bytes_vec().ok()
    }

    /// Reads an answer. `None`: it is malformed.
    pub(super) fn read(&self, bytes: &[u8]) -> Option<Answer> {
        if bytes.len() > ANSWER_BYTES_MAX || !counts_fit(bytes) {
            return None;
        }
        let packet = Packet::parse(bytes).ok()?;
        let asked = self.question()?;
        let same = |question: &Question<'_>| question.qname == asked.qname && question.qtype == asked.qtype;
        if packet.id() != self.id
            || !packet.has_flags(PacketFlag::RESPONSE)
            || !packet.questions.iter().all(same)
        {
            return Some(Answer::Foreign);
        }
        Some(match packet.rcode() {
            RCODE::NoError if packet.has_flags(PacketFlag::TRUNCATION) => Answer::Truncated,
            RCODE::NoError => Answer::Records(self.records(&packet)),
            RCODE::NameError => Answer::NoSuchName,
            RCODE::FormatError => Answer::Refused("it does not understand the question"),
            RCODE::ServerFailure => Answer::Refused("it failed (SERVFAIL)"),
            RCODE::NotImplemented => Answer::Refused("it does not implement such questions"),
            RCODE::Refused => Answer::Refused("it refuses to answer"),
            _ => Answer::Refused("it answered with an unusual error"),
        })
    }

    fn question(&self) -> Option<Question<'_>> {
        let name = Name::new(self.name).ok()?;
        Some(Question::new(name, QTYPE::TYPE(self.kind.as_type()), QCLASS::CLASS(CLASS::IN), false))
    }

    fn records(&self, packet: &Packet<'_>) -> Records {
        let mut records = Records::default();
        for record in &packet.answers {
            match (self.kind, &record.rdata) {
                (RecordKind::Srv, RData::SRV(service)) => {
                    let target = service.target.to_string();
                    // The root as target says that the service is not offered; what is no host name is nobody's.
                    if is_name(&target) {
                        let (priority, weight, port) = (service.priority, service.weight, service.port);
                        records.services.push(ServiceRecord { priority, weight, port, target });
                    }
                }
                // Behind an alias the records stand under another name than the one asked for.
                (RecordKind::A | RecordKind::Aaaa, _) => records.addresses.extend(address(record)),
                (RecordKind::Srv, _) => {}
            }
        }
        let added = packet.additional_records.iter();
        records.added = added
            .filter_map(|record| Some((record.name.to_string().to_ascii_lowercase(), address(record)?)))
            .collect();
        records
    }
}

fn address(record: &ResourceRecord<'_>) -> Option<IpAddr> {
    match &record.rdata {
        RData::A(a) => Some(IpAddr::V4(Ipv4Addr::from(a.address))),
        RData::AAAA(aaaa) => Some(IpAddr::V6(Ipv6Addr::from(aaaa.address))),
        _ => None,
    }
}

/// Whether as many questions and records as the header announces can be there, so that no memory is taken for those that
/// cannot.
fn counts_fit(bytes: &[u8]) -> bool {
    let count =
        |at: usize| bytes.get(at..at + 2).map(|pair| usize::from(pair[0]) << 8 | usize::from(pair[1]));
    let counts = (count(4), count(6), count(8), count(10));
    let (Some(questions), Some(answers), Some(authorities), Some(added)) = counts else { return false };
    let least = questions * QUESTION_BYTES_MIN + (answers + authorities + added) * RECORD_BYTES_MIN;
    least <= bytes.len().saturating_sub(HEADER_BYTES)
}

/// For fuzzing: any bytes are an answer or none.
#[doc(hidden)]
pub fn fuzz_answer(bytes: &[u8]) {
    let id = bytes.get(..2).map_or(0, |id| u16::from(id[0]) << 8 | u16::from(id[1]));
    for kind in [RecordKind::Srv, RecordKind::A, RecordKind::Aaaa] {
        let query = Query { id, name: "_ceph-mon._tcp.example.com", kind };
        if let Some(Answer::Records(records)) = query.read(bytes) {
            assert!(records.services.iter().all(|service| is_name(&service.target)));
            assert!(records.services.is_empty() || kind == RecordKind::Srv);
            assert!(records.addresses.is_empty() || kind != RecordKind::Srv);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use simple_dns::rdata::{A, AAAA, SRV, TXT};

    use super::*;

    const NAME: &str = "_ceph-mon._tcp.example.com";

    fn query(kind: RecordKind) -> Query<'static> {
        Query { id: 7, name: NAME, kind }
    }

    fn record(name: &'static str, rdata: RData<'static>) -> ResourceRecord<'static> {
        ResourceRecord::new(Name::new(name).unwrap(), CLASS::IN, 60, rdata)
    }

    fn srv(priority: u16, weight: u16, port: u16, target: &'static str) -> RData<'static> {
        RData::SRV(SRV { priority, weight, port, target: Name::new(target).unwrap() })
    }

    fn reply(kind: RecordKind, edit: impl FnOnce(&mut Packet<'static>)) -> Vec<u8> {
        let mut packet = Packet::new_reply(7);
        packet.questions.push(query(kind).question().unwrap().into_owned());
        edit(&mut packet);
        packet.build_bytes_vec_compressed().unwrap()
    }

    #[test]
    fn a_question_is_one_that_servers_read() {
        let bytes = query(RecordKind::Srv).encode().unwrap();
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!((packet.id(), packet.questions.len()), (7, 1));
        assert!(packet.has_flags(PacketFlag::RECURSION_DESIRED) && !packet.has_flags(PacketFlag::RESPONSE));
        assert_eq!(packet.questions[0].qname.to_string(), NAME);
        let endless = "a.".repeat(200);
        assert!(Query { id: 1, name: &endless, kind: RecordKind::A }.encode().is_none());
    }

    #[test]
    fn services_come_with_the_addresses_that_were_added() {
        let bytes = reply(RecordKind::Srv, |packet| {
            packet.answers.push(record(NAME, srv(10, 60, 3300, "Mon1.example.com")));
            packet.answers.push(record(NAME, srv(20, 0, 6789, "mon2.example.com")));
            packet.answers.push(record(NAME, srv(0, 0, 3300, ".")));
            packet.answers.push(record(NAME, srv(0, 0, 3300, "no host!")));
            packet.answers.push(record(NAME, RData::TXT(TXT::new())));
            packet.additional_records.push(record("Mon1.example.com", RData::A(A { address: 0x0a00_0001 })));
            packet.additional_records.push(record("mon1.example.com", RData::AAAA(AAAA { address: 1 })));
        });
        let Some(Answer::Records(records)) = query(RecordKind::Srv).read(&bytes) else { panic!("records") };
        let service = |priority, weight, port, target: &str| ServiceRecord {
            priority,
            weight,
            port,
            target: target.to_owned(),
        };
        let expected = [service(10, 60, 3300, "Mon1.example.com"), service(20, 0, 6789, "mon2.example.com")];
        assert_eq!(records.services, expected);
        let mon1 = |ip: &str| ("mon1.example.com".to_owned(), ip.parse().unwrap());
        assert_eq!(records.added, [mon1("10.0.0.1"), mon1("::1")]);
        assert!(records.addresses.is_empty());
    }

    #[test]
    fn addresses_are_read_behind_an_alias() {
        let bytes = reply(RecordKind::A, |packet| {
            packet.answers.push(record("other.example.com", RData::A(A { address: 0x0a00_0002 })));
        });
        let Some(Answer::Records(records)) = query(RecordKind::A).read(&bytes) else { panic!("records") };
        assert_eq!(records.addresses, ["10.0.0.2".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn what_is_no_answer_is_told_apart() {
        let srv = query(RecordKind::Srv);
        let coded = |rcode| reply(RecordKind::Srv, |packet| *packet.rcode_mut() = rcode);
        assert_eq!(srv.read(&coded(RCODE::NameError)), Some(Answer::NoSuchName));
        assert!(matches!(srv.read(&coded(RCODE::ServerFailure)), Some(Answer::Refused(_))));
        let cut = reply(RecordKind::Srv, |packet| packet.set_flags(PacketFlag::TRUNCATION));
        assert_eq!(srv.read(&cut), Some(Answer::Truncated));
        assert_eq!(srv.read(&reply(RecordKind::A, |_| ())), Some(Answer::Foreign));
        assert_eq!(srv.read(&srv.encode().unwrap()), Some(Answer::Foreign));
        let other = Query { id: 8, ..query(RecordKind::Srv) };
        assert_eq!(other.read(&reply(RecordKind::Srv, |_| ())), Some(Answer::Foreign));
        let shouted = Query { id: 7, name: "_CEPH-mon._tcp.EXAMPLE.com", kind: RecordKind::Srv };
        let empty = Some(Answer::Records(Records::default()));
        assert_eq!(shouted.read(&reply(RecordKind::Srv, |_| ())), empty);
    }

    #[test]
    fn announced_records_that_cannot_be_there_take_no_memory() {
        let mut bytes = reply(RecordKind::Srv, |_| ());
        bytes[6..12].fill(0xff);
        assert!(!counts_fit(&bytes));
        assert_eq!(query(RecordKind::Srv).read(&bytes), None);
        assert!(!counts_fit(&[0; 11]) && counts_fit(&[0; 12]));
        assert_eq!(query(RecordKind::Srv).read(&vec![0; ANSWER_BYTES_MAX + 1]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            fuzz_answer(&bytes);
        }
    }
}
