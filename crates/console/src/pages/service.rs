//! One service: its replicas, its load, what it used, its settings, and a question for its model.

use super::instance::{Question, ask_model};
use crate::backend::{Refusal, segment};
use crate::page::{Answer, Failure, Frame, Section, Viewer, filled, go_to, number, page, refused};
use crate::texts::EN;
use askama::Template;
use axum::extract::{Form, Path};
use http::{Method, StatusCode};
use inventiv_types::{ListUsage, Service, ServiceSettings, Status, Usage, WarmService};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "service.html")]
struct ServicePage {
    frame: Frame,
    s: Service,
    path: String,
    used: Used,
    question: String,
    answer: Option<String>,
}

/// What was used since the beginning of the last 24 hours.
#[derive(Default)]
struct Used {
    requests: i64,
    errors: i64,
    tokens: i64,
    /// The mean time to the first token, in milliseconds.
    first_token_ms: Option<i64>,
}

impl Used {
    fn of(all: &[Usage]) -> Self {
        let sum = |of: fn(&Usage) -> i64| all.iter().map(of).fold(0_i64, i64::saturating_add);
        let (requests, errors) = (sum(|u| u.requests), sum(|u| u.errors));
        let answered = requests.saturating_sub(errors);
        Self {
            requests,
            errors,
            tokens: sum(|u| u.prompt_tokens).saturating_add(sum(|u| u.completion_tokens)),
            first_token_ms: (answered > 0).then(|| sum(|u| u.first_token_ms) / answered),
        }
    }
}

impl ServicePage {
    fn may_ask(&self) -> bool {
        self.s.ready_replicas > 0
    }

    fn is_living(&self) -> bool {
        self.s.deleted_at.is_none()
    }
}

/// The page.
pub(crate) async fn show(viewer: Viewer, Path(id): Path<String>) -> Answer {
    page(&read(&viewer, &id).await?)
}

async fn read(viewer: &Viewer, id: &str) -> Result<ServicePage, Failure> {
    let s: Service = viewer.api.get(&format!("/services/{}", segment(id)), &()).await?;
    let query = ListUsage { service: Some(s.id.clone()), ..ListUsage::default() };
    let used: Vec<Usage> = viewer.api.all("/usage", &query).await?;
    Ok(ServicePage {
        frame: viewer.frame(Section::Services, s.name.clone()),
        path: format!("/console/services/{}", segment(&s.id)),
        s,
        used: Used::of(&used),
        question: String::new(),
        answer: None,
    })
}

/// The page again, if an action was refused.
async fn finish(viewer: &Viewer, id: &str, done: Result<(), Refusal>) -> Answer {
    match done {
        Ok(()) => Ok(go_to(&format!("/console/services/{}", segment(id)))),
        Err(refusal) if refusal.is_unauthorized() => Err(Failure::LoggedOut),
        Err(refusal) => {
            let mut shown = read(viewer, id).await?;
            shown.frame.error = Some(refusal.text);
            refused(&shown, refusal.status)
        }
    }
}

/// The settings that the page changes, and what they were when it was shown.
#[derive(Deserialize)]
pub(crate) struct Settings {
    min_replicas: Option<String>,
    max_replicas: Option<String>,
    idle_seconds: Option<String>,
    was_min_replicas: Option<String>,
    was_max_replicas: Option<String>,
    was_idle_seconds: Option<String>,
}

/// Changes the settings that the viewer changed. What somebody else changed meanwhile stays.
pub(crate) async fn change(viewer: Viewer, Path(id): Path<String>, Form(form): Form<Settings>) -> Answer {
    let changed = |now: Option<String>, was: Option<String>| now.filter(|now| Some(now) != was.as_ref());
    let done = async {
        let settings = ServiceSettings {
            min_replicas: number(EN.min_replicas, changed(form.min_replicas, form.was_min_replicas))?,
            max_replicas: number(EN.max_replicas, changed(form.max_replicas, form.was_max_replicas))?,
            idle_seconds: number(EN.idle_seconds, changed(form.idle_seconds, form.was_idle_seconds))?,
            ..ServiceSettings::default()
        };
        if settings == ServiceSettings::default() {
            return Ok(());
        }
        let path = format!("/services/{}", segment(&id));
        viewer.api.change::<Service>(Method::PATCH, &path, &settings, None).await.map(drop)
    };
    let done = done.await;
    finish(&viewer, &id, done).await
}

/// Starts a replica before somebody asks.
pub(crate) async fn warm(viewer: Viewer, Path(id): Path<String>) -> Answer {
    let path = format!("/services/{}/warm", segment(&id));
    let done = viewer.api.post::<Service>(&path, &WarmService::default(), None).await.map(drop);
    finish(&viewer, &id, done).await
}

/// Asks the model, at the first replica that is ready.
pub(crate) async fn ask(viewer: Viewer, Path(id): Path<String>, Form(form): Form<Question>) -> Answer {
    let mut shown = read(&viewer, &id).await?;
    shown.question = filled(form.question).unwrap_or_default();
    let ready = shown.s.replicas.iter().find(|r| r.status == Status::Ready);
    let asked = match ready {
        Some(replica) => ask_model(&viewer, &replica.instance_id, &shown.s.model_id, &shown.question).await,
        None => Err(Refusal { status: StatusCode::CONFLICT, text: EN.no_replica_ready.to_owned() }),
    };
    match asked {
        Ok(answer) => {
            shown.answer = Some(answer);
            page(&shown)
        }
        Err(refusal) => {
            shown.frame.error = Some(refusal.text);
            refused(&shown, refusal.status)
        }
    }
}

#[derive(Template)]
#[template(path = "delete_service.html")]
struct DeletePage {
    frame: Frame,
    s: Service,
    path: String,
}

/// What will end with the service.
pub(crate) async fn confirm(viewer: Viewer, Path(id): Path<String>) -> Answer {
    let s: Service = viewer.api.get(&format!("/services/{}", segment(&id)), &()).await?;
    let path = format!("/console/services/{}", segment(&s.id));
    page(&DeletePage { frame: viewer.frame(Section::Services, EN.delete_service), s, path })
}

/// Requests the end of the service.
pub(crate) async fn delete(viewer: Viewer, Path(id): Path<String>) -> Answer {
    let done = viewer.api.act(Method::DELETE, &format!("/services/{}", segment(&id))).await;
    finish(&viewer, &id, done).await
}
