//! The keys that are valid now, and what each has used.

use crate::error::GatewayError;
use crate::limits::{Limits, Window, minute_of};
use http::{HeaderMap, StatusCode, header};
use inventiv_core::time::Timestamp;
use inventiv_keyring::api_key;
use inventiv_store::{ApiKeyRow, MinuteUse};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// A valid key.
pub(crate) struct KeyState {
    pub(crate) row: ApiKeyRow,
    pub(crate) limits: Limits,
    pub(crate) window: Arc<Mutex<Window>>,
    /// Cancelled when it is revoked or expires: requests under way end.
    pub(crate) revoked: CancellationToken,
}

/// Every valid key, by the body of its id.
pub(crate) type Keys = HashMap<String, Arc<KeyState>>;

/// The valid keys after a change. What was counted of a key is kept; the requests of a key that is gone end.
pub(crate) fn renewed(before: &Keys, rows: Vec<ApiKeyRow>) -> Keys {
    let mut keys = Keys::with_capacity(rows.len());
    for row in rows {
        let body = row.id.body().to_owned();
        let kept = before.get(&body);
        let same = |k: &&Arc<KeyState>| ApiKeyRow { last_used_at: row.last_used_at, ..k.row.clone() } == row;
        let state = kept.filter(same).cloned().unwrap_or_else(|| {
            let limits =
                Limits { requests_per_minute: row.requests_per_minute, tokens_per_minute: row.tokens_per_minute };
            Arc::new(KeyState {
                window: kept.map(|k| k.window.clone()).unwrap_or_default(),
                revoked: kept.map(|k| k.revoked.clone()).unwrap_or_default(),
                limits,
                row,
            })
        });
        keys.insert(body, state);
    }
    for (body, key) in before {
        if !keys.contains_key(body) {
            key.revoked.cancel();
        }
    }
    keys
}

/// Tells every key what all replicas of the control plane counted.
pub(crate) fn learn(keys: &Keys, minutes: &HashMap<(String, i64), MinuteUse>, now: Timestamp) {
    let minute = minute_of(now.0);
    for key in keys.values() {
        let of = |m: i64| minutes.get(&(key.row.id.to_string(), m)).copied().unwrap_or_default();
        key.window.lock().learn(minute, [of(minute), of(minute - 1)]);
    }
}

/// The key that a request shows, if it has the form of one.
pub(crate) fn shown(headers: &HeaderMap) -> Result<api_key::ReadKey, GatewayError> {
    let refuse = |text: &str| GatewayError::new(StatusCode::UNAUTHORIZED, "invalid_api_key", text);
    let given = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    let token = given.and_then(|v| v.split_once(' ')).filter(|(s, _)| s.eq_ignore_ascii_case("bearer"));
    let Some((_, token)) = token else {
        return Err(refuse(
            "Send the header `Authorization: Bearer KEY`. The operator creates keys with `inventiv key create`.",
        ));
    };
    api_key::read(token.trim()).ok_or_else(|| {
        refuse("This is not a key of this gateway. Keys begin with `inv_`; check that the key is complete.")
    })
}

/// The state of a key; `None`: it is unknown, revoked or expired.
pub(crate) fn find(keys: &Keys, shown: &api_key::ReadKey, now: Timestamp) -> Option<Arc<KeyState>> {
    let state = keys.get(shown.id_body())?;
    (shown.matches(&state.row.hash) && state.row.is_valid(now)).then(|| state.clone())
}

pub(crate) fn unknown() -> GatewayError {
    GatewayError::new(StatusCode::UNAUTHORIZED, "invalid_api_key", "The key is unknown, revoked or expired.")
}
