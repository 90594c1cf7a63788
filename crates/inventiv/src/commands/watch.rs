//! `inventiv watch`

use crate::args::{Output, Watch};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{self, note_text, text};
use eventsource_stream::Event;
use futures::StreamExt;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;

/// The pause before a broken stream is resumed.
const AGAIN: Duration = Duration::from_secs(1);

/// Runs until interrupted. A stream that breaks off is resumed at its position, on any replica.
pub(crate) async fn run(args: Watch, output: Output) -> Result<(), Failure> {
    let client = Client::connect(&args.connection)?;
    let filters = [("instance_id", args.id), ("account", args.account.name()), ("zone", args.zone)];
    let query: Vec<(&str, &str)> = filters.iter().filter_map(|(k, v)| Some((*k, v.as_deref()?))).collect();
    let mut shown = Shown { output, last: args.after, lines: HashMap::new() };
    let (mut is_first, mut is_told) = (true, false);
    loop {
        match client.events(&query, shown.last.as_deref()).await {
            Ok(events) => {
                is_told = false;
                let mut events = std::pin::pin!(events);
                while let Some(event) = events.next().await {
                    shown.show(&event)?;
                }
            }
            Err(failure) if is_first || !failure.is_retryable() => return Err(failure),
            Err(_) => {}
        }
        if !is_told {
            eprintln!("inventiv: the stream broke off; it resumes as soon as the control plane answers");
        }
        (is_first, is_told) = (false, true);
        tokio::time::sleep(AGAIN).await;
    }
}

struct Shown {
    output: Output,
    /// The id of the last event with an id.
    last: Option<String>,
    /// The last line shown of each instance.
    lines: HashMap<String, String>,
}

impl Shown {
    fn show(&mut self, event: &Event) -> Result<(), Failure> {
        let data: Value = serde_json::from_str(&event.data)
            .map_err(|_| Failure::general("an event is not JSON: does the control plane have another version?"))?;
        if !event.id.is_empty() {
            self.last = Some(event.id.clone());
        }
        if self.output.is_for_programs() {
            let id = if event.id.is_empty() { Value::Null } else { json!(event.id) };
            return print(&json!({ "event": event.event, "id": id, "data": data }).to_string());
        }
        match event.event.as_str() {
            "snapshot" => {
                self.lines.clear();
                if data["reason"] != "start" {
                    eprintln!(
                        "inventiv: the database does not know this position: all living instances follow; \
                         `inventiv instance list --all` shows those that have ended"
                    );
                }
            }
            "instance" => {
                let line = line(&data);
                if self.lines.get(&text(&data, "id")) != Some(&line) {
                    print(&format!("{}  {line}", jiff::Timestamp::now().strftime("%H:%M:%SZ")))?;
                    self.lines.insert(text(&data, "id"), line);
                }
                if matches!(data["status"].as_str(), Some("terminated" | "provisioning_failed")) {
                    self.lines.remove(&text(&data, "id"));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// A closed pipe (`| head`) ends the command.
fn print(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    writeln!(std::io::stdout(), "{text}").map_err(|_| Failure::general("the output is closed"))
}

fn line(instance: &Value) -> String {
    let note = instance["notes"].as_array().and_then(|notes| notes.first()).map(note_text);
    let why = instance["error"].as_str().map(str::to_owned).or(note).unwrap_or_default();
    // Without a name of its own, an instance is named by its id.
    let name = instance["name"].as_str().filter(|name| instance["id"] != *name).unwrap_or_default();
    let line = format!(
        "{}  {:<19}  {:<14}  {:<10}  {:<14}  {}  {why}",
        text(instance, "id"),
        text(instance, "status"),
        text(instance, "instance_type"),
        text(instance, "zone"),
        output::sizes(instance),
        name,
    );
    line.trim_end().to_owned()
}
