//! What it means that a daemon does not take this client, and what to do about it.
//!
//! The rule: whoever waits is told at once what waiting will not mend. A monitor's refusal ends the wait for the cluster; an
//! OSD's is warned about, because the others of the cluster may serve on.

use super::config::ClusterConfig;
use super::connection::ConnectError;
use crate::error::ErrorKind;
use ringbd_proto::auth::{AuthError, AuthMethod, ConMode};
use ringbd_proto::msgr2::{AuthBadMethod, HandshakeError};
use ringbd_proto::types::EntityType;

/// How far a refusal goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The next try may go better.
    Passing,
    /// This address will never take us, and another may.
    Address(Advice),
    /// No daemon of this kind will take us as long as the configuration is what it is.
    Everywhere(Advice),
}

/// What to do about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Advice {
    pub(super) kind: ErrorKind,
    pub(super) hint: String,
}

impl Verdict {
    pub(super) fn advice(self) -> Option<Advice> {
        match self {
            Verdict::Passing => None,
            Verdict::Address(advice) | Verdict::Everywhere(advice) => Some(advice),
        }
    }
}

/// Judges why a daemon of that kind did not take us.
pub(super) fn verdict(config: &ClusterConfig, peer: EntityType, error: &ConnectError) -> Verdict {
    let ConnectError::Handshake(error) = error else { return Verdict::Passing };
    let address = |hint: String| Verdict::Address(Advice { kind: ErrorKind::NotSupported, hint });
    match error {
        HandshakeError::MethodRefused(refusal) => Verdict::Everywhere(not_allowed(config, peer, refusal)),
        HandshakeError::Auth(error) => of_proof(config, error),
        HandshakeError::FirstProtocol
        | HandshakeError::NotCeph { .. }
        | HandshakeError::BannerLength(_)
        | HandshakeError::WrongPeerType { .. } => match peer {
            EntityType::Mon => address(format!(
                "{} should name the monitors' v2 addresses, port 3300; `ceph mon dump` lists them",
                config.monitors
            )),
            EntityType::Mds | EntityType::Osd | EntityType::Client | EntityType::Mgr | EntityType::Auth => {
                address(
                    "does something else listen at its address, or forward what is sent there?".to_owned(),
                )
            }
        },
        HandshakeError::NoRevision1 { .. } | HandshakeError::PeerFeaturesMissing(_) => {
            address("the cluster has to be upgraded".to_owned())
        }
        HandshakeError::MessengerTooNew { .. } | HandshakeError::FeaturesMissing(_) => {
            address("`ceph features` shows what the cluster's daemons and clients can do".to_owned())
        }
        HandshakeError::NoConnectionSecret => {
            address(format!("secure mode needs cephx: set {} = crc", modes_option(peer)))
        }
        HandshakeError::Frame(_)
        | HandshakeError::Malformed(_)
        | HandshakeError::Unexpected { .. }
        | HandshakeError::TooLong(_)
        | HandshakeError::NoAddress
        | HandshakeError::UnknownConMode(_)
        | HandshakeError::ConModeNotOffered(_)
        | HandshakeError::BadSignature
        | HandshakeError::WrongPeer { .. }
        | HandshakeError::WrongPeerNum { .. }
        | HandshakeError::NotLossy
        | HandshakeError::Wait
        | HandshakeError::SessionFault(_)
        | HandshakeError::WrongTarget { .. }
        | HandshakeError::NoClientAddress => Verdict::Passing,
    }
}

/// The exchange of keys failed.
fn of_proof(config: &ClusterConfig, error: &AuthError) -> Verdict {
    let everywhere = |kind, hint| Verdict::Everywhere(Advice { kind, hint });
    match error {
        AuthError::Unsupported(_) | AuthError::Key(_) => {
            let hint = format!("`ceph auth get {}` shows the user's key", config.user);
            everywhere(ErrorKind::NotSupported, hint)
        }
        AuthError::Proof(_)
        | AuthError::LoginRefused(_)
        | AuthError::UnknownUser(_)
        | AuthError::MethodRefused(_)
        | AuthError::Refused { .. } => everywhere(ErrorKind::AccessDenied, key_hint(config)),
        AuthError::ClockSkew { .. } => {
            let hint =
                "set this machine's clock, or the monitors': tickets are good for a limited time".to_owned();
            everywhere(ErrorKind::AccessDenied, hint)
        }
        AuthError::Malformed(_)
        | AuthError::OutOfTurn
        | AuthError::NoTicket(_)
        | AuthError::ReclaimRefused(_)
        | AuthError::TicketRefused(_) => Verdict::Passing,
    }
}

fn key_hint(config: &ClusterConfig) -> String {
    let user = &config.user;
    format!("the key of {user} was taken from {}; compare it with `ceph auth get {user}`", config.key_source)
}

/// The daemon allows another method, or other modes.
fn not_allowed(config: &ClusterConfig, peer: EntityType, refusal: &AuthBadMethod) -> Advice {
    let offers = config.modes(peer);
    let mode_fits = offers.iter().any(|mode| refusal.allowed_modes.contains(&mode.number()));
    let method_fits = refusal.allowed_methods.contains(&refusal.method);
    let hint = if method_fits && !mode_fits {
        let (option, ours) = (modes_option(peer), words(offers.iter().map(|mode| mode_word(*mode))));
        let theirs =
            refusal.allowed_modes.iter().filter_map(|&mode| ConMode::from_number(mode)).map(mode_word);
        let (theirs, origin) = (words(theirs), config.origin(option));
        format!("this client offers {option} = {ours} ({origin}): set {option} = {theirs}")
    } else {
        let ours = AuthMethod::from_number(refusal.method).map_or("another method", method_word);
        let theirs = refusal.allowed_methods.iter().filter_map(|&method| AuthMethod::from_number(method));
        let (theirs, origin) = (words(theirs.map(method_word)), config.origin("auth_client_required"));
        format!(
            "this client offers {ours} (auth_client_required, {origin}): set auth_client_required = {theirs}, and give a \
             key for cephx"
        )
    };
    Advice { kind: ErrorKind::NotSupported, hint }
}

fn modes_option(peer: EntityType) -> &'static str {
    match peer {
        EntityType::Mon | EntityType::Mgr => "ms_mon_client_mode",
        EntityType::Mds | EntityType::Osd | EntityType::Client | EntityType::Auth => "ms_client_mode",
    }
}

fn mode_word(mode: ConMode) -> &'static str {
    match mode {
        ConMode::Crc => "crc",
        ConMode::Secure => "secure",
    }
}

fn method_word(method: AuthMethod) -> &'static str {
    match method {
        AuthMethod::None => "none",
        AuthMethod::Cephx => "cephx",
    }
}

fn words(words: impl Iterator<Item = &'static str>) -> String {
    words.collect::<Vec<_>>().join(" ")
}
