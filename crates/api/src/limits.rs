//! Limits on what may run and be spent.

use crate::App;
use crate::problem::ApiError;
use inventiv_core::recorded::Spec;

/// Refuses a new instance, if a limit is reached.
///
/// # Errors
/// 409 with what to do.
pub(crate) async fn check(app: &App, spec: &Spec) -> Result<(), ApiError> {
    why_not(app, spec).await?.map_or(Ok(()), |why| Err(ApiError::conflict("limit_reached", why)))
}

/// Why a new instance would be refused; `None`: it would not.
pub(crate) async fn why_not(app: &App, spec: &Spec) -> Result<Option<String>, ApiError> {
    Ok(app.store().refused_by_limit(None, &spec.tags, spec.gpu_count, app.now()).await?)
}
