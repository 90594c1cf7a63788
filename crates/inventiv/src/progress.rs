//! Follows an instance and prints each step, until the instance has a status.

use crate::client::Client;
use crate::failure::Failure;
use crate::output::{note, text};
use inventiv_types::{ActionLog, DownloadProgress, InstanceDetail, ListLogs, LogStatus, Page, Status, action_words};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How far to follow.
pub(crate) struct Goal {
    /// The status to wait for.
    pub(crate) status: Status,
    /// The time-out.
    pub(crate) timeout: Duration,
    /// The poll interval.
    pub(crate) every: Duration,
}

/// The longest time without output.
const QUIET_MAX: Duration = Duration::from_secs(30);

/// How a step ended, in words.
fn outcome(status: LogStatus) -> &'static str {
    match status {
        LogStatus::Completed => "done",
        LogStatus::InProgress => "started",
        LogStatus::Unknown => "no answer",
        LogStatus::Failed => "failed",
    }
}

/// Prints the steps of one instance.
pub(crate) struct Progress<'c> {
    client: &'c Client,
    id: String,
    began: Instant,
    /// When the last line was printed.
    spoke: Instant,
    /// Lines that were shown, with the status that was shown.
    shown: HashMap<String, LogStatus>,
    after: Option<String>,
    notes: String,
    /// How many bytes of a download were shown.
    downloaded: i64,
    say: fn(&str),
}

/// How far a download is: `[#####     ] 7.6 of 15.2 GB`.
fn bar(progress: &DownloadProgress) -> String {
    const WIDTH: i64 = 30;
    let gb = |bytes: i64| format!("{}.{}", bytes / 1_000_000_000, bytes / 100_000_000 % 10);
    let Some(total) = progress.total_bytes.filter(|t| *t > 0) else {
        return format!("{} GB downloaded", gb(progress.done_bytes));
    };
    let done = progress.done_bytes.clamp(0, total);
    let filled = i128::from(done) * i128::from(WIDTH) / i128::from(total);
    let filled = usize::try_from(filled).unwrap_or(0);
    let empty = usize::try_from(WIDTH).unwrap_or(0).saturating_sub(filled);
    format!("[{}{}] {} of {} GB", "#".repeat(filled), " ".repeat(empty), gb(done), gb(total))
}

impl<'c> Progress<'c> {
    /// Passes each line to `say`.
    pub(crate) fn new(client: &'c Client, id: &str, say: fn(&str)) -> Self {
        let began = Instant::now();
        Self {
            client,
            id: id.to_owned(),
            began,
            spoke: began,
            shown: HashMap::new(),
            after: None,
            notes: String::new(),
            downloaded: 0,
            say,
        }
    }

    /// Skips the steps so far.
    pub(crate) async fn after_history(mut self) -> Result<Self, Failure> {
        let logs: Vec<ActionLog> = self.client.all("/action_logs", &self.logs()).await?;
        let closed = logs.into_iter().filter(|l| l.status != LogStatus::InProgress);
        self.shown.extend(closed.map(|l| (l.id, l.status)));
        Ok(self)
    }

    /// The query for the next page of the instance's log.
    fn logs(&self) -> ListLogs {
        let (instance_id, after) = (Some(self.id.clone()), self.after.clone());
        ListLogs { instance_id, after, limit: Some(500), ..ListLogs::default() }
    }

    /// Follows until the goal is reached.
    pub(crate) async fn follow(&mut self, goal: &Goal) -> Result<InstanceDetail, Failure> {
        let deadline = Instant::now() + goal.timeout;
        loop {
            let detail = self.look().await?;
            let status = detail.instance.status;
            let over = goal.status == Status::Terminated && status == Status::ProvisioningFailed;
            if status == goal.status || over {
                return Ok(detail);
            }
            if status == Status::StartupFailed && goal.status == Status::Ready {
                let failure = detail.worker.as_ref().and_then(|w| w.failure.as_ref());
                let why = failure.map_or("the worker does not say why", |f| f.message.as_str());
                let end = match failure.and_then(|f| f.ends_at) {
                    Some(at) => format!("it ends at {at}"),
                    None => format!("it is kept and costs money: `inventiv instance terminate {}` ends it", self.id),
                };
                return Err(Failure::instance_failed(format!("{} will not become ready: {why}; {end}", self.id)));
            }
            if status.is_final() {
                let why = detail.instance.error.as_deref().unwrap_or("it was terminated");
                return Err(Failure::instance_failed(format!("{} is {status}: {why}", self.id)));
            }
            if self.spoke.elapsed() > QUIET_MAX {
                self.report(&format!("  {:6.1}s  … still {status}", self.began.elapsed().as_secs_f32()));
            }
            if Instant::now() > deadline {
                let text =
                    format!("{} is still {status}; `inventiv explain {}` shows what it waits for", self.id, self.id);
                return Err(Failure::timeout(text));
            }
            tokio::time::sleep(goal.every).await;
        }
    }

    /// Prints what is new.
    pub(crate) async fn look(&mut self) -> Result<InstanceDetail, Failure> {
        let detail: InstanceDetail = self.client.get(&format!("/instances/{}", self.id), &()).await?;
        self.show_logs().await?;
        self.show_notes(&detail);
        self.show_download(&detail);
        Ok(detail)
    }

    async fn show_logs(&mut self) -> Result<(), Failure> {
        let page: Page<ActionLog> = self.client.get("/action_logs", &self.logs()).await?;
        let mut all_closed = true;
        for log in page.items {
            // Lines in progress are shown once more when they end; read again from the first of them.
            all_closed &= log.status != LogStatus::InProgress;
            if self.shown.get(&log.id) != Some(&log.status) {
                self.line(&log);
                self.shown.insert(log.id.clone(), log.status);
            }
            if all_closed {
                self.after = Some(log.id);
            }
        }
        Ok(())
    }

    fn line(&mut self, log: &ActionLog) {
        let took = log.duration_ms.filter(|ms| *ms > 0).map_or_else(String::new, |ms| format!(" {ms} ms"));
        let about = log.error.as_ref().or(log.details.as_ref()).map(text).unwrap_or_default();
        let resource = log.resource_id.as_ref().map_or_else(String::new, |r| format!(" {}", text(r)));
        let elapsed = self.began.elapsed().as_secs_f32();
        let line = format!(
            "  {elapsed:6.1}s  {:<25} {:<11}{took}{resource}  {about}",
            action_words(&log.action),
            outcome(log.status)
        );
        self.report(line.trim_end());
    }

    fn report(&mut self, line: &str) {
        (self.say)(line);
        self.spoke = Instant::now();
    }

    /// A bar for a download, at most one line a second.
    fn show_download(&mut self, detail: &InstanceDetail) {
        let Some(progress) = detail.worker.as_ref().and_then(|w| w.progress.as_ref()) else { return };
        if self.downloaded == progress.done_bytes || self.spoke.elapsed() < Duration::from_secs(1) {
            return;
        }
        self.downloaded = progress.done_bytes;
        let line = format!("  {:6.1}s  {}", self.began.elapsed().as_secs_f32(), bar(progress));
        self.report(&line);
    }

    fn show_notes(&mut self, detail: &InstanceDetail) {
        let notes: Vec<String> = detail.notes.iter().map(note).collect();
        let notes = notes.join("; ");
        if !notes.is_empty() && notes != self.notes {
            self.report(&format!("  {:6.1}s  … {notes}", self.began.elapsed().as_secs_f32()));
        }
        self.notes = notes;
    }
}
