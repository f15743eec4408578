//! Keys and identities of a cluster that lives for one test.

use std::fmt::Write as _;

/// A random identity.
pub(super) fn uuid() -> String {
    let n = fastrand::u128(..);
    let hex = format!("{n:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// A new key as keyrings have it: type 1 (AES-128), when it was made, its length, and its bytes.
fn key() -> String {
    let mut bytes = vec![1, 0];
    bytes.extend([0; 8]);
    bytes.extend([16, 0]);
    bytes.extend((0..16).map(|_| fastrand::u8(..)));
    base64(&bytes)
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let n = chunk.iter().fold(0u32, |n, &byte| n << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let sextet = (n >> (18 - 6 * place)) as usize & 63;
            text.push(if place <= chunk.len() { char::from(ALPHABET[sextet]) } else { '=' });
        }
    }
    text
}

/// The keyring of all daemons and of client.admin, which the monitors take over when they are made.
pub(super) fn keyring(osds: usize) -> String {
    let mut text = String::new();
    let mut entry = |name: &str, caps: &[(&str, &str)]| {
        writeln!(text, "[{name}]\n\tkey = {}", key()).expect("a string takes everything");
        for (service, caps) in caps {
            writeln!(text, "\tcaps {service} = \"{caps}\"").expect("a string takes everything");
        }
    };
    let all = [("mon", "allow *"), ("osd", "allow *"), ("mgr", "allow *"), ("mds", "allow *")];
    entry("mon.", &[("mon", "allow *")]);
    entry("client.admin", &all);
    entry("mgr.x", &[("mon", "allow profile mgr"), ("osd", "allow *"), ("mds", "allow *")]);
    for osd in 0..osds {
        let profile = [("mon", "allow profile osd"), ("mgr", "allow profile osd"), ("osd", "allow *")];
        entry(&format!("osd.{osd}"), &profile);
    }
    text
}
