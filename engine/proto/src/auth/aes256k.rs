//! The cipher of keys of type 2, which newer clusters use by default: aes256-cts-hmac-sha384-192 of RFC 8009.
//!
//! A token is AES-256 in CBC mode with ciphertext stealing over a random confounder and the plaintext, followed by a
//! truncated HMAC. The keys of both are derived from the secret for each use, so that a token made for one use is
//! worthless for another.

use super::key::{Confounder, DecryptError};
use aes::Aes256;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{Array, BlockCipherDecrypt, BlockModeDecrypt, BlockModeEncrypt, KeyInit, KeyIvInit};
use ring::hmac;
use zeroize::Zeroizing;

/// Bytes of a secret.
pub(super) const SECRET_BYTES: usize = 32;

const BLOCK_BYTES: usize = 16;
const TAG_BYTES: usize = 24;
/// The initialization vector: the confounder does its work.
const IV: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];

/// What a derived key is for, in the last byte of the derivation's label.
const ENCRYPTION: u8 = 0xaa;
const INTEGRITY: u8 = 0x55;

/// Encrypts `plain` for one use.
pub(super) fn encrypt(
    secret: &[u8; SECRET_BYTES],
    usage: u32,
    confounder: &Confounder,
    plain: &[u8],
) -> Vec<u8> {
    let key: Zeroizing<[u8; 32]> = derive(secret, usage, ENCRYPTION);
    let len = BLOCK_BYTES + plain.len();
    let mut padded = Zeroizing::new(Vec::with_capacity(len.next_multiple_of(BLOCK_BYTES)));
    padded.extend_from_slice(&confounder.0);
    padded.extend_from_slice(plain);
    padded.resize(len.next_multiple_of(BLOCK_BYTES), 0);
    let mut token =
        cbc::Encryptor::<Aes256>::new((&*key).into(), (&IV).into()).encrypt_padded_vec::<NoPadding>(&padded);
    if let Some(before_last) = token.len().checked_sub(2 * BLOCK_BYTES) {
        // The last two blocks change places, and what was padding falls off the end.
        token[before_last..].rotate_left(BLOCK_BYTES);
        token.truncate(len);
    }
    let tag = tag(secret, usage, &token);
    token.extend_from_slice(&tag);
    token
}

/// Checks and decrypts what `encrypt` gave.
pub(super) fn decrypt(
    secret: &[u8; SECRET_BYTES],
    usage: u32,
    token: &[u8],
) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
    let len = token.len().checked_sub(TAG_BYTES).filter(|len| *len >= BLOCK_BYTES).ok_or(DecryptError)?;
    let (sealed, found) = token.split_at(len);
    // All bytes are compared, so that the time tells nothing of where they differ.
    let differ = tag(secret, usage, sealed).iter().zip(found).fold(0, |differ, (a, b)| differ | (a ^ b));
    if differ != 0 {
        return Err(DecryptError);
    }
    let key: Zeroizing<[u8; 32]> = derive(secret, usage, ENCRYPTION);
    let mut blocks = sealed.to_vec();
    if let Some(before_last) = len.next_multiple_of(BLOCK_BYTES).checked_sub(2 * BLOCK_BYTES) {
        // The block before the last was encrypted last. Decrypted alone it gives the padded plaintext of the last
        // block mixed with the one encrypted before it, whose end, lost on the wire, is therefore where the padding is.
        let mut stolen = Array::from(first_block(&blocks[before_last..]));
        Aes256::new((&*key).into()).decrypt_block(&mut stolen);
        let kept = len - before_last - BLOCK_BYTES;
        blocks.extend_from_slice(&stolen[kept..]);
        blocks[before_last..].rotate_left(BLOCK_BYTES);
    }
    let mut plain = cbc::Decryptor::<Aes256>::new((&*key).into(), (&IV).into())
        .decrypt_padded_vec::<NoPadding>(&blocks)
        .map(Zeroizing::new)
        .map_err(|_| DecryptError)?;
    plain.truncate(len);
    plain.drain(..BLOCK_BYTES);
    Ok(plain)
}

fn first_block(bytes: &[u8]) -> [u8; BLOCK_BYTES] {
    *bytes.first_chunk().expect("two blocks were counted")
}

/// The key for one use and purpose: the first `N` bytes of an HMAC of what they are and how many.
fn derive<const N: usize>(secret: &[u8; SECRET_BYTES], usage: u32, purpose: u8) -> Zeroizing<[u8; N]> {
    const { assert!(N <= 48, "SHA-384 gives 48 bytes") };
    let bits = u32::try_from(N * 8).expect("a key has fewer than 2^32 bits");
    let mut hmac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA384, secret));
    hmac.update(&1_u32.to_be_bytes());
    hmac.update(&usage.to_be_bytes());
    hmac.update(&[purpose, 0]);
    hmac.update(&bits.to_be_bytes());
    Zeroizing::new(*hmac.sign().as_ref().first_chunk().expect("SHA-384 gives 48 bytes"))
}

/// What protects the ciphertext.
fn tag(secret: &[u8; SECRET_BYTES], usage: u32, sealed: &[u8]) -> [u8; TAG_BYTES] {
    let key: Zeroizing<[u8; TAG_BYTES]> = derive(secret, usage, INTEGRITY);
    let mut hmac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA384, &*key));
    hmac.update(&IV);
    hmac.update(sealed);
    *hmac.sign().as_ref().first_chunk().expect("SHA-384 gives 48 bytes")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
    }

    fn rfc_secret() -> [u8; SECRET_BYTES] {
        bytes("6d404d37faf79f9df0d33568d320669800eb4836472ea8a026d16b7182460c52")
    }

    #[test]
    fn keys_are_derived_as_rfc_8009_says() {
        let encryption: Zeroizing<[u8; 32]> = derive(&rfc_secret(), 2, ENCRYPTION);
        assert_eq!(*encryption, bytes("56ab22bee63d82d7bc5227f6773f8ea7a5eb1c825160c38312980c442e5c7e49"));
        let integrity: Zeroizing<[u8; 24]> = derive(&rfc_secret(), 2, INTEGRITY);
        assert_eq!(*integrity, bytes("69b16514e3cd8e56b82010d5c73012b622c4d00ffc23ed1f"));
    }

    #[test]
    fn tokens_are_those_of_rfc_8009() {
        let vectors = [
            (
                "f764e9fa15c276478b2c7d0c4e5f58e4",
                0,
                "41f53fa5bfe7026d91faf9be959195a058707273a96a40f0a01960621ac612748b9bbfbe7eb4ce3c",
            ),
            (
                "b80d3251c1f6471494256ffe712d0b9a",
                6,
                "4ed7b37c2bcac8f74f23c1cf07e62bc7b75fb3f637b9f559c7f664f69eab7b6092237526ea0d1f61cb20d69d10f2",
            ),
            (
                "53bf8a0d105265d4e276428624ce5e63",
                16,
                "bc47ffec7998eb91e8115cf8d19dac4bbbe2e163e87dd37f49beca92027764f68cf51f14d798c2273f35df574d1f932e\
                 40c4ff255b36a266",
            ),
            (
                "763e65367e864f02f55153c7e3b58af1",
                21,
                "40013e2df58e8751957d2878bcd2d6fe101ccfd556cb1eae79db3c3ee86429f2b2a602ac86fef6ecb647d6295fae077a\
                 1feb517508d2c16b4192e01f62",
            ),
        ];
        for (confounder, len, token) in vectors {
            let plain: Vec<u8> = (0..len).collect();
            let token: Vec<u8> = (0..token.len() / 2)
                .map(|at| u8::from_str_radix(&token[2 * at..2 * at + 2], 16).unwrap())
                .collect();
            let confounder = Confounder(bytes(confounder));
            assert_eq!(encrypt(&rfc_secret(), 2, &confounder, &plain), token, "{len} bytes");
            assert_eq!(*decrypt(&rfc_secret(), 2, &token).unwrap(), plain, "{len} bytes");
        }
    }

    #[test]
    fn a_changed_token_or_another_use_is_refused() {
        for len in [0, 1, 15, 16, 17, 31, 32, 33, 80] {
            let plain = vec![7; len];
            let token = encrypt(&rfc_secret(), 4, &Confounder([9; 16]), &plain);
            assert_eq!(*decrypt(&rfc_secret(), 4, &token).unwrap(), plain);
            assert!(decrypt(&rfc_secret(), 5, &token).is_err());
            for at in 0..token.len() {
                let mut changed = token.clone();
                changed[at] ^= 0x10;
                assert!(decrypt(&rfc_secret(), 4, &changed).is_err(), "byte {at} of {}", token.len());
                assert!(decrypt(&rfc_secret(), 4, &token[..at]).is_err());
            }
        }
    }
}
