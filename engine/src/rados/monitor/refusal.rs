//! What a user is told when no monitor takes the client.

use super::hunt::Refused;
use crate::error::{Error, ErrorKind};
use crate::rados::config::ClusterConfig;
use crate::rados::connection::ConnectError;
use ringbd_proto::auth::AuthError;
use ringbd_proto::msgr2::{AuthBadMethod, HandshakeError};
use ringbd_proto::types::Fsid;
use std::time::Duration;

/// The error of an answer that no further try will change: a wrong key, a method that is not allowed, a daemon that does not
/// speak our protocol.
pub(super) fn final_answer(config: &ClusterConfig, refused: &Refused) -> Option<Error> {
    let ConnectError::Handshake(error) = &refused.error else { return None };
    let wrong = |kind, hint: String| Some(Error::new(kind, "connect to", refused.addr, error).hint(hint));
    match error {
        HandshakeError::MethodRefused(refusal) => Some(method_refused(config, refused, refusal)),
        HandshakeError::Auth(auth) => match auth {
            AuthError::Proof(_) => wrong(ErrorKind::PermissionDenied, key_hint(config)),
            AuthError::Unsupported(_) | AuthError::Key(_) => {
                wrong(ErrorKind::NotSupported, "`ceph auth get` shows the user's key".to_owned())
            }
            AuthError::LoginRefused(_)
            | AuthError::UnknownUser(_)
            | AuthError::MethodRefused(_)
            | AuthError::Refused { .. } => wrong(ErrorKind::PermissionDenied, key_hint(config)),
            AuthError::Malformed(_)
            | AuthError::OutOfTurn
            | AuthError::NoTicket(_)
            | AuthError::ReclaimRefused(_)
            | AuthError::TicketRefused(_)
            | AuthError::ClockSkew { .. } => None,
        },
        HandshakeError::FirstProtocol
        | HandshakeError::NotCeph { .. }
        | HandshakeError::NoRevision1 { .. }
        | HandshakeError::MessengerTooNew { .. }
        | HandshakeError::FeaturesMissing(_)
        | HandshakeError::PeerFeaturesMissing(_)
        | HandshakeError::WrongPeerType { .. } => {
            wrong(ErrorKind::NotSupported, "mon_host should name the monitors' v2 addresses".to_owned())
        }
        _ => None,
    }
}

fn method_refused(config: &ClusterConfig, refused: &Refused, refusal: &AuthBadMethod) -> Error {
    if let Some(missing) = &config.key_missing {
        return missing.clone();
    }
    const EPERM: i32 = -1;
    const EACCES: i32 = -13;
    let mode_fits = config.mon_modes.iter().any(|mode| refusal.allowed_modes.contains(&mode.number()));
    let (kind, hint) = if refusal.result == EACCES || refusal.result == EPERM {
        (ErrorKind::PermissionDenied, key_hint(config))
    } else if !mode_fits {
        let hint = "the cluster requires another connection mode: set ms_mon_client_mode = secure".to_owned();
        (ErrorKind::NotSupported, hint)
    } else {
        let hint = "set auth_client_required to a method that the cluster allows, and give a key for cephx"
            .to_owned();
        (ErrorKind::NotSupported, hint)
    };
    Error::new(kind, "connect to", refused.addr, &refused.error).hint(hint)
}

fn key_hint(config: &ClusterConfig) -> String {
    let user = &config.user;
    format!("the key of {user} was taken from {}; compare it with `ceph auth get {user}`", config.key_source)
}

/// The error of monitors that are not those of the cluster that the configuration names.
pub(super) fn other_cluster(config: &ClusterConfig, expected: Fsid, found: Fsid) -> Error {
    let reason = format!(
        "the monitors belong to cluster {found}, and fsid ({}) asks for {expected}",
        config.fsid_origin()
    );
    Error::new(ErrorKind::InvalidInput, "connect to", "the cluster", reason)
        .hint("mon_host or fsid is another cluster's: correct the one that is wrong")
}

/// The error of hearing nothing that helps for as long as one waits. `refusals` are of the last round of tries; `has_session`
/// if a monitor took us all the same.
pub(super) fn nobody_answers(refusals: &[Refused], has_session: bool, waited: Duration) -> Error {
    let tried: Vec<String> =
        refusals.iter().map(|refused| format!("{}: {}", refused.addr, refused.error)).collect();
    let waited = waited.as_secs_f64();
    let reason = match (has_session, tried.is_empty()) {
        (true, _) => format!("a monitor took this client, but sent no OSD map within {waited:.1} s"),
        (false, true) => format!("no monitor answered within {waited:.1} s"),
        (false, false) => format!("no monitor took this client within {waited:.1} s; {}", tried.join("; ")),
    };
    Error::new(ErrorKind::TimedOut, "connect to", "the cluster", reason)
        .hint("is mon_host right, and do the monitors run? client_mount_timeout says how long to try")
}
