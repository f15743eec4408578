//! The fuzz targets: one function each, called by libFuzzer and, on a stable compiler, by the smoke test.
//!
//! A target takes any bytes and panics only when ringbd is wrong: when it panics itself, or breaks a promise that the
//! target checks. `README.md` beside this crate says how to add one.

mod auth;
mod maps;
mod messages;
mod mon_host;
mod wire;

use std::io;
use std::path::Path;

use ringbd::config::{ConfFile, ImageSpec, Settings, Sources};
use ringbd::rados::ClusterConfig;

pub use auth::{auth_client, auth_server, keyring};
pub use maps::{crush, osdmap};
pub use messages::messages;
pub use mon_host::{dns_answer, mon_host};
pub use wire::{wire_client, wire_crc, wire_secure, wire_server};

/// A target: it takes any bytes, and panics when ringbd is wrong.
pub type Target = fn(&[u8]);

/// Every target by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("auth_client", auth_client),
    ("auth_server", auth_server),
    ("conf_file", conf_file),
    ("crush", crush),
    ("dns_answer", dns_answer),
    ("image_spec", image_spec),
    ("keyring", keyring),
    ("messages", messages),
    ("mon_host", mon_host),
    ("osdmap", osdmap),
    ("rbd_objects", rbd_objects),
    ("store_blocks", store_blocks),
    ("store_records", store_records),
    ("wire_client", wire_client),
    ("wire_crc", wire_crc),
    ("wire_secure", wire_secure),
    ("wire_server", wire_server),
];

/// A configuration file parses or is refused with its line, and settings resolve from it or are refused on one line.
pub fn conf_file(bytes: &[u8]) {
    let path = Path::new("fuzz.conf");
    let lines = bytes.split(|byte| matches!(byte, b'\n' | b'\r')).count();
    match ConfFile::parse(path, bytes) {
        Ok(conf) => {
            for section in conf.section_names() {
                for (key, entry) in conf.section(section) {
                    assert!(!key.is_empty() && !key.contains(char::is_whitespace), "{key:?}");
                    assert!((1..=lines).contains(&(entry.line as usize)), "line {}", entry.line);
                    assert_eq!(conf.find(&[section], key), Some(entry));
                }
            }
        }
        Err(error) => assert!(error.place().starts_with("fuzz.conf:"), "{error}"),
    }
    resolve(&ImageSpec::new("data", "foo"), bytes);
}

/// An image string parses and prints as itself, or is refused with its column; its options resolve or are refused.
pub fn image_spec(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match text.parse::<ImageSpec>() {
        Ok(spec) => {
            assert_eq!(spec.to_string().parse(), Ok(spec.clone()), "{spec}");
            resolve(&spec, b"");
        }
        Err(error) => assert!(text.len() > 1 << 16 || error.place().starts_with("column "), "{error}"),
    }
}

/// What comes from an image's objects or its other users decodes and encodes to what it was, or is refused. The first byte
/// says what it claims to be.
pub fn rbd_objects(bytes: &[u8]) {
    ringbd_proto::rbd::fuzz(bytes);
}

/// A superblock or data label decodes and encodes to what it was, or is refused; with the right checksum put in, too.
pub fn store_blocks(bytes: &[u8]) {
    ringbd::store::fuzz_blocks(bytes);
}

/// A value of the store's metadata decodes and encodes to what it was, or is refused. The first byte is the key's length.
pub fn store_records(bytes: &[u8]) {
    let Some((&key_bytes, rest)) = bytes.split_first() else { return };
    let (key, value) = rest.split_at(usize::from(key_bytes).min(rest.len()));
    ringbd::store::fuzz_records(key, value);
}

/// Resolves settings where every file has the given contents: the configuration, and the keyring of its cluster.
fn resolve(spec: &ImageSpec, conf: &[u8]) {
    let read = |_: &Path| -> io::Result<Vec<u8>> { Ok(conf.to_vec()) };
    match Settings::load_with(spec, &Sources::default(), &read) {
        Ok(settings) => {
            assert!(!settings.cache().to_string().is_empty());
            if let Err(error) = ClusterConfig::load_with(&settings, &read) {
                assert!(!error.to_string().contains('\n'), "{error}");
            }
        }
        Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
    }
}
