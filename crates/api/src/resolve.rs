//! Resolves a reference to an instance: its id, a unique prefix of its id, or its name.

use crate::App;
use crate::problem::ApiError;
use inventiv_core::id::InstanceId;

/// The minimum length of an id prefix in characters, including `ins-`.
const PREFIX_MIN: usize = 8;
/// The maximum number of ids that a refusal names.
const NAMED: u32 = 5;

/// The instance that a text refers to.
///
/// # Errors
/// 404 if there is none; 409 if there are several.
pub(crate) async fn instance(app: &App, text: &str) -> Result<InstanceId, ApiError> {
    if let Some(id) = InstanceId::parse(text) {
        return Ok(id);
    }
    let missing = || ApiError::not_found("instance", text);
    if text.is_empty() || text.len() > 400 || text.contains('\0') {
        return Err(missing());
    }
    let mut named = Vec::new();
    for account in app.accounts() {
        named.extend(app.store().instances_named(&account.id, text, NAMED).await?);
    }
    if !named.is_empty() {
        return only(&named, text, "have the name");
    }
    if text.len() < PREFIX_MIN || !text.starts_with(InstanceId::PREFIX) || !text.is_ascii() {
        return Err(missing());
    }
    let mut found = app.store().instance_ids_from(text, NAMED).await?;
    found.retain(|id| id.as_str().starts_with(text));
    if found.is_empty() { Err(missing()) } else { only(&found, text, "have an id that begins with") }
}

/// The only match.
fn only(found: &[InstanceId], text: &str, why: &str) -> Result<InstanceId, ApiError> {
    if let [id] = found {
        return Ok(id.clone());
    }
    let ids: Vec<&str> = found.iter().map(InstanceId::as_str).collect();
    Err(ApiError::conflict("ambiguous", format!("several instances {why} `{text}`; use an id: {}", ids.join(", "))))
}
