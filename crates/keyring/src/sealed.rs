//! The text form of a sealed text: `v1:<key id>:<hex>`, where the bytes are the nonce and the encrypted text.

use crate::{ID_BYTES, hex};
use ring::aead::NONCE_LEN;
use std::fmt;

const VERSION: &str = "v1";

/// A sealed text in its parts.
pub(crate) struct Sealed {
    pub(crate) key_id: String,
    pub(crate) nonce: [u8; NONCE_LEN],
    /// The encrypted text with its tag.
    pub(crate) text: Vec<u8>,
}

impl Sealed {
    /// `None`: it does not have this form.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (key_id, rest) = text.strip_prefix(VERSION)?.strip_prefix(':')?.split_once(':')?;
        let is_id = key_id.len() == 2 * ID_BYTES && hex::decode(key_id).is_some();
        let bytes = hex::decode(rest).filter(|_| is_id)?;
        let (nonce, text) = bytes.split_first_chunk()?;
        Some(Self { key_id: key_id.to_owned(), nonce: *nonce, text: text.to_vec() })
    }
}

impl fmt::Display for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{VERSION}:{}:{}{}", self.key_id, hex::encode(&self.nonce), hex::encode(&self.text))
    }
}
