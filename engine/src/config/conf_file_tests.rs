//! The grammar of configuration files: each corner by example, and whole files against a naive model.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> ConfFile {
    ConfFile::parse(Path::new("x.conf"), text.as_bytes()).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

fn message(text: &str) -> String {
    ConfFile::parse(Path::new("x.conf"), text.as_bytes()).expect_err(text).to_string()
}

fn value<'a>(conf: &'a ConfFile, section: &str, key: &str) -> Option<&'a str> {
    conf.find(&[section], key).map(|entry| entry.value.as_str())
}

#[test]
fn comments_white_space_and_spellings_of_keys_do_not_matter() {
    let conf = parse(
        "; a comment\n\
         [mds.a]\n\
         \tlog dir = special_mds_a\n\
         [mds] # nothing here\n\
         \tlog sym history = 100\n\
         \tlog_dir = out # after a comment, anything # can ### happen ;;; right?\n\
         \tprofiling                 logger dir = log\n\
         \tchdir = \"\"\n\
         \tpid file\t=\tfoo2\n\
         \x20          \n\
         [global]\n\
         \t# I like pound signs as comment markers.\n\
         \tkeyring = shenanigans          ; The keyring of a leprechaun\n\
         \tlockdep=1\n",
    );
    assert_eq!(conf.section_names().collect::<Vec<_>>(), ["global", "mds", "mds.a"]);
    assert_eq!(value(&conf, "mds.a", "log_dir"), Some("special_mds_a"));
    assert_eq!(value(&conf, "mds", "log_dir"), Some("out"));
    assert_eq!(value(&conf, "mds", "profiling_logger_dir"), Some("log"));
    assert_eq!(value(&conf, "mds", "chdir"), Some(""));
    assert_eq!(value(&conf, "mds", "pid_file"), Some("foo2"));
    assert_eq!(value(&conf, "global", "keyring"), Some("shenanigans"));
    assert_eq!(value(&conf, "global", "lockdep"), Some("1"));
    assert_eq!(value(&conf, "global", "log_dir"), None);
}

#[test]
fn a_backslash_at_the_end_joins_lines() {
    let conf = parse(
        "[global]\n\
         \tlog file = /quite/a/long/path\\\n/for/a/log/file\n\
         \tpid file = \\\n                           spork\\\n\n\
         \trun\\\n_dir = a \\\npid file\n",
    );
    assert_eq!(value(&conf, "global", "log_file"), Some("/quite/a/long/path/for/a/log/file"));
    assert_eq!(value(&conf, "global", "pid_file"), Some("spork"));
    assert_eq!(value(&conf, "global", "run_dir"), Some("a pid file"));
}

#[test]
fn quotes_and_escapes() {
    let conf = parse(
        "[global]\n\
         \tlog file = the \"scare quotes\"\n\
         \tkeyring = \"nested \\\"quotes\\\"\"\n\
         \trun_dir = 'it is # all ; one' # but this\n\
         \thost = \"backslash\\\\\"\n\
         \tfsid = a\\#b\\;c \\=d\n\
         \tkey = AQ==\n\
         [apple \\]\\[]\n\
         \tlog file = floppy disk\n",
    );
    assert_eq!(value(&conf, "global", "log_file"), Some("the \"scare quotes\""));
    assert_eq!(value(&conf, "global", "keyring"), Some("nested \"quotes\""));
    assert_eq!(value(&conf, "global", "run_dir"), Some("it is # all ; one"));
    assert_eq!(value(&conf, "global", "host"), Some("backslash\\"));
    assert_eq!(value(&conf, "global", "fsid"), Some("a#b;c =d"));
    assert_eq!(value(&conf, "global", "key"), Some("AQ=="));
    assert_eq!(value(&conf, "apple ][", "log_file"), Some("floppy disk"));
}

#[test]
fn the_last_of_equal_keys_wins_and_equal_sections_are_one() {
    let conf = parse("[client]\nlog file = 1\nlog_file = 2\nhost = a\n[global]\n[client]\nlog-file = 3\n");
    assert_eq!(conf.find(&["client"], "log_file"), Some(&ConfEntry { value: "3".to_owned(), line: 7 }));
    assert_eq!(conf.find(&["client"], "host"), Some(&ConfEntry { value: "a".to_owned(), line: 4 }));
}

#[test]
fn the_first_section_that_has_the_key_decides() {
    let conf = parse("[global]\na = 1\nb = 1\nc = 1\n[client]\nb = 2\nc = 2\n[client.x]\nc = 3\n");
    let of = |key| conf.find(&["client.x", "client", "global"], key).map(|entry| entry.value.as_str());
    assert_eq!([of("a"), of("b"), of("c"), of("d")], [Some("1"), Some("2"), Some("3"), None]);
}

#[test]
fn files_whose_meaning_is_plain_are_read() {
    assert_eq!(parse(""), ConfFile { path: "x.conf".into(), sections: BTreeMap::new() });
    assert_eq!(value(&parse("a = 1\nb = 2"), "global", "b"), Some("2"));
    assert_eq!(value(&parse("\u{feff}  [ client ]\r\na = 1\r\nb = 2\rc=3"), "client", "c"), Some("3"));
    assert_eq!(value(&parse("[a]\nb = c\\"), "a", "b"), Some("c\\"));
    assert_eq!(value(&parse("[a]\nb ="), "a", "b"), Some(""));
}

#[test]
fn a_mistake_is_named_with_its_file_line_and_remedy() {
    for (text, parts) in [
        ("[global\n log file = foo\n", ["x.conf:1", "[global has no closing bracket", "write [global]"]),
        ("[global]\n who_what_where\n", ["x.conf:2", "expected = after \"who_what_where\"", "key = value"]),
        ("[global]\n\nkeyring = \"open\n", ["x.conf:3", "\"open has no closing \"", "close the quote"]),
        (
            "[global]\nkeyring = \"a\" b\n",
            ["x.conf:2", "something after the quoted value \"a\"", "quotes around"],
        ),
        ("[global] x = 1\n", ["x.conf:1", "something after the section [global]", "new line"]),
        ("[]\n", ["x.conf:1", "no name", "[client.ID]"]),
        ("[a]\n= 1\n", ["x.conf:2", "no key before the =", "key = value"]),
        ("[a]\nb[c] = 1\n", ["x.conf:2", "expected = after \"b\"", "key = value"]),
        ("[a]\nb = 1 \\\n 2\nx\n", ["x.conf:4", "expected = after \"x\"", "key = value"]),
        ("[a]\nb\\\nc\n", ["x.conf:2", "expected = after \"bc\"", "key = value"]),
        ("include /etc/ceph/more.conf\n", ["x.conf:1", "expected = after", "have no include"]),
    ] {
        let message = message(text);
        assert!(parts.iter().all(|part| message.contains(part)), "{text}: {message}");
    }
}

#[test]
fn bytes_that_are_no_text_are_named_by_line() {
    let error =
        ConfFile::parse(Path::new("x.conf"), b"[global]\n\nkey = \xe2\x28\xa1\n").unwrap_err().to_string();
    assert!(error.contains("x.conf:3") && error.contains("UTF-8"), "{error}");
    let error = ConfFile::parse(Path::new("x.conf"), &vec![b'\n'; CONF_FILE_BYTES_MAX + 1]).unwrap_err();
    assert!(error.to_string().contains("the limit is"), "{error}");
}

/// A file as a list of what its author meant: sections with keys and values.
fn meant() -> impl Strategy<Value = Vec<(String, Vec<(String, String)>)>> {
    let section = prop_oneof![Just("global"), Just("client"), Just("client.a"), Just("osd")];
    let key =
        prop_oneof![Just("rbd cache"), Just("rbd_cache"), Just("mon  host"), Just("key"), Just("log-file")];
    let entries = proptest::collection::vec((key.prop_map(str::to_owned), "[ -~é]{0,12}"), 0..6);
    proptest::collection::vec((section.prop_map(str::to_owned), entries), 0..6)
}

/// Writes a value so that it means itself: quoted, or with escapes.
fn written(value: &str, quoted: bool) -> String {
    let special =
        |c: char| if quoted { matches!(c, '"' | '\\') } else { matches!(c, '#' | ';' | '\\' | '"' | '\'') };
    let escaped: String =
        value.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect();
    if quoted { format!("\"{escaped}\"") } else { escaped }
}

proptest! {
    #[test]
    fn a_generated_file_means_what_its_author_meant(sections in meant(), style: u64) {
        let mut text = String::new();
        let mut model: BTreeMap<(String, String), String> = BTreeMap::new();
        for (index, (section, entries)) in sections.iter().enumerate() {
            text.push_str(&format!("[{section}] ; {index}\n"));
            for (nth, (key, value)) in entries.iter().enumerate() {
                let style = style >> ((index * 7 + nth * 3) % 61);
                let eol = if style & 2 == 0 { "\n" } else { " # comment\r\n" };
                let gap = if style & 4 == 0 { " = " } else { "=\\\n\t" };
                text.push_str(&format!("  {key}{gap}{}{eol}", written(value, style & 1 == 0)));
                model.insert((section.clone(), normalize_key(key)), value.trim().to_owned());
            }
        }
        let conf = parse(&text);
        for section in conf.section_names() {
            for (key, entry) in conf.section(section) {
                let expected = model.remove(&(section.to_owned(), key.to_owned()));
                prop_assert_eq!(Some(&entry.value), expected.as_ref(), "[{}] {} of\n{}", section, key, text);
            }
        }
        prop_assert!(model.is_empty(), "{:?} is missing from\n{}", model, text);
    }

    #[test]
    fn any_bytes_are_a_file_or_an_error_with_a_line(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Err(error) = ConfFile::parse(Path::new("x.conf"), &bytes) {
            prop_assert!(error.to_string().contains("x.conf:"), "{}", error);
        }
    }

    #[test]
    fn any_text_of_the_grammars_characters_is_a_file_or_an_error(text in "[a=\\[\\]#;\"'\\\\ \n\r\t]{0,40}") {
        let lines = u32::try_from(text.split(['\n', '\r']).count()).expect("short");
        match ConfFile::parse(Path::new("x.conf"), text.as_bytes()) {
            Ok(conf) => for section in conf.section_names() {
                prop_assert!(conf.section(section).all(|(_, entry)| (1..=lines).contains(&entry.line)));
            },
            Err(error) => prop_assert!(error.to_string().contains("x.conf:"), "{}", error),
        }
    }
}

#[test]
fn values_are_read_as_librados_16_reads_them() {
    // Each pair was put to rados_conf_read_file and rados_conf_get of librados 16.2.15.
    for (text, value_of_log_file) in [
        ("[global]\nlog file = a \\# b\n", "a # b"),
        ("[global]\nlog file = \"a \\# b\"\n", "a # b"),
        ("[global]\r\nlog_file = a\r\n", "a"),
        ("[global]\n# x \\\nlog_file = a\n", "a"),
        ("[global]\nlog\tfile=e=\\\na/\\\n\"=\n", "e=a/\"="),
        ("[global]\nlog file=/\\#\" ;\n", "/#\""),
        ("[global]\nlog_file = =/\\\\b\\\\\n", "=/\\b\\"),
        ("[global]\nlog_file = [v2:a]; x\n", "[v2:a]"),
        ("log_file = a\n", "a"),
    ] {
        assert_eq!(value(&parse(text), "global", "log_file"), Some(value_of_log_file), "{text}");
    }
    assert!(message("[global]\nlog_file = \"a\\\nb\"\n").contains("x.conf:2"));
}
