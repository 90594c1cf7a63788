//! Seals secrets with the keys of a key file, so that a database and its backups hold no plain secret.
//!
//! A sealed text is `v1:<key id>:<hex>`: AES-256-GCM with a random nonce, bound to a context that says what the text is
//! for. The first key of the file seals, every key opens. Nothing here prints a key or a plain text. The keys of users
//! are something else: see [`api_key`].

pub mod api_key;
mod error;
mod file;
mod hex;
mod sealed;
pub mod session;
pub mod webhook;

pub use error::KeyError;
pub use zeroize::Zeroizing;

use parking_lot::RwLock;
use ring::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use sealed::Sealed;
use std::fmt;
use std::path::{Path, PathBuf};

/// The length of a key, in bytes.
const KEY_BYTES: usize = 32;
/// How much of a key's SHA-256 is its id, in bytes.
const ID_BYTES: usize = 4;

/// The context of a secret that a user set.
#[must_use]
pub fn secret_context(name: &str) -> String {
    format!("secret {name}")
}

/// The context of the private key of a certificate authority.
#[must_use]
pub fn authority_context(id: &str) -> String {
    format!("authority {id}")
}

/// The keys that seal and open secrets.
pub struct Keyring {
    /// At least one; the first seals.
    keys: RwLock<Vec<Key>>,
    /// The file that the keys come from; `None`: they exist only in memory.
    file: Option<PathBuf>,
}

/// One key, ready for use.
struct Key {
    id: String,
    cipher: LessSafeKey,
}

/// A key's bytes, erased when dropped.
type KeyBytes = Zeroizing<[u8; KEY_BYTES]>;

impl Key {
    fn new(bytes: &KeyBytes) -> Result<Self, KeyError> {
        let cipher = UnboundKey::new(&aead::AES_256_GCM, bytes.as_slice()).map_err(|_| KeyError::Seal)?;
        let hash = digest::digest(&digest::SHA256, bytes.as_slice());
        let id = hex::encode(hash.as_ref().get(..ID_BYTES).unwrap_or_default());
        Ok(Self { id, cipher: LessSafeKey::new(cipher) })
    }
}

impl Keyring {
    /// Reads a key file: one key of 64 hexadecimal characters a line; empty lines and lines that begin with `#` are
    /// ignored.
    ///
    /// # Errors
    /// When the file cannot be read, others can read or write it, or it holds anything else or no key.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        Ok(Self { keys: RwLock::new(file::read(path)?), file: Some(path.to_owned()) })
    }

    /// The same; if there is no file, creates one with a random key that only this user can read.
    ///
    /// # Errors
    /// As [`Keyring::read`], and when the file cannot be created.
    pub fn read_or_create(path: &Path) -> Result<Self, KeyError> {
        if !path.exists() {
            file::create(path)?;
        }
        Self::read(path)
    }

    /// One random key, in memory only: for tests and demonstrations.
    ///
    /// # Errors
    /// When the system gives no random bits.
    pub fn generate() -> Result<Self, KeyError> {
        Ok(Self { keys: RwLock::new(vec![Key::new(&random_key()?)?]), file: None })
    }

    /// Adds a new random key to a key file, as its first line. What the old keys sealed can still be opened.
    ///
    /// # Errors
    /// When the file cannot be read or written, or is being changed by somebody else.
    pub fn rotate(path: &Path) -> Result<Self, KeyError> {
        file::add_first(path)?;
        Self::read(path)
    }

    /// The id of the key that seals.
    #[must_use]
    pub fn newest_id(&self) -> String {
        self.keys.read().first().map(|key| key.id.clone()).unwrap_or_default()
    }

    /// Seals a plain text with the newest key. Only the same context opens it.
    ///
    /// # Errors
    /// When the system gives no random bits, or the text is too long for the cipher.
    pub fn seal(&self, context: &str, plain: &[u8]) -> Result<String, KeyError> {
        let mut nonce = [0; aead::NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| KeyError::Seal)?;
        // The whole length at once: a buffer that grows would leave a copy of the plain text behind.
        let mut buffer = Zeroizing::new(Vec::with_capacity(plain.len() + aead::MAX_TAG_LEN));
        buffer.extend_from_slice(plain);
        let keys = self.keys.read();
        let key = keys.first().ok_or(KeyError::Seal)?;
        key.cipher
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut *buffer)
            .map_err(|_| KeyError::Seal)?;
        Ok(Sealed { key_id: key.id.clone(), nonce, text: buffer.to_vec() }.to_string())
    }

    /// Opens a sealed text. If another process has added its key to the file since, the file is read again.
    ///
    /// # Errors
    /// [`KeyError::UnknownKey`] when the key is not in the file; [`KeyError::Damaged`] when the text is damaged or was
    /// sealed for another context.
    pub fn open(&self, context: &str, sealed: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let damaged = || KeyError::Damaged { context: context.to_owned() };
        let sealed = Sealed::parse(sealed).ok_or_else(damaged)?;
        if !self.has(&sealed.key_id) && !self.read_again_for(&sealed.key_id) {
            let file = self.file.as_deref().map_or_else(|| "in memory".to_owned(), |p| p.display().to_string());
            return Err(KeyError::UnknownKey { context: context.to_owned(), id: sealed.key_id, file });
        }
        let mut buffer = Zeroizing::new(sealed.text);
        let keys = self.keys.read();
        let key = keys.iter().find(|key| key.id == sealed.key_id).ok_or_else(damaged)?;
        let nonce = Nonce::assume_unique_for_key(sealed.nonce);
        let length = key.cipher.open_in_place(nonce, Aad::from(context), &mut buffer).map_err(|_| damaged())?.len();
        buffer.truncate(length);
        Ok(buffer)
    }

    /// Whether a text was sealed with the newest key.
    #[must_use]
    pub fn seals_with_newest(&self, sealed: &str) -> bool {
        Sealed::parse(sealed).is_some_and(|sealed| sealed.key_id == self.newest_id())
    }

    fn has(&self, id: &str) -> bool {
        self.keys.read().iter().any(|key| key.id == id)
    }

    /// Takes the keys of the file again, if that key is among them now.
    fn read_again_for(&self, id: &str) -> bool {
        let Some(keys) = self.file.as_deref().and_then(|path| file::read(path).ok()) else { return false };
        let found = keys.iter().any(|key| key.id == id);
        if found {
            *self.keys.write() = keys;
        }
        found
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.keys.read();
        let ids: Vec<&str> = keys.iter().map(|key| key.id.as_str()).collect();
        f.debug_struct("Keyring").field("keys", &ids.len()).field("ids", &ids).finish()
    }
}

fn random_key() -> Result<KeyBytes, KeyError> {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    SystemRandom::new().fill(bytes.as_mut_slice()).map_err(|_| KeyError::Seal)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
