//! `inventiv watch`

use crate::args::{Output, Watch};
use crate::client::{Client, unexpected};
use crate::failure::Failure;
use crate::output::{self, note, text};
use eventsource_stream::Event;
use futures::StreamExt;
use inventiv_types::{EventName, FollowEvents, InstanceDetail, SnapshotBegins, SnapshotReason};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;

/// The pause before a broken stream is resumed.
const AGAIN: Duration = Duration::from_secs(1);

/// Runs until interrupted. A stream that breaks off is resumed at its position, on any replica.
pub(crate) async fn run(args: Watch, output: Output) -> Result<(), Failure> {
    let client = Client::connect(&args.connection)?;
    let query = FollowEvents {
        instance_id: args.id,
        account: args.account.name(),
        zone: args.zone,
        after: None,
        snapshot: None,
    };
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
        if !event.id.is_empty() {
            self.last = Some(event.id.clone());
        }
        if self.output.is_for_programs() {
            let id = if event.id.is_empty() { Value::Null } else { json!(event.id) };
            return print(&json!({ "event": event.event, "id": id, "data": data::<Value>(event)? }).to_string());
        }
        // A newer control plane may send events that this version does not know.
        let name: Option<EventName> = serde_json::from_value(json!(event.event)).ok();
        match name {
            Some(EventName::Snapshot) => {
                self.lines.clear();
                if data::<SnapshotBegins>(event)?.reason != SnapshotReason::Start {
                    eprintln!(
                        "inventiv: the database does not know this position: all living instances follow; \
                         `inventiv instance list --all` shows those that have ended"
                    );
                }
            }
            Some(EventName::Instance) => {
                let detail: InstanceDetail = data(event)?;
                let (id, line) = (&detail.instance.id, line(&detail));
                if self.lines.get(id) != Some(&line) {
                    print(&format!("{}  {line}", jiff::Timestamp::now().strftime("%H:%M:%SZ")))?;
                    self.lines.insert(id.clone(), line);
                }
                if detail.instance.status.is_final() {
                    self.lines.remove(id);
                }
            }
            Some(EventName::Live) | None => {}
        }
        Ok(())
    }
}

fn data<T: DeserializeOwned>(event: &Event) -> Result<T, Failure> {
    serde_json::from_str(&event.data).map_err(|e| unexpected(&e))
}

/// A closed pipe (`| head`) ends the command.
fn print(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    writeln!(std::io::stdout(), "{text}").map_err(|_| Failure::general("the output is closed"))
}

fn line(detail: &InstanceDetail) -> String {
    let i = &detail.instance;
    let why = i.error.as_ref().map(text).or_else(|| detail.notes.first().map(note)).unwrap_or_default();
    // Without a name of its own, an instance is named by its id.
    let name = Some(&i.name).filter(|name| **name != i.id).map(text).unwrap_or_default();
    let line = format!(
        "{}  {:<19}  {:<14}  {:<10}  {:<14}  {name}  {why}",
        i.id,
        i.status.text(),
        text(&i.instance_type),
        text(&i.zone),
        output::sizes(i),
    );
    line.trim_end().to_owned()
}
