//! Plans that a request names: it is carried out only if they still hold.

use crate::App;
use crate::idempotency::fingerprint;
use crate::problem::ApiError;
use inventiv_core::agreed::Agreed;
use inventiv_core::id::PlanId;
use inventiv_store::PlanRow;
use inventiv_types::CreateInstance;
use serde::Serialize;

/// The part of a request that a plan is about: not its name, and not when it ends, which is another number of seconds a moment
/// later for a time such as 18:00. Both change nothing of what is made.
pub(crate) fn planned_part(request: &CreateInstance) -> CreateInstance {
    CreateInstance { name: None, plan_id: None, ttl_seconds: None, idle_seconds: None, ..request.clone() }
}

/// Records what was planned for a request. `request` is without its `plan_id`.
pub(crate) async fn record(app: &App, request: &impl Serialize, agreed: Agreed) -> Result<PlanId, ApiError> {
    let id = PlanId::new(app.draw());
    let plan = PlanRow { id: id.clone(), fingerprint: fingerprint(request), agreed, created_at: app.now() };
    app.store().add_plan(&plan).await?;
    Ok(id)
}

/// Refuses a request whose plan no longer holds, or was made for another request. `request` is without its `plan_id`.
pub(crate) async fn check(app: &App, named: &str, request: &impl Serialize, now: &Agreed) -> Result<(), ApiError> {
    let found = match PlanId::parse(named) {
        Some(id) => app.store().plan(&id, app.now()).await?,
        None => None,
    };
    let Some(plan) = found else {
        return Err(ApiError::field(
            "plan_id",
            "there is no such plan; a plan can be named for 24 hours: make a new one",
        ));
    };
    if plan.fingerprint != fingerprint(request) {
        return Err(ApiError::field("plan_id", "the plan was made for a different request; make a new one"));
    }
    let moved = plan.agreed.moved(now);
    if moved.is_empty() {
        return Ok(());
    }
    let text = format!("the plan no longer holds: {}; nothing was created: make a new plan", moved.join("; "));
    Err(ApiError::conflict("plan_moved", text))
}
