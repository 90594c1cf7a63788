//! The text of a session's token: `ses_` and 256 random bits in hexadecimal. Only its SHA-256 is stored.

use crate::error::KeyError;
use crate::hex;
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

/// What every token of a session begins with.
pub const PREFIX: &str = "ses_";
const RANDOM_BYTES: usize = 32;
/// The number of characters of a token.
pub const LENGTH: usize = PREFIX.len() + 2 * RANDOM_BYTES;

/// Draws the token of a new session. It is shown once.
///
/// # Errors
/// When the system gives no random bits.
pub fn generate() -> Result<Zeroizing<String>, KeyError> {
    let mut random = Zeroizing::new([0; RANDOM_BYTES]);
    SystemRandom::new().fill(random.as_mut_slice()).map_err(|_| KeyError::Random)?;
    let digits = Zeroizing::new(hex::encode(random.as_slice()));
    let mut text = Zeroizing::new(String::with_capacity(LENGTH));
    text.push_str(PREFIX);
    text.push_str(&digits);
    Ok(text)
}

/// What to store of a token, and what to look it up by; `None`: the text is no token of a session.
#[must_use]
pub fn hash(text: &str) -> Option<String> {
    let digits = text.strip_prefix(PREFIX)?;
    let is_token = text.len() == LENGTH && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    is_token.then(|| hex::encode(digest::digest(&digest::SHA256, text.as_bytes()).as_ref()))
}

#[cfg(test)]
mod tests {
    use super::{LENGTH, generate, hash};

    #[test]
    fn every_token_is_another_one_and_has_a_hash() {
        let (one, two) = (generate().unwrap(), generate().unwrap());
        assert_eq!((one.len(), two.len()), (LENGTH, LENGTH));
        assert_ne!(one, two);
        assert_eq!(hash(&one).unwrap().len(), 64);
        assert_ne!(hash(&one), hash(&two));
        for wrong in
            ["", "ses_", "ses_00", &one[1..], &one.to_uppercase(), &format!("{}0", *one), &one.replace("ses_", "inv_")]
        {
            assert_eq!(hash(wrong), None, "{wrong}");
        }
    }
}
