//! The cipher of keys of type 1: AES-128 in CBC mode with a fixed initialization vector, and no integrity check but the
//! magic number of the envelope around every plaintext.

use super::key::DecryptError;
use aes::Aes128;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use zeroize::Zeroizing;

/// Bytes of a secret.
pub(super) const SECRET_BYTES: usize = 16;

/// The initialization vector that every peer uses for everything.
const IV: &[u8; 16] = b"cephsageyudagreg";

/// Encrypts `plain`.
pub(super) fn encrypt(secret: &[u8; SECRET_BYTES], plain: &[u8]) -> Vec<u8> {
    cbc::Encryptor::<Aes128>::new(secret.into(), IV.into()).encrypt_padded_vec::<Pkcs7>(plain)
}

/// Decrypts what `encrypt` gave. Whatever is wrong, the error is the same, so that nobody can learn from it.
pub(super) fn decrypt(
    secret: &[u8; SECRET_BYTES],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
    cbc::Decryptor::<Aes128>::new(secret.into(), IV.into())
        .decrypt_padded_vec::<Pkcs7>(sealed)
        .map(Zeroizing::new)
        .map_err(|_| DecryptError)
}
