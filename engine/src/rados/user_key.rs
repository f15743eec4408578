//! The user's key: from the options `key`, `keyfile` and `keyring`, in this order.
//!
//! `keyring` is a list of files, of which the first that can be opened counts, as in Ceph. That none of them exists is not
//! yet an error: a cluster without authentication needs none. Everything else that is wrong (a file that cannot be read, a
//! keyring without the user, a key that is none) is told at once, because a user who has a keyring means to use it.

use std::io::{self, Read as _};
use std::path::Path;

use ringbd_proto::auth::{CephUser, CryptoKey, KEYRING_BYTES_MAX, Keyring, KeyringError};
use zeroize::Zeroizing;

use crate::config::{Settings, near_matches};
use crate::error::{Error, ErrorKind, Result};

/// How files are read.
pub(super) type ReadFile<'a> = &'a dyn Fn(&Path) -> io::Result<Zeroizing<Vec<u8>>>;

/// The most users of a keyring that an error names: more are a list to read, not a hint.
const USERS_NAMED_MAX: usize = 8;

/// What was found.
#[derive(Debug)]
pub(super) enum UserKey {
    /// A key, and where it came from.
    Found { key: CryptoKey, source: String },
    /// No key anywhere, and what to tell whoever needs one.
    Absent(Error),
}

/// Looks for the key of `user`.
///
/// # Errors
/// There is something, and it cannot be used.
pub(super) fn find(settings: &Settings, user: &CephUser, read: ReadFile<'_>) -> Result<UserKey> {
    if let Some(text) = settings.some_text("key") {
        let source = format!("option key ({})", settings.origin("key"));
        let key = CryptoKey::from_base64(text).map_err(|error| unusable(user, &source, error))?;
        return Ok(UserKey::Found { key, source });
    }
    if let Some(path) = settings.some_text("keyfile") {
        let source = format!("{path} (keyfile of {})", settings.origin("keyfile"));
        let bytes = read(Path::new(path)).map_err(|error| {
            wrong(ErrorKind::of_io(&error), user, format!("{source}: {}", plain(&error)))
                .hint("keyfile names a file that holds nothing but the key")
        })?;
        let key = CryptoKey::from_key_file(&bytes).map_err(|error| unusable(user, &source, error))?;
        return Ok(UserKey::Found { key, source });
    }
    let search = KeyringSearch { user, origin: settings.origin("keyring").to_string(), read };
    search.find(settings.some_text("keyring").unwrap_or_default())
}

/// Reads a file, one byte past the largest keyring at most, so that its reader sees that it is too long.
pub(super) fn read_file(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    let mut file = std::fs::File::open(path)?.take(KEYRING_BYTES_MAX as u64 + 1);
    // Room for all of it beforehand, so that no copy is left behind where the buffer was.
    let length = file.get_ref().metadata()?.len().min(KEYRING_BYTES_MAX as u64);
    bytes.reserve_exact(usize::try_from(length).expect("it is below the limit") + 2);
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A search through the files that `keyring` names.
struct KeyringSearch<'a> {
    user: &'a CephUser,
    origin: String,
    read: ReadFile<'a>,
}

impl KeyringSearch<'_> {
    fn find(&self, files: &str) -> Result<UserKey> {
        let mut passed_over = Vec::new();
        let mut worst = None;
        for path in files.split([',', ';']).map(str::trim).filter(|path| !path.is_empty()) {
            match (self.read)(Path::new(path)) {
                Ok(bytes) => return self.key_in(path, &bytes, &passed_over),
                Err(error) => {
                    if !is_missing(&error) {
                        worst = worst.or(Some(ErrorKind::of_io(&error)));
                    }
                    passed_over.push(format!("{path} ({})", plain(&error)));
                }
            }
        }
        let Self { user, origin, .. } = self;
        match worst {
            None if passed_over.is_empty() => {
                let error = wrong(ErrorKind::NotFound, user, format!("keyring ({origin}) names no file"));
                Ok(UserKey::Absent(error.hint(how_to_get(user))))
            }
            None => {
                let reason = format!("there is no keyring; tried {}", passed_over.join(", "));
                Ok(UserKey::Absent(wrong(ErrorKind::NotFound, user, reason).hint(how_to_get(user))))
            }
            Some(kind) => {
                let reason = format!("no keyring can be read; tried {}", passed_over.join(", "));
                Err(wrong(kind, user, reason).hint(
                    "let this process read it, or name another file with keyring=; a cluster without authentication \
                     needs none with auth_client_required=none",
                ))
            }
        }
    }

    fn key_in(&self, path: &str, bytes: &[u8], passed_over: &[String]) -> Result<UserKey> {
        let user = self.user;
        let malformed = |KeyringError { line, kind }: KeyringError| {
            let kind = kind.to_string();
            wrong(ErrorKind::InvalidInput, user, format!("{path}:{line}: {kind}"))
                .hint(format!("`ceph auth get {user} -o {path}` on a machine of the cluster writes it anew"))
        };
        let keyring = Keyring::parse(bytes).map_err(malformed)?;
        match keyring.key(user) {
            Some(key) => {
                let key = key.map_err(malformed)?.clone();
                Ok(UserKey::Found { key, source: path.to_owned() })
            }
            None => Err(self.not_in(path, &keyring, passed_over)),
        }
    }

    fn not_in(&self, path: &str, keyring: &Keyring, passed_over: &[String]) -> Error {
        let user = self.user;
        let users: Vec<String> = keyring.entries().map(|entry| entry.user.to_string()).collect();
        let mut reason = match users.len() {
            0 => format!("{path} has no users"),
            1..=USERS_NAMED_MAX => format!("{path} has no [{user}], only {}", users.join(", ")),
            count => {
                let shown = users[..USERS_NAMED_MAX].join(", ");
                format!("{path} has no [{user}], only {shown} and {} others", count - USERS_NAMED_MAX)
            }
        };
        if !passed_over.is_empty() {
            reason.push_str("; before it ");
            reason.push_str(&passed_over.join(", "));
        }
        let names = || users.iter().map(String::as_str);
        // Whoever writes the type in front of the id asks for client.client.admin.
        let meant = names().find(|name| *name == user.id());
        let near = meant.or_else(|| near_matches(&user.to_string(), names()).first().copied());
        let error = wrong(ErrorKind::NotFound, user, reason);
        match near.and_then(|name| name.strip_prefix("client.")) {
            Some(id) => error.hint(format!("did you mean id={id}?")),
            None => error.hint(how_to_get(user)),
        }
    }
}

fn wrong(kind: ErrorKind, user: &CephUser, reason: String) -> Error {
    Error::new(kind, "find the key of", user, reason)
}

fn unusable(user: &CephUser, source: &str, error: impl std::fmt::Display) -> Error {
    wrong(ErrorKind::InvalidInput, user, format!("{source}: {error}"))
        .hint(format!("`ceph auth get-key {user}` on a machine of the cluster prints it"))
}

fn how_to_get(user: &CephUser) -> String {
    format!(
        "`ceph auth get {user} -o /etc/ceph/ceph.{user}.keyring` on a machine of the cluster writes one; another user is \
         named with id=, another file with keyring="
    )
}

/// What the system says, in a few words.
fn plain(error: &io::Error) -> String {
    if is_missing(error) {
        return "not there".to_owned();
    }
    crate::error::plain(error)
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
#[path = "user_key_tests.rs"]
mod tests;
