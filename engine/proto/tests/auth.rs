//! Clients against model daemons: every combination of keys and modes, what is refused and how the client is told, and
//! bytes that go wrong on the way.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use ringbd_proto::auth::cephx::{Authorizer, Login, Tickets};
use ringbd_proto::auth::server::{
    ClusterKeys, LoginServer, NoneServer, SECRETS_KEPT, ServiceServer, TicketLives, renew,
};
use ringbd_proto::auth::{
    AuthDone, AuthError, AuthMethod, ClientExchange, ConMode, Credentials, CryptoKey, KeyKind, NoneExchange,
    ServerExchange, ServerStep, SessionSecrets,
};
use ringbd_proto::codec::Decoder;
use ringbd_proto::types::{EntityType, EntityTypes, GlobalId, Utime};
use std::sync::Arc;

const NOW: Utime = Utime { sec: 1_800_000_000, nsec: 7 };
const HOUR_S: u32 = 3600;
const DAY_S: u32 = 24 * HOUR_S;
const KINDS: [KeyKind; 2] = [KeyKind::Aes128, KeyKind::Aes256k];
const MODES: [ConMode; 2] = [ConMode::Crc, ConMode::Secure];

/// Random bytes that follow from a seed.
fn random(seed: u64) -> impl FnMut(&mut [u8]) {
    let mut state = seed;
    move |bytes: &mut [u8]| {
        for byte in bytes {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (state >> 56) as u8;
        }
    }
}

fn after(seconds: u32) -> Utime {
    Utime { sec: NOW.sec + seconds, ..NOW }
}

fn admin(kind: KeyKind, seed: u64) -> Credentials {
    let key = CryptoKey::generate(kind, NOW, &mut random(seed));
    Credentials { user: "client.admin".parse().unwrap(), key }
}

/// A cluster with one user, whose key follows from seed 1.
fn cluster(user_kind: KeyKind, service_kind: KeyKind) -> ClusterKeys {
    let mut keys = ClusterKeys::new(service_kind, TicketLives::default(), NOW, &mut random(2));
    let caps = [(EntityType::Mon, "allow *"), (EntityType::Osd, "allow *")];
    keys.add_user(admin(user_kind, 1), &caps);
    keys
}

/// Who gave up, and why. A client learns of a server's reason only by the result on the wire.
#[derive(Debug)]
enum Failure {
    Client(AuthError),
    Server(AuthError),
}

/// Where a payload can be changed on its way: how many went before it, and it.
type Wire<'a> = &'a mut dyn FnMut(usize, &mut Vec<u8>);

struct Met {
    global_id: GlobalId,
    client: SessionSecrets,
    server: SessionSecrets,
}

/// Runs an exchange to its end, over a wire.
fn meet_over(
    wire: Wire<'_>,
    client: &mut dyn ClientExchange,
    server: &mut dyn ServerExchange,
    con_mode: ConMode,
) -> Result<Met, Failure> {
    let mut payload = client.begin();
    let mut sent = 0;
    let mut pass = |payload: &mut Vec<u8>| {
        wire(sent, payload);
        sent += 1;
    };
    pass(&mut payload);
    let mut step = server.begin(client.method(), con_mode, &payload).map_err(Failure::Server)?;
    loop {
        match step {
            ServerStep::More(mut payload) => {
                pass(&mut payload);
                let mut answer = client.more(&payload).map_err(Failure::Client)?;
                pass(&mut answer);
                step = server.more(&answer).map_err(Failure::Server)?;
            }
            ServerStep::Done { global_id, mut payload, secrets } => {
                pass(&mut payload);
                let done = AuthDone { global_id, con_mode, payload: &payload };
                let client = client.done(done).map_err(Failure::Client)?;
                return Ok(Met { global_id, client, server: secrets });
            }
        }
    }
}

fn meet(
    client: &mut dyn ClientExchange,
    server: &mut dyn ServerExchange,
    con_mode: ConMode,
) -> Result<Met, Failure> {
    meet_over(&mut |_, _| {}, client, server, con_mode)
}

fn new_login(credentials: Credentials, previous: Option<&Arc<Tickets>>, now: Utime) -> Login {
    Login::new(Arc::new(credentials), previous.cloned(), now, &mut random(3))
}

fn login_server(keys: &ClusterKeys, now: Utime) -> LoginServer<impl FnMut(&mut [u8])> {
    LoginServer::new(Arc::new(keys.clone()), GlobalId(4711), now, random(4))
}

fn service_server(keys: &ClusterKeys, now: Utime) -> ServiceServer<impl FnMut(&mut [u8])> {
    ServiceServer::new(Arc::new(keys.clone()), EntityType::Osd, now, random(5))
}

/// Logs in, and in again, with the user's key in the cluster.
fn log_in(keys: &ClusterKeys, kind: KeyKind, previous: Option<&Arc<Tickets>>, now: Utime) -> Arc<Tickets> {
    let mut login = new_login(admin(kind, 1), previous, now);
    meet(&mut login, &mut login_server(keys, now), ConMode::Crc).unwrap();
    Arc::new(login.take_tickets().unwrap())
}

fn authorize(keys: &ClusterKeys, tickets: &Tickets, now: Utime) -> Result<Met, AuthError> {
    let mut client = Authorizer::new(tickets, EntityType::Osd, now, &mut random(6))?;
    match meet(&mut client, &mut service_server(keys, now), ConMode::Secure) {
        Ok(met) => Ok(met),
        Err(Failure::Server(error)) => Err(client.refused(error.wire_result())),
        Err(Failure::Client(error)) => Err(error),
    }
}

/// What a client that the server refuses makes of it.
fn refusal(met: Result<Met, Failure>, refused: impl Fn(i32) -> AuthError) -> AuthError {
    match met {
        Err(Failure::Server(error)) => refused(error.wire_result()),
        Err(Failure::Client(error)) => panic!("the client gave up: {error}"),
        Ok(_) => panic!("nobody refused"),
    }
}

fn assert_same_secrets(met: &Met, con_mode: ConMode, key: &CryptoKey) {
    assert!(met.client == met.server);
    assert_eq!(met.client.signing_key.as_deref(), Some(key.secret()));
    assert_eq!(met.client.connection_secret.is_some(), con_mode == ConMode::Secure);
}

#[test]
fn every_combination_of_keys_and_modes_meets() {
    for (user_kind, service_kind) in KINDS.into_iter().flat_map(|kind| KINDS.map(|other| (kind, other))) {
        for con_mode in MODES {
            let keys = cluster(user_kind, service_kind);
            let mut login = new_login(admin(user_kind, 1), None, NOW);
            let met = meet(&mut login, &mut login_server(&keys, NOW), con_mode).unwrap();
            let tickets = login.take_tickets().unwrap();
            assert_eq!((met.global_id, tickets.global_id()), (GlobalId(4711), GlobalId(4711)));
            let auth = tickets.ticket(EntityType::Auth).unwrap();
            assert_same_secrets(&met, con_mode, auth.session_key());
            assert_eq!(auth.session_key().kind(), service_kind);
            assert_eq!(auth.expires(), after(72 * HOUR_S));
            assert_eq!(tickets.clock_skew_s(), 0);
            let mut client = Authorizer::new(&tickets, EntityType::Osd, NOW, &mut random(7)).unwrap();
            let met = meet(&mut client, &mut service_server(&keys, NOW), con_mode).unwrap();
            assert_eq!(met.global_id, GlobalId(4711));
            let osd = tickets.ticket(EntityType::Osd).unwrap();
            assert_same_secrets(&met, con_mode, osd.session_key());
        }
    }
}

#[test]
fn a_session_goes_on_under_its_global_id() {
    for kind in KINDS {
        let keys = cluster(kind, kind);
        let first = log_in(&keys, kind, None, NOW);
        assert!(!first.login_due(after(54 * HOUR_S - 1)) && first.login_due(after(54 * HOUR_S)));
        let later = after(60 * HOUR_S);
        let mut login = new_login(admin(kind, 1), Some(&first), later);
        let mut server = LoginServer::new(Arc::new(keys.clone()), GlobalId(9999), later, random(8));
        // The new ticket travels encrypted with the old session key.
        meet(&mut login, &mut server, ConMode::Secure).unwrap();
        let second = login.take_tickets().unwrap();
        assert_eq!(second.global_id(), first.global_id());
        assert_eq!(second.ticket(EntityType::Auth).unwrap().expires(), after(132 * HOUR_S));
        assert!(authorize(&keys, &second, later).is_ok());
        assert_eq!(authorize(&keys, &first, later).map(|_| ()), Err(AuthError::NoTicket(EntityType::Osd)));
    }
}

#[test]
fn renewals_replace_what_they_were_asked_for() {
    for kind in KINDS {
        let keys = cluster(kind, kind);
        let first = log_in(&keys, kind, None, NOW);
        assert_eq!(first.due(after(HOUR_S * 3 / 4 - 1)), EntityTypes::default());
        assert_eq!(first.renewal_margin().as_secs(), u64::from(HOUR_S) / 4);
        let end = first.ticket(EntityType::Osd).unwrap().expires();
        assert_eq!(authorize(&keys, &first, end).map(|_| ()), Err(AuthError::NoTicket(EntityType::Osd)));
        let due_at = after(HOUR_S * 3 / 4);
        let all = [EntityType::Mon, EntityType::Osd, EntityType::Mgr];
        assert_eq!(first.due(due_at), EntityTypes::of(&all));
        let request = first.renewal(EntityTypes::of(&[EntityType::Osd]), &mut random(9));
        let (who, answer) = renew(&keys, &request, due_at, &mut random(10)).unwrap();
        assert_eq!(who, first.global_id());
        let second = first.renewed(0, &answer, due_at).unwrap();
        assert_eq!(second.due(due_at), EntityTypes::of(&[EntityType::Mon, EntityType::Mgr]));
        let (old, new) = (first.ticket(EntityType::Osd).unwrap(), second.ticket(EntityType::Osd).unwrap());
        assert_ne!(old.session_key().secret(), new.session_key().secret());
        assert_eq!(new.expires(), after(HOUR_S * 7 / 4));
        assert!(authorize(&keys, &second, after(HOUR_S)).is_ok());
        for at in 0..answer.len() {
            assert!(first.renewed(0, &answer[..at], due_at).is_err(), "{at} of {}", answer.len());
        }
        for at in 0..request.len() {
            assert!(renew(&keys, &request[..at], due_at, &mut random(10)).is_err());
        }
        let error = first.renewed(-13, &[], due_at).unwrap_err();
        assert_eq!(error, AuthError::ReclaimRefused(GlobalId(4711)));
        assert_eq!(first.renewed(-5, &[], due_at).unwrap_err(), AuthError::Refused { result: -5 });
        let error = renew(&keys, &request, after(4 * DAY_S), &mut random(10)).unwrap_err();
        assert_eq!(error, AuthError::TicketRefused(EntityType::Auth));
    }
}

#[test]
fn a_wrong_key_and_an_unknown_user_are_told_apart_from_the_rest() {
    for (kind, wrong_kind) in KINDS.into_iter().flat_map(|kind| KINDS.map(|other| (kind, other))) {
        let keys = cluster(kind, kind);
        let mut login = new_login(admin(wrong_kind, 77), None, NOW);
        let met = meet(&mut login, &mut login_server(&keys, NOW), ConMode::Crc);
        let error = refusal(met, |result| login.refused(result));
        assert_eq!(error, AuthError::LoginRefused("client.admin".parse().unwrap()));
        assert!(error.to_string().contains("client.admin"), "{error}");
        let stranger = Credentials { user: "client.x".parse().unwrap(), key: admin(kind, 1).key };
        let mut login = new_login(stranger, None, NOW);
        let met = meet(&mut login, &mut login_server(&keys, NOW), ConMode::Crc);
        assert!(matches!(&met, Err(Failure::Server(AuthError::UnknownUser(user))) if user.id() == "x"));
        let error = refusal(met, |result| login.refused(result));
        assert_eq!(error, AuthError::LoginRefused("client.x".parse().unwrap()));
        assert_eq!(login.refused(-2), AuthError::UnknownUser("client.x".parse().unwrap()));
        assert_eq!(login.refused(-95), AuthError::MethodRefused(AuthMethod::Cephx));
        assert_eq!(login.refused(-16), AuthError::Refused { result: -16 });
    }
}

#[test]
fn a_monitor_that_lacks_the_users_key_is_found_out() {
    for kind in KINDS {
        let keys = cluster(kind, kind);
        let mut login = new_login(admin(kind, 1), None, NOW);
        let mut imposter = cluster(kind, kind);
        imposter.add_user(admin(kind, 78), &[]);
        let mut server = login_server(&keys, NOW);
        let ServerStep::More(challenge) =
            server.begin(AuthMethod::Cephx, ConMode::Crc, &login.begin()).unwrap()
        else {
            panic!("a challenge comes first")
        };
        login.more(&challenge).unwrap();
        let mut other = new_login(admin(kind, 78), None, NOW);
        let mut payload = Vec::new();
        let tap = &mut |sent: usize, bytes: &mut Vec<u8>| {
            if sent == 3 {
                payload.clone_from(bytes);
            }
        };
        meet_over(tap, &mut other, &mut login_server(&imposter, NOW), ConMode::Crc).unwrap();
        let done = AuthDone { global_id: GlobalId(4711), con_mode: ConMode::Crc, payload: &payload };
        let error = login.done(done).unwrap_err();
        assert!(matches!(error, AuthError::Proof(_)), "{error}");
    }
}

#[test]
fn a_session_that_cannot_go_on_is_refused_as_such() {
    let kind = KeyKind::Aes128;
    let keys = cluster(kind, kind);
    let tickets = log_in(&keys, kind, None, NOW);
    let refused = |keys: &ClusterKeys, now: Utime| {
        let mut login = new_login(admin(kind, 1), Some(&tickets), now);
        let met = meet(&mut login, &mut login_server(keys, now), ConMode::Crc);
        refusal(met, |result| login.refused(result))
    };
    let expected = AuthError::ReclaimRefused(GlobalId(4711));
    assert_eq!(refused(&keys, after(72 * HOUR_S)), expected);
    let mut rotated = keys.clone();
    for _ in 1..SECRETS_KEPT {
        rotated.rotate(EntityType::Auth, NOW, &mut random(11));
    }
    log_in(&rotated, kind, Some(&tickets), NOW);
    rotated.rotate(EntityType::Auth, NOW, &mut random(11));
    assert_eq!(refused(&rotated, NOW), expected);
    let mut rekeyed = keys.clone();
    rekeyed.add_user(admin(kind, 79), &[]);
    assert_eq!(refused(&rekeyed, NOW), expected);
    // A login that starts anew gets in, under another id.
    let mut login = new_login(admin(kind, 1), None, NOW);
    let mut server = LoginServer::new(Arc::new(rotated), GlobalId(4712), NOW, random(12));
    meet(&mut login, &mut server, ConMode::Crc).unwrap();
    assert_eq!(login.take_tickets().unwrap().global_id(), GlobalId(4712));
}

#[test]
fn a_monitor_that_changes_the_global_id_is_not_followed() {
    let keys = cluster(KeyKind::Aes128, KeyKind::Aes128);
    let tickets = log_in(&keys, KeyKind::Aes128, None, NOW);
    for (previous, global_id) in [(Some(&tickets), GlobalId(1)), (None, GlobalId(0))] {
        let mut login = new_login(admin(KeyKind::Aes128, 1), previous, NOW);
        login.begin();
        login.more(&[1; 9]).unwrap();
        let error = login.done(AuthDone { global_id, con_mode: ConMode::Crc, payload: &[] }).unwrap_err();
        assert!(!matches!(error, AuthError::Malformed(_)), "{error}");
    }
}

#[test]
fn a_ticket_outlives_two_rotations_and_a_renewal_helps_after_the_third() {
    let mut keys = cluster(KeyKind::Aes256k, KeyKind::Aes256k);
    let tickets = log_in(&keys, KeyKind::Aes256k, None, NOW);
    for _ in 1..SECRETS_KEPT {
        keys.rotate(EntityType::Osd, NOW, &mut random(13));
        assert!(authorize(&keys, &tickets, NOW).is_ok());
    }
    keys.rotate(EntityType::Osd, NOW, &mut random(13));
    let refused = authorize(&keys, &tickets, NOW).map(|_| ());
    assert_eq!(refused, Err(AuthError::TicketRefused(EntityType::Osd)));
    let request = tickets.renewal(EntityTypes::of(&[EntityType::Osd]), &mut random(14));
    let (_, answer) = renew(&keys, &request, NOW, &mut random(15)).unwrap();
    assert!(authorize(&keys, &tickets.renewed(0, &answer, NOW).unwrap(), NOW).is_ok());
}

#[test]
fn clocks_that_differ_do_no_harm_until_a_service_refuses() {
    let mut keys = cluster(KeyKind::Aes128, KeyKind::Aes128);
    for (client_now, skew_s) in [(after(5 * DAY_S), 432_000), (Utime { sec: 1_000, nsec: 0 }, -1_799_999_000)]
    {
        let mut login = new_login(admin(KeyKind::Aes128, 1), None, client_now);
        meet(&mut login, &mut login_server(&keys, NOW), ConMode::Crc).unwrap();
        let tickets = login.take_tickets().unwrap();
        assert_eq!(tickets.clock_skew_s(), skew_s);
        let mut client = Authorizer::new(&tickets, EntityType::Osd, client_now, &mut random(16)).unwrap();
        assert!(meet(&mut client, &mut service_server(&keys, NOW), ConMode::Crc).is_ok());
        keys.rotate(EntityType::Osd, NOW, &mut random(17));
        let skewed = AuthError::ClockSkew { service: EntityType::Osd, skew_s };
        assert_eq!(client.refused(-13), skewed);
        assert_eq!(client.refused(-5), AuthError::Refused { result: -5 });
    }
}

#[test]
fn a_service_without_secrets_gets_no_tickets_and_no_endless_requests() {
    let mut keys = cluster(KeyKind::Aes128, KeyKind::Aes128);
    keys.forget(EntityType::Mgr);
    let tickets = log_in(&keys, KeyKind::Aes128, None, NOW);
    let error = Authorizer::new(&tickets, EntityType::Mgr, NOW, &mut random(18)).unwrap_err();
    assert_eq!(error, AuthError::NoTicket(EntityType::Mgr));
    assert_eq!(tickets.due(NOW), EntityTypes::default());
    keys.forget(EntityType::Osd);
    let tickets = log_in(&keys, KeyKind::Aes128, None, NOW);
    assert_eq!(tickets.due(NOW), EntityTypes::of(&[EntityType::Osd, EntityType::Mgr]));
    keys.forget(EntityType::Auth);
    let mut login = new_login(admin(KeyKind::Aes128, 1), None, NOW);
    assert!(meet(&mut login, &mut login_server(&keys, NOW), ConMode::Crc).is_err());
}

/// Cuts `bytes` off the end of the list of the services' tickets in a monitor's last word, and mends the length
/// before it.
fn cut_extra(payload: &mut Vec<u8>, bytes: usize) {
    let mut d = Decoder::new("a last word", payload);
    d.bytes(2 + 4 + 1 + 4 + 4 + 1).unwrap();
    d.blob().unwrap();
    d.u8().unwrap();
    d.blob().unwrap();
    d.blob().unwrap();
    let at = d.offset();
    let len = d.u32().unwrap() - u32::try_from(bytes).unwrap();
    payload.truncate(payload.len() - bytes);
    payload[at..at + 4].copy_from_slice(&len.to_le_bytes());
}

#[test]
fn a_list_of_tickets_that_ends_early_gives_what_it_has() {
    let keys = cluster(KeyKind::Aes128, KeyKind::Aes128);
    let mut login = new_login(admin(KeyKind::Aes128, 1), None, NOW);
    let tap = &mut |sent: usize, payload: &mut Vec<u8>| {
        if sent == 3 {
            cut_extra(payload, 1);
        }
    };
    meet_over(tap, &mut login, &mut login_server(&keys, NOW), ConMode::Secure).unwrap();
    let tickets = login.take_tickets().unwrap();
    assert!(authorize(&keys, &tickets, NOW).is_ok());
    let error = Authorizer::new(&tickets, EntityType::Mgr, NOW, &mut random(19)).unwrap_err();
    assert!(matches!(error, AuthError::Malformed(_)), "{error}");
}

#[test]
fn without_authentication_everybody_is_believed_in_crc_mode() {
    let user = || "client.admin".parse().unwrap();
    let exchanges = [
        (NoneExchange::to_monitor(user(), GlobalId(0)), GlobalId(55)),
        (NoneExchange::to_monitor(user(), GlobalId(7)), GlobalId(7)),
        (NoneExchange::to_service(user(), GlobalId(7)), GlobalId(7)),
    ];
    for (mut client, expected) in exchanges {
        let met = meet(&mut client, &mut NoneServer::new(GlobalId(55)), ConMode::Crc).unwrap();
        assert_eq!(met.global_id, expected);
        assert!(met.client == SessionSecrets::default() && met.server == met.client);
        let done = AuthDone { global_id: expected, con_mode: ConMode::Crc, payload: &[] };
        assert_eq!(client.done(done).unwrap_err(), AuthError::OutOfTurn);
        client.begin();
        assert_eq!(client.more(&[]).unwrap_err(), AuthError::OutOfTurn);
        let secure = AuthDone { con_mode: ConMode::Secure, ..done };
        assert!(matches!(client.done(secure), Err(AuthError::Proof(_))));
    }
}

#[test]
fn daemons_refuse_methods_that_they_do_not_allow() {
    let keys = cluster(KeyKind::Aes128, KeyKind::Aes128);
    let mut none = NoneExchange::to_monitor("client.admin".parse().unwrap(), GlobalId(0));
    let met = meet(&mut none, &mut login_server(&keys, NOW), ConMode::Crc);
    assert_eq!(refusal(met, |result| none.refused(result)), AuthError::MethodRefused(AuthMethod::None));
    let met = meet(&mut none, &mut service_server(&keys, NOW), ConMode::Crc);
    assert_eq!(refusal(met, |result| none.refused(result)), AuthError::MethodRefused(AuthMethod::None));
    let mut login = new_login(admin(KeyKind::Aes128, 1), None, NOW);
    let met = meet(&mut login, &mut NoneServer::new(GlobalId(1)), ConMode::Crc);
    assert_eq!(refusal(met, |result| login.refused(result)), AuthError::MethodRefused(AuthMethod::Cephx));
}

#[test]
fn messages_out_of_turn_are_refused() {
    let keys = cluster(KeyKind::Aes128, KeyKind::Aes128);
    let tickets = log_in(&keys, KeyKind::Aes128, None, NOW);
    let mut login = new_login(admin(KeyKind::Aes128, 1), None, NOW);
    let mut authorizer = Authorizer::new(&tickets, EntityType::Osd, NOW, &mut random(20)).unwrap();
    let clients: [&mut dyn ClientExchange; 2] = [&mut login, &mut authorizer];
    let done = AuthDone { global_id: GlobalId(1), con_mode: ConMode::Crc, payload: &[] };
    for client in clients {
        assert_eq!(client.more(&[1; 9]).unwrap_err(), AuthError::OutOfTurn);
        assert_eq!(client.done(done).unwrap_err(), AuthError::OutOfTurn);
        client.begin();
        assert_eq!(client.done(done).unwrap_err(), AuthError::OutOfTurn);
    }
    login.begin();
    login.more(&[1; 9]).unwrap();
    assert_eq!(login.more(&[1; 9]).unwrap_err(), AuthError::OutOfTurn);
    assert_eq!(login_server(&keys, NOW).more(&[]).unwrap_err(), AuthError::OutOfTurn);
    assert_eq!(service_server(&keys, NOW).more(&[]).unwrap_err(), AuthError::OutOfTurn);
    assert_eq!(NoneServer::new(GlobalId(1)).more(&[]).unwrap_err(), AuthError::OutOfTurn);
}

/// Runs a login, or with `tickets` an authorizer, over a wire.
fn attempt(
    keys: &ClusterKeys,
    kind: KeyKind,
    tickets: Option<&Arc<Tickets>>,
    con_mode: ConMode,
    wire: Wire<'_>,
) -> Result<Met, Failure> {
    match tickets {
        None => {
            let mut client = new_login(admin(kind, 1), None, NOW);
            meet_over(wire, &mut client, &mut login_server(keys, NOW), con_mode)
        }
        Some(tickets) => {
            let mut client = Authorizer::new(tickets, EntityType::Osd, NOW, &mut random(21)).unwrap();
            meet_over(wire, &mut client, &mut service_server(keys, NOW), con_mode)
        }
    }
}

#[test]
fn a_payload_cut_short_anywhere_is_refused() {
    for kind in KINDS {
        let keys = cluster(kind, kind);
        let tickets = log_in(&keys, kind, None, NOW);
        for tickets in [None, Some(&tickets)] {
            for victim in 0..4 {
                let mut len = 0;
                attempt(&keys, kind, tickets, ConMode::Secure, &mut |sent, payload: &mut Vec<u8>| {
                    if sent == victim {
                        len = payload.len();
                    }
                })
                .unwrap();
                assert!(len > 8, "payload {victim} has {len} bytes");
                for cut in 0..len {
                    let met = attempt(&keys, kind, tickets, ConMode::Secure, &mut |sent, payload| {
                        if sent == victim {
                            payload.truncate(cut);
                        }
                    });
                    assert!(met.is_err(), "payload {victim} cut at {cut} of {len} was accepted");
                }
            }
        }
    }
}

proptest! {
    /// Whatever changes on the way, nobody panics; and with keys whose cipher checks integrity, the ends either
    /// agree on their secrets or one of them notices. (The signature over the whole handshake finds the rest.)
    #[test]
    fn changed_bytes_do_no_harm(
        changes in proptest::collection::vec((0_usize..4, any::<prop::sample::Index>(), any::<u8>()), 1..4),
        aes256k: bool,
        service: bool,
        secure: bool,
    ) {
        let kind = if aes256k { KeyKind::Aes256k } else { KeyKind::Aes128 };
        let con_mode = if secure { ConMode::Secure } else { ConMode::Crc };
        let keys = cluster(kind, kind);
        let tickets = log_in(&keys, kind, None, NOW);
        let met = attempt(&keys, kind, service.then_some(&tickets), con_mode, &mut |sent, payload| {
            for (_, at, change) in changes.iter().filter(|(victim, _, _)| *victim == sent) {
                let at = at.index(payload.len());
                payload[at] ^= change;
            }
        });
        if let (Ok(met), true) = (met, aes256k) {
            prop_assert!(met.client == met.server);
        }
    }

    /// Tickets are valid and due exactly when a naive reckoning in nanoseconds says so.
    #[test]
    fn lives_are_reckoned_from_arrival(
        arrival_s in 0_u32..4_000_000_000, arrival_ns in 0_u32..1_000_000_000,
        probe_s in 0_u32..20_000, probe_ns in 0_u32..1_000_000_000,
        life_s in 0_u64..10_000,
    ) {
        const NS: u64 = 1_000_000_000;
        let lives = TicketLives { service: std::time::Duration::from_secs(life_s), ..TicketLives::default() };
        let mut keys = ClusterKeys::new(KeyKind::Aes128, lives, NOW, &mut random(22));
        keys.add_user(admin(KeyKind::Aes128, 1), &[]);
        let arrival = Utime { sec: arrival_s, nsec: arrival_ns };
        let tickets = log_in_at(&keys, arrival);
        let elapsed = u64::from(probe_s) * NS + u64::from(probe_ns);
        let probe = Utime::from(arrival.as_duration() + std::time::Duration::from_nanos(elapsed));
        let valid = Authorizer::new(&tickets, EntityType::Osd, probe, &mut random(23)).is_ok();
        prop_assert_eq!(valid, elapsed < life_s * NS);
        let due = tickets.due(probe).contains(EntityType::Osd);
        prop_assert_eq!(due, elapsed >= life_s * NS - life_s * NS / 4);
    }
}

/// Logs in by a clock that differs from the monitor's.
fn log_in_at(keys: &ClusterKeys, now: Utime) -> Tickets {
    let mut login = new_login(admin(KeyKind::Aes128, 1), None, now);
    meet(&mut login, &mut login_server(keys, NOW), ConMode::Crc).unwrap();
    login.take_tickets().unwrap()
}

#[test]
fn secrets_are_never_printed() {
    for kind in KINDS {
        let keys = cluster(kind, kind);
        let tickets = log_in(&keys, kind, None, NOW);
        let login = new_login(admin(kind, 1), Some(&tickets), NOW);
        let authorizer = Authorizer::new(&tickets, EntityType::Osd, NOW, &mut random(24)).unwrap();
        let printed = format!("{login:?} {authorizer:?} {keys:?} {tickets:?} {:?}", admin(kind, 1));
        let own = admin(kind, 1).key;
        let mut secrets = vec![own.secret()];
        for service in [EntityType::Auth, EntityType::Mon, EntityType::Osd, EntityType::Mgr] {
            secrets.push(tickets.ticket(service).unwrap().session_key().secret());
        }
        for secret in secrets {
            let start = format!("{:?}", &secret[..4]);
            assert!(!printed.contains(start.trim_matches(['[', ']'])), "{printed}");
        }
    }
}

#[test]
fn nobody_takes_anothers_global_id() {
    let kind = KeyKind::Aes128;
    let keys = cluster(kind, kind);
    let tickets = log_in(&keys, kind, None, NOW);
    let claim = |previous: Option<&Arc<Tickets>>, claimed: u64| {
        let mut login = new_login(admin(kind, 1), previous, NOW);
        let tap = &mut |sent: usize, payload: &mut Vec<u8>| {
            if sent == 0 {
                let at = payload.len() - 8;
                payload[at..].copy_from_slice(&claimed.to_le_bytes());
            }
        };
        match meet_over(tap, &mut login, &mut login_server(&keys, NOW), ConMode::Crc) {
            Err(Failure::Server(error)) => error,
            Err(Failure::Client(error)) => panic!("the client gave up: {error}"),
            Ok(_) => panic!("the claim of {claimed} was accepted"),
        }
    };
    assert_eq!(claim(None, 5), AuthError::ReclaimRefused(GlobalId(5)));
    assert_eq!(claim(Some(&tickets), 5), AuthError::ReclaimRefused(GlobalId(5)));
    assert_eq!(claim(Some(&tickets), 0), AuthError::Refused { result: -22 });
    let tap = &mut |sent: usize, payload: &mut Vec<u8>| {
        if sent == 0 {
            payload[1] ^= 1;
        }
    };
    let met = attempt(&keys, kind, Some(&tickets), ConMode::Crc, tap);
    assert!(matches!(met, Err(Failure::Server(AuthError::Proof(_)))));
}

#[test]
fn a_recorded_authorizer_cannot_be_played_again() {
    for kind in KINDS {
        let keys = cluster(kind, kind);
        let tickets = log_in(&keys, kind, None, NOW);
        let mut recorded = Vec::new();
        let tap = &mut |sent: usize, payload: &mut Vec<u8>| {
            if sent.is_multiple_of(2) {
                recorded.push(payload.clone());
            }
        };
        attempt(&keys, kind, Some(&tickets), ConMode::Crc, tap).unwrap();
        let [first, second] = &recorded[..] else { panic!("a client says two things") };
        let mut server = ServiceServer::new(Arc::new(keys.clone()), EntityType::Osd, NOW, random(25));
        server.begin(AuthMethod::Cephx, ConMode::Crc, first).unwrap();
        let error = server.more(second).unwrap_err();
        assert_eq!(error, AuthError::Proof("the client's proof is not for our challenge"));
        server.begin(AuthMethod::Cephx, ConMode::Crc, first).unwrap();
        assert!(server.more(first).is_err());
        // A ticket for one service is no good at another.
        let mut manager = ServiceServer::new(Arc::new(keys), EntityType::Mgr, NOW, random(26));
        let error = manager.begin(AuthMethod::Cephx, ConMode::Crc, first).unwrap_err();
        assert_eq!(error, AuthError::TicketRefused(EntityType::Mgr));
    }
}
