//! Typed ids: a prefix for the type, then 26 characters that sort by time.
//!
//! The caller supplies the bits (a UUID v7 in production): nothing here draws random numbers.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Crockford's base 32 in lower case: no `i l o u`, so that an id can be read aloud.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// The number of characters for 128 bits.
pub const BODY_LEN: usize = 26;

/// Encodes 128 bits as 26 characters that sort as the number does.
#[must_use]
pub fn encode(value: u128) -> String {
    (0..BODY_LEN).rev().map(|i| char::from(ALPHABET[((value >> (5 * i)) & 31) as usize])).collect()
}

/// The number of bits of a UUID v7 after its time.
const RANDOM_BITS: u32 = 80;

/// Decodes what [`encode`] wrote.
fn decode(body: &str) -> u128 {
    let digit = |b: u8| ALPHABET.iter().position(|a| *a == b).unwrap_or_default() as u128;
    body.bytes().fold(0, |value, b| (value << 5) | digit(b))
}

/// Whether `text` could have come from [`encode`].
#[must_use]
pub fn is_body(text: &str) -> bool {
    text.len() == BODY_LEN && text.bytes().all(|b| ALPHABET.contains(&b))
}

macro_rules! typed_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The prefix of every such id.
            pub const PREFIX: &'static str = $prefix;

            /// Makes the id from 128 bits (a UUID v7).
            #[must_use]
            pub fn new(bits: u128) -> Self {
                Self(format!("{}{}", Self::PREFIX, encode(bits)))
            }

            /// Reads an id; `None` unless it has the prefix and a well-formed body.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                text.strip_prefix(Self::PREFIX).filter(|b| is_body(b)).map(|_| Self(text.to_owned()))
            }

            /// The smallest id that can be drawn at a time, in milliseconds since 1970.
            #[must_use]
            pub fn first_at(ms: u64) -> Self {
                Self::new(u128::from(ms) << RANDOM_BITS)
            }

            /// When it was drawn, in milliseconds since 1970, by the clock of the process that drew it.
            #[must_use]
            pub fn drawn_ms(&self) -> u64 {
                // Without the random bits, it fits into 64 bits.
                u64::try_from(decode(self.body()) >> RANDOM_BITS).unwrap_or_default()
            }

            /// The whole id.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The id without its prefix, as in cloud names.
            #[must_use]
            pub fn body(&self) -> &str {
                &self.0[Self::PREFIX.len()..]
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

typed_id!(/// An instance: what users create and terminate.
    InstanceId, "ins-");
typed_id!(/// One attempt to create a server for an instance.
    ServerId, "srv-");
typed_id!(/// A volume that belongs, or belonged, to an instance.
    VolumeId, "vol-");
typed_id!(/// One line of the action log.
    LogId, "log-");

typed_id!(/// A service: a model that is kept answering.
    ServiceId, "svc-");
typed_id!(/// A key of the gateway.
    KeyId, "key-");
typed_id!(/// A URL that alerts are sent to.
    WebhookId, "whk-");
typed_id!(/// One message to a webhook.
    DeliveryId, "msg-");
typed_id!(/// A plan that a request may name.
    PlanId, "plan-");
typed_id!(/// A session: a token that expires.
    SessionId, "ses-");

#[cfg(test)]
mod tests;
