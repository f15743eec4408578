//! Whole objects: put, get, stat, rm.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use ringbd::Buf;
use ringbd::rados::{IoCtx, Need, OpError};
use serde::Serialize;

use super::super::{print, print_json};
use crate::cli::Format;
use crate::environment::date::timestamp;
use crate::failure::Failure;

/// Bytes that one operation moves, as the `rados` tool has it.
const PIECE: usize = 4 << 20;

/// A failure of doing something to an object, as `rados` says it.
async fn failed(io: &IoCtx, object: &str, need: Need, what: String, error: OpError) -> Failure {
    let error = io.explain(error, "access", need, object.as_bytes()).await;
    Failure::of(format_args!("error {what}"), &error)
}

pub(super) async fn put(io: &IoCtx, pool: &str, object: &str, file: &Path) -> Result<(), Failure> {
    let cannot = |error: &io::Error| Failure::of_io(format_args!("error reading {}", file.display()), error);
    let mut source: Box<dyn Read> = match file.to_str() {
        Some("-") => Box::new(io::stdin().lock()),
        _ => Box::new(File::open(file).map_err(|error| cannot(&error))?),
    };
    let mut offset = 0;
    loop {
        let mut bytes = Vec::new();
        source.by_ref().take(PIECE as u64).read_to_end(&mut bytes).map_err(|error| cannot(&error))?;
        let (len, last) = (bytes.len(), bytes.len() < PIECE);
        let data = Buf::from_slice(&bytes);
        let done = match offset {
            // The first piece makes the object anew, so that nothing is left of an older, longer one.
            0 => io.write_full(object.as_bytes(), data).await,
            _ if len == 0 => Ok(()),
            _ => io.write(object.as_bytes(), offset, data).await,
        };
        if let Err(error) = done {
            return Err(failed(io, object, Need::Write, format!("putting {pool}/{object}"), error).await);
        }
        offset += len as u64;
        if last {
            return Ok(());
        }
    }
}

pub(super) async fn get(io: &IoCtx, pool: &str, object: &str, file: &Path) -> Result<(), Failure> {
    let cannot = |error: &io::Error| Failure::of_io(format_args!("error writing {}", file.display()), error);
    let mut target: Option<Box<dyn Write>> = None;
    let (mut offset, mut buf) = (0, Buf::zeroed(PIECE));
    loop {
        let n;
        (n, buf) = match io.read(object.as_bytes(), offset, buf).await {
            Ok(read) => read,
            Err(error) => {
                return Err(failed(io, object, Need::Read, format!("getting {pool}/{object}"), error).await);
            }
        };
        // The file is made once there is something to put into it.
        let target = match &mut target {
            Some(target) => target,
            none => none.insert(match file.to_str() {
                Some("-") => Box::new(io::stdout().lock()),
                _ => Box::new(File::create(file).map_err(|error| cannot(&error))?),
            }),
        };
        target.write_all(&buf[..n]).map_err(|error| cannot(&error))?;
        offset += n as u64;
        if n < PIECE {
            return target.flush().map_err(|error| cannot(&error));
        }
    }
}

pub(super) async fn stat(io: &IoCtx, pool: &str, object: &str, format: Format) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Answer<'a> {
        pool: &'a str,
        object: &'a str,
        mtime: String,
        size: u64,
    }
    let stat = match io.stat(object.as_bytes()).await {
        Ok(stat) => stat,
        Err(error) => {
            return Err(failed(io, object, Need::Read, format!("stat-ing {pool}/{object}"), error).await);
        }
    };
    let mtime = timestamp(stat.mtime.as_duration());
    match format {
        Format::Json => print_json(&Answer { pool, object, mtime, size: stat.size }),
        Format::Plain => print(&format!("{pool}/{object} mtime {mtime}, size {}\n", stat.size)),
    }
}

pub(super) async fn remove(io: &IoCtx, pool: &str, objects: &[String]) -> Result<(), Failure> {
    for object in objects {
        if let Err(error) = io.remove(object.as_bytes()).await {
            return Err(failed(io, object, Need::Write, format!("removing {pool}>{object}"), error).await);
        }
    }
    Ok(())
}
