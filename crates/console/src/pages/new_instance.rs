//! A new instance: the request, its plan with the price, and the creation.

use crate::backend::{Refusal, segment};
use crate::page::{Answer, Failure, Frame, Section, Viewer, filled, go_to, number, page, refused};
use crate::texts::EN;
use askama::Template;
use axum::extract::Form;
use http::StatusCode;
use inventiv_types::{Account, CreateInstance, InstanceDetail, InstancePlan, Offer};
use serde::Deserialize;

/// The form, as it was sent.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Fields {
    /// Account, zone and type, with spaces between them.
    offer: Option<String>,
    model: Option<String>,
    name: Option<String>,
    data_volume_gb: Option<String>,
    ttl_hours: Option<String>,
    idle_minutes: Option<String>,
    /// `keep`, `delete` or nothing, for the default of the provider.
    at_the_end: Option<String>,
    force: Option<String>,
    /// The plan that was shown; without one, the plan is shown first.
    plan_id: Option<String>,
    key: Option<String>,
}

impl Fields {
    fn text(field: &Option<String>) -> &str {
        field.as_deref().unwrap_or_default()
    }

    fn is_checked(field: &Option<String>) -> bool {
        field.is_some()
    }

    fn request(&self) -> Result<CreateInstance, Refusal> {
        let offer = filled(self.offer.clone()).unwrap_or_default();
        let parts: Vec<&str> = offer.split(' ').collect();
        let &[account, zone, kind] = parts.as_slice() else {
            return Err(Refusal { status: StatusCode::UNPROCESSABLE_ENTITY, text: EN.choose_offer.to_owned() });
        };
        let hours: Option<i64> = number(EN.ttl_hours, self.ttl_hours.clone())?;
        let minutes: Option<i64> = number(EN.idle_minutes, self.idle_minutes.clone())?;
        Ok(CreateInstance {
            name: filled(self.name.clone()),
            account: Some(account.to_owned()),
            model_id: filled(self.model.clone()),
            data_volume_gb: number(EN.data_volume, self.data_volume_gb.clone())?,
            delete_on_terminate: filled(self.at_the_end.clone()).map(|word| word != "keep"),
            ttl_seconds: hours.map(|h| h.saturating_mul(3_600)),
            idle_seconds: minutes.map(|m| m.saturating_mul(60)),
            force: self.force.as_ref().map(|_| true),
            ..CreateInstance::of_type(zone, kind)
        })
    }
}

#[derive(Template)]
#[template(path = "new_instance.html")]
struct NewInstance {
    frame: Frame,
    fields: Fields,
    offers: Vec<(Account, Offer)>,
    has_accounts: bool,
    plan: Option<InstancePlan>,
    /// So that a repeated form creates one instance.
    key: String,
}

impl NewInstance {
    fn leaves_out(plan: &InstancePlan) -> bool {
        plan.parts.iter().any(|part| part.hourly_micros.is_none())
    }

    fn value(account: &Account, offer: &Offer) -> String {
        format!("{} {} {}", account.id, offer.zone, offer.instance_type)
    }

    fn is_chosen(&self, account: &Account, offer: &Offer) -> bool {
        Fields::text(&self.fields.offer) == Self::value(account, offer)
    }

    fn ends_by(&self, word: &str) -> bool {
        Fields::text(&self.fields.at_the_end) == word
    }
}

/// The empty form.
pub(crate) async fn form(viewer: Viewer) -> Answer {
    page(&filled_form(&viewer, Fields::default()).await?)
}

async fn filled_form(viewer: &Viewer, fields: Fields) -> Result<NewInstance, Failure> {
    let offers = viewer.offers().await?;
    Ok(NewInstance {
        frame: viewer.frame(Section::Instances, EN.new_instance),
        fields,
        has_accounts: offers.windows(2).any(|pair| matches!(pair, [(a, _), (b, _)] if a.id != b.id)),
        offers,
        plan: None,
        key: uuid::Uuid::new_v4().to_string(),
    })
}

/// Shows the plan, or creates what was planned.
pub(crate) async fn create(viewer: Viewer, Form(fields): Form<Fields>) -> Answer {
    let done = async {
        let mut request = fields.request()?;
        let Some(plan) = filled(fields.plan_id.clone()) else {
            let plan: InstancePlan = viewer.api.post("/plans", &request, None).await?;
            return Ok(Step::Planned(Box::new(plan)));
        };
        request.plan_id = Some(plan);
        let created: InstanceDetail = viewer.api.post("/instances", &request, fields.key.as_deref()).await?;
        Ok::<_, Refusal>(Step::Created(created.instance.id))
    };
    match done.await {
        Ok(Step::Created(id)) => Ok(go_to(&format!("/console/instances/{}", segment(&id)))),
        Ok(Step::Planned(plan)) => {
            let mut form = filled_form(&viewer, fields).await?;
            form.plan = Some(*plan);
            page(&form)
        }
        Err(refusal) if refusal.is_unauthorized() => Err(Failure::LoggedOut),
        Err(refusal) => {
            let mut form = filled_form(&viewer, fields).await?;
            form.frame.error = Some(refusal.text);
            refused(&form, refusal.status)
        }
    }
}

enum Step {
    Planned(Box<InstancePlan>),
    Created(String),
}
