//! Knows every write and flush that was issued and acknowledged, and so what a crash may and may not have lost.
//!
//! The rule it checks: a sector holds a version at least as new as the last one that was guaranteed, and one that was
//! really written. What guarantees a version depends on the cache mode and the crash: its acknowledgement, or an
//! acknowledged flush that was issued after it. Writes of one block never overlap in time, so versions are in order.

use crate::stamp;
use std::collections::HashMap;

/// What makes a write safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guarantee {
    /// Its own acknowledgement.
    Acknowledgement,
    /// An acknowledged flush that was issued after its acknowledgement.
    Flush,
    /// Nothing; only what was never written must not be there.
    Nothing,
}

#[derive(Debug, Clone, Default)]
struct Block {
    issued: u64,
    acknowledged: u64,
    flushed: u64,
    /// Versions that are zeros: write_zeroes.
    zeros: Vec<u64>,
}

/// What a flush covers: taken when it is issued.
#[derive(Debug, Clone)]
pub struct FlushTicket(Vec<(u64, u64)>);

/// The history of an image.
#[derive(Debug, Default)]
pub struct Recorder {
    blocks: HashMap<u64, Block>,
    versions: u64,
}

/// What a check found of the writes that were not guaranteed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Findings {
    /// Blocks that were compared.
    pub blocks: u64,
    /// Acknowledged blocks of which at least one sector is older than acknowledged.
    pub lost_acknowledged: u64,
}

impl Recorder {
    /// A write of `block` begins; its version.
    pub fn issue(&mut self, block: u64) -> u64 {
        self.versions += 1;
        self.issue_as(block, self.versions);
        self.versions
    }

    /// The same with a version that somebody else counted.
    pub fn issue_as(&mut self, block: u64, version: u64) {
        let state = self.blocks.entry(block).or_default();
        assert!(version > state.issued, "versions grow");
        assert_eq!(state.issued.max(state.acknowledged), state.issued, "one write of a block at a time");
        state.issued = version;
    }

    /// The write that is `version` is a write of zeros.
    pub fn is_zeros(&mut self, block: u64, version: u64) {
        self.blocks.entry(block).or_default().zeros.push(version);
    }

    /// A write was acknowledged.
    pub fn acknowledge(&mut self, block: u64, version: u64) {
        let state = self.blocks.entry(block).or_default();
        assert!(version <= state.issued, "acknowledged after it was issued");
        state.acknowledged = state.acknowledged.max(version);
    }

    /// A flush is issued.
    #[must_use]
    pub fn flush(&self) -> FlushTicket {
        FlushTicket(self.blocks.iter().map(|(&block, state)| (block, state.acknowledged)).collect())
    }

    /// The flush was acknowledged.
    pub fn flushed(&mut self, ticket: FlushTicket) {
        for (block, version) in ticket.0 {
            let state = self.blocks.entry(block).or_default();
            state.flushed = state.flushed.max(version);
        }
    }

    /// Blocks that were ever written.
    #[must_use]
    pub fn written(&self) -> Vec<u64> {
        let mut blocks: Vec<_> = self.blocks.keys().copied().collect();
        blocks.sort_unstable();
        blocks
    }

    /// Compares what the image holds after a crash with what it must hold.
    pub fn check(
        &self,
        guarantee: Guarantee,
        mut read: impl FnMut(u64) -> Vec<u8>,
    ) -> Result<Findings, String> {
        let mut findings = Findings::default();
        for block in self.written() {
            let state = &self.blocks[&block];
            let bytes = read(block);
            findings.blocks += 1;
            let mut stale = false;
            for (sector, bytes) in bytes.chunks_exact(stamp::SECTOR_BYTES).enumerate() {
                let oldest = state.check_sector(guarantee, block, sector, bytes)?;
                stale |= oldest < state.acknowledged;
            }
            findings.lost_acknowledged += u64::from(stale);
        }
        Ok(findings)
    }
}

impl Block {
    /// The newest version that the sector's content can be, if that is allowed.
    fn check_sector(
        &self,
        guarantee: Guarantee,
        block: u64,
        sector: usize,
        bytes: &[u8],
    ) -> Result<u64, String> {
        let floor = match guarantee {
            Guarantee::Acknowledgement => self.acknowledged,
            Guarantee::Flush => self.flushed,
            Guarantee::Nothing => 0,
        };
        let found = stamp::read(block, sector, bytes)?;
        let version = match found {
            // Zeros are as new as the newest write of zeros that it could be.
            0 => self.zeros.iter().copied().max().unwrap_or(0),
            version => version,
        };
        if version > self.issued {
            return Err(format!("block {block} sector {sector}: version {version} was never issued"));
        }
        if version < floor {
            return Err(format!(
                "block {block} sector {sector}: version {version} found, {floor} was guaranteed by {guarantee:?} \
                 (issued {}, acknowledged {}, flushed {})",
                self.issued, self.acknowledged, self.flushed
            ));
        }
        Ok(version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamped(block: u64, version: u64) -> Vec<u8> {
        let mut bytes = vec![0; stamp::BLOCK_BYTES];
        stamp::fill(block, version, &mut bytes);
        bytes
    }

    #[test]
    fn an_acknowledged_write_may_be_lost_only_where_a_flush_must_guarantee_it() {
        let mut recorder = Recorder::default();
        let version = recorder.issue(3);
        recorder.acknowledge(3, version);
        assert!(recorder.check(Guarantee::Acknowledgement, |_| stamped(3, 0)).is_err());
        let findings = recorder.check(Guarantee::Flush, |_| stamped(3, 0)).unwrap();
        assert_eq!(findings, Findings { blocks: 1, lost_acknowledged: 1 });
        let ticket = recorder.flush();
        recorder.flushed(ticket);
        assert!(recorder.check(Guarantee::Flush, |_| stamped(3, 0)).is_err(), "flushed, so it must be there");
        assert!(recorder.check(Guarantee::Flush, |_| stamped(3, version)).is_ok());
    }

    #[test]
    fn a_flush_covers_what_was_acknowledged_before_it_was_issued_and_no_more() {
        let mut recorder = Recorder::default();
        let first = recorder.issue(1);
        recorder.acknowledge(1, first);
        let ticket = recorder.flush();
        let second = recorder.issue(1);
        recorder.acknowledge(1, second);
        recorder.flushed(ticket);
        assert!(recorder.check(Guarantee::Flush, |_| stamped(1, first)).is_ok());
        assert!(recorder.check(Guarantee::Flush, |_| stamped(1, 0)).is_err());
    }

    #[test]
    fn a_write_that_was_never_issued_and_a_foreign_byte_are_found() {
        let mut recorder = Recorder::default();
        recorder.issue(5);
        assert!(recorder.check(Guarantee::Flush, |_| stamped(5, 9)).is_err());
        let mut torn = stamped(5, 1);
        torn[700] ^= 4;
        assert!(recorder.check(Guarantee::Flush, |_| torn.clone()).is_err());
    }
}
