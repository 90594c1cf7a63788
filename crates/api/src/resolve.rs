//! What stands for an instance in a request: its id, a unique beginning of its id, or its name.

use crate::App;
use crate::problem::ApiError;
use inventiv_core::id::InstanceId;

/// The shortest beginning of an id that is looked up, in characters, `ins-` among them.
const PREFIX_MIN: usize = 8;
/// How many ids are named where several begin alike.
const NAMED: u32 = 5;

/// The instance that a text stands for.
///
/// # Errors
/// 404 when there is none; 409 when it may be several.
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
    if found.is_empty() { Err(missing()) } else { only(&found, text, "begin with") }
}

/// The one, if it is one.
fn only(found: &[InstanceId], text: &str, why: &str) -> Result<InstanceId, ApiError> {
    if let [id] = found {
        return Ok(id.clone());
    }
    let ids: Vec<&str> = found.iter().map(InstanceId::as_str).collect();
    Err(ApiError::conflict("ambiguous", format!("several instances {why} `{text}`; say which: {}", ids.join(", "))))
}
