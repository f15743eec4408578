//! A daemon's admin socket: what it says of itself, asked without the cluster's help and in no time.

use serde_json::Value;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long a daemon may take to answer. A frozen one never does.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most that an answer is taken to be.
const ANSWER_BYTES_MAX: u32 = 16 << 20;

/// Gives a daemon a command and returns its answer. A daemon that is not there, or refuses, is an error.
pub(super) fn ask(socket: &Path, command: &Value) -> io::Result<Value> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(command.to_string().as_bytes())?;
    stream.write_all(b"\0")?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length > ANSWER_BYTES_MAX {
        return Err(io::Error::other(format!("an answer of {length} bytes")));
    }
    let mut answer = vec![0; length as usize];
    stream.read_exact(&mut answer)?;
    serde_json::from_slice(&answer)
        .map_err(|_| io::Error::other(String::from_utf8_lossy(&answer).into_owned()))
}
