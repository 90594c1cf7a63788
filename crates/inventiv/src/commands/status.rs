//! `inventiv status`: what runs, what it costs, and what needs a person.

use super::cost::unpriced;
use crate::args::{Connection, Output};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{self, decimal, hourly, text, word};
use inventiv_core::expiry::TOLD_BEFORE_MS;
use inventiv_core::time::Timestamp;
use inventiv_types::{
    Audit, ChargeClass, CostForecast, CurrencyForecast, Instance, LimitsInUse, OfAccount, Service, ServiceStatus,
    Status, Time,
};
use serde_json::json;
use std::collections::BTreeMap;

/// From so many percent of a limit on, it needs a person.
const LIMIT_NEAR_PERCENT: i64 = 80;

/// Everything that the command shows.
struct Found {
    instances: Vec<Instance>,
    services: Vec<Service>,
    costs: CostForecast,
    limits: LimitsInUse,
    /// `Err`: why there is none.
    audit: Result<Audit, String>,
}

pub(crate) async fn run(connection: &Connection, account: Option<String>, output: Output) -> Result<(), Failure> {
    let client = Client::connect(connection)?;
    let all: Vec<Instance> = client.all("/instances", &OfAccount { account: account.clone() }).await?;
    let audit = client.get("/audit", &OfAccount { account }).await;
    let found = Found {
        instances: all.into_iter().filter(|i| !i.status.is_final()).collect(),
        services: client.all("/services", &()).await?,
        costs: client.get("/costs/forecast", &()).await?,
        limits: client.get("/limits", &()).await?,
        audit: audit.map_err(|e: Failure| e.message),
    };
    let attention = attention(&found);
    if output.is_for_programs() {
        let counts = |statuses: BTreeMap<String, usize>| json!(statuses);
        let value = json!({
            "instances": counts(count(found.instances.iter().map(|i| word(&i.status)))),
            "services": counts(count(found.services.iter().map(|s| word(&s.status)))),
            "costs": output::json(&found.costs),
            "limits": output::json(&found.limits),
            "attention": attention,
        });
        output::value(output, &value);
        return Ok(());
    }
    output::print(&shown(&found, &attention));
    Ok(())
}

fn count(words: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    words.for_each(|word| *counts.entry(word).or_default() += 1);
    counts
}

fn shown(found: &Found, attention: &[String]) -> String {
    let list = |what: &str, counts: BTreeMap<String, usize>| match counts.values().sum::<usize>() {
        0 => format!("{what:<11}none"),
        total => {
            let each: Vec<String> = counts.iter().map(|(word, n)| format!("{n} {word}")).collect();
            format!("{what:<11}{total}: {}", each.join(", "))
        }
    };
    let mut lines = vec![
        list("Services", count(found.services.iter().map(|s| word(&s.status)))),
        list("Instances", count(found.instances.iter().map(|i| word(&i.status)))),
    ];
    lines.extend(found.costs.currencies.iter().flat_map(|c| costs(c, found.costs.month_ends_at.0.to_string())));
    if found.costs.currencies.is_empty() {
        lines.push("Costs      nothing costs money now, and nothing did this month".to_owned());
    }
    lines.extend(found.costs.unpriced.iter().map(|u| format!("           {}", unpriced(u))));
    lines.extend(found.limits.used_percent.map(|percent| format!("Limits     {percent} % used: inventiv limit show")));
    lines.push(match attention.len() {
        0 => "Attention  nothing needs you".to_owned(),
        n => format!("Attention  {n}:"),
    });
    lines.extend(attention.iter().map(|line| format!("           {line}")));
    lines.join("\n")
}

fn costs(c: &CurrencyForecast, month_ends_at: String) -> Vec<String> {
    let of = |class: ChargeClass| c.rates.iter().filter(|r| r.class == class).map(|r| r.hourly_micros).sum::<i64>();
    let day = month_ends_at.split('T').next().unwrap_or_default();
    let mut lines = vec![
        format!("Costs      {} now", hourly(c.hourly_micros, &text(&c.currency))),
        format!(
            "           {} {} this month, {} until {day} if everything runs on",
            decimal(c.month_to_date_micros),
            text(&c.currency),
            decimal(c.month_micros)
        ),
    ];
    let others = [
        (ChargeClass::Retained, "for retained volumes"),
        (ChargeClass::Ending, "for what ends and is not proven gone yet"),
        (ChargeClass::Unconfirmed, "more, if creations without a response took effect"),
        (ChargeClass::ThirdParty, "for volumes of third parties, not counted"),
    ];
    let others = others.into_iter().map(|(class, what)| (of(class), what)).filter(|(micros, _)| *micros > 0);
    lines.extend(others.map(|(micros, what)| format!("           {} {what}", hourly(micros, &text(&c.currency)))));
    lines
}

/// What needs a person, one sentence each, with what to do.
fn attention(found: &Found) -> Vec<String> {
    let reason = |text: &Option<String>| text.as_deref().map_or_else(String::new, |r| format!(": {}", output::text(r)));
    let degraded = found.services.iter().filter(|s| s.status == ServiceStatus::Degraded);
    let mut lines: Vec<String> =
        degraded.map(|s| format!("service {} is degraded{}", text(&s.name), reason(&s.reason))).collect();
    let troubled = |i: &&Instance| {
        let waits = matches!(i.status, Status::StartupFailed | Status::Unavailable);
        waits || i.error.is_some()
    };
    let line = |i: &Instance| {
        let name = text(&i.name);
        format!("instance {name} is {}{}: inventiv explain {name}", word(&i.status), reason(&i.error))
    };
    lines.extend(found.instances.iter().filter(troubled).map(line));
    let now = Timestamp(jiff::Timestamp::now().as_microsecond());
    let is_soon = |at: &Time| at.0.ms_since(now) <= TOLD_BEFORE_MS;
    let ends = found.instances.iter().filter_map(|i| Some((i, i.expires_at.filter(is_soon)?)));
    lines.extend(ends.map(|(i, at)| {
        let name = text(&i.name);
        format!("instance {name} ends by itself at {at}: inventiv instance extend {name} --ttl 2h")
    }));
    let ends = found.services.iter().filter_map(|s| Some((s, s.expires_at.filter(is_soon)?)));
    lines.extend(ends.map(|(s, at)| {
        let name = text(&s.name);
        format!("service {name} ends by itself at {at}: inventiv service extend {name} --ttl 2h")
    }));
    if let Some(percent) = found.limits.used_percent.filter(|p| *p >= LIMIT_NEAR_PERCENT) {
        lines.push(format!("{percent} % of a limit are used: inventiv limit show"));
    }
    match &found.audit {
        Ok(a) => {
            let found = [
                (a.orphans, "orphan(s)"),
                (a.suspects, "suspect(s)"),
                (a.missing, "missing resource(s)"),
                (a.conflicts, "conflict(s)"),
                (usize::try_from(a.stuck).unwrap_or_default(), "stuck deletion(s)"),
            ];
            let found = found.iter().filter(|(n, _)| *n > 0);
            lines.extend(found.map(|(n, what)| format!("the last audit found {n} {what}: inventiv audit")));
            lines.extend(a.inconclusive.iter().map(|why| format!("the last audit is inconclusive: {}", text(why))));
        }
        Err(why) => lines.push(format!("there is no audit: {}", text(why))),
    }
    lines
}
