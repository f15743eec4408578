//! Messages to the person who runs fio: one line each, through fio's own log, with `ringbd: ` in front.
//!
//! Everything goes to standard error, also notes: standard output may be JSON that a program reads. Warnings and errors
//! of the engine come the same way; `RINGBD_LOG=info` (or `debug`, `trace`) lets more through.

use std::ffi::CString;
use std::fmt::{Debug, Display, Write};
use std::sync::Once;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::abi::symbols::Symbols;

/// Says one line.
pub(crate) fn say(message: impl Display) {
    let line = format!("ringbd: {message}\n").replace('\0', "\\0");
    let Some(symbols) = Symbols::of_process() else {
        eprint!("{line}");
        return;
    };
    let line = CString::new(line).expect("zero bytes were replaced above");
    // SAFETY: the format takes one C string, and both live through the call.
    unsafe { (symbols.log_err)(c"%s".as_ptr(), line.as_ptr()) };
}

/// Sends the engine's own messages here, from now on and for all threads of the process.
pub(crate) fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let level =
            std::env::var("RINGBD_LOG").ok().and_then(|word| word.parse().ok()).unwrap_or(Level::WARN);
        // Someone else's subscriber can only be there in a program that embeds fio; then it hears the engine.
        let _ = tracing::subscriber::set_global_default(ToFio { level });
    });
}

/// The engine's events as lines of fio's log. Spans are not followed.
struct ToFio {
    level: Level,
}

impl Subscriber for ToFio {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= self.level
    }
    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        Some(self.level.into())
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        say(line.0);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// `message name=value name=value`.
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let gap = if self.0.is_empty() { "" } else { " " };
        // Writing into a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.0, "{gap}{value:?}"),
            name => write!(self.0, "{gap}{name}={value:?}"),
        };
    }
}
