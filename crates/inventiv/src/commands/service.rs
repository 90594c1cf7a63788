//! `inventiv service`

use crate::args::{Connection, CreateServiceArgs, Output, Scaling, ServiceCommand, UpdateServiceArgs, Wait};
use crate::client::{Client, encode};
use crate::confirm::confirm;
use crate::failure::Failure;
use crate::output::{self, Columns, opt, print, text, word};
use crate::progress::Progress;
use crate::server::Asks;
use inventiv_core::time::Timestamp;
use inventiv_types::{
    CreateService, Extend, ListLogLines, ListUsage, Page, Service, ServiceReplica, ServiceSettings, ServiceStatus,
    Time, Usage, WarmService,
};
use std::collections::HashMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

/// Why a confirmation is needed.
const COSTS: &str = "this costs money";
/// The pause between two looks at a service.
const EVERY: Duration = Duration::from_millis(500);
const COLUMNS: Columns<Service> = Columns {
    name: |s| text(&s.name),
    narrow: &[
        ("name", |s| text(&s.name)),
        ("status", |s| word(&s.status)),
        ("model", |s| text(&s.model_id)),
        ("replicas", |s| format!("{}/{} of {}", s.ready_replicas, s.replicas.len(), s.max_replicas)),
        ("requests", |s| text(s.load.outstanding + s.load.queued)),
        ("last request", |s| opt(s.load.last_request_at.map(output::age))),
        ("EUR/h", |s| output::hourly(s.hourly_micros, &s.currency)),
    ],
    wide: &[
        ("id", |s| text(&s.id)),
        ("min", |s| text(s.min_replicas)),
        ("max EUR/h", |s| output::hourly(s.max_hourly_micros, &s.currency)),
        ("reason", |s| opt(s.reason.as_ref())),
    ],
};
const REPLICAS: Columns<ServiceReplica> = Columns {
    name: |r| text(&r.name),
    narrow: &[
        ("replica", |r| text(&r.name)),
        ("status", |r| text(r.status)),
        ("type", |r| text(&r.instance_type)),
        ("zone", |r| text(&r.zone)),
        ("age", |r| output::age(r.created_at)),
        ("settings", |r| if r.is_current { "current" } else { "old" }.to_owned()),
    ],
    wide: &[("id", |r| text(&r.instance_id))],
};
const USAGE: Columns<Usage> = Columns {
    name: |u| text(u.hour),
    narrow: &[
        ("hour", |u| text(u.hour)),
        ("model", |u| text(&u.model_id)),
        ("key", |u| text(&u.key_id)),
        ("requests", |u| text(u.requests)),
        ("errors", |u| text(u.errors)),
        ("prompt tokens", |u| text(u.prompt_tokens)),
        ("answer tokens", |u| text(u.completion_tokens)),
        ("first token", |u| format!("{} ms", u.first_token_ms / u.requests.max(1))),
    ],
    wide: &[("service", |u| opt(u.service_id.as_ref())), ("instance", |u| text(&u.instance_id))],
};

pub(crate) async fn run(command: ServiceCommand, connection: &Connection, output: Output) -> Result<(), Failure> {
    let client = Client::connect(connection)?;
    match command {
        ServiceCommand::Create(args) => create(&client, connection, *args, output).await,
        ServiceCommand::List => {
            let services: Vec<Service> = client.all("/services", &()).await?;
            output::list(output, &services, &COLUMNS);
            Ok(())
        }
        ServiceCommand::Show { service } => {
            show(output, &find(&client, &service).await?);
            Ok(())
        }
        ServiceCommand::Update(args) => update(&client, *args, output).await,
        ServiceCommand::Extend { service, ttl } => {
            let body = Extend { ttl_seconds: ttl.seconds() };
            let changed: Service = client.post(&path(&service, "/extend"), &body, None).await?;
            show(output, &changed);
            Ok(())
        }
        ServiceCommand::Warm { service, seconds, wait } => {
            let mut warmed: Service = client.post(&path(&service, "/warm"), &WarmService { seconds }, None).await?;
            if wait.wait {
                warmed = until_ready(&client, &warmed.id, wait.timeout).await?;
            }
            show(output, &warmed);
            Ok(())
        }
        ServiceCommand::Delete { service, wait } => delete(&client, &service, &wait, output).await,
        ServiceCommand::Logs { service, replica, follow, source, tail } => {
            let of = find(&client, &service).await?;
            let newest = of.replicas.last().map(|r| r.instance_id.clone());
            let Some(instance) = replica.or(newest) else {
                return Err(Failure::refused(format!("{} has no replica now", text(&of.name))));
            };
            let query = ListLogLines { account: None, follow: Some(follow), source, tail: Some(tail) };
            super::logs::run(&client, &instance, &query, output).await
        }
        ServiceCommand::Usage { service, since, key } => {
            let now = Timestamp(jiff::Timestamp::now().as_microsecond());
            let from = Some(Time(now.plus_ms(since.saturating_mul(-1_000))));
            let page: Page<Usage> = client.get("/usage", &ListUsage { from, to: None, service, key }).await?;
            output::list(output, &page.items, &USAGE);
            Ok(())
        }
    }
}

fn path(service: &str, rest: &str) -> String {
    format!("/services/{}{rest}", encode(service))
}

async fn find(client: &Client, service: &str) -> Result<Service, Failure> {
    client.get(&path(service, ""), &()).await
}

fn show(output: Output, service: &Service) {
    output::one(output, service, |s| text(&s.name), lines);
}

/// A service as lines.
fn lines(s: &Service) -> String {
    let mut out = format!("{} ({}): {}\n", text(&s.name), text(&s.id), word(&s.status));
    if let Some(reason) = &s.reason {
        let _ = writeln!(out, "  {}", text(reason));
    }
    let _ = writeln!(out, "model      {}", text(&s.model_id));
    let _ = writeln!(
        out,
        "replicas   {} to {}, another one from {} requests at once; {} ready",
        s.min_replicas, s.max_replicas, s.target_concurrency, s.ready_replicas
    );
    if s.min_replicas == 0 {
        let _ = writeln!(out, "idle       the last replica ends {} s after the last request", s.idle_seconds);
    }
    if let Some(at) = s.expires_at.filter(|_| s.deleted_at.is_none()) {
        let _ = writeln!(out, "ends       by itself at {at}");
    }
    let _ = writeln!(
        out,
        "price      {} now, at most {}",
        output::hourly(s.hourly_micros, &s.currency),
        output::hourly(s.max_hourly_micros, &s.currency)
    );
    let _ = writeln!(
        out,
        "load       {} outstanding, {} waiting; last request {}",
        s.load.outstanding,
        s.load.queued,
        s.load.last_request_at.map_or_else(|| "never".to_owned(), |at| format!("{} ago", output::age(at)))
    );
    if !s.replicas.is_empty() {
        let _ = writeln!(out, "{}", output::table(Output::Table, &s.replicas, &REPLICAS));
    }
    out.trim_end().to_owned()
}

/// The settings that the options name.
fn settings(scaling: Scaling) -> Result<ServiceSettings, Failure> {
    let list = |items: Vec<String>| Some(items).filter(|l| !l.is_empty());
    Ok(ServiceSettings {
        min_replicas: scaling.min,
        max_replicas: scaling.max,
        target_concurrency: scaling.concurrency,
        idle_seconds: scaling.idle,
        scale_down_seconds: scaling.scale_down,
        zones: list(scaling.zones),
        instance_types: list(scaling.types),
        engine: scaling.engine.request()?,
        force: scaling.force.then_some(true),
        image: scaling.image,
        data_volume_gb: scaling.data_volume_gb,
        tags: list(scaling.tags),
        ..ServiceSettings::default()
    })
}

/// What a service will do and cost, for people.
fn plan(s: &Service) -> String {
    let mut out = format!("Service {} for {}\n", text(&s.name), text(&s.model_id));
    let _ = writeln!(out, "  {} to {} replicas, in this order of preference:", s.min_replicas, s.max_replicas);
    for c in &s.candidates {
        let storage = match c.data_volume_gb {
            0 => String::new(),
            gb => format!(", and {} for {gb} GB of data", output::hourly(c.storage_hourly_micros, &s.currency)),
        };
        let avoided = c.avoided_because.as_ref().map_or_else(String::new, |w| format!(" (not now: {})", text(w)));
        let price = output::hourly(c.hourly_micros, &s.currency);
        let _ = writeln!(out, "    {:<16} {:<10} {price}{storage}{avoided}", text(&c.instance_type), text(&c.zone));
    }
    let _ = writeln!(
        out,
        "  costs at most {} for {} (boot volumes and addresses come on top; one more while replicas are replaced){}",
        output::hourly(s.max_hourly_micros, &s.currency),
        if s.max_replicas == 1 { "1 replica".to_owned() } else { format!("{} replicas", s.max_replicas) },
        match s.min_replicas {
            0 => format!(",\n  and nothing once nobody has asked for {} s", s.idle_seconds),
            _ => String::new(),
        }
    );
    out.trim_end().to_owned()
}

async fn create(
    client: &Client,
    connection: &Connection,
    args: CreateServiceArgs,
    output: Output,
) -> Result<(), Failure> {
    let yes = args.scaling.yes;
    let request = CreateService {
        name: args.name,
        account: args.account.name(),
        model_id: args.model,
        ttl_seconds: args.ttl.seconds(),
        plan_id: None,
        settings: settings(args.scaling)?,
    };
    let planned: Service = client.post("/services?dry_run=true", &request, None).await?;
    eprintln!("{}", plan(&planned));
    for warning in &planned.warnings {
        eprintln!("warning: {}", text(warning));
    }
    confirm("Create it?", COSTS, yes)?;
    let request = CreateService { plan_id: planned.plan_id, ..request };
    let mut service: Service = client.post("/services", &request, None).await?;
    if !args.no_wait {
        service = until_ready(client, &service.id, args.timeout).await?;
    }
    show(output, &service);
    if !output.is_for_programs() {
        eprintln!("\n{}", how_to_ask(&connection.url(), &service));
    }
    Ok(())
}

/// Lines to paste that ask the model.
fn how_to_ask(url: &str, s: &Service) -> String {
    let body = format!(r#"{{"model": "{}", "messages": [{{"role": "user", "content": "Hello"}}]}}"#, text(&s.name));
    format!(
        "Ask it:\n  KEY=$(inventiv key create my-app --scope {name} -o name)\n  curl {url}{endpoint}/chat/completions -H \"Authorization: Bearer $KEY\" \\\n    -H 'Content-Type: application/json' -d '{body}'\nDelete it, with everything that it costs:\n  inventiv service delete {name} --wait",
        name = text(&s.name),
        url = url.trim_end_matches('/'),
        endpoint = s.endpoint
    )
}

async fn update(client: &Client, args: UpdateServiceArgs, output: Output) -> Result<(), Failure> {
    let (yes, settings) = (args.scaling.yes, settings(args.scaling)?);
    if settings == ServiceSettings::default() {
        return Err(Failure::refused(
            "nothing to change: give at least one option, see `inventiv service update --help`",
        ));
    }
    let before = find(client, &args.service).await?;
    let planned: Service = client.patch(&path(&before.id, "?dry_run=true"), &settings).await?;
    eprintln!("{}", plan(&planned));
    if planned.revision != before.revision && !before.replicas.is_empty() {
        eprintln!("  the {} replicas are replaced one by one; one more runs meanwhile", before.replicas.len());
    }
    confirm("Change it?", COSTS, yes)?;
    let changed: Service = client.patch(&path(&before.id, ""), &settings).await?;
    show(output, &changed);
    Ok(())
}

/// Shows every step of every replica until the service is ready. Ctrl-C ends the wait only.
async fn until_ready(client: &Client, id: &str, timeout: u64) -> Result<Service, Failure> {
    let mut asks = Asks::listen()?;
    let goes_on = format!("the service goes on and costs money: `inventiv service delete {id}` ends it");
    tokio::select! {
        done = follow(client, id, timeout, |s| matches!(s.status, ServiceStatus::Ready | ServiceStatus::Idle)) => done,
        () = asks.next() => Err(Failure::interrupted(goes_on)),
    }
}

async fn delete(client: &Client, service: &str, wait: &Wait, output: Output) -> Result<(), Failure> {
    let deleted: Service = client.delete(&path(service, "")).await?;
    if !wait.wait {
        show(output, &deleted);
        return Ok(());
    }
    let mut asks = Asks::listen()?;
    let goes_on = format!("the deletion goes on: `inventiv service show {}` shows how far it is", deleted.id);
    let ended = tokio::select! {
        done = follow(client, &deleted.id, wait.timeout, |s| matches!(s.status, ServiceStatus::Deleted)) => done?,
        () = asks.next() => return Err(Failure::interrupted(goes_on)),
    };
    if output.is_for_programs() {
        show(output, &ended);
    } else {
        print(&format!("{} deleted: every replica is proven gone", text(&ended.name)));
    }
    Ok(())
}

/// Follows a service with its replicas.
async fn follow(client: &Client, id: &str, timeout: u64, is_done: fn(&Service) -> bool) -> Result<Service, Failure> {
    let (began, mut said) = (Instant::now(), String::new());
    let mut replicas: HashMap<String, Progress<'_>> = HashMap::new();
    loop {
        let service = find(client, id).await?;
        let reason = service.reason.as_ref().map_or_else(String::new, |r| format!(": {}", text(r)));
        let now = format!("{}{reason}", word(&service.status));
        if now != said {
            eprintln!("  {:6.1}s  {now}", began.elapsed().as_secs_f32());
            said.clone_from(&now);
        }
        for replica in &service.replicas {
            if !replicas.contains_key(&replica.instance_id) {
                eprintln!(
                    "  {:6.1}s  replica {} on {} in {}",
                    began.elapsed().as_secs_f32(),
                    text(&replica.name),
                    text(&replica.instance_type),
                    text(&replica.zone)
                );
                let progress = Progress::new(client, &replica.instance_id, |line| eprintln!("{line}"));
                replicas.insert(replica.instance_id.clone(), progress);
            }
        }
        for progress in replicas.values_mut() {
            progress.look().await?;
        }
        if is_done(&service) {
            return Ok(service);
        }
        if began.elapsed() > Duration::from_secs(timeout) {
            let text = format!("{} is still {now}; `inventiv service show {}` shows more", service.name, service.name);
            return Err(Failure::timeout(text));
        }
        if matches!(service.status, ServiceStatus::Degraded) && service.replicas.is_empty() {
            let (name, why) = (text(&service.name), text(service.reason.unwrap_or_default()));
            return Err(Failure::instance_failed(format!("{name} is degraded: {why}")));
        }
        if matches!(service.status, ServiceStatus::Deleted) {
            return Err(Failure::instance_failed(format!("{} was deleted", text(&service.name))));
        }
        tokio::time::sleep(EVERY).await;
    }
}
