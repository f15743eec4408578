//! The tickets of a client.

use super::wire::TicketBlob;
use crate::auth::AuthError;
use crate::auth::key::{CryptoKey, KeyUsage};
use crate::codec::Decoder;
use crate::types::{EntityType, EntityTypes, GlobalId, Utime};
use std::time::Duration;

/// What a client of the data path asks tickets for, beside that of the authentication service.
pub const TICKETS_WANTED: &[EntityType] = &[EntityType::Mon, EntityType::Osd, EntityType::Mgr];

/// How far our clock may be from a monitor's before a refused ticket is blamed on it. Newer services refuse tickets
/// that were made further than this from their own time.
pub const CLOCK_SKEW_S_MAX: i64 = 300;

/// A ticket for one service.
#[derive(Clone, Debug)]
pub struct Ticket {
    pub(super) service: EntityType,
    pub(super) session_key: CryptoKey,
    pub(super) blob: TicketBlob,
    expires: Utime,
    renew_after: Utime,
}

impl Ticket {
    /// The service that it is for.
    pub fn service(&self) -> EntityType {
        self.service
    }

    /// Which of the service's secrets decrypts it.
    pub fn secret_id(&self) -> u64 {
        self.blob.secret_id
    }

    /// The key that the client and the service share.
    pub fn session_key(&self) -> &CryptoKey {
        &self.session_key
    }

    /// From when on it is worthless, by the clock that the caller reads.
    pub fn expires(&self) -> Utime {
        self.expires
    }

    /// From when on it should be renewed: the last quarter of its life.
    pub fn renew_after(&self) -> Utime {
        self.renew_after
    }

    fn new(service: EntityType, session_key: CryptoKey, blob: TicketBlob, now: Utime, life: Utime) -> Ticket {
        let expires = now.as_duration().saturating_add(life.as_duration());
        let renew_after = expires.saturating_sub(life.as_duration() / 4);
        Ticket { service, session_key, blob, expires: expires.into(), renew_after: renew_after.into() }
    }
}

/// All tickets of a client at one time: an immutable snapshot. Renewals and logins make a new one.
#[derive(Clone, Debug)]
pub struct Tickets {
    pub(super) global_id: GlobalId,
    /// The authentication service's own.
    pub(super) auth: Ticket,
    /// One for each service at most.
    pub(super) services: Vec<Ticket>,
    /// Seconds that our clock was ahead of the monitor's at the login.
    pub(super) skew_s: i64,
    /// Why the monitor's last list could not be read to its end.
    pub(super) unread: Option<AuthError>,
}

impl Tickets {
    /// What the monitors call this client.
    pub fn global_id(&self) -> GlobalId {
        self.global_id
    }

    /// The ticket for a service, whether it is still valid or not.
    pub fn ticket(&self, service: EntityType) -> Option<&Ticket> {
        match service {
            EntityType::Auth => Some(&self.auth),
            EntityType::Mon | EntityType::Mds | EntityType::Osd | EntityType::Client | EntityType::Mgr => {
                self.services.iter().find(|ticket| ticket.service == service)
            }
        }
    }

    /// The ticket for a service, as long as it is valid.
    pub(super) fn valid(&self, service: EntityType, now: Utime) -> Result<&Ticket, AuthError> {
        match self.ticket(service) {
            Some(ticket) if now < ticket.expires => Ok(ticket),
            Some(_) => Err(AuthError::NoTicket(service)),
            None => Err(self.unread.clone().unwrap_or(AuthError::NoTicket(service))),
        }
    }

    /// The services whose tickets should be asked for now. The manager's ticket alone is never worth asking for: young
    /// clusters have none to give, and asking again at once would not end.
    pub fn due(&self, now: Utime) -> EntityTypes {
        let due = |service: &EntityType| match self.ticket(*service) {
            Some(ticket) => now >= ticket.renew_after,
            None => true,
        };
        let services: Vec<EntityType> = TICKETS_WANTED.iter().copied().filter(due).collect();
        if services == [EntityType::Mgr] { EntityTypes::default() } else { EntityTypes::of(&services) }
    }

    /// Whether the client should log in again with these tickets, so that it can go on under its global id: the
    /// ticket of the authentication service nears its end, and renewals do not extend it.
    pub fn login_due(&self, now: Utime) -> bool {
        now >= self.auth.renew_after
    }

    /// For how long the ticket that lives shortest is due before it ends: who looks more often renews it in time.
    pub fn renewal_margin(&self) -> Duration {
        let all = self.services.iter().chain([&self.auth]);
        let margin =
            |ticket: &Ticket| ticket.expires.as_duration().saturating_sub(ticket.renew_after.as_duration());
        all.map(margin).min().expect("there is a ticket of our own")
    }

    /// Seconds that our clock was ahead of the monitor's at the login; negative when it was behind. Tickets do not
    /// suffer from it, because their lives are counted from their arrival.
    pub fn clock_skew_s(&self) -> i64 {
        self.skew_s
    }

    /// Takes in `tickets` in place of the old ones for the same services. That of the authentication service comes with
    /// logins only.
    pub(super) fn replace(&mut self, tickets: Vec<Ticket>) {
        for ticket in tickets.into_iter().filter(|ticket| ticket.service != EntityType::Auth) {
            self.services.retain(|old| old.service != ticket.service);
            self.services.push(ticket);
        }
    }
}

/// Reads a list of tickets, encrypted with `key`, onto the end of `tickets`. What was read before an error is good.
pub(super) fn decode_tickets(
    d: &mut Decoder<'_>,
    key: &CryptoKey,
    previous: Option<&Tickets>,
    now: Utime,
    tickets: &mut Vec<Ticket>,
) -> Result<(), AuthError> {
    /// Service, version, two lengths and the flag between them.
    const TICKET_BYTES_MIN: usize = 4 + 1 + 4 + 1 + 4;
    d.u8()?;
    for _ in 0..d.count(TICKET_BYTES_MIN)? {
        let service = EntityType::from_bit(d.u32()?);
        d.u8()?;
        let sealed_key = d.blob()?;
        let encrypted = d.bool()?;
        let blob = d.blob()?;
        // A service that ringbd never talks to.
        let Some(service) = service else { continue };
        let (session_key, life) = key.open(KeyUsage::SessionKey, sealed_key, |d| {
            d.u8()?;
            Ok((CryptoKey::decode(d)?, Utime::decode(d)?))
        })?;
        let blob = if encrypted {
            let old = previous.and_then(|tickets| tickets.ticket(service));
            let old =
                old.ok_or(AuthError::Proof("a ticket is encrypted with a session key that we never had"))?;
            old.session_key
                .open(KeyUsage::TicketBlob, blob, |d| Ok(TicketBlob::decode(&mut d.nested("a ticket")?)?))?
        } else {
            TicketBlob::decode(&mut Decoder::new("a ticket", blob))?
        };
        tickets.retain(|old| old.service != service);
        tickets.push(Ticket::new(service, session_key, blob, now, life));
    }
    Ok(())
}
