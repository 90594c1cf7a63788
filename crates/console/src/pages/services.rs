//! The list of services, and a new one: the request, its candidates with prices, and the creation.

use crate::backend::{Refusal, segment};
use crate::page::{Answer, Failure, Frame, Section, Viewer, filled, go_to, number, page, refused};
use crate::show::Tone;
use crate::texts::EN;
use askama::Template;
use axum::extract::Form;
use inventiv_types::{Account, CreateService, Service, ServiceSettings, ServiceStatus};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "services.html")]
struct Services {
    frame: Frame,
    items: Vec<Service>,
}

/// The tone of a service's status.
pub(crate) const fn tone(status: &ServiceStatus) -> Tone {
    match *status {
        ServiceStatus::Ready => Tone::Good,
        ServiceStatus::Starting | ServiceStatus::Updating | ServiceStatus::Deleting => Tone::Busy,
        ServiceStatus::Idle | ServiceStatus::Deleted => Tone::Idle,
        ServiceStatus::Degraded => Tone::Bad,
    }
}

/// The list.
pub(crate) async fn list(viewer: Viewer) -> Answer {
    page(&Services {
        frame: viewer.frame(Section::Services, EN.services),
        items: viewer.api.all("/services", &()).await?,
    })
}

/// The form, as it was sent.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Fields {
    account: Option<String>,
    model: Option<String>,
    name: Option<String>,
    min_replicas: Option<String>,
    max_replicas: Option<String>,
    idle_minutes: Option<String>,
    zones: Option<String>,
    instance_types: Option<String>,
    /// The plan that was shown; without one, the plan is shown first.
    plan_id: Option<String>,
    key: Option<String>,
}

/// Words with commas or spaces between them.
fn list_of(text: Option<String>) -> Option<Vec<String>> {
    let text = filled(text)?;
    Some(text.split([',', ' ']).filter(|word| !word.is_empty()).map(str::to_owned).collect())
}

impl NewService {
    fn is_chosen(&self, account: &Account) -> bool {
        Fields::text(&self.fields.account) == account.id
    }
}

impl Fields {
    fn text(field: &Option<String>) -> &str {
        field.as_deref().unwrap_or_default()
    }

    fn request(&self) -> Result<CreateService, Refusal> {
        let minutes: Option<i64> = number(EN.idle_minutes, self.idle_minutes.clone())?;
        Ok(CreateService {
            name: filled(self.name.clone()),
            account: filled(self.account.clone()),
            model_id: filled(self.model.clone()).unwrap_or_default(),
            ttl_seconds: None,
            plan_id: filled(self.plan_id.clone()),
            settings: ServiceSettings {
                min_replicas: number(EN.min_replicas, self.min_replicas.clone())?,
                max_replicas: number(EN.max_replicas, self.max_replicas.clone())?,
                idle_seconds: minutes.map(|m| m.saturating_mul(60)),
                zones: list_of(self.zones.clone()),
                instance_types: list_of(self.instance_types.clone()),
                ..ServiceSettings::default()
            },
        })
    }
}

#[derive(Template)]
#[template(path = "new_service.html")]
struct NewService {
    frame: Frame,
    fields: Fields,
    accounts: Vec<Account>,
    plan: Option<Service>,
    /// So that a repeated form creates one service.
    key: String,
}

/// The empty form.
pub(crate) async fn form(viewer: Viewer) -> Answer {
    page(&filled_form(&viewer, Fields::default()).await?)
}

async fn filled_form(viewer: &Viewer, fields: Fields) -> Result<NewService, Failure> {
    let (frame, key) = (viewer.frame(Section::Services, EN.new_service), uuid::Uuid::new_v4().to_string());
    Ok(NewService { frame, fields, accounts: viewer.accounts().await?, plan: None, key })
}

/// Shows the plan, or creates what was planned.
pub(crate) async fn create(viewer: Viewer, Form(fields): Form<Fields>) -> Answer {
    let is_planned = filled(fields.plan_id.clone()).is_some();
    let path = if is_planned { "/services" } else { "/services?dry_run=true" };
    let key = fields.key.as_deref().filter(|_| is_planned);
    let done = async { viewer.api.post::<Service>(path, &fields.request()?, key).await };
    match done.await {
        Ok(created) if is_planned => Ok(go_to(&format!("/console/services/{}", segment(&created.id)))),
        Ok(plan) => {
            let mut form = filled_form(&viewer, fields).await?;
            form.plan = Some(plan);
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
