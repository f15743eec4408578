//! Commands for the monitors, given by a client of ours on a thread of its own.
//!
//! Each run of `ceph` is a Python program that takes a quarter of a second of a core, and a test gives hundreds of commands.

use super::Cluster;
use ringbd::World;
use ringbd::rados::{CommandOutput, OpError, Seat};
use ringbd::runtime::{CoreConfig, CoreThread};
use ringbd_reactor::{Receiver, Sender, mailbox};
use serde_json::Value;
use std::sync::mpsc;
use std::time::Duration;

/// How long the monitors may take to answer: a new election in between is part of what tests do to them.
const PATIENCE: Duration = Duration::from_secs(60);

/// The client. Dropped, it is closed.
pub(super) struct Admin {
    questions: Sender<Question>,
    thread: Option<CoreThread>,
}

enum Question {
    Command { json: String, reply: mpsc::Sender<Result<CommandOutput, OpError>> },
    Stop,
}

impl Admin {
    /// Connects, with shorter waits after a refusal than users' clients have.
    pub(super) fn start(cluster: &Cluster) -> Admin {
        let (_, mut seats) = cluster.new_client(&[("mon_client_hunt_interval", "0.3")], 1);
        let seat = seats.pop().expect("one core was asked for");
        let (questions, asked) = mailbox();
        let thread = World::real().start_core(CoreConfig::default(), move || serve(seat, asked));
        Admin { questions, thread: Some(thread.expect("io_uring works here")) }
    }

    /// Gives a command.
    pub(super) fn command(&self, json: &Value) -> CommandOutput {
        let (reply, answer) = mpsc::channel();
        self.questions.send(Question::Command { json: json.to_string(), reply });
        match answer.recv_timeout(PATIENCE) {
            Ok(Ok(output)) => output,
            Ok(Err(error)) => panic!("{json}: {error}"),
            Err(_) => panic!("{json}: the monitors did not answer for {PATIENCE:?}"),
        }
    }
}

async fn serve(seat: Seat, mut asked: Receiver<Question>) {
    let rados = seat.join();
    while let Some(Question::Command { json, reply }) = asked.recv().await {
        // Who waited for too long has said so.
        drop(reply.send(rados.mon_command(&json, b"").await));
    }
    rados.cluster().close();
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.questions.send(Question::Stop);
        if let Some(thread) = self.thread.take() {
            // Whoever waited for an answer has seen a panic there.
            drop(thread.join());
        }
    }
}
