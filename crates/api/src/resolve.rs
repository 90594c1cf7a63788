//! Resolves a reference to an instance: its id, a unique prefix of its id, or its name.

use crate::App;
use crate::problem::ApiError;
use inventiv_core::id::InstanceId;
use inventiv_store::Named;

/// The minimum length of an id prefix in characters, including `ins-`.
const PREFIX_MIN: usize = 8;
/// The maximum number of ids that a refusal names.
const NAMED: u32 = 5;

/// The instance that a text refers to; of the named account only, if one is named.
///
/// A name stands for the instance that lives, in whichever account; only if none does, for the last one that had it.
///
/// # Errors
/// 404 if there is none; 409 if there are several; 422 if there is no such account.
pub(crate) async fn instance(app: &App, text: &str, account: Option<&str>) -> Result<InstanceId, ApiError> {
    let account = account.map(|named| app.account_of_query(Some(named))).transpose()?;
    let missing = || ApiError::not_found("instance", text);
    if let Some(id) = InstanceId::parse(text) {
        let Some(account) = account else { return Ok(id) };
        let found = app.store().instance(&id).await?.filter(|agg| agg.instance.account_id == account.id);
        return found.map(|_| id).ok_or_else(missing);
    }
    if text.is_empty() || text.len() > 400 || text.contains('\0') {
        return Err(missing());
    }
    let searched = app.accounts().iter().filter(|a| account.is_none_or(|named| named.id == a.id));
    let (mut living, mut ended) = (Vec::new(), Vec::new());
    for account in searched {
        match app.store().instances_named(&account.id, text, NAMED).await? {
            Named::Living(ids) => living.extend(ids),
            Named::Ended(id) => ended.extend(id),
        }
    }
    if let Some(last) = ended.into_iter().max().filter(|_| living.is_empty()) {
        return Ok(last);
    }
    if !living.is_empty() {
        return only(&living, text, "have the name");
    }
    if text.len() < PREFIX_MIN || !text.starts_with(InstanceId::PREFIX) || !text.is_ascii() {
        return Err(missing());
    }
    let mut found = app.store().instance_ids_from(text, NAMED).await?;
    found.retain(|id| id.as_str().starts_with(text));
    if let Some(account) = account {
        let whole = app.store().instances_by_id(&found).await?;
        found.retain(|id| whole.iter().any(|agg| agg.instance.id == *id && agg.instance.account_id == account.id));
    }
    if found.is_empty() { Err(missing()) } else { only(&found, text, "have an id that begins with") }
}

/// The only match.
fn only(found: &[InstanceId], text: &str, why: &str) -> Result<InstanceId, ApiError> {
    if let [id] = found {
        return Ok(id.clone());
    }
    let ids: Vec<&str> = found.iter().map(InstanceId::as_str).collect();
    Err(ApiError::conflict(
        "ambiguous",
        format!("several instances {why} `{text}`; name the account, or use an id: {}", ids.join(", ")),
    ))
}
