//! Watching an object, and telling its watchers something.

use std::fmt::Write as _;
use std::time::Duration;

use ringbd::rados::{IoCtx, Need, OpError, WatchNews};
use ringbd::runtime::timeout;

use super::super::print;
use crate::failure::Failure;

/// How much longer than the watchers the OSD may take: it has to be reached, and to count the answers.
const OSD_LATE_MAX: Duration = Duration::from_secs(5);

pub(super) async fn watch(io: &IoCtx, object: &str, count: Option<u64>) -> Result<(), Failure> {
    let watch = io.watch(object.as_bytes()).await;
    let watch = match watch {
        Ok(watch) => watch,
        Err(error) => {
            let error = io.explain(error, "watch", Need::Write, object.as_bytes()).await;
            return Err(Failure::of("error calling watch", &error));
        }
    };
    print(&format!("watching {object}, cookie {}\n", watch.cookie()))?;
    let mut seen = 0;
    while count.is_none_or(|count| seen < count) {
        match watch.next().await {
            WatchNews::Notified(notification) => {
                seen += 1;
                let mut text = format!(
                    "NOTIFY cookie {} notify_id {} from client.{}\n",
                    watch.cookie(),
                    notification.notify_id,
                    notification.notifier
                );
                hex_dump(&mut text, &notification.payload);
                print(&text)?;
                let answered = watch.ack(&notification, b"").await;
                answered.map_err(|error| Failure::of("error answering", &error.of("acknowledge", object)))?;
            }
            WatchNews::Lost(error) => {
                return Err(Failure::of("the watch is lost", &error.of("watch", object)));
            }
        }
    }
    let closed = watch.close().await;
    closed.map_err(|error| Failure::of("error ending the watch", &error.of("unwatch", object)))
}

pub(super) async fn notify(io: &IoCtx, object: &str, message: &str, timeout_s: u32) -> Result<(), Failure> {
    let limit = Duration::from_secs(timeout_s.into());
    let notified =
        timeout(limit + OSD_LATE_MAX, io.notify(object.as_bytes(), message.as_bytes(), limit)).await;
    let outcome = match notified.unwrap_or(Err(OpError::TimedOut)) {
        Ok(outcome) => outcome,
        Err(error) => {
            let error = io.explain(error, "notify", Need::Read, object.as_bytes()).await;
            return Err(Failure::of("error calling notify", &error));
        }
    };
    let mut text = String::new();
    for reply in &outcome.replies {
        let (watcher, bytes) = (&reply.watcher, reply.payload.len());
        writeln!(text, "reply client.{} cookie {} : {bytes} bytes", watcher.client, watcher.cookie)
            .expect("a string takes everything");
        hex_dump(&mut text, &reply.payload);
    }
    for watcher in &outcome.timeouts {
        writeln!(text, "timeout client.{} cookie {}", watcher.client, watcher.cookie)
            .expect("a string takes everything");
    }
    print(&text)?;
    if outcome.timeouts.is_empty() {
        return Ok(());
    }
    const ETIMEDOUT: i32 = 110;
    let silent = format!("{} watchers did not answer within {timeout_s} s", outcome.timeouts.len());
    Err(Failure::new(
        ETIMEDOUT,
        format!("error calling notify: ({ETIMEDOUT}) Connection timed out; {silent}"),
    ))
}

/// Bytes as Ceph's tools show them: offset, sixteen in hexadecimal, and as text.
fn hex_dump(text: &mut String, bytes: &[u8]) {
    for (at, line) in bytes.chunks(16).enumerate() {
        let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let shown: String =
            line.iter().map(|&byte| if byte.is_ascii_graphic() { char::from(byte) } else { '.' }).collect();
        writeln!(text, "{:08x}  {:<47}  |{shown}|", at * 16, hex.join(" "))
            .expect("a string takes everything");
    }
}
