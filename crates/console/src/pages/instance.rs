//! One instance: its life, its volumes, its worker, why it waits, what comes next, and its end.

use crate::backend::{Refusal, segment};
use crate::page::{Answer, Failure, Frame, Section, Viewer, filled, go_to, number, page, refused};
use crate::show;
use crate::texts::EN;
use askama::Template;
use axum::extract::{Form, Path};
use http::Method;
use inventiv_types::{
    ActionLog, Extend, InstanceDetail, InstanceLogLine, ListLogLines, ListLogs, LogStatus, Page, Status, Storage, Time,
    VolumeStatus,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// How many lines of the engine's log are shown.
const LOG_LINES: u32 = 300;
/// How many lines of the action log are shown: more than a life without incidents has.
const STEPS_SHOWN: u32 = 200;
/// The maximum length of a question, in characters.
const QUESTION_MAX: usize = 20_000;

#[derive(Template)]
#[template(path = "instance.html")]
struct InstancePage {
    frame: Frame,
    i: InstanceDetail,
    path: String,
    steps: Vec<ActionLog>,
    more_steps: bool,
    phases: Vec<Phase>,
    question: String,
    answer: Option<String>,
}

/// A part of an instance's life.
struct Phase {
    status: Status,
    since: Time,
    seconds: Option<i64>,
    reason: Option<String>,
}

impl InstancePage {
    fn may_stop(&self) -> bool {
        matches!(self.i.instance.status, Status::Ready | Status::Unavailable | Status::Starting | Status::Installing)
    }

    fn is_ended(&self) -> bool {
        self.i.instance.status.is_final()
    }

    fn is_ending(&self) -> bool {
        matches!(self.i.instance.status, Status::Terminating | Status::Draining)
    }

    fn is_stopped(&self) -> bool {
        self.i.instance.status == Status::Stopped
    }

    fn may_ask(&self) -> bool {
        self.i.instance.status == Status::Ready && self.i.endpoint.is_some()
    }

    fn log_tone(step: &ActionLog) -> show::Tone {
        match step.status {
            LogStatus::Completed => show::Tone::Good,
            LogStatus::Failed => show::Tone::Bad,
            LogStatus::InProgress | LogStatus::Unknown => show::Tone::Busy,
        }
    }
}

/// What a volume is for.
pub(crate) fn purpose(volume: &Storage) -> &'static str {
    if volume.is_boot {
        EN.boots
    } else if volume.volume_type == "scratch" {
        EN.scratch
    } else {
        EN.holds_data
    }
}

/// What becomes of a volume when its instance ends.
pub(crate) fn fate(volume: &Storage) -> &'static str {
    match volume.status {
        VolumeStatus::Deleted => EN.is_gone,
        VolumeStatus::Retained | VolumeStatus::Reused => EN.was_kept,
        VolumeStatus::Released => EN.is_foreign,
        VolumeStatus::Failed => EN.was_never_made,
        VolumeStatus::Creating
        | VolumeStatus::Available
        | VolumeStatus::Attaching
        | VolumeStatus::Attached
        | VolumeStatus::Detaching
        | VolumeStatus::Deleting => {
            if volume.delete_on_terminate {
                EN.goes
            } else {
                EN.stays
            }
        }
    }
}

/// The page.
pub(crate) async fn show(viewer: Viewer, Path(id): Path<String>) -> Answer {
    page(&read(&viewer, &id).await?)
}

async fn read(viewer: &Viewer, id: &str) -> Result<InstancePage, Failure> {
    let path = format!("/instances/{}", segment(id));
    let i: InstanceDetail = viewer.api.get(&path, &()).await?;
    let query = ListLogs { instance_id: Some(i.instance.id.clone()), limit: Some(STEPS_SHOWN), ..ListLogs::default() };
    let steps: Page<ActionLog> = viewer.api.get("/action_logs", &query).await?;
    Ok(InstancePage {
        frame: viewer.frame(Section::Instances, i.instance.name.clone()),
        path: format!("/console/instances/{}", segment(&i.instance.id)),
        phases: phases(&i),
        i,
        more_steps: steps.next.is_some(),
        steps: steps.items,
        question: String::new(),
        answer: None,
    })
}

fn phases(i: &InstanceDetail) -> Vec<Phase> {
    let ends = i.history.iter().skip(1).map(|h| Some(h.at)).chain([None]);
    let phases = i.history.iter().zip(ends).map(|(entry, end)| Phase {
        status: entry.to_status,
        since: entry.at,
        seconds: end.map(|end| end.0.ms_since(entry.at.0) / 1_000),
        reason: entry.reason.clone(),
    });
    phases.collect()
}

/// The page again, with the reason why an action was refused.
async fn again(viewer: &Viewer, id: &str, refusal: Refusal) -> Answer {
    if refusal.is_unauthorized() {
        return Err(Failure::LoggedOut);
    }
    let mut shown = read(viewer, id).await?;
    shown.frame.error = Some(refusal.text);
    refused(&shown, refusal.status)
}

/// Stops, starts or reboots the server.
pub(crate) async fn power(viewer: Viewer, Path((id, action)): Path<(String, String)>) -> Answer {
    let action = match action.as_str() {
        "stop" | "start" | "reboot" => action,
        _ => return Err(crate::page::unknown().await),
    };
    match viewer.api.act(Method::POST, &format!("/instances/{}/{action}", segment(&id))).await {
        Ok(()) => Ok(go_to(&format!("/console/instances/{}", segment(&id)))),
        Err(refusal) => again(&viewer, &id, refusal).await,
    }
}

/// When an instance is to end by itself.
#[derive(Deserialize)]
pub(crate) struct Until {
    hours: Option<String>,
    /// Given: never.
    never: Option<String>,
}

/// Sets or removes the time of the end.
pub(crate) async fn extend(viewer: Viewer, Path(id): Path<String>, Form(until): Form<Until>) -> Answer {
    let set = async {
        let hours: Option<i64> = number(EN.hours, until.hours)?;
        if hours.is_some() == until.never.is_some() {
            let text = format!("{}: {}", EN.hours, EN.whole_number);
            return Err(Refusal { status: http::StatusCode::UNPROCESSABLE_ENTITY, text });
        }
        let extend = Extend { ttl_seconds: hours.map(|h| h.saturating_mul(3_600)) };
        let path = format!("/instances/{}/extend", segment(&id));
        viewer.api.post::<InstanceDetail>(&path, &extend, None).await
    };
    match set.await {
        Ok(_) => Ok(go_to(&format!("/console/instances/{}", segment(&id)))),
        Err(refusal) => again(&viewer, &id, refusal).await,
    }
}

#[derive(Template)]
#[template(path = "terminate.html")]
struct TerminatePage {
    frame: Frame,
    i: InstanceDetail,
    path: String,
}

impl TerminatePage {
    fn living(&self) -> impl Iterator<Item = &Storage> {
        self.i.storages.iter().filter(|v| v.status.counts())
    }

    fn goes(&self) -> Vec<&Storage> {
        self.living().filter(|v| v.delete_on_terminate).collect()
    }

    fn stays(&self) -> Vec<&Storage> {
        self.living().filter(|v| !v.delete_on_terminate).collect()
    }

    /// The ids of the volumes that stay, and of those that go, to be compared when the end is requested.
    fn seen(&self) -> String {
        let ids = |volumes: Vec<&Storage>| volumes.iter().map(|v| v.id.clone()).collect::<Vec<_>>().join(" ");
        format!("{} | {}", ids(self.stays()), ids(self.goes()))
    }
}

/// What will be deleted, and what stays.
pub(crate) async fn confirm(viewer: Viewer, Path(id): Path<String>) -> Answer {
    page(&consequences(&viewer, &id).await?)
}

async fn consequences(viewer: &Viewer, id: &str) -> Result<TerminatePage, Refusal> {
    let i: InstanceDetail = viewer.api.get(&format!("/instances/{}", segment(id)), &()).await?;
    Ok(TerminatePage {
        frame: viewer.frame(Section::Instances, EN.terminate),
        path: format!("/console/instances/{}", segment(&i.instance.id)),
        i,
    })
}

/// What the viewer of [`confirm`] saw.
#[derive(Deserialize)]
pub(crate) struct Seen {
    seen: Option<String>,
}

/// Requests the end, unless it has other consequences by now than those that were shown.
pub(crate) async fn terminate(viewer: Viewer, Path(id): Path<String>, Form(seen): Form<Seen>) -> Answer {
    let mut shown = consequences(&viewer, &id).await?;
    if seen.seen.is_some_and(|seen| seen != shown.seen()) {
        shown.frame.error = Some(EN.consequences_changed.to_owned());
        return refused(&shown, http::StatusCode::CONFLICT);
    }
    match viewer.api.act(Method::DELETE, &format!("/instances/{}", segment(&id))).await {
        Ok(()) => Ok(go_to(&format!("/console/instances/{}", segment(&id)))),
        Err(refusal) => again(&viewer, &id, refusal).await,
    }
}

/// A question for a model.
#[derive(Deserialize)]
pub(crate) struct Question {
    pub(crate) question: Option<String>,
}

/// Asks the model of the instance.
pub(crate) async fn ask(viewer: Viewer, Path(id): Path<String>, Form(form): Form<Question>) -> Answer {
    let mut shown = read(&viewer, &id).await?;
    let model = shown.i.instance.model_id.clone().unwrap_or_default();
    shown.question = filled(form.question).unwrap_or_default();
    match ask_model(&viewer, &shown.i.instance.id, &model, &shown.question).await {
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

/// Sends a question to the model of an instance, through its worker.
pub(crate) async fn ask_model(viewer: &Viewer, id: &str, model: &str, question: &str) -> Result<String, Refusal> {
    let wrong = |text: &str| Refusal { status: http::StatusCode::UNPROCESSABLE_ENTITY, text: text.to_owned() };
    if question.is_empty() || question.chars().count() > QUESTION_MAX {
        return Err(wrong(EN.ask_something));
    }
    let body = json!({"model": model, "messages": [{"role": "user", "content": question}], "max_tokens": 512});
    let path = format!("/instances/{}/v1/chat/completions", segment(id));
    let answer: Value = viewer.api.post(&path, &body, None).await?;
    let text = answer.pointer("/choices/0/message/content").and_then(Value::as_str);
    text.map(str::to_owned).ok_or_else(|| wrong(EN.no_text))
}

#[derive(Template)]
#[template(path = "log.html")]
struct LogPage {
    frame: Frame,
    path: String,
    lines: Vec<InstanceLogLine>,
    /// Whether there may be more lines.
    follows: bool,
}

/// The last lines of the engine's log.
pub(crate) async fn log(viewer: Viewer, Path(id): Path<String>) -> Answer {
    let i: InstanceDetail = viewer.api.get(&format!("/instances/{}", segment(&id)), &()).await?;
    let query = ListLogLines { tail: Some(LOG_LINES), ..ListLogLines::default() };
    let mut frame = viewer.frame(Section::Instances, EN.log);
    let lines = match viewer.api.get(&format!("/instances/{}/logs", segment(&id)), &query).await {
        Ok(Page { items, .. }) => items,
        Err(refusal) if refusal.is_unauthorized() => return Err(Failure::LoggedOut),
        Err(refusal) => {
            frame.error = Some(refusal.text);
            Vec::new()
        }
    };
    let follows = i.worker.is_some() && !i.instance.status.is_final();
    page(&LogPage { frame, path: format!("/console/instances/{}", segment(&id)), lines, follows })
}
