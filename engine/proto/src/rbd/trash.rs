//! Images that were thrown away and can be had back.

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::types::Utime;

/// Who threw an image away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrashSource {
    /// A person.
    User,
    /// Mirroring.
    Mirroring,
    /// A move to another pool.
    Migration,
    /// A removal that was not finished.
    Removing,
    /// A removal of the parent of clones.
    UserParent,
    /// One that this release does not know.
    Other(u8),
}

impl TrashSource {
    fn from_number(number: u8) -> TrashSource {
        match number {
            0 => TrashSource::User,
            1 => TrashSource::Mirroring,
            2 => TrashSource::Migration,
            3 => TrashSource::Removing,
            4 => TrashSource::UserParent,
            other => TrashSource::Other(other),
        }
    }

    fn number(self) -> u8 {
        match self {
            TrashSource::User => 0,
            TrashSource::Mirroring => 1,
            TrashSource::Migration => 2,
            TrashSource::Removing => 3,
            TrashSource::UserParent => 4,
            TrashSource::Other(other) => other,
        }
    }
}

/// What is being done with an image in the trash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrashState {
    /// Nothing.
    Normal,
    /// It is on its way in.
    Moving,
    /// It is being removed.
    Removing,
    /// It is on its way out.
    Restoring,
}

impl TrashState {
    pub(super) fn number(self) -> u8 {
        match self {
            TrashState::Normal => 0,
            TrashState::Moving => 1,
            TrashState::Removing => 2,
            TrashState::Restoring => 3,
        }
    }
}

/// An image in the trash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrashEntry {
    /// Who threw it away.
    pub source: TrashSource,
    /// What it was called.
    pub name: String,
    /// When that was.
    pub deleted: Utime,
    /// Until then it must not be removed.
    pub deferred_until: Utime,
    /// What is being done with it.
    pub state: TrashState,
}

impl TrashEntry {
    /// Reads one.
    pub fn decode(d: &mut Decoder<'_>) -> Result<TrashEntry, DecodeError> {
        d.versioned("an image in the trash", 2, |d, version| {
            let (source, name) = (TrashSource::from_number(d.u8()?), d.label()?);
            let (deleted, deferred_until) = (Utime::decode(d)?, Utime::decode(d)?);
            let state = match if version >= 2 { d.u8()? } else { 0 } {
                0 => TrashState::Normal,
                1 => TrashState::Moving,
                2 => TrashState::Removing,
                3 => TrashState::Restoring,
                _ => return Err(d.invalid("an unknown state of an image in the trash")),
            };
            Ok(TrashEntry { source, name, deleted, deferred_until, state })
        })
    }

    /// Writes it.
    pub fn encode(&self, e: &mut Encoder<'_>) {
        e.versioned(2, 1, |e| {
            e.u8(self.source.number()).string(&self.name);
            self.deleted.encode(e);
            self.deferred_until.encode(e);
            e.u8(self.state.number());
        });
    }
}
