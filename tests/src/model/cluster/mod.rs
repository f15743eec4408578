//! A simulation of everything: three monitors, some OSDs and clients on several cores, with a load that checks itself, while
//! a nemesis lets fail what can fail. All of it follows from one seed.
//!
//! | module | what |
//! |---|---|
//! | `plan` | what a seed decides, to the last blow |
//! | `nodes` | the machines that it takes |
//! | `blow` | what can be done to a cluster |
//! | `nemesis` | does it |
//! | `load` | what the clients do meanwhile, and whether it comes to what it should |
//!
//! When the nemesis is through, everything is mended; the load must then end within a bound of virtual time, with nothing
//! left in flight. A client that is over by then (it was fenced, or lost its identity) is followed by another, which does
//! the same.

mod blow;
mod load;
mod nemesis;
mod nodes;
mod plan;

use super::census::{Census, Seen};
use super::maps::{CODED, DATA};
use load::{Load, Told};
use nemesis::Nemesis;
use nodes::Nodes;
use plan::{CODED_OBJECTS, OBJECTS};

pub use blow::{Blow, Full, Hand, Kind};
pub use plan::{Limits, Plan, Step, Theme};
use ringbd_proto::types::PoolId;
use std::time::Duration;

/// Monitors, of which any can die.
const MONITORS: usize = 3;

/// What is watched.
const WATCHED: &[u8] = b"watched";

/// Rounds of a client that takes another's place when all is mended.
const HEIRS_ROUNDS: u64 = 3;

/// Virtual time in which a client must get over everything once nothing fails any more: a few times its longest waits.
const RECOVERY_MAX: Duration = Duration::from_secs(400);

/// What became of a simulation.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was found wrong.
    pub violations: Vec<String>,
    /// Lists of operations that wrote.
    pub writes: u64,
    /// Operations that a map moved.
    pub resends: u64,
    /// Epochs.
    pub epochs: u32,
    /// What happened.
    pub census: Census,
    /// All of it, as one number.
    pub trace: u64,
}

/// What an object is called.
fn object_name(object: usize) -> Vec<u8> {
    format!("object.{object}").into_bytes()
}

/// Whether an object lies in the erasure-coded pool.
fn is_coded(object: usize) -> bool {
    object >= OBJECTS - CODED_OBJECTS
}

/// Where an object lies.
fn pool_of(object: usize) -> PoolId {
    if is_coded(object) { CODED } else { DATA }
}

/// Runs a simulation to its end.
pub fn run(plan: &Plan) -> Outcome {
    let nodes = Nodes::new(plan);
    let mut loads: Vec<Load> = Vec::new();
    for node in 0..plan.clients {
        let (client, seats) = nodes.new_client(plan, node);
        let load = Load::new(plan, &nodes.shared, client, loads.last());
        nodes.start_client(node, &load, seats);
        loads.push(load);
    }
    nodes.sim.run_for(Duration::from_secs(1));
    nodes.sim.configure_net(|net| (net.reset, net.segment_max) = (plan.reset, plan.segment_max));
    let mut nemesis = Nemesis::new(plan, &nodes);
    for step in &plan.history {
        if let Blow::Fence = step.blow {
            loads.extend(fence(plan, &nodes, &loads));
        }
        nemesis.strike(step);
        if loads.iter().all(Load::is_over) {
            break;
        }
    }
    nemesis.mend();
    nodes.sim.configure_net(|net| net.reset = 0.0);
    loads.iter().for_each(Load::mended);
    wait_for(&nodes, &loads);
    for node in 0..plan.clients {
        if loads[node].ended() == Some(Told::IdentityLost) {
            let plan = Plan { rounds: HEIRS_ROUNDS, ..plan.clone() };
            loads.push(succeed(&plan, &nodes, node, &loads));
            wait_for(&nodes, &loads);
        }
    }
    loads.iter().for_each(Load::close);
    nodes.sim.run_for(Duration::from_secs(1));
    let trace = nodes.sim.trace_hash();
    let resends = loads.iter().map(Load::resends).sum();
    nodes.shared.with(|state| Outcome {
        violations: state.violations().to_vec(),
        writes: state.truth.writes() as u64,
        resends,
        epochs: state.maps.newest().0,
        census: state.census.clone(),
        trace,
    })
}

/// Fences the first client, if it has shown itself yet; another takes its place.
fn fence(plan: &Plan, nodes: &Nodes, loads: &[Load]) -> Option<Load> {
    let addr = loads[0].addr()?;
    nodes.shared.fence(&addr);
    Some(succeed(plan, nodes, 0, loads))
}

/// A client that takes the place of another, on the same machine.
fn succeed(plan: &Plan, nodes: &Nodes, node: usize, loads: &[Load]) -> Load {
    let (client, seats) = nodes.new_client(plan, node);
    let load = Load::new(plan, &nodes.shared, client, loads.last()).in_place_of(&loads[node]);
    nodes.shared.count(Seen::Heir);
    nodes.start_client(node, &load, seats);
    load
}

/// Lets the loads come to their end, which takes no longer than a bound once everything is mended.
fn wait_for(nodes: &Nodes, loads: &[Load]) {
    let limit = nodes.sim.now() + RECOVERY_MAX;
    while !loads.iter().all(Load::is_over) && nodes.sim.now() < limit {
        nodes.sim.run_for(Duration::from_millis(500));
    }
    for load in loads.iter().filter(|load| !load.is_over()) {
        nodes.shared.violation(format!("hangs {RECOVERY_MAX:?} after all was mended: {:?}", load.going()));
    }
}
