//! Where a long test's time goes: each step is printed with what it took, for whoever reads the output of a failed or slow run.

use std::time::Instant;

/// A clock that is read at each step.
pub struct Steps {
    last: Instant,
}

impl Steps {
    /// Begins now.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a clock begins when somebody says so")]
    pub fn new() -> Steps {
        Steps { last: Instant::now() }
    }

    /// A step is done.
    pub fn done(&mut self, what: &str) {
        println!("{:7.2} s  {what}", self.last.elapsed().as_secs_f64());
        self.last = Instant::now();
    }
}
