//! What a user is told when no monitor takes the client.

use super::hunt::{Candidate, Contact};
use crate::error::{Error, ErrorKind};
use crate::rados::config::ClusterConfig;
use crate::rados::connection::ConnectError;
use crate::rados::refusal::{Advice, Verdict, verdict};
use ringbd_proto::msgr2::HandshakeError;
use ringbd_proto::types::{EntityAddr, EntityType, Fsid};
use std::time::Duration;

/// Candidates that an error names: more are a list to read, not a message.
const NAMED_MAX: usize = 8;

/// The error of answers that no further try will change: one that goes for the whole cluster, or one of every candidate.
pub(super) fn refused_for_good(config: &ClusterConfig, candidates: &[Candidate]) -> Option<Error> {
    let mut first = None;
    let mut everyone = true;
    for Candidate { addr, contact, .. } in candidates {
        let Contact::Refused(error) = contact else {
            everyone = false;
            continue;
        };
        match verdict(config, EntityType::Mon, error) {
            Verdict::Everywhere(advice) => return Some(refusal(config, addr, error, advice)),
            Verdict::Address(advice) => first = first.or_else(|| Some(refusal(config, addr, error, advice))),
            Verdict::Passing => everyone = false,
        }
    }
    first.filter(|_| everyone)
}

fn refusal(config: &ClusterConfig, addr: &EntityAddr, error: &ConnectError, advice: Advice) -> Error {
    match (&config.key_missing, error) {
        // We offered to go without a key because none was found, and the cluster insists on one.
        (Some(missing), ConnectError::Handshake(HandshakeError::MethodRefused(_))) => missing.clone(),
        (_, _) => {
            Error::new(advice.kind, "connect to", format_args!("monitor {addr}"), error).hint(advice.hint)
        }
    }
}

/// The error of monitors that are not those of the cluster that the configuration names.
pub(super) fn other_cluster(config: &ClusterConfig, expected: Fsid, found: Fsid) -> Error {
    let reason = format!(
        "the monitors belong to cluster {found}, and fsid ({}) asks for {expected}",
        config.origin("fsid")
    );
    Error::new(ErrorKind::InvalidInput, "connect to", "the cluster", reason)
        .hint("mon_host or fsid is another cluster's: correct the one that is wrong")
}

/// The error of hearing nothing that helps for as long as one waits. `has_session` if a monitor took us all the same.
pub(super) fn nobody_answers(
    config: &ClusterConfig,
    candidates: &[Candidate],
    has_session: bool,
    waited: Duration,
) -> Error {
    let waited = waited.as_secs_f64();
    let (reason, hint) = if has_session {
        let user = &config.user;
        (
            format!("a monitor took this client, but sent no OSD map within {waited:.1} s"),
            format!("do the monitors have a quorum, and may {user} read there (caps mon 'allow r')?"),
        )
    } else {
        (
            format!("no monitor took this client within {waited:.1} s; {}", contacts(candidates)),
            format!(
                "is {} right, and do the monitors run? client_mount_timeout ({}) says how long to try",
                config.monitors,
                config.origin("client_mount_timeout")
            ),
        )
    };
    Error::new(ErrorKind::TimedOut, "connect to", "the cluster", reason).hint(hint)
}

/// What each candidate answered.
pub(super) fn contacts(candidates: &[Candidate]) -> String {
    if candidates.is_empty() {
        return "none is known yet".to_owned();
    }
    let contact = |Candidate { addr, contact, .. }: &Candidate| match contact {
        Contact::Untried => format!("{addr}: not tried yet"),
        Contact::Silent => format!("{addr}: no answer yet"),
        Contact::Refused(error) => format!("{addr}: {error}"),
    };
    let mut named: Vec<String> = candidates.iter().take(NAMED_MAX).map(contact).collect();
    if candidates.len() > NAMED_MAX {
        named.push(format!("and {} others", candidates.len() - NAMED_MAX));
    }
    named.join("; ")
}
