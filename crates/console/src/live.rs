//! The change stream of a page.

use crate::page::{Answer, Viewer};
use axum::extract::{Path, Query};
use http::HeaderMap;
use serde::Deserialize;

/// What a page wants to hear of.
#[derive(Debug, Deserialize)]
pub(crate) struct About {
    instance: Option<String>,
}

/// `GET /events` of the API, from now on. A page reads again what an event is about, so it needs no snapshot.
pub(crate) async fn stream(viewer: Viewer, headers: HeaderMap, Query(about): Query<About>) -> Answer {
    let last = headers.get("last-event-id").and_then(|v| v.to_str().ok());
    let instance = about.instance.map(|id| format!("&instance_id={}", crate::backend::segment(&id)));
    let path = format!("/events?snapshot=false{}", instance.unwrap_or_default());
    Ok(viewer.api.open(&path, last).await?)
}

/// The lines of the engine's log, as they are written.
pub(crate) async fn log(viewer: Viewer, Path(id): Path<String>) -> Answer {
    let path = format!("/instances/{}/logs?follow=true&tail=300", crate::backend::segment(&id));
    Ok(viewer.api.open(&path, None).await?)
}
