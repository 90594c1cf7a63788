//! A reader of the stream of changes that moves to the next replica when one is silent, and resumes at its position.

use crate::{END, environment_of};
use eventsource_stream::Eventsource;
use futures::StreamExt;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// How long a replica may be silent before the reader moves on: it may be frozen.
const SILENCE: Duration = Duration::from_secs(2);

/// The pause after a replica that is unreachable.
const PAUSE: Duration = Duration::from_millis(20);

/// The changes that it has received, by instance.
pub(crate) struct Follower {
    reported: Arc<Mutex<Told>>,
}

#[derive(Default)]
struct Told {
    statuses: BTreeMap<String, String>,
    /// How often it had to start anew although it had a position.
    forgotten: usize,
    streams: usize,
}

impl Follower {
    /// Follows replicas that may be started and stopped, for as long as the runtime lives.
    pub(crate) fn start(runtime: &Runtime, servers: &[&[(String, String)]]) -> Self {
        let reported: Arc<Mutex<Told>> = Arc::default();
        let of = |env: &&[(String, String)], name| environment_of(env, name).to_owned();
        let urls: Vec<String> = servers.iter().map(|env| of(env, "INVENTIV_URL")).collect();
        let token = std::fs::read_to_string(of(&servers[0], "INVENTIV_TOKEN_FILE")).unwrap().trim().to_owned();
        let writing = reported.clone();
        runtime.spawn(async move {
            let _ = rustls::crypto::ring::default_provider().install_default();
            let http = reqwest::Client::builder().no_proxy().read_timeout(SILENCE).build().unwrap();
            let mut last: Option<String> = None;
            for url in urls.iter().cycle() {
                let mut request = http.get(format!("{url}/events")).bearer_auth(&token);
                if let Some(last) = &last {
                    request = request.header("last-event-id", last);
                }
                let Ok(answer) = request.send().await else {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                };
                let mut events = answer.bytes_stream().eventsource();
                let mut is_new = true;
                while let Some(Ok(event)) = events.next().await {
                    let data: Value = serde_json::from_str(&event.data).unwrap();
                    let mut reported = writing.lock().unwrap();
                    reported.streams += usize::from(std::mem::take(&mut is_new));
                    match event.event.as_str() {
                        "snapshot" => reported.forgotten += usize::from(last.is_some()),
                        "instance" => {
                            let text = |key: &str| data[key].as_str().unwrap().to_owned();
                            reported.statuses.insert(text("id"), text("status"));
                        }
                        _ => {}
                    }
                    if !event.id.is_empty() {
                        last = Some(event.id);
                    }
                }
            }
        });
        Self { reported }
    }

    /// Waits until it has seen the end of each of these, and of nothing else.
    pub(crate) fn has_seen_the_end_of(&self, all: &[Value]) {
        let wanted: BTreeMap<&str, &str> =
            all.iter().map(|i| (i["id"].as_str().unwrap(), i["status"].as_str().unwrap())).collect();
        let began = Instant::now();
        loop {
            let reported = self.reported.lock().unwrap();
            let seen: BTreeMap<&str, &str> = reported.statuses.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            if seen == wanted {
                assert_eq!(reported.forgotten, 0, "nothing committed is lost, so every position is known");
                println!("the stream was complete, in {} pieces", reported.streams);
                return;
            }
            assert!(began.elapsed() < END, "seen: {seen:#?}\nexpected: {wanted:#?}");
            drop(reported);
            std::thread::yield_now();
        }
    }
}
