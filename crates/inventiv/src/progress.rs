//! Following an instance: each step as it happens, until it has come where it should.

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
    /// How long.
    pub(crate) timeout: Duration,
    /// How often to ask.
    pub(crate) every: Duration,
}

/// Prints the steps of one instance.
pub(crate) struct Progress<'c> {
    client: &'c Client,
    id: String,
    began: Instant,
    /// Lines that were shown, with the status they were shown in.
    shown: HashMap<String, String>,
    after: String,
    notes: String,
    say: fn(&str),
}

impl<'c> Progress<'c> {
    /// Steps are given to `say`, line by line.
    pub(crate) fn new(client: &'c Client, id: &str, say: fn(&str)) -> Self {
        let began = Instant::now();
        Self {
            client,
            id: id.to_owned(),
            began,
            shown: HashMap::new(),
            after: String::new(),
            notes: String::new(),
            say,
        }
    }

    /// Leaves out what has happened already.
    pub(crate) async fn after_history(mut self) -> Result<Self, Failure> {
        let logs = self.client.all("/action_logs", &[("instance_id", self.id.as_str()), ("limit", "500")]).await?;
        for log in logs.iter().filter(|l| l["status"] != "in_progress") {
            self.shown.insert(text(log, "id"), text(log, "status"));
        }
        Ok(self)
    }

    /// Follows until the goal.
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
            if Instant::now() > deadline {
                let text =
                    format!("{} is still {status}; `inventiv explain {}` says what it waits for", self.id, self.id);
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

    fn line(&self, log: &Value) {
        let took = log["duration_ms"].as_i64().filter(|ms| *ms > 0).map_or_else(String::new, |ms| format!(" {ms} ms"));
        let about = log["error"].as_str().or(log["details"].as_str()).unwrap_or_default();
        let resource = log["resource_id"].as_str().map_or_else(String::new, |r| format!(" {r}"));
        let elapsed = self.began.elapsed().as_secs_f32();
        let line = format!(
            "  {elapsed:6.1}s  {:<27} {:<11}{took}{resource}  {about}",
            text(log, "action"),
            text(log, "status")
        );
        (self.say)(line.trim_end());
    }

    fn show_notes(&mut self, instance: &Value) {
        let notes: Vec<String> = instance["notes"].as_array().into_iter().flatten().map(note_text).collect();
        let notes = notes.join("; ");
        if !notes.is_empty() && notes != self.notes {
            (self.say)(&format!("  {:6.1}s  … {notes}", self.began.elapsed().as_secs_f32()));
        }
        self.notes = notes;
    }
}
