//! The configuration of a cluster that lives for one test: small, without protections against small, and quick to notice what
//! happens to it, so that a test waits for the client and not for a timer of the cluster.

use super::Options;
use std::fmt::Write as _;
use std::path::Path;

/// Quick to notice. What is off by default in a real cluster for good reasons and would make a test wait: an OSD is down when
/// one other says so, it may be marked down as often as a test likes, and recovery neither sleeps nor waits to be tried again.
///
/// And exact: an OSD remembers what it has done for longer than any test runs. With the 3000 operations of a placement group that are
/// usual, one client's write that waits for a dead OSD is done twice when another client does more than that meanwhile.
const QUICK: &str = "\
[global]
osd heartbeat grace = 6
osd heartbeat interval = 1
osd mon heartbeat interval = 2
[mon]
mon lease = 2
mon election timeout = 2
mon tick interval = 1
mon mgr digest period = 1
paxos propose interval = 0.05
paxos min wait = 0.01
mon osd min down reporters = 1
mon osd reporter subtree level = osd
mon osd adjust heartbeat grace = false
mon osd down out interval = 600
[mgr]
mgr stats period = 1
mgr tick period = 1
[osd]
osd max markdown count = 1000
osd pg log dups tracked = 200000
osd mon report interval = 1
osd recovery sleep = 0
osd recovery sleep hdd = 0
osd recovery sleep hybrid = 0
osd recovery retry interval = 1
osd backfill retry interval = 1
osd max backfills = 8
osd recovery max active = 16
";

/// Small, and quiet: on two cores that a cluster and its client share, what daemons note down for nobody is missed elsewhere.
const SMALL: &str = "\
[global]
mon allow pool size one = true
mon allow pool delete = true
mon max pg per osd = 5000
osd max pg per osd hard ratio = 100
osd crush chooseleaf type = 0
osd pool default min size = 1
osd pool default pg autoscale mode = off
ms bind ipv6 = false
public network = 127.0.0.0/8
cluster network = 127.0.0.0/8
mon warn on pool no app = false
debug none = 0/0
debug ms = 0/0
debug osd = 1/1
debug mon = 1/1
debug paxos = 0/0
debug bluestore = 0/0
debug bluefs = 0/0
debug rocksdb = 0/0
debug bdev = 0/0
[mon]
mon data avail crit = 1
mon data avail warn = 2
[osd]
memstore device bytes = 2147483648
memstore page set = true
bluestore block size = 2147483648
bluestore cache autotune = false
osd memory target = 939524096
osd op num shards = 2
";

/// The file. Later sections of one name go on where the former ended, and what is said last counts.
pub(super) fn configuration(options: &Options, fsid: &str, ports: &[u16], dir: &Path) -> String {
    let mons: Vec<String> = ports.iter().map(|port| format!("[v2:127.0.0.1:{port}/0]")).collect();
    let (dir, mons) = (dir.display(), mons.join(","));
    let Options { auth, size, store, global, .. } = options;
    let mut text = format!(
        "[global]\nfsid = {fsid}\nmon host = {mons}\nkeyring = {dir}/keyring\n\
         auth cluster required = {auth}\nauth service required = {auth}\nauth client required = {auth}\n\
         run dir = {dir}\nadmin socket = {dir}/$name.asok\nlog file = {dir}/$name.log\n\
         osd pool default size = {size}\n"
    );
    write!(
        text,
        "{SMALL}{QUICK}[mon]\nmon data = {dir}/$type.$id\n[mgr]\nmgr data = {dir}/mgr\n\
         mgr module path = {dir}/no-modules\n[osd]\nosd data = {dir}/$type.$id\nosd objectstore = {store}\n\
         [global]\n{global}\n"
    )
    .expect("a string takes everything");
    text
}
