//! A random workload on an image that tells a recorder what it did.

use crate::recorder::Recorder;
use crate::stamp::{self, BLOCK_BYTES};
use ringbd::{Buf, Image, Result};
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

/// The longest write, in blocks.
const RUN_MAX: u64 = 5;

/// Writes, zeroes, discards and flushes at random within `blocks`, which nobody else writes; `steps` operations, one after the other.
/// Returns how many of them failed.
pub async fn write_randomly(
    image: Image,
    recorder: Rc<RefCell<Recorder>>,
    mut random: fastrand::Rng,
    blocks: Range<u64>,
    steps: u64,
) -> u64 {
    let mut failed = 0;
    for _ in 0..steps {
        if random.u32(..6) == 0 {
            let ticket = recorder.borrow().flush();
            match image.flush().await {
                Ok(()) => recorder.borrow_mut().flushed(ticket),
                Err(_) => failed += 1,
            }
            continue;
        }
        let run = random.u64(1..=RUN_MAX);
        let first = random.u64(blocks.start..=blocks.end - run);
        let versions: Vec<(u64, u64)> =
            (first..first + run).map(|block| (block, recorder.borrow_mut().issue(block))).collect();
        let zeros = random.u32(..10) < 2;
        if zeros {
            versions.iter().for_each(|&(block, version)| recorder.borrow_mut().is_zeros(block, version));
        }
        let done =
            if zeros { clear(&image, &versions, random.bool()).await } else { fill(&image, &versions).await };
        match done {
            Ok(()) => versions
                .iter()
                .for_each(|&(block, version)| recorder.borrow_mut().acknowledge(block, version)),
            Err(_) => failed += 1,
        }
    }
    failed
}

fn place(versions: &[(u64, u64)]) -> (u64, u64) {
    (versions[0].0 * BLOCK_BYTES as u64, versions.len() as u64 * BLOCK_BYTES as u64)
}

async fn clear(image: &Image, versions: &[(u64, u64)], discard: bool) -> Result<()> {
    let (offset, len) = place(versions);
    if discard { image.discard(offset, len).await } else { image.write_zeroes(offset, len).await }
}

async fn fill(image: &Image, versions: &[(u64, u64)]) -> Result<()> {
    let (offset, len) = place(versions);
    let mut buf = Buf::zeroed(len as usize);
    for (&(block, version), bytes) in versions.iter().zip(buf.chunks_exact_mut(BLOCK_BYTES)) {
        stamp::fill(block, version, bytes);
    }
    image.write_at(buf, offset).await.0.map(drop)
}
