//! Whole objects: put, get, stat, rm.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use ringbd::Buf;
use ringbd::rados::{IoCtx, OpError};
use serde::Serialize;

use super::super::{print, print_json};
use crate::cli::Format;
use crate::environment::date::timestamp;
use crate::failure::Failure;

/// Bytes that one operation moves, as the `rados` tool has it.
const PIECE: usize = 4 << 20;

/// A failure of doing something to an object, as `rados` says it.
fn failed(what: &str, pool_object: impl std::fmt::Display, error: OpError) -> Failure {
    let error = error.of("access", &pool_object);
    Failure::of(format_args!("error {what} {pool_object}"), &error)
}

pub(super) async fn put(io: &IoCtx, object: &str, file: &Path) -> Result<(), Failure> {
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
        done.map_err(|error| failed("putting", object, error))?;
        offset += len as u64;
        if last {
            return Ok(());
        }
    }
}

pub(super) async fn get(io: &IoCtx, object: &str, file: &Path) -> Result<(), Failure> {
    let cannot = |error: &io::Error| Failure::of_io(format_args!("error writing {}", file.display()), error);
    let mut target: Option<Box<dyn Write>> = None;
    let (mut offset, mut buf) = (0, Buf::zeroed(PIECE));
    loop {
        let n;
        (n, buf) = match io.read(object.as_bytes(), offset, buf).await {
            Ok(read) => read,
            Err(error) => return Err(failed("getting", object, error)),
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
    let stat = io.stat(object.as_bytes()).await;
    let stat = stat.map_err(|error| failed("stat-ing", format_args!("{pool}/{object}"), error))?;
    let mtime = timestamp(stat.mtime.as_duration());
    match format {
        Format::Json => print_json(&Answer { pool, object, mtime, size: stat.size }),
        Format::Plain => print(&format!("{pool}/{object} mtime {mtime}, size {}\n", stat.size)),
    }
}

pub(super) async fn remove(io: &IoCtx, pool: &str, objects: &[String]) -> Result<(), Failure> {
    for object in objects {
        let done = io.remove(object.as_bytes()).await;
        done.map_err(|error| failed("removing", format_args!("{pool}>{object}"), error))?;
    }
    Ok(())
}
