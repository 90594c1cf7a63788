//! `inventiv audit`: compares the cloud with the records.

use crate::args::{self, OrphanPolicy, Output};
use crate::client::{Client, encode};
use crate::failure::Failure;
use crate::output::{self, hourly, opt, text, word};
use inventiv_types::{Audit, AuditRequest, Finding, OfAccount, Policy, Verdict, ZoneAudit};
use std::time::{Duration, Instant};

/// The poll interval.
const EVERY: Duration = Duration::from_millis(300);

pub(crate) async fn run(args: &args::Audit, output: Output) -> Result<(), Failure> {
    let client = Client::connect(&args.connection)?;
    let audit = if args.last { last(&client, args).await? } else { fresh(&client, args).await? };
    output::one(output, &audit, |a| word(&a.verdict), shown);
    match audit.verdict {
        Verdict::Clean => Ok(()),
        Verdict::Findings => Err(Failure::left_behind(format!(
            "found {} orphan(s), {} suspect(s), {} missing, {} conflict(s), {} stuck",
            audit.orphans, audit.suspects, audit.missing, audit.conflicts, audit.stuck
        ))),
        Verdict::Inconclusive => Err(Failure::unreachable("the audit is inconclusive; the lines above say why")),
    }
}

/// The results of the last audits.
async fn last(client: &Client, args: &args::Audit) -> Result<Audit, Failure> {
    client.get("/audit", &OfAccount { account: args.account.name() }).await
}

/// Requests an audit, and waits until every zone has been audited.
async fn fresh(client: &Client, args: &args::Audit) -> Result<Audit, Failure> {
    let policy = match args.policy {
        OrphanPolicy::Report => Policy::Report,
        OrphanPolicy::Delete => Policy::Delete,
    };
    let request = AuditRequest { fix: args.fix.then_some(true), policy: args.fix.then_some(policy), max: args.max };
    let timeout = args.timeout;
    let path = args.account.name().map_or_else(|| "/audit".to_owned(), |a| format!("/audit?account={}", encode(&a)));
    let mut audit: Audit = client.post(&path, &request, None).await?;
    let began = Instant::now();
    while !audit.zones.iter().all(is_done) {
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

fn is_done(zone: &ZoneAudit) -> bool {
    zone.begun_at.is_some_and(|begun| zone.requested_at.is_none_or(|requested| begun >= requested))
}

fn shown(audit: &Audit) -> String {
    let mut lines = vec![
        format!("{}: {}", text(&audit.account), word(&audit.verdict)),
        format!(
            "  {} orphan(s), {} suspect(s), {} missing, {} conflict(s); {} retained ({})",
            audit.orphans,
            audit.suspects,
            audit.missing,
            audit.conflicts,
            audit.retained,
            hourly(audit.retained_hourly_micros, &audit.currency)
        ),
        format!("  {} deletion(s) not proven yet, {} of them stuck", audit.unproven_deletions, audit.stuck),
    ];
    let stuck = |id: &String| format!("  STUCK {id}: `inventiv explain {id}` shows why, what it costs and what to do");
    lines.extend(audit.stuck_instances.iter().map(stuck));
    lines.extend(audit.inconclusive.iter().map(|why| format!("  inconclusive: {}", text(why))));
    if !audit.not_looked_at.is_empty() {
        lines.push(format!("  not looked at: {} (name them with `serve --zones`)", audit.not_looked_at.join(", ")));
    }
    lines.extend(audit.zones.iter().flat_map(|zone| zone_lines(zone, &audit.currency)));
    lines.join("\n")
}

fn zone_lines(z: &ZoneAudit, currency: &str) -> Vec<String> {
    let mut lines = vec![match &z.inconclusive {
        Some(why) => format!("{}  CANNOT SAY: {}", text(&z.zone), text(why)),
        None => format!(
            "{}  listed {}: {} shown, {} claimed, {} retained, {} of third parties",
            text(&z.zone),
            opt(z.begun_at),
            z.shown,
            z.claimed,
            z.retained,
            z.foreign
        ),
    }];
    if z.records_look_rolled_back {
        let text = "  the records look older than the cloud: was the database restored from a backup? `inventiv recover` \
                    shows what is missing from it";
        lines.push(text.to_owned());
    }
    lines.extend(sweep_lines(z));
    lines.extend(output::snapshots(&z.snapshots, z.snapshots_unknown.as_deref()));
    lines.extend(z.findings.iter().flat_map(|f| finding(f, currency)));
    lines
}

fn finding(f: &Finding, currency: &str) -> [String; 3] {
    let size = f.size_gb.map_or_else(String::new, |gb| format!(" {gb} GB"));
    let cost = f.hourly_micros.map_or_else(String::new, |micros| format!(", {}", hourly(micros, currency)));
    let kind = f.kind.text().to_uppercase();
    [
        format!("  {kind} {} {}{size} {}{cost}", f.resource, text(&f.provider_id), text(&f.name)),
        format!("    why: {}; instance {}", text(&f.why), opt(f.instance_id.as_ref())),
        format!("    do:  {}", text(&f.remedy)),
    ]
}

/// The state of the removal of orphans.
fn sweep_lines(zone: &ZoneAudit) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(zone.frozen.as_ref().map(|why| format!("  FROZEN, no orphan is deleted: {}", text(why))));
    lines.extend(zone.unreadable.iter().map(|row| format!("  UNREADABLE {}", text(row))));
    lines.extend(zone.quarantined.iter().map(|q| {
        let (id, until) = (text(&q.provider_id), q.until);
        format!("  QUARANTINE {} {id}: deleted after {until}, if it still is an orphan", q.resource)
    }));
    let taken = |id: &String| format!("  TAKEN {}: its instance deletes it and proves its absence", text(id));
    lines.extend(zone.taken.iter().map(taken));
    lines
}
