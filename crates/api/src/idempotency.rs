//! The header `Idempotency-Key`: a request that is sent several times is carried out once.

mod replay;

pub(crate) use replay::{NewId, once};

use crate::App;
use crate::problem::ApiError;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use inventiv_core::recorded::Aggregate;
use inventiv_store::IdempotencyKey;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// The header's name.
const HEADER: &str = "idempotency-key";
/// The maximum length of a key, in bytes.
const KEY_MAX: usize = 255;

/// The key of a request, if it has one.
pub(crate) struct Key(pub(crate) Option<String>);

impl<S: Sync> FromRequestParts<S> for Key {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let mut given = parts.headers.get_all(HEADER).iter();
        let Some(first) = given.next() else { return Ok(Self(None)) };
        let text = first.to_str().ok().map(str::trim).filter(|t| {
            (1..=KEY_MAX).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_graphic()) && given.next().is_none()
        });
        let text = text.ok_or_else(|| {
            let detail =
                format!("Idempotency-Key: must be given once, with 1 to {KEY_MAX} visible ASCII characters (a UUID)");
            ApiError::new(400, "malformed", detail)
        })?;
        Ok(Self(Some(text.to_owned())))
    }
}

/// A digest of a request that depends neither on the order nor on the white space of its JSON.
pub(crate) fn fingerprint(request: &impl Serialize) -> String {
    // Our own types always serialize. Omitted fields are dropped, so that new optional fields change no fingerprint.
    let mut request = serde_json::to_value(request).unwrap_or_default();
    if let Some(fields) = request.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    digest(&request.to_string())
}

fn digest(text: &str) -> String {
    let digest = Sha256::digest(text);
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The instance that an earlier request with this key created.
///
/// # Errors
/// If that request was different, or the database is not available.
pub(crate) async fn made_before(app: &App, key: &str, fingerprint: &str) -> Result<Option<Aggregate>, ApiError> {
    let mut used = None;
    // A key that was used in another account is used: the account may come from the environment of a shell.
    for account in app.accounts() {
        if used.is_none() {
            used = app.store().idempotency_key(&account.id, key).await?;
        }
    }
    let Some(used) = used else { return Ok(None) };
    if used.fingerprint != fingerprint {
        let text = format!(
            "Idempotency-Key: a different request with this key created instance {}; use a new key for a new instance",
            used.instance_id
        );
        return Err(ApiError::new(422, "key_reused", text));
    }
    Ok(app.store().instance(&used.instance_id).await?)
}

/// The database row of a used key.
pub(crate) fn used(key: &str, fingerprint: &str, made: &Aggregate) -> IdempotencyKey {
    IdempotencyKey {
        account_id: made.instance.account_id.clone(),
        key: key.to_owned(),
        fingerprint: fingerprint.to_owned(),
        instance_id: made.instance.id.clone(),
        created_at: made.instance.created_at,
    }
}
