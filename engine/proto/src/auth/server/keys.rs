//! The keys of a cluster: those of its users, and the rotating secrets of its services.

use super::ticket_info::TicketInfo;
use crate::auth::cephx::wire::TicketBlob;
use crate::auth::key::{Confounder, CryptoKey, KeyKind, KeyUsage};
use crate::auth::{AuthError, CephUser, Credentials, Random};
use crate::codec::Encoder;
use crate::types::{EntityType, EntityTypes, GlobalId, Utime};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// Secrets of a service that still decrypt tickets: tickets live through two rotations and no more.
pub const SECRETS_KEPT: usize = 3;

/// How long tickets live.
#[derive(Clone, Copy, Debug)]
pub struct TicketLives {
    /// That of the authentication service.
    pub login: Duration,
    /// Those of other services.
    pub service: Duration,
}

impl Default for TicketLives {
    /// As Ceph's monitors are configured by default.
    fn default() -> TicketLives {
        TicketLives { login: Duration::from_secs(72 * 3600), service: Duration::from_secs(3600) }
    }
}

/// What the daemons of a cluster know.
#[derive(Clone, Debug)]
pub struct ClusterKeys {
    kind: KeyKind,
    lives: TicketLives,
    users: HashMap<CephUser, User>,
    /// By the service's bit; the newest secret has the highest id.
    secrets: BTreeMap<u8, BTreeMap<u64, CryptoKey>>,
}

#[derive(Clone, Debug)]
struct User {
    key: CryptoKey,
    /// Capabilities by service.
    caps: Vec<(EntityType, String)>,
}

/// A new ticket, with what goes to the client beside it.
#[derive(Debug)]
pub(super) struct Issued {
    pub(super) service: EntityType,
    pub(super) session_key: CryptoKey,
    life: Utime,
    blob: TicketBlob,
}

impl ClusterKeys {
    /// A cluster without users. Its services' secrets and session keys are of that kind.
    pub fn new(kind: KeyKind, lives: TicketLives, now: Utime, random: &mut dyn Random) -> ClusterKeys {
        let mut keys = ClusterKeys { kind, lives, users: HashMap::new(), secrets: BTreeMap::new() };
        for service in [EntityType::Auth, EntityType::Mon, EntityType::Osd, EntityType::Mgr] {
            keys.rotate(service, now, random);
        }
        keys
    }

    /// Lets a user in, or gives it another key.
    pub fn add_user(&mut self, credentials: Credentials, caps: &[(EntityType, &str)]) {
        let caps = caps.iter().map(|(service, caps)| (*service, (*caps).to_owned())).collect();
        self.users.insert(credentials.user, User { key: credentials.key, caps });
    }

    /// Gives a service a new secret and forgets the oldest beyond [`SECRETS_KEPT`].
    pub fn rotate(&mut self, service: EntityType, now: Utime, random: &mut dyn Random) {
        let secrets = self.secrets.entry(service.bit()).or_default();
        let id = secrets.keys().next_back().map_or(1, |newest| newest + 1);
        secrets.insert(id, CryptoKey::generate(self.kind, now, random));
        while secrets.len() > SECRETS_KEPT {
            secrets.pop_first();
        }
    }

    /// Takes all secrets from a service, so that no tickets for it can be given.
    pub fn forget(&mut self, service: EntityType) {
        self.secrets.remove(&service.bit());
    }

    pub(super) fn user_key(&self, user: &CephUser) -> Option<&CryptoKey> {
        self.users.get(user).map(|user| &user.key)
    }

    /// Decrypts a ticket for `service` and checks that it is valid.
    pub(super) fn open_ticket(
        &self,
        service: EntityType,
        ticket: &TicketBlob,
        now: Utime,
    ) -> Result<TicketInfo, AuthError> {
        let secret = self.secrets.get(&service.bit()).and_then(|secrets| secrets.get(&ticket.secret_id));
        let secret = secret.ok_or(AuthError::TicketRefused(service))?;
        let info = secret.open(KeyUsage::TicketInfo, &ticket.blob, TicketInfo::decode)?;
        if now < info.expires { Ok(info) } else { Err(AuthError::TicketRefused(service)) }
    }

    /// Makes a ticket for a service; `None` without a secret of the service.
    pub(super) fn issue(
        &self,
        service: EntityType,
        user: &CephUser,
        global_id: GlobalId,
        now: Utime,
        random: &mut dyn Random,
    ) -> Option<Issued> {
        let (secret_id, secret) = self.secrets.get(&service.bit())?.last_key_value()?;
        let life = match service {
            EntityType::Auth => self.lives.login,
            EntityType::Mon | EntityType::Mds | EntityType::Osd | EntityType::Client | EntityType::Mgr => {
                self.lives.service
            }
        };
        let caps = self.users.get(user).and_then(|user| user.caps.iter().find(|(of, _)| *of == service));
        let info = TicketInfo {
            user: user.clone(),
            global_id,
            created: now,
            expires: now.as_duration().saturating_add(life).into(),
            caps: caps.map(|(_, caps)| caps.clone()),
            session_key: CryptoKey::generate(self.kind, now, random),
        };
        let confounder = Confounder::draw(random);
        let blob = secret.seal(KeyUsage::TicketInfo, &confounder, |e| info.encode(e));
        Some(Issued {
            service,
            session_key: info.session_key,
            life: life.into(),
            blob: TicketBlob { secret_id: *secret_id, blob },
        })
    }

    /// Makes tickets for those of `services` that have secrets. The authentication service's own is given by logins
    /// only.
    pub(super) fn issue_all(
        &self,
        services: EntityTypes,
        user: &CephUser,
        global_id: GlobalId,
        now: Utime,
        random: &mut dyn Random,
    ) -> Vec<Issued> {
        [EntityType::Mon, EntityType::Mds, EntityType::Osd, EntityType::Mgr]
            .into_iter()
            .filter(|service| services.contains(*service))
            .filter_map(|service| self.issue(service, user, global_id, now, random))
            .collect()
    }
}

/// Writes a list of tickets with their session keys encrypted with `key`, and the tickets with `old` if there is
/// such a key.
pub(super) fn encode_tickets(
    e: &mut Encoder<'_>,
    key: &CryptoKey,
    old: Option<&CryptoKey>,
    issued: &[Issued],
    random: &mut dyn Random,
) {
    e.u8(1).list(issued.iter(), |e, ticket| {
        e.u32(ticket.service.bit().into()).u8(1);
        e.blob(&key.seal(KeyUsage::SessionKey, &Confounder::draw(random), |e| {
            e.u8(1);
            ticket.session_key.encode(e);
            ticket.life.encode(e);
        }));
        e.bool(old.is_some());
        match old {
            Some(old) => e.blob(&old.seal(KeyUsage::TicketBlob, &Confounder::draw(random), |e| {
                e.nested(|e| ticket.blob.encode(e));
            })),
            None => e.nested(|e| ticket.blob.encode(e)),
        };
    });
}
