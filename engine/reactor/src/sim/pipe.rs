//! One direction of a simulated connection: an ordered stream of bytes cut into segments that take their time.
//!
//! Bytes are unsent (the window is full), then in flight, then arrived, then read. The window bounds what is in
//! flight or arrived, so that a reader that stands still stops its writer, as TCP does.

use std::collections::VecDeque;
use std::task::Waker;

use fastrand::Rng;

use super::faults::nanos_within;
use super::net::NetConfig;

/// Bytes on their way; no bytes at all mean the end of the stream.
#[derive(Debug)]
struct Segment {
    arrives_ns: u64,
    bytes: Vec<u8>,
}

/// A direction of a connection.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    unsent: VecDeque<u8>,
    in_flight: VecDeque<Segment>,
    arrived: VecDeque<Vec<u8>>,
    /// Bytes in flight or arrived.
    outstanding: usize,
    /// Offset in the stream of the next byte to arrive.
    delivered: u64,
    finished: bool,
    fin_sent: bool,
    fin_arrived: bool,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
}

impl Pipe {
    /// Queues bytes; [`Pipe::pump`] sends them.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        assert!(!self.finished, "nothing is sent after the end of the stream");
        self.unsent.extend(bytes);
    }

    /// Ends the stream behind what was queued.
    pub(super) fn finish(&mut self) {
        self.finished = true;
    }

    /// Whether the stream has been ended by its writer.
    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    /// Whether everything queued was taken over by the network.
    pub(super) fn is_sent(&self) -> bool {
        self.unsent.is_empty()
    }

    /// Whether nothing is on its way or waits to be.
    pub(super) fn is_idle(&self) -> bool {
        self.unsent.is_empty() && self.in_flight.is_empty() && self.fin_sent == self.finished
    }

    /// Whether bytes have arrived that nobody has read.
    pub(super) fn has_unread(&self) -> bool {
        !self.arrived.is_empty()
    }

    /// Sends what the window allows. Returns when each new segment arrives.
    pub(super) fn pump(&mut self, now_ns: u64, config: &NetConfig, rng: &mut Rng) -> Vec<u64> {
        let mut arrivals = Vec::new();
        while !self.unsent.is_empty() && self.outstanding < config.window {
            let most = self.unsent.len().min(config.window - self.outstanding);
            let len = segment_len(config, rng).min(most);
            let bytes = self.take_unsent(len);
            self.outstanding += len;
            arrivals.push(self.launch(bytes, now_ns, config, rng));
        }
        if self.finished && !self.fin_sent && self.unsent.is_empty() {
            self.fin_sent = true;
            arrivals.push(self.launch(Vec::new(), now_ns, config, rng));
        }
        arrivals
    }

    fn take_unsent(&mut self, len: usize) -> Vec<u8> {
        let (front, back) = self.unsent.as_slices();
        let from_front = len.min(front.len());
        let bytes = [&front[..from_front], &back[..len - from_front]].concat();
        self.unsent.drain(..len);
        bytes
    }

    fn launch(&mut self, bytes: Vec<u8>, now_ns: u64, config: &NetConfig, rng: &mut Rng) -> u64 {
        let earliest = self.in_flight.back().map_or(0, |last| last.arrives_ns);
        let arrives_ns = earliest.max(now_ns + nanos_within(&config.delay, rng));
        self.in_flight.push_back(Segment { arrives_ns, bytes });
        arrives_ns
    }

    /// Takes a segment that has arrived by now: its offset in the stream and its bytes.
    pub(super) fn arrive(&mut self, now_ns: u64) -> Option<(u64, Vec<u8>)> {
        let segment = self.in_flight.pop_front_if(|first| first.arrives_ns <= now_ns)?;
        let offset = self.delivered;
        self.delivered += segment.bytes.len() as u64;
        Some((offset, segment.bytes))
    }

    /// Gives a segment to the reader.
    pub(super) fn accept(&mut self, bytes: Vec<u8>) {
        if bytes.is_empty() {
            self.fin_arrived = true;
        } else {
            self.arrived.push_back(bytes);
        }
    }

    /// Takes the next bytes to read: `Some(None)` at the end of the stream, `None` if there is nothing yet.
    pub(super) fn read(&mut self) -> Option<Option<Vec<u8>>> {
        match self.arrived.pop_front() {
            Some(bytes) => {
                self.outstanding -= bytes.len();
                Some(Some(bytes))
            }
            None => self.fin_arrived.then_some(None),
        }
    }

    /// Sends everything in flight again, as TCP does after an outage. Returns the new arrivals.
    pub(super) fn resend(&mut self, now_ns: u64, config: &NetConfig, rng: &mut Rng) -> Vec<u64> {
        let mut earliest = now_ns;
        for segment in &mut self.in_flight {
            earliest = earliest.max(now_ns + nanos_within(&config.delay, rng)).max(segment.arrives_ns);
            segment.arrives_ns = earliest;
        }
        self.in_flight.iter().map(|segment| segment.arrives_ns).collect()
    }

    /// Makes the reader see the end of the stream behind what has arrived.
    pub(super) fn end_reading(&mut self) {
        self.fin_arrived = true;
    }

    /// Forgets what was not sent yet.
    pub(super) fn drop_unsent(&mut self) {
        self.unsent.clear();
    }

    /// Forgets what was not sent yet, and sends nothing more, not even the end of the stream.
    pub(super) fn abort(&mut self) {
        self.drop_unsent();
        (self.finished, self.fin_sent) = (true, true);
    }

    /// Forgets everything: the connection was reset.
    pub(super) fn clear(&mut self) {
        self.abort();
        self.in_flight.clear();
        self.arrived.clear();
    }
}

fn segment_len(config: &NetConfig, rng: &mut Rng) -> usize {
    // Now and then a tiny one, so that every boundary inside a frame is met.
    if rng.u8(0..8) == 0 {
        rng.usize(1..=config.segment_max.min(64))
    } else {
        rng.usize(1..=config.segment_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_arrives_whole_and_in_order_however_it_is_cut() {
        for seed in 0..300 {
            let mut rng = Rng::with_seed(seed);
            let config = NetConfig {
                window: rng.usize(1..2_000),
                segment_max: rng.usize(1..500),
                ..NetConfig::default()
            };
            let sent: Vec<u8> = (0..rng.usize(0..6_000)).map(|_| rng.u8(..)).collect();
            let mut pipe = Pipe::default();
            let (mut now, mut got, mut queued) = (0, Vec::new(), 0);
            loop {
                let next = (queued + rng.usize(0..900)).min(sent.len());
                if !pipe.is_finished() {
                    pipe.push(&sent[queued..next]);
                    queued = next;
                    if queued == sent.len() {
                        pipe.finish();
                    }
                }
                let arrivals = pipe.pump(now, &config, &mut rng);
                assert!(arrivals.is_sorted() && pipe.outstanding <= config.window, "seed {seed}");
                now += rng.u64(0..300_000);
                while let Some((offset, bytes)) = pipe.arrive(now) {
                    assert_eq!(offset + bytes.len() as u64, pipe.delivered);
                    pipe.accept(bytes);
                }
                match pipe.read() {
                    Some(Some(bytes)) => got.extend(bytes),
                    Some(None) => break,
                    None => {}
                }
            }
            assert_eq!(got, sent, "seed {seed}");
        }
    }
}
