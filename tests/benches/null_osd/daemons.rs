//! The other side: a model monitor and OSDs that keep nothing, in a process of their own.

use super::Setup;
use ringbd::runtime::CoreConfig;
use ringbd_proto::auth::ConMode;
use ringbd_proto::auth::server::TicketLives;
use ringbd_tests::model::state::Auth;
use ringbd_tests::model::{ServeOptions, serve};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// How long an OSD's core looks for work before it sleeps: it should never be what a client waits for.
const SPIN: Duration = Duration::from_micros(50);

/// Daemons that serve until this is dropped.
pub(crate) struct Daemons {
    child: Child,
    options: Vec<String>,
}

impl Daemons {
    pub(crate) fn start(setup: &Setup) -> Daemons {
        let exe = std::env::current_exe().expect("a program knows where it is");
        let mut child = Command::new(exe)
            .args(["--daemons", &setup.osds.to_string(), &setup.cores.to_string(), &setup.secure.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program can be run again");
        let stdout: ChildStdout = child.stdout.take().expect("it was asked for");
        let lines = BufReader::new(stdout).lines().map(|line| line.expect("the daemons speak"));
        let options = lines.take_while(|line| !line.is_empty()).collect();
        Daemons { child, options }
    }

    /// The options by which a client finds them, as `name=value`.
    pub(crate) fn options(&self) -> &[String] {
        &self.options
    }
}

impl Drop for Daemons {
    fn drop(&mut self) {
        // They end with their standard input.
        drop(self.child.stdin.take());
        self.child.wait().expect("a child can be waited for");
    }
}

/// Serves until the standard input ends.
pub(crate) fn run(args: &[String]) {
    let [osds, cores, secure] = args else { panic!("OSDs, cores, secure") };
    let (osds, cores) = (osds.parse().expect("a number"), cores.parse::<usize>().expect("a number"));
    let auth = match secure.as_str() {
        "true" => Auth::cephx(ConMode::Secure, TicketLives::default(), 1),
        _ => Auth::cephx(ConMode::Crc, TicketLives::default(), 1),
    };
    // A client's first core is on the first CPU, so the first OSD's is on the last.
    let cpus = ringbd_reactor::allowed_cpus();
    let core = |nth: usize| CoreConfig {
        name: format!("osds-{nth}"),
        cpu: cpus.iter().rev().cycle().nth(nth).copied(),
        spin: SPIN,
        ..CoreConfig::default()
    };
    let cores = (0..cores).map(core).collect();
    let options = ServeOptions { osds, pg_num: 256, keeps: false, auth, cores };
    let served = serve(&options).expect("a model cluster can be served");
    for (name, value) in served.client_options() {
        println!("{name}={value}");
    }
    println!();
    let mut nothing = Vec::new();
    std::io::stdin().read_to_end(&mut nothing).expect("the standard input ends");
}
