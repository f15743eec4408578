//! Writing a source into an image: zeros are not written, so they stay unallocated.

use std::sync::mpsc::{Receiver, Sender, channel};

use ringbd::{Buf, Image, Request};

use super::source::Source;
use super::zeros::data_runs;
use super::{CHUNK_BYTES, DEPTH};
use crate::failure::Failure;

/// An image that grows with a stream grows to this at first, then doubles.
const GROW_BYTES_MIN: u64 = 1 << 30;

type End = (ringbd::Result<u64>, Buf);

/// Copies all of `source` to the start of `image`, and makes it durable. A stream resizes the image to its
/// own length. `progress` is told up to where it is done.
pub(crate) fn import(
    source: &mut Source,
    image: &Image,
    progress: &mut dyn FnMut(u64),
) -> Result<(), Failure> {
    let grows = source.size().is_none();
    let mut writes = Writes::new(image);
    let mut end = 0;
    loop {
        let mut buf = writes.buffer()?;
        let chunk = source
            .read_chunk(&mut buf)
            .map_err(|error| Failure::of_io("import failed: cannot read the source", &error))?;
        let Some((offset, read)) = chunk else { break };
        end = offset + read as u64;
        if grows && end > image.size() {
            resize(image, end.max(image.size() * 2).max(GROW_BYTES_MIN))?;
        }
        buf.truncate(read);
        writes.begin(offset, buf);
        progress(end);
    }
    writes.finish()?;
    if grows && end != image.size() {
        resize(image, end)?;
    }
    Ok(())
}

fn resize(image: &Image, size: u64) -> Result<(), Failure> {
    image.blocking().resize(size).map_err(|error| Failure::of("import failed", &error))
}

/// Writes under way.
struct Writes<'a> {
    image: &'a Image,
    under_way: usize,
    ends: Receiver<End>,
    sender: Sender<End>,
    spare: Vec<Buf>,
}

impl<'a> Writes<'a> {
    fn new(image: &'a Image) -> Writes<'a> {
        let (sender, ends) = channel();
        Writes { image, under_way: 0, ends, sender, spare: Vec::new() }
    }

    /// A buffer of a whole chunk; waits for a write to end while too many are under way.
    fn buffer(&mut self) -> Result<Buf, Failure> {
        while self.under_way >= DEPTH {
            self.wait_one()?;
        }
        Ok(self.spare.pop().unwrap_or_else(|| Buf::zeroed(CHUNK_BYTES as usize)))
    }

    /// Begins to write what is not zero in `buf`.
    fn begin(&mut self, offset: u64, mut buf: Buf) {
        let runs = data_runs(&buf);
        if runs.is_empty() {
            self.keep(buf);
            return;
        }
        let mut cut = 0;
        for run in runs {
            drop(buf.split_to(run.start - cut));
            let part = buf.split_to(run.end - run.start);
            cut = run.end;
            let sender = self.sender.clone();
            self.under_way += 1;
            // The receiver is gone only after a failure, which has been told.
            let reply = move |result, buf| drop(sender.send((result, buf)));
            self.image.submit(Request::write(offset + run.start as u64, part), reply);
        }
    }

    fn wait_one(&mut self) -> Result<(), Failure> {
        let (result, buf) = self.ends.recv().expect("a sender is kept here");
        self.under_way -= 1;
        result.map_err(|error| Failure::of("import failed", &error))?;
        self.keep(buf);
        Ok(())
    }

    /// Keeps a buffer for the next chunk if it is still whole.
    fn keep(&mut self, buf: Buf) {
        if buf.len() as u64 == CHUNK_BYTES {
            self.spare.push(buf);
        }
    }

    /// Waits for all, then makes them durable.
    fn finish(mut self) -> Result<(), Failure> {
        while self.under_way > 0 {
            self.wait_one()?;
        }
        self.image.blocking().flush().map_err(|error| Failure::of("import failed", &error))
    }
}
