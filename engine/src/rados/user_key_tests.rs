//! Where the key is looked for, and what everything that can be wrong with it says.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::config::{ImageSpec, Sources};
use ErrorKind::{AccessDenied, InvalidInput, Io, NotFound};

const KEY: &str = "AQBktwJrM6JOIhAAtuYSwyL9G9K7zF5otBlGOQ==";
const OTHER: &str = "AQAtut9ZdMbNJBAAHz6yBAWyJyz2yYRyeMWDag==";

fn settings(options: &[(&str, &str)]) -> Settings {
    let spec = ImageSpec::new("data", "foo").with_option("conf", "/dev/null");
    let spec = options.iter().fold(spec, |spec, (key, value)| spec.with_option(*key, *value));
    Settings::load_with(&spec, &Sources::default(), &|_| Ok(Vec::new())).unwrap()
}

/// A file of the test: its bytes, or the errno of opening it.
type File<'a> = (&'a str, std::result::Result<&'a str, i32>);

fn look(options: &[(&str, &str)], files: &[File<'_>]) -> Result<UserKey> {
    let settings = settings(options);
    let user = CephUser::client(&settings.identity().id).unwrap();
    let files: HashMap<&Path, _> = files.iter().map(|&(path, file)| (Path::new(path), file)).collect();
    find(&settings, &user, &|path| match files.get(path) {
        Some(Ok(text)) => Ok(Zeroizing::new(text.as_bytes().to_vec())),
        Some(&Err(errno)) => Err(io::Error::from_raw_os_error(errno)),
        None => Err(io::Error::from_raw_os_error(2)),
    })
}

fn found(options: &[(&str, &str)], files: &[File<'_>]) -> (String, String) {
    match look(options, files).unwrap() {
        UserKey::Found { key, source } => (key.to_base64().to_string(), source),
        UserKey::Absent(error) => panic!("{error}"),
    }
}

fn keyring(entries: &[(&str, &str)]) -> String {
    entries.iter().map(|(user, key)| format!("[{user}]\n\tkey = {key}\n\tcaps mon = \"allow *\"\n")).collect()
}

#[test]
fn the_option_wins_over_the_key_file_and_that_over_the_keyring() {
    let ring = keyring(&[("client.admin", OTHER)]);
    let files: &[File<'_>] = &[("/k", Ok(" AQBktwJrM6JOIhAAtuYSwyL9G9K7zF5otBlGOQ==\n")), ("/r", Ok(&ring))];
    let owned = |key: &str, source: &str| (key.to_owned(), source.to_owned());
    let both = [("key", KEY), ("keyfile", "/nonesuch"), ("keyring", "/nonesuch")];
    assert_eq!(found(&both, files), owned(KEY, "option key (the image string)"));
    let file = [("keyfile", "/k"), ("keyring", "/r")];
    assert_eq!(found(&file, files), owned(KEY, "/k (keyfile of the image string)"));
    assert_eq!(found(&[("keyring", "/nonesuch, /r;/k")], files), owned(OTHER, "/r"));
}

#[test]
fn the_first_keyring_that_can_be_opened_counts() {
    let ring = keyring(&[("client.bob", KEY)]);
    let default = "/etc/ceph/ceph.client.bob.keyring";
    assert_eq!(found(&[("id", "bob")], &[(default, Ok(&ring))]), (KEY.to_owned(), default.to_owned()));
    let list = [("id", "bob"), ("keyring", "/denied,/r,/never")];
    assert_eq!(found(&list, &[("/denied", Err(13)), ("/r", Ok(&ring))]).1, "/r");
}

#[test]
fn no_keyring_anywhere_is_told_with_what_was_tried() {
    let UserKey::Absent(error) = look(&[("id", "bob")], &[]).unwrap() else { panic!("there is none") };
    assert_eq!(error.kind(), NotFound);
    assert_eq!(
        error.to_string(),
        "find the key of client.bob: there is no keyring; tried /etc/ceph/ceph.client.bob.keyring (not there), \
         /etc/ceph/ceph.keyring (not there), /etc/ceph/keyring (not there), /etc/ceph/keyring.bin (not there) (`ceph \
         auth get client.bob -o /etc/ceph/ceph.client.bob.keyring` on a machine of the cluster writes one; another \
         user is named with id=, another file with keyring=)"
    );
    let UserKey::Absent(error) = look(&[("keyring", "")], &[]).unwrap() else { panic!("there is none") };
    assert!(error.to_string().contains("keyring (the image string) names no file"), "{error}");
}

/// Options, and what looking for the key with them says.
type Case<'a> = (&'a [(&'a str, &'a str)], ErrorKind, [&'a str; 3]);

/// Checks that each look-up fails with that kind of error, and names those parts.
fn fails(files: &[File<'_>], cases: &[Case<'_>]) {
    for (options, kind, parts) in cases {
        let error = look(options, files).unwrap_err();
        let message = error.to_string();
        assert_eq!(error.kind(), *kind, "{message}");
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        assert!(!message.contains('\n') && !message.contains(KEY), "{message}");
    }
}

#[test]
fn a_key_that_was_given_must_be_one() {
    let ring = keyring(&[("client.admin", KEY)]);
    let files: &[File<'_>] = &[("/denied", Err(13)), ("/r", Ok(&ring))];
    fails(
        files,
        &[
            (
                &[("key", "AQ!")],
                InvalidInput,
                ["option key (the image string)", "not base64", "get-key client.admin"],
            ),
            (&[("key", "[client.admin]")], InvalidInput, ["option key", "not a bare key", "get-key"]),
            (
                &[("keyfile", "/none")],
                NotFound,
                ["/none (keyfile of the image string)", "not there", "nothing but the key"],
            ),
            (&[("keyfile", "/denied")], AccessDenied, ["/denied", "Permission denied", "nothing but"]),
            (&[("keyfile", "/r")], InvalidInput, ["/r (keyfile", "not a bare key", "keyring="]),
        ],
    );
}

#[test]
fn a_keyring_that_is_there_must_be_readable() {
    let broken = keyring(&[("client.admin", "AQ!")]);
    let files: &[File<'_>] = &[
        ("/denied", Err(13)),
        ("/folder", Err(21)),
        ("/broken", Ok(&broken)),
        ("/half", Ok("[client.admin\n")),
        ("/bare", Ok("[client.admin]\ncaps mon = x\n")),
    ];
    fails(
        files,
        &[
            (
                &[("keyring", "/none,/denied")],
                AccessDenied,
                [
                    "/none (not there), /denied (Permission denied)",
                    "let this process read it",
                    "auth_client_required=none",
                ],
            ),
            (
                &[("keyring", "/folder")],
                Io,
                ["/folder (Is a directory)", "no keyring can be read", "keyring="],
            ),
            (
                &[("keyring", "/broken")],
                InvalidInput,
                ["/broken:2: ", "not base64", "ceph auth get client.admin -o /broken"],
            ),
            (&[("keyring", "/half")], InvalidInput, ["/half:1: ", "no closing bracket", "writes it anew"]),
            (
                &[("keyring", "/bare")],
                InvalidInput,
                ["/bare:1: ", "[client.admin] has no key", "writes it anew"],
            ),
        ],
    );
}

#[test]
fn a_keyring_without_the_user_says_whom_it_has_and_who_was_meant() {
    let ring = keyring(&[("client.admin", KEY), ("client.libvirt", KEY)]);
    let many: Vec<String> = (0..10).map(|number| format!("client.host-{number}")).collect();
    let many = keyring(&many.iter().map(|user| (user.as_str(), KEY)).collect::<Vec<_>>());
    let files: &[File<'_>] =
        &[("/denied", Err(13)), ("/r", Ok(&ring)), ("/many", Ok(&many)), ("/empty", Ok(""))];
    fails(
        files,
        &[
            (
                &[("keyring", "/r"), ("id", "admn")],
                NotFound,
                [
                    "find the key of client.admn: /r has no [client.admn]",
                    "only client.admin, client.libvirt",
                    "did you mean id=admin?",
                ],
            ),
            (
                &[("keyring", "/r"), ("id", "client.admin")],
                NotFound,
                ["[client.client.admin]", "only", "did you mean id=admin?"],
            ),
            (
                &[("keyring", "/r"), ("id", "zzz")],
                NotFound,
                ["[client.zzz]", "only", "ceph auth get client.zzz -o"],
            ),
            (
                &[("keyring", "/denied,/many")],
                NotFound,
                ["client.host-7 and 2 others", "before it /denied (Permission denied)", "ceph auth get"],
            ),
            (&[("keyring", "/empty")], NotFound, ["/empty has no users", "client.admin", "ceph auth get"]),
        ],
    );
}

#[test]
fn real_files_are_read_and_a_huge_one_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ring");
    std::fs::write(&path, keyring(&[("client.admin", KEY)])).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let user = CephUser::client("admin").unwrap();
    let with = settings(&[("keyring", path.to_str().unwrap())]);
    assert!(matches!(find(&with, &user, &read_file).unwrap(), UserKey::Found { .. }));
    std::fs::File::create(&path).unwrap().set_len(KEYRING_BYTES_MAX as u64 * 4).unwrap();
    assert_eq!(read_file(&path).unwrap().len(), KEYRING_BYTES_MAX + 1);
    let error = find(&with, &user, &read_file).unwrap_err().to_string();
    assert!(error.contains("larger than"), "{error}");
    let folder = settings(&[("keyring", dir.path().to_str().unwrap())]);
    let error = find(&folder, &user, &read_file).unwrap_err();
    assert!(error.to_string().contains("Is a directory"), "{error}");
}
