//! Writing to objects: whole blocks go straight down, everything else is read, changed and written back.

use std::rc::Rc;

use ringbd_reactor::{Buf, Durability};

use super::gate::Access;
use super::inner::{Hold, Inner};
use super::join::join_all;
use super::{LocalObjects, Mismatch};
use crate::store::error::Result;
use crate::store::record::ObjectNo;

/// One contiguous piece of a vectored write.
pub struct Run {
    /// Where it goes in the object.
    pub offset: u64,
    /// What goes there.
    pub buf: Buf,
}

/// The most runs of one write that are under way together: a ring's worth, so that one object's writeback does not fill it.
const RUNS_TOGETHER: usize = 64;

impl LocalObjects {
    /// Writes one run.
    pub async fn write(
        &self,
        object: ObjectNo,
        offset: u64,
        buf: Buf,
        durability: Durability,
    ) -> (Result<()>, Buf) {
        let inner = &self.inner;
        let checked =
            inner.shared.check_writable().and_then(|()| inner.check_range(offset, buf.len() as u64));
        if checked.is_err() || buf.is_empty() {
            return (checked, buf);
        }
        if inner.fits_blocks(offset, buf.len() as u64) {
            let hold = inner.enter(object, Access::Shared).await;
            // The common case in as few steps as there can be: one look-up, one SQE.
            if let Some(slot) = inner.slot(object) {
                return hold.write(inner.write_blocks(buf, slot.address() + offset, durability)).await;
            }
            return Box::pin(inner.write_hole(hold, offset, buf, durability)).await;
        }
        Box::pin(inner.write_unaligned(object, offset, buf, durability)).await
    }

    /// Writes several runs that do not overlap, together. If one fails, any of them may have been written.
    pub async fn write_runs(
        &self,
        object: ObjectNo,
        runs: Vec<Run>,
        durability: Durability,
    ) -> (Result<()>, Vec<Run>) {
        let inner = &self.inner;
        let checked = inner.shared.check_writable().and_then(|()| {
            runs.iter().try_for_each(|run| inner.check_range(run.offset, run.buf.len() as u64))
        });
        if checked.is_err() || runs.is_empty() {
            return (checked, runs);
        }
        if runs.iter().all(|run| inner.fits_blocks(run.offset, run.buf.len() as u64)) {
            let hold = inner.enter(object, Access::Shared).await;
            let write = async |address: Option<u64>| match address {
                Some(address) => inner.write_together(runs, address, durability).await,
                None => (Ok(()), runs),
            };
            return inner.write_at_slot(&hold, write).await;
        }
        let hold = match inner.enter_alone(object).await {
            Ok(hold) => hold,
            Err(error) => return (Err(error), runs),
        };
        let write = async |address: Option<u64>| match address {
            Some(address) => inner.modify_each(runs, address, durability).await,
            None => (Ok(()), runs),
        };
        inner.write_at_slot(&hold, write).await
    }

    /// Writes `data` if the object has `expected` there, in one step as seen by everybody else; otherwise says where the first
    /// difference is and changes nothing.
    ///
    /// # Panics
    /// If the two buffers differ in length.
    pub async fn compare_and_write(
        &self,
        object: ObjectNo,
        offset: u64,
        expected: &[u8],
        data: Buf,
        durability: Durability,
    ) -> (Result<Option<Mismatch>>, Buf) {
        assert_eq!(expected.len(), data.len(), "what is compared is what is replaced");
        let inner = &self.inner;
        let checked =
            inner.shared.check_writable().and_then(|()| inner.check_range(offset, data.len() as u64));
        if let Err(error) = checked {
            return (Err(error), data);
        }
        let hold = match inner.enter_alone(object).await {
            Ok(hold) => hold,
            Err(error) => return (Err(error), data),
        };
        let difference = match inner.slot(object) {
            Some(slot) => {
                let address = slot.address() + offset;
                let (start, bytes) = inner.blocks_around(address, data.len());
                let (result, bounce) = inner.read_whole(Buf::alloc(bytes), start).await;
                if let Err(error) = result {
                    return (Err(error), data);
                }
                let within = (address - start) as usize;
                bounce[within..].iter().zip(expected).position(|(found, expected)| found != expected)
            }
            None => expected.iter().position(|&byte| byte != 0),
        };
        if difference.is_some() || data.is_empty() {
            return (Ok(difference), data);
        }
        let write = async |address: Option<u64>| match address {
            Some(address) => inner.modify(data, address + offset, durability).await,
            None => (Ok(()), data),
        };
        let (result, data) = inner.write_at_slot(&hold, write).await;
        (result.map(|()| None), data)
    }
}

impl Inner {
    /// Writes whole blocks of an object that had no slot when its gate was passed.
    async fn write_hole(
        self: &Rc<Self>,
        hold: Hold<'_>,
        offset: u64,
        buf: Buf,
        durability: Durability,
    ) -> (Result<()>, Buf) {
        let write = async |address: Option<u64>| match address {
            Some(address) => self.write_blocks(buf, address + offset, durability).await,
            None => (Ok(()), buf),
        };
        self.write_at_slot(&hold, write).await
    }

    /// Writes what begins or ends within a block of the disk.
    async fn write_unaligned(
        self: &Rc<Self>,
        object: ObjectNo,
        offset: u64,
        buf: Buf,
        durability: Durability,
    ) -> (Result<()>, Buf) {
        let hold = match self.enter_alone(object).await {
            Ok(hold) => hold,
            Err(error) => return (Err(error), buf),
        };
        let write = async |address: Option<u64>| match address {
            Some(address) => self.modify(buf, address + offset, durability).await,
            None => (Ok(()), buf),
        };
        self.write_at_slot(&hold, write).await
    }

    /// Writes whole blocks, through a copy if the memory is not as the disk wants it.
    pub(super) async fn write_blocks(
        &self,
        buf: Buf,
        address: u64,
        durability: Durability,
    ) -> (Result<()>, Buf) {
        if !self.fits_direct(address, &buf) {
            return (Box::pin(self.write_bounced(&buf, address, durability)).await, buf);
        }
        let (result, buf) = self.file.write_at(buf, address, durability).await;
        (result.map(drop).map_err(|e| self.shared.data.io("write", e)), buf)
    }

    /// Writes from a copy, because the disk cannot read the memory itself.
    async fn write_bounced(&self, bytes: &[u8], address: u64, durability: Durability) -> Result<()> {
        let mut bounce = Buf::alloc(bytes.len());
        bounce.copy_from_slice(bytes);
        let (result, _) = self.file.write_at(bounce, address, durability).await;
        result.map(drop).map_err(|e| self.shared.data.io("write", e))
    }

    async fn write_together(
        &self,
        runs: Vec<Run>,
        address: u64,
        durability: Durability,
    ) -> (Result<()>, Vec<Run>) {
        let (mut done, mut outcome) = (Vec::with_capacity(runs.len()), Ok(()));
        let mut runs = runs.into_iter();
        while runs.len() > 0 {
            let batch = runs.by_ref().take(RUNS_TOGETHER).map(async |run| {
                let (result, buf) = self.write_blocks(run.buf, address + run.offset, durability).await;
                (result, Run { offset: run.offset, buf })
            });
            for (result, run) in join_all(batch).await {
                outcome = outcome.and(result);
                done.push(run);
            }
        }
        (outcome, done)
    }

    async fn modify_each(
        &self,
        mut runs: Vec<Run>,
        address: u64,
        durability: Durability,
    ) -> (Result<()>, Vec<Run>) {
        let mut outcome = Ok(());
        // One after the other: neighbours may share a block.
        for run in &mut runs {
            let buf = std::mem::take(&mut run.buf);
            let (result, buf) = self.modify(buf, address + run.offset, durability).await;
            run.buf = buf;
            outcome = outcome.and(result);
        }
        (outcome, runs)
    }

    /// Writes bytes that do not fill their first or last block: reads those blocks, changes them, writes all. The caller is alone at the gate.
    pub(super) async fn modify(&self, buf: Buf, address: u64, durability: Durability) -> (Result<()>, Buf) {
        if self.fits_blocks(address, buf.len() as u64) {
            return self.write_blocks(buf, address, durability).await;
        }
        let (start, bytes) = self.blocks_around(address, buf.len());
        let mut blocks = Buf::alloc(bytes);
        let (block, within) = (self.align as usize, (address - start) as usize);
        let end = within + buf.len();
        if (within != 0 || end < block)
            && let Err(error) = self.read_block(&mut blocks, 0, start).await
        {
            return (Err(error), buf);
        }
        let last = bytes - block;
        if end != bytes
            && last != 0
            && let Err(error) = self.read_block(&mut blocks, last, start).await
        {
            return (Err(error), buf);
        }
        blocks[within..end].copy_from_slice(&buf);
        let (result, _) = self.write_blocks(blocks, start, durability).await;
        (result, buf)
    }

    /// The whole blocks around a range: where they start and how long they are.
    fn blocks_around(&self, address: u64, len: usize) -> (u64, usize) {
        let start = address & !(self.align - 1);
        let end = (address + len as u64).next_multiple_of(self.align);
        (start, (end - start) as usize)
    }

    /// Fills one block of `blocks`, which stands for the disk from `start` on.
    async fn read_block(&self, blocks: &mut Buf, at: usize, start: u64) -> Result<()> {
        let (result, block) = self.read_whole(Buf::alloc(self.align as usize), start + at as u64).await;
        blocks[at..at + block.len()].copy_from_slice(&block);
        result
    }
}
