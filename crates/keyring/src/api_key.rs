//! The text of API keys: `inv_`, the id, `_`, 160 random bits and a checksum.
//!
//! The id finds the stored hash, and the checksum tells a typing error from an unknown key. Only the hash is stored. A key
//! has 160 random bits, so a plain SHA-256 is enough: nobody can try them all.

use crate::error::KeyError;
use crate::hex;
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// What every key begins with, so that people and scanners for secrets recognise it.
pub const PREFIX: &str = "inv_";
/// The number of characters of a key.
pub const LENGTH: usize = PREFIX.len() + ID_LENGTH + 1 + RANDOM_LENGTH + CHECKSUM_LENGTH;

/// Crockford's base 32 in lower case, as in ids.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// The number of characters of an id without its prefix.
const ID_LENGTH: usize = 26;
/// The number of random bytes: 160 bits are exactly [`RANDOM_LENGTH`] characters.
const RANDOM_BYTES: usize = 20;
const RANDOM_LENGTH: usize = 32;
/// 30 bits.
const CHECKSUM_LENGTH: usize = 6;

/// A new key. It is shown once, and only its hash is stored.
pub struct GeneratedKey {
    /// The whole key: the secret.
    pub text: Zeroizing<String>,
    /// What to store: the SHA-256 of the text, in hexadecimal.
    pub hash: String,
}

impl fmt::Debug for GeneratedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[key]")
    }
}

/// A key that somebody sent, without its secret part. Its form is right; whether it exists is not known yet.
#[derive(Clone)]
pub struct ReadKey {
    id_body: String,
    hash: String,
}

impl ReadKey {
    /// The id without its prefix.
    #[must_use]
    pub fn id_body(&self) -> &str {
        &self.id_body
    }

    /// Whether this is the key with the stored hash. The time it takes does not depend on the difference.
    #[must_use]
    pub fn matches(&self, stored_hash: &str) -> bool {
        self.hash.as_bytes().ct_eq(stored_hash.as_bytes()).into()
    }
}

impl fmt::Debug for ReadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadKey").field("id_body", &self.id_body).finish_non_exhaustive()
    }
}

/// Draws a key with an id, given without its prefix.
///
/// # Errors
/// When the system gives no random bits, or the id does not have 26 characters of base 32.
pub fn generate(id_body: &str) -> Result<GeneratedKey, KeyError> {
    if id_body.len() != ID_LENGTH || !is_base32(id_body) {
        return Err(KeyError::KeyId);
    }
    let mut random = Zeroizing::new([0; RANDOM_BYTES]);
    SystemRandom::new().fill(random.as_mut_slice()).map_err(|_| KeyError::Random)?;
    // The whole length at once: a text that grows would leave a copy behind.
    let mut text = Zeroizing::new(String::with_capacity(LENGTH));
    text.push_str(PREFIX);
    text.push_str(id_body);
    text.push('_');
    for group in random.as_chunks::<5>().0 {
        let bits = group.iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte));
        push_base32(&mut text, bits, 8);
    }
    let sum = checksum(&text);
    push_base32(&mut text, sum, CHECKSUM_LENGTH);
    let hash = hash(&text);
    Ok(GeneratedKey { text, hash })
}

/// Reads a key; `None`: it is not one, or it was not copied exactly. Asks no database.
#[must_use]
pub fn read(text: &str) -> Option<ReadKey> {
    let (id_body, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
    let has_form = text.len() == LENGTH && id_body.len() == ID_LENGTH && is_base32(id_body) && is_base32(secret);
    if !has_form {
        return None;
    }
    let (before, given) = text.split_at_checked(LENGTH - CHECKSUM_LENGTH)?;
    let mut expected = String::with_capacity(CHECKSUM_LENGTH);
    push_base32(&mut expected, checksum(before), CHECKSUM_LENGTH);
    (given == expected).then(|| ReadKey { id_body: id_body.to_owned(), hash: hash(text) })
}

fn is_base32(text: &str) -> bool {
    text.bytes().all(|b| ALPHABET.contains(&b))
}

/// Appends the lowest bits of a number, five to a character, the highest first.
fn push_base32(text: &mut String, bits: u64, characters: usize) {
    text.extend((0..characters).rev().map(|n| char::from(ALPHABET[(bits >> (5 * n) & 31) as usize])));
}

/// The first 30 bits of the SHA-256.
fn checksum(text: &str) -> u64 {
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    let first = hash.as_ref().iter().take(4).fold(0, |bits, byte| bits << 8 | u64::from(*byte));
    first >> 2
}

fn hash(text: &str) -> String {
    hex::encode(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

#[cfg(test)]
mod tests;
