//! Where a webhook is sent, and the signature of its messages: the symmetric one of the Standard Webhooks specification,
//! <https://github.com/standard-webhooks/standard-webhooks>.

use crate::{KeyError, Keyring};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

/// How every signing secret begins.
const PREFIX: &str = "whsec_";
/// The length of a signing secret, in bytes.
const SECRET_BYTES: usize = 32;

/// The context of the sealed URL and signing secret of a webhook.
#[must_use]
pub fn webhook_context(id: &str) -> String {
    format!("webhook {id}")
}

/// A URL and the secret that signs what is sent there. Both are secret: a URL may contain a token.
pub struct Endpoint {
    /// The URL.
    pub url: Zeroizing<String>,
    /// The signing secret: `whsec_` and 32 random bytes in base64.
    pub secret: Zeroizing<String>,
}

impl Endpoint {
    /// Makes an endpoint with a random secret.
    ///
    /// # Errors
    /// When the system gives no random bits.
    pub fn generate(url: &str) -> Result<Self, KeyError> {
        let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
        SystemRandom::new().fill(bytes.as_mut_slice()).map_err(|_| KeyError::Seal)?;
        let secret = Zeroizing::new(format!("{PREFIX}{}", Zeroizing::new(BASE64.encode(bytes.as_slice())).as_str()));
        Ok(Self { url: Zeroizing::new(url.to_owned()), secret })
    }

    /// Seals it for the webhook with an id.
    ///
    /// # Errors
    /// As [`Keyring::seal`].
    pub fn seal(&self, keyring: &Keyring, id: &str) -> Result<String, KeyError> {
        let plain = Zeroizing::new(format!("{}\n{}", self.secret.as_str(), self.url.as_str()));
        keyring.seal(&webhook_context(id), plain.as_bytes())
    }

    /// Opens what was sealed for the webhook with an id.
    ///
    /// # Errors
    /// As [`Keyring::open`].
    pub fn open(keyring: &Keyring, id: &str, sealed: &str) -> Result<Self, KeyError> {
        let context = webhook_context(id);
        let plain = keyring.open(&context, sealed)?;
        let parts = std::str::from_utf8(&plain).ok().and_then(|text| text.split_once('\n'));
        let (secret, url) = parts.ok_or(KeyError::Damaged { context })?;
        Ok(Self { url: Zeroizing::new(url.to_owned()), secret: Zeroizing::new(secret.to_owned()) })
    }

    /// The value of the header `webhook-signature`.
    #[must_use]
    pub fn sign(&self, message_id: &str, sent_at_s: i64, body: &str) -> String {
        let encoded = self.secret.strip_prefix(PREFIX).unwrap_or_default();
        let key = Zeroizing::new(BASE64.decode(encoded).unwrap_or_default());
        let signed = format!("{message_id}.{sent_at_s}.{body}");
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), signed.as_bytes());
        format!("v1,{}", BASE64.encode(tag.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn the_official_library_accepts_a_signature_and_nothing_else() {
        let endpoint = Endpoint::generate("https://example.com/hook").unwrap();
        let other = Endpoint::generate("https://example.com/hook").unwrap();
        let official = standardwebhooks::Webhook::new(&endpoint.secret).unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs().cast_signed();
        let body = r#"{"type":"test"}"#;
        let accepts = |signature: String, body: &str| {
            let mut headers = http::HeaderMap::new();
            headers.insert("webhook-id", "msg-1".parse().unwrap());
            headers.insert("webhook-timestamp", now.to_string().parse().unwrap());
            headers.insert("webhook-signature", signature.parse().unwrap());
            official.verify(body.as_bytes(), &headers).is_ok()
        };
        assert!(accepts(endpoint.sign("msg-1", now, body), body));
        assert!(!accepts(endpoint.sign("msg-1", now, body), r#"{"type":"other"}"#));
        assert!(!accepts(endpoint.sign("msg-2", now, body), body));
        assert!(!accepts(endpoint.sign("msg-1", now - 1, body), body));
        assert!(!accepts(other.sign("msg-1", now, body), body));
    }

    #[test]
    fn what_is_sealed_opens_for_the_same_webhook_only() {
        let keyring = Keyring::generate().unwrap();
        let endpoint = Endpoint::generate("https://example.com/T0KEN").unwrap();
        let sealed = endpoint.seal(&keyring, "whk-1").unwrap();
        assert!(!sealed.contains("T0KEN"));
        let opened = Endpoint::open(&keyring, "whk-1", &sealed).unwrap();
        assert_eq!((&*opened.url, &*opened.secret), (&*endpoint.url, &*endpoint.secret));
        assert!(Endpoint::open(&keyring, "whk-2", &sealed).is_err());
    }
}
