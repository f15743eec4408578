//! What happened in a run, folded into one number: equal hashes mean equal runs.
//!
//! Every event that the simulation decides or carries out is folded in with its virtual time. The events
//! themselves are kept only when asked for, to find the first difference between two runs.

use std::fmt;

/// What an entry of the trace tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names say it, and TraceEntry says what its numbers mean")]
pub enum TraceKind {
    Turn = 1,
    Open,
    Read,
    Write,
    Sync,
    Punch,
    Zero,
    Allocate,
    SetLen,
    Rename,
    Remove,
    MakeDir,
    SyncDir,
    Fault,
    Cut,
    Kept,
    Torn,
    Dropped,
    Kill,
    Connect,
    Accept,
    Send,
    Deliver,
    Reset,
    Close,
    Partition,
    Heal,
    CoreStart,
    CoreEnd,
}

/// One event of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceEntry {
    /// Virtual time in nanoseconds.
    pub time: u64,
    /// What happened.
    pub kind: TraceKind,
    /// Index of the node it happened on.
    pub node: u32,
    /// The file, connection or core, by the number the simulation gave it.
    pub object: u64,
    /// Byte offset, or a second number.
    pub offset: u64,
    /// Length in bytes, or a third number.
    pub len: u64,
    /// Hash of the bytes that were moved; 0 if none were.
    pub data: u64,
}

impl fmt::Display for TraceEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TraceEntry { time, kind, node, object, offset, len, data } = self;
        write!(f, "{time} ns node {node}: {kind:?} {object} at {offset} len {len} data {data:016x}")
    }
}

/// The trace of a run.
#[derive(Debug, Default)]
pub(super) struct Trace {
    hash: u64,
    entries: Option<Vec<TraceEntry>>,
}

impl Trace {
    /// A trace that also keeps its entries if `record`.
    pub(super) fn new(record: bool) -> Trace {
        Trace { hash: 0, entries: record.then(Vec::new) }
    }

    /// The hash of everything so far.
    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    /// The entries so far; none unless they are recorded.
    pub(super) fn entries(&self) -> &[TraceEntry] {
        self.entries.as_deref().unwrap_or_default()
    }

    /// Folds one event in.
    pub(super) fn push(&mut self, entry: TraceEntry) {
        let TraceEntry { time, kind, node, object, offset, len, data } = entry;
        for word in [time, kind as u64 | u64::from(node) << 32, object, offset, len, data] {
            self.hash = fold(self.hash, word);
        }
        if let Some(entries) = &mut self.entries {
            entries.push(entry);
        }
    }
}

/// A hash of bytes: fast, stable over versions of this crate, and no more than that.
pub(super) fn hash_bytes(bytes: &[u8]) -> u64 {
    // Four lanes, because one multiplication has to wait for the one before it.
    let mut lanes = [1u64, 2, 3, 4];
    let mut chunks = bytes.chunks_exact(32);
    for chunk in &mut chunks {
        for (lane, word) in lanes.iter_mut().zip(chunk.chunks_exact(8)) {
            *lane = fold(*lane, u64::from_le_bytes(word.try_into().expect("chunks_exact gives 8 bytes")));
        }
    }
    let rest = chunks.remainder().iter().fold(bytes.len() as u64, |hash, &byte| fold(hash, u64::from(byte)));
    lanes.into_iter().fold(rest, fold)
}

fn fold(hash: u64, word: u64) -> u64 {
    // An odd constant with well-spread bits; the rotation brings the high bits of the product back down.
    (hash.rotate_left(23) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_and_the_length_change_the_hash() {
        let mut bytes = vec![0u8; 100];
        let zeroes = hash_bytes(&bytes);
        assert_ne!(zeroes, hash_bytes(&bytes[..99]));
        for at in 0..100 {
            bytes[at] = 1;
            assert_ne!(zeroes, hash_bytes(&bytes), "byte {at}");
            bytes[at] = 0;
        }
    }

    #[test]
    fn order_matters() {
        let entry =
            |len| TraceEntry { time: 0, kind: TraceKind::Read, node: 0, object: 0, offset: 0, len, data: 0 };
        let run = |lens: [u64; 2]| {
            let mut trace = Trace::new(true);
            lens.into_iter().for_each(|len| trace.push(entry(len)));
            assert_eq!(trace.entries().len(), 2);
            trace.hash()
        };
        assert_ne!(run([1, 2]), run([2, 1]));
        assert_eq!(run([1, 2]), run([1, 2]));
    }
}
