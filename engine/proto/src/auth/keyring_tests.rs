//! What keyrings say, and where they are wrong.

use super::*;

const KEY: &str = "AQBktwJrM6JOIhAAtuYSwyL9G9K7zF5otBlGOQ==";

fn user(name: &str) -> CephUser {
    name.parse().unwrap()
}

fn key_of(text: &str, name: &str) -> String {
    let keyring = Keyring::parse(text.as_bytes()).unwrap();
    let key = keyring.key(&user(name)).expect("the user is there").unwrap();
    key.to_base64().to_string()
}

fn error(text: &str) -> String {
    Keyring::parse(text.as_bytes()).unwrap_err().to_string()
}

#[test]
fn a_keyring_as_ceph_writes_it() {
    let text = format!(
        "[client.admin]\n\tkey = {KEY}\n\tcaps mds = \"allow *\"\n\tcaps mon = \"profile \\\"x\\\"\"\n\
         [mon.]\n\tkey = {KEY}\n"
    );
    assert_eq!(key_of(&text, "client.admin"), KEY);
    assert_eq!(key_of(&text, "mon."), KEY);
    let keyring = Keyring::parse(text.as_bytes()).unwrap();
    assert!(keyring.key(&user("client.other")).is_none());
    let entries: Vec<_> = keyring.entries().map(|entry| (entry.user.to_string(), entry.line)).collect();
    assert_eq!(entries, [("client.admin".to_owned(), 1), ("mon.".to_owned(), 5)]);
    let caps = &keyring.entries().next().unwrap().caps;
    assert_eq!(caps["mds"], "allow *");
    assert_eq!(caps["mon"], "profile \"x\"");
}

#[test]
fn a_keyring_as_people_write_it() {
    let texts = [
        format!("\u{feff}# mine\r\n\r\n [ client.admin ] ; me\r\nkey={KEY} # the key\r\n"),
        format!("[client.admin]\nkey = \"{KEY}\"\n"),
        format!("[client.admin]\n key = '{KEY}' ; quoted"),
        format!("[client.admin]\nkey = \\\n  {KEY}"),
        format!("[client.admin]\nkey = {}\\\n{}\n", &KEY[..7], &KEY[7..]),
        format!("[client.admin]\nkey = nonsense\nkey = {KEY}\n"),
        format!("[global]\nanything = goes\n[client.admin]\nauid = 0\n[client.b]\n[client.admin]\nkey={KEY}"),
        format!("[client.\\admin]\n\\key = {KEY}\ncaps_mon=allow r\ncaps   osd = allow rw\n"),
    ];
    for text in texts {
        assert_eq!(key_of(&text, "client.admin"), KEY, "{text:?}");
    }
}

#[test]
fn errors_name_their_line() {
    let cases = [
        ("[client.admin\nkey = x", "line 1: the section's name has no closing bracket"),
        ("\n[admin]\n", "line 2: [admin] is no user: a user is written kind.id, as in client.admin"),
        ("[client.]\n", "line 1: [client.] is no user: the user's id is empty"),
        ("\n\nkey = x\n", "line 3: a line before the first [user] section"),
        ("[client.a]\nkey\n", "line 2: expected name = value"),
        ("[client.a]\n= x\n", "line 2: expected name = value"),
        ("[client.a]\nkey\\\n = x\nkeys = x\n", "line 4: there is no \"keys\" in keyrings"),
        ("[client.a]\ncaps = x\n", "line 2: there is no \"caps\" in keyrings"),
        ("[client.a]\nkey = \"x\n", "line 2: the quoted value has no closing quote"),
        ("[client.a]\nkey = \"x\" y\n", "line 2: something stands after the closing bracket or quote"),
        ("[client.a] key = x\n", "line 1: something stands after the closing bracket or quote"),
    ];
    for (text, expected) in cases {
        assert!(error(text).starts_with(expected), "{text:?}: {}", error(text));
    }
    let error = Keyring::parse(b"[client.a]\n\xff").unwrap_err().to_string();
    assert_eq!(error, "line 2: the file is not UTF-8 text; is it a keyring?");
}

#[test]
fn a_bad_key_spoils_only_its_own_entry() {
    let strange = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        [9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 7],
    );
    let text = format!(
        "[client.a]\nkey = {KEY}\n[client.b]\nkey = {strange}\n[client.c]\nkey = no+key\n[client.d]\n\
         [client.e]\nkey =\n"
    );
    assert_eq!(key_of(&text, "client.a"), KEY);
    let keyring = Keyring::parse(text.as_bytes()).unwrap();
    let cases = [
        ("client.b", "line 4: the key of client.b cannot be used: the key is of type 9, and ringbd knows"),
        ("client.c", "line 6: the key of client.c cannot be used: the key is not base64"),
        ("client.d", "line 7: [client.d] has no key"),
        ("client.e", "line 9: the key of client.e cannot be used: the key is empty"),
    ];
    for (name, expected) in cases {
        let error = keyring.key(&user(name)).unwrap().unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
        assert!(!error.contains(&strange) && !error.contains("no+key"), "{error}");
    }
}

#[test]
fn bare_keys_and_key_files() {
    let key = CryptoKey::from_key_file(format!(" {}\n{} \n\n", &KEY[..9], &KEY[9..]).as_bytes()).unwrap();
    assert_eq!(*key.to_base64(), KEY);
    assert_eq!(format!("{key:?}"), "CryptoKey(aes, ..)");
    assert_eq!(CryptoKey::from_key_file(b"[client.admin]\nkey = x").unwrap_err(), KeyError::Keyring);
    assert_eq!(CryptoKey::from_base64(" \n").unwrap_err(), KeyError::Empty);
    assert_eq!(CryptoKey::from_key_file(b"\xff").unwrap_err(), KeyError::Base64);
    let aes256k = CryptoKey::aes256k(key.created(), [3; 32]);
    let again = CryptoKey::from_base64(&aes256k.to_base64()).unwrap();
    assert_eq!((again.secret(), again.created()), (&[3; 32][..], key.created()));
    assert!(CryptoKey::from_base64(&KEY[..36]).is_err());
}
