//! The maps that a daemon sends: incrementals where they are there, else a whole map; a few at a time, and sometimes broken.

use super::census::Seen;
use super::link::Link;
use super::osd::chance;
use super::state::{FSID, State};
use ringbd_proto::mon::MOsdMap;
use ringbd_proto::types::{Epoch, Tid};
use ringbd_reactor::{SharedBuf, random_u64};

/// Sends maps to who has `have`, up to `newest` or as many as go into one message; returns the newest that was sent.
pub(super) fn share<S>(state: &mut State, link: &Link<S>, have: Epoch, newest: Epoch) -> Epoch {
    let at_once = have.0.saturating_add(state.manners.maps_at_once);
    let (incrementals, _) = state.maps.steps(have, newest);
    // A whole map is of the newest epoch, whatever is between.
    let to = if incrementals.is_empty() { newest } else { newest.min(Epoch(at_once)) };
    let broken = chance(state.manners.broken_maps).then(|| {
        let (incrementals, fulls) = state.maps.steps(have, to);
        let (what, blobs) = if incrementals.is_empty() {
            (Seen::BrokenMap, fulls)
        } else {
            (Seen::BrokenIncremental, incrementals)
        };
        let (epoch, blob) = blobs[random_u64() as usize % blobs.len()];
        (what, epoch, damaged(blob))
    });
    let (mut incrementals, mut fulls) = state.maps.steps(have, to);
    if let Some((_, epoch, damaged)) = &broken {
        let blobs = incrementals.iter_mut().chain(&mut fulls);
        blobs.filter(|(of, _)| of == epoch).for_each(|(_, blob)| *blob = damaged);
    }
    let oldest = state.maps.oldest().min(newest);
    let message = MOsdMap { fsid: FSID, incrementals, fulls, oldest, newest };
    link.post(Tid(0), &message, SharedBuf::empty());
    if let Some((what, ..)) = broken {
        state.census.count(what);
    }
    to
}

/// The same with one bit turned over somewhere, which its checksum tells.
fn damaged(blob: &[u8]) -> Vec<u8> {
    let mut damaged = blob.to_vec();
    let at = random_u64() as usize % damaged.len();
    damaged[at] ^= 1 << (random_u64() % 8);
    damaged
}
