//! The snapshots that a write must preserve.

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::types::SnapId;
use thiserror::Error;

/// The snapshots that exist of what is written, newest first, and the newest that there ever was.
///
/// Before an OSD changes an object it compares this with what it did last: if the sequence grew and snapshots are named, it
/// keeps a clone for them. A sequence *without* its snapshots therefore tells the OSD that they need no clone, and
/// destroys them. So the two come together or not at all; that every snapshot was removed has to be
/// [said](SnapContext::all_removed).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SnapContext {
    seq: SnapId,
    snaps: Vec<SnapId>,
}

/// Why a sequence and snapshots make no context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SnapContextError {
    /// Snapshots that are not in descending order.
    #[error("snapshot {0} does not come after a newer one")]
    Unordered(SnapId),
    /// A snapshot that is newer than the newest.
    #[error("snapshot {snap} is newer than the sequence {seq}")]
    BeyondSeq {
        /// The snapshot.
        snap: SnapId,
        /// The sequence.
        seq: SnapId,
    },
    /// A sequence without snapshots.
    #[error("the sequence {0} comes without snapshots, and a write under it would destroy them")]
    NoSnaps(SnapId),
    /// A number that stands for the head or for all snapshots.
    #[error("{0} is no snapshot's number")]
    Reserved(SnapId),
}

impl SnapContext {
    /// There never was a snapshot.
    pub const NONE: SnapContext = SnapContext { seq: SnapId(0), snaps: Vec::new() };

    /// These snapshots, newest first, and the newest that there ever was.
    pub fn new(seq: SnapId, snaps: Vec<SnapId>) -> Result<SnapContext, SnapContextError> {
        if snaps.is_empty() && seq != SnapId(0) {
            return Err(SnapContextError::NoSnaps(seq));
        }
        check(seq, &snaps)?;
        Ok(SnapContext { seq, snaps })
    }

    /// There were snapshots up to `seq`, and all of them were removed: the owner of the list said so, as a whole.
    pub fn all_removed(seq: SnapId) -> Result<SnapContext, SnapContextError> {
        check(seq, &[])?;
        Ok(SnapContext { seq, snaps: Vec::new() })
    }

    /// The newest snapshot that there ever was.
    pub fn seq(&self) -> SnapId {
        self.seq
    }

    /// The snapshots that exist, newest first.
    pub fn snaps(&self) -> &[SnapId] {
        &self.snaps
    }

    /// Forgets snapshots that were removed from the pool, as a write that waits must.
    pub fn remove(&mut self, removed: impl Fn(SnapId) -> bool) {
        self.snaps.retain(|&snap| !removed(snap));
    }

    /// Reads one, of a peer that answers for it as a whole.
    pub fn decode(d: &mut Decoder<'_>) -> Result<SnapContext, DecodeError> {
        let at = d.clone();
        let seq = SnapId::decode(d)?;
        let snaps = d.list(8, SnapId::decode)?;
        match check(seq, &snaps) {
            Ok(()) => Ok(SnapContext { seq, snaps }),
            Err(_) => Err(at.invalid("snapshots that are not in descending order below their sequence")),
        }
    }

    /// Writes it.
    pub fn encode(&self, e: &mut Encoder<'_>) {
        e.u64(self.seq.0).list(self.snaps.iter(), |e, snap| snap.encode(e));
    }
}

fn check(seq: SnapId, snaps: &[SnapId]) -> Result<(), SnapContextError> {
    if seq >= SnapId::HEAD {
        return Err(SnapContextError::Reserved(seq));
    }
    match snaps.first() {
        Some(&snap) if snap > seq => return Err(SnapContextError::BeyondSeq { snap, seq }),
        Some(_) | None => {}
    }
    if snaps.last() == Some(&SnapId(0)) {
        return Err(SnapContextError::Reserved(SnapId(0)));
    }
    match snaps.windows(2).find(|pair| pair[0] <= pair[1]) {
        Some(pair) => Err(SnapContextError::Unordered(pair[1])),
        None => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn snaps(ids: &[u64]) -> Vec<SnapId> {
        ids.iter().copied().map(SnapId).collect()
    }

    #[test]
    fn a_sequence_without_snapshots_has_to_be_meant() {
        assert_eq!(SnapContext::new(SnapId(7), vec![]), Err(SnapContextError::NoSnaps(SnapId(7))));
        assert_eq!(SnapContext::all_removed(SnapId(7)).unwrap().seq(), SnapId(7));
        assert_eq!(SnapContext::new(SnapId(0), vec![]), Ok(SnapContext::NONE));
    }

    #[test]
    fn snapshots_descend_from_the_sequence() {
        assert!(SnapContext::new(SnapId(9), snaps(&[9, 7, 1])).is_ok());
        assert!(SnapContext::new(SnapId(12), snaps(&[9, 7, 1])).is_ok());
        assert_eq!(
            SnapContext::new(SnapId(8), snaps(&[9])),
            Err(SnapContextError::BeyondSeq { snap: SnapId(9), seq: SnapId(8) })
        );
        assert_eq!(SnapContext::new(SnapId(9), snaps(&[7, 7])), Err(SnapContextError::Unordered(SnapId(7))));
        assert_eq!(SnapContext::new(SnapId(9), snaps(&[1, 7])), Err(SnapContextError::Unordered(SnapId(7))));
        assert_eq!(SnapContext::new(SnapId(9), snaps(&[1, 0])), Err(SnapContextError::Reserved(SnapId(0))));
        assert_eq!(
            SnapContext::new(SnapId::HEAD, snaps(&[1])),
            Err(SnapContextError::Reserved(SnapId::HEAD))
        );
    }

    #[test]
    fn what_the_pool_removed_is_forgotten_and_the_sequence_stays() {
        let mut context = SnapContext::new(SnapId(9), snaps(&[9, 7, 1])).unwrap();
        context.remove(|snap| snap != SnapId(1));
        assert_eq!((context.seq(), context.snaps()), (SnapId(9), &snaps(&[1])[..]));
        let bytes = Encoder::to_vec(|e| context.encode(e));
        assert_eq!(SnapContext::decode(&mut Decoder::new("test", &bytes)), Ok(context));
    }
}
