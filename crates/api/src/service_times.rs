//! What is requested of a service until or from a time: that it stays warm, and that it ends by itself.

use crate::App;
use crate::expiry;
use crate::problem::ApiError;
use crate::services::{find, forget_failures, save};
use inventiv_core::service::Service;
use inventiv_core::status::Desired;

/// Keeps at least one replica running until a time, instead of any earlier or later one, and forgets failures.
pub(crate) async fn warm(app: &App, id: &str, seconds: Option<i64>) -> Result<Service, ApiError> {
    if seconds.is_some_and(|s| !(1..=604_800).contains(&s)) {
        return Err(ApiError::field("seconds", "must be a whole number from 1 to 604800"));
    }
    loop {
        let mut service = find(app, id).await?;
        if service.desired == Desired::Absent {
            return Err(ApiError::conflict("too_late", format!("service {} is being deleted", service.name)));
        }
        service.warm_until = Some(app.now().plus_ms(seconds.map_or(service.spec.idle_ms, |s| s * 1_000)));
        forget_failures(&mut service.state);
        if save(app, &mut service).await? {
            return Ok(service);
        }
    }
}

/// Sets when a service ends by itself.
pub(crate) async fn extend(app: &App, id: &str, ttl_seconds: Option<i64>) -> Result<Service, ApiError> {
    expiry::wrong_ttl(ttl_seconds).map_or(Ok(()), |wrong| Err(ApiError::all(vec![wrong])))?;
    loop {
        let mut service = find(app, id).await?;
        if service.desired == Desired::Absent {
            return Err(ApiError::conflict("too_late", format!("service {} is being deleted", service.name)));
        }
        service.expires_at = expiry::at(ttl_seconds, app.now());
        if save(app, &mut service).await? {
            return Ok(service);
        }
    }
}
