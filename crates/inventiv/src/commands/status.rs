//! `inventiv status`: what runs, what it costs, and what needs a person.

use super::cost::unpriced;
use crate::args::{Connection, Output};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{self, decimal, hourly, text, word};
use inventiv_types::{
    Alert, AlertKind, Audit, ChargeClass, CostForecast, CurrencyForecast, Instance, LimitsInUse, OfAccount,
    OrphanCosts, Service, Severity,
};
use serde_json::json;
use std::collections::BTreeMap;

/// How many lines about what needs a person are shown.
const SHOWN_MAX: usize = 20;

/// Everything that the command shows.
struct Found {
    instances: Vec<Instance>,
    services: Vec<Service>,
    costs: CostForecast,
    limits: LimitsInUse,
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
    };
    let alerts: Vec<Alert> = client.all("/alerts", &()).await?;
    let attention = attention(&alerts, &audit.map_err(|e: Failure| e.message));
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
    lines.extend(orphans(&found.costs.orphans));
    lines.extend(found.costs.unpriced.iter().map(|u| format!("           {}", unpriced(u))));
    lines.extend(found.limits.used_percent.map(|percent| format!("Limits     {percent} % used: inventiv limit show")));
    lines.push(match attention.len() {
        0 => "Attention  nothing needs you".to_owned(),
        n => format!("Attention  {n}:"),
    });
    lines.extend(attention.iter().map(|line| format!("           {line}")));
    lines.join("\n")
}

fn orphans(o: &OrphanCosts) -> Option<String> {
    if o.resources > 0 || o.hourly_micros > 0 {
        let unpriced =
            if o.unpriced > 0 { format!(", and {} without a known price", o.unpriced) } else { String::new() };
        let sum = hourly(o.hourly_micros, "EUR");
        return Some(format!(
            "           part of this: {sum} for orphans, {} in the last audit{unpriced}",
            o.resources
        ));
    }
    let zones = o.inconclusive_zones;
    (zones > 0).then(|| format!("           orphans are not known in {zones} zone(s): the last audit is inconclusive"))
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

/// What needs a person, one sentence each, with what to do, the most urgent first.
fn attention(alerts: &[Alert], audit: &Result<Audit, String>) -> Vec<String> {
    let needs = |a: &&Alert| a.severity > Severity::Info || is_end(a.kind);
    let mut lines: Vec<String> = alerts.iter().filter(needs).map(|a| text(&a.text)).collect();
    lines.extend(audit.as_ref().err().map(|why| format!("there is no audit: {}", text(why))));
    if lines.len() > SHOWN_MAX {
        let others = lines.len() - SHOWN_MAX;
        lines.truncate(SHOWN_MAX);
        lines.push(format!("and {others} more: inventiv alert list"));
    }
    lines
}

/// Whether it can still be prevented.
const fn is_end(kind: AlertKind) -> bool {
    matches!(kind, AlertKind::InstanceEndsSoon | AlertKind::ServiceEndsSoon)
}
