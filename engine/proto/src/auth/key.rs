//! Keys: of users, of services, of sessions.
//!
//! A key knows its cipher, and every use of it is named by a [`KeyUsage`], because newer ciphers derive a key for each.
//! Secrets are wiped when dropped and never printed.

use super::random::{Random, draw};
use super::{AuthError, aes128, aes256k};
use crate::codec::{DecodeError, Decoder, Encoder};
use crate::types::Utime;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use std::fmt;
use thiserror::Error;
use zeroize::Zeroizing;

/// Proves that a plaintext was decrypted with the right key, where the cipher itself does not.
const MAGIC: u64 = 0xff00_9cad_8826_aa55;

/// The ciphers that keys are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// AES-128 in CBC mode: `aes`, the only kind before Ceph 19.2.6 and 20.2.4.
    Aes128,
    /// AES-256 with HMAC-SHA-384 as in RFC 8009: `aes256k`, the default of new clusters since.
    Aes256k,
}

impl KeyKind {
    const fn number(self) -> u16 {
        match self {
            KeyKind::Aes128 => 1,
            KeyKind::Aes256k => 2,
        }
    }
}

impl fmt::Display for KeyKind {
    /// As Ceph's options call it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KeyKind::Aes128 => "aes",
            KeyKind::Aes256k => "aes256k",
        })
    }
}

/// What is encrypted with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyUsage {
    /// The connection secret that a monitor gives, with the session key of the authentication service.
    ConnectionSecret,
    /// A ticket's session key on its way to the client, with the user's key or the authentication service's session
    /// key.
    SessionKey,
    /// The ticket of a client that continues a session, with the old session key.
    TicketBlob,
    /// A client's proof to a service, with the session key.
    Authorize,
    /// The service's challenge, with the session key.
    AuthorizeChallenge,
    /// The service's proof, with the session key.
    AuthorizeReply,
    /// What a ticket says to the service, with the service's secret.
    TicketInfo,
}

impl KeyUsage {
    const fn number(self) -> u32 {
        match self {
            KeyUsage::ConnectionSecret => 0x03,
            KeyUsage::SessionKey => 0x04,
            KeyUsage::TicketBlob => 0x05,
            KeyUsage::Authorize => 0x10,
            KeyUsage::AuthorizeChallenge => 0x11,
            KeyUsage::AuthorizeReply => 0x12,
            KeyUsage::TicketInfo => 0x30,
        }
    }

    const fn what(self) -> &'static str {
        match self {
            KeyUsage::ConnectionSecret => "a connection secret",
            KeyUsage::SessionKey => "a session key",
            KeyUsage::TicketBlob => "an encrypted ticket",
            KeyUsage::Authorize => "a client's proof",
            KeyUsage::AuthorizeChallenge => "a service's challenge",
            KeyUsage::AuthorizeReply => "a service's proof",
            KeyUsage::TicketInfo => "a ticket's contents",
        }
    }

    const fn failure(self) -> &'static str {
        match self {
            KeyUsage::ConnectionSecret => "the connection secret cannot be decrypted with the session key",
            KeyUsage::SessionKey => {
                "the session key cannot be decrypted with our key: the monitors have another one"
            }
            KeyUsage::TicketBlob => "the new ticket cannot be decrypted with the old session key",
            KeyUsage::Authorize => {
                "the client's proof cannot be decrypted with the session key of its ticket"
            }
            KeyUsage::AuthorizeChallenge => {
                "the service's challenge cannot be decrypted with the session key"
            }
            KeyUsage::AuthorizeReply => "the service's proof cannot be decrypted with the session key",
            KeyUsage::TicketInfo => "the ticket cannot be decrypted with the service's secret",
        }
    }
}

/// Random bytes that make equal plaintexts look different. Keys of kind [`KeyKind::Aes128`] do not use them.
#[derive(Clone, Copy, Debug)]
pub struct Confounder(pub [u8; 16]);

impl Confounder {
    /// Draws one.
    pub fn draw(random: &mut dyn Random) -> Confounder {
        Confounder(draw(random))
    }
}

/// What cannot be decrypted, for whatever reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DecryptError;

/// A key.
#[derive(Clone)]
pub struct CryptoKey {
    created: Utime,
    secret: Secret,
}

#[derive(Clone)]
enum Secret {
    Aes128(Zeroizing<[u8; aes128::SECRET_BYTES]>),
    Aes256k(Zeroizing<[u8; aes256k::SECRET_BYTES]>),
}

impl CryptoKey {
    /// A key with that secret.
    pub fn aes128(created: Utime, secret: [u8; 16]) -> CryptoKey {
        CryptoKey { created, secret: Secret::Aes128(Zeroizing::new(secret)) }
    }

    /// A key with that secret.
    pub fn aes256k(created: Utime, secret: [u8; 32]) -> CryptoKey {
        CryptoKey { created, secret: Secret::Aes256k(Zeroizing::new(secret)) }
    }

    /// A new key.
    pub fn generate(kind: KeyKind, created: Utime, random: &mut dyn Random) -> CryptoKey {
        match kind {
            KeyKind::Aes128 => CryptoKey::aes128(created, draw(random)),
            KeyKind::Aes256k => CryptoKey::aes256k(created, draw(random)),
        }
    }

    /// The cipher it is for.
    pub fn kind(&self) -> KeyKind {
        match self.secret {
            Secret::Aes128(_) => KeyKind::Aes128,
            Secret::Aes256k(_) => KeyKind::Aes256k,
        }
    }

    /// When it was made, by the clock of whoever made it.
    pub fn created(&self) -> Utime {
        self.created
    }

    /// The secret itself, which signs handshakes.
    pub fn secret(&self) -> &[u8] {
        match &self.secret {
            Secret::Aes128(secret) => &secret[..],
            Secret::Aes256k(secret) => &secret[..],
        }
    }

    /// Reads one.
    ///
    /// # Errors
    /// The bytes are no key, or it is of a kind that ringbd does not know.
    pub fn decode(d: &mut Decoder<'_>) -> Result<CryptoKey, KeyError> {
        let (number, created) = (d.u16()?, Utime::decode(d)?);
        let len = d.u16()?;
        let secret = d.bytes(len.into())?;
        let wrong_length = |kind| KeyError::SecretLength { kind, found: len };
        match number {
            0 => Err(KeyError::Empty),
            1 => {
                let secret = secret.try_into().map_err(|_| wrong_length(KeyKind::Aes128))?;
                Ok(CryptoKey::aes128(created, secret))
            }
            2 => {
                let secret = secret.try_into().map_err(|_| wrong_length(KeyKind::Aes256k))?;
                Ok(CryptoKey::aes256k(created, secret))
            }
            _ => Err(KeyError::UnknownKind(number)),
        }
    }

    /// Writes it.
    pub fn encode(&self, e: &mut Encoder<'_>) {
        e.u16(self.kind().number());
        self.created.encode(e);
        let secret = self.secret();
        e.u16(secret.len().try_into().expect("secrets are short")).bytes(secret);
    }

    /// Reads one as keyrings, `key=` and key files have it. White space does not matter.
    ///
    /// # Errors
    /// The text is no key, or it is of a kind that ringbd does not know.
    pub fn from_base64(text: &str) -> Result<CryptoKey, KeyError> {
        let mut compact = Zeroizing::new(String::with_capacity(text.len()));
        compact.extend(text.chars().filter(|c| !c.is_ascii_whitespace()));
        match compact.chars().next() {
            None => return Err(KeyError::Empty),
            Some('[') => return Err(KeyError::Keyring),
            Some(_) => {}
        }
        let bytes = STANDARD.decode(compact.as_bytes()).map(Zeroizing::new).map_err(|_| KeyError::Base64)?;
        let mut d = Decoder::new("a key", &bytes);
        let key = CryptoKey::decode(&mut d)?;
        d.finish()?;
        Ok(key)
    }

    /// Reads the contents of a key file.
    ///
    /// # Errors
    /// As [`from_base64`](CryptoKey::from_base64).
    pub fn from_key_file(contents: &[u8]) -> Result<CryptoKey, KeyError> {
        CryptoKey::from_base64(str::from_utf8(contents).map_err(|_| KeyError::Base64)?)
    }

    /// As keyrings have it.
    pub fn to_base64(&self) -> Zeroizing<String> {
        let mut bytes = plaintext();
        self.encode(&mut Encoder::new(&mut bytes));
        Zeroizing::new(STANDARD.encode(&*bytes))
    }

    /// Encrypts what `write` writes, in an envelope by which the other end knows that the key was right.
    pub fn seal(
        &self,
        usage: KeyUsage,
        confounder: &Confounder,
        write: impl FnOnce(&mut Encoder<'_>),
    ) -> Vec<u8> {
        let mut plain = plaintext();
        let mut e = Encoder::new(&mut plain);
        e.u8(1).u64(MAGIC);
        write(&mut e);
        match &self.secret {
            Secret::Aes128(secret) => aes128::encrypt(secret, &plain),
            Secret::Aes256k(secret) => aes256k::encrypt(secret, usage.number(), confounder, &plain),
        }
    }

    /// Decrypts what [`seal`](CryptoKey::seal) gave and reads it. What `read` leaves is newer than we are.
    ///
    /// # Errors
    /// [`AuthError::Proof`] if it was sealed with another key, or for another use.
    pub fn open<T>(
        &self,
        usage: KeyUsage,
        sealed: &[u8],
        read: impl FnOnce(&mut Decoder<'_>) -> Result<T, AuthError>,
    ) -> Result<T, AuthError> {
        let plain = match &self.secret {
            Secret::Aes128(secret) => aes128::decrypt(secret, sealed),
            Secret::Aes256k(secret) => aes256k::decrypt(secret, usage.number(), sealed),
        };
        let Ok(plain) = plain else { return Err(AuthError::Proof(usage.failure())) };
        let mut d = Decoder::new(usage.what(), &plain);
        // A wrong key gets this far by chance, so a short or strange plaintext is a wrong key, too.
        match (d.u8(), d.u64()) {
            (Ok(_), Ok(MAGIC)) => read(&mut d),
            (Ok(_) | Err(_), Ok(_) | Err(_)) => Err(AuthError::Proof(usage.failure())),
        }
    }

    /// What proves to a monitor that the client has this key.
    pub(super) fn answer(&self, server_challenge: u64, client_challenge: u64) -> u64 {
        let challenges = |e: &mut Encoder<'_>| {
            e.u64(server_challenge).u64(client_challenge);
        };
        let proof = match &self.secret {
            // The length that would go before the ciphertext on the wire takes part.
            Secret::Aes128(_) => {
                let sealed = self.seal(KeyUsage::SessionKey, &Confounder([0; 16]), challenges);
                Encoder::to_vec(|e| {
                    e.blob(&sealed);
                })
            }
            // Ciphertexts of this kind differ every time, so that a hash must do.
            Secret::Aes256k(secret) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, &secret[..]);
                hmac::sign(&key, &Encoder::to_vec(challenges)).as_ref().to_vec()
            }
        };
        proof.as_chunks::<8>().0.iter().fold(0, |folded, word| folded ^ u64::from_le_bytes(*word))
    }
}

/// A place for what must be wiped, with room for all that is usual: a vector that grows leaves copies behind.
fn plaintext() -> Zeroizing<Vec<u8>> {
    Zeroizing::new(Vec::with_capacity(512))
}

impl fmt::Debug for CryptoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CryptoKey({}, ..)", self.kind())
    }
}

/// Why a key cannot be used. No message contains any of the key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// It is no base64.
    #[error("the key is not base64; it should look like AQBb…==, as `ceph auth get-key` prints it")]
    Base64,
    /// It is a whole keyring.
    #[error("this is a keyring and not a bare key; name the file with keyring= instead of keyfile=")]
    Keyring,
    /// There is nothing, or a key of the kind that means none.
    #[error("the key is empty")]
    Empty,
    /// The base64 holds something else.
    #[error("this is no key: {0}")]
    Malformed(#[from] DecodeError),
    /// A key for a cipher that ringbd does not know.
    #[error("the key is of type {0}, and ringbd knows aes (1) and aes256k (2); a newer ringbd is needed")]
    UnknownKind(u16),
    /// A secret that does not fit its cipher.
    #[error("the secret of the {kind} key has {found} bytes, which do not fit its cipher")]
    SecretLength {
        /// The cipher.
        kind: KeyKind,
        /// Bytes of the secret.
        found: u16,
    },
}
