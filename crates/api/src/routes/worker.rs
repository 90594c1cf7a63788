//! `/instances/{id}/logs` and `/instances/{id}/v1`: what goes through to the worker.

use crate::App;
use crate::extract::{Path, Query};
use crate::problem::ApiError;
use crate::resolve;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, Method, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt};
use http_body_util::BodyExt;
use inventiv_core::recorded::Aggregate;
use inventiv_core::time::Timestamp;
use inventiv_core::worker::WORKER_PORT;
use inventiv_types::{InstanceLogLine, ListLogLines, OfAccount, Page, Time};
use inventiv_worker_api::client::{ContactError, WorkerClient};
use inventiv_worker_api::message::{LOGS, LogLine, LogSource};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// The interval of keep-alive comments.
const SILENCE: Duration = Duration::from_secs(15);
/// How many lines are shown by default, and at most.
const TAIL: (u32, u32) = (200, 2_000);
/// How long a model may take to begin its answer.
const ANSWER: Duration = Duration::from_secs(600);
/// The longest line that is read, in bytes.
const LINE_MAX: usize = 1 << 16;

/// Show the log of an instance
///
/// The last lines of its engine, its worker and its installation, oldest first. With `follow=true`, the response is an
/// endless stream of server-sent events `line`. Of an instance whose model did not answer, the last 200 lines are kept
/// after its end.
#[utoipa::path(get, operation_id = "getInstanceLogs", path = "/instances/{id}/logs", tag = "instances",
    params(ListLogLines, ("id" = String, Path, description = "The id of the instance, a unique prefix of it, or the name")),
    responses((status = 200, description = "The last lines; as server-sent events with `follow=true`",
        body = Page<InstanceLogLine>)))]
pub(crate) async fn logs(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(query): Query<ListLogLines>,
) -> Result<Response, ApiError> {
    let source = query.source.as_deref();
    if source.is_some_and(|s| LogSource::parse(s).is_none()) {
        return Err(ApiError::parameter("source", "must be engine, worker or install"));
    }
    let tail = query.tail.unwrap_or(TAIL.0);
    if !(1..=TAIL.1).contains(&tail) {
        return Err(ApiError::parameter("tail", format!("must be from 1 to {}", TAIL.1)));
    }
    let agg = find(&app, &id, query.account.as_deref()).await?;
    let follow = query.follow == Some(true);
    let from = source.map_or_else(String::new, |s| format!("&source={s}"));
    let lines = match client(&app, &agg) {
        Ok(mut worker) => worker.stream(&format!("{LOGS}?tail={tail}&follow={follow}{from}")).await,
        Err(e) => Err(e),
    };
    let lines = match lines {
        Ok(response) => lines_of(response.into_body().into_data_stream()),
        Err(e) => return kept(&app, &agg, &e).await,
    };
    if !follow {
        let items: Vec<InstanceLogLine> = lines.collect().await;
        return Ok(axum::Json(Page { items, next: None }).into_response());
    }
    let events = lines.map(|line| {
        let event = Event::default().event("line");
        Ok::<_, Infallible>(event.json_data(&line).unwrap_or_default())
    });
    let headers = [(header::CACHE_CONTROL, "no-store"), (HeaderName::from_static("x-accel-buffering"), "no")];
    Ok((headers, Sse::new(events).keep_alive(KeepAlive::new().interval(SILENCE).text("keep-alive"))).into_response())
}

/// The lines that were kept of an instance that failed.
async fn kept(app: &App, agg: &Aggregate, error: &ContactError) -> Result<Response, ApiError> {
    let Some(log) = app.store().engine_log(&agg.instance.id).await? else {
        return Err(ApiError::conflict("no_worker", format!("the log cannot be read: {error}")));
    };
    let items = log.lines.into_iter().map(|text| InstanceLogLine { at: None, source: None, text }).collect();
    Ok(axum::Json(Page::<InstanceLogLine> { items, next: None }).into_response())
}

/// Lines of JSON, as they come.
fn lines_of<E: Send + 'static>(
    chunks: impl Stream<Item = Result<bytes::Bytes, E>> + Send + 'static,
) -> std::pin::Pin<Box<dyn Stream<Item = InstanceLogLine> + Send>> {
    let mut rest: Vec<u8> = Vec::new();
    let lines = chunks.take_while(|c| std::future::ready(c.is_ok())).flat_map(move |chunk| {
        rest.extend(chunk.ok().unwrap_or_default());
        let mut found = Vec::new();
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            found.extend(serde_json::from_slice::<LogLine>(&line).ok().map(shown));
        }
        if rest.len() > LINE_MAX {
            rest.clear();
        }
        futures::stream::iter(found)
    });
    Box::pin(lines)
}

fn shown(line: LogLine) -> InstanceLogLine {
    let source = match line.source {
        LogSource::Engine => "engine",
        LogSource::Worker => "worker",
        LogSource::Install => "install",
    };
    InstanceLogLine { at: Some(Time(Timestamp(line.at_us))), source: Some(source.to_owned()), text: line.text }
}

/// Passes a request to the model of an instance. The worker lets only paths of the model through.
pub(crate) async fn ask(
    State(app): State<App>,
    Path((id, path)): Path<(String, String)>,
    Query(of): Query<OfAccount>,
    request: Request,
) -> Result<Response, ApiError> {
    let agg = find(&app, &id, of.account.as_deref()).await?;
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|e| ApiError::invalid(format!("the body cannot be read: {e}")))?.to_bytes();
    let path = format!("/v1/{path}");
    if !path.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(ApiError::not_found("path", &path));
    }
    let method = if parts.method == Method::POST { Method::POST } else { Method::GET };
    let answer = match client(&app, &agg) {
        Ok(mut worker) => worker.forward(method, &path, body, ANSWER).await,
        Err(e) => Err(e),
    };
    let response = answer.map_err(|e| ApiError::unavailable(format!("the model cannot be asked: {e}")))?;
    let (parts, body) = response.into_parts();
    if parts.status == StatusCode::NOT_FOUND && path == "/v1/" {
        return Err(ApiError::not_found("path", &path));
    }
    let mut answer = Response::new(Body::new(body));
    *answer.status_mut() = parts.status;
    for name in [header::CONTENT_TYPE, header::CACHE_CONTROL, header::RETRY_AFTER] {
        if let Some(value) = parts.headers.get(&name) {
            answer.headers_mut().insert(name, value.clone());
        }
    }
    Ok(answer)
}

async fn find(app: &App, id: &str, account: Option<&str>) -> Result<Aggregate, ApiError> {
    let parsed = resolve::instance(app, id, account).await?;
    app.store().instance(&parsed).await?.ok_or_else(|| ApiError::not_found("instance", id))
}

/// A client of the worker of an instance.
fn client(app: &App, agg: &Aggregate) -> Result<WorkerClient, ContactError> {
    let i = &agg.instance;
    let missing = |text: &str| ContactError::Unreachable(text.to_owned());
    if i.worker.is_none() {
        return Err(missing("the instance has no worker: it has no model, or its server does not run"));
    }
    let tls = app.inner.workers.as_ref().ok_or_else(|| missing("this control plane has no workers"))?;
    let address = i.addresses.first().and_then(|a| a.parse().ok()).ok_or_else(|| missing("it has no address"))?;
    Ok(WorkerClient::new(address, WORKER_PORT, i.id.as_str(), Arc::clone(tls)))
}
