//! `inventiv audit`: compares the cloud with the records.

use crate::args::{Audit, OrphanPolicy, Output};
use crate::client::{Client, encode};
use crate::failure::Failure;
use crate::output::{self, hourly, text};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The poll interval.
const EVERY: Duration = Duration::from_millis(300);

pub(crate) async fn run(args: &Audit, output: Output) -> Result<(), Failure> {
    let client = Client::connect(&args.connection)?;
    let audit = if args.last { last(&client, args).await? } else { fresh(&client, args).await? };
    output::one(output, &audit, "verdict", shown);
    let count = |key: &str| text(&audit, key);
    match audit["verdict"].as_str() {
        Some("clean") => Ok(()),
        Some("findings") => Err(Failure::left_behind(format!(
            "found {} orphan(s), {} suspect(s), {} missing, {} conflict(s), {} stuck",
            count("orphans"),
            count("suspects"),
            count("missing"),
            count("conflicts"),
            count("stuck")
        ))),
        _ => Err(Failure::unreachable("the audit is inconclusive; the lines above say why")),
    }
}

/// The results of the last audits.
async fn last(client: &Client, args: &Audit) -> Result<Value, Failure> {
    let account = args.account.name();
    let query: Vec<(&str, &str)> = account.iter().map(|a| ("account", a.as_str())).collect();
    client.get("/audit", &query).await
}

/// Requests an audit, and waits until every zone has been audited.
async fn fresh(client: &Client, args: &Audit) -> Result<Value, Failure> {
    let policy = match args.policy {
        OrphanPolicy::Report => "report",
        OrphanPolicy::Delete => "delete",
    };
    let mut request = json!({});
    if args.fix {
        request = json!({"fix": true, "policy": policy});
    }
    if let Some(max) = args.max {
        request["max"] = json!(max);
    }
    let timeout = args.timeout;
    let path = args.account.name().map_or_else(|| "/audit".to_owned(), |a| format!("/audit?account={}", encode(&a)));
    let mut audit = client.post(&path, &request).await?;
    let began = Instant::now();
    while !is_done(&audit) {
        if began.elapsed() > Duration::from_secs(timeout) {
            return Err(Failure::timeout(format!(
                "the audit did not end within {timeout} s; `inventiv audit --last` shows the results so far"
            )));
        }
        tokio::time::sleep(EVERY).await;
        audit = last(client, args).await?;
    }
    Ok(audit)
}

/// RFC 3339 with microseconds in UTC sorts by time.
fn is_done(audit: &Value) -> bool {
    let zones = audit["zones"].as_array().map(Vec::as_slice).unwrap_or_default();
    zones
        .iter()
        .all(|z| z["begun_at"].as_str().is_some_and(|begun| z["requested_at"].as_str().is_none_or(|r| begun >= r)))
}

fn shown(audit: &Value) -> String {
    let kept = json!({"hourly_micros": audit["retained_hourly_micros"], "currency": audit["currency"]});
    let mut lines = vec![
        format!("{}: {}", text(audit, "account"), text(audit, "verdict").replace('_', " ")),
        format!(
            "  {} orphan(s), {} suspect(s), {} missing, {} conflict(s); {} retained ({})",
            text(audit, "orphans"),
            text(audit, "suspects"),
            text(audit, "missing"),
            text(audit, "conflicts"),
            text(audit, "retained"),
            hourly(&kept)
        ),
        format!(
            "  {} deletion(s) not proven yet, {} of them stuck",
            text(audit, "unproven_deletions"),
            text(audit, "stuck")
        ),
    ];
    for id in audit["stuck_instances"].as_array().into_iter().flatten() {
        let id = id.as_str().unwrap_or_default();
        lines.push(format!("  STUCK {id}: `inventiv explain {id}` shows why, what it costs and what to do"));
    }
    for why in audit["inconclusive"].as_array().into_iter().flatten() {
        lines.push(format!("  inconclusive: {}", why.as_str().unwrap_or_default()));
    }
    let unseen: Vec<&str> = audit["not_looked_at"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !unseen.is_empty() {
        lines.push(format!("  not looked at: {} (name them with `serve --zones`)", unseen.join(", ")));
    }
    for z in audit["zones"].as_array().into_iter().flatten() {
        lines.push(match z["inconclusive"].as_str() {
            Some(why) => format!("{}  CANNOT SAY: {why}", text(z, "zone")),
            None => format!(
                "{}  listed {}: {} shown, {} claimed, {} retained, {} of third parties",
                text(z, "zone"),
                text(z, "begun_at"),
                text(z, "shown"),
                text(z, "claimed"),
                text(z, "retained"),
                text(z, "foreign")
            ),
        });
        if z["records_look_rolled_back"] == true {
            let text = "  the records look older than the cloud: was the database restored from a backup? `inventiv recover` \
                        shows what is missing from it";
            lines.push(text.to_owned());
        }
        lines.extend(sweep_lines(z));
        lines.extend(output::snapshots(z));
        for f in z["findings"].as_array().into_iter().flatten() {
            let size = f["size_gb"].as_i64().map_or_else(String::new, |gb| format!(" {gb} GB"));
            let cost = match f["hourly_micros"].as_i64() {
                Some(_) => format!(", {}", hourly(&json!({"hourly_micros": f["hourly_micros"], "currency": "EUR"}))),
                None => String::new(),
            };
            let kind = text(f, "kind").to_uppercase();
            lines.push(format!(
                "  {kind} {} {}{size} {}{cost}",
                text(f, "resource"),
                text(f, "provider_id"),
                text(f, "name")
            ));
            lines.push(format!("    why: {}; instance {}", text(f, "why"), text(f, "instance_id")));
            lines.push(format!("    do:  {}", text(f, "remedy")));
        }
    }
    lines.join("\n")
}

/// The state of the removal of orphans.
fn sweep_lines(zone: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(why) = zone["frozen"].as_str() {
        lines.push(format!("  FROZEN, no orphan is deleted: {why}"));
    }
    for row in zone["unreadable"].as_array().into_iter().flatten() {
        lines.push(format!("  UNREADABLE {}", row.as_str().unwrap_or_default()));
    }
    for q in zone["quarantined"].as_array().into_iter().flatten() {
        let (what, id, until) = (text(q, "resource"), text(q, "provider_id"), text(q, "until"));
        lines.push(format!("  QUARANTINE {what} {id}: deleted after {until}, if it still is an orphan"));
    }
    for id in zone["taken"].as_array().into_iter().flatten() {
        let id = id.as_str().unwrap_or_default();
        lines.push(format!("  TAKEN {id}: its instance deletes it and proves its absence"));
    }
    lines
}
