//! What a core is told when it starts.

use std::time::Duration;

/// Settings of one core.
#[derive(Clone, Debug)]
pub struct CoreConfig {
    /// Name of the thread and of the core in messages.
    pub name: String,
    /// CPU to pin the thread to; `None` leaves it to the scheduler. A lent thread is never moved.
    pub cpu: Option<usize>,
    /// How long an idle core looks for work before it sleeps, at most: sleeping costs a waker 14 µs and more,
    /// looking costs a CPU. A core that looks in vain does it less and less often (see `spin.rs`).
    pub spin: Duration,
    /// Entries of the submission queue; the completion queue has eight times as many.
    pub entries: u32,
    /// Size of the core's pool of aligned buffers; 0 for none (buffers then come from the heap).
    pub pool_bytes: usize,
}

impl Default for CoreConfig {
    fn default() -> CoreConfig {
        CoreConfig {
            name: "ringbd-core".to_owned(),
            cpu: None,
            spin: Duration::ZERO,
            entries: 512,
            pool_bytes: 16 << 20,
        }
    }
}
