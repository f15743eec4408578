//! Every form of the list, what each means (the meanings are those that librados 16.2.15 logs as its first monitor map), what each mistake says, and that what is printed is read back.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> MonHost {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// What a list of literal addresses means, monitor by monitor.
fn meaning(text: &str) -> Vec<String> {
    let monitor = |monitor: &Vec<Endpoint>| {
        let addrs = monitor.iter().flat_map(|one| one.addrs(one.host.literal().expect("a literal address")));
        addrs.map(|addr| addr.to_string()).collect::<Vec<_>>().join(" ")
    };
    parse(text).monitors.iter().map(monitor).collect()
}

#[test]
fn what_is_left_out_is_filled_in_as_ceph_does() {
    for (text, expected) in [
        ("1.2.3.4", "v2:1.2.3.4:3300/0 v1:1.2.3.4:6789/0"),
        ("1.2.3.4:", "v2:1.2.3.4:3300/0 v1:1.2.3.4:6789/0"),
        ("1.2.3.4:0", "v2:1.2.3.4:3300/0 v1:1.2.3.4:6789/0"),
        ("any:1.2.3.4", "v2:1.2.3.4:3300/0 v1:1.2.3.4:6789/0"),
        ("1.2.3.4:3300", "v2:1.2.3.4:3300/0"),
        ("1.2.3.4:6789", "v1:1.2.3.4:6789/0"),
        ("1.2.3.4:6789/0", "v1:1.2.3.4:6789/0"),
        ("1.2.3.4:40000", "v2:1.2.3.4:40000/0 v1:1.2.3.4:40000/0"),
        ("v2:1.2.3.4", "v2:1.2.3.4:3300/0"),
        ("v2:1.2.3.4:6789/7", "v2:1.2.3.4:6789/7"),
        ("v1:1.2.3.4", "v1:1.2.3.4:6789/0"),
        ("v1:1.2.3.4:3300", "v1:1.2.3.4:3300/0"),
        ("[v2:1.2.3.4:3300/0,v1:1.2.3.4:6789/0]", "v2:1.2.3.4:3300/0 v1:1.2.3.4:6789/0"),
        ("[v2:1.2.3.4 , v1:1.2.3.4]", "v2:1.2.3.4:3300/0 v1:1.2.3.4:6789/0"),
        ("[1.2.3.4,1.2.3.5:6789]", "v2:1.2.3.4:3300/0 v2:1.2.3.5:6789/0"),
        ("[1.2.3.4:6789]", "v2:1.2.3.4:6789/0"),
        ("[1.2.3.4]", "v2:1.2.3.4:3300/0 v1:1.2.3.4:6789/0"),
        ("[1.2.3.4]:3300", "v2:1.2.3.4:3300/0"),
        ("2001:db8::1", "v2:[2001:db8::1]:3300/0 v1:[2001:db8::1]:6789/0"),
        ("[2001:db8::1]", "v2:[2001:db8::1]:3300/0 v1:[2001:db8::1]:6789/0"),
        ("[2001:db8::1]:3300", "v2:[2001:db8::1]:3300/0"),
        ("v2:2001:db8::1", "v2:[2001:db8::1]:3300/0"),
        ("v2:[::1]:4000/0", "v2:[::1]:4000/0"),
        ("[v2:[::1]:4000/0,v1:[::1]:4001]", "v2:[::1]:4000/0 v1:[::1]:4001/0"),
        ("[[::1]:4000,[::2]]", "v2:[::1]:4000/0 v2:[::2]:3300/0"),
        ("[fe80::1%3]:3300", "v2:[fe80::1%3]:3300/0"),
        ("::ffff:1.2.3.4", "v2:[::ffff:1.2.3.4]:3300/0 v1:[::ffff:1.2.3.4]:6789/0"),
    ] {
        assert_eq!(meaning(text), [expected], "{text}");
    }
}

#[test]
fn lists_are_separated_by_commas_semicolons_and_white_space() {
    for text in [
        "v2:1.1.1.1:1,v1:2.2.2.2:2,[::3]:3300",
        "v2:1.1.1.1:1 v1:2.2.2.2:2 [::3]:3300",
        " ;,v2:1.1.1.1:1; v1:2.2.2.2:2,\t[::3]:3300\n",
        "[v2:1.1.1.1:1],[v1:2.2.2.2:2] [[::3]:3300]",
    ] {
        assert_eq!(meaning(text), ["v2:1.1.1.1:1/0", "v1:2.2.2.2:2/0", "v2:[::3]:3300/0"], "{text}");
    }
    let two = "[v2:1.2.3.4:111,v1:5.6.7.8:222],[v2:[::]:3300,v1:[::]:6789]";
    assert_eq!(meaning(two), ["v2:1.2.3.4:111/0 v1:5.6.7.8:222/0", "v2:[::]:3300/0 v1:[::]:6789/0"]);
}

#[test]
fn names_are_kept_to_be_looked_up() {
    let list = parse("mon1 mon2.example.com:3300;v2:mon-3.:40000,10.0.0.1,[v2:mon4,v1:mon4]");
    assert_eq!(list.names().collect::<Vec<_>>(), ["mon1", "mon2.example.com", "mon-3.", "mon4", "mon4"]);
    let found = "10.0.0.9:1".parse().unwrap();
    let addrs = |at: usize, endpoint: usize| {
        let addrs = list.monitors[at][endpoint].addrs(found);
        addrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(addrs(0, 0), "v2:10.0.0.9:3300/0 v1:10.0.0.9:6789/0");
    assert_eq!(addrs(1, 0), "v2:10.0.0.9:3300/0");
    assert_eq!(addrs(2, 0), "v2:10.0.0.9:40000/0");
    assert_eq!(addrs(4, 1), "v1:10.0.0.9:6789/0");
    assert_eq!(list.to_string(), "mon1,mon2.example.com:3300,v2:mon-3.:40000,10.0.0.1,[v2:mon4,v1:mon4]");
    assert_eq!(parse("any:v2:3300").to_string(), "any:v2:3300");
}

#[test]
fn every_mistake_names_the_part_and_what_to_write() {
    use MonHostErrorKind as Kind;
    for (text, part, kind) in [
        ("", "", Kind::Empty),
        (" ,; ", " ,; ", Kind::Empty),
        ("10.0.0.1,[ ]", "[ ]", Kind::Empty),
        ("[v2:10.0.0.1:3300", "[v2:10.0.0.1:3300", Kind::Brackets),
        ("10.0.0.1]", "10.0.0.1]", Kind::Brackets),
        ("v2:[::1", "v2:[::1", Kind::Brackets),
        ("[v2:10.0.0.1:3300]:6789", "[v2:10.0.0.1:3300]:6789", Kind::AfterBracket),
        ("[::1]3300", "[::1]3300", Kind::AfterBracket),
        ("10.0.0.1 -", "-", Kind::Blank),
        ("10.0.0.1:70000", "10.0.0.1:70000", Kind::Port),
        ("10.0.0.1:+1", "10.0.0.1:+1", Kind::Port),
        ("mon1:http", "mon1:http", Kind::Port),
        ("10.0.0.1:3300/", "10.0.0.1:3300/", Kind::Nonce),
        ("10.0.0.1:3300/x", "10.0.0.1:3300/x", Kind::Nonce),
        ("1:2:3:4:5:6:7:8:3300", "1:2:3:4:5:6:7:8:3300", Kind::Ipv6),
        ("mon1:3300:6789", "mon1:3300:6789", Kind::Ipv6),
        ("[fe80::1%eth0]:3300", "[fe80::1%eth0]:3300", Kind::Zone),
        ("10.0.0", "10.0.0", Kind::Ipv4),
        ("10.0.0.256", "10.0.0.256", Kind::Ipv4),
        ("10.0.0.1 mon_1!", "mon_1!", Kind::Name),
        ("mön", "mön", Kind::Name),
        ("mon..1", "mon..1", Kind::Name),
        ("v2:", "v2:", Kind::Name),
        (":3300", ":3300", Kind::Name),
    ] {
        assert_eq!(text.parse::<MonHost>(), Err(MonHostError { part: part.to_owned(), kind }), "{text}");
        assert!(!kind.hint().is_empty());
    }
    let message = "mon1:http".parse::<MonHost>().unwrap_err().to_string();
    assert_eq!(message, "\"mon1:http\" has no port from 1 to 65535 after the last colon");
}

#[test]
fn a_list_has_limits() {
    let long = "m".repeat(MON_HOST_BYTES_MAX + 1).parse::<MonHost>().unwrap_err();
    assert_eq!((long.kind, long.part.len()), (MonHostErrorKind::TooLong, 40));
    let list = |count: usize| vec!["::1"; count].join(",").parse::<MonHost>();
    assert_eq!(list(MON_HOST_MONITORS_MAX).unwrap().monitors.len(), MON_HOST_MONITORS_MAX);
    assert_eq!(list(MON_HOST_MONITORS_MAX + 1).unwrap_err().kind, MonHostErrorKind::TooMany);
    let group = format!("[{}]", vec!["::1"; MON_HOST_MONITORS_MAX + 1].join(","));
    assert_eq!(group.parse::<MonHost>().unwrap_err().kind, MonHostErrorKind::TooMany);
    assert!(is_name(&["a"; 127].join(".")) && !is_name(&["a"; 128].join(".")));
    assert!(is_name(&"a".repeat(63)) && !is_name(&"a".repeat(64)));
}

fn host() -> impl Strategy<Value = Host> {
    prop_oneof![
        any::<Ipv4Addr>().prop_map(Host::V4),
        (any::<Ipv6Addr>(), prop_oneof![Just(0), any::<u32>()])
            .prop_map(|(ip, scope)| Host::V6 { ip, scope }),
        "([a-z0-9_][a-z0-9_-]{0,9}\\.){0,2}[a-z_][a-z0-9_-]{0,9}\\.?".prop_map(Host::Name),
        prop_oneof![Just("v1"), Just("v2"), Just("any")].prop_map(|name| Host::Name(name.to_owned())),
    ]
}

fn endpoint(messenger: impl Strategy<Value = Option<Messenger>>) -> impl Strategy<Value = Endpoint> {
    let port = prop_oneof![Just(0), Just(MON_PORT), Just(MON_PORT_LEGACY), any::<u16>()];
    let nonce = prop_oneof![Just(0), any::<u32>()];
    (messenger, host(), port, nonce).prop_map(|(messenger, host, port, nonce)| Endpoint {
        messenger,
        host,
        port: NonZeroU16::new(port),
        nonce,
    })
}

fn mon_host() -> impl Strategy<Value = MonHost> {
    let said = || prop_oneof![Just(Some(Messenger::V1)), Just(Some(Messenger::V2))];
    let one = vec(endpoint(prop_oneof![Just(None), said()]), 1);
    let several = vec(endpoint(said()), 2..4);
    vec(prop_oneof![one, several], 1..6).prop_map(|monitors| MonHost { monitors })
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back(list in mon_host()) {
        prop_assert_eq!(list.to_string().parse(), Ok(list));
    }

    #[test]
    fn any_text_is_a_list_or_an_error(text in "[v12any:.,;/%\\[\\] 0-9a-f-]{0,60}") {
        match text.parse::<MonHost>() {
            Ok(list) => prop_assert_eq!(list.to_string().parse(), Ok(list)),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    /// A literal address that the standard library reads means the same here.
    #[test]
    fn socket_addresses_are_what_they_are(socket: SocketAddr) {
        let expected = if socket.port() == 0 { MON_PORT } else { socket.port() };
        let list = parse(&format!("v2:{socket}"));
        let endpoint = &list.monitors[0][0];
        let addr = endpoint.addrs(endpoint.host.literal().unwrap())[0];
        let (ip, port) = (addr.socket.unwrap().ip(), addr.socket.unwrap().port());
        prop_assert_eq!((ip, port), (socket.ip(), expected));
    }
}
