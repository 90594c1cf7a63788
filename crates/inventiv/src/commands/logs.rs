//! `inventiv instance logs`

use crate::args::Output;
use crate::client::{Client, encode, with_query};
use crate::failure::Failure;
use crate::output::{self, print, text};
use crate::server::Asks;
use futures::StreamExt;
use inventiv_types::{InstanceLogLine, ListLogLines, Page};

/// Prints the last lines, and goes on with new ones if that was asked.
pub(crate) async fn run(client: &Client, id: &str, query: &ListLogLines, output: Output) -> Result<(), Failure> {
    let path = format!("/instances/{}/logs", encode(id));
    if query.follow != Some(true) {
        let page: Page<InstanceLogLine> = client.get(&path, query).await?;
        if output.is_for_programs() {
            output::value(output, &output::json(&page.items));
        } else {
            page.items.iter().for_each(|line| show(line, output));
        }
        return Ok(());
    }
    let mut asks = Asks::listen()?;
    let events = client.open_stream(&with_query(&path, query)?, None).await?;
    let mut events = std::pin::pin!(events);
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = asks.next() => return Ok(()),
        };
        let Some(event) = event else { return Err(Failure::unreachable("the log has ended: the worker is gone")) };
        if let Ok(line) = serde_json::from_str::<InstanceLogLine>(&event.data) {
            show(&line, output);
        }
    }
}

fn show(line: &InstanceLogLine, output: Output) {
    if output.is_for_programs() {
        return print(&output::json(line).to_string());
    }
    let at = line.at.map_or_else(String::new, |at| format!("{at}  "));
    let source = line.source.as_deref().map_or_else(String::new, |s| format!("{s:<8}"));
    print(&format!("{at}{source}{}", text(&line.text)));
}
