//! Reading an image into a file, in which zeros become holes, or into a stream.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};

use ringbd::{Buf, Image, Request};

use super::zeros::data_runs;
use super::{CHUNK_BYTES, DEPTH};
use crate::failure::Failure;

/// Where the bytes go.
pub(crate) enum Target {
    /// A new file.
    File(File),
    /// Anything that can only be written on.
    Stream(Box<dyn Write>),
}

type End = (ringbd::Result<u64>, Buf);

impl Target {
    /// A new file at `path`, or the standard output for `-`. A file that exists is not overwritten.
    pub(crate) fn create(path: &Path) -> io::Result<Target> {
        if path == Path::new("-") {
            return Ok(Target::Stream(Box::new(io::stdout())));
        }
        File::options().write(true).create_new(true).open(path).map(Target::File)
    }

    /// Makes the file as long as the image; what is never written is a hole.
    fn begin(&self, size: u64) -> io::Result<()> {
        match self {
            Target::File(file) => file.set_len(size),
            Target::Stream(_) => Ok(()),
        }
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        match self {
            Target::File(file) => data_runs(bytes)
                .into_iter()
                .try_for_each(|run| file.write_all_at(&bytes[run.clone()], offset + run.start as u64)),
            Target::Stream(stream) => stream.write_all(bytes),
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        match self {
            Target::File(_) => Ok(()),
            Target::Stream(stream) => stream.flush(),
        }
    }
}

/// Copies all of `image` to `target`. `progress` is told up to where it is done.
pub(crate) fn export(
    image: &Image,
    target: &mut Target,
    progress: &mut dyn FnMut(u64),
) -> Result<(), Failure> {
    let fail = |error: io::Error| Failure::of_io("export error", &error);
    let size = image.size();
    target.begin(size).map_err(fail)?;
    let mut under_way: VecDeque<(u64, Receiver<End>)> = VecDeque::with_capacity(DEPTH);
    let mut spare: Vec<Buf> = Vec::new();
    let mut next = 0;
    loop {
        while next < size && under_way.len() < DEPTH {
            let mut buf = spare.pop().unwrap_or_else(|| Buf::zeroed(CHUNK_BYTES as usize));
            buf.truncate(usize::try_from(size - next).unwrap_or(usize::MAX).min(buf.len()));
            let len = buf.len() as u64;
            let (sender, end) = sync_channel(1);
            // The receiver is gone only after a failure, which has been told.
            image.submit(Request::read(next, buf), move |result, buf| drop(sender.send((result, buf))));
            under_way.push_back((next, end));
            next += len;
        }
        let Some((offset, end)) = under_way.pop_front() else { break };
        let (result, buf) = end.recv().map_err(|_| Failure::new(5, "export error: the engine ended"))?;
        result.map_err(|error| Failure::of("export error", &error))?;
        target.write(offset, &buf).map_err(fail)?;
        progress(offset + buf.len() as u64);
        if buf.len() as u64 == CHUNK_BYTES {
            spare.push(buf);
        }
    }
    target.finish().map_err(fail)
}
