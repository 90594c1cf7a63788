//! The list of instances. Its filters are in the URL.

use crate::backend::segment;
use crate::page::{Answer, Frame, Section, Viewer, filled, page};
use crate::show;
use crate::texts::EN;
use askama::Template;
use axum::extract::Query;
use inventiv_types::{Instance, ListInstances, Page, Status};
use serde::Deserialize;

/// How many instances a page shows.
const SHOWN: u32 = 100;

/// The filters.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Filters {
    /// A status, `living` or `ended`.
    status: Option<String>,
    zone: Option<String>,
    model: Option<String>,
    after: Option<String>,
}

#[derive(Template)]
#[template(path = "instances.html")]
struct Instances {
    frame: Frame,
    items: Vec<Instance>,
    /// The address of the next page.
    next: Option<String>,
    is_first: bool,
    status: String,
    statuses: Vec<(&'static str, String, bool)>,
    zone: String,
    model: String,
    is_filtered: bool,
}

/// The list.
pub(crate) async fn list(viewer: Viewer, Query(given): Query<Filters>) -> Answer {
    let status = filled(given.status).unwrap_or_else(|| "living".to_owned());
    let (zone, model, after) = (filled(given.zone), filled(given.model), filled(given.after));
    let query = ListInstances {
        status: Some(statuses(&status)),
        account: None,
        zone: zone.clone(),
        model_id: model.clone(),
        newest_first: Some(true),
        after: after.clone(),
        limit: Some(SHOWN),
    };
    let found: Result<Page<Instance>, _> = viewer.api.get("/instances", &query).await;
    let mut frame = viewer.frame(Section::Instances, EN.instances);
    let found = match found {
        // A filter that is refused is said above an empty list.
        Err(refusal) if refusal.status == http::StatusCode::UNPROCESSABLE_ENTITY => {
            frame.error = Some(refusal.text);
            Page { items: Vec::new(), next: None }
        }
        found => found?,
    };
    let (zone, model) = (zone.unwrap_or_default(), model.unwrap_or_default());
    let next = found.next.map(|after| {
        let (status, zone, model) = (segment(&status), segment(&zone), segment(&model));
        format!("/console/instances?status={status}&zone={zone}&model={model}&after={}", segment(&after))
    });
    let words = ["living", "ended"].into_iter().chain(Status::ALL.iter().map(|s| s.text()));
    page(&Instances {
        frame,
        items: found.items,
        next,
        is_first: after.is_none(),
        statuses: words.map(|word| (word, show::words(word), word == status)).collect(),
        is_filtered: status != "living" || !zone.is_empty() || !model.is_empty(),
        status,
        zone,
        model,
    })
}

/// What `living` and `ended` stand for.
fn statuses(word: &str) -> String {
    let of = |is_final| {
        let words: Vec<&str> = Status::ALL.iter().filter(|s| s.is_final() == is_final).map(|s| s.text()).collect();
        words.join(",")
    };
    match word {
        "living" => of(false),
        "ended" => of(true),
        other => other.to_owned(),
    }
}
