//! What went on with one OSD: plain counters of the core that has its connection, read when somebody asks.

use crate::rados::connection::{ConnectError, Fault};
use crate::rados::status::{LastError, LatencySummary};
use hdrhistogram::Histogram;
use ringbd_reactor::{Instant, now};
use std::cell::{Cell, RefCell};
use std::fmt;

/// The longest latency that is told apart: an hour, in microseconds.
const LATENCY_MAX_US: u64 = 3_600_000_000;

/// Two digits of a latency are kept: a table of 13 KiB for each OSD.
const LATENCY_DIGITS: u8 = 2;

pub(super) struct Statistics {
    pub(super) operations: Cell<u64>,
    pub(super) written_bytes: Cell<u64>,
    pub(super) read_bytes: Cell<u64>,
    pub(super) resends: Cell<u64>,
    pub(super) backoffs: Cell<u64>,
    /// Connections that stood.
    pub(super) connections: Cell<u64>,
    latency_us: RefCell<Histogram<u32>>,
    /// Why there is no connection, or why the last one ended.
    last_error: RefCell<Option<(Instant, String)>>,
}

impl Default for Statistics {
    fn default() -> Statistics {
        let latency_us = Histogram::new_with_bounds(1, LATENCY_MAX_US, LATENCY_DIGITS);
        Statistics {
            operations: Cell::new(0),
            written_bytes: Cell::new(0),
            read_bytes: Cell::new(0),
            resends: Cell::new(0),
            backoffs: Cell::new(0),
            connections: Cell::new(0),
            latency_us: RefCell::new(latency_us.expect("the bounds are valid constants")),
            last_error: RefCell::new(None),
        }
    }
}

/// Counts on.
pub(super) fn add(count: &Cell<u64>, n: usize) {
    count.set(count.get().wrapping_add(n as u64));
}

impl Statistics {
    /// An operation was answered: when it came, when its answer arrived, and the bytes that went either way.
    pub(super) fn answered(&self, since: Instant, at: Instant, written_bytes: usize, read_bytes: usize) {
        add(&self.operations, 1);
        add(&self.written_bytes, written_bytes);
        add(&self.read_bytes, read_bytes);
        let us = at.duration_since(since).as_nanos() / 1000;
        self.latency_us.borrow_mut().saturating_record(u64::try_from(us).unwrap_or(u64::MAX));
    }

    /// No connection came about.
    pub(super) fn refused(&self, error: &ConnectError) {
        self.failed(error);
    }

    /// The connection ended.
    pub(super) fn disconnected(&self, fault: &Fault) {
        self.failed(fault);
    }

    fn failed(&self, error: &impl fmt::Display) {
        *self.last_error.borrow_mut() = Some((now(), error.to_string()));
    }

    pub(super) fn last_error(&self) -> Option<LastError> {
        let last = self.last_error.borrow();
        last.as_ref().map(|(at, reason)| LastError { ago: at.elapsed(), reason: reason.clone() })
    }

    pub(super) fn latency(&self) -> LatencySummary {
        let latency = self.latency_us.borrow();
        LatencySummary {
            mean_us: latency.mean(),
            p50_us: latency.value_at_quantile(0.5),
            p99_us: latency.value_at_quantile(0.99),
            p99_9_us: latency.value_at_quantile(0.999),
            max_us: latency.max(),
        }
    }
}
