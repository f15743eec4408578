//! What is imported: a file, whose holes are skipped, or a stream, whose end nobody knows.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{Whence, lseek};

/// Where the bytes come from.
pub(crate) enum Source {
    /// A file or block device.
    File {
        /// Open for reading.
        file: File,
        /// Its length.
        size: u64,
        /// The next byte.
        offset: u64,
    },
    /// Anything that can only be read on.
    Stream {
        /// Where from.
        stream: Box<dyn Read>,
        /// The next byte.
        offset: u64,
    },
}

impl Source {
    /// The file at `path`, or the standard input for `-`.
    pub(crate) fn open(path: &Path) -> io::Result<Source> {
        if path == Path::new("-") {
            return Ok(Source::Stream { stream: Box::new(io::stdin()), offset: 0 });
        }
        let mut file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::Error::from_raw_os_error(Errno::EISDIR as i32));
        }
        // The end, not the metadata's length: a block device has none there. What cannot seek is a stream.
        match file.seek(SeekFrom::End(0)) {
            Ok(size) => Ok(Source::File { file, size, offset: 0 }),
            Err(_) => Ok(Source::Stream { stream: Box::new(file), offset: 0 }),
        }
    }

    /// How much there is, where that is known.
    pub(crate) fn size(&self) -> Option<u64> {
        match self {
            Source::File { size, .. } => Some(*size),
            Source::Stream { .. } => None,
        }
    }

    /// Fills `buffer` with the next bytes that may hold data: their offset and number, or `None` at the end.
    pub(super) fn read_chunk(&mut self, buffer: &mut [u8]) -> io::Result<Option<(u64, usize)>> {
        let (start, read) = match self {
            Source::File { file, size, offset } => {
                let Some(start) = next_data(file, *offset)?.filter(|start| start < size) else {
                    return Ok(None);
                };
                // Keep to multiples of the chunk, so that requests stay within objects.
                let start = start - start % buffer.len() as u64;
                let start = start.max(*offset);
                let read = fill(buffer, |part, done| file.read_at(part, start + done as u64))?;
                *offset = start + read as u64;
                (start, read)
            }
            Source::Stream { stream, offset } => {
                let start = *offset;
                let read = fill(buffer, |part, _| stream.read(part))?;
                *offset += read as u64;
                (start, read)
            }
        };
        Ok((read > 0).then_some((start, read)))
    }
}

/// Reads until the buffer is full or there is no more.
fn fill(buffer: &mut [u8], mut read: impl FnMut(&mut [u8], usize) -> io::Result<usize>) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match read(&mut buffer[done..], done) {
            Ok(0) => break,
            Ok(more) => done += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// The next byte from `offset` on that is not in a hole; `None` when only a hole is left.
fn next_data(file: &File, offset: u64) -> io::Result<Option<u64>> {
    let from = i64::try_from(offset).map_err(|_| io::Error::from_raw_os_error(Errno::EFBIG as i32))?;
    match lseek(file, from, Whence::SeekData) {
        Ok(data) => Ok(u64::try_from(data).ok()),
        Err(Errno::ENXIO) => Ok(None),
        // Devices and some file systems do not tell: all of it is data.
        Err(Errno::EINVAL | Errno::EOPNOTSUPP) => Ok(Some(offset)),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_skipped() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(8 << 20).unwrap();
        file.as_file().write_all_at(&[7; 4096], (5 << 20) + 8192).unwrap();
        let mut source = Source::open(file.path()).unwrap();
        assert_eq!(source.size(), Some(8 << 20));
        let mut buffer = vec![0; 1 << 20];
        let mut touched = Vec::new();
        while let Some((offset, read)) = source.read_chunk(&mut buffer).unwrap() {
            assert_eq!(offset % (1 << 20), 0);
            if buffer[..read].contains(&7) {
                touched.push(offset);
            }
        }
        assert_eq!(touched, [5 << 20]);
    }

    #[test]
    fn a_stream_is_read_to_its_end() {
        let stream = Box::new(io::Cursor::new(vec![1; 2500]).chain(io::Cursor::new(vec![2; 500])));
        let mut source = Source::Stream { stream, offset: 0 };
        let mut buffer = vec![0; 2000];
        assert_eq!(source.read_chunk(&mut buffer).unwrap(), Some((0, 2000)));
        assert_eq!(source.read_chunk(&mut buffer).unwrap(), Some((2000, 1000)));
        assert_eq!(source.read_chunk(&mut buffer).unwrap(), None);
        assert!(Source::open(Path::new("/")).is_err());
    }
}
