//! Authentication: keyrings, and what the two ends of an exchange say to each other.
//!
//! Most of what travels is encrypted, and random bytes never decrypt. So where it says so, a target encrypts pieces
//! of its input with the keys that the other end has, as a peer that knows the keys and means harm could.

use ringbd_proto::auth::cephx::{Authorizer, Login, Tickets};
use ringbd_proto::auth::server::{ClusterKeys, LoginServer, NoneServer, ServiceServer, TicketLives, renew};
use ringbd_proto::auth::{
    AuthDone, AuthMethod, ClientExchange, ConMode, Confounder, Credentials, CryptoKey, KeyKind, KeyUsage,
    Keyring, NoneExchange, ServerExchange, ServerStep,
};
use ringbd_proto::codec::Encoder;
use ringbd_proto::types::{EntityType, GlobalId, Utime};
use std::sync::Arc;

const NOW: Utime = Utime { sec: 1_800_000_000, nsec: 0 };
const GLOBAL_ID: GlobalId = GlobalId(4711);
const CONFOUNDER: Confounder = Confounder([7; 16]);

/// A keyring parses or is refused with a line that it has, and a key that it gives prints as itself.
pub fn keyring(bytes: &[u8]) {
    let lines = bytes.split(|byte| matches!(byte, b'\n' | b'\r')).count();
    match Keyring::parse(bytes) {
        Ok(keyring) => {
            for entry in keyring.entries() {
                assert!((1..=lines).contains(&(entry.line as usize)), "line {}", entry.line);
                match keyring.key(&entry.user).expect("the entry's user is there") {
                    Ok(key) => same_key(key),
                    Err(error) => {
                        assert!((1..=lines).contains(&(error.line as usize)), "{error}");
                        assert!(!error.to_string().contains('\n'), "{error}");
                    }
                }
            }
        }
        Err(error) => assert!((1..=lines).contains(&(error.line as usize)), "{error}"),
    }
    if let Ok(key) = CryptoKey::from_key_file(bytes) {
        same_key(&key);
    }
}

fn same_key(key: &CryptoKey) {
    let again = CryptoKey::from_base64(&key.to_base64()).expect("a printed key parses");
    assert_eq!((again.secret(), again.created()), (key.secret(), key.created()));
}

/// What a client is told. The first byte chooses the keys, the mode and the exchange; the rest is cut into payloads.
pub fn auth_client(bytes: &[u8]) {
    let mut input = Input(bytes);
    let (kind, con_mode, choice) = input.choices();
    match choice {
        0 => {
            let mut login = login(kind, None);
            login.begin();
            drop(login.more(input.piece()));
            finish(&mut login, con_mode, input.piece());
        }
        1 => {
            let mut login = login(kind, None);
            login.begin();
            login.more(&[1; 9]).expect("a challenge is 9 bytes");
            let payload = sealed_tickets(kind, &mut input);
            finish(&mut login, con_mode, &payload);
        }
        2 => {
            let tickets = tickets(kind);
            let key = tickets.ticket(EntityType::Osd).expect("the model gives one").session_key();
            let mut client =
                Authorizer::new(&tickets, EntityType::Osd, NOW, &mut random()).expect("it is valid");
            client.begin();
            let challenge = seal(key, KeyUsage::AuthorizeChallenge, input.piece());
            if client.more(&challenge).is_ok() {
                let proof = seal(key, KeyUsage::AuthorizeReply, input.piece());
                let payload = Encoder::to_vec(|e| {
                    e.blob(&proof);
                });
                finish(&mut client, con_mode, &payload);
            }
        }
        3 => {
            let tickets = tickets(kind);
            if let Ok(renewed) = tickets.renewed(0, input.0, NOW) {
                assert_eq!(renewed.global_id(), tickets.global_id());
            }
        }
        _ => {
            // The tickets of a session that goes on are encrypted with its old session key.
            let old = Arc::new(tickets(kind));
            let mut login = login(kind, Some(&old));
            login.begin();
            login.more(&[1; 9]).expect("a challenge is 9 bytes");
            let payload = continued_tickets(kind, &old, &mut input);
            finish(&mut login, con_mode, &payload);
        }
    }
}

fn finish(client: &mut dyn ClientExchange, con_mode: ConMode, payload: &[u8]) {
    if let Ok(secrets) = client.done(AuthDone { global_id: GLOBAL_ID, con_mode, payload }) {
        assert!(secrets.signing_key.is_some());
        assert_eq!(secrets.connection_secret.is_some(), con_mode == ConMode::Secure);
    }
}

/// A monitor's last word, whose encrypted parts hold pieces of the input.
fn sealed_tickets(kind: KeyKind, input: &mut Input<'_>) -> Vec<u8> {
    let session_key = CryptoKey::generate(kind, NOW, &mut random());
    let first = seal(&admin(kind).key, KeyUsage::SessionKey, &ticket_key(&session_key, input.piece()));
    let secret = seal(&session_key, KeyUsage::ConnectionSecret, input.piece());
    let service = seal(&session_key, KeyUsage::SessionKey, input.piece());
    Encoder::to_vec(|e| {
        e.u16(0x0100).i32(0).u8(1).u32(1).u32(EntityType::Auth.bit().into()).u8(1).blob(&first);
        e.u8(0).blob(input.piece());
        e.nested(|e| {
            e.blob(&secret);
        });
        e.nested(|e| {
            e.u8(1).u32(2).u32(EntityType::Osd.bit().into()).u8(1).blob(&service).u8(0).blob(input.piece());
            e.bytes(input.0);
        });
    })
}

/// A monitor's last word to a client that goes on, whose ticket holds a piece of the input.
fn continued_tickets(kind: KeyKind, old: &Tickets, input: &mut Input<'_>) -> Vec<u8> {
    let session_key = CryptoKey::generate(kind, NOW, &mut random());
    let first = seal(&admin(kind).key, KeyUsage::SessionKey, &ticket_key(&session_key, &[]));
    let old_key = old.ticket(EntityType::Auth).expect("a login gives it").session_key();
    let ticket = seal(old_key, KeyUsage::TicketBlob, input.piece());
    Encoder::to_vec(|e| {
        e.u16(0x0100).i32(0).u8(1).u32(1).u32(EntityType::Auth.bit().into()).u8(1).blob(&first);
        e.u8(1).blob(&ticket).bytes(input.0);
    })
}

/// A session key as a ticket's other half says it, with `change` mixed into it.
fn ticket_key(session_key: &CryptoKey, change: &[u8]) -> Vec<u8> {
    let mut plain = Encoder::to_vec(|e| {
        e.u8(1);
        session_key.encode(e);
        e.u32(3600).u32(0);
    });
    for (byte, change) in plain.iter_mut().zip(change) {
        *byte ^= change;
    }
    plain
}

/// What a daemon is told. The first byte chooses the keys, the mode and the daemon; the rest is cut into payloads.
pub fn auth_server(bytes: &[u8]) {
    let mut input = Input(bytes);
    let (kind, con_mode, choice) = input.choices();
    let keys = cluster(kind);
    match choice {
        0 => converse(
            &mut LoginServer::new(keys, GLOBAL_ID, NOW, random()),
            AuthMethod::Cephx,
            con_mode,
            input,
        ),
        1 => {
            let mut server = ServiceServer::new(keys, EntityType::Osd, NOW, random());
            converse(&mut server, AuthMethod::Cephx, con_mode, input);
        }
        2 => drop(renew(&keys, input.0, NOW, &mut random())),
        3 => converse(&mut NoneServer::new(GLOBAL_ID), AuthMethod::None, con_mode, input),
        _ => {
            // The first secret that the cluster draws is the authentication service's.
            let secret = CryptoKey::generate(kind, NOW, &mut random());
            let ticket = seal(&secret, KeyUsage::TicketInfo, input.piece());
            let request = Encoder::to_vec(|e| {
                e.u16(0x0200).u8(1).u64(GLOBAL_ID.0).u32(EntityType::Auth.bit().into());
                e.u8(1).u64(1).blob(&ticket).bytes(input.0);
            });
            drop(renew(&keys, &request, NOW, &mut random()));
        }
    }
    let mut client = NoneExchange::to_service(admin(kind).user, GLOBAL_ID);
    client.begin();
    drop(client.done(AuthDone { global_id: GLOBAL_ID, con_mode, payload: bytes }));
}

fn converse(server: &mut dyn ServerExchange, method: AuthMethod, con_mode: ConMode, mut input: Input<'_>) {
    if let Ok(ServerStep::More(_)) = server.begin(method, con_mode, input.piece())
        && let Ok(ServerStep::Done { secrets, .. }) = server.more(input.piece())
    {
        assert_eq!(secrets.connection_secret.is_some(), con_mode == ConMode::Secure);
    }
}

/// An input that is taken in pieces.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// What the first byte chooses: the kind of all keys, the connection's mode, and one of five ways to go on.
    fn choices(&mut self) -> (KeyKind, ConMode, u8) {
        let first = self.0.split_off_first().copied().unwrap_or(0);
        let kind = if first & 1 == 0 { KeyKind::Aes128 } else { KeyKind::Aes256k };
        let con_mode = if first & 2 == 0 { ConMode::Crc } else { ConMode::Secure };
        (kind, con_mode, (first >> 2) % 5)
    }

    /// The next piece, behind a 16-bit length that is cut to what there is.
    fn piece(&mut self) -> &'a [u8] {
        let len = self.0.split_off(..2).map_or(0, |len| usize::from(u16::from_le_bytes([len[0], len[1]])));
        self.0.split_off(..len.min(self.0.len())).unwrap_or_default()
    }
}

fn seal(key: &CryptoKey, usage: KeyUsage, plain: &[u8]) -> Vec<u8> {
    key.seal(usage, &CONFOUNDER, |e| {
        e.bytes(plain);
    })
}

/// Random bytes that are the same every time.
fn random() -> impl FnMut(&mut [u8]) {
    let mut next = 0_u8;
    move |bytes: &mut [u8]| {
        for byte in bytes {
            next = next.wrapping_mul(5).wrapping_add(77);
            *byte = next;
        }
    }
}

fn admin(kind: KeyKind) -> Credentials {
    let key = match kind {
        KeyKind::Aes128 => CryptoKey::aes128(NOW, [3; 16]),
        KeyKind::Aes256k => CryptoKey::aes256k(NOW, [3; 32]),
    };
    Credentials { user: "client.admin".parse().expect("it is a user"), key }
}

fn login(kind: KeyKind, previous: Option<&Arc<Tickets>>) -> Login {
    Login::new(Arc::new(admin(kind)), previous.cloned(), NOW, &mut random())
}

fn cluster(kind: KeyKind) -> Arc<ClusterKeys> {
    let mut keys = ClusterKeys::new(kind, TicketLives::default(), NOW, &mut random());
    keys.add_user(admin(kind), &[(EntityType::Osd, "allow *")]);
    Arc::new(keys)
}

/// The tickets of a client that logged in.
fn tickets(kind: KeyKind) -> Tickets {
    let mut server = LoginServer::new(cluster(kind), GLOBAL_ID, NOW, random());
    let mut client = login(kind, None);
    let Ok(ServerStep::More(challenge)) = server.begin(AuthMethod::Cephx, ConMode::Crc, &client.begin())
    else {
        panic!("a login is challenged")
    };
    let answer = client.more(&challenge).expect("the challenge is good");
    let Ok(ServerStep::Done { global_id, payload, .. }) = server.more(&answer) else {
        panic!("the answer is good")
    };
    client
        .done(AuthDone { global_id, con_mode: ConMode::Crc, payload: &payload })
        .expect("the tickets are good");
    client.take_tickets().expect("it is done")
}
