//! The objects, and which operations were applied to them.
//!
//! An operation is applied once: its client and tid name it, and who sends it again gets the first answer. So the rules that
//! are checked here: a tid is not used for something else; what one writer writes to one object arrives in the order in
//! which it was asked for, once.

use ringbd_proto::codec::Encoder;
use ringbd_proto::crc;
use ringbd_proto::osd::{Access, Extent, MOsdOp, OpFlags, OpReturn, Opcode, OsdOp, SnapContext, Stat};
use ringbd_proto::types::{Errno, GlobalId, Tid, Utime};
use std::collections::{BTreeMap, HashMap};

/// Bytes of an object at most: nobody writes more here.
const OBJECT_BYTES_MAX: u64 = 16 << 20;

/// What begins the data of a write whose order is checked.
const MAGIC: [u8; 8] = *b"ordered!";

/// One write of a writer who numbers what it writes to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The writer.
    pub lane: u64,
    /// Its number for this object.
    pub seq: u64,
}

impl Stamp {
    /// Bytes of one.
    pub const BYTES: usize = 24;

    /// As it is written.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..16].copy_from_slice(&self.lane.to_le_bytes());
        bytes[16..].copy_from_slice(&self.seq.to_le_bytes());
        bytes
    }

    /// The stamp that data begins with.
    pub fn of(data: &[u8]) -> Option<Stamp> {
        let (magic, rest) = data.split_first_chunk::<8>()?;
        let (lane, rest) = rest.split_first_chunk::<8>()?;
        let (seq, _) = rest.split_first_chunk::<8>()?;
        let stamp = Stamp { lane: u64::from_le_bytes(*lane), seq: u64::from_le_bytes(*seq) };
        (*magic == MAGIC).then_some(stamp)
    }
}

/// An object.
#[derive(Clone, Debug, Default)]
pub struct Object {
    /// Whether it is there; one that was removed keeps its version.
    pub exists: bool,
    /// What is in it.
    pub data: Vec<u8>,
    /// How often it was changed.
    pub version: u64,
    /// The snapshot context of the last write.
    pub snapc: SnapContext,
    omap: BTreeMap<Vec<u8>, Vec<u8>>,
    mtime: Utime,
}

/// What an operation came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The result of the list.
    pub result: i32,
    /// What each operation returned.
    pub returns: Vec<OpReturn>,
    /// What they put out.
    pub output: Vec<u8>,
    /// The object's version then.
    pub version: u64,
}

impl Outcome {
    /// An error, and nothing done.
    pub fn refused(errno: Errno) -> Outcome {
        Outcome { result: errno.as_result(), returns: Vec::new(), output: Vec::new(), version: 0 }
    }

    /// The same with the output of the one operation that was asked for.
    #[must_use]
    pub fn with_output(self, opcode: Opcode, output: &[u8]) -> Outcome {
        let output_len = u32::try_from(output.len()).expect("outputs are small");
        let only = OpReturn { opcode, rval: self.result, output_len };
        Outcome { returns: vec![only], output: output.to_vec(), ..self }
    }
}

/// An operation's name: the client, and its tid.
pub type Reqid = (GlobalId, Tid);

/// All objects.
#[derive(Debug, Default)]
pub struct Truth {
    objects: BTreeMap<Vec<u8>, Object>,
    /// Every operation that was ever seen, by its contents.
    seen: HashMap<Reqid, u32>,
    /// Every list that wrote, with its first result.
    applied: HashMap<Reqid, Outcome>,
    /// What each writer wrote last to an object.
    orders: BTreeMap<(Vec<u8>, u64), u64>,
    /// How often a list that wrote came again.
    repeats: u64,
    /// A checksum of the contents by version.
    histories: BTreeMap<Vec<u8>, Vec<u32>>,
}

impl Truth {
    /// An object, if it ever was there.
    pub fn object(&self, name: &[u8]) -> Option<&Object> {
        self.objects.get(name)
    }

    /// A checksum of what was in an object at a version.
    pub fn contents_at(&self, name: &[u8], version: u64) -> Option<u32> {
        let history = self.histories.get(name)?;
        history.get(usize::try_from(version).ok()?).copied()
    }

    /// The number of the last write of a writer that was applied to an object.
    pub fn last_of(&self, name: &[u8], lane: u64) -> Option<u64> {
        self.orders.get(&(name.to_vec(), lane)).copied()
    }

    /// Operations that wrote.
    pub fn writes(&self) -> usize {
        self.applied.len()
    }

    /// How often a list that wrote came again.
    pub fn repeats(&self) -> u64 {
        self.repeats
    }

    /// Whether an object is there.
    pub fn is_there(&self, name: &[u8]) -> bool {
        self.objects.get(name).is_some_and(|object| object.exists)
    }

    /// Notes that an operation was sent. Wrong if its tid was used for another.
    pub fn see(&mut self, reqid: Reqid, contents: u32) -> Result<(), String> {
        let first = *self.seen.entry(reqid).or_insert(contents);
        if first == contents { Ok(()) } else { Err(format!("tid {} of {} was used again", reqid.1, reqid.0)) }
    }

    /// Does an operation, unless it was done.
    pub fn apply(&mut self, reqid: Reqid, op: &MOsdOp<'_>) -> Result<Outcome, String> {
        if let Some(outcome) = self.applied.get(&reqid) {
            self.repeats += 1;
            return Ok(outcome.clone());
        }
        let writes = matches!(op.access, Access::Write { .. });
        let mut object = self.objects.get(op.name).cloned().unwrap_or_default();
        let mut outcome = Outcome { result: 0, returns: Vec::new(), output: Vec::new(), version: 0 };
        for entry in &op.ops {
            let before = outcome.output.len();
            let done =
                if outcome.result < 0 { Ok(0) } else { object.perform(&entry.op, &mut outcome.output) };
            let rval = done.unwrap_or_else(Errno::as_result);
            let output_len = u32::try_from(outcome.output.len() - before).expect("objects are small");
            outcome.returns.push(OpReturn { opcode: entry.op.opcode(), rval, output_len });
            if rval < 0 && !entry.flags.contains(OpFlags::FAILOK) {
                outcome.result = rval;
            }
        }
        if writes && outcome.result >= 0 {
            self.check_order(op)?;
            self.commit(op, object);
        }
        outcome.version = self.objects.get(op.name).map_or(0, |object| object.version);
        if writes {
            self.applied.insert(reqid, outcome.clone());
        }
        Ok(outcome)
    }

    /// What an operation that wrote came to the first time.
    pub fn first_outcome(&self, reqid: Reqid) -> Option<Outcome> {
        self.applied.get(&reqid).cloned()
    }

    /// Notes what an operation came to that wrote no object.
    pub fn remember(&mut self, reqid: Reqid, outcome: Outcome) {
        self.applied.insert(reqid, outcome);
    }

    /// An operation on an object that succeeds and changes nothing there.
    pub fn nothing_changed(&self, name: &[u8]) -> Outcome {
        let version = self.objects.get(name).map_or(0, |object| object.version);
        Outcome { result: 0, returns: Vec::new(), output: Vec::new(), version }
    }

    fn check_order(&mut self, op: &MOsdOp<'_>) -> Result<(), String> {
        for entry in &op.ops {
            let data = match &entry.op {
                OsdOp::Write { data, .. } | OsdOp::WriteFull(data) | OsdOp::Append(data) => *data,
                _ => continue,
            };
            let Some(Stamp { lane, seq }) = Stamp::of(data) else { continue };
            let name = String::from_utf8_lossy(op.name);
            if let (Access::Write { snapc, .. }, Some(object)) = (&op.access, self.objects.get(op.name))
                && snapc.seq() < object.snapc.seq()
            {
                return Err(format!("write {seq} of lane {lane} to {name} preserves no snapshots any more"));
            }
            let last = self.orders.entry((op.name.to_vec(), lane)).or_insert(0);
            if seq <= *last {
                return Err(format!("write {seq} of lane {lane} to {name} came after write {last}"));
            }
            *last = seq;
        }
        Ok(())
    }

    fn commit(&mut self, op: &MOsdOp<'_>, mut object: Object) {
        object.version += 1;
        if let Access::Write { snapc, mtime } = &op.access {
            object.snapc = snapc.clone();
            object.mtime = *mtime;
        }
        let history = self.histories.entry(op.name.to_vec()).or_insert_with(|| vec![checksum(b"")]);
        history.push(checksum(&object.data));
        self.objects.insert(op.name.to_vec(), object);
    }
}

impl Object {
    /// Does one operation.
    fn perform(&mut self, op: &OsdOp<'_, &[u8]>, output: &mut Vec<u8>) -> Result<i32, Errno> {
        match op {
            OsdOp::Read(extent) => self.there()?.read(*extent, output),
            OsdOp::Stat => {
                let stat = Stat { size: self.there()?.data.len() as u64, mtime: self.mtime };
                stat.encode(&mut Encoder::new(output));
            }
            OsdOp::AssertVersion(version) => self.there()?.assert_version(*version)?,
            OsdOp::OmapGetVals { .. } => {
                let entries: Vec<(&[u8], &[u8])> =
                    self.there()?.omap.iter().map(|(key, value)| (&key[..], &value[..])).collect();
                ringbd_proto::osd::OmapVals { entries, more: false }.encode(&mut Encoder::new(output));
            }
            OsdOp::Write { offset, data } => self.write(*offset, data)?,
            OsdOp::WriteFull(data) => {
                self.data.clear();
                self.write(0, data)?;
            }
            OsdOp::Append(data) => self.write(self.data.len() as u64, data)?,
            OsdOp::Truncate(size) => {
                let size = small(*size)?;
                self.there()?;
                self.data.resize(size, 0);
            }
            OsdOp::Zero(Extent { offset, length }) => {
                let (start, end) = (small(*offset)?, small(offset.saturating_add(*length))?);
                let len = self.data.len();
                self.data[start.min(len)..end.min(len)].fill(0);
            }
            OsdOp::Create => self.exists = true,
            OsdOp::Delete => {
                self.there()?;
                *self = Object { version: self.version, ..Object::default() };
            }
            OsdOp::OmapSetVals(entries) => {
                self.exists = true;
                self.omap.extend(entries.iter().map(|(key, value)| (key.to_vec(), value.to_vec())));
            }
            OsdOp::OmapRmKeys(keys) => {
                self.there()?;
                keys.iter().for_each(|key| drop(self.omap.remove(&key[..])));
            }
            OsdOp::SetAllocHint { .. } => self.exists = true,
            _ => return Err(Errno::EOPNOTSUPP),
        }
        Ok(0)
    }

    fn there(&self) -> Result<&Object, Errno> {
        if self.exists { Ok(self) } else { Err(Errno::ENOENT) }
    }

    fn read(&self, extent: Extent, output: &mut Vec<u8>) {
        let len = self.data.len() as u64;
        let start = extent.offset.min(len);
        let end = match extent.length {
            0 => len,
            length => start.saturating_add(length).min(len),
        };
        output.extend_from_slice(&self.data[start as usize..end as usize]);
    }

    fn assert_version(&self, version: u64) -> Result<(), Errno> {
        match self.version.cmp(&version) {
            std::cmp::Ordering::Less => Err(Errno::EOVERFLOW),
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Greater => Err(Errno::ERANGE),
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Result<(), Errno> {
        let (start, end) = (small(offset)?, small(offset.saturating_add(data.len() as u64))?);
        self.exists = true;
        if self.data.len() < end {
            self.data.resize(end, 0);
        }
        self.data[start..end].copy_from_slice(data);
        Ok(())
    }
}

/// What stands for an object's contents in its history.
pub fn checksum(contents: &[u8]) -> u32 {
    crc::crc32c(crc::SEED, contents)
}

/// A size or an offset that the model is willing to have.
fn small(bytes: u64) -> Result<usize, Errno> {
    if bytes > OBJECT_BYTES_MAX {
        return Err(Errno::EINVAL);
    }
    usize::try_from(bytes).map_err(|_| Errno::EINVAL)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use ringbd_proto::osd::{ObjectLocator, Sending};
    use ringbd_proto::types::{PoolId, SnapId};

    const CLIENT: GlobalId = GlobalId(7);

    fn write<'a>(data: &'a [u8], snapc: SnapContext) -> MOsdOp<'a> {
        MOsdOp {
            sending: Sending::NONE,
            locator: ObjectLocator::pool(PoolId(1)),
            name: b"object",
            hash: 0,
            access: Access::Write { snapc, mtime: Utime::default() },
            ops: vec![OsdOp::WriteFull(data).into()],
            features: 0,
        }
    }

    fn apply(truth: &mut Truth, tid: u64, seq: u64, snapc: SnapContext) -> Result<Outcome, String> {
        truth.apply((CLIENT, Tid(tid)), &write(&Stamp { lane: 1, seq }.to_bytes(), snapc))
    }

    #[test]
    fn who_sends_it_again_gets_the_first_answer() {
        let mut truth = Truth::default();
        assert_eq!(apply(&mut truth, 1, 1, SnapContext::NONE).unwrap().version, 1);
        assert_eq!(apply(&mut truth, 2, 2, SnapContext::NONE).unwrap().version, 2);
        assert_eq!(apply(&mut truth, 1, 1, SnapContext::NONE).unwrap().version, 1);
        assert_eq!((truth.writes(), truth.repeats(), truth.last_of(b"object", 1)), (2, 1, Some(2)));
    }

    #[test]
    fn a_tid_that_is_used_for_something_else_is_found_out() {
        let mut truth = Truth::default();
        truth.see((CLIENT, Tid(1)), 10).unwrap();
        truth.see((CLIENT, Tid(1)), 10).unwrap();
        truth.see((GlobalId(8), Tid(1)), 11).unwrap();
        assert!(truth.see((CLIENT, Tid(1)), 11).unwrap_err().contains("used again"));
    }

    #[test]
    fn writes_that_overtake_each_other_or_come_twice_by_other_tids_are_found_out() {
        let mut truth = Truth::default();
        apply(&mut truth, 2, 2, SnapContext::NONE).unwrap();
        assert!(apply(&mut truth, 1, 1, SnapContext::NONE).unwrap_err().contains("came after write 2"));
        assert!(apply(&mut truth, 3, 2, SnapContext::NONE).unwrap_err().contains("came after write 2"));
    }

    #[test]
    fn a_write_that_forgets_the_snapshots_is_found_out() {
        let mut truth = Truth::default();
        let snapc = SnapContext::new(SnapId(4), vec![SnapId(4)]).unwrap();
        apply(&mut truth, 1, 1, snapc).unwrap();
        assert!(apply(&mut truth, 2, 2, SnapContext::NONE).unwrap_err().contains("no snapshots"));
    }
}
