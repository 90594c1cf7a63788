//! Follows an instance and prints each step, until the instance has a status.

use crate::client::Client;
use crate::failure::Failure;
use crate::output::{note_text, text};
use serde_json::Value;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How far to follow.
pub(crate) struct Goal {
    /// The status to wait for.
    pub(crate) status: &'static str,
    /// The time-out.
    pub(crate) timeout: Duration,
    /// The poll interval.
    pub(crate) every: Duration,
}

/// The longest time without output.
const QUIET_MAX: Duration = Duration::from_secs(30);

/// An action in words; an unknown one is shown unchanged.
fn words(action: &str) -> &str {
    match action {
        "REQUEST_CREATE" => "asked for",
        "REQUEST_TERMINATE" => "its end asked for",
        "REQUEST_RETAIN_VOLUME" => "volume to be retained",
        "REQUEST_RELEASE_VOLUME" => "volume to be released",
        "PROVIDER_CREATE" => "make the server",
        "PROVIDER_CREATE_VOLUME" => "make the data volume",
        "PROVIDER_TAG_VOLUME" => "name the volume",
        "PROVIDER_TAG_SERVER" => "name the server",
        "PROVIDER_VOLUME_RESIZE" => "grow the volume",
        "PROVIDER_ATTACH_VOLUME" => "attach the volume",
        "PROVIDER_DETACH_VOLUME" => "detach the volume",
        "PROVIDER_SET_USER_DATA" => "set up the first boot",
        "PROVIDER_START" => "start the server",
        "PROVIDER_STOP" => "stop the server",
        "PROVIDER_DELETE" => "delete the server",
        "PROVIDER_DELETE_VOLUME" => "delete the volume",
        "PROVIDER_PROVE_SERVER_GONE" => "prove the server gone",
        "PROVIDER_PROVE_VOLUME_GONE" => "prove the volume gone",
        "PROVIDER_GET_IP" => "address",
        "VOLUME_FOUND" => "volume found",
        "VOLUME_ADOPTED" => "volume adopted",
        "VOLUME_RETAINED" => "volume retained",
        "SERVER_ADOPTED" => "server adopted",
        "INSTANCE_READY" => "ready",
        "INSTANCE_TERMINATED" => "terminated",
        "INSTANCE_FAILED" => "failed",
        other => other,
    }
}

/// How a step ended, in words.
fn outcome(status: &str) -> &str {
    match status {
        "completed" => "done",
        "in_progress" => "started",
        "unknown" => "no answer",
        other => other,
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
    shown: HashMap<String, String>,
    after: String,
    notes: String,
    say: fn(&str),
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
            after: String::new(),
            notes: String::new(),
            say,
        }
    }

    /// Skips the steps so far.
    pub(crate) async fn after_history(mut self) -> Result<Self, Failure> {
        let logs = self.client.all("/action_logs", &[("instance_id", self.id.as_str()), ("limit", "500")]).await?;
        for log in logs.iter().filter(|l| l["status"] != "in_progress") {
            self.shown.insert(text(log, "id"), text(log, "status"));
        }
        Ok(self)
    }

    /// Follows until the goal is reached.
    pub(crate) async fn follow(&mut self, goal: &Goal) -> Result<Value, Failure> {
        let deadline = Instant::now() + goal.timeout;
        loop {
            let instance = self.client.get(&format!("/instances/{}", self.id), &[]).await?;
            self.show_logs().await?;
            self.show_notes(&instance);
            let status = instance["status"].as_str().unwrap_or_default();
            let over = goal.status == "terminated" && status == "provisioning_failed";
            if status == goal.status || over {
                return Ok(instance);
            }
            if matches!(status, "terminated" | "provisioning_failed") {
                let why = instance["error"].as_str().unwrap_or("it was terminated");
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

    async fn show_logs(&mut self) -> Result<(), Failure> {
        let query = [("instance_id", self.id.as_str()), ("after", self.after.as_str()), ("limit", "500")];
        let page = self.client.get("/action_logs", &query).await?;
        let mut all_closed = true;
        for log in page["items"].as_array().into_iter().flatten() {
            let (id, status) = (text(log, "id"), text(log, "status"));
            // Lines in progress are shown once more when they end; read again from the first of them.
            all_closed &= status != "in_progress";
            if self.shown.get(&id) != Some(&status) {
                self.line(log);
                self.shown.insert(id.clone(), status);
            }
            if all_closed {
                self.after = id;
            }
        }
        Ok(())
    }

    fn line(&mut self, log: &Value) {
        let took = log["duration_ms"].as_i64().filter(|ms| *ms > 0).map_or_else(String::new, |ms| format!(" {ms} ms"));
        let about = log["error"].as_str().or(log["details"].as_str()).unwrap_or_default();
        let resource = log["resource_id"].as_str().map_or_else(String::new, |r| format!(" {r}"));
        let elapsed = self.began.elapsed().as_secs_f32();
        let line = format!(
            "  {elapsed:6.1}s  {:<25} {:<11}{took}{resource}  {about}",
            words(&text(log, "action")),
            outcome(&text(log, "status"))
        );
        self.report(line.trim_end());
    }

    fn report(&mut self, line: &str) {
        (self.say)(line);
        self.spoke = Instant::now();
    }

    fn show_notes(&mut self, instance: &Value) {
        let notes: Vec<String> = instance["notes"].as_array().into_iter().flatten().map(note_text).collect();
        let notes = notes.join("; ");
        if !notes.is_empty() && notes != self.notes {
            self.report(&format!("  {:6.1}s  … {notes}", self.began.elapsed().as_secs_f32()));
        }
        self.notes = notes;
    }
}
