//! Limits on what may run and be spent.

use crate::App;
use crate::problem::ApiError;
use inventiv_core::limits::reached;

/// Refuses a new instance with so many GPUs, if a limit is reached.
///
/// # Errors
/// 409 with what to do.
pub(crate) async fn check(app: &App, gpus: i64) -> Result<(), ApiError> {
    why_not(app, gpus).await?.map_or(Ok(()), |why| Err(ApiError::conflict("limit_reached", why)))
}

/// Why a new instance with so many GPUs would be refused; `None`: it would not.
pub(crate) async fn why_not(app: &App, gpus: i64) -> Result<Option<String>, ApiError> {
    let limits = app.store().limits().await?;
    if !limits.is_any() {
        return Ok(None);
    }
    let used = app.store().in_use(&limits, app.now()).await?;
    Ok(reached(&limits, &used, gpus))
}
