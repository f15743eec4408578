//! Progress bars for whatever takes long. They go to stderr, only to a terminal, and not with
//! `--no-progress`.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar, or nothing.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Over `bytes`, with the rate.
    pub(crate) fn bytes(visible: bool, what: &str, bytes: u64) -> Progress {
        let style = "{prefix} {wide_bar:.cyan/dim} {binary_bytes} of {binary_total_bytes}, \
                     {binary_bytes_per_sec}, {eta} left";
        Progress::new(visible, what, bytes, style)
    }

    /// Over bytes whose number nobody knows yet.
    pub(crate) fn stream(visible: bool, what: &str) -> Progress {
        Progress::new(visible, what, 0, "{prefix} {spinner} {binary_bytes}, {binary_bytes_per_sec}")
    }

    /// Over a time that is known beforehand.
    pub(crate) fn time(visible: bool, what: &str, total: Duration) -> Progress {
        Progress::new(
            visible,
            what,
            millis(total),
            "{prefix} {wide_bar:.cyan/dim} {percent} %, {eta} left  {msg}",
        )
    }

    /// Over steps that [`Progress::step`] names.
    pub(crate) fn steps(visible: bool) -> Progress {
        Progress::new(visible, "", 1, "{prefix} {wide_bar:.cyan/dim} {pos} of {len}")
    }

    fn new(visible: bool, what: &str, length: u64, template: &str) -> Progress {
        let shown = visible && std::io::stderr().is_terminal();
        let target = if shown { ProgressDrawTarget::stderr_with_hz(5) } else { ProgressDrawTarget::hidden() };
        let style = ProgressStyle::with_template(template).expect("the templates are constants that parse");
        let bar = ProgressBar::with_draw_target(Some(length), target).with_style(style.progress_chars("━╸─"));
        bar.set_prefix(what.to_owned());
        Progress { bar }
    }

    /// So much is done.
    pub(crate) fn set(&self, done: u64) {
        self.bar.set_position(done);
    }

    /// `done` of `all` steps of `what`.
    pub(crate) fn step(&self, what: &str, done: u64, all: u64) {
        self.bar.set_prefix(what.to_owned());
        self.bar.set_length(all);
        self.bar.set_position(done);
    }

    /// So much time of the plan is done.
    pub(crate) fn set_time(&self, done: Duration) {
        self.bar.set_position(millis(done));
    }

    /// What is being done now.
    pub(crate) fn say(&self, message: String) {
        self.bar.set_message(message);
    }

    /// Done: the bar goes away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
