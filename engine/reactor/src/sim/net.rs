//! The simulated network: TCP between nodes, in memory.
//!
//! Each direction of each connection has delays of its own, so bytes are ordered within a connection and not
//! between connections. Nodes can be partitioned: what is sent then waits, as under retransmission, until the
//! partition heals. What is to happen later, who is to be woken and what the trace shall tell is left in
//! [`Net::out`]; the world around carries it out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::ops::RangeInclusive;
use std::task::Waker;
use std::time::Duration;

use fastrand::Rng;

use super::faults::nanos_within;
use super::pipe::Pipe;
use super::trace::{TraceKind, hash_bytes};

/// A SYN that was not answered is sent again after this time.
const SYN_RETRY_NS: u64 = 1_000_000_000;

/// Ports given to sockets that did not ask for one, as on Linux.
const EPHEMERAL_FIRST: u16 = 32_768;

/// How the simulated network behaves.
#[derive(Clone, Debug)]
pub struct NetConfig {
    /// How long a segment takes.
    pub delay: RangeInclusive<Duration>,
    /// The most bytes a segment carries; its length is drawn.
    pub segment_max: usize,
    /// Bytes of a direction of a connection that may be sent and not read.
    pub window: usize,
    /// Connections a listener keeps until they are accepted.
    pub backlog: usize,
    /// How long connecting goes on without an answer.
    pub connect_timeout: Duration,
    /// Probability, per segment, that the connection is reset instead.
    pub reset: f64,
}

impl Default for NetConfig {
    fn default() -> NetConfig {
        NetConfig {
            delay: Duration::from_micros(20)..=Duration::from_micros(300),
            segment_max: 16 << 10,
            window: 256 << 10,
            backlog: 128,
            // What Linux's six retries add up to.
            connect_timeout: Duration::from_secs(127),
            reset: 0.0,
        }
    }
}

/// Index of a node in its simulation.
pub(super) type NodeId = usize;

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) connection: u64,
    /// 0 is who connected, 1 who accepted.
    pub(super) side: usize,
}

/// Names a listening socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ListenKey {
    pub(super) node: NodeId,
    pub(super) port: u16,
}

/// Something that happens later.
#[derive(Clone, Copy, Debug)]
pub(super) enum NetEvent {
    /// A request to connect reaches the listener's node.
    Syn(u64),
    /// The answer reaches who connects.
    Answer { connection: u64, errno: i32 },
    /// A segment sent by this end arrives.
    Deliver(End),
    /// A reset reaches this end.
    Reset(End),
}

/// What the network wants done.
#[derive(Debug, Default)]
pub(super) struct Out {
    pub(super) events: Vec<(u64, NetEvent)>,
    pub(super) wakes: Vec<Waker>,
    /// Kind, node, connection, offset, length, hash of the bytes.
    pub(super) told: Vec<(TraceKind, NodeId, u64, u64, u64, u64)>,
}

#[derive(Debug)]
struct Listener {
    backlog: VecDeque<u64>,
    acceptor: Option<Waker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Connecting,
    Established,
    /// Reset or refused, with the errno that operations now give.
    Broken(i32),
    /// Let go of by its owner. The kernel still takes the end of the stream.
    Gone,
    /// Its machine lost power: whatever comes is answered by a reset.
    Dead,
}

impl Life {
    fn is_over(self) -> bool {
        matches!(self, Life::Gone | Life::Dead)
    }
}

#[derive(Debug)]
struct Connection {
    nodes: [NodeId; 2],
    ports: [u16; 2],
    life: [Life; 2],
    /// `pipes[side]` carries what that side sends.
    pipes: [Pipe; 2],
    connector: Option<Waker>,
    give_up_ns: u64,
}

/// The network of a simulation.
#[derive(Debug)]
pub(super) struct Net {
    pub(super) config: NetConfig,
    pub(super) out: Out,
    rng: Rng,
    listeners: BTreeMap<ListenKey, Listener>,
    connections: BTreeMap<u64, Connection>,
    cut: BTreeSet<(NodeId, NodeId)>,
    opened: u64,
    next_port: u16,
}

impl Net {
    /// A network without connections.
    pub(super) fn new(config: NetConfig, rng: Rng) -> Net {
        let (listeners, connections, cut) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Net {
            config,
            out: Out::default(),
            rng,
            listeners,
            connections,
            cut,
            opened: 0,
            next_port: EPHEMERAL_FIRST,
        }
    }

    /// Listens on a port of a node; port 0 takes a free one.
    pub(super) fn listen(&mut self, node: NodeId, port: u16) -> io::Result<ListenKey> {
        let port = if port == 0 { self.ephemeral() } else { port };
        let key = ListenKey { node, port };
        if self.listeners.contains_key(&key) {
            return Err(io::Error::from_raw_os_error(libc::EADDRINUSE));
        }
        self.listeners.insert(key, Listener { backlog: VecDeque::new(), acceptor: None });
        Ok(key)
    }

    /// Stops listening; connections that nobody accepted are reset.
    pub(super) fn unlisten(&mut self, key: ListenKey, now_ns: u64) {
        for connection in self.listeners.remove(&key).map(|listener| listener.backlog).unwrap_or_default() {
            self.close(End { connection, side: 1 }, now_ns);
        }
    }

    /// The next connection of a listener: its end here, and who connected.
    pub(super) fn accept(&mut self, key: ListenKey, waker: &Waker) -> Option<(End, NodeId, u16)> {
        let listener = self.listeners.get_mut(&key).expect("a listener lives as long as its handle");
        let Some(connection) = listener.backlog.pop_front() else {
            listener.acceptor = Some(waker.clone());
            return None;
        };
        let state = &self.connections[&connection];
        self.out.told.push((TraceKind::Accept, key.node, connection, 0, 0, 0));
        Some((End { connection, side: 1 }, state.nodes[0], state.ports[0]))
    }

    /// Begins to connect.
    pub(super) fn connect(&mut self, from: NodeId, to: NodeId, port: u16, now_ns: u64) -> End {
        self.opened += 1;
        let connection = self.opened;
        let give_up = u64::try_from(self.config.connect_timeout.as_nanos()).unwrap_or(u64::MAX);
        let state = Connection {
            nodes: [from, to],
            ports: [self.ephemeral(), port],
            life: [Life::Connecting, Life::Connecting],
            pipes: Default::default(),
            connector: None,
            give_up_ns: now_ns.saturating_add(give_up),
        };
        self.connections.insert(connection, state);
        self.later(now_ns, NetEvent::Syn(connection));
        self.out.told.push((TraceKind::Connect, from, connection, to as u64, u64::from(port), 0));
        End { connection, side: 0 }
    }

    /// Whether connecting has ended, and how.
    pub(super) fn connected(&mut self, end: End, waker: &Waker) -> Option<io::Result<u16>> {
        let state = self.connection(end);
        match state.life[0] {
            Life::Connecting => {
                state.connector = Some(waker.clone());
                None
            }
            Life::Established => Some(Ok(state.ports[0])),
            Life::Broken(errno) => Some(Err(io::Error::from_raw_os_error(errno))),
            Life::Gone | Life::Dead => unreachable!("who connects holds its end"),
        }
    }

    /// Queues bytes to send.
    pub(super) fn send(&mut self, end: End, bytes: &[u8], now_ns: u64) -> io::Result<()> {
        let state = self.connection(end);
        check(state.life[end.side])?;
        if state.pipes[end.side].is_finished() {
            return Err(io::Error::from_raw_os_error(libc::EPIPE));
        }
        let node = state.nodes[end.side];
        state.pipes[end.side].push(bytes);
        self.out.told.push((TraceKind::Send, node, end.connection, 0, bytes.len() as u64, hash_bytes(bytes)));
        self.pump(end, now_ns);
        Ok(())
    }

    /// Whether everything queued was taken over.
    pub(super) fn sent(&mut self, end: End, waker: &Waker) -> Option<io::Result<()>> {
        let state = self.connection(end);
        if let Err(error) = check(state.life[end.side]) {
            return Some(Err(error));
        }
        let pipe = &mut state.pipes[end.side];
        if pipe.is_sent() {
            return Some(Ok(()));
        }
        pipe.writer = Some(waker.clone());
        None
    }

    /// The next bytes that arrived: `Some(Ok(None))` at the end of the stream.
    pub(super) fn receive(
        &mut self,
        end: End,
        waker: &Waker,
        now_ns: u64,
    ) -> Option<io::Result<Option<Vec<u8>>>> {
        let state = self.connection(end);
        if let Err(error) = check(state.life[end.side]) {
            return Some(Err(error));
        }
        let pipe = &mut state.pipes[1 - end.side];
        let Some(read) = pipe.read() else {
            pipe.reader = Some(waker.clone());
            return None;
        };
        // The window has opened.
        self.pump(End { side: 1 - end.side, ..end }, now_ns);
        Some(Ok(read))
    }

    /// Sends the end of the stream behind what was sent.
    pub(super) fn finish(&mut self, end: End, now_ns: u64) {
        self.connection(end).pipes[end.side].finish();
        self.pump(end, now_ns);
    }

    /// Ends both directions: the peer reads the end of the stream, and so does this end.
    pub(super) fn shutdown(&mut self, end: End, now_ns: u64) {
        let state = self.connection(end);
        if state.life[end.side] != Life::Established {
            return;
        }
        let incoming = &mut state.pipes[1 - end.side];
        incoming.end_reading();
        let reader = incoming.reader.take();
        self.out.wakes.extend(reader);
        self.finish(end, now_ns);
    }

    /// A send was given up: what the network has not taken over is gone, and so is the rest of the stream.
    pub(super) fn tear(&mut self, end: End, now_ns: u64) {
        let state = self.connection(end);
        if !state.pipes[end.side].is_sent() {
            state.pipes[end.side].drop_unsent();
            self.finish(end, now_ns);
        }
    }

    /// The owner of an end lets go of it. Unread bytes make it a reset, as on Linux.
    pub(super) fn close(&mut self, end: End, now_ns: u64) {
        let state = self.connection(end);
        let unread = state.pipes[1 - end.side].has_unread();
        let was = std::mem::replace(&mut state.life[end.side], Life::Gone);
        let node = state.nodes[end.side];
        self.out.told.push((TraceKind::Close, node, end.connection, 0, u64::from(unread), 0));
        match was {
            Life::Established | Life::Connecting if unread => {
                self.later(now_ns, NetEvent::Reset(End { side: 1 - end.side, ..end }));
            }
            Life::Established | Life::Connecting => self.finish(end, now_ns),
            Life::Broken(_) | Life::Gone | Life::Dead => {}
        }
        self.forget_if_over(end.connection);
    }

    /// Resets a connection from outside: both ends find out.
    pub(super) fn reset(&mut self, connection: u64) {
        for side in [0, 1] {
            self.reset_arrives(End { connection, side });
        }
    }

    /// Resets every connection between two nodes.
    pub(super) fn reset_between(&mut self, a: NodeId, b: NodeId) {
        let between = |state: &Connection| state.nodes == [a, b] || state.nodes == [b, a];
        let hit: Vec<u64> = self
            .connections
            .iter()
            .filter(|(_, state)| between(state))
            .map(|(&connection, _)| connection)
            .collect();
        for connection in hit {
            self.reset(connection);
        }
    }

    /// Nothing passes between two nodes until [`Net::heal`].
    pub(super) fn partition(&mut self, a: NodeId, b: NodeId) {
        self.cut.insert((a.min(b), a.max(b)));
        self.out.told.push((TraceKind::Partition, a, b as u64, 0, 0, 0));
    }

    /// Ends a partition; what waited is sent again.
    pub(super) fn heal(&mut self, a: NodeId, b: NodeId, now_ns: u64) {
        self.cut.remove(&(a.min(b), a.max(b)));
        self.out.told.push((TraceKind::Heal, a, b as u64, 0, 0, 0));
        for (&connection, state) in &mut self.connections {
            if state.nodes != [a, b] && state.nodes != [b, a] {
                continue;
            }
            for (side, pipe) in state.pipes.iter_mut().enumerate() {
                for at in pipe.resend(now_ns, &self.config, &mut self.rng) {
                    self.out.events.push((at, NetEvent::Deliver(End { connection, side })));
                }
            }
        }
    }

    /// Whether any two nodes are partitioned.
    pub(super) fn is_partitioned(&self) -> bool {
        !self.cut.is_empty()
    }

    /// A node's processes are gone. A kernel that lives on closes their sockets; after a power cut there is silence.
    pub(super) fn node_died(&mut self, node: NodeId, kernel_lives: bool, now_ns: u64) {
        let keys: Vec<ListenKey> = self.listeners.keys().filter(|key| key.node == node).copied().collect();
        for key in keys {
            if kernel_lives {
                self.unlisten(key, now_ns);
            } else {
                self.listeners.remove(&key);
            }
        }
        let ends: Vec<End> = self
            .connections
            .iter()
            .flat_map(|(&connection, state)| [0, 1].map(|side| (End { connection, side }, state)))
            .filter(|(end, state)| state.nodes[end.side] == node && !state.life[end.side].is_over())
            // The accepting side comes to be when the request arrives.
            .filter(|(end, state)| end.side == 0 || state.life[1] != Life::Connecting)
            .map(|(end, _)| end)
            .collect();
        for end in ends {
            if kernel_lives {
                self.close(end, now_ns);
            } else if let Some(state) = self.connections.get_mut(&end.connection) {
                state.life[end.side] = Life::Dead;
                state.pipes[end.side].abort();
                self.forget_if_over(end.connection);
            }
        }
    }

    /// Carries out an event.
    pub(super) fn happen(&mut self, event: NetEvent, now_ns: u64) {
        match event {
            NetEvent::Syn(connection) => self.syn_arrives(connection, now_ns),
            NetEvent::Answer { connection, errno } => self.answer_arrives(connection, errno, now_ns),
            NetEvent::Deliver(end) => self.segments_arrive(end, now_ns),
            NetEvent::Reset(end) => self.reset_arrives(end),
        }
    }

    fn syn_arrives(&mut self, connection: u64, now_ns: u64) {
        let Some(state) = self.connections.get_mut(&connection) else { return };
        let [from, to] = state.nodes;
        let give_up = now_ns >= state.give_up_ns;
        let key = ListenKey { node: to, port: state.ports[1] };
        if self.cut.contains(&(from.min(to), from.max(to))) {
            return self.retry_syn(connection, give_up, now_ns);
        }
        let Some(listener) = self.listeners.get_mut(&key) else {
            return self.later(now_ns, NetEvent::Answer { connection, errno: libc::ECONNREFUSED });
        };
        if listener.backlog.len() >= self.config.backlog {
            return self.retry_syn(connection, give_up, now_ns);
        }
        state.life[1] = Life::Established;
        listener.backlog.push_back(connection);
        self.out.wakes.extend(listener.acceptor.take());
        self.later(now_ns, NetEvent::Answer { connection, errno: 0 });
    }

    fn retry_syn(&mut self, connection: u64, give_up: bool, now_ns: u64) {
        let next = if give_up {
            NetEvent::Answer { connection, errno: libc::ETIMEDOUT }
        } else {
            NetEvent::Syn(connection)
        };
        self.out.events.push((now_ns + SYN_RETRY_NS, next));
    }

    fn answer_arrives(&mut self, connection: u64, errno: i32, now_ns: u64) {
        let Some(state) = self.connections.get_mut(&connection) else { return };
        let [from, to] = state.nodes;
        if errno != libc::ETIMEDOUT && self.cut.contains(&(from.min(to), from.max(to))) {
            let again = now_ns + SYN_RETRY_NS;
            return self.out.events.push((again, NetEvent::Answer { connection, errno }));
        }
        if errno != 0 {
            state.life[1] = Life::Gone;
        }
        if state.life[0] == Life::Connecting {
            state.life[0] = if errno == 0 { Life::Established } else { Life::Broken(errno) };
        }
        self.out.wakes.extend(state.connector.take());
        self.forget_if_over(connection);
    }

    fn segments_arrive(&mut self, from: End, now_ns: u64) {
        let Some(state) = self.connections.get_mut(&from.connection) else { return };
        let to = End { side: 1 - from.side, ..from };
        let [a, b] = state.nodes;
        if self.cut.contains(&(a.min(b), a.max(b))) {
            return;
        }
        let node = state.nodes[to.side];
        let mut answered_by_reset = false;
        while let Some((offset, bytes)) = state.pipes[from.side].arrive(now_ns) {
            let told =
                (TraceKind::Deliver, node, from.connection, offset, bytes.len() as u64, hash_bytes(&bytes));
            self.out.told.push(told);
            if self.config.reset > 0.0 && self.rng.f64() < self.config.reset {
                return self.reset(from.connection);
            }
            match state.life[to.side] {
                Life::Gone => answered_by_reset |= !bytes.is_empty(),
                Life::Dead => answered_by_reset = true,
                Life::Connecting | Life::Established | Life::Broken(_) => {
                    state.pipes[from.side].accept(bytes);
                }
            }
        }
        self.out.wakes.extend(state.pipes[from.side].reader.take());
        if answered_by_reset {
            self.later(now_ns, NetEvent::Reset(from));
        }
        self.forget_if_over(from.connection);
    }

    fn reset_arrives(&mut self, end: End) {
        let Some(state) = self.connections.get_mut(&end.connection) else { return };
        self.out.told.push((TraceKind::Reset, state.nodes[end.side], end.connection, end.side as u64, 0, 0));
        if matches!(state.life[end.side], Life::Connecting | Life::Established) {
            state.life[end.side] = Life::Broken(libc::ECONNRESET);
        }
        self.out.wakes.extend(state.connector.take());
        for pipe in &mut state.pipes {
            pipe.clear();
            self.out.wakes.extend(pipe.reader.take());
            self.out.wakes.extend(pipe.writer.take());
        }
        self.forget_if_over(end.connection);
    }

    fn pump(&mut self, end: End, now_ns: u64) {
        let Some(state) = self.connections.get_mut(&end.connection) else { return };
        let pipe = &mut state.pipes[end.side];
        for at in pipe.pump(now_ns, &self.config, &mut self.rng) {
            self.out.events.push((at, NetEvent::Deliver(end)));
        }
        if pipe.is_sent() {
            self.out.wakes.extend(pipe.writer.take());
        }
    }

    fn forget_if_over(&mut self, connection: u64) {
        let over = self.connections.get(&connection).is_some_and(|state| {
            state.life.into_iter().all(Life::is_over) && state.pipes.iter().all(Pipe::is_idle)
        });
        if over {
            self.connections.remove(&connection);
        }
    }

    fn later(&mut self, now_ns: u64, event: NetEvent) {
        let delay = nanos_within(&self.config.delay, &mut self.rng);
        self.out.events.push((now_ns + delay, event));
    }

    fn ephemeral(&mut self) -> u16 {
        let port = self.next_port;
        self.next_port = self.next_port.checked_add(1).unwrap_or(EPHEMERAL_FIRST);
        port
    }

    fn connection(&mut self, end: End) -> &mut Connection {
        self.connections
            .get_mut(&end.connection)
            .expect("a connection lives as long as one of its ends is held")
    }
}

fn check(life: Life) -> io::Result<()> {
    match life {
        Life::Established => Ok(()),
        Life::Broken(errno) => Err(io::Error::from_raw_os_error(errno)),
        Life::Connecting | Life::Gone | Life::Dead => {
            unreachable!("only an established end is read and written")
        }
    }
}
