//! A service of the demo: from zero replicas to two, and back.

use super::{QUESTION, ZONE};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{self, text, word};
use futures::stream::{self, StreamExt};
use inventiv_types::{
    CreateKey, CreateService, CreatedKey, EngineKind, EngineRequest, ListUsage, Page, Service, ServiceSettings, Usage,
};
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const NAME: &str = "demo";
const MODEL: &str = "Qwen/Qwen2.5-7B-Instruct";
/// How many clients ask at once. Each replica is to answer one of them.
const CLIENTS: usize = 2;
/// How long each part may take.
const WITHIN: Duration = Duration::from_secs(120);

/// What happened, and the service when it had the most replicas.
pub(super) struct Scaled {
    pub(super) lines: Vec<String>,
    pub(super) summary: Value,
}

struct Story<'c> {
    client: &'c Client,
    began: Instant,
    lines: RefCell<Vec<String>>,
    last: RefCell<String>,
}

impl Story<'_> {
    fn say(&self, line: &str) {
        self.lines.borrow_mut().push(format!("  {:6.1}s  {line}", self.began.elapsed().as_secs_f32()));
    }

    /// Looks at the service until something is true.
    async fn until(&self, what: impl Fn(&Service) -> bool) -> Result<Service, Failure> {
        let began = Instant::now();
        loop {
            let shown: Service = self.client.get(&format!("/services/{NAME}"), &()).await?;
            let price = output::hourly(shown.hourly_micros, &shown.currency);
            let status = word(&shown.status);
            let line =
                format!("{status:<10} {} of {} replicas ready, {price}", shown.ready_replicas, shown.replicas.len());
            if *self.last.borrow() != line {
                self.say(&line);
                self.last.replace(line);
            }
            if what(&shown) {
                return Ok(shown);
            }
            if began.elapsed() > WITHIN {
                let reason = shown.reason.map(|r| format!(" ({})", text(r))).unwrap_or_default();
                let story = self.lines.borrow().join("\n");
                return Err(Failure::timeout(format!("the service is still {status}{reason}:\n{story}")));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Creates a service, asks it until two replicas answer, waits until none is left, and deletes it.
pub(super) async fn run(client: &Client, api: SocketAddr, program: &str) -> Result<Scaled, Failure> {
    let story = Story { client, began: Instant::now(), lines: RefCell::default(), last: RefCell::default() };
    let _: Service = client.post("/services", &request(program), None).await?;
    let key = CreateKey {
        name: "demo".to_owned(),
        scopes: Some(vec![NAME.to_owned()]),
        requests_per_minute: None,
        tokens_per_minute: None,
        expires_at: None,
    };
    let key: CreatedKey = client.post("/keys", &key, None).await?;
    let gateway = Client::new(&format!("http://{api}"), key.value.expose().to_owned())?;
    let (stop, answered) = (Cell::new(false), RefCell::new(Vec::<String>::new()));
    let asking = stream::iter(0..CLIENTS).for_each_concurrent(CLIENTS, |_| async {
        while !stop.get() {
            match ask(&gateway).await {
                Ok(answer) => answered.borrow_mut().push(answer),
                // The service wakes up.
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    });
    let scaled = async {
        let most = story.until(|s| s.ready_replicas == CLIENTS).await;
        stop.set(true);
        most
    };
    let ((), most) = tokio::join!(asking, scaled);
    let most = most?;
    if let Some(answer) = answered.borrow().first() {
        story.say(&format!("asked {} times, for instance: {QUESTION} {answer}", answered.borrow().len()));
    }
    story.until(|s| s.replicas.is_empty()).await?;
    let usage: Page<Usage> = client.get("/usage", &ListUsage::default()).await?;
    let sum = |field: fn(&Usage) -> i64| usage.items.iter().map(field).sum::<i64>();
    let (requests, tokens) = (sum(|u| u.requests), sum(|u| u.completion_tokens));
    story.say(&format!("counted {requests} requests with {tokens} tokens answered"));
    let _: Service = client.delete(&format!("/services/{NAME}")).await?;
    story.until(|s| s.deleted_at.is_some()).await?;
    let summary = json!({
        "most_replicas": most.ready_replicas, "requests": requests, "completion_tokens": tokens,
        "service": output::json(&most),
    });
    Ok(Scaled { lines: story.lines.into_inner(), summary })
}

fn request(program: &str) -> CreateService {
    let command =
        [program, "stand-in-engine", "--port", "{port}", "--model", "{model}", "--token-ms", "60"].map(str::to_owned);
    CreateService {
        name: Some(NAME.to_owned()),
        account: None,
        model_id: MODEL.to_owned(),
        ttl_seconds: None,
        plan_id: None,
        settings: ServiceSettings {
            max_replicas: Some(2),
            target_concurrency: Some(1),
            idle_seconds: Some(1),
            scale_down_seconds: Some(2),
            zones: Some(vec![ZONE.to_owned()]),
            instance_types: Some(vec!["L4-1-24G".to_owned()]),
            engine: Some(EngineRequest {
                kind: Some(EngineKind::Command),
                command: Some(command.to_vec()),
                ..EngineRequest::default()
            }),
            ..ServiceSettings::default()
        },
    }
}

async fn ask(gateway: &Client) -> Result<String, Failure> {
    let question = json!({"model": NAME, "messages": [{"role": "user", "content": QUESTION}]});
    let answer: Value = gateway.post("/v1/chat/completions", &question, None).await?;
    let said = answer.pointer("/choices/0/message/content").and_then(Value::as_str);
    said.map(text).ok_or_else(|| Failure::general("the service answered without a text"))
}
