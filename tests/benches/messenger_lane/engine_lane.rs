//! The engine's own client, unchanged: what the thin lanes do, and the throttle, placement, resends, watchdogs and counts of
//! an objecter besides.

use crate::meter::{Meter, Sample};
use crate::{BLOCK, OBJECTS, Task};
use ringbd::config::{ImageSpec, Settings, Sources};
use ringbd::rados::{Cluster, ClusterConfig, IoCtx};
use ringbd::runtime::{CoreConfig, sleep, spawn};
use ringbd::{Buf, SharedBuf, World};
use std::rc::Rc;
use std::time::Duration;

/// How long the OSD has to be reached.
const CONNECT_MAX: Duration = Duration::from_secs(20);

pub(crate) fn run(task: &Task, options: &[String], report: impl FnOnce(&Sample)) {
    let sources = options.iter().fold(Sources::default(), |sources, option| {
        let (name, value) = option.split_once('=').expect("options are name=value");
        sources.with_option(name, value)
    });
    let settings = Settings::load(&ImageSpec::new("rbd", ""), &sources).expect("the options are right");
    let config = ClusterConfig::load(&settings).expect("the options are right");
    let (_cluster, mut seats) = Cluster::new(&World::real(), config, 1);
    let seat = seats.pop().expect("there is one core");
    let core = CoreConfig { spin: settings.spin(), ..CoreConfig::default() };
    let mut lent = World::real().lend_core(core).expect("a thread can be a core");
    let sample = lent.block_on(async {
        let rados = seat.join();
        rados.ready().await.expect("the monitor takes the client");
        rados.connect_to_osds(CONNECT_MAX).await;
        let load = Rc::new(Load {
            io: rados.pool("data").await.expect("there is the pool"),
            write: task.write,
            names: (0..OBJECTS).map(|nth| format!("rbd_data.{nth:016x}")).collect(),
            data: Buf::from_slice(&[1; BLOCK]).into(),
            meter: Meter::new(),
        });
        for slot in 0..task.depth {
            drop(spawn(ask(load.clone(), slot)));
        }
        sleep(task.warm_up).await;
        let begun = load.meter.begin();
        sleep(task.measure).await;
        load.meter.end(&begun)
    });
    report(&sample);
}

struct Load {
    io: IoCtx,
    write: bool,
    names: Vec<String>,
    data: SharedBuf,
    meter: Meter,
}

async fn ask(load: Rc<Load>, slot: usize) {
    let mut buf = Buf::zeroed(BLOCK);
    for nth in 0.. {
        let name = load.names[(slot + usize::try_from(nth).expect("64 bits")) % OBJECTS].as_bytes();
        let started = load.meter.start(nth);
        if load.write {
            load.io.write(name, 0, load.data.clone()).await.expect("the OSD takes it");
        } else {
            (_, buf) = load.io.read(name, 0, buf).await.expect("the OSD answers");
        }
        load.meter.finish(&started);
    }
}
