//! The native client against a real cluster.
#[test]
fn up() {
    let t = std::time::Instant::now();
    let Some(cluster) = ringbd_tests::ceph::start_or_skip(&Default::default()) else { return };
    eprintln!("{:?}", t.elapsed());
    cluster.create_pool("data", 8);
    println!("{}", cluster.ceph(&["-s"]));
}
